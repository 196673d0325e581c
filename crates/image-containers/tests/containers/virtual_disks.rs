//! Virtual disks are read back by qemu-img: every byte is the image's, for any pieces.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::process::Command;

use image_containers::{ContainerError, DynamicVhd, FixedVhd, SparseVmdk, Vdi, Vhdx};
use image_tree::{Content, NodeId, PieceSource, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Image, bytes};

const ID: Uuid = Uuid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
const MIB: u64 = 1 << 20;

/// Has qemu-img convert a container to a raw image.
fn converted(container: &dyn PieceSource, format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (file, raw) = (folder.path().join("disk"), folder.path().join("raw"));
    fs::write(&file, bytes(container)).unwrap();
    let run =
        Command::new("qemu-img").args(["convert", "-f", format, "-O", "raw"]).arg(&file).arg(&raw).output();
    let run = run.expect("these tests need qemu-img");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    if matches!(format, "vdi" | "vhdx" | "vmdk") {
        let check = Command::new("qemu-img").args(["check", "-f", format]).arg(&file).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    }
    fs::read(raw).unwrap()
}

fn sparse_vmdk(image: &Image) -> SparseVmdk<'_> {
    SparseVmdk::new(image, ID, "disk.vmdk").unwrap()
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Metadata),
        Just(Content::Zeros),
        Just(Content::Unused),
        Just(Content::File { file: NodeId::ROOT.into(), offset: 0 }),
    ]
}

/// Pieces of sectors, some of them longer than a block, and as many as make whole MiB.
fn image() -> impl Strategy<Value = Image> {
    let len = prop_oneof![6 => 1..64_u64, 3 => 64..3000_u64, 1 => 3000..12_000_u64];
    vec((content(), len), 1..12).prop_map(|pieces| {
        let mut pieces: Vec<_> =
            pieces.into_iter().map(|(content, sectors)| (content, sectors * 512)).collect();
        let len: u64 = pieces.iter().map(|piece| piece.1).sum();
        let rest = len.next_multiple_of(MIB) - len;
        if rest > 0 {
            pieces.push((Content::Metadata, rest));
        }
        Image(pieces)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_read_back(image in image()) {
        let expected = bytes(&image);
        prop_assert!(converted(&FixedVhd::new(&image, ID).unwrap(), "vpc") == expected, "fixed VHD");
        prop_assert!(converted(&DynamicVhd::new(&image, ID).unwrap(), "vpc") == expected, "dynamic VHD");
        prop_assert!(converted(&Vdi::new(&image, ID).unwrap(), "vdi") == expected, "VDI");
        prop_assert!(converted(&Vhdx::new(&image, ID).unwrap(), "vhdx") == expected, "VHDX");
        prop_assert!(converted(&sparse_vmdk(&image), "vmdk") == expected, "VMDK");
    }
}

/// The limit is that of the file: its grains are at sectors of 32 bits.
#[test]
fn sparse_vmdk_has_a_name_and_fewer_sectors_than_32_bits() {
    let image = |len| Image(vec![(Content::Metadata, 512), (Content::Unused, len - 512)]);
    let most = (2047 << 30, (2047 << 30) + 512);
    let (short, longest, long) = (image(1024), image(most.0), image(most.1));
    assert!(matches!(
        SparseVmdk::new(&Image(vec![(Content::Unused, 511)]), ID, "x").err(),
        Some(ContainerError::OddLength { block: 512, .. })
    ));
    assert!(SparseVmdk::new(&longest, ID, "x").is_ok());
    assert!(matches!(SparseVmdk::new(&long, ID, "x").err(), Some(ContainerError::TooLong { .. })));
    // All grains of the longest disk, with data: the last one begins at a sector that is below 2³².
    let full = SparseVmdk::new(&longest, ID, "x").unwrap().len() - (64 << 10) + most.0;
    assert!(full / 512 < 1 << 32, "{full}");
    assert!(longest.len() > 2046 << 30 && SparseVmdk::new(&longest, ID, "x").unwrap().len() < 600 * MIB);
    for name in ["a\"b", "a\nb", "a\rb", "a\0b", &"x".repeat(101)] {
        assert_eq!(SparseVmdk::new(&short, ID, name).err(), Some(ContainerError::Member), "{name}");
    }
    assert!(SparseVmdk::new(&short, ID, &"x".repeat(100)).is_ok());
}

/// Readers take the redundant directory where the other is damaged: both say the same of every grain.
#[test]
fn both_directories_of_a_sparse_vmdk_name_the_same_grains() {
    let image =
        Image(vec![(Content::Metadata, 5 << 20), (Content::Zeros, 80 << 20), (Content::Metadata, 777 * 512)]);
    let file = bytes(&sparse_vmdk(&image));
    let word = |at: usize| usize::try_from(u32::from_le_bytes(file[at..at + 4].try_into().unwrap())).unwrap();
    let tables = image.len().div_ceil(32 << 20);
    let grains = |directory: usize| -> Vec<usize> {
        let tables = (0..usize::try_from(tables).unwrap()).map(|number| word(directory * 512 + number * 4));
        tables
            .flat_map(|table| (0..512).map(move |number| (table, number)))
            .map(|(table, number)| word(table * 512 + number * 4))
            .collect()
    };
    let (redundant, usual) = (word(48), word(56));
    assert!(redundant < usual);
    assert_eq!(grains(redundant), grains(usual));
    assert!(grains(usual).iter().filter(|grain| **grain != 0).count() >= 80 + 6);
}

#[test]
fn a_large_empty_disk_takes_no_space() {
    let image =
        Image(vec![(Content::Metadata, 4096), (Content::Unused, 100 << 30), (Content::Metadata, 4096)]);
    assert!(DynamicVhd::new(&image, ID).unwrap().len() < 5 * MIB);
    assert!(Vdi::new(&image, ID).unwrap().len() < 5 * MIB);
    assert!(Vhdx::new(&image, ID).unwrap().len() < 7 * MIB);
    assert!(sparse_vmdk(&image).len() < 14 * MIB);
}

/// A disk that ends within a block, and one of more than 4 GiB, whose block table has an entry for a sector bitmap.
#[test]
fn vhdx_of_any_length_is_read_back() {
    let data = |sectors: u64| (Content::Metadata, sectors * 512);
    let short = Image(vec![data(7)]);
    assert!(converted(&Vhdx::new(&short, ID).unwrap(), "vhdx") == bytes(&short));
    let far = (4 << 30) - 3 * MIB;
    let long = Image(vec![data(3), (Content::Unused, far), data(9000), (Content::Zeros, MIB), data(5)]);
    let folder = tempfile::tempdir().unwrap();
    let (file, raw) = (folder.path().join("disk"), folder.path().join("raw"));
    fs::write(&file, bytes(&Vhdx::new(&long, ID).unwrap())).unwrap();
    for arguments in [&["check", "-f", "vhdx"][..], &["convert", "-f", "vhdx", "-O", "raw"]] {
        let target = (arguments[0] == "convert").then_some(&raw);
        let run = Command::new("qemu-img").args(arguments).arg(&file).args(target).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    let mut raw = fs::File::open(raw).unwrap();
    assert_eq!(raw.metadata().unwrap().len(), long.len());
    for piece in long.pieces().filter(|piece| piece.content == Content::Metadata) {
        let len = usize::try_from(piece.len).unwrap();
        let (mut expected, mut found) = (vec![0; len], vec![0; len]);
        long.generate(&piece, &mut expected);
        raw.seek(SeekFrom::Start(piece.offset)).unwrap();
        raw.read_exact(&mut found).unwrap();
        assert!(found == expected, "{piece:?}");
    }
}
