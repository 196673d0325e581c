//! Every field of a container has its value, and every byte is the image's. The images have a few MiB of data, and lengths up to
//! several block tables.

use image_containers::{DynamicVhd, FixedVhd, Qcow2, Simg, SparseVmdk, Vdi, Vhdx, needed_blocks};
use image_tree::{Content, NodeId, Uuid};

use crate::readers::{
    read_dynamic_vhd, read_fixed_vhd, read_qcow2, read_simg, read_sparse_vmdk, read_vdi, read_vhdx,
};
use crate::support::{Bytes, Image, Reader, bytes};

const ID: Uuid = Uuid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10");
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const METADATA: Content = Content::Metadata;
const ZEROS: Content = Content::Zeros;
const UNUSED: Content = Content::Unused;

fn file() -> Content {
    Content::File { file: NodeId::ROOT.into(), offset: 0 }
}

fn file_zeros() -> Content {
    Content::FileZeros { file: NodeId::ROOT.into() }
}

/// Images whose lengths are multiples of 4 KiB. Pieces end within blocks, at their ends, and after several of them.
fn images() -> Vec<Image> {
    [
        vec![(METADATA, 4 * KIB)],
        vec![(ZEROS, MIB)],
        vec![(file(), MIB)],
        vec![(UNUSED, 2 * MIB + 4 * KIB), (METADATA, 4 * KIB)],
        vec![
            (file(), 64 * KIB),
            (METADATA, 64 * KIB),
            (ZEROS, 128 * KIB),
            (METADATA, 512),
            (file_zeros(), 63 * KIB + 512),
        ],
        vec![
            (METADATA, 1536),
            (ZEROS, 100 * KIB),
            (file(), 2 * MIB + 5 * KIB),
            (METADATA, 2 * MIB + 512),
            (file_zeros(), 3 * MIB),
            (METADATA, 70 * KIB),
            (UNUSED, 4 * MIB),
            (METADATA, 3 * KIB),
            (file(), 7 * KIB),
            (ZEROS, 70 * KIB),
        ],
        // Several tables of 32 MiB and of 512 MiB, and blocks on both sides of their limits.
        vec![
            (METADATA, KIB),
            (UNUSED, 32 * MIB - 65 * KIB),
            (METADATA, 128 * KIB),
            (ZEROS, 480 * MIB - 128 * KIB),
            (file(), 128 * KIB),
            (UNUSED, 1000 * MIB),
            (METADATA, 4 * KIB),
        ],
        // VHDX has an entry for a bitmap after 4 GiB.
        vec![
            (METADATA, 512),
            (UNUSED, 4 * GIB - MIB - 512),
            (file(), 2 * MIB),
            (ZEROS, 4 * GIB - MIB),
            (METADATA, 64 * KIB),
        ],
        vec![(UNUSED, 4 * GIB - 512), (METADATA, 512)],
        vec![(UNUSED, 4 * GIB), (METADATA, 4 * KIB)],
    ]
    .map(|pieces| {
        let len: u64 = pieces.iter().map(|(_, len)| len).sum();
        let rest = len.next_multiple_of(4 * KIB) - len;
        Image(pieces.into_iter().chain((rest > 0).then_some((ZEROS, rest))).collect())
    })
    .into()
}

#[test]
fn dynamic_vhd() {
    for image in images() {
        let container = DynamicVhd::new(&image, ID).unwrap();
        read_dynamic_vhd(&Reader::of(&container), ID).assert_is(&Reader::of(&image), &format!("{image:?}"));
    }
}

#[test]
fn fixed_vhd() {
    for len in [MIB, 5 * MIB] {
        let image = Image(vec![(METADATA, 1536), (ZEROS, len - 2048), (file(), 512)]);
        let container = FixedVhd::new(&image, ID).unwrap();
        assert!(read_fixed_vhd(&Reader::of(&container), ID) == bytes(&image));
    }
    // 150 cylinders of 4 heads and 17 sectors.
    let image = Image(vec![(UNUSED, 5 * MIB)]);
    let footer = Reader::of(&FixedVhd::new(&image, ID).unwrap()).bytes(5 * MIB, 512);
    assert_eq!(footer[56..60], [0, 150, 4, 17]);
}

#[test]
fn vdi() {
    for image in images() {
        let container = Vdi::new(&image, ID).unwrap();
        read_vdi(&Reader::of(&container), ID).assert_is(&Reader::of(&image), &format!("{image:?}"));
    }
    // The block map has more than 1 MiB from 256 GiB on.
    for len in [256 * GIB, 256 * GIB + 4 * KIB] {
        let image = Image(vec![(UNUSED, len - 512), (METADATA, 512)]);
        let container = Vdi::new(&image, ID).unwrap();
        let disk = read_vdi(&Reader::of(&container), ID);
        assert_eq!((disk.len, disk.blocks.len()), (len, 1));
        assert!(disk.blocks.contains_key(&((len - 1) / MIB)));
    }
}

#[test]
fn vhdx() {
    for image in images() {
        let container = Vhdx::new(&image, ID).unwrap();
        read_vhdx(&Reader::of(&container), ID).assert_is(&Reader::of(&image), &format!("{image:?}"));
    }
    // The block table fills 1 MiB with 131,041 blocks.
    for len in [131_040 * MIB, 131_041 * MIB, 131_042 * MIB] {
        let image = Image(vec![(UNUSED, len - 512), (METADATA, 512)]);
        let container = Vhdx::new(&image, ID).unwrap();
        let disk = read_vhdx(&Reader::of(&container), ID);
        assert_eq!((disk.len, disk.blocks.len()), (len, 1));
        assert!(disk.blocks.contains_key(&(len / MIB - 1)));
    }
}

#[test]
fn sparse_vmdk() {
    for image in images() {
        let container = SparseVmdk::new(&image, ID, "disk.vmdk").unwrap();
        read_sparse_vmdk(&Reader::of(&container)).assert_is(&Reader::of(&image), &format!("{image:?}"));
    }
    // 128 tables fill a sector of the directory. 141 tables end a sector after a multiple of 64 KiB.
    for len in [4 * GIB - 64 * KIB, 4 * GIB, 4 * GIB + 512, 141 * 32 * MIB] {
        let image = Image(vec![(UNUSED, len - 512), (METADATA, 512)]);
        let container = SparseVmdk::new(&image, ID, "disk.vmdk").unwrap();
        let disk = read_sparse_vmdk(&Reader::of(&container));
        assert_eq!((disk.len, disk.blocks.len()), (len, 1));
    }
}

#[test]
fn qcow2() {
    for image in images() {
        let container = Qcow2::new(&image).unwrap();
        read_qcow2(&Reader::of(&container)).assert_is(&Reader::of(&image), &format!("{image:?}"));
    }
    // An L1 table of one cluster has 4 TiB.
    for len in [4 << 40, (4 << 40) + 512] {
        let image = Image(vec![(METADATA, 512), (UNUSED, len - 1024), (METADATA, 512)]);
        let container = Qcow2::new(&image).unwrap();
        let disk = read_qcow2(&Reader::of(&container));
        assert_eq!((disk.len, disk.blocks.len()), (len, 2));
        assert!(disk.blocks.contains_key(&((len - 1) / (64 * KIB))));
    }
}

/// Every byte that may be read, no other, and in the order of the image. Block maps have the same blocks.
#[test]
fn simg() {
    for image in images() {
        let what = format!("{image:?}");
        let container = Simg::new(&image).unwrap();
        let (file, image) = (Reader::of(&container), Reader::of(&image));
        let parts = read_simg(&file);
        let mut reached = 0;
        for (at, len, bytes) in &parts {
            assert!(reached <= *at, "{what}");
            let is_zero = image.is_zero(*at, *len);
            assert_eq!(bytes.is_none(), is_zero, "{what}");
            if let Some(place) = bytes {
                assert!(file.bytes(*place, *len) == image.bytes(*at, *len), "{what}");
            }
            reached = at + len;
        }
        let needed = |block: u64| image.is_needed(block * 4096, 4096);
        let mapped: Vec<u64> = parts.iter().flat_map(|(at, len, _)| at / 4096..(at + len) / 4096).collect();
        let expected: Vec<u64> = (0..image.len() / 4096).filter(|block| needed(*block)).collect();
        assert!(mapped == expected, "{what}");
        let ranges = needed_blocks(image.image(), 4096);
        assert!(ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0), "{what}: ranges touch");
        let mapped: Vec<u64> = ranges.iter().flat_map(|(first, count)| *first..first + count).collect();
        assert!(mapped == expected, "{what}");
    }
}
