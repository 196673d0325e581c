//! Writes containers and block maps of random images over a used device. Every byte that may be read must be the
//! image's, for any pieces.

use image_containers::{Qcow2, Simg, needed_blocks};
use image_tree::{Content, NodeId, PieceSource};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::readers::read_simg;
use crate::support::{Bytes, Image, Reader, bytes};

const BLOCK: u64 = 4096;

/// Whether each byte of an image may be read.
fn is_needed(image: &Image) -> Vec<bool> {
    let pieces = image.pieces();
    pieces
        .flat_map(|piece| {
            std::iter::repeat_n(piece.content != Content::Unused, usize::try_from(piece.len).unwrap())
        })
        .collect()
}

fn assert_same_where_needed(image: &Image, device: &[u8], how: &str) {
    let should = bytes(image);
    assert_eq!(should.len(), device.len());
    let needed = is_needed(image);
    let wrong = (0..should.len()).find(|&at| needed[at] && should[at] != device[at]);
    assert_eq!(wrong, None, "{how} of {image:?}");
}

/// A device with other contents.
fn used_device(image: &Image) -> Vec<u8> {
    vec![0xff; usize::try_from(image.len()).unwrap()]
}

fn word(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
}

/// Writes a sparse image to a device, by the specification of the format.
fn flash_simg(container: &[u8], device: &mut [u8]) -> usize {
    assert_eq!(word(container, 0), 0xed26_ff3a);
    let (blocks, chunks) = (word(container, 16), word(container, 20));
    let (mut at, mut block, mut skipped) = (28, 0, 0);
    for _ in 0..chunks {
        let kind = u16::from_le_bytes(container[at..at + 2].try_into().unwrap());
        let (count, total) = (word(container, at + 4), word(container, at + 8));
        let target = &mut device[block * 4096..(block + count) * 4096];
        match kind {
            0xcac1 => target.copy_from_slice(&container[at + 12..at + total]),
            0xcac2 => {
                assert_eq!(&container[at + 12..at + total], [0; 4]);
                target.fill(0);
            }
            0xcac3 => {
                assert_eq!(total, 12);
                skipped += count;
            }
            other => panic!("chunk of kind {other:#x}"),
        }
        assert!(count > 0);
        at += total;
        block += count;
    }
    assert_eq!((at, block), (container.len(), blocks));
    skipped
}

/// Reads all bytes of a qcow2 file, by the specification of the format.
fn read_qcow2(container: &[u8]) -> Vec<u8> {
    let big = |at: usize| u64::from_be_bytes(container[at..at + 8].try_into().unwrap());
    let at = |entry: u64| usize::try_from(entry & 0x00ff_ffff_ffff_fe00).unwrap();
    assert_eq!(&container[..4], b"QFI\xfb");
    let len = usize::try_from(big(24)).unwrap();
    let first = usize::try_from(big(40)).unwrap();
    let mut guest = vec![0; len];
    for (cluster, target) in guest.chunks_mut(65536).enumerate() {
        let second = at(big(first + 8 * (cluster / 8192)));
        let data = if second == 0 { 0 } else { at(big(second + 8 * (cluster % 8192))) };
        if data > 0 {
            let part = target.len();
            target.copy_from_slice(&container[data..data + part]);
        }
    }
    guest
}

fn content() -> impl Strategy<Value = Content> {
    let file = NodeId::ROOT.into();
    prop_oneof![
        Just(Content::Zeros),
        Just(Content::Unused),
        Just(Content::FileZeros { file }),
        Just(Content::Metadata),
        Just(Content::File { file, offset: 0 }),
    ]
}

fn image() -> impl Strategy<Value = Image> {
    let len = prop_oneof![
        4 => 1..5000_u64,
        4 => (1..40_u64).prop_map(|blocks| blocks * BLOCK),
        1 => (1..5_u64).prop_map(|clusters| clusters * 65536),
        1 => 1..300_000_u64,
    ];
    vec((content(), len), 1..40).prop_map(|mut pieces| {
        let all: u64 = pieces.iter().map(|piece| piece.1).sum();
        let rest = all.next_multiple_of(BLOCK) - all;
        pieces.extend((rest > 0).then_some((Content::Zeros, rest)));
        Image(pieces)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_used_device_gets_every_byte_that_may_be_read(image in image()) {
        // With a block map.
        let (should, mut device) = (bytes(&image), used_device(&image));
        let mut end = 0;
        let mut mapped = 0;
        for (first, count) in needed_blocks(&image, BLOCK) {
            prop_assert!(count > 0 && (first > end || end == 0), "ranges are disjoint and ascending");
            end = first + count;
            mapped += count;
            let range = usize::try_from(first * BLOCK).unwrap()..usize::try_from(end * BLOCK).unwrap();
            device[range.clone()].copy_from_slice(&should[range]);
        }
        assert_same_where_needed(&image, &device, "a map");
        // No range has only unused blocks.
        let needed = is_needed(&image);
        let wanted = needed.chunks(4096).filter(|block| block.contains(&true)).count();
        prop_assert_eq!(usize::try_from(mapped).unwrap(), wanted);
        // In Android's sparse format, which fills needed zeros.
        let mut device = used_device(&image);
        let skipped = flash_simg(&bytes(&Simg::new(&image).unwrap()), &mut device);
        assert_same_where_needed(&image, &device, "simg");
        prop_assert_eq!(skipped + wanted, needed.len() / 4096);
        // In qcow2 all bytes are the image's: missing clusters read as zeros.
        let container = bytes(&Qcow2::new(&image).unwrap());
        prop_assert!(read_qcow2(&container) == should, "qcow2");
        let data = |cluster: &[u8]| cluster.iter().any(|byte| *byte != 0);
        let clusters = should.chunks(65536).filter(|cluster| data(cluster)).count();
        prop_assert!(container.len() <= (clusters + 5) * 65536, "{clusters} clusters of data");
    }
}

#[test]
fn long_runs_of_data_are_split_without_loss() {
    let file = NodeId::ROOT.into();
    let data = |len| (Content::File { file, offset: 0 }, len);
    let image = Image(vec![
        (Content::Metadata, BLOCK),
        data((256 << 20) - 100),
        (Content::Metadata, 3 * BLOCK + 100),
        data(300 << 20),
        (Content::Unused, 7 * BLOCK),
    ]);
    let simg = Simg::new(&image).unwrap();
    let (file, all) = (Reader::of(&simg), image.len() / BLOCK);
    let mut reached = 0;
    for (at, len, place) in read_simg(&file) {
        assert_eq!(at, reached);
        // With the metadata that begins in its last block.
        assert!(len <= (256 << 20) + 4 * BLOCK);
        for part in [0, len / 2, len - BLOCK] {
            assert!(file.bytes(place.unwrap() + part, BLOCK) == Reader::of(&image).bytes(at + part, BLOCK));
        }
        reached = at + len;
    }
    assert_eq!(reached / BLOCK, all - 7);
    assert_eq!(needed_blocks(&image, BLOCK), [(0, all - 7)]);
}
