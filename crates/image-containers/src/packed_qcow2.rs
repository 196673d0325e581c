//! QEMU's format qcow2 with compressed clusters (`docs/interop/qcow2.rst` of QEMU): clusters of 64 KiB, each compressed by
//! itself with deflate or zstd. Compressed clusters follow one another without gaps. All tables come after the clusters that
//! they list, so the file can be written in one pass, except its header.

use std::io;

use image_tree::{PackedBlock, PackedFile, PackedFormat, narrow, to_u64, to_usize};

use crate::ContainerError;
use crate::compression::{BlockCompression, Compressor, Wrapper, is_zero};
use crate::qcow2::{CLUSTER, COPIED, Header, TABLE_ENTRIES, check, refcounts};

/// Length of the sectors in which compressed clusters are counted, in \[bytes\].
const SECTOR: u64 = 512;
/// `QCOW_OFLAG_COMPRESSED` of an L2 entry.
const COMPRESSED: u64 = 1 << 62;
/// Number of bits of an L2 entry with the offset of a compressed cluster: 62 - (`cluster_bits` - 8).
const OFFSET_BITS: u32 = 54;

/// An image in QEMU's format, with compressed clusters.
#[derive(Clone, Copy, Debug)]
pub struct PackedQcow2 {
    len: u64,
    compression: BlockCompression,
}

impl PackedQcow2 {
    /// For an image of `len` \[bytes\].
    ///
    /// # Errors
    /// Fails if the length is no multiple of 512, or exceeds QEMU's limit.
    pub fn new(len: u64, compression: BlockCompression) -> Result<Self, ContainerError> {
        check(len)?;
        Ok(Self { len, compression })
    }
}

impl PackedFormat for PackedQcow2 {
    fn image_len(&self) -> u64 {
        self.len
    }

    fn block(&self) -> usize {
        to_usize(CLUSTER)
    }

    fn compress(&self, blocks: &[u8]) -> io::Result<Vec<PackedBlock>> {
        let mut compressor = Compressor::new(self.compression, Wrapper::ShortWindow)?;
        let cluster = |bytes: &[u8]| {
            if is_zero(bytes) {
                return Ok(PackedBlock::Zeros);
            }
            // If the image ends within a cluster, the rest is zeros.
            let mut whole = Vec::new();
            let bytes = if to_u64(bytes.len()) < CLUSTER {
                whole.extend_from_slice(bytes);
                whole.resize(to_usize(CLUSTER), 0);
                whole.as_slice()
            } else {
                bytes
            };
            let compressed = compressor.compress(bytes)?;
            let is_shorter = to_u64(compressed.len()) <= CLUSTER - SECTOR;
            Ok(if is_shorter {
                PackedBlock::Compressed(compressed)
            } else {
                PackedBlock::Plain(bytes.to_vec())
            })
        };
        blocks.chunks(self.block()).map(cluster).collect()
    }

    fn is_patched(&self) -> bool {
        true
    }

    fn begin(&self, output: &mut Vec<u8>) -> Box<dyn PackedFile> {
        // The header comes at the end.
        output.resize(output.len() + to_usize(CLUSTER), 0);
        let l1_entries = self.len.div_ceil(CLUSTER).div_ceil(TABLE_ENTRIES);
        Box::new(File {
            image: *self,
            at: CLUSTER,
            next: 0,
            l2: Vec::new(),
            l1: vec![0; to_usize(l1_entries)],
            refcounts: vec![1],
        })
    }
}

struct File {
    image: PackedQcow2,
    /// The next byte of the file.
    at: u64,
    /// The next cluster of the image.
    next: u64,
    /// The entries of the current L2 table; empty if it has none.
    l2: Vec<u64>,
    l1: Vec<u64>,
    /// The number of uses of each cluster of the file. Several compressed clusters share one.
    refcounts: Vec<u16>,
}

impl File {
    /// Fills the current cluster of the file with zeros.
    fn align(&mut self, output: &mut Vec<u8>) {
        let rest = self.at.next_multiple_of(CLUSTER) - self.at;
        output.resize(output.len() + to_usize(rest), 0);
        self.at += rest;
    }

    /// Counts a use of the clusters between the next byte of the file and `end`.
    fn count(&mut self, end: u64) {
        let (first, last) = (to_usize(self.at / CLUSTER), to_usize((end - 1) / CLUSTER));
        if self.refcounts.len() <= last {
            self.refcounts.resize(last + 1, 0);
        }
        for count in &mut self.refcounts[first..=last] {
            // A compressed cluster has more than 8 bytes, so fewer than 2^13 share a cluster of the file.
            *count += 1;
        }
    }

    /// Appends clusters of the file. Returns the offset of the first one.
    fn clusters(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> u64 {
        self.align(output);
        let offset = self.at;
        for _ in 0..to_u64(bytes.len()).div_ceil(CLUSTER) {
            self.count(self.at + CLUSTER);
            self.at += CLUSTER;
        }
        let end = output.len() + to_usize(self.at - offset);
        output.extend_from_slice(bytes);
        output.resize(end, 0);
        offset
    }

    fn table(&mut self, entries: &[u64], output: &mut Vec<u8>) -> u64 {
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        self.clusters(&bytes, output)
    }

    /// Appends the current L2 table, if it has a cluster.
    fn end_l2(&mut self, output: &mut Vec<u8>) {
        if self.l2.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.l2);
        let offset = self.table(&entries, output);
        let number = to_usize((self.next - 1) / TABLE_ENTRIES);
        *self.l1.get_mut(number).expect("invariant: there is an entry for every L2 table") = offset | COPIED;
    }

    /// Continues after the next `count` clusters of the image, which do not reach beyond the current L2 table.
    fn advance(&mut self, count: u64, output: &mut Vec<u8>) {
        self.next += count;
        if self.next.is_multiple_of(TABLE_ENTRIES) {
            self.end_l2(output);
        }
    }
}

impl PackedFile for File {
    fn block(&mut self, block: &PackedBlock, output: &mut Vec<u8>) -> io::Result<()> {
        let entry = match block {
            PackedBlock::Zeros => return self.zeros(1, output),
            PackedBlock::Plain(bytes) => self.clusters(bytes, output) | COPIED,
            PackedBlock::Compressed(bytes) => {
                let (at, end) = (self.at, self.at + to_u64(bytes.len()));
                if end >> OFFSET_BITS > 0 {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a qcow2 file has at most 16 PiB",
                    ));
                }
                self.count(end);
                output.extend_from_slice(bytes);
                self.at = end;
                // The number of sectors after the first one.
                let more = (end - 1) / SECTOR - at / SECTOR;
                at | more << OFFSET_BITS | COMPRESSED
            }
        };
        self.l2.resize(to_usize(self.next % TABLE_ENTRIES), 0);
        self.l2.push(entry);
        self.advance(1, output);
        Ok(())
    }

    fn zeros(&mut self, count: u64, output: &mut Vec<u8>) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let now = left.min(TABLE_ENTRIES - self.next % TABLE_ENTRIES);
            self.advance(now, output);
            left -= now;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>, output: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        self.end_l2(output);
        let l1 = std::mem::take(&mut self.l1);
        let l1_at = self.table(&l1, output);
        let before = self.at / CLUSTER;
        let (blocks, table) = refcounts(before);
        let mut counts = std::mem::take(&mut self.refcounts);
        counts.resize(to_usize(before + blocks + table), 1);
        let counts: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
        let blocks_at = self.clusters(&counts, output);
        let entries: Vec<u64> = (0..blocks).map(|number| blocks_at + number * CLUSTER).collect();
        let refcount_table_at = self.table(&entries, output);
        let why = "QEMU's limit of the L1 table limits all tables";
        let header = Header {
            len: self.image.len,
            l1_entries: narrow(to_u64(l1.len()), why),
            l1_at,
            refcount_table_at,
            refcount_table_clusters: narrow(table, why),
            is_zstd: matches!(self.image.compression, BlockCompression::Zstd { .. }),
        };
        Ok(header.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(len: u64, at: u64) -> File {
        let image = PackedQcow2::new(len, BlockCompression::Deflate { level: 1 }).unwrap();
        let refcounts = vec![1; to_usize(at / CLUSTER)];
        File { image, at, next: 0, l2: Vec::new(), l1: vec![0], refcounts }
    }

    /// An entry has the offset of a compressed cluster and the number of sectors after its first one.
    #[test]
    fn compressed_clusters_end_in_the_sector_of_their_last_byte() {
        let mut file = file(1 << 20, CLUSTER);
        for (len, offset, more) in [
            (512, 65_536, 0),
            (513, 66_048, 1),
            (511, 66_561, 0),
            (1, 67_072, 0),
            (1023, 67_073, 1),
            (1024, 68_096, 1),
            (1025, 69_120, 2),
        ] {
            file.block(&PackedBlock::Compressed(vec![1; len]), &mut Vec::new()).unwrap();
            assert_eq!(file.l2.last(), Some(&(COMPRESSED | more << 54 | offset)), "{len}");
        }
        assert_eq!(file.refcounts, [1, 7]);
    }

    /// 32,765 clusters, the L1 table, a refcount block and its table fill this block. One more cluster needs a second block.
    #[test]
    fn refcount_blocks_cover_all_clusters() {
        for (clusters, blocks) in [(32_765, 1), (32_766, 2)] {
            let mut output = Vec::new();
            let header = Box::new(file(1 << 20, clusters * CLUSTER)).end(&mut output).unwrap();
            let all = clusters + 1 + blocks + 1;
            assert_eq!(to_u64(output.len()), (all - clusters) * CLUSTER);
            let number = |bytes: &[u8], at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
            assert_eq!(number(&header, 40), clusters * CLUSTER);
            let table = number(&header, 48);
            assert_eq!(table, (all - 1) * CLUSTER);
            let table = &output[to_usize(table - clusters * CLUSTER)..];
            let entries: Vec<u64> = (0..3).map(|at| number(table, at * 8)).collect();
            let place = |block: u64| if block < blocks { (clusters + 1 + block) * CLUSTER } else { 0 };
            assert_eq!(entries, [place(0), place(1), 0]);
            let counts = &output[to_usize(CLUSTER)..to_usize((1 + blocks) * CLUSTER)];
            let used = counts.chunks_exact(2).take_while(|count| *count == [0, 1]).count();
            assert_eq!(to_u64(used), all);
            assert!(counts[2 * used..].iter().all(|byte| *byte == 0));
        }
    }

    /// The offset of a compressed cluster has 54 bits.
    #[test]
    fn a_file_ends_before_16_pib() {
        let at = (1 << OFFSET_BITS) - CLUSTER;
        let mut file = File { at, ..file(1 << 20, CLUSTER) };
        let end = (1 << OFFSET_BITS) - at;
        for len in [end, end + 1] {
            let error =
                file.block(&PackedBlock::Compressed(vec![0; to_usize(len)]), &mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), "a qcow2 file has at most 16 PiB");
        }
    }
}
