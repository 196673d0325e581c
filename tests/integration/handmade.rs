//! Makes images by hand, in which a test can choose every number.

use std::io::Write;
use std::path::Path;

/// The size of a block in \[bytes\].
pub(crate) const BLOCK: usize = 1024;
/// The size of an inode in \[bytes\].
const INODE: usize = 256;
/// Where the inode table is, in blocks.
const TABLE: usize = 5;
/// Inodes of the one group.
const INODES: usize = 96;

/// A small ext4 of blocks of 1 KiB, without checksums.
pub(crate) struct Ext4 {
    pub(crate) bytes: Vec<u8>,
    next: usize,
}

/// An extent: the block of the file where it begins, how many blocks it has, the block where they are.
pub(crate) type Extent = (u32, u16, u64);

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn low(number: u64) -> [u8; 4] {
    u32::try_from(number & 0xffff_ffff).unwrap().to_le_bytes()
}

fn high(number: u64) -> [u8; 4] {
    low(number >> 32)
}

impl Ext4 {
    /// A file system that claims to have `blocks` blocks.
    pub(crate) fn of_blocks(blocks: u64) -> Self {
        let next = TABLE + INODES * INODE / BLOCK;
        let mut bytes = vec![0; next * BLOCK];
        let fields: [(usize, &[u8]); 13] = [
            (0x00, &u32::try_from(INODES).unwrap().to_le_bytes()),
            (0x04, &low(blocks)),
            (0x14, &[1]),
            (0x20, &8192_u32.to_le_bytes()),
            (0x28, &u32::try_from(INODES).unwrap().to_le_bytes()),
            (0x38, &0xef53_u16.to_le_bytes()),
            (0x3a, &[1]),
            (0x4c, &[1]),
            (0x54, &[11]),
            (0x58, &u16::try_from(INODE).unwrap().to_le_bytes()),
            // File types, extents, 64 bits.
            (0x60, &[0xc2]),
            (0xfe, &[64]),
            (0x150, &high(blocks)),
        ];
        for (at, value) in fields {
            put(&mut bytes, 1024 + at, value);
        }
        put(&mut bytes, 2048 + 8, &[u8::try_from(TABLE).unwrap()]);
        Self { bytes, next }
    }

    /// Puts contents into new blocks, and returns the first one.
    pub(crate) fn blocks(&mut self, contents: &[u8]) -> u64 {
        let first = self.next;
        self.next += contents.len().div_ceil(BLOCK);
        self.bytes.resize(self.next * BLOCK, 0);
        put(&mut self.bytes, first * BLOCK, contents);
        u64::try_from(first).unwrap()
    }

    /// Where a byte of an inode is.
    pub(crate) fn inode_at(number: usize) -> usize {
        TABLE * BLOCK + (number - 1) * INODE
    }

    /// Makes an inode.
    pub(crate) fn inode(&mut self, number: usize, mode: u16, size: u64, links: u16, map: &[u8]) {
        let at = Self::inode_at(number);
        for (field, value) in [
            (0x00, &mode.to_le_bytes()[..]),
            (0x04, &low(size)),
            (0x1a, &links.to_le_bytes()),
            // Extents.
            (0x20, &0x8_0000_u32.to_le_bytes()),
            (0x28, map),
            (0x6c, &high(size)),
        ] {
            put(&mut self.bytes, at + field, value);
        }
    }

    /// A directory of these entries in as many blocks as they need.
    pub(crate) fn directory(&mut self, number: usize, parent: u32, entries: &[(u32, Vec<u8>)]) {
        let own = u32::try_from(number).unwrap();
        let all: Vec<_> =
            [(own, b".".to_vec()), (parent, b"..".to_vec())].iter().chain(entries).cloned().collect();
        let blocks: Vec<u8> = all.chunks(BLOCK / 20).flat_map(block_of_entries).collect();
        let count = u16::try_from(blocks.len() / BLOCK).unwrap();
        let first = self.blocks(&blocks);
        let map = self.tree(&[(0, count, first)]);
        self.inode(number, 0o40_755, u64::try_from(blocks.len()).unwrap(), 2, &map);
    }

    /// The root of a tree of extents, the rest of which is put into blocks.
    pub(crate) fn tree(&mut self, extents: &[Extent]) -> Vec<u8> {
        let mut level: Vec<(u32, Vec<u8>)> = extents.iter().map(|extent| (extent.0, leaf(*extent))).collect();
        let mut depth = 0;
        while level.len() > 4 {
            let nodes: Vec<_> = level.chunks(84).map(|part| (part[0].0, node(part, depth, 84))).collect();
            level = nodes
                .into_iter()
                .map(|(first, node)| {
                    let block = self.blocks(&node);
                    (first, [&first.to_le_bytes()[..], &low(block), &high(block)].concat())
                })
                .collect();
            depth += 1;
        }
        node(&level, depth, 4)
    }

    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, &self.bytes).unwrap();
    }
}

fn leaf((logical, length, block): Extent) -> Vec<u8> {
    let upper = &high(block)[..2];
    [&logical.to_le_bytes()[..], &length.to_le_bytes(), upper, &low(block)].concat()
}

fn node(entries: &[(u32, Vec<u8>)], depth: u16, most: u16) -> Vec<u8> {
    let head = [0xf30a, u16::try_from(entries.len()).unwrap(), most, depth, 0, 0];
    let head = head.into_iter().flat_map(u16::to_le_bytes);
    head.chain(entries.iter().flat_map(|(_, raw)| raw.iter().copied())).collect()
}

fn block_of_entries(entries: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (index, (inode, name)) in entries.iter().enumerate() {
        let used = (8 + name.len()).next_multiple_of(4);
        let length = if index + 1 == entries.len() { BLOCK - block.len() } else { used };
        block.extend(inode.to_le_bytes());
        block.extend(u16::try_from(length).unwrap().to_le_bytes());
        block.extend([u8::try_from(name.len()).unwrap(), 0]);
        block.extend(name);
        block.resize(block.len() - 8 - name.len() + length, 0);
    }
    block
}

/// The boot sector of a FAT32 of so many clusters of one sector, whose table begins after so many sectors.
pub(crate) fn fat32(clusters: u32, reserved: u16) -> Vec<u8> {
    let table = (clusters + 2) * 4 / 512 + 1;
    let mut sector = vec![0; 512];
    for (at, value) in [
        (0, &b"\xeb\x58\x90mkfs.fat"[..]),
        (11, &512_u16.to_le_bytes()),
        (13, &[1]),
        (14, &reserved.to_le_bytes()),
        (16, &[1]),
        (21, &[0xf8]),
        (32, &(clusters + u32::from(reserved) + table).to_le_bytes()),
        (36, &table.to_le_bytes()),
        (44, &[2]),
        (510, &[0x55, 0xaa]),
    ] {
        put(&mut sector, at, value);
    }
    sector
}

/// A FAT32 whose root directory has these entries: a name of eleven bytes, attributes, first cluster, length. The table says
/// of each cluster by `next` which one follows it.
pub(crate) fn fat32_with(
    clusters: u32,
    root: &[([u8; 11], u8, u32, u32)],
    next: impl Fn(u32) -> u32,
) -> Vec<u8> {
    let mut bytes = fat32(clusters, 32);
    let table = (clusters + 2) * 4 / 512 + 1;
    bytes.resize(32 * 512, 0);
    bytes.extend((0..clusters + 2).flat_map(|cluster| next(cluster).to_le_bytes()));
    bytes.resize(usize::try_from(32 + table).unwrap() * 512, 0);
    for (name, attributes, cluster, length) in root {
        let mut entry = [0; 32];
        put(&mut entry, 0, name);
        entry[11] = *attributes;
        put(&mut entry, 20, &cluster.to_le_bytes()[2..]);
        put(&mut entry, 26, &cluster.to_le_bytes()[..2]);
        put(&mut entry, 28, &length.to_le_bytes());
        bytes.extend(entry);
    }
    bytes.resize(usize::try_from(32 + table + clusters).unwrap() * 512, 0);
    bytes
}

/// A disk with a GPT of these partitions, as (first, last) sector of 512 bytes; contents as (sector, bytes).
pub(crate) fn gpt(path: &Path, sectors: u64, partitions: &[(u64, u64)], contents: &[(u64, Vec<u8>)]) {
    let kind = *b"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4";
    let entries: Vec<u8> = (1_u64..)
        .zip(partitions)
        .flat_map(|(number, (first, last))| {
            let mut entry = vec![0; 128];
            put(&mut entry, 0, &kind);
            put(&mut entry, 16, &number.to_le_bytes());
            put(&mut entry, 32, &first.to_le_bytes());
            put(&mut entry, 40, &last.to_le_bytes());
            entry
        })
        .collect();
    let (end, room) = (sectors - 1, u64::try_from(entries.len().div_ceil(512)).unwrap());
    let header = |own: u64, other: u64, array: u64| {
        let mut header = vec![0; 92];
        put(&mut header, 0, b"EFI PART\0\0\x01\0\x5c");
        for (at, value) in
            [(24, own), (32, other), (40, 2 + room), (48, end - room - 1), (56, 7), (72, array)]
        {
            put(&mut header, at, &value.to_le_bytes());
        }
        put(&mut header, 80, &u32::try_from(partitions.len()).unwrap().to_le_bytes());
        put(&mut header, 84, &128_u32.to_le_bytes());
        put(&mut header, 88, &crc32fast::hash(&entries).to_le_bytes());
        let sum = crc32fast::hash(&header).to_le_bytes();
        put(&mut header, 16, &sum);
        header
    };
    let mut protective = vec![0; 512];
    put(&mut protective, 446, &[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0]);
    put(&mut protective, 458, &u32::try_from(end).unwrap().to_le_bytes());
    put(&mut protective, 510, &[0x55, 0xaa]);
    let mut file = std::fs::File::create(path).unwrap();
    file.set_len(sectors * 512).unwrap();
    let own = [
        (0, protective),
        (1, header(1, end, 2)),
        (2, entries.clone()),
        (end - room, entries.clone()),
        (end, header(end, 1, end - room)),
    ];
    for (sector, bytes) in own.iter().chain(contents) {
        write_at(&mut file, sector * 512, bytes);
    }
}

pub(crate) fn write_at(file: &mut std::fs::File, at: u64, bytes: &[u8]) {
    use std::io::Seek;
    file.seek(std::io::SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}
