"""Checks for growth and repair: reserved descriptor blocks, copies of superblock and descriptors."""

import struct

from ext4_reader import RO_COMPAT_METADATA_CSUM, SUPERBLOCK_OFFSET, crc32c, parse_superblock

RESIZE_INODE = 7
# i_size of the resize inode: the maximum that direct, indirect and double indirect blocks can map.
RESIZE_SIZE = (1024 * 1024 + 1024 + 12) * 4096
# Fields in which copies of the superblock may differ from the primary: state, own group, checksum.
COPY_DIFFERS = {*range(0x3A, 0x3C), *range(0x5A, 0x5C), *range(0x3FC, 0x400)}


def resize_inode(image):
    """Checks all pointers of the resize inode. e2fsck follows only the first quarter of them."""
    reserved, gdt = image.reserved_gdt, image.gdt_blocks
    inode = image.inode(RESIZE_INODE)
    if not reserved:
        return used_up(image, inode)
    problems = []
    wanted = {
        "mode": (0o100600, inode.mode), "links": (1, inode.links), "flags": (0, inode.flags),
        "size": (RESIZE_SIZE, inode.size), "sectors": (8 * (1 + reserved * (1 + len(image.backups))), inode.sectors),
    }
    problems += [f"resize inode: {k}: expected {e}, found {f}" for k, (e, f) in wanted.items() if e != f]
    pointers = struct.unpack("<15I", inode.block)
    double = pointers[13]
    if [p for i, p in enumerate(pointers) if i != 13 and p]:
        problems.append(f"resize inode: has other blocks than its double indirect one: {pointers}")
    if not 0 < double < image.blocks:
        return [*problems, f"resize inode: double indirect block {double} is outside the file system"]
    entries = [0] * 1024
    for k in range(reserved):
        entries[(gdt + k) % 1024] = 1 + gdt + k
    found = struct.unpack("<1024I", image.block_run(double))
    problems += [
        f"resize inode: double indirect entry {i}: expected {e}, found {f}"
        for i, (e, f) in enumerate(zip(entries, found)) if e != f
    ]
    raw = image.block_run(1 + gdt, reserved)
    for k in range(reserved):
        first = 1 + gdt + k
        wanted = [first + group * image.per_group for group in image.backups]
        wanted += [0] * (1024 - len(wanted))
        found = struct.unpack_from("<1024I", raw, k * 4096)
        problems += [
            f"resize inode: reserved block {first}, entry {j}: expected {e}, found {f}"
            for j, (e, f) in enumerate(zip(wanted, found)) if e != f
        ]
    for group in image.backups:
        if any(image.block_run(group * image.per_group + 1 + gdt, reserved)):
            problems.append(f"resize inode: a reserved block in backup group {group} is not zero")
    return problems


def used_up(image, inode):
    """Without a reserve, from the start or after growth, the inode may keep an empty double indirect block."""
    pointers = struct.unpack("<15I", inode.block)
    if not any(pointers):
        return []
    if any(p for i, p in enumerate(pointers) if i != 13) or any(image.block_run(pointers[13])):
        return ["resize inode: maps blocks although none are reserved"]
    return []


def backups(image):
    """Compares the copies of superblock and descriptors with the primary, byte by byte."""
    problems = []
    descriptors = image.block_run(1, image.gdt_blocks)
    for group in image.backups:
        if image.group_blocks(group) < image.super_area(group):
            problems.append(f"group {group}: too short for its copies")
            continue
        start = group * image.per_group
        block = image.block_run(start)
        copy, rest = block[:1024], block[1024:]
        different = [i for i in range(1024) if copy[i] != image.superblock_raw[i] and i not in COPY_DIFFERS]
        if different:
            problems.append(f"group {group}: superblock copy differs at 0x{different[0]:x} ({len(different)} bytes)")
        fields = parse_superblock(copy)
        if fields["block_group_nr"] != group & 0xFFFF or fields["state"] not in (0, 1):
            problems.append(f"group {group}: superblock copy: group {fields['block_group_nr']}, state {fields['state']}")
        has_checksum = fields["feature_ro_compat"] & RO_COMPAT_METADATA_CSUM
        if fields["checksum"] != (crc32c(0xFFFFFFFF, copy[:0x3FC]) if has_checksum else 0):
            problems.append(f"group {group}: superblock copy: wrong checksum")
        if any(rest):
            problems.append(f"group {group}: bytes after the superblock copy are not zero")
        if image.block_run(start + 1, image.gdt_blocks) != descriptors:
            problems.append(f"group {group}: descriptor copy differs from the primary")
    first = image.read(0, 4096)
    if any(first[:SUPERBLOCK_OFFSET]) or any(first[2048:]):
        problems.append("block 0: bytes around the superblock are not zero")
    return problems
