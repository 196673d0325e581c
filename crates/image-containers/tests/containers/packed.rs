//! Containers with compressed blocks are read back by qemu-img, by 7-Zip, and by readers that follow the specifications
//! strictly: every byte is the image's.

use std::fs;
use std::path::Path;
use std::process::Command;

use flate2::{Decompress, FlushDecompress, Status};
use image_containers::{Adapter, BlockCompression, ContainerError, Ova, PackedQcow2, StreamVmdk};
use image_tree::{PackedBlock, PackedFormat, Uuid};
use proptest::collection::vec;
use proptest::prelude::*;

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

/// Writes the file. Blocks are compressed `together` at a time; `zeros` are passed on as such.
fn written(format: &dyn PackedFormat, image: &[u8], together: usize) -> Vec<u8> {
    assert_eq!(usize::try_from(format.image_len()).unwrap(), image.len());
    let mut bytes = Vec::new();
    let mut file = format.begin(&mut bytes);
    for blocks in image.chunks(format.block() * together) {
        let packed = format.compress(blocks).unwrap();
        if together > 1 && packed.iter().all(|block| *block == PackedBlock::Zeros) {
            file.zeros(u64::try_from(packed.len()).unwrap(), &mut bytes).unwrap();
        } else {
            for block in &packed {
                file.block(block, &mut bytes).unwrap();
            }
        }
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
fn read_qcow2(file: &[u8]) -> Vec<u8> {
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
    let mut image = vec![0; len];
    let mut zstd = zstd::bulk::Decompressor::new().unwrap();
    for (cluster, target) in image.chunks_mut(BLOCK).enumerate() {
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
        target.copy_from_slice(&bytes[..target.len()]);
        assert!(bytes[target.len()..].iter().all(|byte| *byte == 0));
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
    image
}

fn little(bytes: &[u8], at: usize) -> usize {
    usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
}

/// Reads all bytes of a VMDK from its start to its end, by its markers, and checks its tables.
fn read_vmdk(file: &[u8]) -> Vec<u8> {
    let sector = |at: usize| &file[at * 512..(at + 1) * 512];
    let (header, footer) = (sector(0), sector(file.len() / 512 - 2));
    assert_eq!(&header[..4], b"KDMV");
    // They differ only in the place of the directory.
    assert_eq!((&header[..56], &header[64..]), (&footer[..56], &footer[64..]));
    assert_eq!(header[56..64], [0xff; 8]);
    let len = little(header, 12) * 512;
    let mut image = vec![0; len];
    let mut at = little(header, 64);
    let (mut grains, mut tables, mut last) = (vec![0; 512], Vec::new(), None);
    let end = loop {
        let marker = sector(at);
        let (value, size, kind) = (little(marker, 0), little(marker, 8), little(marker, 12));
        if size > 0 {
            assert_eq!(value % 128, 0);
            let bytes = inflated(&file[at * 512 + 12..at * 512 + 12 + size], Decompress::new(true));
            let target = &mut image[value * 512..(value * 512 + BLOCK).min(len)];
            target.copy_from_slice(&bytes[..target.len()]);
            let grain = value / 128;
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
    image
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

fn check(image: &[u8]) {
    let len = u64::try_from(image.len()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let vmdk = StreamVmdk::new(len, ID).unwrap();
    let deflate = PackedQcow2::new(len, BlockCompression::Deflate { level: 6 }).unwrap();
    let zstd = PackedQcow2::new(len, BlockCompression::Zstd { level: 3 }).unwrap();
    let all: [(&dyn PackedFormat, _); 3] = [(&vmdk, "vmdk"), (&deflate, "qcow2"), (&zstd, "qcow2")];
    for (number, (format, name)) in all.into_iter().enumerate() {
        let bytes = written(format, image, 1);
        assert!(written(format, image, 16) == bytes, "{format:?}: other bytes in other parts");
        let path = folder.path().join(format!("{number}.{name}"));
        fs::write(&path, &bytes).unwrap();
        let read = if name == "vmdk" { read_vmdk(&bytes) } else { read_qcow2(&bytes) };
        assert!(read == image, "{format:?}");
        assert!(converted(&path, name) == image, "{format:?}: qemu-img");
        // 7-Zip of Debian 12 does not know zstd in qcow2.
        if number < 2 {
            assert!(unpacked(&path) == image, "{format:?}: 7z");
        }
    }
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![Just(Part::Zeros), Just(Part::Text), any::<u64>().prop_map(Part::Random)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_is_read_back(parts in vec((part(), 1..500_000_usize), 1..8)) {
        check(&image(&parts));
    }
}

#[test]
fn blocks_of_several_tables_are_read_back() {
    // A grain table has 32 MiB, an L2 table 512 MiB.
    let far = (32 << 20) - 3 * BLOCK;
    check(&image(&[
        (Part::Text, BLOCK),
        (Part::Zeros, far),
        (Part::Random(7), 6 * BLOCK),
        (Part::Text, 700),
    ]));
    let long = image(&[(Part::Zeros, (512 << 20) - BLOCK), (Part::Text, 3 * BLOCK), (Part::Zeros, 40 << 20)]);
    check(&long);
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

#[test]
fn a_descriptor_identifies_the_disk() {
    let text = |vmdk: StreamVmdk| {
        let mut bytes = Vec::new();
        vmdk.begin(&mut bytes);
        let end = bytes[512..].iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8(bytes[512..512 + end].to_vec()).unwrap()
    };
    let descriptor = text(StreamVmdk::new(8 << 30, ID).unwrap());
    for line in [
        "CID=01234567\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n",
        "\nRW 16777216 SPARSE \"disk.vmdk\"\n",
        "\nddb.longContentID = \"0123456789abcdef0123456789abcdef\"\n",
        "\nddb.geometry.cylinders = \"1045\"\nddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\n",
        "\nddb.adapterType = \"lsilogic\"\n",
        "\nddb.uuid.image=\"01234567-89ab-cdef-0123-456789abcdef\"\n",
    ] {
        assert!(descriptor.contains(line), "{line} is not in {descriptor}");
    }
    let ide = text(StreamVmdk::new(8 << 30, Uuid([0xff; 16])).unwrap().with_adapter(Adapter::Ide));
    // The two highest numbers have another meaning.
    assert!(ide.contains("CID=fffffffd\n") && ide.contains("ddb.adapterType = \"ide\""), "{ide}");
    assert!(ide.contains("cylinders = \"16383\"\nddb.geometry.heads = \"16\""), "{ide}");
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

#[test]
fn lengths_that_a_format_can_not_have_are_refused() {
    let deflate = BlockCompression::Deflate { level: 6 };
    let odd = |error| matches!(error, Some(ContainerError::OddLength { block: 512, .. }));
    let long = |error| matches!(error, Some(ContainerError::TooLong { .. }));
    assert!(odd(StreamVmdk::new(511, ID).err()) && odd(PackedQcow2::new(511, deflate).err()));
    assert!(StreamVmdk::new((1 << 41) - 512, ID).is_ok());
    assert!(long(StreamVmdk::new(1 << 41, ID).err()));
    assert!(PackedQcow2::new(1 << 51, deflate).is_ok());
    assert!(long(PackedQcow2::new((1 << 51) + 512, deflate).err()));
}
