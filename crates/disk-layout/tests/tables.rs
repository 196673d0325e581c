//! Reads tables by other libraries, and checks pieces and placement.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::io::Cursor;
use std::sync::Arc;

use disk_layout::{Blob, Disk, DiskError, Kind, Options, Part, Partition, Table, TableId};
use image_tree::{Content, NodeId, Piece, PieceSource, SectorSize, TreeId};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const LINUX: [u8; 16] = 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4_u128.to_be_bytes();

fn partition(start: Option<u64>, size: u64, kind: Kind, number: usize) -> Partition {
    Partition {
        start,
        size: Some(size),
        kind,
        bootable: number == 0,
        name: format!("part {number}"),
        guid: None,
        part: Part::Empty,
    }
}

fn options(table: Table, partitions: Vec<Partition>) -> Options {
    let sector = SectorSize::Bytes512;
    Options { table, sector, size: None, seed: [7; 16], partitions, blobs: Vec::new() }
}

/// The bytes of a disk without files. The pieces must be consecutive.
fn bytes(disk: &Disk) -> Vec<u8> {
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let mut bytes = vec![0; at(disk.len())];
    let mut end = 0;
    for piece in disk.pieces() {
        assert_eq!(piece.offset, end);
        end += piece.len;
        if piece.content == Content::Metadata {
            disk.generate(&piece, &mut bytes[at(piece.offset)..at(end)]);
        }
    }
    assert_eq!(end, disk.len());
    bytes
}

#[test]
fn another_library_reads_both_copies_of_a_gpt() {
    let partitions = vec![
        partition(None, 3 * MIB, Kind::Gpt(LINUX), 0),
        partition(Some(20 * MIB), 512, Kind::Gpt(LINUX), 1),
        partition(Some(10 * MIB), MIB, Kind::Gpt(LINUX), 2),
    ];
    let disk = Disk::plan(options(Table::Gpt(None), partitions)).unwrap();
    let mut image = bytes(&disk);
    for damaged in [false, true] {
        if damaged {
            image[512..1024].fill(0);
        }
        let table =
            gpt::GptConfig::new().writable(false).open_from_device(Cursor::new(image.clone())).unwrap();
        let found: Vec<_> = table
            .partitions()
            .iter()
            .map(|(number, found)| (*number, found.first_lba, found.last_lba, found.name.clone()))
            .collect();
        let sector = |bytes: u64| bytes / 512;
        assert_eq!(
            found,
            [
                (1, sector(MIB), sector(4 * MIB) - 1, "part 0".to_owned()),
                (2, sector(20 * MIB), sector(20 * MIB), "part 1".to_owned()),
                (3, sector(10 * MIB), sector(11 * MIB) - 1, "part 2".to_owned()),
            ]
        );
        let guids: Vec<_> = table.partitions().values().map(|found| found.part_guid.into_bytes()).collect();
        assert_eq!(guids, disk.partition_guids());
        assert_eq!(TableId::Gpt(table.guid().into_bytes()), disk.table());
    }
    assert_eq!(disk.len() % 4096, 0);
}

#[test]
fn another_library_reads_both_copies_of_a_gpt_with_long_sectors() {
    let partitions = vec![
        partition(None, 3 * MIB, Kind::Gpt(LINUX), 0),
        partition(Some(20 * MIB), 4096, Kind::Gpt(LINUX), 1),
        partition(Some(6 * 4096), 4096, Kind::Gpt(LINUX), 2),
    ];
    let options = Options { sector: SectorSize::Bytes4096, ..options(Table::Gpt(None), partitions) };
    let disk = Disk::plan(options).unwrap();
    let mut image = bytes(&disk);
    for damaged in [false, true] {
        if damaged {
            image[4096..8192].fill(0);
        }
        let table = gpt::GptConfig::new()
            .writable(false)
            .logical_block_size(gpt::disk::LogicalBlockSize::Lb4096)
            .open_from_device(Cursor::new(image.clone()))
            .unwrap();
        let found: Vec<_> =
            table.partitions().values().map(|found| (found.first_lba, found.last_lba)).collect();
        let sector = |bytes: u64| bytes / 4096;
        assert_eq!(
            found,
            [
                (sector(MIB), sector(4 * MIB) - 1),
                (sector(20 * MIB), sector(20 * MIB)),
                // The first sector after the header and 4 sectors of entries.
                (6, 6),
            ]
        );
    }
    let at = |start: u64, size| {
        Disk::plan(Options {
            sector: SectorSize::Bytes4096,
            size: Some(size),
            ..self::options(Table::Gpt(None), vec![partition(Some(start), 4096, Kind::Gpt(LINUX), 0)])
        })
    };
    assert_eq!(at(6 * 4096, 12 * 4096).unwrap().len(), 12 * 4096);
    assert!(matches!(at(6 * 4096, 11 * 4096), Err(DiskError::PastEnd { .. })));
    assert!(matches!(at(5 * 4096, 12 * 4096), Err(DiskError::Overlap { .. })));
}

#[test]
fn an_mbr_with_long_sectors_addresses_eight_times_as_much() {
    let end = |start| {
        let partitions = vec![partition(Some(start), 4096, Kind::Mbr(0x83), 0)];
        let options = Options { sector: SectorSize::Bytes4096, ..options(Table::Mbr(None), partitions) };
        Disk::plan(options).map(|disk| disk.len())
    };
    assert_eq!(end((1 << 44) - 4096), Ok(1 << 44));
    assert!(matches!(end(1 << 44), Err(DiskError::TooLargeForMbr { most, .. }) if most == 1 << 44));
}

#[test]
fn rejects_overlaps_and_items_after_the_end() {
    let one = |start, size| partition(start, size, Kind::Mbr(0x83), 0);
    let plan = |partitions| Disk::plan(options(Table::Mbr(None), partitions)).map(|disk| disk.len());
    assert_eq!(plan(vec![one(None, MIB)]), Ok(2 * MIB));
    assert_eq!(plan(vec![one(Some(512), 512)]), Ok(4096));
    assert!(matches!(plan(vec![one(Some(0), 512)]), Err(DiskError::Overlap { .. })));
    assert!(matches!(plan(vec![one(None, MIB), one(Some(MIB), 512)]), Err(DiskError::Overlap { .. })));
    assert!(plan(vec![one(Some((1 << 41) - 512), 512)]).is_ok());
    assert!(matches!(plan(vec![one(Some(1 << 41), 512)]), Err(DiskError::TooLargeForMbr { .. })));
    assert!(matches!(plan(vec![one(Some(u64::MAX - 511), 512)]), Err(DiskError::Overflow { .. })));
    assert!(matches!(plan(vec![one(Some(u64::MAX - 1023), 512)]), Err(DiskError::Overflow { .. })));
    let blob = Blob { offset: u64::MAX, part: Part::File { file: NodeId::ROOT.into(), len: 2 } };
    let with_blob = Options { blobs: vec![blob], ..options(Table::Mbr(None), vec![one(None, 512)]) };
    assert!(matches!(Disk::plan(with_blob), Err(DiskError::Overflow { .. })));
    let sized = |size| {
        Disk::plan(Options {
            size: Some(size),
            ..options(Table::Gpt(None), vec![partition(None, MIB, Kind::Gpt(LINUX), 0)])
        })
    };
    assert_eq!(sized(2 * MIB + 33 * 512).unwrap().len(), 2 * MIB + 33 * 512);
    assert!(matches!(sized(2 * MIB + 32 * 512), Err(DiskError::PastEnd { .. })));
    assert!(matches!(sized(512), Err(DiskError::PastEnd { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_cover_the_disk_or_items_overlap(
        places in proptest::collection::vec((proptest::option::of(0_u64..64), 1_u64..16), 1..6),
        blobs in proptest::collection::vec((0_u64..80_000, 0_u64..9000), 0..3),
        is_gpt in any::<bool>(),
    ) {
        let kind = if is_gpt { Kind::Gpt(LINUX) } else { Kind::Mbr(0x83) };
        let table = if is_gpt { Table::Gpt(None) } else { Table::Mbr(None) };
        let partitions = places.iter().take(4).enumerate().map(|(number, (start, size))| {
            partition(start.map(|start| start * 32 * 1024), size * 32 * 1024, kind, number)
        });
        let blobs = blobs.iter().enumerate().map(|(number, (offset, len))| {
            let file = NodeId::from_index(number + 1).unwrap().into();
            Blob { offset: *offset, part: Part::File { file, len: *len } }
        });
        let options = Options { blobs: blobs.collect(), ..options(table, partitions.collect()) };
        match Disk::plan(options) {
            Ok(disk) => {
                let image = bytes(&disk);
                prop_assert_eq!(&image[510..512], &[0x55, 0xaa]);
                let files: u64 = disk.pieces().filter(|piece| matches!(piece.content, Content::File { .. })).map(|piece| piece.len).sum();
                let blobs: u64 = disk.options().blobs.iter().map(|blob| blob.part.len()).sum();
                prop_assert_eq!(files, blobs);
            }
            Err(error) => prop_assert!(error.is_conflict(), "{}", error),
        }
    }
}

/// An image that is one file.
struct OneFile;

impl PieceSource for OneFile {
    fn len(&self) -> u64 {
        4096
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let content = Content::File { file: NodeId::from_index(5).unwrap().into(), offset: 0 };
        Box::new(std::iter::once(Piece { offset: 0, len: 4096, content }))
    }

    fn generate(&self, _: &Piece, _: &mut [u8]) {}
}

#[test]
fn files_of_several_file_systems_keep_their_tree() {
    let [first, second] = [0, 1].map(|index| TreeId::from_index(index).unwrap());
    let volume = |tree, number| Partition {
        part: Part::Volume { image: Arc::new(OneFile), tree },
        ..partition(None, MIB, Kind::Mbr(0x83), number)
    };
    let disk = Disk::plan(options(Table::Mbr(None), vec![volume(first, 0), volume(second, 1)])).unwrap();
    let files: Vec<_> = disk
        .pieces()
        .filter_map(|piece| match piece.content {
            Content::File { file, offset } => Some((piece.offset, file.tree, file.node.index(), offset)),
            _ => None,
        })
        .collect();
    assert_eq!(files, [(MIB, first, 5, 0), (2 * MIB, second, 5, 0)]);
}
