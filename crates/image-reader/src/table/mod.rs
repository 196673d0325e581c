//! Reads partition tables.

mod gpt;
mod mbr;
mod types;

use image_tree::Uuid;

use crate::bytes::Bytes;
use crate::{ReadError, Window};

/// The kind of a table and what identifies the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Master boot record, with the disk's signature.
    Mbr(u32),
    /// A GUID partition table with the disk's GUID.
    Gpt(Uuid),
}

/// The type of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// The byte in a master boot record.
    Mbr(u8),
    /// The GUID of a GUID partition table.
    Gpt(Uuid),
}

/// A partition in a table. Offsets and lengths are in \[bytes\].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number, from 1.
    pub number: u32,
    /// Offset.
    pub start: u64,
    /// Length.
    pub size: u64,
    /// Type.
    pub kind: PartitionType,
    /// Whether the firmware of PCs boots it.
    pub bootable: bool,
    /// Name in a GUID partition table.
    pub name: String,
    /// Its GUID on a GUID partition table.
    pub guid: Option<Uuid>,
}

/// A partition table.
#[derive(Clone, Debug)]
pub struct PartitionTable {
    /// Kind of table.
    pub kind: TableKind,
    /// Start and end of the space for partitions, in \[bytes\].
    pub usable: (u64, u64),
    /// Partitions, in the order of their numbers.
    pub partitions: Vec<Partition>,
    /// Sector size in \[bytes\]: 512 or 4096.
    pub sector_size: u64,
    /// Problems.
    pub warnings: Vec<String>,
    /// Whether the disk is longer than the table expects, for example if an image was written to a longer device.
    pub is_longer: bool,
}

impl PartitionTable {
    /// Reads the table of a disk; `None` if there is none.
    pub fn read(disk: &Window) -> Result<Option<Self>, ReadError> {
        let mut table = match gpt::read(disk)? {
            Some(mut table) => {
                if !mbr::is_protective(disk)? {
                    table.warnings.push("it has no protective MBR, so systems ignore it".to_owned());
                }
                table
            }
            None => match mbr::read(disk)? {
                Some(table) => table,
                None => return Ok(None),
            },
        };
        let beyond = table.partitions.iter().filter_map(|partition| {
            let beyond = partition.start.saturating_add(partition.size).saturating_sub(disk.length());
            let number = partition.number;
            (beyond > 0).then(|| format!("partition {number} ends {beyond} bytes after the end of the image"))
        });
        let beyond = few(beyond, "more end after the end of the image");
        table.warnings.extend(beyond);
        // An extended partition contains logical ones.
        let holds_files = |partition: &&Partition| !partition.kind.is_extended();
        let mut sorted: Vec<_> = table.partitions.iter().filter(holds_files).collect();
        sorted.sort_by_key(|partition| partition.start);
        let overlaps = sorted.windows(2).filter_map(|pair| match pair {
            [a, b] if a.start.saturating_add(a.size) > b.start => {
                Some(format!("partitions {} and {} overlap", a.number, b.number))
            }
            _ => None,
        });
        let overlaps = few(overlaps, "more pairs overlap");
        table.warnings.extend(overlaps);
        Ok(Some(table))
    }

    /// A note about something unusual that is not a problem.
    pub fn note(&self) -> Option<&'static str> {
        let text = "its backup is not at the end of the disk: the disk is longer than the image that was written to it";
        self.is_longer.then_some(text)
    }
}

impl PartitionType {
    /// The usual name of the type; its number or GUID if it has none.
    pub fn name(&self) -> String {
        types::name(*self).map_or_else(|| self.code(), str::to_owned)
    }

    /// The number or GUID as text.
    pub fn code(&self) -> String {
        match self {
            Self::Mbr(byte) => format!("{byte:02x}"),
            Self::Gpt(guid) => guid.to_string(),
        }
    }

    /// Whether it is an extended partition, which contains logical ones.
    pub(crate) fn is_extended(&self) -> bool {
        matches!(self, Self::Mbr(0x05 | 0x0f | 0x85))
    }

    /// Whether it is a type for Linux root file systems.
    pub(crate) fn is_root(&self) -> bool {
        types::name(*self).is_some_and(|name| name.starts_with("root-") && !is_of_hashes(name))
    }

    /// Whether it is a type for file systems of Linux.
    pub fn is_for_files(&self) -> bool {
        const NAMES: [&str; 6] = ["linux", "home", "srv", "var", "tmp", "user-home"];
        let is_for_files = |name: &str| {
            let is_system = name.starts_with("root-") || name.starts_with("usr-");
            NAMES.contains(&name) || (is_system && !is_of_hashes(name))
        };
        types::name(*self).is_some_and(is_for_files)
    }
}

/// Whether a type's name is that of a hash tree or of its signature.
fn is_of_hashes(name: &str) -> bool {
    name.ends_with("-verity") || name.ends_with("-verity-sig")
}

/// The first of several warnings, and how many more there are.
fn few(warnings: impl Iterator<Item = String>, more: &str) -> Vec<String> {
    const MAX: usize = 10;
    let mut warnings = warnings;
    let mut few: Vec<_> = warnings.by_ref().take(MAX).collect();
    let left = warnings.count();
    few.extend((left > 0).then(|| format!("{left} {more}")));
    few
}

/// Reads a sector; zeros if the disk is shorter.
fn sector(disk: &Window, number: u64, size: u64) -> Result<Vec<u8>, ReadError> {
    let offset = number.saturating_mul(size);
    if offset.saturating_add(size) > disk.length() {
        return Ok(vec![0; image_tree::to_usize(size)]);
    }
    disk.bytes(offset, size).map_err(|error| ReadError::io(format!("sector {number}"), error))
}

/// Whether the first sector has the signature of a boot record.
fn has_boot_signature(sector: &[u8]) -> bool {
    Bytes(sector).le16(0x1fe) == 0xaa55
}
