//! Reads tables by other libraries, and checks pieces and placement.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::io::Cursor;
use std::sync::Arc;

use disk_layout::{
    Blob, Disk, DiskError, Item, Kind, Length, Options, Part, Partition, PlacedPartition, RoundTo, Table,
    TableId,
};
use image_tree::{Content, NodeId, Piece, PieceSource, SectorSize, TreeId};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const LINUX: [u8; 16] = 0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4_u128.to_be_bytes();

fn partition(start: Option<u64>, size: u64, kind: Kind, number: usize) -> Partition {
    Partition {
        start,
        align: Partition::ALIGNMENT,
        size: Length::Bytes(size),
        kind,
        bootable: number == 0,
        name: format!("part {number}"),
        guid: None,
        part: Part::Empty,
    }
}

fn options(table: Table, partitions: Vec<Partition>) -> Options {
    let sector = SectorSize::Bytes512;
    Options {
        table,
        sector,
        size: None,
        round_to: RoundTo::Blocks,
        seed: [7; 16],
        partitions,
        blobs: Vec::new(),
    }
}

/// The bytes of a disk without files. The pieces must be consecutive.
fn bytes(disk: &Disk) -> Vec<u8> {
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let mut bytes = vec![0; at(disk.len())];
    let mut end = 0;
    for piece in disk.pieces() {
        assert_eq!(piece.offset, end);
        assert!(piece.len > 0, "no piece is empty: {piece:?}");
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
        // "Legacy BIOS Bootable" is bit 2.
        let flags: Vec<_> = table.partitions().values().map(|found| found.flags).collect();
        assert_eq!(flags, [4, 0, 0]);
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
fn a_gpt_says_which_sectors_partitions_may_use() {
    for (sector, bytes_of) in [(SectorSize::Bytes512, 512), (SectorSize::Bytes4096, 4096)] {
        let partitions = vec![partition(None, MIB, Kind::Gpt(LINUX), 0)];
        let disk = Disk::plan(Options { sector, ..options(Table::Gpt(None), partitions) }).unwrap();
        let image = bytes(&disk);
        let sectors = image.len() / bytes_of;
        for header in [bytes_of, (sectors - 1) * bytes_of] {
            let number = |at: usize| {
                usize::try_from(u64::from_le_bytes(image[header + at..header + at + 8].try_into().unwrap()))
                    .unwrap()
            };
            // After the protective MBR, the header and the entries, and before the entries and the header at the end.
            let entries = 128 * 128 / bytes_of;
            assert_eq!((number(40), number(48)), (2 + entries, sectors - 1 - 1 - entries), "{bytes_of}");
        }
    }
}

#[test]
fn a_gpt_has_room_for_128_partitions() {
    let partitions: Vec<_> = (0..128).map(|number| partition(None, MIB, Kind::Gpt(LINUX), number)).collect();
    let disk = Disk::plan(options(Table::Gpt(None), partitions)).unwrap();
    let image = bytes(&disk);
    let table = gpt::GptConfig::new().writable(false).open_from_device(Cursor::new(image)).unwrap();
    let names: Vec<_> = table.partitions().values().map(|found| found.name.clone()).collect();
    assert_eq!(names, (0..128).map(|number| format!("part {number}")).collect::<Vec<_>>());
    let tables: Vec<_> = disk.table_ranges().collect();
    assert_eq!(tables, [0..34 * 512, disk.len() - 33 * 512..disk.len()]);
}

#[test]
fn guids_that_are_set_later_are_in_both_tables() {
    let partitions = (0..2).map(|number| partition(None, MIB, Kind::Gpt(LINUX), number)).collect();
    let disk = Disk::plan(options(Table::Gpt(None), partitions)).unwrap();
    let before = bytes(&disk);
    let first = disk.partition_guids()[0];
    disk.set_partition_guids(&[(1, [9; 16]), (5, [8; 16])]);
    assert_eq!(disk.partition_guids(), [first, [9; 16]]);
    let mut image = bytes(&disk);
    let outside = |image: &[u8]| {
        let mut image = image.to_vec();
        for table in disk.table_ranges() {
            image[usize::try_from(table.start).unwrap()..usize::try_from(table.end).unwrap()].fill(0);
        }
        image
    };
    assert!(outside(&before) == outside(&image), "only the tables change");
    for damaged in [false, true] {
        if damaged {
            image[512..1024].fill(0);
        }
        let table =
            gpt::GptConfig::new().writable(false).open_from_device(Cursor::new(image.clone())).unwrap();
        let guids: Vec<_> = table.partitions().values().map(|found| found.part_guid.into_bytes()).collect();
        assert_eq!(guids, [first, [9; 16]]);
    }
}

#[test]
fn a_partition_is_as_long_as_its_content_needs() {
    let of = |len, size| {
        let part = if len == 0 { Part::Empty } else { Part::File { file: NodeId::ROOT.into(), len } };
        let one = Partition { size, part, ..partition(None, 0, Kind::Mbr(0x83), 0) };
        Disk::places(&options(Table::Mbr(None), vec![one])).map(|places| places[0].len)
    };
    // In whole sectors, and never empty.
    for (len, expected) in [(0, 512), (1, 512), (512, 512), (513, 1024), (5000, 5120)] {
        assert_eq!(of(len, Length::Content), Ok(expected));
    }
    assert_eq!(of(1024, Length::Bytes(1024)), Ok(1024));
    assert!(matches!(
        of(1025, Length::Bytes(1024)),
        Err(DiskError::TooSmall { size: 1024, needs: 1025, .. })
    ));
}

#[test]
fn an_empty_blob_is_nowhere() {
    let blobs = [0, 440, 512, MIB + 5].map(|offset| Blob { offset, part: Part::Empty });
    let partitions = || vec![partition(None, MIB, Kind::Mbr(0x83), 0)];
    let with = Options { blobs: blobs.into(), ..options(Table::Mbr(None), partitions()) };
    let without = Disk::plan(options(Table::Mbr(None), partitions())).unwrap();
    assert!(bytes(&Disk::plan(with).unwrap()) == bytes(&without));
}

/// The bytes of the table at the start of a disk, which is too long to be written.
fn table(disk: &Disk) -> Vec<u8> {
    let piece = disk.pieces().find(|piece| piece.content == Content::Metadata).unwrap();
    let mut bytes = vec![0; usize::try_from(piece.len).unwrap()];
    disk.generate(&piece, &mut bytes);
    bytes
}

/// The values are those that fdisk writes for these places.
#[test]
fn an_mbr_has_its_partitions_by_sectors_and_by_cylinders() {
    let at =
        |start: u64, size: u64, number| partition(Some(start * 512), size * 512, Kind::Mbr(0x83), number);
    let partitions = vec![
        at(2048, 2048, 0),
        // Cylinders 300 and 301.
        at(300 * 255 * 63, 2 * 255 * 63, 1),
        // The last cylinder that can be expressed, and the one after it.
        at(1023 * 255 * 63, 2 * 255 * 63, 2),
    ];
    let disk = Disk::plan(options(Table::Mbr(Some(0x1234_abcd)), partitions)).unwrap();
    let bytes = table(&disk);
    assert_eq!(bytes.len(), 512);
    assert_eq!(bytes[440..446], [0xcd, 0xab, 0x34, 0x12, 0, 0]);
    assert_eq!(bytes[446..462], [0x80, 0x20, 0x21, 0, 0x83, 0x41, 0x01, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    let [start, sectors] = [300 * 255 * 63_u32, 2 * 255 * 63].map(u32::to_le_bytes);
    let chs = [[0, 0, 0x41, 0x2c], [0x83, 254, 0x7f, 0x2d]].concat();
    assert_eq!(bytes[462..478], [chs, start.to_vec(), sectors.to_vec()].concat());
    assert_eq!(bytes[478..486], [0, 0, 0xc1, 0xff, 0x83, 254, 0xff, 0xff]);
    assert_eq!(bytes[494..512], [[0; 16].as_slice(), &[0x55, 0xaa]].concat());
}

#[test]
fn a_protective_mbr_covers_the_disk_as_far_as_it_can() {
    let of = |start: u64| {
        let partitions = vec![partition(Some(start), 4096, Kind::Gpt(LINUX), 1)];
        let disk = Disk::plan(options(Table::Gpt(None), partitions)).unwrap();
        let bytes = table(&disk);
        assert_eq!(bytes[440..458], [0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
        (disk.len(), u32::from_le_bytes(bytes[458..462].try_into().unwrap()))
    };
    assert_eq!(of(MIB), (MIB + 6 * 4096, (MIB / 512 + 48 - 1).try_into().unwrap()));
    assert_eq!(of(1 << 42).1, u32::MAX);
}

#[test]
fn linux_names_partitions_by_the_identifiers_of_the_table() {
    let two = |kind| vec![partition(None, MIB, kind, 0), partition(None, 2 * MIB, kind, 1)];
    let mbr = options(Table::Mbr(Some(0x0234_abcd)), two(Kind::Mbr(0x83)));
    assert_eq!(Disk::partition_uuids(&mbr), ["0234abcd-01", "0234abcd-02"]);
    let disk = Disk::plan(mbr).unwrap();
    assert_eq!(disk.table(), TableId::Mbr(0x0234_abcd));
    assert!(disk.partition_guids().is_empty());
    let places = [(MIB, MIB), (2 * MIB, 2 * MIB)].map(|(start, len)| PlacedPartition { start, len });
    assert_eq!(disk.partitions(), places);
    let mut gpt = options(Table::Gpt(Some([9; 16])), two(Kind::Gpt(LINUX)));
    gpt.partitions[0].guid = Some(LINUX);
    let uuids = Disk::partition_uuids(&gpt);
    let disk = Disk::plan(gpt).unwrap();
    assert_eq!(disk.table(), TableId::Gpt([9; 16]));
    let guids: Vec<_> =
        disk.partition_guids().iter().map(|guid| image_tree::Uuid(*guid).to_string()).collect();
    assert_eq!((uuids[0].as_str(), &uuids), ("0fc63daf-8483-4772-8e79-3d69d8477de4", &guids));
}

#[test]
fn only_code_for_the_bios_may_share_the_sector_of_the_table() {
    let of = |offset, len| {
        let file = Part::File { file: NodeId::ROOT.into(), len };
        let blobs = vec![Blob { offset, part: file }];
        Disk::plan(Options {
            blobs,
            ..options(Table::Mbr(None), vec![partition(None, MIB, Kind::Mbr(0x83), 0)])
        })
    };
    for (offset, len) in [(0, 440), (0, 1), (100, 340)] {
        let disk = of(offset, len).unwrap();
        assert_eq!(bytes(&disk)[510..512], [0x55, 0xaa]);
        let is_file = |piece: &Piece| matches!(piece.content, Content::File { .. });
        let code = disk.pieces().find(is_file).unwrap();
        assert_eq!((code.offset, code.len), (offset, len));
        let table = disk.pieces().find(|piece| piece.content == Content::Metadata).unwrap();
        assert_eq!((table.offset, table.offset + table.len), (offset + len, 512));
    }
    for (offset, len) in [(0, 441), (439, 2), (440, 1), (511, 1)] {
        assert!(matches!(of(offset, len), Err(DiskError::Overlap { .. })), "{offset} {len}");
    }
    assert!(of(512, 1).is_ok());
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
    assert!(matches!(plan(vec![one(Some(u64::MAX - 1023), 512)]), Err(DiskError::TooLong { .. })));
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
    // 34 sectors of the table, and 33 of its backup.
    assert!(matches!(sized(512), Err(DiskError::TooShort { size: 512, least: 34_304 })));
    assert!(matches!(sized(34_304), Err(DiskError::PastEnd { .. })));
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

/// An image whose metadata is in two pieces. Each has the number of its block in every byte.
struct TwoBlocks;

impl PieceSource for TwoBlocks {
    fn len(&self) -> u64 {
        8192
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let block = |offset| Piece { offset, len: 4096, content: Content::Metadata };
        Box::new([0, 4096].into_iter().map(block))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        buffer.fill(u8::try_from(piece.offset / 4096).unwrap() + 1);
    }
}

#[test]
fn a_file_system_generates_its_metadata_by_its_own_offsets() {
    let tree = TreeId::from_index(0).unwrap();
    let volume = |number| Partition {
        part: Part::Volume { image: Arc::new(TwoBlocks), tree },
        ..partition(None, MIB, Kind::Mbr(0x83), number)
    };
    let disk = Disk::plan(options(Table::Mbr(None), vec![volume(0), volume(1)])).unwrap();
    let image = bytes(&disk);
    for start in [1 << 20, 2 << 20] {
        let volume = [[1; 4096], [2; 4096], [0; 4096]].concat();
        assert!(image[start..start + 12_288] == volume, "{start}");
    }
}

#[test]
fn the_tables_of_a_gpt_may_follow_one_another() {
    let size = (34 + 33) * 512;
    let disk = Disk::plan(Options { size: Some(size), ..options(Table::Gpt(None), vec![]) }).unwrap();
    let image = bytes(&disk);
    for header in [512, image.len() - 512] {
        assert_eq!(image[header..header + 8], *b"EFI PART");
    }
    // The same entries, each in front of or behind its header.
    assert!(image[1024..34 * 512] == image[34 * 512..66 * 512]);
}

/// A partition that takes what is left, by weight.
fn fill(weight: u32, align: u64) -> Partition {
    Partition { align, size: Length::Fill(weight), ..partition(None, 0, Kind::Mbr(0x83), 1) }
}

fn spans(options: &Options) -> Vec<(u64, u64)> {
    let places = Disk::places(options).unwrap();
    places.iter().map(|place| (place.start, place.start + place.len)).collect()
}

#[test]
fn a_partition_takes_what_is_left() {
    let of = |table, size, partitions| Options { size: Some(size), ..options(table, partitions) };
    let mbr = || Table::Mbr(None);
    let fixed = |size| partition(None, size, Kind::Mbr(0x83), 1);
    let alone = of(mbr(), 16 * MIB + 512, vec![fill(1, MIB)]);
    assert_eq!(spans(&alone), [(MIB, 16 * MIB + 512)]);
    // 33 sectors of a GPT's second copy.
    let gpt = Partition { kind: Kind::Gpt(LINUX), ..fill(1, MIB) };
    assert_eq!(spans(&of(Table::Gpt(None), 16 * MIB, vec![gpt])), [(MIB, 16 * MIB - 33 * 512)]);
    // Between others, and in front of one that is aligned.
    let last = Partition { align: 4 * MIB, ..fixed(MIB) };
    let between = of(mbr(), 16 * MIB, vec![fixed(2 * MIB), fill(1, MIB), last]);
    assert_eq!(spans(&between), [(MIB, 3 * MIB), (3 * MIB, 12 * MIB), (12 * MIB, 13 * MIB)]);
    let weighted = of(mbr(), 17 * MIB, vec![fill(1, MIB), fixed(4 * MIB), fill(3, MIB)]);
    assert_eq!(spans(&weighted), [(MIB, 4 * MIB), (4 * MIB, 8 * MIB), (8 * MIB, 17 * MIB)]);
    // A blob, and a partition with a place of its own, end what is left.
    let file = Part::File { file: NodeId::ROOT.into(), len: 10 };
    let mut blob = of(mbr(), 17 * MIB, vec![fill(1, MIB)]);
    blob.blobs.push(Blob { offset: 9 * MIB + 700, part: file });
    assert_eq!(spans(&blob), [(MIB, 9 * MIB + 512)]);
    let placed = partition(Some(8 * MIB), MIB, Kind::Mbr(0x83), 1);
    let chains = of(mbr(), 17 * MIB, vec![fill(1, MIB), placed, fill(1, MIB)]);
    assert_eq!(spans(&chains), [(MIB, 8 * MIB), (8 * MIB, 9 * MIB), (9 * MIB, 17 * MIB)]);
}

#[test]
fn only_overlaps_are_conflicts() {
    let error = |start, size| {
        let partitions = vec![partition(Some(start), size, Kind::Mbr(0x83), 0)];
        Disk::plan(options(Table::Mbr(None), partitions)).unwrap_err()
    };
    assert!(error(0, 512).is_conflict());
    assert!(!error(1 << 41, 512).is_conflict());
}

#[test]
fn nothing_left_is_an_error() {
    let fixed = partition(None, 15 * MIB, Kind::Mbr(0x83), 0);
    let of = |size| Options { size, ..options(Table::Mbr(None), vec![fixed_clone(&fixed), fill(1, MIB)]) };
    let item = Item::Partition(1);
    assert_eq!(Disk::places(&of(None)).unwrap_err(), DiskError::NoLength { item });
    let limit = 16 * MIB;
    let nothing = DiskError::NothingLeft { item, start: limit, limit };
    assert_eq!(Disk::places(&of(Some(limit))).unwrap_err(), nothing);
    assert_eq!(spans(&of(Some(limit + 512)))[1], (16 * MIB, 16 * MIB + 512));
    // The message says whether the partition would start behind the end, or others need what is left.
    let text = |start: u64| DiskError::NothingLeft { item, start, limit: 512 }.to_string();
    assert!(text(512).contains("it would start at 512, but the space for it ends at 512"), "{}", text(512));
    assert!(text(0).contains("other parts leave nothing for it before 512"), "{}", text(0));
}

/// A file has at most 2⁶³ - 1 bytes.
#[test]
fn a_disk_is_not_longer_than_a_file_can_be() {
    let most = i64::MAX.cast_unsigned();
    let tail = 33 * 512;
    let with_blob = |offset| {
        let part = Part::File { file: NodeId::ROOT.into(), len: 1 };
        let partitions = vec![partition(None, MIB, Kind::Gpt(LINUX), 0)];
        Disk::plan(Options { blobs: vec![Blob { offset, part }], ..options(Table::Gpt(None), partitions) })
    };
    let item = Item::Blob(0);
    // The backup table behind the blob would end one byte too late.
    assert_eq!(with_blob(most - tail).unwrap_err(), DiskError::TooLong { item, bytes: most + 1 });
    // It fits, but not up to the next block.
    assert_eq!(with_blob(most - tail - 1).unwrap_err(), DiskError::RoundedTooLong);
    let last_block = most - 4095 - tail;
    assert_eq!(with_blob(last_block - 1).unwrap().len(), most - 4095);
}

fn fixed_clone(partition: &Partition) -> Partition {
    Partition { name: partition.name.clone(), part: partition.part.clone(), ..*partition }
}

#[test]
fn the_length_of_a_disk_is_rounded() {
    let of = |round_to| {
        let partitions = vec![partition(None, 5 * MIB, Kind::Mbr(0x83), 0)];
        Disk::plan(Options { round_to, ..options(Table::Mbr(None), partitions) }).unwrap().len()
    };
    assert_eq!(of(RoundTo::Blocks), 6 * MIB);
    assert_eq!(of(RoundTo::Multiple(4 * MIB)), 8 * MIB);
    assert_eq!(of(RoundTo::Multiple(6 * MIB)), 6 * MIB);
    assert_eq!(of(RoundTo::PowerOfTwo), 8 * MIB);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Partitions that fill leave nothing that one of them could have, never overlap, and follow their weights.
    #[test]
    fn no_byte_is_wasted_and_none_is_missing(
        parts in prop::collection::vec((prop_oneof![1..4000_u64, 1..100_000_u64], 0..4_u32, 0..3_usize), 1..6),
        size in 40_000..600_000_u64,
        is_gpt in any::<bool>(),
    ) {
        let aligns = [512, 4096, MIB];
        let kind = if is_gpt { Kind::Gpt(LINUX) } else { Kind::Mbr(0x83) };
        let table = || if is_gpt { Table::Gpt(None) } else { Table::Mbr(None) };
        let partitions = || -> Vec<Partition> {
            let one = |&(sectors, weight, align): &(u64, u32, usize)| Partition {
                align: aligns[align],
                size: if weight == 0 { Length::Bytes(sectors * 512) } else { Length::Fill(weight) },
                kind,
                ..partition(None, 0, kind, 1)
            };
            parts.iter().take(4).map(one).collect()
        };
        let of = |partitions| Options { size: Some(size * 512), ..options(table(), partitions) };
        let filled = of(partitions());
        // With one sector for each that fills, all fits or nothing does.
        let given = |lengths: &dyn Fn(usize) -> u64| {
            let mut partitions = partitions();
            for (index, partition) in partitions.iter_mut().enumerate() {
                if let Length::Fill(_) = partition.size {
                    partition.size = Length::Bytes(lengths(index));
                }
            }
            Disk::places(&of(partitions))
        };
        let Ok(places) = Disk::places(&filled) else {
            prop_assert!(given(&|_| 512).is_err());
            return Ok(());
        };
        let lengths: Vec<u64> = places.iter().map(|place| place.len).collect();
        prop_assert_eq!(given(&|index| lengths[index]).unwrap(), places.clone());
        let fills: Vec<usize> =
            (0..places.len()).filter(|&index| matches!(filled.partitions[index].size, Length::Fill(_))).collect();
        let Some(&last) = fills.last() else { return Ok(()) };
        // The last one can't be longer.
        let longer = given(&|index| lengths[index] + 512 * u64::from(index == last));
        prop_assert!(longer.is_err());
        // Between a partition that fills and the next one is nothing, so the sum of all is the space.
        for &index in &fills {
            if let Some(next) = places.get(index + 1) {
                prop_assert_eq!(places[index].start + places[index].len, next.start);
            }
        }
        // By weight, but for alignment; the least is one sector.
        for two in fills.windows(2) {
            let weight = |index: usize| match filled.partitions[index].size {
                Length::Fill(weight) => u64::from(weight),
                _ => 0,
            };
            let [one, other] = [lengths[two[0]] * weight(two[1]), lengths[two[1]] * weight(two[0])];
            prop_assert!(one.abs_diff(other) <= 12 * 4 * MIB, "{:?}", places);
        }
    }
}

#[test]
fn messages_name_what_can_be_changed() {
    let plan = |partitions, blobs, size| {
        let error = Disk::plan(Options { size, blobs, ..options(Table::Mbr(None), partitions) }).unwrap_err();
        error.to_string()
    };
    let one = |start, size| partition(start, size, Kind::Mbr(0x83), 1);
    let file = |len| Part::File { file: NodeId::ROOT.into(), len };
    let blob = |offset, len| vec![Blob { offset, part: file(len) }];
    // The table can't be moved, wherever it is.
    for (offset, bytes) in [(400, "400 to 500"), (450, "450 to 550")] {
        assert_eq!(
            plan(vec![], blob(offset, 100), None),
            format!(
                "blob 1: bytes {bytes} overlap the partition table (bytes 440 to 512); move blob 1 to another offset"
            )
        );
    }
    assert_eq!(
        plan(vec![one(Some(512), 1024), one(Some(1024), 512)], vec![], None),
        "partition 1: bytes 512 to 1536 overlap partition 2 (bytes 1024 to 1536); move one of the two"
    );
    let short = Partition { part: file(700), ..one(None, 512) };
    assert_eq!(
        plan(vec![short], vec![], None),
        "partition 1: the content has 700 bytes, 188 more than the partition's 512; make it larger"
    );
    assert_eq!(
        plan(vec![one(Some(512), 1024)], vec![], Some(1024)),
        "partition 1: bytes 512 to 1536 are after the end of the disk's usable space at 1024; increase the size of the disk \
         or leave it out"
    );
    assert_eq!(
        plan(vec![one(Some(1 << 41), 512)], vec![], None),
        "partition 1: bytes 2199023255552 to 2199023256064 are beyond the 2 TiB that an mbr can address; use a GPT"
    );
    assert_eq!(
        plan(vec![], blob(u64::MAX, 2), None),
        "blob 1: its end exceeds 64 bits; use a smaller offset or size"
    );
    assert_eq!(
        plan(vec![fill(1, MIB)], vec![], None),
        "partition 1: it takes what the disk leaves, but the disk has no given length; set the size of the disk"
    );
    assert_eq!(
        plan(vec![fill(1, MIB)], vec![], Some(MIB)),
        "partition 1: it would start at 1048576, but the space for it ends at 1048576; increase the size of the disk, or make \
         others smaller"
    );
    assert_eq!(
        plan(vec![fill(1, MIB)], vec![], Some(511)),
        "the disk: 511 bytes are too few for the partition table, which has 512; increase the size of the disk"
    );
    let huge = 1 << 63;
    assert_eq!(
        plan(vec![], vec![], Some(huge)),
        "the disk: the disk would have 9223372036854775808 bytes, but a file has at most 9223372036854775807; decrease the \
         size of the disk"
    );
    assert_eq!(
        plan(vec![], blob(huge - 512, 512), None),
        "blob 1: the disk would have 9223372036854775808 bytes, but a file has at most 9223372036854775807; use a smaller \
         offset or size"
    );
    assert_eq!(
        plan(vec![], blob(huge - 1024, 512), None),
        "the disk: its rounded length is more than the 9223372036854775807 bytes that a file can have; decrease the rounding \
         of the disk's length"
    );
}
