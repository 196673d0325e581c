//! Reads images by the rules of the specification, strictly, and knows where everything is.

use fat_layout::{Bits, FatLayout};
use image_tree::{Content, PieceSource};

/// An image without the contents of its files. Lengths and places are in \[bytes\].
pub(crate) struct Volume {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sector: usize,
    pub(crate) reserved: usize,
    /// Length of a file allocation table.
    pub(crate) table: usize,
    /// Length of the root directory of FAT16.
    root: usize,
    pub(crate) cluster: usize,
    /// Number of clusters.
    pub(crate) clusters: usize,
    pub(crate) bits: Bits,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Place of the entry of the short name.
    pub(crate) at: usize,
    pub(crate) attributes: u8,
    pub(crate) first: usize,
    pub(crate) size: usize,
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
}

impl Volume {
    pub(crate) fn of(layout: &FatLayout) -> Self {
        let mut bytes = vec![0; usize::try_from(layout.len()).unwrap()];
        for piece in layout.pieces().filter(|piece| piece.content == Content::Metadata) {
            let at = usize::try_from(piece.offset).unwrap();
            layout.generate(&piece, &mut bytes[at..at + usize::try_from(piece.len).unwrap()]);
        }
        let or = |short: usize, long: usize| if short == 0 { long } else { short };
        let sector = u16_at(&bytes, 11);
        let sectors = or(u16_at(&bytes, 19), u32_at(&bytes, 32));
        let table = or(u16_at(&bytes, 22), u32_at(&bytes, 36)) * sector;
        let (reserved, root) = (u16_at(&bytes, 14) * sector, u16_at(&bytes, 17) * 32);
        let cluster = usize::from(bytes[13]) * sector;
        assert_eq!((bytes[16], &bytes[510..512]), (2, &[0x55, 0xaa][..]));
        let clusters = (sectors * sector - reserved - 2 * table - root) / cluster;
        let bits = if clusters < 65_525 { Bits::Fat16 } else { Bits::Fat32 };
        assert_eq!(root == 0, bits == Bits::Fat32);
        let volume = Self { bytes, sector, reserved, table, root, cluster, clusters, bits };
        let tables = &volume.bytes[reserved..reserved + 2 * table];
        assert!(tables[..table] == tables[table..], "the two tables differ");
        volume
    }

    /// Place of the root directory of FAT16; in FAT32 that of the first cluster.
    pub(crate) fn root_at(&self) -> usize {
        self.reserved + 2 * self.table
    }

    pub(crate) fn cluster_at(&self, cluster: usize) -> usize {
        self.root_at() + self.root + (cluster - 2) * self.cluster
    }

    /// An entry of the file allocation table.
    pub(crate) fn next(&self, cluster: usize) -> usize {
        match self.bits {
            Bits::Fat16 => u16_at(&self.bytes, self.reserved + cluster * 2),
            Bits::Fat32 => u32_at(&self.bytes, self.reserved + cluster * 4),
        }
    }

    /// Place of the first free cluster.
    pub(crate) fn free_at(&self) -> usize {
        let free = (2..self.clusters + 2).find(|cluster| self.next(*cluster) == 0);
        self.cluster_at(free.unwrap_or(self.clusters + 2))
    }

    /// The entry of the last cluster of a file.
    pub(crate) fn end(&self) -> usize {
        if self.bits == Bits::Fat16 { 0xffff } else { 0x0fff_ffff }
    }

    /// The clusters of a file.
    pub(crate) fn chain(&self, first: usize) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut at = first;
        while at != 0 && at != self.end() {
            assert!(at >= 2 && at < self.clusters + 2, "cluster {at}");
            assert!(chain.last().is_none_or(|last| *last < at), "cluster {at} again");
            chain.push(at);
            at = self.next(at);
        }
        assert!(first == 0 || at == self.end(), "the chain from {first} ends with a free cluster");
        chain
    }

    /// The places of all entries of a directory; `first` is 0 for the root.
    fn places(&self, first: usize) -> Vec<usize> {
        let of = |start: usize, len: usize| (start..start + len).step_by(32);
        match (first, self.bits) {
            (0, Bits::Fat16) => of(self.root_at(), self.root).collect(),
            (0, Bits::Fat32) => self.places(u32_at(&self.bytes, 44)),
            _ => self
                .chain(first)
                .into_iter()
                .flat_map(|cluster| of(self.cluster_at(cluster), self.cluster))
                .collect(),
        }
    }

    /// The entries of a directory, also the label, `.` and `..`. Nothing follows the end.
    pub(crate) fn directory(&self, first: usize) -> Vec<Entry> {
        let places = self.places(first);
        let entry = |at: usize| &self.bytes[at..at + 32];
        let used = places.iter().take_while(|at| self.bytes[**at] != 0).count();
        assert!(places[used..].iter().all(|at| entry(*at) == [0; 32]));
        let (mut found, mut long, mut expected) = (Vec::new(), Vec::new(), None);
        for &at in &places[..used] {
            let bytes = entry(at);
            if bytes[11] == 0x0f {
                let units = [&bytes[1..11], &bytes[14..26], &bytes[28..32]].concat();
                let units: Vec<u16> =
                    (0..13).map(|at| u16::from_le_bytes([units[2 * at], units[2 * at + 1]])).collect();
                assert_eq!((bytes[12], &bytes[26..28]), (0, &[0, 0][..]));
                if bytes[0] & 0x40 != 0 {
                    assert_eq!(expected, None);
                    let end = units.iter().position(|unit| *unit == 0).unwrap_or(13);
                    assert!(units.iter().skip(end + 1).all(|unit| *unit == 0xffff), "{units:?}");
                    long = units[..end].to_vec();
                    assert!(!long.is_empty());
                } else {
                    assert_eq!(expected, Some((bytes[0], bytes[13])));
                    long.splice(0..0, units);
                }
                expected = Some(((bytes[0] & 0x3f) - 1, bytes[13]));
                continue;
            }
            let sum = bytes[..11].iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte));
            assert!(expected.is_none_or(|expected| expected == (0, sum)), "{expected:?}");
            let part = |bytes: &[u8], is_lower: bool| {
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                let text = text.trim_end();
                if is_lower { text.to_lowercase() } else { text.to_owned() }
            };
            let (base, extension) =
                (part(&bytes[..8], bytes[12] & 8 != 0), part(&bytes[8..11], bytes[12] & 16 != 0));
            let short = if extension.is_empty() { base } else { format!("{base}.{extension}") };
            let name = if expected.is_some() { String::from_utf16(&long).unwrap() } else { short };
            expected = None;
            let first = u16_at(bytes, 20) << 16 | u16_at(bytes, 26);
            found.push(Entry { name, at, attributes: bytes[11], first, size: u32_at(bytes, 28) });
        }
        assert_eq!(expected, None);
        found
    }

    /// The entry of a path, such as `boot/kernel`.
    pub(crate) fn entry(&self, path: &str) -> Entry {
        let mut first = 0;
        let mut found = None;
        for part in path.split('/') {
            let entry = self.directory(first).into_iter().find(|entry| entry.name == part);
            let entry = entry.unwrap_or_else(|| panic!("no {part} of {path}"));
            first = entry.first;
            found = Some(entry);
        }
        found.unwrap()
    }
}
