//! Virtual disks are read back by qemu-img: every byte is the image's, for any pieces.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::process::Command;

use image_containers::{ContainerError, DynamicVhd, FixedVhd, Vdi, Vhdx};
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
    if matches!(format, "vdi" | "vhdx") {
        let check = Command::new("qemu-img").args(["check", "-f", format]).arg(&file).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    }
    fs::read(raw).unwrap()
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
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_read_back(image in image()) {
        let expected = bytes(&image);
        prop_assert!(converted(&FixedVhd::new(&image, ID).unwrap(), "vpc") == expected, "fixed VHD");
        prop_assert!(converted(&DynamicVhd::new(&image, ID).unwrap(), "vpc") == expected, "dynamic VHD");
        prop_assert!(converted(&Vdi::new(&image, ID).unwrap(), "vdi") == expected, "VDI");
        prop_assert!(converted(&Vhdx::new(&image, ID).unwrap(), "vhdx") == expected, "VHDX");
    }
}

#[test]
fn lengths_that_a_format_can_not_have_are_refused() {
    let image = |len| Image(vec![(Content::Unused, len)]);
    let odd = |block| Some(ContainerError::OddLength { len: MIB + 512, block });
    assert_eq!(FixedVhd::new(&image(MIB + 512), ID).err(), odd(MIB));
    assert!(DynamicVhd::new(&image(MIB + 512), ID).is_ok() && Vdi::new(&image(MIB + 512), ID).is_ok());
    let refused = |error| matches!(error, Some(ContainerError::OddLength { block: 512, .. }));
    assert!(refused(DynamicVhd::new(&image(MIB + 511), ID).err()));
    assert!(refused(Vdi::new(&image(MIB + 511), ID).err()));
    assert!(Vhdx::new(&image(MIB + 512), ID).is_ok() && refused(Vhdx::new(&image(MIB + 511), ID).err()));
    assert!(Vhdx::new(&image(64 << 40), ID).is_ok());
    assert!(matches!(Vhdx::new(&image((64 << 40) + 512), ID).err(), Some(ContainerError::TooLong { .. })));
    let long = image((2040 << 30) + MIB);
    assert!(matches!(FixedVhd::new(&long, ID).err(), Some(ContainerError::TooLong { .. })));
    assert!(matches!(DynamicVhd::new(&long, ID).err(), Some(ContainerError::TooLong { .. })));
    assert!(DynamicVhd::new(&image(2040 << 30), ID).is_ok() && Vdi::new(&long, ID).is_ok());
    assert!(matches!(Vdi::new(&image((1 << 49) + 512), ID).err(), Some(ContainerError::TooLong { .. })));
}

#[test]
fn a_large_empty_disk_takes_no_space() {
    let image =
        Image(vec![(Content::Metadata, 4096), (Content::Unused, 100 << 30), (Content::Metadata, 4096)]);
    assert!(DynamicVhd::new(&image, ID).unwrap().len() < 5 * MIB);
    assert!(Vdi::new(&image, ID).unwrap().len() < 5 * MIB);
    assert!(Vhdx::new(&image, ID).unwrap().len() < 7 * MIB);
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
