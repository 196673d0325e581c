//! The overview of an image: partition table, partitions, file systems, and gaps.

use std::collections::BTreeMap;

use image_tree::Explain;

use crate::bytes::Bytes;
use crate::work::Work;
use crate::{Ext4, Fat, FileSystem, Image, Partition, PartitionTable, ReadError, Swap, Window, ext4, fat};

/// The overview of an image.
#[derive(Debug)]
pub struct Overview {
    /// The partition table; `None` for a bare file system.
    pub table: Option<PartitionTable>,
    /// The partitions, in the order of their numbers; without a table, the whole image.
    pub volumes: Vec<Volume>,
    /// The space outside of partitions and tables, ascending.
    pub gaps: Vec<Gap>,
}

/// Space outside of partitions, in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Offset.
    pub start: u64,
    /// Length.
    pub size: u64,
}

/// A partition, or an image without a partition table.
#[derive(Debug)]
pub struct Volume {
    /// Its partition; `None` without a table.
    pub partition: Option<Partition>,
    /// Its bytes.
    pub window: Window,
    /// Its content.
    pub content: VolumeContent,
}

/// The content of a volume.
#[derive(Debug)]
pub enum VolumeContent {
    /// A file system that can be read.
    FileSystem(FileSystem),
    /// A file system that can't be read, and why.
    Unreadable(ReadError),
    /// A format that is recognised, but not read.
    Other(&'static str),
    /// Unknown content.
    Unknown,
}

/// Formats that are recognised, but not read: offset and bytes of the magic, name.
const OTHERS: [(u64, &[u8], &str); 12] = [
    (0xff6, b"SWAPSPACE2", "swap"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
    (0, b"XFSB", "xfs"),
    (0, b"hsqs", "squashfs"),
    (0x400, b"\xe2\xe1\xf5\xe0", "erofs"),
    (0x400, b"\x10\x20\xf5\xf2", "f2fs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"verity\0\0", "verity"),
    (0x218, b"LVM2 001", "lvm"),
    (3, b"EXFAT   ", "exfat"),
    (3, b"NTFS    ", "ntfs"),
    (0x8001, b"CD001", "iso9660"),
];

impl Overview {
    /// Reads the overview of an image.
    pub fn read(image: &Image) -> Result<Self, ReadError> {
        let disk = &image.window;
        let Some(table) = PartitionTable::read(disk)? else {
            let content = identify(disk, &Work::of(disk.length().min(fat::MAX_TABLES)));
            let volume = Volume { partition: None, window: disk.clone(), content };
            return Ok(Self { table: None, volumes: vec![volume], gaps: Vec::new() });
        };
        let work = Work::of(disk.length().min(fat::MAX_TABLES));
        let mut first = BTreeMap::new();
        let volumes = table.partitions.iter().map(|partition| {
            let window = disk.part(partition.start, partition.size);
            let place = (partition.start, window.length());
            let content = if partition.kind.is_extended() {
                VolumeContent::Other("logical partitions")
            } else if let Some(number) = first.get(&place).filter(|_| window.length() > 0) {
                let what = format!("has the same start and length as partition {number}");
                VolumeContent::Unreadable(ReadError::unsupported("", what, "choose that partition"))
            } else {
                first.insert(place, partition.number);
                identify(&window, &work)
            };
            Volume { partition: Some(partition.clone()), window, content }
        });
        let volumes = volumes.collect();
        let gaps = gaps(&table);
        Ok(Self { table: Some(table), volumes, gaps })
    }

    /// Chooses a volume: the one with this number. Without a number, the only one with a file system, or else the largest one
    /// with the partition type of a root or with ext4. Also returns whether there were several candidates.
    pub fn choose(&self, number: Option<u32>) -> Result<(&Volume, bool), ReadError> {
        if let Some(number) = number {
            let found = self.volumes.iter().find(|volume| match &volume.partition {
                Some(partition) => partition.number == number,
                None => false,
            });
            return found.map(|volume| (volume, false)).ok_or_else(|| {
                let partitions = self.volumes.iter().filter_map(|volume| volume.partition.as_ref());
                let numbers = partitions.map(|partition| partition.number).collect();
                ReadError::NoPartition { number, numbers }
            });
        }
        let readable = || {
            self.volumes.iter().filter_map(|volume| match &volume.content {
                VolumeContent::FileSystem(fs) => Some((volume, fs)),
                _ => None,
            })
        };
        let best = readable().max_by_key(|(volume, fs)| {
            let root = volume.partition.as_ref().is_some_and(|partition| partition.kind.is_root());
            (root, matches!(fs, FileSystem::Ext4(_)), volume.window.length())
        });
        match best {
            Some((volume, _)) => Ok((volume, readable().count() > 1)),
            // The error of the only volume says why nothing can be read.
            None if self.volumes.len() == 1 => {
                self.volumes.first().map(|volume| (volume, false)).ok_or(ReadError::NoFileSystem)
            }
            None => Err(ReadError::NoFileSystem),
        }
    }
}

impl Volume {
    /// The swap area, if it is one.
    pub fn swap(&self) -> Option<Swap> {
        matches!(self.content, VolumeContent::Other(_)).then(|| Swap::read(&self.window)).flatten()
    }

    /// The file system, or the error why there is none.
    pub fn file_system(&self) -> Result<&FileSystem, ReadError> {
        let place = match &self.partition {
            Some(partition) => format!("partition {}", partition.number),
            None => String::new(),
        };
        match &self.content {
            VolumeContent::FileSystem(fs) => Ok(fs),
            VolumeContent::Unreadable(error) => Err(ReadError::Unsupported(error.explain().within(&place))),
            VolumeContent::Other(name) => {
                Err(ReadError::unsupported(place, format!("has {name}, which snugfs does not read"), ""))
            }
            VolumeContent::Unknown => Err(ReadError::unsupported(
                place,
                "has no file system that snugfs knows",
                "is this the right image?",
            )),
        }
    }
}

/// Identifies the content of a volume. `work` is shared by all volumes of the image.
fn identify(window: &Window, work: &Work) -> VolumeContent {
    let read = |result: Result<FileSystem, ReadError>| match result {
        Ok(fs) => VolumeContent::FileSystem(fs),
        Err(error) => VolumeContent::Unreadable(error),
    };
    if ext4::is_there(window) {
        return read(Ext4::open(window.clone()).map(FileSystem::Ext4));
    }
    for (at, magic, name) in OTHERS {
        let length = image_tree::to_u64(magic.len());
        if window.bytes(at, length).is_ok_and(|bytes| bytes == magic) {
            return VolumeContent::Other(name);
        }
    }
    let first = window.bytes(0, 512).unwrap_or_default();
    if fat::seems_to_be(&first) && Bytes(&first).le16(0x1fe) == 0xaa55 {
        return read(Fat::open_counted(window.clone(), work).map(FileSystem::Fat));
    }
    VolumeContent::Unknown
}

/// The usable space outside of partitions.
fn gaps(table: &PartitionTable) -> Vec<Gap> {
    let mut taken: Vec<_> =
        table.partitions.iter().map(|p| (p.start, p.start.saturating_add(p.size))).collect();
    taken.sort_unstable();
    let (mut at, end) = table.usable;
    let mut gaps = Vec::new();
    for (from, to) in taken.into_iter().chain([(end, end)]) {
        let from = from.min(end);
        if from > at {
            gaps.push(Gap { start: at, size: from.saturating_sub(at) });
        }
        at = at.max(to);
    }
    gaps
}
