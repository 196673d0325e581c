//! The shortest and the longest image of each format.

use image_containers::{
    BlockCompression, ContainerError, DynamicVhd, FixedVhd, PackedQcow2, Qcow2, SparseVmdk, StreamVmdk, Vdi,
    Vhdx,
};
use image_tree::{Content, Uuid};

use crate::support::Image;

const ID: Uuid = Uuid([7; 16]);
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Whether the format allows an image of this length.
type Result = std::result::Result<(), ContainerError>;

fn image(len: u64) -> Image {
    Image(if len == 0 { Vec::new() } else { vec![(Content::Unused, len)] })
}

/// Lengths are multiples of `unit`, and `least` and `most` are possible.
fn check(allows: impl Fn(u64) -> Result, unit: u64, least: u64, most: u64) {
    for len in [least, least + unit, most - unit, most] {
        assert_eq!(allows(len), Ok(()), "{len}");
    }
    assert_eq!(allows(most + unit), Err(ContainerError::TooLong { len: most + unit, most }));
    for len in [least + unit - 1, least + unit + 1, most - 1] {
        assert_eq!(allows(len), Err(ContainerError::OddLength { len, block: unit }));
    }
    if least > 0 {
        assert_eq!(allows(0), Err(ContainerError::OddLength { len: 0, block: unit }));
    }
}

#[test]
fn lengths_that_a_format_can_not_have_are_refused() {
    check(|len| FixedVhd::new(&image(len), ID).map(|_| ()), MIB, MIB, 2040 * GIB);
    check(|len| DynamicVhd::new(&image(len), ID).map(|_| ()), 512, 512, 2040 * GIB);
    check(|len| Vdi::new(&image(len), ID).map(|_| ()), 512, 0, 512 * TIB);
    check(|len| Vhdx::new(&image(len), ID).map(|_| ()), 512, 512, 64 * TIB);
    check(|len| SparseVmdk::new(&image(len), ID, "x").map(|_| ()), 512, 512, 2047 * GIB);
    check(|len| StreamVmdk::new(len, ID).map(|_| ()), 512, 512, 2 * TIB - 512);
    check(|len| Qcow2::new(&image(len)).map(|_| ()), 512, 0, 2048 * TIB);
    let deflate = BlockCompression::Deflate { level: 6 };
    check(|len| PackedQcow2::new(len, deflate).map(|_| ()), 512, 0, 2048 * TIB);
}

#[test]
fn messages_say_what_to_do() {
    for (error, expected) in [
        (
            ContainerError::OddLength { len: 513, block: 512 },
            "the image has 513 bytes, but the format needs a multiple of 512; choose another size",
        ),
        (
            ContainerError::TooLong { len: 513, most: 512 },
            "the image has 513 bytes, but the format allows at most 512; choose another format",
        ),
        (
            ContainerError::Member,
            "the member's name is not one of at most 100 bytes, relative, and without \"..\"; choose a name such as \"disk.raw\"",
        ),
        (
            ContainerError::Description,
            "the description of the virtual machine does not name the disk; write its name as the ovf:href of a File, in double quotes",
        ),
    ] {
        assert_eq!(error.to_string(), expected);
    }
}
