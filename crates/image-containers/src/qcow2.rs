//! QEMU's format, version 3 (`docs/interop/qcow2.rst` of QEMU), with clusters of 64 KiB, no backing file, no snapshot.
//! All tables stand before the data, and the data in the order of the image: it can be written as a stream.

use image_tree::{Content, Piece, PieceSource, to_usize};

use crate::ContainerError;
use crate::runs::{Cutter, Kind, Run, runs};

/// `cluster_bits`
const CLUSTER_BITS: u32 = 16;
/// In \[bytes\].
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of 8 bytes in a cluster.
const TABLE_ENTRIES: u64 = CLUSTER / 8;
/// Counts of 16 bits in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// `QCOW_OFLAG_COPIED`: nobody else uses what is pointed to.
const COPIED: u64 = 1 << 63;
/// QEMU's limit of the first table, in \[bytes\] (`QCOW_MAX_L1_SIZE`).
const MOST_L1: u64 = 32 << 20;
/// `header_length` of version 3, with its padding.
const HEADER_LENGTH: u32 = 104;

/// An image in QEMU's format.
pub struct Qcow2<'i> {
    image: &'i dyn PieceSource,
    /// Clusters with data, and how many come before each run.
    runs: Vec<(Run, u64)>,
    tables: Tables,
    /// Entries of the first table that have a second one: those with data, ascending.
    second: Vec<u64>,
    data_clusters: u64,
}

/// How many clusters each part has, in their order; the header is the first.
#[derive(Clone, Copy, Debug)]
struct Tables {
    refcount_table: u64,
    refcount_blocks: u64,
    l1: u64,
    /// Entries of the first table.
    l1_entries: u64,
    l2: u64,
}

impl Tables {
    fn refcount_blocks_at(&self) -> u64 {
        1 + self.refcount_table
    }

    fn l1_at(&self) -> u64 {
        self.refcount_blocks_at() + self.refcount_blocks
    }

    fn l2_at(&self) -> u64 {
        self.l1_at() + self.l1
    }

    fn data_at(&self) -> u64 {
        self.l2_at() + self.l2
    }
}

impl<'i> Qcow2<'i> {
    /// Decides where the tables and the data are.
    ///
    /// # Errors
    /// Where the image has an odd length, or is longer than QEMU takes.
    pub fn new(image: &'i dyn PieceSource) -> Result<Self, ContainerError> {
        let len = image.len();
        if !len.is_multiple_of(512) {
            return Err(ContainerError::OddLength { len, block: 512 });
        }
        let l1_entries = len.div_ceil(CLUSTER).div_ceil(TABLE_ENTRIES);
        if l1_entries * 8 > MOST_L1 {
            return Err(ContainerError::TooLong { len, most: MOST_L1 / 8 * TABLE_ENTRIES * CLUSTER });
        }
        let mut data_clusters = 0;
        let with_count = |(run, kind): (Run, Kind)| {
            let before = data_clusters;
            // Clusters without an entry read as zeros.
            let is_data = kind == Kind::Data;
            data_clusters += if is_data { run.count } else { 0 };
            is_data.then_some((run, before))
        };
        let runs: Vec<_> = runs(image, CLUSTER).into_iter().filter_map(with_count).collect();
        let mut second: Vec<u64> = Vec::new();
        for (run, _) in &runs {
            let first = (run.first / TABLE_ENTRIES).max(second.last().map_or(0, |last| last + 1));
            second.extend(first..=(run.end() - 1) / TABLE_ENTRIES);
        }
        let l2 = u64::try_from(second.len()).unwrap_or(u64::MAX);
        let l1 = l1_entries.div_ceil(TABLE_ENTRIES);
        let mut tables = Tables { refcount_table: 1, refcount_blocks: 1, l1, l1_entries, l2 };
        loop {
            let clusters = tables.data_at() + data_clusters;
            let blocks = clusters.div_ceil(COUNTS);
            let table = blocks.div_ceil(TABLE_ENTRIES);
            if (blocks, table) == (tables.refcount_blocks, tables.refcount_table) {
                break;
            }
            // They grow until they count themselves as well.
            tables.refcount_blocks = blocks.max(tables.refcount_blocks);
            tables.refcount_table = table.max(tables.refcount_table);
            if blocks < tables.refcount_blocks {
                break;
            }
        }
        Ok(Self { image, runs, tables, second, data_clusters })
    }

    /// All clusters of the file.
    fn clusters(&self) -> u64 {
        self.tables.data_at() + self.data_clusters
    }

    /// Where a cluster of the image is in the file, in clusters.
    fn place_of(&self, cluster: u64) -> Option<u64> {
        let after = self.runs.partition_point(|(run, _)| run.first <= cluster);
        let (run, before) = self.runs.get(after.checked_sub(1)?)?;
        (cluster < run.end()).then(|| self.tables.data_at() + before + (cluster - run.first))
    }

    fn header(&self) -> Vec<u8> {
        let tables = &self.tables;
        let mut bytes = Vec::from(*b"QFI\xfb");
        let u32s = |bytes: &mut Vec<u8>, numbers: &[u32]| {
            for number in numbers {
                bytes.extend(number.to_be_bytes());
            }
        };
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        // Version; no backing file: its offset, of 8 bytes, and its name's length.
        u32s(&mut bytes, &[3, 0, 0, 0, CLUSTER_BITS]);
        bytes.extend(self.image.len().to_be_bytes());
        // Not encrypted; the first table.
        u32s(&mut bytes, &[0, narrow(tables.l1_entries)]);
        bytes.extend((tables.l1_at() * CLUSTER).to_be_bytes());
        bytes.extend(CLUSTER.to_be_bytes());
        // No snapshots: their number, and the offset of 8 bytes.
        u32s(&mut bytes, &[narrow(tables.refcount_table), 0, 0, 0]);
        // No features: three times 8 bytes. Counts of 2⁴ bits.
        u32s(&mut bytes, &[0, 0, 0, 0, 0, 0, 4, HEADER_LENGTH]);
        // What follows to the end of the header and behind it are zeros: no compression type, no extension.
        bytes
    }

    /// A table of so many entries, of which each is made from its number.
    fn table(&self, cluster: u64, of: impl Fn(&Self, u64) -> Option<u64>, buffer: &mut [u8]) {
        for (entry, number) in buffer.chunks_exact_mut(8).zip(cluster * TABLE_ENTRIES..) {
            let value = of(self, number).unwrap_or(0);
            entry.copy_from_slice(&value.to_be_bytes());
        }
    }

    fn generate_tables(&self, cluster: u64, buffer: &mut [u8]) {
        let tables = self.tables;
        let entry =
            |is_there: bool, cluster: u64, flags: u64| is_there.then_some((cluster * CLUSTER) | flags);
        match cluster {
            0 => {
                for (to, from) in buffer.iter_mut().zip(self.header()) {
                    *to = from;
                }
            }
            at if at < tables.refcount_blocks_at() => self.table(
                at - 1,
                |_, number| entry(number < tables.refcount_blocks, tables.refcount_blocks_at() + number, 0),
                buffer,
            ),
            at if at < tables.l1_at() => {
                let first = (at - tables.refcount_blocks_at()) * COUNTS;
                for (count, number) in buffer.chunks_exact_mut(2).zip(first..) {
                    if number < self.clusters() {
                        count.copy_from_slice(&1_u16.to_be_bytes());
                    }
                }
            }
            at if at < tables.l2_at() => self.table(
                at - tables.l1_at(),
                |image, number| {
                    let place = u64::try_from(image.second.binary_search(&number).ok()?).ok()?;
                    entry(true, tables.l2_at() + place, COPIED)
                },
                buffer,
            ),
            at => {
                // The table of the first-level entry that this is the second table of.
                let Some(table) = self.second.get(to_usize(at - tables.l2_at())) else { return };
                self.table(
                    *table,
                    |image, number| image.place_of(number).and_then(|place| entry(true, place, COPIED)),
                    buffer,
                );
            }
        }
    }
}

impl PieceSource for Qcow2<'_> {
    fn len(&self) -> u64 {
        self.clusters() * CLUSTER
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let data_at = self.tables.data_at();
        let tables = (0..data_at).map(|cluster| Piece {
            offset: cluster * CLUSTER,
            len: CLUSTER,
            content: Content::Metadata,
        });
        let mut cutter = Cutter::of(self.image);
        let data = self
            .runs
            .iter()
            .flat_map(move |(run, before)| cutter.moved(*run, CLUSTER, (data_at + before) * CLUSTER));
        Box::new(tables.chain(data))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let cluster = piece.offset / CLUSTER;
        let Some(data) = cluster.checked_sub(self.tables.data_at()) else {
            return self.generate_tables(cluster, buffer);
        };
        let after = self.runs.partition_point(|(_, before)| *before <= data);
        if let Some((run, before)) = after.checked_sub(1).and_then(|position| self.runs.get(position)) {
            let offset = (run.first + data - before) * CLUSTER + piece.offset % CLUSTER;
            self.image.generate(&Piece { offset, ..*piece }, buffer);
        }
    }
}

impl std::fmt::Debug for Qcow2<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Qcow2 {{ {:?}, {} clusters of data }}", self.tables, to_usize(self.data_clusters))
    }
}

#[cfg(test)]
mod tests {
    use image_tree::NodeId;

    use super::*;

    /// An image of one piece.
    struct Image {
        len: u64,
        content: Content,
    }

    impl PieceSource for Image {
        fn len(&self) -> u64 {
            self.len
        }

        fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
            Box::new(std::iter::once(Piece { offset: 0, len: self.len, content: self.content }))
        }

        fn generate(&self, _: &Piece, _: &mut [u8]) {}
    }

    fn data(clusters: u64) -> Image {
        let content = Content::File { file: NodeId::ROOT.into(), offset: 0 };
        Image { len: clusters * CLUSTER, content }
    }

    /// 32,760 clusters of data and their tables fill one refcount block; one cluster more needs a second block. 2^28
    /// clusters need more refcount blocks than one cluster of the refcount table has entries.
    #[test]
    fn every_cluster_has_a_refcount() {
        for (clusters, blocks, table) in
            [(1, 1, 1), (32_759, 1, 1), (32_760, 1, 1), (32_761, 2, 1), (65_000, 2, 1), (1 << 28, 8194, 2)]
        {
            let image = data(clusters);
            let container = Qcow2::new(&image).unwrap();
            let tables = container.tables;
            assert_eq!((tables.refcount_blocks, tables.refcount_table), (blocks, table), "{clusters}");
            assert!(tables.refcount_blocks * COUNTS >= container.clusters(), "{clusters}");
            assert!(tables.refcount_table * TABLE_ENTRIES >= tables.refcount_blocks, "{clusters}");
        }
    }

    #[test]
    fn refcounts_are_one_for_every_cluster_of_the_file_and_zero_behind() {
        let image = data(40_000);
        let container = Qcow2::new(&image).unwrap();
        let cluster = |number: u64| {
            let mut bytes = vec![0; to_usize(CLUSTER)];
            let piece = Piece { offset: number * CLUSTER, len: CLUSTER, content: Content::Metadata };
            container.generate(&piece, &mut bytes);
            bytes
        };
        let table = cluster(1);
        let entries: Vec<_> =
            table.chunks_exact(8).map(|entry| u64::from_be_bytes(entry.try_into().unwrap())).collect();
        assert_eq!(entries[..3], [2 * CLUSTER, 3 * CLUSTER, 0]);
        let counts = [cluster(2), cluster(3)].concat();
        let used = counts.chunks_exact(2).take_while(|count| *count == [0, 1]).count();
        assert_eq!(u64::try_from(used).unwrap(), container.clusters());
        assert!(counts[2 * used..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn images_as_long_as_qemu_takes_are_accepted_and_longer_ones_refused() {
        let most = 1 << 51;
        let empty = |len| Image { len, content: Content::Zeros };
        assert_eq!(Qcow2::new(&empty(most)).unwrap().tables.l1_entries * 8, MOST_L1);
        assert_eq!(
            Qcow2::new(&empty(most + 512)).unwrap_err(),
            ContainerError::TooLong { len: most + 512, most }
        );
        assert_eq!(Qcow2::new(&empty(513)).unwrap_err(), ContainerError::OddLength { len: 513, block: 512 });
    }
}
