//! A map of the blocks that a copy of an image needs, with their digests, for bmaptool (version 2.0 of its format).
//! bmaptool writes only these blocks to a device and checks their digests.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{Observer, to_u64, to_usize};

/// Block size of the format, in \[bytes\].
const BLOCK: u64 = 4096;
/// Zeros to hash.
static ZEROS: [u8; 4096] = [0; 4096];

/// A block map. As an [`Observer`], it hashes the blocks of its image.
#[derive(Debug)]
pub struct BlockMap {
    len: u64,
    ranges: Vec<Range>,
    /// Offset of the next bytes in the image.
    at: u64,
    /// Index of the range that contains them, or the next range after them.
    current: usize,
    hash: Sha256,
}

/// Consecutive blocks.
#[derive(Debug)]
struct Range {
    first: u64,
    count: u64,
    digest: [u8; 32],
}

impl BlockMap {
    /// Creates the map of an image of `len` \[bytes\]. `ranges` are the first block and the number of blocks of each range,
    /// ascending.
    #[must_use]
    pub fn new(len: u64, ranges: Vec<(u64, u64)>) -> Self {
        let ranges = ranges.into_iter().map(|(first, count)| Range { first, count, digest: [0; 32] });
        Self { len, ranges: ranges.collect(), at: 0, current: 0, hash: Sha256::new() }
    }

    /// Block size of the format, in \[bytes\].
    #[must_use]
    pub fn block() -> u64 {
        BLOCK
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(range) = self.ranges.get(self.current) else { return };
            let (start, end) = (range.first * BLOCK, ((range.first + range.count) * BLOCK).min(self.len));
            let before = start.saturating_sub(self.at).min(to_u64(bytes.len()));
            self.at += before;
            bytes = &bytes[to_usize(before)..];
            let inside = (end - self.at).min(to_u64(bytes.len()));
            if self.at >= start {
                let (here, later) = bytes.split_at(to_usize(inside));
                self.hash.update(here);
                self.at += inside;
                bytes = later;
            }
            if self.at >= end {
                let digest = self.hash.finalize_reset().into();
                if let Some(range) = self.ranges.get_mut(self.current) {
                    range.digest = digest;
                }
                self.current += 1;
            }
        }
    }

    fn add_zeros(&mut self, len: u64) {
        let mut left = len;
        while left > 0 {
            let Some(range) = self.ranges.get(self.current) else { return };
            let start = range.first * BLOCK;
            // Between ranges there is nothing to hash.
            let skipped = start.saturating_sub(self.at).min(left);
            self.at += skipped;
            left -= skipped;
            let now = left.min(to_u64(ZEROS.len()));
            self.add(&ZEROS[..to_usize(now)]);
            left -= now;
        }
    }

    /// The text of the map. Its digests are complete after the last byte of the image.
    #[must_use]
    pub fn text(&self) -> String {
        const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
        let blocks = self.len.div_ceil(BLOCK);
        let mapped: u64 = self.ranges.iter().map(|range| range.count).sum();
        let mut text = format!(
            "<?xml version=\"1.0\" ?>\n\
             <bmap version=\"2.0\">\n\
             \x20   <ImageSize> {} </ImageSize>\n\
             \x20   <BlockSize> {BLOCK} </BlockSize>\n\
             \x20   <BlocksCount> {blocks} </BlocksCount>\n\
             \x20   <MappedBlocksCount> {mapped} </MappedBlocksCount>\n\
             \x20   <ChecksumType> sha256 </ChecksumType>\n\
             \x20   <BmapFileChecksum> {NOTHING} </BmapFileChecksum>\n\
             \x20   <BlockMap>\n",
            self.len
        );
        for range in &self.ranges {
            let last = range.first + range.count - 1;
            let blocks =
                if last == range.first { format!("{last}") } else { format!("{}-{last}", range.first) };
            let _ =
                writeln!(text, "        <Range chksum=\"{}\"> {blocks} </Range>", hexadecimal(&range.digest));
        }
        text.push_str("    </BlockMap>\n</bmap>\n");
        // The digest of the map is computed with zeros in its own place.
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        text.replacen(NOTHING, &hexadecimal(&digest), 1)
    }
}

impl Observer for BlockMap {
    fn bytes(&mut self, bytes: &[u8]) {
        self.add(bytes);
    }

    fn zeros(&mut self, len: u64) {
        self.add_zeros(len);
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_the_digests_of_their_bytes_however_these_come() {
        let mut image = vec![0_u8; 10 * 4096 + 100];
        image[4096..3 * 4096].fill(1);
        image[10 * 4096..].fill(2);
        let expected =
            [&image[4096..3 * 4096], &image[10 * 4096..]].map(|bytes| hexadecimal(&Sha256::digest(bytes)));
        for step in [1, 100, 4096, 5000, image.len()] {
            let mut map = BlockMap::new(to_u64(image.len()), vec![(1, 2), (10, 1)]);
            for part in image.chunks(step) {
                if part.iter().all(|byte| *byte == 0) {
                    map.zeros(to_u64(part.len()));
                } else {
                    map.bytes(part);
                }
            }
            let text = map.text();
            let found: Vec<_> = text.lines().filter(|line| line.contains("<Range")).map(str::trim).collect();
            let range = |digest: &str, blocks: &str| format!("<Range chksum=\"{digest}\"> {blocks} </Range>");
            assert_eq!(found, [range(&expected[0], "1-2"), range(&expected[1], "10")], "{step}");
            assert!(
                text.contains("<BlocksCount> 11 </BlocksCount>") && text.contains("<MappedBlocksCount> 3 <"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_range_may_begin_the_image_and_have_zeros_in_it() {
        let mut image = vec![0_u8; 3 * 4096 + 100];
        image[5000..5100].fill(1);
        image[3 * 4096..].fill(2);
        let mut map = BlockMap::new(to_u64(image.len()), vec![(0, 2), (3, 1)]);
        map.zeros(5000);
        map.bytes(&image[5000..5100]);
        map.zeros(3 * 4096 - 5100);
        map.bytes(&image[3 * 4096..]);
        let digests: Vec<_> = map.ranges.iter().map(|range| hexadecimal(&range.digest)).collect();
        let expected = [&image[..8192], &image[3 * 4096..]].map(|bytes| hexadecimal(&Sha256::digest(bytes)));
        assert_eq!(digests, expected);
        assert_eq!(BlockMap::block(), 4096);
    }

    #[test]
    fn zeros_between_ranges_cost_nothing_however_many_they_are() {
        let mut map = BlockMap::new((1 << 50) + 4096, vec![(1 << 38, 1)]);
        map.zeros(1 << 50);
        map.bytes(&[3; 4096]);
        map.zeros(1 << 50);
        assert_eq!(map.ranges[0].digest, <[u8; 32]>::from(Sha256::digest([3; 4096])));
    }

    #[test]
    fn the_map_has_its_own_digest() {
        assert_eq!(hexadecimal(&[0x0f, 0xa0]), "0fa0");
        let text = BlockMap::new(5, vec![(0, 1)]).text();
        let (before, after) = text.split_once("<BmapFileChecksum> ").unwrap();
        let (digest, after) = after.split_at(64);
        let hashed = format!("{before}<BmapFileChecksum> {}{after}", "0".repeat(64));
        assert_eq!(digest, hexadecimal(&Sha256::digest(hashed)));
    }
}
