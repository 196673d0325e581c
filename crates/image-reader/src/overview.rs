//! The overview of an image: partition table, partitions, file systems, and gaps.

use std::collections::BTreeMap;

use image_tree::Explain;

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
            let content = identify(disk, &fat::work(disk.length()));
            let volume = Volume { partition: None, window: disk.clone(), content };
            return Ok(Self { table: None, volumes: vec![volume], gaps: Vec::new() });
        };
        let work = fat::work(disk.length());
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

    /// Chooses a volume: the one with this number. Without a number, the only one with a file system, or else the first with the
    /// partition type of a root, or else the largest with ext4, or else the largest. Also returns whether there were several
    /// candidates.
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
        let is_root = |volume: &Volume| volume.partition.as_ref().is_some_and(|found| found.kind.is_root());
        // In reverse, so that the first of equal ones is taken.
        let largest = || {
            let key = |(volume, fs): &(&Volume, &FileSystem)| {
                (matches!(fs, FileSystem::Ext4(_)), volume.window.length())
            };
            readable().rev().max_by_key(key)
        };
        let best = readable().find(|(volume, _)| is_root(volume)).or_else(largest);
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
    if fat::seems_to_be(&first) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Container, PartitionType, TableKind};
    use std::sync::Arc;

    /// A disk of 4,000 sectors with a partition table; kind, first sector, number of sectors.
    fn disk(partitions: &[(u8, u32, u32)]) -> Vec<u8> {
        let mut disk = vec![0; 4000 * 512];
        for (at, (kind, start, size)) in (0x1be..).step_by(16).zip(partitions) {
            disk[at + 4] = *kind;
            disk[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
            disk[at + 12..at + 16].copy_from_slice(&size.to_le_bytes());
        }
        disk[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        disk
    }

    fn read(disk: &[u8]) -> Overview {
        let window = Window::whole(Arc::new(disk.to_vec()));
        Overview::read(&Image { container: Container::Raw, window }).unwrap()
    }

    /// Writes a FAT12 of 60 sectors.
    fn put_fat(disk: &mut [u8], sector: usize) {
        let volume = &mut disk[sector * 512..][..60 * 512];
        volume[..3].copy_from_slice(&[0xeb, 0x3c, 0x90]);
        let fields =
            [(0x0c, 2), (0x0d, 1), (0x0e, 1), (0x10, 1), (0x11, 16), (0x13, 60), (0x15, 0xf8), (0x16, 1)];
        for (at, value) in fields {
            volume[at] = value;
        }
        volume[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        volume[512..514].copy_from_slice(&[0xf8, 0xff]);
    }

    /// Writes an ext4 of 100 blocks of 1,024 bytes. Only its superblock is read.
    fn put_ext4(disk: &mut [u8], sector: usize) {
        let superblock = &mut disk[sector * 512 + 1024..][..1024];
        for (at, value) in [(0, 32), (4, 100), (0x14, 1), (0x28, 32), (0x4c, 1), (0x58, 128)] {
            superblock[at] = value;
        }
        superblock[0x38..0x3a].copy_from_slice(&[0x53, 0xef]);
    }

    /// The number of the chosen partition, and whether there were others.
    fn chosen(disk: &[u8], number: Option<u32>) -> Result<(u32, bool), String> {
        let overview = read(disk);
        let chosen = overview.choose(number).map_err(|error| error.to_string())?;
        Ok((chosen.0.partition.as_ref().unwrap().number, chosen.1))
    }

    const LINUX: u8 = 0x83;

    #[test]
    fn without_a_number_the_best_file_system_is_chosen() {
        let partitions = [(LINUX, 100, 300), (LINUX, 500, 200), (LINUX, 800, 400), (LINUX, 1500, 500)];
        let mut all = disk(&partitions);
        assert_eq!(
            chosen(&all, None).unwrap_err().split(';').next().unwrap(),
            "there is no file system that snugfs can read"
        );
        put_fat(&mut all, 1500);
        assert_eq!(chosen(&all, None).unwrap(), (4, false), "the only one");
        put_ext4(&mut all, 500);
        assert_eq!(chosen(&all, None).unwrap(), (2, true), "ext4 rather than FAT");
        put_ext4(&mut all, 800);
        assert_eq!(chosen(&all, None).unwrap(), (3, true), "the largest");
        put_ext4(&mut all, 100);
        assert_eq!(chosen(&all, None).unwrap(), (3, true));
    }

    #[test]
    fn the_first_of_equal_file_systems_is_chosen() {
        let mut all = disk(&[(LINUX, 1500, 300), (LINUX, 500, 300), (LINUX, 100, 299)]);
        for sector in [1500, 500, 100] {
            put_ext4(&mut all, sector);
        }
        assert_eq!(chosen(&all, None).unwrap(), (1, true));
    }

    #[test]
    fn the_first_root_is_chosen_before_larger_file_systems() {
        let mut all = disk(&[(LINUX, 100, 800), (LINUX, 1000, 100), (LINUX, 1500, 100), (LINUX, 2000, 200)]);
        put_ext4(&mut all, 100);
        for sector in [1500, 2000] {
            put_fat(&mut all, sector);
        }
        let mut overview = read(&all);
        // The type of a root. The first one has no file system.
        let root =
            [0x4f, 0x68, 0xbc, 0xe3, 0xe8, 0xcd, 0x4d, 0xb1, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09];
        for volume in &mut overview.volumes[1..] {
            volume.partition.as_mut().unwrap().kind = PartitionType::Gpt(image_tree::Uuid(root));
        }
        let (volume, has_others) = overview.choose(None).unwrap();
        assert_eq!((volume.partition.as_ref().unwrap().number, has_others), (3, true));
    }

    #[test]
    fn a_number_chooses_a_partition_with_or_without_a_file_system() {
        let mut all = disk(&[(LINUX, 100, 300), (0, 0, 0), (LINUX, 500, 300)]);
        put_ext4(&mut all, 100);
        assert_eq!([Some(1), Some(3)].map(|number| chosen(&all, number).unwrap()), [(1, false), (3, false)]);
        let error = chosen(&all, Some(2)).unwrap_err();
        assert_eq!(error, "partition 2: there is no such partition; choose one of 1, 3");
    }

    #[test]
    fn the_only_volume_says_why_it_cannot_be_read() {
        let overview = read(&[0; 4096]);
        assert!(overview.table.is_none());
        let (volume, _) = overview.choose(None).unwrap();
        let error = volume.file_system().unwrap_err().to_string();
        assert!(error.starts_with("has no file system that snugfs knows"), "{error}");
        assert_eq!(
            overview.choose(Some(1)).unwrap_err().to_string(),
            "partition 1: the image has no partitions; leave out the partition number"
        );
        let one = disk(&[(0x82, 100, 300)]);
        assert_eq!(chosen(&one, None).unwrap(), (1, false));
    }

    #[test]
    fn contents_are_known_by_their_magic() {
        let overview = |at: usize, magic: &[u8]| {
            let mut bytes = vec![0; 0x1_1000];
            bytes[at..at + magic.len()].copy_from_slice(magic);
            read(&bytes)
        };
        for (at, magic, name) in OTHERS {
            let overview = overview(usize::try_from(at).unwrap(), magic);
            let error = overview.volumes[0].file_system().unwrap_err().to_string();
            assert!(error.starts_with(&format!("has {name}, which snugfs does not read")), "{error}");
        }
        let swap = overview(0xff6, b"SWAPSPACE2");
        assert!(swap.volumes[0].swap().is_some());
        assert!(overview(0, b"XFSB").volumes[0].swap().is_none());
    }

    #[test]
    fn a_broken_file_system_is_named() {
        let mut all = disk(&[(LINUX, 100, 300), (0x0c, 500, 100)]);
        put_ext4(&mut all, 100);
        put_fat(&mut all, 500);
        // No inodes; a number of sectors of 0.
        all[100 * 512 + 1024] = 0;
        all[500 * 512 + 0x13] = 0;
        let overview = read(&all);
        let errors = [0, 1].map(|at: usize| overview.volumes[at].file_system().unwrap_err().to_string());
        assert!(
            errors[0].starts_with("partition 1: superblock: has an invalid number of 0 inodes"),
            "{errors:?}"
        );
        assert!(errors[1].starts_with("partition 2: boot sector: has no clusters for files"), "{errors:?}");
    }

    #[test]
    fn a_fat_has_a_jump_and_a_signature() {
        let content = |change: &dyn Fn(&mut [u8])| {
            let mut all = disk(&[(0x0c, 100, 60)]);
            put_fat(&mut all, 100);
            change(&mut all[100 * 512..]);
            matches!(read(&all).volumes[0].content, VolumeContent::FileSystem(FileSystem::Fat(_)))
        };
        assert!(content(&|_| ()));
        assert!(!content(&|volume| volume[0] = 0));
        assert!(!content(&|volume| volume[0x1ff] = 0));
    }

    #[test]
    fn partitions_of_the_same_place_are_read_once() {
        let mut all = disk(&[(LINUX, 100, 300), (LINUX, 100, 300), (LINUX, 100, 299), (0x05, 1000, 100)]);
        put_ext4(&mut all, 100);
        let overview = read(&all);
        let errors: Vec<_> = overview
            .volumes
            .iter()
            .map(|one| one.file_system().err().map(|error| error.to_string()))
            .collect();
        assert_eq!((&errors[0], &errors[2]), (&None, &None));
        let second = errors[1].as_ref().unwrap();
        assert!(second.starts_with("partition 2: has the same start and length as partition 1"), "{second}");
        let extended = errors[3].as_ref().unwrap();
        assert!(extended.starts_with("partition 4: has logical partitions, which"), "{extended}");
        // Partitions after the end of the image are all empty, and their places say nothing.
        let absent = read(&disk(&[(LINUX, 5000, 300), (LINUX, 5000, 300), (LINUX, 100, 1)]));
        let texts = [0, 1].map(|at: usize| absent.volumes[at].file_system().unwrap_err().to_string());
        assert!(texts[1].contains("has no file system that snugfs knows"), "{texts:?}");
    }

    #[test]
    fn gaps_are_the_usable_space_outside_of_partitions() {
        let gaps = |places: &[(u64, u64)]| {
            let partition = |(number, (start, size)): (u32, &(u64, u64))| Partition {
                number,
                start: *start,
                size: *size,
                kind: PartitionType::Mbr(LINUX),
                bootable: false,
                name: String::new(),
                guid: None,
            };
            let table = PartitionTable {
                kind: TableKind::Mbr(0),
                usable: (10, 100),
                partitions: (1..).zip(places).map(partition).collect(),
                sector_size: 512,
                warnings: Vec::new(),
                is_longer: false,
            };
            super::gaps(&table).iter().map(|gap| (gap.start, gap.size)).collect::<Vec<_>>()
        };
        assert_eq!(gaps(&[]), [(10, 90)]);
        assert_eq!(gaps(&[(10, 90)]), []);
        assert_eq!(gaps(&[(60, 10), (20, 30)]), [(10, 10), (50, 10), (70, 30)]);
        // Overlaps, and partitions outside of the usable space.
        assert_eq!(gaps(&[(20, 30), (25, 5), (30, 40)]), [(10, 10), (70, 30)]);
        assert_eq!(gaps(&[(0, 15), (90, 50), (200, 10)]), [(15, 75)]);
    }
}
