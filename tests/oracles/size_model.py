"""An independent computation of the smallest ext4 geometry, to compare with the program's solver.

4096-byte blocks, 256-byte inodes, group descriptors of 64 bytes (32 without 64bit), flex groups of 16, sparse_super, resize_inode.
"""

from ext4_reader import has_backup

BLOCK = 4096
PER_GROUP = 32768
INODES_PER_BLOCK = BLOCK // 256
MAX_RESERVED_GDT = 1024
# With more, the inode tables of a flex group would not fit into its first group.
MAX_INODES_PER_GROUP = 32640
FLEX = 16
# Fewer blocks than its key: a journal of so many blocks (e2fsprogs, ext2fs_default_journal_size).
JOURNAL_TIERS = {
    2048: 0, 32768: 1024, 262144: 4096, 524288: 8192, 4194304: 16384, 8388608: 32768, 16777216: 65536, 33554432: 131072,
}


def ceil(number, unit):
    return -(-number // unit)


def journal_blocks(blocks):
    return next((journal for below, journal in JOURNAL_TIERS.items() if blocks < below), 262144)


def backups(groups):
    return sum(map(has_backup, range(1, groups)))


def overhead(groups, inodes_per_group, gdt, reserved_gdt, journal):
    """Blocks of superblocks, descriptors, bitmaps, inode tables and journal: s_overhead_clusters."""
    tables = 2 + ceil(inodes_per_group, INODES_PER_BLOCK)
    return (1 + backups(groups)) * (1 + gdt + reserved_gdt) + groups * tables + journal


def reserved_gdt_blocks(groups, grow_to, per_block):
    """The number of descriptor blocks that growth up to `grow_to` bytes needs in addition to those in use."""
    target = ceil(ceil(grow_to, BLOCK), PER_GROUP)
    return max(0, min(MAX_RESERVED_GDT, ceil(target, per_block) - ceil(groups, per_block)))


def smallest_tail(groups, inodes_per_group, gdt, reserved_gdt):
    """The minimum number of blocks of the last group: for its copies, and its tables if it is the first of a flex group."""
    last = groups - 1
    tail = 1
    if last and has_backup(last):
        tail = 1 + gdt + reserved_gdt + 1
    if last and last % FLEX == 0:
        tail = max(tail, 2 + inodes_per_group // INODES_PER_BLOCK + (tail if tail > 1 else 0))
    return tail


def smallest(inodes_used, data_blocks, free_blocks, free_inodes, grow_to, bytes_per_inode=16384, journal=None,
             descriptor_size=64):
    """The smallest geometry as a dictionary. `data_blocks` is the number of blocks of files, directories (including the root and
    lost+found), slow symlinks, extent nodes and xattrs; `inodes_used` includes the reserved inodes."""
    floor = min(ceil(PER_GROUP * BLOCK, bytes_per_inode), MAX_INODES_PER_GROUP)
    groups, per_block = 0, BLOCK // descriptor_size
    while True:
        groups += 1
        inodes_per_group = ceil(max(floor, ceil(inodes_used + free_inodes, groups)), INODES_PER_BLOCK) * INODES_PER_BLOCK
        if inodes_per_group > MAX_INODES_PER_GROUP:
            continue
        gdt = ceil(groups, per_block)
        reserved = reserved_gdt_blocks(groups, grow_to or 0, per_block)
        length = journal if journal is not None else 1024
        for _ in range(8):
            need = overhead(groups, inodes_per_group, gdt, reserved, length) + (reserved > 0) + data_blocks + free_blocks
            if journal is not None or journal_blocks(need) == length:
                break
            length = journal_blocks(need)
        if need > groups * PER_GROUP:
            continue
        tail = smallest_tail(groups, inodes_per_group, gdt, reserved)
        return {
            "blocks": max(need, (groups - 1) * PER_GROUP + tail), "inodes": groups * inodes_per_group, "groups": groups,
            "inodes_per_group": inodes_per_group, "gdt": gdt, "reserved_gdt": reserved, "journal": length,
        }
