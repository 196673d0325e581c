//! Virtual disks are read back by qemu-img: every byte is the image's, for any pieces.

use std::fs;
use std::process::Command;

use image_containers::{ContainerError, DynamicVhd, FixedVhd, Vdi};
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
    if format == "vdi" {
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
}
