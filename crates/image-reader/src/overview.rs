//! What an image is, without its files: table, partitions, file systems, what is between them.

use std::collections::BTreeMap;

use image_tree::Explain;

use crate::bytes::Bytes;
use crate::work::Work;
use crate::{Ext4, Fat, FileSystem, Image, Partition, PartitionTable, ReadError, Window, ext4, fat};

/// What an image is.
#[derive(Debug)]
pub struct Overview {
    /// The partition table; `None` for a bare file system.
    pub table: Option<PartitionTable>,
    /// The partitions, in the order of their numbers, or the one bare volume.
    pub volumes: Vec<Volume>,
    /// What no partition and no table has, in \[bytes\], in ascending order.
    pub gaps: Vec<Gap>,
}

/// A part of a disk that no partition has, in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub size: u64,
}

/// A partition, or all of an image.
#[derive(Debug)]
pub struct Volume {
    /// Its partition; `None` where there is no table.
    pub partition: Option<Partition>,
    /// Its bytes.
    pub window: Window,
    /// What is in it.
    pub content: VolumeContent,
}

/// What a volume is.
#[derive(Debug)]
pub enum VolumeContent {
    /// A file system that can be read.
    FileSystem(FileSystem),
    /// A file system that can't be, and why.
    Unreadable(ReadError),
    /// Something known by its name alone.
    Other(&'static str),
    /// Nothing that is known.
    Unknown,
}

/// What is recognised, not read: place, magic, name.
const OTHERS: [(u64, &[u8], &str); 11] = [
    (0xff6, b"SWAPSPACE2", "swap"),
    (0x1_0040, b"_BHRfS_M", "btrfs"),
    (0, b"XFSB", "xfs"),
    (0, b"hsqs", "squashfs"),
    (0x400, b"\xe2\xe1\xf5\xe0", "erofs"),
    (0x400, b"\x10\x20\xf5\xf2", "f2fs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0x218, b"LVM2 001", "lvm"),
    (3, b"EXFAT   ", "exfat"),
    (3, b"NTFS    ", "ntfs"),
    (0x8001, b"CD001", "iso9660"),
];

impl Overview {
    /// Looks at an image.
    pub fn read(image: &Image) -> Result<Self, ReadError> {
        let disk = &image.window;
        let Some(table) = PartitionTable::read(disk)? else {
            let content = identify(disk, &Work::of(disk.length().min(fat::LONGEST_TABLES)));
            let volume = Volume { partition: None, window: disk.clone(), content };
            return Ok(Self { table: None, volumes: vec![volume], gaps: Vec::new() });
        };
        let work = Work::of(disk.length().min(fat::LONGEST_TABLES));
        let mut first = BTreeMap::new();
        let volumes = table.partitions.iter().map(|partition| {
            let window = disk.part(partition.start, partition.size);
            let place = (partition.start, window.length());
            let content = if partition.kind.is_extended() {
                VolumeContent::Other("logical partitions")
            } else if let Some(number) = first.get(&place).filter(|_| window.length() > 0) {
                let what = format!("has the same place as partition {number}");
                VolumeContent::Unreadable(ReadError::unsupported("", what, "choose that"))
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

    /// The volume whose files are meant: the one of a number, else the only one with a file system, else the largest
    /// with a root's type or ext4. With it, whether there was a choice.
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
            // The only one tells best why nothing can be read.
            None if self.volumes.len() == 1 => {
                self.volumes.first().map(|volume| (volume, false)).ok_or(ReadError::NoFileSystem)
            }
            None => Err(ReadError::NoFileSystem),
        }
    }
}

impl Volume {
    /// The file system, or why there is none.
    pub fn file_system(&self) -> Result<&FileSystem, ReadError> {
        let place = match &self.partition {
            Some(partition) => format!("partition {}", partition.number),
            None => String::new(),
        };
        match &self.content {
            VolumeContent::FileSystem(fs) => Ok(fs),
            VolumeContent::Unreadable(error) => Err(ReadError::Unsupported(error.explain().within(&place))),
            VolumeContent::Other(name) => {
                Err(ReadError::unsupported(place, format!("holds {name}, whose files are not read here"), ""))
            }
            VolumeContent::Unknown => Err(ReadError::unsupported(
                place,
                "holds no file system that is known",
                "is this the right image?",
            )),
        }
    }
}

/// `work` is that of the image, for all its volumes.
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

/// What is usable and in no partition.
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
