//! FAT12, FAT16 and FAT32, read as Microsoft's FAT specification (fatgen103) lays them out.

mod boot;
mod directory;

use std::sync::OnceLock;

use crate::bytes::{Bytes, to_u64};
use crate::file_system::{Contents, Entry, Kind, Node, Place, Run, Time, Usage};
use crate::{ReadError, Window};
use boot::Boot;
pub(crate) use boot::{has_table, seems_to_be};

/// The most of a directory in \[bytes\]: 65,536 entries of 32.
const LARGEST_DIRECTORY: u64 = 65_536 * 32;
/// How much of a table is read at once in \[bytes\]: whole entries of 12, 16 and 32 bits.
const PAGE: u64 = 12 << 10;

/// A FAT file system.
#[derive(Debug)]
pub struct Fat {
    window: Window,
    boot: Boot,
    free: OnceLock<u64>,
}

/// What a directory knows of a file.
#[derive(Clone, Debug)]
pub(crate) struct FatEntry {
    pub(crate) directory: bool,
    pub(crate) read_only: bool,
    /// The first cluster; 0 for an empty file and for the fixed root directory.
    pub(crate) cluster: u32,
    pub(crate) size: u64,
    pub(crate) modified: Time,
}

/// Reads entries of the table, a page at a time.
struct Table<'a> {
    fat: &'a Fat,
    page: Vec<u8>,
    at: u64,
}

impl Fat {
    /// Reads the boot sector.
    pub fn open(window: Window) -> Result<Self, ReadError> {
        let boot = Boot::read(&window)?;
        let fat = Self { window, boot, free: OnceLock::new() };
        // Counted now, as what can't be counted can't be read.
        let free = fat.count_free()?;
        let _ = fat.free.set(free);
        Ok(fat)
    }

    /// The volume's label: that of the root directory, else that of the boot sector; padding is removed.
    pub fn label(&self) -> Vec<u8> {
        let found = self.directory_bytes(&self.root()).ok().and_then(|bytes| directory::label(&bytes));
        found.unwrap_or_else(|| self.boot.label.clone())
    }

    /// The volume's serial number.
    pub fn id(&self) -> u32 {
        self.boot.id
    }

    /// 12, 16 or 32.
    pub fn bits(&self) -> u32 {
        self.boot.bits
    }

    /// What someone who reads it should know.
    pub fn warnings(&self) -> &[String] {
        &self.boot.warnings
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage { bytes: self.boot.bytes, free: self.free.get().copied().unwrap_or(0), inodes: None }
    }

    pub(crate) fn root(&self) -> Node {
        let cluster = self.boot.root_cluster.unwrap_or(0);
        let entry =
            FatEntry { directory: true, read_only: false, cluster, size: 0, modified: Time::default() };
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
            return Err(ReadError::damaged("file", "is of another file system"));
        };
        if entry.directory && entry.cluster == 0 {
            // The root of FAT12 and FAT16 has a place of its own, and `..` of its directories refers to it by 0.
            let (from, length) = self.boot.fixed_root;
            return Ok(Contents::Runs(vec![Run { at: 0, length, from }]));
        }
        let most = if entry.directory { LARGEST_DIRECTORY } else { entry.size };
        let runs = self.chain(entry.cluster, most, entry.directory)?;
        Ok(Contents::Runs(runs))
    }

    pub(crate) fn entries(&self, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        Ok(directory::entries(&self.directory_bytes(directory)?, self.boot.bits))
    }

    fn directory_bytes(&self, directory: &Node) -> Result<Vec<u8>, ReadError> {
        let Contents::Runs(runs) = self.contents(directory)? else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        for run in runs {
            let part = run.length.min(LARGEST_DIRECTORY - to_u64(bytes.len()).min(LARGEST_DIRECTORY));
            let found = self.window.bytes(run.from, part);
            bytes.extend(found.map_err(|error| ReadError::io("directory", error))?);
        }
        Ok(bytes)
    }

    /// The runs of a chain of clusters, until it ends or `most` \[bytes\] are found. A chain can't have more clusters
    /// than there are, so it ends.
    fn chain(&self, first: u32, most: u64, to_end: bool) -> Result<Vec<Run>, ReadError> {
        let place = || format!("cluster {first}");
        let size = self.boot.cluster_size;
        let mut table = Table { fat: self, page: Vec::new(), at: u64::MAX };
        let mut runs: Vec<Run> = Vec::new();
        let (mut cluster, mut at, mut number) = (first, 0_u64, 0_u64);
        while at < most {
            let Some(from) = self.boot.offset_of(cluster) else {
                return Err(ReadError::damaged(place(), format!("its chain leads to cluster {cluster}")));
            };
            if number >= self.boot.clusters {
                return Err(ReadError::damaged(place(), "its chain has no end"));
            }
            match runs.last_mut() {
                Some(last) if last.from + last.length == from => last.length += size,
                _ => runs.push(Run { at, length: size, from }),
            }
            number += 1;
            at = at.saturating_add(size);
            let next = table.entry(cluster)?;
            if self.boot.is_end(next) {
                if at < most && !to_end {
                    return Err(ReadError::damaged(place(), "its chain is shorter than the file"));
                }
                break;
            }
            if to_end && at >= most {
                return Err(ReadError::damaged(place(), "a directory of more than 65,536 entries"));
            }
            cluster = next;
        }
        Ok(runs)
    }

    fn count_free(&self) -> Result<u64, ReadError> {
        let mut table = Table { fat: self, page: Vec::new(), at: u64::MAX };
        let mut free = 0;
        for index in 0..self.boot.clusters {
            let cluster = u32::try_from(index + 2).unwrap_or(u32::MAX);
            free += u64::from(table.entry(cluster)? == 0);
        }
        Ok(free * self.boot.cluster_size)
    }
}

impl Table<'_> {
    fn entry(&mut self, cluster: u32) -> Result<u32, ReadError> {
        let (index, bits) = (u64::from(cluster), self.fat.boot.bits);
        let offset = index * u64::from(bits) / 8;
        let page = offset / PAGE * PAGE;
        if page != self.at {
            // A page has whole entries, of 12 bits too: two of those are three bytes.
            let length = PAGE.min(self.fat.boot.table_bytes.saturating_sub(page));
            let found = self.fat.window.bytes(self.fat.boot.table + page, length);
            self.page = found.map_err(|error| ReadError::io("file allocation table", error))?;
            self.at = page;
        }
        let at = usize::try_from(offset - page).unwrap_or(usize::MAX);
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
