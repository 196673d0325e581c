"""Store paths out of Debian packages, in the canonical form that Nix gives everything in its store."""

import hashlib
import os
import re
import shutil
import stat
import subprocess

from nix_archive import nix32


def store_name(name, version):
    """`<32 digits>-<name>-<version>`: a name by Nix's rules, the same for the same package on every machine."""
    label = re.sub(r"[^a-zA-Z0-9+._?=-]", "_", f"{name}-{version}")
    digest = hashlib.sha256(b"snugfs test closure:" + label.encode()).digest()[:20]
    return f"{nix32(digest)}-{label}"


def canonicalise(path):
    """Modes 0555 or 0444, time 1, root's; what no NAR can hold goes."""
    status = os.lstat(path)
    if stat.S_ISDIR(status.st_mode):
        # Writable until its entries are done, for those who are not root.
        os.chmod(path, 0o755)
        for name in os.listdir(path):
            canonicalise(os.path.join(path, name))
        os.chmod(path, 0o555)
    elif stat.S_ISREG(status.st_mode):
        os.chmod(path, 0o555 if status.st_mode & 0o100 else 0o444)
    elif not stat.S_ISLNK(status.st_mode):
        os.unlink(path)
        return
    if os.geteuid() == 0 and (status.st_uid or status.st_gid):
        os.chown(path, 0, 0, follow_symlinks=False)
    os.utime(path, (1, 1), follow_symlinks=False)


def unpack(archive, target):
    """Puts a package's files at `target`, whole or not at all: an interrupted run can be repeated."""
    if os.path.lexists(target):
        return
    unfinished = f"{target}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    os.mkdir(unfinished)
    subprocess.run(["dpkg-deb", "-x", archive, unfinished], check=True)
    canonicalise(os.fsencode(unfinished))
    os.rename(unfinished, target)
