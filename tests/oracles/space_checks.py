"""Checks the free counts of every group, and that every unused byte is zero."""

import os
import stat

from ext4_reader import BLOCK_UNINIT, INODE_EXTENTS, INODE_UNINIT, ITABLE_ZEROED, Inode, bits, clear_runs

JOURNAL_INODE = 8


class Zeros:
    """Reads only data of the image file, because holes are zero."""

    def __init__(self, image):
        self.image = image

    def violated(self, offset, length):
        """The first byte offset of the range that is not zero, or None."""
        at, end = offset, offset + length
        while at < end:
            try:
                at = os.lseek(self.image.fd, at, os.SEEK_DATA)
            except OSError:
                return None
            if at >= end:
                return None
            hole = min(end, os.lseek(self.image.fd, at, os.SEEK_HOLE), at + (1 << 20))
            data = self.image.read(at, hole - at)
            if data.count(0) != len(data):
                return at + next(i for i, byte in enumerate(data) if byte)
            at = hole
        return None


def counts(image):
    """Compares the free counts of every group with its bitmaps, and their sums with the superblock."""
    problems = []
    free_blocks = free_inodes = 0
    for group in image.groups:
        n = group.number
        length = image.group_blocks(n)
        free = length - (image.block_bitmap(n) & ((1 << length) - 1)).bit_count()
        unused = image.inodes_per_group - image.inode_bitmap(n).bit_count()
        free_blocks += free
        free_inodes += unused
        if group.free_blocks != free:
            problems.append(f"group {n}: says {group.free_blocks} free blocks, its bitmap has {free}")
        if group.free_inodes != unused:
            problems.append(f"group {n}: says {group.free_inodes} free inodes, its bitmap has {unused}")
        highest = image.inode_bitmap(n).bit_length()
        # Only checksums of the descriptors give this field a meaning; they come with 64bit here.
        expected = image.inodes_per_group - highest if image.descriptor_size == 64 else 0
        if group.itable_unused != expected:
            problems.append(f"group {n}: itable_unused {group.itable_unused}, the last inode in use is {highest}")
        if not group.flags & ITABLE_ZEROED:
            problems.append(f"group {n}: ITABLE_ZEROED is not set, so the first boot would write the table anew")
        if bool(group.flags & INODE_UNINIT) != (highest == 0):
            problems.append(f"group {n}: INODE_UNINIT does not fit its {highest} inodes")
        if n == image.group_count - 1 and group.flags & BLOCK_UNINIT:
            problems.append(f"group {n}: BLOCK_UNINIT on the last group")
    if image.free_blocks != free_blocks:
        problems.append(f"superblock: {image.free_blocks} free blocks, the groups have {free_blocks}")
    if image.superblock["free_inodes_count"] != free_inodes:
        problems.append(f"superblock: {image.superblock['free_inodes_count']} free inodes, the groups have {free_inodes}")
    return problems


def unused_is_zero(image):
    """Free blocks, unused inodes, the empty journal, unwritten bitmaps, and the rest of the last block of files."""
    zeros = Zeros(image)
    problems = []

    def check(what, offset, length):
        at = zeros.violated(offset, length)
        if at is not None:
            problems.append(f"{what}: byte {at} of the image is not zero")

    for group in image.groups:
        n = group.number
        for start, length in clear_runs(image.block_bitmap(n), image.group_blocks(n)):
            check(f"free blocks of group {n}", (n * image.per_group + start) * 4096, length * 4096)
        for start, length in clear_runs(image.inode_bitmap(n), image.inodes_per_group):
            check(f"unused inodes of group {n}", group.inode_table * 4096 + start * 256, length * 256)
        if group.flags & BLOCK_UNINIT:
            check(f"uninitialised block bitmap of group {n}", group.block_bitmap * 4096, 4096)
        if group.flags & INODE_UNINIT:
            check(f"uninitialised inode bitmap of group {n}", group.inode_bitmap * 4096, 4096)
    tail = image.blocks * 4096
    check("after the file system's end", tail, max(0, image.length - tail))
    for inode in used_inodes(image):
        extents = image.extents(inode)[0] if inode.flags & INODE_EXTENTS else []
        if inode.number == JOURNAL_INODE:
            for logical, length, start in extents:
                skip = 1 if logical == 0 else 0
                check("the empty journal", (start + skip) * 4096, (length - skip) * 4096)
        elif inode.size % 4096 and extents and not stat.S_ISDIR(inode.mode):
            logical, length, start = extents[-1]
            end = start * 4096 + inode.size - logical * 4096
            check(f"after the end of inode {inode.number}", end, (start + length) * 4096 - end)
    return problems


def used_inodes(image):
    """Each inode in use, in order. Reads the table of a group at once."""
    for group in image.groups:
        bitmap = image.inode_bitmap(group.number)
        if not bitmap:
            continue
        table = image.read(group.inode_table * 4096, bitmap.bit_length() * 256)
        for index in bits(bitmap, image.inodes_per_group):
            yield Inode(
                group.number * image.inodes_per_group + index + 1, table[index * 256 : index * 256 + 256]
            )


def fragments(image):
    """The number of files and directories by their number of extents. Some boot loaders support at most 4."""
    counted = {}
    for inode in used_inodes(image):
        if inode.flags & INODE_EXTENTS:
            extents = len(image.extents(inode)[0])
            counted[extents] = counted.get(extents, 0) + 1
    return counted
