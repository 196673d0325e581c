//! QEMU's format qcow2, version 3 (`docs/interop/qcow2.rst` of QEMU), with clusters of 64 KiB, no backing file, no snapshot.
//! All tables come before the data, and the data is in the order of the image, so the file can be written as a stream.

use image_tree::{Content, Piece, PieceSource, narrow, to_u64, to_usize};

use crate::ContainerError;
use crate::runs::{Kind, PieceMover, Run, runs};

/// `cluster_bits`
const CLUSTER_BITS: u32 = 16;
/// Cluster size in \[bytes\].
pub(crate) const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Number of table entries (8 bytes) in a cluster.
pub(crate) const TABLE_ENTRIES: u64 = CLUSTER / 8;
/// Number of refcounts (16 bits) in a cluster.
const REFCOUNTS: u64 = CLUSTER / 2;
/// `QCOW_OFLAG_COPIED`: the refcount of the cluster is exactly one.
pub(crate) const COPIED: u64 = 1 << 63;
/// QEMU's limit of the L1 table, in \[bytes\] (`QCOW_MAX_L1_SIZE`).
const MAX_L1_BYTES: u64 = 32 << 20;
/// `header_length` of version 3, without the compression type.
const HEADER_LENGTH: u32 = 104;
/// `header_length` with the compression type and padding.
const LONG_HEADER_LENGTH: u32 = 112;
/// Incompatible feature: the compression is not deflate.
const OTHER_COMPRESSION: u32 = 1 << 3;

/// Fails if the format does not support an image of `len` \[bytes\].
pub(crate) fn check(len: u64) -> Result<(), ContainerError> {
    if !len.is_multiple_of(512) {
        return Err(ContainerError::OddLength { len, block: 512 });
    }
    if len.div_ceil(CLUSTER).div_ceil(TABLE_ENTRIES) * 8 > MAX_L1_BYTES {
        return Err(ContainerError::TooLong { len, most: MAX_L1_BYTES / 8 * TABLE_ENTRIES * CLUSTER });
    }
    Ok(())
}

/// The number of refcount blocks for a file with this number of other clusters, and the number of clusters of their table.
pub(crate) fn refcounts(others: u64) -> (u64, u64) {
    let (mut blocks, mut table) = (1, 1);
    loop {
        // They must also cover themselves.
        let clusters = others + blocks + table;
        let needed = clusters.div_ceil(REFCOUNTS);
        let needed_table = needed.div_ceil(TABLE_ENTRIES);
        if (needed, needed_table) == (blocks, table) {
            return (blocks, table);
        }
        (blocks, table) = (needed, needed_table);
    }
}

/// The header of a file. Offsets are in \[bytes\].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Length of the image in \[bytes\].
    pub(crate) len: u64,
    pub(crate) l1_entries: u32,
    pub(crate) l1_at: u64,
    pub(crate) refcount_table_at: u64,
    pub(crate) refcount_table_clusters: u32,
    /// Whether compressed clusters are compressed with zstd instead of deflate.
    pub(crate) is_zstd: bool,
}

impl Header {
    /// The header, without the zeros up to the end of its cluster.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::from(*b"QFI\xfb");
        let u32s = |bytes: &mut Vec<u8>, numbers: &[u32]| {
            for number in numbers {
                bytes.extend(number.to_be_bytes());
            }
        };
        // Version, then offset (8 bytes) and name length of the backing file: none. Then the cluster size.
        u32s(&mut bytes, &[3, 0, 0, 0, CLUSTER_BITS]);
        bytes.extend(self.len.to_be_bytes());
        // Not encrypted. Size and offset of the L1 table, then offset of the refcount table.
        u32s(&mut bytes, &[0, self.l1_entries]);
        bytes.extend(self.l1_at.to_be_bytes());
        bytes.extend(self.refcount_table_at.to_be_bytes());
        // Size of the refcount table, then number and offset (8 bytes) of snapshots: none.
        u32s(&mut bytes, &[self.refcount_table_clusters, 0, 0, 0]);
        // Three sets of features (8 bytes each): incompatible, compatible, automatic. Refcounts of 2⁴ bits.
        let (incompatible, length) =
            if self.is_zstd { (OTHER_COMPRESSION, LONG_HEADER_LENGTH) } else { (0, HEADER_LENGTH) };
        u32s(&mut bytes, &[0, incompatible, 0, 0, 0, 0, 4, length]);
        if self.is_zstd {
            // The compression type, then padding.
            bytes.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        }
        // The rest of the cluster is zero: no header extensions.
        bytes
    }
}

/// An image in QEMU's format.
pub struct Qcow2<'i> {
    image: &'i dyn PieceSource,
    /// The runs of data clusters, each with the number of data clusters before it.
    runs: Vec<(Run, u64)>,
    tables: Tables,
    /// Indexes of the L1 entries with an L2 table, which are those with data; ascending.
    l2_tables: Vec<u64>,
    data_clusters: u64,
}

/// The number of clusters of each table, in the order of the file. The header, of one cluster, comes first.
#[derive(Clone, Copy, Debug)]
struct Tables {
    refcount_table: u64,
    refcount_blocks: u64,
    l1: u64,
    /// Number of entries in the L1 table.
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
    /// Lays out the container.
    ///
    /// # Errors
    /// Fails if the image's length is not a multiple of 512, or exceeds QEMU's limit.
    pub fn new(image: &'i dyn PieceSource) -> Result<Self, ContainerError> {
        let len = image.len();
        check(len)?;
        let l1_entries = len.div_ceil(CLUSTER).div_ceil(TABLE_ENTRIES);
        let mut data_clusters = 0;
        let with_count = |(run, kind): (Run, Kind)| {
            let before = data_clusters;
            // Clusters without an L2 entry read as zeros.
            let is_data = kind == Kind::Data;
            data_clusters += if is_data { run.count } else { 0 };
            is_data.then_some((run, before))
        };
        let runs: Vec<_> = runs(image, CLUSTER).into_iter().filter_map(with_count).collect();
        let mut l2_tables: Vec<u64> = Vec::new();
        for (run, _) in &runs {
            let first = (run.first / TABLE_ENTRIES).max(l2_tables.last().map_or(0, |last| last + 1));
            l2_tables.extend(first..=(run.end() - 1) / TABLE_ENTRIES);
        }
        let l2 = to_u64(l2_tables.len());
        let l1 = l1_entries.div_ceil(TABLE_ENTRIES);
        let (refcount_blocks, refcount_table) = refcounts(1 + l1 + l2 + data_clusters);
        let tables = Tables { refcount_table, refcount_blocks, l1, l1_entries, l2 };
        Ok(Self { image, runs, tables, l2_tables, data_clusters })
    }

    /// Number of clusters in the file.
    fn clusters(&self) -> u64 {
        self.tables.data_at() + self.data_clusters
    }

    /// The cluster in the file of a cluster of the image.
    fn cluster_in_file(&self, cluster: u64) -> Option<u64> {
        let after = self.runs.partition_point(|(run, _)| run.first <= cluster);
        let (run, before) = self.runs.get(after.checked_sub(1)?)?;
        (cluster < run.end()).then(|| self.tables.data_at() + before + (cluster - run.first))
    }

    fn header(&self) -> Vec<u8> {
        let tables = &self.tables;
        let narrow = |number: u64| narrow::<u32>(number, "QEMU's limit of the L1 table limits all tables");
        let header = Header {
            len: self.image.len(),
            l1_entries: narrow(tables.l1_entries),
            l1_at: tables.l1_at() * CLUSTER,
            refcount_table_at: CLUSTER,
            refcount_table_clusters: narrow(tables.refcount_table),
            is_zstd: false,
        };
        header.bytes()
    }

    /// Generates cluster `cluster` of a table. `of` returns the value of an entry by its index.
    fn table(&self, cluster: u64, of: impl Fn(&Self, u64) -> Option<u64>, buffer: &mut [u8]) {
        for (entry, number) in buffer.chunks_exact_mut(8).zip(cluster * TABLE_ENTRIES..) {
            // 0: there is no cluster.
            entry.copy_from_slice(&of(self, number).unwrap_or(0).to_be_bytes());
        }
    }

    fn generate_tables(&self, cluster: u64, buffer: &mut [u8]) {
        let tables = self.tables;
        let entry =
            |is_there: bool, cluster: u64, flags: u64| is_there.then_some((cluster * CLUSTER) | flags);
        match cluster {
            0 => {
                let header = self.header();
                buffer[..header.len()].copy_from_slice(&header);
            }
            at if at < tables.refcount_blocks_at() => self.table(
                at - 1,
                |_, number| entry(number < tables.refcount_blocks, tables.refcount_blocks_at() + number, 0),
                buffer,
            ),
            at if at < tables.l1_at() => {
                let first = (at - tables.refcount_blocks_at()) * REFCOUNTS;
                for (count, number) in buffer.chunks_exact_mut(2).zip(first..) {
                    if number < self.clusters() {
                        count.copy_from_slice(&1_u16.to_be_bytes());
                    }
                }
            }
            at if at < tables.l2_at() => self.table(
                at - tables.l1_at(),
                |image, number| {
                    let place = image.l2_tables.binary_search(&number).ok()?;
                    entry(true, tables.l2_at() + to_u64(place), COPIED)
                },
                buffer,
            ),
            at => {
                // The index of the L1 entry that points to this L2 table.
                let table = self.l2_tables.get(to_usize(at - tables.l2_at()));
                self.table(
                    *table.expect("invariant: `tables` counts the L2 tables"),
                    |image, number| {
                        image.cluster_in_file(number).and_then(|place| entry(true, place, COPIED))
                    },
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
        let mut mover = PieceMover::of(self.image);
        let data = self
            .runs
            .iter()
            .flat_map(move |(run, before)| mover.moved(*run, CLUSTER, (data_at + before) * CLUSTER));
        Box::new(tables.chain(data))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let cluster = piece.offset / CLUSTER;
        let Some(data) = cluster.checked_sub(self.tables.data_at()) else {
            return self.generate_tables(cluster, buffer);
        };
        let after = self.runs.partition_point(|(_, before)| *before <= data);
        let run = after.checked_sub(1).and_then(|position| self.runs.get(position));
        let (run, before) = run.expect("invariant: all clusters after the tables are in a run");
        let offset = (run.first + data - before) * CLUSTER + piece.offset % CLUSTER;
        self.image.generate(&Piece { offset, ..*piece }, buffer);
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

    /// An image that is one piece.
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
    fn refcount_blocks_cover_all_clusters() {
        for (clusters, blocks, table) in
            [(1, 1, 1), (32_759, 1, 1), (32_760, 1, 1), (32_761, 2, 1), (65_000, 2, 1), (1 << 28, 8194, 2)]
        {
            let image = data(clusters);
            let container = Qcow2::new(&image).unwrap();
            let tables = container.tables;
            assert_eq!((tables.refcount_blocks, tables.refcount_table), (blocks, table), "{clusters}");
            assert!(tables.refcount_blocks * REFCOUNTS >= container.clusters(), "{clusters}");
            assert!(tables.refcount_table * TABLE_ENTRIES >= tables.refcount_blocks, "{clusters}");
        }
    }

    #[test]
    fn refcounts_are_one_in_the_file_and_zero_after_it() {
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
    fn accepts_images_up_to_qemus_limit() {
        let most = 1 << 51;
        let empty = |len| Image { len, content: Content::Zeros };
        assert_eq!(Qcow2::new(&empty(most)).unwrap().tables.l1_entries * 8, MAX_L1_BYTES);
        assert_eq!(
            Qcow2::new(&empty(most + 512)).unwrap_err(),
            ContainerError::TooLong { len: most + 512, most }
        );
        assert_eq!(Qcow2::new(&empty(513)).unwrap_err(), ContainerError::OddLength { len: 513, block: 512 });
    }
}
