//! Reads FAT12, FAT16 and FAT32, by Microsoft's FAT specification (fatgen103).

mod boot;
mod directory;

use image_tree::to_u64;

use crate::bytes::Bytes;
use crate::file_system::{Contents, Entry, Kind, Node, Place, Run, Target, Time, Usage};
use crate::work::Work;
use crate::{ReadError, Window};
use boot::Boot;
#[cfg(test)]
pub(crate) use boot::tests::Fields;
pub(crate) use boot::{has_table, seems_to_be};

/// Maximum size of a directory in \[bytes\]: 65,536 entries of 32.
const MAX_DIRECTORY: u64 = 65_536 * 32;
/// Read size for a FAT in \[bytes\]: whole entries of 12, 16 and 32 bits. Small, because chains may jump.
const PAGE: u64 = 768;
/// Read size for counting free clusters in \[bytes\]; also whole entries.
const COUNT_PAGE: u64 = 96 << 10;
/// Maximum number of runs of a file. Each takes 24 bytes of memory.
const MAX_RUNS: usize = 1 << 22;

/// Cost of a step along a chain in \[bytes\]: more than its FAT entry, because a page may be read for it.
const STEP: u64 = 64;
/// Maximum image length for the limit of reading FATs, in \[bytes\]. They are read with holes, up to 64 GiB for all volumes.
const MAX_TABLES: u64 = 4 << 30;
/// Name of the FAT in messages.
const TABLE: &str = "file allocation table";

/// The limit for reading the FATs and root directories of all volumes of an image of this length in \[bytes\].
pub(crate) fn work(length: u64) -> Work {
    Work::of(length.min(MAX_TABLES))
}

/// A FAT file system.
#[derive(Debug)]
pub struct Fat {
    window: Window,
    boot: Boot,
    /// Free space in \[bytes\].
    free: u64,
    /// Limit for reading the FAT.
    work: Work,
    /// Maximum number of runs of a file.
    max_runs: usize,
}

/// A file's data in its directory entry.
#[derive(Clone, Debug)]
pub(crate) struct FatEntry {
    pub(crate) directory: bool,
    pub(crate) read_only: bool,
    /// First cluster; 0 for an empty file and for a root directory outside of clusters.
    pub(crate) cluster: u32,
    pub(crate) size: u64,
    pub(crate) modified: Time,
    /// Offset of the entry of the short name: first in the directory, then in the volume, in \[bytes\].
    pub(crate) at: u64,
}

/// Where the structures of a FAT file system are. Offsets are in the volume; offsets and lengths are in \[bytes\].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatPlaces {
    /// The length of a sector.
    pub sector: u64,
    /// The reserved sectors, which begin the volume.
    pub reserved: u64,
    /// The allocation tables.
    pub tables: Vec<u64>,
    /// The length of a table.
    pub table_bytes: u64,
    /// The first cluster, which has number 2.
    pub data: u64,
    /// The length of a cluster.
    pub cluster: u64,
    /// Number of clusters.
    pub clusters: u64,
}

/// Reads FAT entries, a page at a time.
struct Table<'a> {
    fat: &'a Fat,
    page: Vec<u8>,
    at: u64,
}

impl Fat {
    /// Reads the boot sector, and counts free clusters.
    pub fn open(window: Window) -> Result<Self, ReadError> {
        let work = work(window.length());
        Self::open_counted(window, &work)
    }

    /// Opens one of several volumes of an image, which share the limit for tables and root directories.
    pub(crate) fn open_counted(window: Window, image: &Work) -> Result<Self, ReadError> {
        let boot = Boot::read(&window)?;
        let used = boot.used_table().ok_or_else(|| ReadError::damaged(TABLE, "is too long"))?;
        image.spend(TABLE, used.saturating_add(MAX_DIRECTORY.min(window.length())))?;
        // Each step reads an entry of more than a byte.
        let steps = boot.clusters.min(window.stored());
        let work = Work::of(steps.saturating_mul(STEP));
        let mut fat = Self { window, boot, free: 0, work, max_runs: MAX_RUNS };
        // Counted now, so that an unreadable FAT is an error here.
        fat.free = fat.count_free(used)?;
        Ok(fat)
    }

    /// Volume label without padding: that of the root directory, else that of the boot sector.
    pub fn label(&self) -> Vec<u8> {
        let found = self.directory_bytes(&self.root()).ok().and_then(|bytes| directory::label(&bytes));
        found.unwrap_or_else(|| self.boot.label.clone())
    }

    /// Volume serial number.
    pub fn id(&self) -> u32 {
        self.boot.id
    }

    /// Width of a FAT entry in bits: 12, 16 or 32.
    pub fn bits(&self) -> u32 {
        self.boot.bits
    }

    /// Warnings for readers of the files.
    pub fn warnings(&self) -> &[String] {
        &self.boot.warnings
    }

    /// The bytes of the file system.
    pub fn volume(&self) -> &Window {
        &self.window
    }

    /// Free space in \[bytes\].
    pub fn free(&self) -> u64 {
        self.free
    }

    /// Where its structures are.
    pub fn places(&self) -> FatPlaces {
        let boot = &self.boot;
        let tables = (0..u64::from(boot.tables))
            .map(|number| boot.table.saturating_add(number.saturating_mul(boot.table_bytes)));
        FatPlaces {
            sector: boot.sector,
            reserved: boot.table,
            tables: tables.collect(),
            table_bytes: boot.table_bytes,
            data: boot.data,
            cluster: boot.cluster_size,
            clusters: boot.clusters,
        }
    }

    /// Offset of the directory entry of a node in the volume, in \[bytes\]; `None` for the root.
    pub fn entry_offset(&self, node: &Node) -> Option<u64> {
        match &node.place {
            Place::Fat(entry) if entry.at > 0 => Some(entry.at),
            _ => None,
        }
    }

    /// The first cluster of a node; 0 if it has none.
    pub fn first_cluster(&self, node: &Node) -> u32 {
        match &node.place {
            Place::Fat(entry) => entry.cluster,
            Place::Inode { .. } => 0,
        }
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage { bytes: self.boot.bytes, free: self.free, inodes: None }
    }

    pub(crate) fn root(&self) -> Node {
        let cluster = self.boot.root_cluster.unwrap_or(0);
        let entry = FatEntry {
            directory: true,
            read_only: false,
            cluster,
            size: 0,
            modified: Time::default(),
            at: 0,
        };
        Self::node(&entry)
    }

    pub(crate) fn node(entry: &FatEntry) -> Node {
        Node {
            kind: if entry.directory { Kind::Directory } else { Kind::File },
            size: entry.size,
            mode: if entry.read_only { 0o555 } else { 0o755 },
            uid: 0,
            gid: 0,
            links: 1,
            modified: entry.modified,
            inode: None,
            place: Place::Fat(entry.clone()),
        }
    }

    pub(crate) fn contents(&self, node: &Node) -> Result<Contents, ReadError> {
        let Place::Fat(entry) = &node.place else {
            return Err(ReadError::damaged("file", "belongs to another file system"));
        };
        if entry.directory && entry.cluster == 0 {
            // The root of FAT12 and FAT16 is outside of clusters; `..` entries refer to it by 0.
            let (from, length) = self.boot.fixed_root;
            return Ok(Contents::Runs(vec![Run { at: 0, length, from }]));
        }
        let most = if entry.directory { MAX_DIRECTORY } else { entry.size };
        let runs = self.chain(entry.cluster, most, entry.directory)?;
        Ok(Contents::Runs(runs))
    }

    pub(crate) fn entries(&self, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        let (mut entries, errors) = directory::entries(&self.directory_bytes(directory)?, self.boot.bits);
        let Contents::Runs(runs) = self.contents(directory)? else {
            panic!("invariant: FAT stores contents in clusters");
        };
        for entry in &mut entries {
            if let Target::Fat(found) = &mut entry.target {
                let at = found.at;
                let run = runs.iter().find(|run| at >= run.at && at < run.at.saturating_add(run.length));
                found.at = run.map_or(0, |run| run.from.saturating_add(at.saturating_sub(run.at)));
            }
        }
        Ok((entries, errors))
    }

    fn directory_bytes(&self, directory: &Node) -> Result<Vec<u8>, ReadError> {
        let Contents::Runs(runs) = self.contents(directory)? else {
            panic!("invariant: FAT stores contents in clusters");
        };
        let mut bytes = Vec::new();
        for run in runs {
            let part = run.length.min(MAX_DIRECTORY.saturating_sub(to_u64(bytes.len())));
            let found = self.window.bytes(run.from, part);
            bytes.extend(found.map_err(|error| ReadError::io("directory", error))?);
        }
        Ok(bytes)
    }

    /// The runs of a cluster chain, until it ends or has `most` \[bytes\]. A chain can't have more clusters than the file
    /// system, so this terminates.
    fn chain(&self, first: u32, most: u64, to_end: bool) -> Result<Vec<Run>, ReadError> {
        let place = || format!("cluster {first}");
        let size = self.boot.cluster_size;
        let mut table = Table { fat: self, page: Vec::new(), at: u64::MAX };
        let mut runs: Vec<Run> = Vec::new();
        let (mut cluster, mut at, mut number) = (first, 0_u64, 0_u64);
        while at < most {
            let Some(from) = self.boot.offset_of(cluster) else {
                return Err(ReadError::damaged(
                    place(),
                    format!("its cluster chain has the invalid cluster {cluster}"),
                ));
            };
            if number >= self.boot.clusters {
                return Err(ReadError::damaged(place(), "its cluster chain has no end"));
            }
            self.work.spend(TABLE, STEP)?;
            let is_full = runs.len() == self.max_runs;
            match runs.last_mut() {
                Some(last) if last.from.saturating_add(last.length) == from => {
                    last.length = last.length.saturating_add(size);
                }
                _ if is_full => {
                    let what = format!("has more than {} extents", self.max_runs);
                    return Err(ReadError::unsupported(place(), what, ""));
                }
                _ => runs.push(Run { at, length: size, from }),
            }
            number = number.saturating_add(1);
            at = at.saturating_add(size);
            let next = table.entry(cluster)?;
            if self.boot.is_end(next) {
                if at < most && !to_end {
                    return Err(ReadError::damaged(place(), "its cluster chain is shorter than the file"));
                }
                break;
            }
            if to_end && at >= most {
                return Err(ReadError::damaged(place(), "the directory has more than 65,536 entries"));
            }
            cluster = next;
        }
        Ok(runs)
    }

    /// Counts free \[bytes\] by the entries in the first `used` \[bytes\] of the FAT. The first two entries don't belong to clusters.
    fn count_free(&self, used: u64) -> Result<u64, ReadError> {
        let mut free = 0_u64;
        let mut at = 0_u64;
        let mut passed = 0_u64;
        while at < used {
            let length = COUNT_PAGE.min(used.saturating_sub(at));
            let found = self.window.bytes(self.boot.table.saturating_add(at), length);
            let bytes = found.map_err(|error| ReadError::io(TABLE, error))?;
            let (mut entries, first) = (0_u64, passed);
            let is_counted = |number: u64| number >= 2 && number.saturating_sub(2) < self.boot.clusters;
            each_entry(&bytes, self.boot.bits, |entry| {
                free =
                    free.saturating_add(u64::from(entry == 0 && is_counted(first.saturating_add(entries))));
                entries = entries.saturating_add(1);
            });
            passed = passed.saturating_add(entries);
            at = at.saturating_add(length);
        }
        Ok(free.saturating_mul(self.boot.cluster_size))
    }
}

/// Calls a function for the entries in a part of a FAT. The last byte of FAT12 may be missing.
fn each_entry(bytes: &[u8], bits: u32, mut take: impl FnMut(u32)) {
    match bits {
        12 => bytes.chunks(3).map(Bytes).for_each(|pair| {
            take(u32::from(pair.le16(0) & 0xfff));
            take(u32::from(pair.byte(2)) << 4 | u32::from(pair.byte(1) >> 4));
        }),
        16 => bytes.chunks(2).for_each(|entry| take(Bytes(entry).le16(0).into())),
        // The upper four bits are reserved.
        _ => bytes.chunks(4).for_each(|entry| take(Bytes(entry).le32(0) & 0x0fff_ffff)),
    }
}

impl Table<'_> {
    fn entry(&mut self, cluster: u32) -> Result<u32, ReadError> {
        let (index, bits) = (u64::from(cluster), self.fat.boot.bits);
        let offset = index.saturating_mul(bits.into()) / 8;
        let page = offset.saturating_sub(offset % PAGE);
        if page != self.at {
            // A page has whole entries, also of 12 bits: two of these have three bytes.
            let length = PAGE.min(self.fat.boot.table_bytes.saturating_sub(page));
            let found = self.fat.window.bytes(self.fat.boot.table.saturating_add(page), length);
            self.page = found.map_err(|error| ReadError::io(TABLE, error))?;
            self.at = page;
        }
        let at = usize::try_from(offset.saturating_sub(page)).unwrap_or(usize::MAX);
        let bytes = Bytes(&self.page);
        Ok(match bits {
            12 if index % 2 == 1 => u32::from(bytes.le16(at) >> 4),
            12 => u32::from(bytes.le16(at) & 0xfff),
            16 => bytes.le16(at).into(),
            // The upper four bits are reserved.
            _ => bytes.le32(at) & 0x0fff_ffff,
        })
    }
}

#[cfg(test)]
mod tests;
