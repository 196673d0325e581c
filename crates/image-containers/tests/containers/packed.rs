//! Containers with compressed blocks are read back by qemu-img, by 7-Zip, and by readers that follow the specifications
//! strictly: every byte is the image's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use image_containers::{BlockCompression, ContainerError, Ova, PackedQcow2, StreamVmdk};
use image_tree::{Content, PackedBlock, PackedFormat, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::archive::expected_header;
use crate::readers::{Disk, check_vmdk_header};
use crate::support::{Bytes, Image, Reader};

const ID: Uuid = Uuid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");
const BLOCK: usize = 64 << 10;

/// A part of an image.
#[derive(Clone, Copy, Debug)]
enum Part {
    Zeros,
    /// Compresses well.
    Text,
    /// Does not compress.
    Random(u64),
}

fn image(parts: &[(Part, usize)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (part, len) in parts {
        let end = bytes.len() + len;
        match part {
            Part::Zeros => bytes.resize(end, 0),
            Part::Text => {
                while bytes.len() < end {
                    bytes.extend(format!("line {}\n", bytes.len() / 7).bytes());
                }
                bytes.truncate(end);
            }
            Part::Random(seed) => {
                let mut state = seed | 1;
                while bytes.len() < end {
                    state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                    bytes.push(state.to_be_bytes()[0]);
                }
            }
        }
    }
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Writes the file. Blocks are compressed `together` at a time; zeros are passed on as such.
fn written(format: &dyn PackedFormat, image: &dyn Bytes, together: u64) -> Vec<u8> {
    assert_eq!(format.image_len(), image.len());
    let mut bytes = Vec::new();
    let mut file = format.begin(&mut bytes);
    let block = u64::try_from(format.block()).unwrap();
    let mut at = 0;
    while at < image.len() {
        let mut len = (block * together).min(image.len() - at);
        if !image.is_zero(at, len) {
            for block in &format.compress(&image.bytes(at, len)).unwrap() {
                file.block(block, &mut bytes).unwrap();
            }
        } else if together > 1 {
            // All that follow, over any number of tables.
            loop {
                let next = (block * together).min(image.len() - at - len);
                if next == 0 || !image.is_zero(at + len, next) {
                    break;
                }
                len += next;
            }
            file.zeros(len.div_ceil(block), &mut bytes).unwrap();
        } else {
            file.block(&PackedBlock::Zeros, &mut bytes).unwrap();
        }
        at += len;
    }
    let start = file.end(&mut bytes).unwrap();
    assert_eq!(format.is_patched(), !start.is_empty());
    bytes[..start.len()].copy_from_slice(&start);
    bytes
}

fn inflated(bytes: &[u8], mut inflate: Decompress) -> Vec<u8> {
    let mut output = Vec::with_capacity(BLOCK);
    let status = inflate.decompress_vec(bytes, &mut output, FlushDecompress::Finish).unwrap();
    assert_eq!((status, output.len()), (Status::StreamEnd, BLOCK));
    output
}

fn big(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())).unwrap()
}

/// Reads all bytes of a qcow2 file, and checks all of its refcounts.
fn read_qcow2(file: &[u8]) -> Disk {
    assert_eq!(&file[..8], b"QFI\xfb\0\0\0\x03");
    assert_eq!(file.len() % BLOCK, 0);
    let is_zstd = match (big(file, 72), big(file, 96) & 0xffff_ffff) {
        (0, 104) => false,
        (8, 112) => file[104] == 1,
        other => panic!("{other:?}"),
    };
    let mut uses = vec![0_u16; file.len() / BLOCK];
    uses[0] = 1;
    let mut count = |from: usize, to: usize| {
        uses[from / BLOCK..=(to - 1) / BLOCK].iter_mut().for_each(|uses| *uses += 1);
    };
    let offset = |entry: usize| entry & 0x00ff_ffff_ffff_fe00;
    let (len, l1) = (big(file, 24), big(file, 40));
    let l1_entries = big(file, 32) & 0xffff_ffff;
    assert_eq!(l1_entries, len.div_ceil(BLOCK).div_ceil(8192));
    (0..(l1_entries * 8).div_ceil(BLOCK)).for_each(|at| count(l1 + at * BLOCK, l1 + (at + 1) * BLOCK));
    let mut data = BTreeMap::new();
    let mut zstd = zstd::bulk::Decompressor::new().unwrap();
    for cluster in 0..len.div_ceil(BLOCK) {
        let l2 = big(file, l1 + cluster / 8192 * 8);
        if l2 == 0 {
            continue;
        }
        assert_eq!(l2 >> 63, 1, "the flag \"copied\"");
        let l2 = offset(l2);
        if cluster % 8192 == 0 {
            count(l2, l2 + BLOCK);
        }
        let entry = big(file, l2 + cluster % 8192 * 8);
        let bytes = match (entry >> 63, entry >> 62 & 1) {
            (0, 0) => {
                assert_eq!(entry, 0);
                continue;
            }
            (1, 0) => {
                let at = offset(entry);
                assert_eq!(at % BLOCK, 0);
                count(at, at + BLOCK);
                file[at..at + BLOCK].to_vec()
            }
            (0, 1) => {
                let at = entry & ((1 << 54) - 1);
                let end = (at / 512 + (entry >> 54 & 0xff) + 1) * 512;
                count(at, end);
                if is_zstd {
                    // The frame ends before the last sector does.
                    let len = zstd::zstd_safe::find_frame_compressed_size(&file[at..end]).unwrap();
                    assert!(end - at - len < 512);
                    zstd.decompress(&file[at..at + len], BLOCK).unwrap()
                } else {
                    inflated(&file[at..end], Decompress::new_with_window_bits(false, 12))
                }
            }
            flags => panic!("{flags:?}"),
        };
        data.insert(u64::try_from(cluster).unwrap(), bytes);
    }
    let table = big(file, 48);
    let table_clusters = big(file, 56) >> 32;
    count(table, table + table_clusters * BLOCK);
    let blocks: Vec<usize> = (0..table_clusters * 8192).map(|at| big(file, table + at * 8)).collect();
    let blocks: Vec<usize> = blocks.into_iter().take_while(|block| *block > 0).collect();
    for block in &blocks {
        count(*block, block + BLOCK);
    }
    let counts: Vec<u16> = blocks
        .iter()
        .flat_map(|block| file[*block..block + BLOCK].chunks_exact(2))
        .map(|count| u16::from_be_bytes(count.try_into().unwrap()))
        .collect();
    assert_eq!(counts[..uses.len()], uses);
    assert!(counts[uses.len()..].iter().all(|count| *count == 0));
    Disk { len: u64::try_from(len).unwrap(), block: 64 << 10, blocks: data }
}

fn little(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
}

/// Reads all bytes of a VMDK from its start to its end, by its markers, and checks its tables.
fn read_vmdk(file: &[u8]) -> Disk {
    let sector = |at: usize| &file[at * 512..(at + 1) * 512];
    let (header, footer) = (sector(0), sector(file.len() / 512 - 2));
    check_vmdk_header(header, 3, 1 | 1 << 16 | 1 << 17, 1);
    check_vmdk_header(footer, 3, 1 | 1 << 16 | 1 << 17, 1);
    assert_eq!((&header[48..56], little(header, 64)), (&[0; 8][..], 128));
    // They differ only in the place of the directory.
    assert_eq!((&header[..56], &header[64..]), (&footer[..56], &footer[64..]));
    assert_eq!(header[56..64], [0xff; 8]);
    let len = little(header, 12) * 512;
    let mut blocks = BTreeMap::new();
    let mut at = little(header, 64);
    let (mut grains, mut tables, mut last) = (vec![0; 512], Vec::new(), None);
    let end = loop {
        let marker = sector(at);
        let (value, size, kind) = (little(marker, 0), little(marker, 8), little(marker, 12));
        if size > 0 {
            assert_eq!(value % 128, 0);
            let bytes = inflated(&file[at * 512 + 12..at * 512 + 12 + size], Decompress::new(true));
            let grain = value / 128;
            blocks.insert(u64::try_from(grain).unwrap(), bytes);
            assert!(last.is_none_or(|last| last < grain), "grains are in order");
            last = Some(grain);
            grains[grain % 512] = at;
            at += (12 + size).div_ceil(512);
            continue;
        }
        let data = at + 1;
        let entries: Vec<usize> =
            (0..value * 128).map(|entry| little(file, data * 512 + entry * 4)).collect();
        at = data + value;
        match kind {
            1 => {
                assert_eq!(entries, grains);
                grains = vec![0; 512];
                tables.resize(last.unwrap() / 512, 0);
                tables.push(data);
            }
            2 => {
                tables.resize(len.div_ceil(512 * BLOCK).next_multiple_of(128), 0);
                assert_eq!(entries, tables);
                assert_eq!(little(footer, 56), data);
            }
            3 => assert_eq!((value, data), (1, file.len() / 512 - 2)),
            0 => break at,
            other => panic!("marker {other}"),
        }
    };
    assert_eq!(end * 512, file.len());
    Disk { len: u64::try_from(len).unwrap(), block: 64 << 10, blocks }
}

/// Has qemu-img check a file and convert it to a raw image.
fn converted(path: &Path, format: &str) -> Vec<u8> {
    let run = |args: &[&str]| {
        let run = Command::new("qemu-img").args(args).arg(path).output().expect("these tests need qemu-img");
        let text = [run.stdout, run.stderr].concat();
        assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&text));
    };
    run(&["check", "-f", format]);
    let raw = path.with_extension("raw");
    let command = ["convert", "-f", format, "-O", "raw"];
    let run = Command::new("qemu-img").args(command).arg(path).arg(&raw).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    fs::read(raw).unwrap()
}

/// Has 7-Zip unpack a file.
fn unpacked(path: &Path) -> Vec<u8> {
    let run = Command::new("7z").args(["x", "-so"]).arg(path).output().expect("these tests need 7z");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}

/// The formats for an image of this length. Those of qcow2 come last.
fn formats(len: u64) -> (StreamVmdk, [PackedQcow2; 2]) {
    let compressions = [BlockCompression::Deflate { level: 6 }, BlockCompression::Zstd { level: 3 }];
    (
        StreamVmdk::new(len, ID).unwrap(),
        compressions.map(|compression| PackedQcow2::new(len, compression).unwrap()),
    )
}

/// Checks the files by the rules of their formats, and returns them.
fn check_strictly(image: &dyn Bytes) -> [Vec<u8>; 3] {
    let (vmdk, qcow2) = formats(image.len());
    let all: [&dyn PackedFormat; 3] = [&vmdk, &qcow2[0], &qcow2[1]];
    let files = all.map(|format| {
        let bytes = written(format, image, 1);
        assert!(written(format, image, 16) == bytes, "{format:?}: other bytes in other parts");
        bytes
    });
    read_vmdk(&files[0]).assert_is(image, "VMDK");
    read_qcow2(&files[1]).assert_is(image, "qcow2 with deflate");
    read_qcow2(&files[2]).assert_is(image, "qcow2 with zstd");
    files
}

/// Also has other programs read them.
fn check(image: &Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    for (number, bytes) in check_strictly(image).into_iter().enumerate() {
        let name = if number == 0 { "vmdk" } else { "qcow2" };
        let path = folder.path().join(format!("{number}.{name}"));
        fs::write(&path, &bytes).unwrap();
        assert!(converted(&path, name) == *image, "{number}: qemu-img");
        // 7-Zip of Debian 12 does not know zstd in qcow2.
        if number < 2 {
            assert!(unpacked(&path) == *image, "{number}: 7z");
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Zeros), Just(Part::Text), any::<u64>().prop_map(Part::Random)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_read_back(parts in vec((part(), 1..500_000_usize), 1..8)) {
        check(&image(&parts));
    }
}

#[test]
fn blocks_of_several_tables_are_read_back() {
    // A grain table has 32 MiB.
    let far = (32 << 20) - 3 * BLOCK;
    check(&image(&[
        (Part::Text, BLOCK),
        (Part::Zeros, far),
        (Part::Random(7), 6 * BLOCK),
        (Part::Text, 700),
    ]));
    // An L2 table has 512 MiB.
    let (block, far) = (64 << 10, 512 << 20);
    for parts in [
        vec![(Content::Metadata, block), (Content::Unused, far)],
        vec![(Content::Unused, far - block), (Content::Metadata, 3 * block), (Content::Unused, 40 << 20)],
        vec![(Content::Unused, 2 * far), (Content::Metadata, 700)],
    ] {
        let len: u64 = parts.iter().map(|(_, len)| len).sum();
        let end = (Content::Zeros, len.next_multiple_of(512) - len);
        let parts = parts.into_iter().chain([end]).filter(|(_, len)| *len > 0).collect();
        check_strictly(&Reader::of(&Image(parts)));
    }
}

/// Clusters and grains that compress well, a little, and not at all, and a part of one at the end.
#[test]
fn blocks_follow_one_another_without_gaps() {
    for last in [512, 1024, BLOCK - 512, BLOCK] {
        check_strictly(&image(&[
            (Part::Text, 5 * BLOCK),
            (Part::Random(1), BLOCK),
            (Part::Text, BLOCK),
            (Part::Zeros, BLOCK),
            (Part::Random(2), BLOCK - 3000),
            (Part::Zeros, 3000),
            (Part::Random(3), 2 * BLOCK),
            (Part::Text, last),
        ]));
    }
    check_strictly(&image(&[(Part::Zeros, 512)]));
    check_strictly(&image(&[(Part::Random(4), 512)]));
}

#[test]
fn only_zeros_are_left_out() {
    let (vmdk, qcow2) = formats(1 << 20);
    let all: [&dyn PackedFormat; 3] = [&vmdk, &qcow2[0], &qcow2[1]];
    for format in all {
        let mut blocks = vec![0; 4 * BLOCK];
        assert_eq!(
            format.compress(&blocks).unwrap(),
            [PackedBlock::Zeros, PackedBlock::Zeros, PackedBlock::Zeros, PackedBlock::Zeros]
        );
        // Two equal bytes, which differ in no bit.
        for at in [BLOCK, 2 * BLOCK - 1, 3 * BLOCK + 126, 3 * BLOCK + 127] {
            blocks[at] = 1;
        }
        let found = format.compress(&blocks).unwrap();
        let is_zero: Vec<bool> = found.iter().map(|block| *block == PackedBlock::Zeros).collect();
        assert_eq!(is_zero, [true, false, true, false], "{format:?}");
    }
}

/// A compressed cluster saves at least a sector; otherwise it is stored as it is. Grains of a VMDK are always compressed.
#[test]
fn clusters_that_compression_does_not_shorten_are_stored_as_they_are() {
    let (vmdk, [deflate, _]) = formats(1 << 20);
    let random = image(&[(Part::Random(5), BLOCK)]);
    let cluster = |zeros: usize| [&random[zeros..], &vec![0; zeros]].concat();
    let len = |zeros: usize| {
        let mut output = Vec::with_capacity(2 * BLOCK);
        let mut compress = Compress::new_with_window_bits(Compression::new(6), false, 12);
        compress.compress_vec(&cluster(zeros), &mut output, FlushCompress::Finish).unwrap();
        output.len()
    };
    let enough = (600..800).find(|zeros| len(*zeros) <= BLOCK - 512).unwrap();
    assert_eq!((len(enough - 1), len(enough)), (BLOCK - 511, BLOCK - 512));
    assert!(matches!(&deflate.compress(&cluster(enough)).unwrap()[..], [PackedBlock::Compressed(_)]));
    assert!(deflate.compress(&cluster(enough - 1)).unwrap() == [PackedBlock::Plain(cluster(enough - 1))]);
    assert!(matches!(&vmdk.compress(&random).unwrap()[..], [PackedBlock::Compressed(_)]));
}

#[test]
fn levels_outside_of_the_range_are_taken_for_the_nearest() {
    let bytes = image(&[(Part::Text, 3 * BLOCK)]);
    let deflate = |level| {
        PackedQcow2::new(1 << 20, BlockCompression::Deflate { level }).unwrap().compress(&bytes).unwrap()
    };
    let zstd = |level| {
        PackedQcow2::new(1 << 20, BlockCompression::Zstd { level }).unwrap().compress(&bytes).unwrap()
    };
    let vmdk = |level| StreamVmdk::new(1 << 20, ID).unwrap().with_level(level).compress(&bytes).unwrap();
    assert!(deflate(0) == deflate(1) && deflate(10) == deflate(9) && deflate(1) != deflate(9));
    assert!(zstd(0) == zstd(1) && zstd(23) == zstd(22) && zstd(1) != zstd(22));
    assert!(vmdk(0) == vmdk(1) && vmdk(10) == vmdk(9) && vmdk(1) != vmdk(9));
    assert!(StreamVmdk::new(1 << 20, ID).unwrap().compress(&bytes).unwrap() == vmdk(6));
    assert_eq!(BlockCompression::Deflate { level: 1 }.name(), "deflate");
    assert_eq!(BlockCompression::Zstd { level: 1 }.name(), "zstd");
}

#[test]
fn an_empty_disk_takes_no_space() {
    let len = 1 << 40;
    let formats: [&dyn PackedFormat; 2] = [
        &StreamVmdk::new(len, ID).unwrap(),
        &PackedQcow2::new(len, BlockCompression::Zstd { level: 3 }).unwrap(),
    ];
    for format in formats {
        let mut bytes = Vec::new();
        let mut file = format.begin(&mut bytes);
        file.zeros(len >> 16, &mut bytes).unwrap();
        file.end(&mut bytes).unwrap();
        assert!(bytes.len() < 512 << 10, "{format:?}: {}", bytes.len());
    }
}

/// Checks an appliance as its readers do: order of members, digests of the manifest.
const CHECK_OVA: &str = "
import hashlib, sys, tarfile
archive = tarfile.open(sys.argv[1])
assert all(member.isreg() and not member.mtime for member in archive)
ovf, disk, manifest = [(member.name, archive.extractfile(member).read()) for member in archive]
digest = lambda one: f'SHA256({one[0]})= {hashlib.sha256(one[1]).hexdigest()}\\n'
assert manifest == ('machine.mf', (digest(ovf) + digest(disk)).encode()), manifest
assert ovf[0] == 'machine.ovf'
sys.stdout.buffer.write(ovf[1])";

#[test]
fn an_appliance_is_an_archive_with_digests() {
    let folder = tempfile::tempdir().unwrap();
    let (path, disk) = (folder.path().join("vm.ova"), folder.path().join("disk.vmdk"));
    let description = r#"<File ovf:href="disk.vmdk"/><Disk ovf:capacity="${capacity}"/>"#;
    for parts in [
        vec![(Part::Text, 700)],
        vec![(Part::Text, 3 * BLOCK), (Part::Random(3), 700_000), (Part::Zeros, 1 << 20)],
    ] {
        let image = image(&parts);
        let vmdk = StreamVmdk::new(u64::try_from(image.len()).unwrap(), ID).unwrap();
        let ova = Ova::new(vmdk, "disk.vmdk", description).unwrap();
        let bytes = written(&ova, &image, 16);
        assert!(written(&ova, &image, 1) == bytes && bytes.len().is_multiple_of(10_240));
        fs::write(&path, bytes).unwrap();
        let run = Command::new("python3").args(["-c", CHECK_OVA]).arg(&path).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let expected = description.replace("${capacity}", &image.len().to_string());
        assert_eq!(String::from_utf8(run.stdout).unwrap(), expected);
        let run = Command::new("tar").arg("-xOf").arg(&path).arg("disk.vmdk").output().unwrap();
        assert!(run.status.success() && run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
        assert!(run.stdout == written(&vmdk, &image, 16));
        fs::write(&disk, run.stdout).unwrap();
        assert!(converted(&disk, "vmdk") == image);
    }
    let vmdk = StreamVmdk::new(512, ID).unwrap();
    assert_eq!(Ova::new(vmdk, "other.vmdk", description).err(), Some(ContainerError::Description));
    assert_eq!(Ova::new(vmdk, "../disk.vmdk", description).err(), Some(ContainerError::Member));
}

/// Between the members and after them there are zeros, as few as the format needs.
#[test]
fn an_appliance_is_padded_to_a_record() {
    for sectors in 1..=20 {
        let far = if sectors == 1 { 40 << 20 } else { 0 };
        let image = image(&[
            (Part::Text, BLOCK),
            (Part::Zeros, (2 << 20) - BLOCK + far),
            (Part::Random(3), sectors * 512),
        ]);
        let vmdk = StreamVmdk::new(image.len().try_into().unwrap(), ID).unwrap();
        let description = format!("\"vm.vmdk\"{}", "x".repeat(sectors * 50));
        let ova = Ova::new(vmdk, "vm.vmdk", &description).unwrap();
        assert_eq!((ova.image_len(), ova.block()), (vmdk.image_len(), vmdk.block()));
        let (file, disk) = (written(&ova, &image, 16), written(&vmdk, &image, 16));
        assert!(written(&ova, &image, 1) == file);
        let mut at = 0;
        for (name, bytes) in
            [("machine.ovf", description.as_bytes()), ("vm.vmdk", &disk), ("machine.mf", &[])]
        {
            let manifest_len =
                format!("SHA256(machine.ovf)= {0}\nSHA256(vm.vmdk)= {0}\n", "0".repeat(64)).len();
            let len = if bytes.is_empty() { manifest_len } else { bytes.len() };
            let header = expected_header(name, len.try_into().unwrap(), *b"ustar\x0000");
            assert!(file[at..at + 512] == header, "{name}");
            let (end, padded) = (at + 512 + len, at + 512 + len.next_multiple_of(512));
            assert!(bytes.is_empty() || file[at + 512..end] == *bytes, "{name}");
            assert!(file[end..padded].iter().all(|byte| *byte == 0));
            at = padded;
        }
        assert_eq!(file.len(), (at + 1024).next_multiple_of(10_240));
        assert!(file[at..].iter().all(|byte| *byte == 0));
    }
}
