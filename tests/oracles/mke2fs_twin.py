"""Makes mke2fs produce a given geometry, so that its image can be compared with another field by field."""

import os
import tempfile
import uuid

from image_files import Unusable, run

# Used instead of the machine's configuration, which can differ.
CONFIG = """\
[defaults]
base_features = none
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384
reserved_ratio = 5.0
"""
FEATURES = (
    "has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file "
    "dir_nlink extra_isize metadata_csum"
).split()
TABLE_BLOCKS_OF_16 = 4096 // 256


class Geometry:
    """The parameters that determine the places of mke2fs's metadata, and its names and times."""

    def __init__(self, blocks, inodes, reserved_gdt, journal, reserved_blocks=0, label=b"", fs_uuid=bytes(16),
                 hash_seed=None, time=1, features=FEATURES):
        self.blocks, self.inodes, self.reserved_gdt, self.journal = blocks, inodes, reserved_gdt, journal
        self.reserved_blocks, self.label, self.fs_uuid = reserved_blocks, label, fs_uuid
        self.hash_seed, self.time, self.features = hash_seed or fs_uuid, time, features

    def groups(self):
        return -(-self.blocks // 32768)

    def arguments(self):
        """Options for mke2fs, or Unusable if it can't make this geometry."""
        if self.journal % 256:
            raise Unusable(f"a journal of {self.journal} blocks: mke2fs takes whole MiB; choose such a journalSize")
        features = [f for f in self.features if f not in ("has_journal", "resize_inode")]
        extended = [f"hash_seed={uuid.UUID(bytes=self.hash_seed)}", "lazy_itable_init=0", "lazy_journal_init=0",
                    "nodiscard", "root_owner=0:0"]
        arguments = []
        if self.journal:
            features.append("has_journal")
            arguments += ["-J", f"size={self.journal // 256}"]
        if self.reserved_gdt:
            features.append("resize_inode")
            in_block = 4096 // (64 if "64bit" in self.features else 32)
            gdt = -(-self.groups() // in_block)
            extended.append(f"resize={(gdt + self.reserved_gdt) * in_block * 32768}")
        # Half a block more, because mke2fs rounds the percentage down.
        percent = (self.reserved_blocks + 0.5) * 100 / self.blocks if self.reserved_blocks else 0
        return [
            "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-N", str(self.inodes), "-m", f"{percent:.12f}",
            "-O", "none," + ",".join(features), "-E", ",".join(extended), "-U", str(uuid.UUID(bytes=self.fs_uuid)),
            "-L", self.label.decode(errors="surrogateescape"), *arguments,
        ]


def make(geometry, target, folder=None):
    """Creates `target`, with the contents of `folder` if given."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(CONFIG)
        config.flush()
        source = ["-d", folder] if folder else []
        with open(target, "wb") as file:
            file.truncate(geometry.blocks * 4096)
        run(
            ["mke2fs", *geometry.arguments(), *source, target, str(geometry.blocks)],
            hint="if it found no space: it may need more blocks than snugfs for directories; give the plan more freeSpace",
            env={"MKE2FS_CONFIG": config.name, "E2FSPROGS_FAKE_TIME": str(geometry.time), "TZ": "UTC"},
        )
    return os.stat(target).st_size
