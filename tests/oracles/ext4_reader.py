"""A small reader of ext4's metadata for the checks here: superblock, group descriptors, inodes, extents.

It reads what a correct image with 4096-byte blocks and flex_bg holds, straight from the format's
description; anything else raises `Malformed`. It shares nothing with the program that it judges.
"""

import os
import struct

SUPERBLOCK_OFFSET = 1024
BLOCK_UNINIT, INODE_UNINIT, ITABLE_ZEROED = 2, 1, 4
INODE_EXTENTS = 0x80000
INCOMPAT_64BIT, RO_COMPAT_METADATA_CSUM = 0x80, 0x400


class Malformed(Exception):
    """An image that this reader does not support."""


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def crc32c(seed, data):
    """CRC-32C, reflected, without a final inversion, as in ext4."""
    for byte in data:
        seed = _CRC_TABLE[(seed ^ byte) & 0xFF] ^ (seed >> 8)
    return seed


def is_power_of(number, base):
    while number > 1 and number % base == 0:
        number //= base
    return number == 1


def has_backup(group):
    """sparse_super: group 1 and the powers of 3, 5 and 7."""
    return group == 1 or (group > 1 and any(is_power_of(group, base) for base in (3, 5, 7)))


# name: (offset, struct format); names are those of the kernel's documentation without s_
SUPERBLOCK_FIELDS = {
    "inodes_count": (0x00, "I"), "blocks_count_lo": (0x04, "I"), "r_blocks_count_lo": (0x08, "I"),
    "free_blocks_count_lo": (0x0C, "I"), "free_inodes_count": (0x10, "I"), "first_data_block": (0x14, "I"),
    "log_block_size": (0x18, "I"), "log_cluster_size": (0x1C, "I"), "blocks_per_group": (0x20, "I"),
    "clusters_per_group": (0x24, "I"), "inodes_per_group": (0x28, "I"), "mtime": (0x2C, "I"), "wtime": (0x30, "I"),
    "mnt_count": (0x34, "H"), "max_mnt_count": (0x36, "H"), "magic": (0x38, "H"), "state": (0x3A, "H"),
    "errors": (0x3C, "H"), "minor_rev_level": (0x3E, "H"), "lastcheck": (0x40, "I"), "checkinterval": (0x44, "I"),
    "creator_os": (0x48, "I"), "rev_level": (0x4C, "I"), "def_resuid": (0x50, "H"), "def_resgid": (0x52, "H"),
    "first_ino": (0x54, "I"), "inode_size": (0x58, "H"), "block_group_nr": (0x5A, "H"),
    "feature_compat": (0x5C, "I"), "feature_incompat": (0x60, "I"), "feature_ro_compat": (0x64, "I"),
    "uuid": (0x68, "16s"), "volume_name": (0x78, "16s"), "last_mounted": (0x88, "64s"),
    "algorithm_usage_bitmap": (0xC8, "I"), "prealloc_blocks": (0xCC, "B"), "prealloc_dir_blocks": (0xCD, "B"),
    "reserved_gdt_blocks": (0xCE, "H"), "journal_uuid": (0xD0, "16s"), "journal_inum": (0xE0, "I"),
    "journal_dev": (0xE4, "I"), "last_orphan": (0xE8, "I"), "hash_seed": (0xEC, "16s"),
    "def_hash_version": (0xFC, "B"), "jnl_backup_type": (0xFD, "B"), "desc_size": (0xFE, "H"),
    "default_mount_opts": (0x100, "I"), "first_meta_bg": (0x104, "I"), "mkfs_time": (0x108, "I"),
    "jnl_blocks": (0x10C, "68s"), "blocks_count_hi": (0x150, "I"), "r_blocks_count_hi": (0x154, "I"),
    "free_blocks_count_hi": (0x158, "I"), "min_extra_isize": (0x15C, "H"), "want_extra_isize": (0x15E, "H"),
    "flags": (0x160, "I"), "raid_stride": (0x164, "H"), "mmp_interval": (0x166, "H"), "mmp_block": (0x168, "Q"),
    "raid_stripe_width": (0x170, "I"), "log_groups_per_flex": (0x174, "B"), "checksum_type": (0x175, "B"),
    "reserved_pad": (0x176, "H"), "kbytes_written": (0x178, "Q"), "snapshots": (0x180, "64s"),
    "errors_and_more": (0x1C0, "136s"), "overhead_clusters": (0x248, "I"), "backup_bgs": (0x24C, "Q"),
    "encrypt_algos": (0x254, "I"), "encrypt_pw_salt": (0x258, "16s"), "lpf_ino": (0x268, "I"),
    "prj_quota_inum": (0x26C, "I"), "checksum_seed": (0x270, "I"), "times_hi": (0x274, "8s"),
    "encoding": (0x27C, "I"), "orphan_file_inum": (0x280, "I"), "reserved": (0x284, "376s"), "checksum": (0x3FC, "I"),
}

# offset of the low half, offset of the high half, format of a half
GROUP_FIELDS = {
    "block_bitmap": (0x00, 0x20, "I"), "inode_bitmap": (0x04, 0x24, "I"), "inode_table": (0x08, 0x28, "I"),
    "free_blocks": (0x0C, 0x2C, "H"), "free_inodes": (0x0E, 0x2E, "H"), "used_dirs": (0x10, 0x30, "H"),
    "itable_unused": (0x1C, 0x32, "H"), "block_bitmap_csum": (0x18, 0x38, "H"), "inode_bitmap_csum": (0x1A, 0x3A, "H"),
}


class Group:
    """One group descriptor."""

    def __init__(self, number, raw):
        self.number = number
        self.raw = raw
        for name, (low, high, form) in GROUP_FIELDS.items():
            shift = struct.calcsize(form) * 8
            # A descriptor of 32 bytes has no high halves.
            low, high = (struct.unpack_from("<" + form, raw, at)[0] if at < len(raw) else 0 for at in (low, high))
            setattr(self, name, low | high << shift)
        self.flags, self.checksum = struct.unpack_from("<H", raw, 0x12)[0], struct.unpack_from("<H", raw, 0x1E)[0]


class Inode:
    """The fields of an inode that the checks need."""

    def __init__(self, number, raw):
        self.number = number
        self.raw = raw
        self.mode, self.links = struct.unpack_from("<H", raw, 0)[0], struct.unpack_from("<H", raw, 0x1A)[0]
        self.size = struct.unpack_from("<I", raw, 4)[0] | struct.unpack_from("<I", raw, 0x6C)[0] << 32
        self.sectors = struct.unpack_from("<I", raw, 0x1C)[0] | struct.unpack_from("<H", raw, 0x74)[0] << 32
        self.flags = struct.unpack_from("<I", raw, 0x20)[0]
        self.block = raw[0x28:0x64]
        self.file_acl = struct.unpack_from("<I", raw, 0x68)[0] | struct.unpack_from("<H", raw, 0x76)[0] << 32


class Image:
    """An open image."""

    def __init__(self, path):
        self.file = open(path, "rb", buffering=0)
        self.fd = self.file.fileno()
        self.length = os.fstat(self.fd).st_size
        self.superblock_raw = self.read(SUPERBLOCK_OFFSET, 1024)
        self.superblock = parse_superblock(self.superblock_raw)
        sb = self.superblock
        if sb["magic"] != 0xEF53:
            raise Malformed("no ext4 superblock at byte 1024")
        has_64bit = bool(sb["feature_incompat"] & INCOMPAT_64BIT)
        if sb["log_block_size"] != 2 or sb["inode_size"] != 256 or sb["desc_size"] != (64 if has_64bit else 0):
            raise Malformed("not 4096-byte blocks, 256-byte inodes and group descriptors of 64 bytes, or 32 without 64bit")
        self.descriptor_size = 64 if has_64bit else 32
        self.block_size = 4096
        self.blocks = sb["blocks_count_lo"] | sb["blocks_count_hi"] << 32
        self.free_blocks = sb["free_blocks_count_lo"] | sb["free_blocks_count_hi"] << 32
        self.per_group = sb["blocks_per_group"]
        self.inodes_per_group = sb["inodes_per_group"]
        if not self.per_group or not self.inodes_per_group:
            raise Malformed("empty groups")
        self.group_count = -(-self.blocks // self.per_group)
        self.gdt_blocks = -(-self.group_count * self.descriptor_size // 4096)
        self.reserved_gdt = sb["reserved_gdt_blocks"]
        self.backups = [group for group in range(1, self.group_count) if has_backup(group)]
        table = self.block_run(1, self.gdt_blocks)
        size = self.descriptor_size
        self.groups = [Group(n, table[n * size : n * size + size]) for n in range(self.group_count)]

    def read(self, offset, length):
        parts = []
        while length:
            part = os.pread(self.fd, length, offset)
            if not part:
                raise Malformed(f"the image ends before byte {offset + length}")
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def block_run(self, start, count=1):
        return self.read(start * self.block_size, count * self.block_size)

    def group_blocks(self, group):
        """The number of blocks of a group. The last group can be shorter."""
        return min(self.per_group, self.blocks - group * self.per_group)

    def inode_offset(self, number):
        group, index = divmod(number - 1, self.inodes_per_group)
        return self.groups[group].inode_table * self.block_size + index * 256

    def inode(self, number):
        return Inode(number, self.read(self.inode_offset(number), 256))

    def super_area(self, group):
        """The number of blocks at the start of a group with superblock, descriptors and their reserve."""
        return 1 + self.gdt_blocks + self.reserved_gdt if group == 0 or has_backup(group) else 0

    def uninit_bitmap(self, group):
        """The block bitmap of a group with BLOCK_UNINIT: only a copy of superblock and descriptors is in use."""
        return (1 << self.super_area(group)) - 1 | (-1 << self.group_blocks(group)) & ((1 << self.per_group) - 1)

    def block_bitmap(self, group):
        """The bitmap as an integer, bit n for the group's block n."""
        if self.groups[group].flags & BLOCK_UNINIT:
            # With flex_bg, the first group of a flex group has the tables of all its groups, but is never uninitialised.
            return self.uninit_bitmap(group)
        return int.from_bytes(self.block_run(self.groups[group].block_bitmap), "little")

    def inode_bitmap(self, group):
        if self.groups[group].flags & INODE_UNINIT:
            return 0
        raw = self.block_run(self.groups[group].inode_bitmap)[: self.inodes_per_group // 8]
        return int.from_bytes(raw, "little")

    def extents(self, inode):
        """(first block in the file, length, first block on disk) of each extent, in order; then the tree's blocks."""
        found, nodes = [], []
        self._extents(inode.block, found, nodes)
        return found, nodes

    def _extents(self, node, found, nodes):
        magic, entries, _, depth = struct.unpack_from("<4H", node)
        if magic != 0xF30A:
            raise Malformed("an extent node without its magic number")
        for at in range(12, 12 + 12 * entries, 12):
            if depth:
                _, low, high = struct.unpack_from("<IIH", node, at)
                nodes.append(low | high << 32)
                self._extents(self.block_run(nodes[-1]), found, nodes)
            else:
                logical, length, high, low = struct.unpack_from("<IHHI", node, at)
                found.append((logical, length, low | high << 32))


def parse_superblock(raw):
    return {name: struct.unpack_from("<" + form, raw, at)[0] for name, (at, form) in SUPERBLOCK_FIELDS.items()}


def bits(bitmap, count):
    """The numbers of the set bits below `count`, in order."""
    text = bin(bitmap & ((1 << count) - 1))[:1:-1]
    at = text.find("1")
    while at >= 0:
        yield at
        at = text.find("1", at + 1)


def clear_runs(bitmap, count):
    """(start, length) of each run of clear bits below `count`."""
    text = bin(bitmap & ((1 << count) - 1) | 1 << count)[:2:-1]
    at = text.find("0")
    while at >= 0:
        end = text.find("1", at)
        end = count if end < 0 else end
        yield at, end - at
        at = text.find("0", end)
