"""The NAR form of a file tree, its SHA-256 and size, straight from the format's definition.

This is an implementation of its own on purpose: it judges the one in the program.
"""

import hashlib
import os
import stat

NIX32_DIGITS = "0123456789abcdfghijklmnpqrsvwxyz"
CHUNK = 1 << 20


def nix32(digest):
    """Nix's base 32: digits of 5 bits, least significant bits first, printed most significant digit first."""
    number = int.from_bytes(digest, "little")
    length = (len(digest) * 8 + 4) // 5
    return "".join(NIX32_DIGITS[(number >> (5 * i)) & 31] for i in reversed(range(length)))


class Archive:
    """Collects the bytes of one NAR into a hash and a count."""

    def __init__(self):
        self.hash = hashlib.sha256()
        self.size = 0

    def raw(self, data):
        self.hash.update(data)
        self.size += len(data)

    def string(self, data):
        self.raw(len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8))

    def strings(self, *parts):
        for part in parts:
            self.string(part)

    def contents(self, path, size):
        self.raw(size.to_bytes(8, "little"))
        read = 0
        with open(path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                self.raw(chunk)
                read += len(chunk)
        if read != size:
            raise OSError(f"{path!r}: changed its size while it was read")
        self.raw(bytes(-size % 8))

    def node(self, path):
        status = os.lstat(path)
        self.strings(b"(", b"type")
        if stat.S_ISLNK(status.st_mode):
            self.strings(b"symlink", b"target", os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            self.string(b"regular")
            if status.st_mode & 0o100:
                self.strings(b"executable", b"")
            self.string(b"contents")
            self.contents(path, status.st_size)
        elif stat.S_ISDIR(status.st_mode):
            self.string(b"directory")
            for name in sorted(os.listdir(path)):
                self.strings(b"entry", b"(", b"name", name, b"node")
                self.node(os.path.join(path, name))
                self.string(b")")
        else:
            raise OSError(f"{path!r}: a NAR holds only files, directories and symlinks")
        self.string(b")")


def hash_and_size(path):
    """The NAR of the tree at `path`: (`sha256:<nix32>`, size in bytes)."""
    archive = Archive()
    archive.string(b"nix-archive-1")
    archive.node(os.fsencode(path))
    return "sha256:" + nix32(archive.hash.digest()), archive.size
