//! Bodies for layouts. Any tree and any options give a valid layout without gaps, or an error.

use closure_registration::{NarPart, nar_parts, nar_size};
use disk_layout::{Blob, Disk, Kind, Length, Part, Partition, RoundTo, Table, TableId};
use ext4_layout::{Compatibility, Layout};
use ext4_verify::{Unused, check};
use fat_layout::{Bits, FatLayout};
use image_containers::{DynamicVhd, FixedVhd, Qcow2, Simg, SparseVmdk, Tar, Vdi, Vhdx};
use image_reader::{Ext4, Fat, FileSystem, PartitionTable, Window};
use image_tree::{FileTree, NodeId, PieceSource, SectorSize, Timestamp, Uuid, to_u64};
use std::sync::Arc;

use crate::images::read_all;
use crate::memory::{Memory, assembled, assert_covers};
use crate::trees::{Flavour, tree};
use crate::{Choices, Outcome, assert_one_line};

/// Maximum length in \[bytes\] of an image that is generated.
const MAX_IMAGE: u64 = 24 << 20;

/// Maximum length in \[bytes\] of an image whose pieces are all checked.
const MAX_PIECES: u64 = 1 << 44;

/// Computes the NAR of any tree. Its size must be that of its parts.
pub fn nar(bytes: &[u8]) -> Outcome {
    let tree = tree(&mut Choices::new(bytes), Flavour::Any);
    let (size, parts) = (nar_size(&tree, NodeId::ROOT), nar_parts(&tree, NodeId::ROOT));
    match (size, parts) {
        (Ok(size), Ok(parts)) => {
            let sum = parts.fold(0_u64, |sum, part| match part {
                NarPart::Framing(bytes) => sum.saturating_add(to_u64(bytes.len())),
                NarPart::File { size, .. } => sum.saturating_add(size),
            });
            assert_eq!(size, sum);
            assert!(size.is_multiple_of(8) || size == u64::MAX, "{size}");
            Outcome::Accepted
        }
        (Err(one), Err(other)) => {
            assert_eq!(one, other);
            assert_one_line(&one.to_string());
            Outcome::Refused
        }
        (size, _) => panic!("the size and the parts of a NAR do not agree: {size:?}"),
    }
}

/// Lays out any tree as ext4, with the minimum or a fixed size, and in containers.
pub fn ext4(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    let flavour = if choices.below(4) == 0 { Flavour::Any } else { Flavour::Short };
    let options = ext4_options(&mut choices, flavour);
    let tree = tree(&mut choices, flavour);
    let layout = match Layout::plan(&tree, &options) {
        Ok(layout) => layout,
        Err(error) => {
            assert_one_line(&error.to_string());
            return Outcome::Refused;
        }
    };
    let summary = layout.summary();
    assert!(summary.free_blocks >= options.free_space.div_ceil(4096), "{summary:?}");
    assert!(summary.free_inodes >= options.free_inodes, "{summary:?}");
    assert!(options.size.is_none_or(|size| size == layout.len()), "{summary:?}");
    if layout.len() > MAX_PIECES {
        return Outcome::Accepted;
    }
    assert_covers(&layout);
    if layout.len() <= MAX_IMAGE {
        in_containers(&layout);
        let image = assembled(&layout, &tree);
        let findings = check(&image.0, Unused::Zeros);
        assert!(findings.as_ref().is_ok_and(ext4_verify::Findings::is_empty), "{findings:?}");
        let fs = Ext4::open(Window::whole(Arc::new(image))).map(FileSystem::Ext4);
        assert_same_names(&tree, &fs.unwrap_or_else(|error| panic!("{error}")));
    }
    Outcome::Accepted
}

fn in_containers(image: &dyn PieceSource) {
    match Qcow2::new(image) {
        Ok(qcow2) => assert!(assert_covers(&qcow2) > 0),
        Err(error) => assert_one_line(&error.to_string()),
    }
    let id = Uuid([7; 16]);
    let containers: [Result<Box<dyn PieceSource>, _>; 6] = [
        DynamicVhd::new(image, id).map(|vhd| -> Box<dyn PieceSource> { Box::new(vhd) }),
        FixedVhd::new(image, id).map(|vhd| -> Box<dyn PieceSource> { Box::new(vhd) }),
        Vdi::new(image, id).map(|vdi| -> Box<dyn PieceSource> { Box::new(vdi) }),
        Vhdx::new(image, id).map(|vhdx| -> Box<dyn PieceSource> { Box::new(vhdx) }),
        SparseVmdk::new(image, id, "disk.vmdk").map(|vmdk| -> Box<dyn PieceSource> { Box::new(vmdk) }),
        Tar::new(image, "disk.raw").map(|tar| -> Box<dyn PieceSource> { Box::new(tar) }),
    ];
    for container in containers {
        match container {
            Ok(container) => assert!(assert_covers(&*container) > 0),
            Err(error) => assert_one_line(&error.to_string()),
        }
    }
    match Simg::new(image) {
        Ok(simg) => assert!(assert_covers(&simg) > 0),
        Err(error) => assert_one_line(&error.to_string()),
    }
}

/// Reads back the names of a tree. None must be lost or added.
fn assert_same_names(tree: &FileTree, fs: &FileSystem) {
    let (names, outcome) = read_all(fs);
    let written = to_u64(tree.iter().count()) - 1;
    if written < 2000 {
        assert_eq!((names, outcome), (written, Outcome::Accepted));
    }
}

fn ext4_options(choices: &mut Choices<'_>, flavour: Flavour) -> ext4_layout::Options {
    let any = |choices: &mut Choices<'_>| if flavour == Flavour::Any { choices.size() } else { 0 };
    let byte = choices.byte().max(1);
    // Of a byte that is read anyway, so that older inputs mean what they meant.
    let compatibility = if byte % 4 == 3 { Compatibility::Legacy } else { Compatibility::Current };
    ext4_layout::Options::default()
        .with_compatibility(compatibility)
        .with_sealed(false)
        .with_label_bytes(*b"FUZZ\0\0\0\0\0\0\0\0\0\0\0\0")
        .with_uuid([byte; 16])
        .with_free_space(u64::from(choices.byte()).saturating_mul(4096).saturating_add(any(choices)))
        .with_free_inodes(u64::from(choices.byte()).saturating_add(any(choices)))
        .with_size(match choices.below(4) {
            0 => Some(choices.size() & !0xfff),
            _ => None,
        })
        .with_grow_to(match choices.below(4) {
            0 => Some(choices.size()),
            1 => Some(1 << 40),
            _ => None,
        })
        .with_bytes_per_inode(match choices.below(4) {
            0 => 16384,
            1 => choices.size().max(1024),
            2 => 1024 << choices.below(20),
            _ => 64 << 20,
        })
        .with_journal_size(match choices.below(4) {
            0 => None,
            1 => Some((4 << 20) + (u64::from(choices.byte()) << 12)),
            _ => Some(0),
        })
        .with_reserved(choices.flag().then(|| u32::from(choices.byte()) * 196))
        .with_timestamp(Timestamp::new(i64::from(choices.byte()) << 24, 0).unwrap_or(Timestamp::STORE))
}

fn sector_size(choices: &mut Choices<'_>) -> SectorSize {
    if choices.below(4) == 0 { SectorSize::Bytes4096 } else { SectorSize::Bytes512 }
}

/// Lays out any directories and files as FAT, and reads them back.
pub fn fat(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    let sector = sector_size(&mut choices);
    let options = fat_layout::Options {
        sector,
        bytes: match choices.below(4) {
            0 => choices.size(),
            1 => (33 << 20) + (u64::from(choices.byte()) << 12),
            _ => (5 << 20) + (u64::from(choices.byte()) << 14),
        },
        free_space: if choices.flag() { u64::from(choices.byte()) << 14 } else { 0 },
        label: fat_layout::NO_LABEL,
        id: 0x2178_694e,
        bits: match choices.below(3) {
            0 => None,
            1 => Some(Bits::Fat16),
            _ => Some(Bits::Fat32),
        },
    };
    let tree = tree(&mut choices, Flavour::Firmware);
    let layout = match FatLayout::plan(&tree, &options) {
        Ok(layout) => layout,
        Err(error) => {
            assert_one_line(&error.to_string());
            return Outcome::Refused;
        }
    };
    assert_eq!(layout.len(), options.bytes);
    assert_covers(&layout);
    if layout.len() <= MAX_IMAGE {
        let image = assembled(&layout, &tree);
        let fs = Fat::open(Window::whole(Arc::new(image))).map(FileSystem::Fat);
        assert_same_names(&tree, &fs.unwrap_or_else(|error| panic!("{error}")));
    }
    Outcome::Accepted
}

/// Lays out partitions and blobs at any offsets. They must not overlap, or there must be an error. Reads back the table.
pub fn disk(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    let gpt = choices.flag();
    let sector = sector_size(&mut choices);
    let sectors = |number: u64| number & !(sector.bytes() - 1);
    let count = choices.below(5);
    let partitions = (0..count).map(|_| Partition {
        start: choices.flag().then(|| sectors(choices.size())),
        align: [sector.bytes(), 4096, Partition::ALIGNMENT][usize::from(choices.below(3))],
        size: match choices.below(4) {
            0 => Length::Content,
            1 => Length::Fill(u32::from(choices.byte()) + 1),
            _ => Length::Bytes(sectors(choices.size()).max(sector.bytes())),
        },
        kind: if gpt { Kind::Gpt([7; 16]) } else { Kind::Mbr(choices.byte().max(1)) },
        bootable: choices.flag(),
        name: String::from("p").repeat(usize::from(choices.below(37))),
        guid: choices.flag().then(|| [choices.byte(); 16]),
        part: match choices.below(3) {
            0 => Part::Empty,
            _ => Part::File { file: NodeId::ROOT.into(), len: sectors(choices.size()) },
        },
    });
    let partitions: Vec<_> = partitions.collect();
    let count = choices.below(3);
    let blobs = (0..count).map(|_| Blob {
        offset: choices.size(),
        part: Part::File { file: NodeId::ROOT.into(), len: choices.size() },
    });
    let blobs: Vec<_> = blobs.collect();
    let options = disk_layout::Options {
        table: if gpt { Table::Gpt(None) } else { Table::Mbr(None) },
        size: choices.flag().then(|| sectors(choices.size()).max(sector.bytes())),
        round_to: match choices.below(3) {
            0 => RoundTo::Blocks,
            1 => RoundTo::Multiple(4096 * (1 + u64::from(choices.byte()))),
            _ => RoundTo::PowerOfTwo,
        },
        sector,
        seed: [5; 16],
        partitions,
        blobs,
    };
    let disk = match Disk::plan(options) {
        Ok(disk) => disk,
        Err(error) => {
            assert_one_line(&error.to_string());
            return Outcome::Refused;
        }
    };
    assert_covers(&disk);
    assert_table(&disk);
    Outcome::Accepted
}

/// Reads the partition table from the metadata of a disk.
fn assert_table(disk: &Disk) {
    // An MBR does not store its sector size, and these partitions have no file systems to guess it from.
    let is_unknown = disk.options().sector != SectorSize::Bytes512 && matches!(disk.table(), TableId::Mbr(_));
    if disk.len() > MAX_IMAGE || is_unknown {
        return;
    }
    let mut bytes = vec![0; image_tree::to_usize(disk.len())];
    for piece in disk.pieces() {
        let from = image_tree::to_usize(piece.offset);
        if let (image_tree::Content::Metadata, Some(part)) =
            (piece.content, bytes.get_mut(from..from + image_tree::to_usize(piece.len)))
        {
            disk.generate(&piece, part);
        }
    }
    let read = PartitionTable::read(&Window::whole(Arc::new(Memory(bytes))));
    let read = read.unwrap_or_else(|error| panic!("{error}"));
    let found: Vec<_> = read.iter().flat_map(|table| &table.partitions).map(|p| (p.start, p.size)).collect();
    let placed: Vec<_> = disk.partitions().iter().map(|p| (p.start, p.len)).collect();
    assert_eq!(found, placed);
}
