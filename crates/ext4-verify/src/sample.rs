//! File systems without checksums, of a few blocks that are not zero, for tests of single checks.

use std::collections::BTreeMap;
use std::io;

use crate::checksum::Crc;
use crate::claims::Claims;
use crate::context::InodeContext;
use crate::geometry::{BLOCK, BLOCK_BYTES, Geometry};
use crate::image::Image;
use crate::inode::Inode;
use crate::numbers::{to_u64, to_usize};
use crate::paths::Where;
use crate::problem::Findings;
use crate::source::Source;
use crate::superblock::Superblock;

/// How many blocks the file system has.
pub(crate) const BLOCKS: u64 = 1 << 20;

/// Blocks that are not zero.
#[derive(Default)]
pub(crate) struct Blocks(pub(crate) BTreeMap<u64, Vec<u8>>);

impl Source for Blocks {
    fn length(&self) -> u64 {
        BLOCKS * BLOCK
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        for (at, byte) in (offset..).zip(buffer) {
            let block = self.0.get(&(at / BLOCK));
            *byte = block.and_then(|block| block.get(to_usize(at % BLOCK))).copied().unwrap_or(0);
        }
        Ok(())
    }
}

/// What is known of a file system of this geometry; the superblock itself is zero.
pub(crate) fn superblock(geometry: Geometry) -> Superblock {
    Superblock {
        geometry,
        raw: vec![0; 1024],
        seed: Crc::start(false),
        hash_seed: [1, 2, 3, 4],
        signed_hash: true,
        has_journal: false,
        has_resize_inode: false,
    }
}

/// An inode, and the blocks around it.
#[derive(Default)]
pub(crate) struct Sample {
    fields: Vec<(usize, Vec<u8>)>,
    blocks: Blocks,
}

impl Sample {
    /// An inode of this mode and size, with these bytes in the place of its block map.
    pub(crate) fn new(mode: u16, size: u64, map: &[u8]) -> Self {
        let [low, high] = [size, size >> 32].map(|half| half.to_le_bytes()[..4].to_vec());
        let fields = vec![(0, mode.to_le_bytes().to_vec()), (0x04, low), (0x6c, high), (0x28, map.to_vec())];
        Self { fields, blocks: Blocks::default() }
    }

    /// The same with other bytes at a place of the inode.
    pub(crate) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.fields.push((at, bytes.to_vec()));
        self
    }

    /// The same with the bytes of a block.
    pub(crate) fn block(mut self, number: u64, bytes: &[u8]) -> Self {
        assert!(bytes.len() <= BLOCK_BYTES);
        self.blocks.0.insert(number, bytes.to_vec());
        self
    }

    /// Runs a check. Gives its result, and the codes of the problems in the order in which they were found.
    pub(crate) fn check<T>(&self, check: impl FnOnce(&mut InodeContext<'_>) -> T) -> (T, Vec<&'static str>) {
        let (result, findings) = self.findings(check);
        (result, findings.problems.iter().map(|problem| problem.code.name()).collect())
    }

    /// The same with the problems themselves.
    pub(crate) fn findings<T>(&self, check: impl FnOnce(&mut InodeContext<'_>) -> T) -> (T, Findings) {
        let mut raw = vec![0; 256];
        for (at, bytes) in &self.fields {
            raw[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        let geometry = Geometry::new(BLOCKS, 1024, 0, true).unwrap();
        let sb = superblock(geometry);
        let (image, inode) = (Image::new(&self.blocks, sb), Inode::parse(12, raw, Crc::start(false)));
        let (mut claims, mut findings) = (Claims::new(geometry), Findings::default());
        let mut cx = InodeContext {
            image: &image,
            claims: &mut claims,
            findings: &mut findings,
            inode: &inode,
            at: Where::of_inode(12),
        };
        let result = check(&mut cx);
        assert_eq!(to_u64(findings.problems.len()), findings.counts.values().sum(), "all of them are kept");
        (result, findings)
    }
}
