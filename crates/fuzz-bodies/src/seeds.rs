//! Valid inputs: the fixtures of the repository, and images of small trees.

use std::io::Read;
use std::path::Path;

use disk_layout::{Disk, Kind, Length, Part, Partition, RoundTo, Table};
use ext4_layout::{Layout, Options};
use fat_layout::{Bits, FatLayout};
use image_tree::{FileTree, PieceSource, SectorSize, Timestamp, to_u64};

use crate::Choices;
use crate::memory::assembled;
use crate::mutation::Numbers;
use crate::trees::{Flavour, tree};

/// Strings to insert into plans and graphs.
pub(crate) const JSON: &[&[u8]] = &[
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"0",
    b"-1",
    b"0.5",
    b"1e3",
    b"1e30",
    b"-0",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775808",
    b"4294967296",
    b"\"/\"",
    b"\"/a/../b\"",
    b"\"16MiB\"",
    b"\"9999999999TiB\"",
    b"\"\\u0000\"",
    b"\"\\n\"",
    b"\"\\ud800\"",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"plan\":",
    b"\"graph\":",
    b"\"type\":",
    b"\"references\":",
    b"\"version\":1,",
    b"[[[[[[[[[[[[[[[[",
];

/// Strings to insert into registrations.
pub(crate) const LINES: &[&[u8]] = &[
    b"",
    b"\n",
    b"\r",
    b"\0",
    b"0",
    b"1",
    b"-1",
    b"1000000000",
    b"18446744073709551615",
    b"18446744073709551616",
    b"00",
    b"/s/",
    b"/s/00000000000000000000000000000000-a",
    b"/s/00000000000000000000000000000001-b\n",
    b"sha256:",
    b"\x1b[0m",
];

/// Strings to insert into fields of plans.
pub(crate) const FIELD_PARTS: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"9",
    b"-",
    b"e",
    b"e30",
    b".",
    b".0",
    b"KiB",
    b"MiB",
    b"GiB",
    b"TiB",
    b"B",
    b" ",
    b"/",
    b"..",
    b"0x",
    b"ffffffff",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775807",
    b"4294967295",
    b"4294967296",
    b"\0",
    b"\n",
    b"\"",
    b"\xff",
    b"ff-",
    b"user.",
    b"7777",
];

/// Strings to insert into hashes and store paths.
pub(crate) const WORD_PARTS: &[&[u8]] =
    &[b"sha256:", b"sha256-", b"=", b"/s/", b"-", b"0", b"z", b"e", b"/", b".", b"..", b"\0", b"\xff", b"A"];

/// Strings to insert into names.
pub(crate) const NAME_PARTS: &[&[u8]] = &[
    b"/",
    b"//",
    b".",
    b"..",
    b"/../",
    b"\0",
    b"\n",
    b"\\",
    b"\x1b[2J",
    b"\xc2\x85",
    b"\xff",
    b"user.",
    b"security.",
    b"x",
];

/// Extreme numbers to insert into images.
pub(crate) const NUMBERS: &[&[u8]] = &[
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0, 0],
    &[0xff, 0xff],
    &[0, 0x80],
    &[0; 4],
    &[1, 0, 0, 0],
    &[0xff; 4],
    &[0, 0, 0, 0x80],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0; 8],
    &[0xff; 8],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    &[0xff; 32],
    &[0; 32],
    &[0; 256],
];

fn files(folder: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(folder);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = listed
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter_map(|path| {
            Some((path.to_str()?.strip_suffix(extension)?.to_owned(), std::fs::read(&path).ok()?))
        })
        .collect();
    assert!(!files.is_empty(), "no {extension} in {}", folder.display());
    files.sort();
    files
}

/// Valid inputs are more frequent, because most changes make them invalid.
const FOLDERS: [&str; 6] = ["good", "good", "good", "good", "good", "bad"];

fn all(of: &str, extension: &str) -> Vec<Vec<u8>> {
    let files = FOLDERS.iter().flat_map(|folder| files(&format!("{of}/{folder}"), extension));
    files.map(|(_, bytes)| short_store(&bytes)).collect()
}

/// Replaces `/nix/store` by the store of the bodies.
fn short_store(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    if text.contains('\u{fffd}') { bytes.to_vec() } else { text.replace("/nix/store", "/s").into_bytes() }
}

pub(crate) fn plans() -> Vec<Vec<u8>> {
    all("plans", ".json")
}

pub(crate) fn registrations() -> Vec<Vec<u8>> {
    all("registrations", ".registration")
}

pub(crate) fn graphs() -> Vec<Vec<u8>> {
    all("registrations", ".graph.json")
}

pub(crate) fn registrations_and_lists() -> Vec<Vec<u8>> {
    FOLDERS
        .iter()
        .map(|folder| format!("registrations/{folder}"))
        .flat_map(|folder| {
            let lists = files(&folder, ".store-paths");
            files(&folder, ".registration").into_iter().filter_map(move |(stem, registration)| {
                let (_, list) = lists.iter().find(|(other, _)| *other == stem)?;
                Some([short_store(&registration), vec![0], short_store(list)].concat())
            })
        })
        .collect()
}

fn owned(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn fields() -> Vec<Vec<u8>> {
    owned(&[
        "16MiB",
        "4096",
        "0",
        "-1",
        "0.5",
        "1e30",
        "0644",
        "7777",
        "44444444-4444-4444-8888-888888888888",
        "0x2178694e",
        "/a/b",
        "esp",
        "83",
        "0b",
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        "aGVsbG8=",
        "user.*",
        "18446744073709551615",
        "16TiB",
        "root",
        "null",
    ])
}

pub(crate) fn words() -> Vec<Vec<u8>> {
    owned(&[
        "sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
        "/s/00000000000000000000000000000000-name-1.0",
        "/s/zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz-a_b?c=d+e.f",
    ])
}

pub(crate) fn names() -> Vec<Vec<u8>> {
    owned(&[
        "/",
        "/a/b/c",
        "/nix/store",
        "name",
        "user.name",
        "security.capability",
        "system.posix_acl_access",
    ])
}

/// Choices of different lengths.
pub(crate) fn choices() -> Vec<Vec<u8>> {
    (0..40_u64)
        .map(|seed| {
            let mut numbers = Numbers::new(seed);
            (0..20 + 40 * seed).map(|_| numbers.any().to_le_bytes()[0]).collect()
        })
        .collect()
}

fn small_trees(flavour: Flavour) -> impl Iterator<Item = FileTree> {
    choices().into_iter().step_by(7).map(move |bytes| tree(&mut Choices::new(&bytes), flavour))
}

pub(crate) fn ext4_images() -> Vec<Vec<u8>> {
    let options = Options::default()
        .with_sealed(false)
        .with_label_bytes(*b"SEED\0\0\0\0\0\0\0\0\0\0\0\0")
        .with_uuid(*b"snugfs fuzz seed")
        .with_free_space(0)
        .with_free_inodes(8)
        .with_size(None)
        .with_grow_to(None)
        .with_bytes_per_inode(64 << 20)
        .with_journal_size(Some(0))
        .with_reserved(None)
        .with_timestamp(Timestamp::STORE);
    small_trees(Flavour::Short)
        .filter_map(|tree| {
            let layout = Layout::plan(&tree, &options).ok()?;
            Some(assembled(&layout, &tree).0)
        })
        .filter(|bytes| bytes.len() < 4 << 20)
        .collect()
}

fn fat_images() -> Vec<Vec<u8>> {
    let options = fat_layout::Options {
        bytes: 5 << 20,
        free_space: 0,
        label: fat_layout::NO_LABEL,
        id: 1,
        bits: Some(Bits::Fat16),
        sector: SectorSize::Bytes512,
    };
    small_trees(Flavour::Firmware)
        .filter_map(|tree| Some(assembled(&FatLayout::plan(&tree, &options).ok()?, &tree).0))
        .collect()
}

/// Small complete disks, because the last sectors belong to the table too.
pub(crate) fn tables() -> Vec<Vec<u8>> {
    let disk = |gpt: bool, count: u64| {
        let partitions = (0..count).map(|number| Partition {
            start: Some((1 + number) << 15),
            align: Partition::ALIGNMENT,
            size: Length::Bytes(8 << 10),
            kind: if gpt { Kind::Gpt([9; 16]) } else { Kind::Mbr(0x83) },
            bootable: number == 0,
            name: format!("part {number}"),
            guid: None,
            part: Part::Empty,
        });
        let options = disk_layout::Options {
            table: if gpt { Table::Gpt(None) } else { Table::Mbr(None) },
            sector: if count == 1 { SectorSize::Bytes4096 } else { SectorSize::Bytes512 },
            size: None,
            round_to: RoundTo::Blocks,
            seed: [3; 16],
            partitions: partitions.collect(),
            blobs: Vec::new(),
        };
        let disk = Disk::plan(options).unwrap_or_else(|error| panic!("{error}"));
        let mut bytes = vec![0; image_tree::to_usize(disk.len())];
        for piece in disk.pieces().filter(|piece| piece.content == image_tree::Content::Metadata) {
            let from = image_tree::to_usize(piece.offset);
            if let Some(part) = bytes.get_mut(from..from + image_tree::to_usize(piece.len)) {
                disk.generate(&piece, part);
            }
        }
        bytes
    };
    vec![disk(false, 1), disk(false, 3), disk(true, 1), disk(true, 2)]
}

/// File systems, alone and on disks.
pub(crate) fn images() -> Vec<Vec<u8>> {
    let mut images = ext4_images();
    images.extend(fat_images());
    let on_disks: Vec<_> = images
        .iter()
        .zip(tables().iter().cycle())
        .step_by(2)
        .map(|(image, table)| {
            // The start of the first partition.
            let mut disk = table.clone();
            disk.resize(disk.len().max((1 << 15) + image.len()), 0);
            for (to, from) in disk.iter_mut().skip(1 << 15).zip(image) {
                *to = *from;
            }
            disk
        })
        .collect();
    images.extend(on_disks);
    images
}

/// Images compressed by zstd in one frame, in several frames, and in frames with a seek table, by gzip and by xz, once and twice
/// in one file; and unsupported formats.
pub(crate) fn containers() -> Vec<Vec<u8>> {
    let contents: Vec<u8> = (0..20_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
    let compressed = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap_or_default();
    let frames: Vec<_> = contents.chunks(30_000).map(|part| (compressed(part), part.len())).collect();
    let joined: Vec<u8> = frames.iter().flat_map(|(frame, _)| frame.clone()).collect();
    let low = |number: u64| number.to_le_bytes().into_iter().take(4);
    let table = frames.iter().flat_map(|(frame, len)| low(to_u64(frame.len())).chain(low(to_u64(*len))));
    let table: Vec<u8> = table.collect();
    let mut seekable = joined.clone();
    seekable.extend(0x184d_2a5e_u32.to_le_bytes());
    seekable.extend(low(to_u64(table.len()) + 9));
    seekable.extend(&table);
    seekable.extend(low(to_u64(frames.len())));
    seekable.push(0);
    seekable.extend(0x8f92_eab1_u32.to_le_bytes());
    let skippable = [&b"\x50\x2a\x4d\x18\x04\0\0\0skip"[..], &joined].concat();
    let read = |mut compressor: Box<dyn Read + '_>| {
        let mut bytes = Vec::new();
        let is_whole = compressor.read_to_end(&mut bytes).is_ok();
        if is_whole { bytes } else { Vec::new() }
    };
    let gzip = read(Box::new(flate2::read::GzEncoder::new(&contents[..], flate2::Compression::new(6))));
    let xz = read(Box::new(liblzma::read::XzEncoder::new(&contents[..], 1)));
    let (twice_gzip, twice_xz) = (gzip.repeat(2), xz.repeat(2));
    let mut seeds = vec![compressed(&contents), joined, seekable, skippable, gzip, xz, twice_gzip, twice_xz];
    seeds.extend([contents, b"QFI\xfb".to_vec(), vec![0x1f, 0x8b]]);
    seeds
}

/// Parts of tar archives and layers.
pub(crate) const TAR_PARTS: &[&[u8]] = &[
    b"ustar\x0000",
    b"ustar  \0",
    b"../",
    b"/",
    b".wh.",
    b".wh..wh..opq",
    b"path=",
    b"linkpath=",
    b"size=",
    b"mtime=-1.5\n",
    b"GNU.sparse.map=",
    b"GNU.sparse.size=",
    b"GNU.sparse.major=1\n",
    b"SCHILY.xattr.user.a=",
    b"SCHILY.acl.access=u::rwx",
    b"\x80\0\0\0",
    b"\xff\xff\xff\xff",
    b"00000001000\0",
    b"x",
    b"g",
    b"L",
    b"K",
    b"S",
    b"1",
    b"2",
    b"5",
    b"0",
];

/// A header with its checksum, and data.
fn member(type_byte: u8, name: &[u8], link: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    crate::archives::add(&mut block, "", data);
    let fields: [(usize, &[u8]); 4] =
        [(0, name), (156, &[type_byte]), (157, link), (329, b"0000001\x000000003\0")];
    for (at, field) in fields {
        for (to, from) in block.iter_mut().skip(at).zip(field) {
            *to = *from;
        }
    }
    crate::archives::repair(&mut block);
    block
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    let mut all = members.concat();
    all.resize(all.len() + 1024, 0);
    all
}

/// Archives of all formats and compressions.
pub(crate) fn tars() -> Vec<Vec<u8>> {
    let all = archive(&[
        member(b'5', b"./etc/", b"", b""),
        member(b'0', b"./etc/hostname", b"", b"host"),
        member(b'1', b"./name", b"./etc/hostname", b""),
        member(b'2', b"./lib", b"usr/lib", b""),
        member(b'0', b"./lib/x", b"", &[7; 700]),
        member(b'3', b"null", b"", b""),
        member(b'6', b"fifo", b"", b""),
    ]);
    let long = archive(&[
        member(b'L', b"././@LongLink", b"", &[b'n'; 150]),
        member(b'0', b"short", b"", b"gnu"),
        member(b'g', b"global", b"", b"12 mtime=5.5\n"),
        member(b'x', b"pax", b"", b"24 SCHILY.xattr.user.a=b\n12 path=a/b/\n14 uid=100000\n"),
        member(b'0', b"short", b"", b"pax"),
    ]);
    let mut map = b"2\n0\n3\n4096\n1\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"abcd");
    let pax_1_0 = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n28 GNU.sparse.realsize=5000\n";
    let sparse = archive(&[
        member(b'x', b"pax", b"", b"24 GNU.sparse.size=5000\n29 GNU.sparse.map=0,3,4096,1\n"),
        member(b'0', b"sparse", b"", b"abcd"),
        member(b'x', b"pax", b"", pax_1_0),
        member(b'0', b"sparse", b"", &map),
    ]);
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let _ = std::io::Write::write_all(&mut encoder, &all);
        encoder.finish().unwrap_or_default()
    };
    let zstd = zstd::bulk::compress(&long, 1).unwrap_or_default();
    vec![all, long, sparse, gzip, zstd, archive(&[])]
}

fn two_layers() -> [Vec<u8>; 2] {
    let lower = archive(&[
        member(b'0', b"a/b/c", b"", b"c"),
        member(b'0', b"a/f", b"", b"f"),
        member(b'2', b"lib", b"a", b""),
    ]);
    let upper = archive(&[
        member(b'0', b"a/.wh.f", b"", b""),
        member(b'0', b"a/b/.wh..wh..opq", b"", b""),
        member(b'0', b"a/b/new", b"", b"new"),
        member(b'1', b"lib/link", b"a/b/new", b""),
    ]);
    [lower, upper]
}

/// Archives of container images.
pub(crate) fn container_images() -> Vec<Vec<u8>> {
    let [lower, upper] = two_layers();
    let compressed = zstd::bulk::compress(&upper, 1).unwrap_or_default();
    vec![
        crate::archives::saved(&[&lower, &upper]),
        crate::archives::saved(&[&lower]),
        crate::archives::saved(&[&lower, &compressed]),
        crate::archives::saved(&[]),
    ]
}

/// Two layers, one after the other: the first byte has the length of the first, in blocks.
pub(crate) fn layers() -> Vec<Vec<u8>> {
    let [lower, upper] = two_layers();
    // A name that begins with this byte.
    let mut both = [lower.clone(), upper].concat();
    let blocks = u8::try_from(lower.len() / 512).unwrap_or(0);
    if let Some(first) = both.first_mut() {
        *first = b'p' + blocks;
    }
    crate::archives::repair(&mut both);
    vec![both, lower]
}
