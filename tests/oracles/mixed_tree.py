"""A tree with everything that readers of ext4 treat differently, and the plan of its image."""

import base64
import json
import os
import random

MIB = 1 << 20
# More than four extents of 128 MiB each, which don't fit into the inode and need a block of their own.
FIVE_EXTENTS = 530 * MIB


def make(folder, parts=None):
    """Creates tree and plan below `folder`, with all parts or some. Returns the path of the plan."""
    tree = os.path.join(folder, "tree")
    os.makedirs(tree)
    for part in parts or (sizes, directories, links, names):
        part(os.path.join(tree, part.__name__))
    plan = os.path.join(folder, "plan.json")
    with open(plan, "w", encoding="utf-8") as file:
        json.dump(described(sizes in (parts or (sizes,))), file, indent=1)
    return plan


def described(owned):
    """The plan: the tree, and entries that a tree on this machine may not support."""
    xattr = lambda length: base64.b64encode(b"v" * length).decode()
    special = {
        "/special/console": {"type": "character", "major": 5, "minor": 1, "mode": "0600"},
        "/special/disk": {"type": "block", "major": 259, "minor": 300, "mode": "0660", "gid": 6},
        "/special/queue": {"type": "fifo", "mode": "0622", "uid": 70000, "gid": 80000},
        "/special/setuid": {"type": "file", "text": "not really\n", "mode": "4755"},
        "/special/sticky": {"type": "directory", "mode": "1777"},
        # In the inode, and more than fits into it.
        "/special/attribute": {"type": "file", "text": "one\n", "xattrs": {"user.small": xattr(10)}},
        "/special/attributes": {"type": "file", "text": "many\n", "xattrs": {f"user.{n:03}": xattr(n) for n in range(50)}},
    }
    return {
        "version": 1,
        "trees": [{"source": "tree", "target": "/"}],
        "entries": special,
        "attributes": {"/sizes": {"uid": 1000, "gid": 100, "recursive": True}} if owned else {},
        "filesystem": {"label": "MIXED", "freeSpace": "16MiB", "freeInodes": 1024, "growTo": "1TiB", "timestamp": 1_000_000_000},
    }


def write(path, data=b"", size=None):
    with open(path, "wb") as file:
        file.write(data)
        file.truncate(len(data) if size is None else size)


def sizes(folder):
    """Files around the size of a block, some with random bytes, one with more extents than fit into an inode."""
    os.mkdir(folder)
    draw = random.Random(7)
    for size in (0, 1, 4095, 4096, 4097, 8193, 70_000, MIB - 1, 3 * MIB + 5):
        write(os.path.join(folder, f"{size}"), draw.randbytes(size))
    # Every block differs from every other.
    with open(os.path.join(folder, "five-extents"), "wb") as file:
        for part in range(FIVE_EXTENTS // MIB):
            file.write(b"".join(b"%08d" % (part * 256 + block) + bytes(4088) for block in range(256)))
        file.write(b"end")


def directories(folder):
    """One block, an index of one level, an index of two (long names fill leaves quickly), and depth."""
    os.mkdir(folder)
    for name, count, length in (("empty", 0, 0), ("one-block", 100, 4), ("one-level", 3000, 12), ("two-levels", 8200, 250)):
        os.mkdir(os.path.join(folder, name))
        for number in range(count):
            write(os.path.join(folder, name, f"{number:0{length}}"), b"%d" % number if number % 50 == 0 else b"")
    deep = os.path.join(folder, "deep")
    # The Sleuth Kit confuses paths of more than 24 parts.
    for level in range(20):
        deep = os.path.join(deep, f"{level}")
    os.makedirs(deep)
    write(os.path.join(deep, "bottom"), b"bottom\n")


def links(folder):
    """Symlinks in the inode and in blocks, to existing and missing targets; hard links."""
    os.mkdir(folder)
    write(os.path.join(folder, "target"), b"the target\n")
    os.mkdir(os.path.join(folder, "folder"))
    write(os.path.join(folder, "folder", "inside"), b"inside\n")
    for name, target in (
        ("relative", "target"), ("upwards", "../links/folder/inside"), ("absolute", "/links/target"), ("to-folder", "folder"),
        ("nowhere", "no/such/name"), *((f"{length}-bytes", "." + "/" * (length - 7) + "target") for length in (59, 60, 61, 1000)),
        ("4095-bytes", ("x/" * 2048)[:4095]),
    ):
        os.symlink(target, os.path.join(folder, name))
    for number in range(200):
        os.link(os.path.join(folder, "target"), os.path.join(folder, f"hard-{number:03}"))


def names(folder):
    """Bytes that are not UTF-8, spaces, quotes, characters that are special for shells and listings, the longest name."""
    os.mkdir(folder)
    folder = os.fsencode(folder)
    for name in (
        b"with space", b" leading", b"quote\"'`", b"back\\slash", b"-dash", b"*?[]", b"{}$%~#!&;|<>", "grün-日本語-🙂".encode(),
        b"n" * 255, b"latin-\xe9", b"\xff\xfe\x80", b"new\nline", b"tab\tand\x01control",
    ):
        write(os.path.join(folder, name), b"content of " + name)
