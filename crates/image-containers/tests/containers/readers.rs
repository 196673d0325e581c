//! Reads containers by the rules of their formats, strictly: every field has the value that it must have, and data follows data
//! without gaps.

use std::collections::BTreeMap;

use image_tree::Uuid;

use crate::support::{Bytes, big_u16, big_u32, big_u64, little_u16, little_u32, little_u64, place};

/// A disk as a container describes it: its blocks that are stored. All others read as zeros.
pub(crate) struct Disk {
    pub(crate) len: u64,
    pub(crate) block: u64,
    pub(crate) blocks: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    /// Every byte is the image's, and zeros after its end. Blocks that the image has no data in are not stored.
    pub(crate) fn assert_is(&self, image: &dyn Bytes, what: &str) {
        assert_eq!(self.len, image.len(), "{what}");
        for number in 0..self.len.div_ceil(self.block) {
            let at = number * self.block;
            let len = self.block.min(self.len - at);
            let is_zero = image.is_zero(at, len);
            assert_eq!(self.blocks.contains_key(&number), !is_zero, "{what}: block {number}");
            if let Some(found) = self.blocks.get(&number) {
                let mut expected = image.bytes(at, len);
                expected.resize(place(self.block), 0);
                assert!(*found == expected, "{what}: block {number}");
            }
        }
    }
}

/// The sum that makes all bytes of a VHD structure add up to 0xffffffff, with the field itself.
fn check_sum(bytes: &[u8], at: usize) {
    let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    let field: u32 = bytes[at..at + 4].iter().map(|byte| u32::from(*byte)).sum();
    assert_eq!(big_u32(bytes, at), !(sum - field));
}

fn check_vhd_footer(footer: &[u8], len: u64, id: Uuid, kind: u32) {
    let mut expected = Vec::from(*b"conectix");
    let next = if kind == 2 { u64::MAX } else { 512 };
    expected.extend([&2_u32.to_be_bytes()[..], &0x1_0000_u32.to_be_bytes(), &next.to_be_bytes()].concat());
    expected.extend(b"\0\0\0\0win \0\x0a\0\0Wi2k");
    expected.extend([len.to_be_bytes(), len.to_be_bytes()].concat());
    // The geometry has tests of its own, and the sum is checked below.
    expected.extend(&footer[56..60]);
    expected.extend(kind.to_be_bytes());
    expected.extend(&footer[64..68]);
    expected.extend(id.0);
    expected.resize(512, 0);
    assert_eq!(footer, expected);
    check_sum(footer, 64);
    let (cylinders, heads, sectors) =
        (u64::from(big_u16(footer, 56)), u64::from(footer[58]), u64::from(footer[59]));
    let capacity = cylinders * heads * sectors * 512;
    assert!(capacity <= len, "{capacity} of {len}");
}

pub(crate) fn read_fixed_vhd(file: &dyn Bytes, id: Uuid) -> Vec<u8> {
    let len = file.len() - 512;
    check_vhd_footer(&file.bytes(len, 512), len, id, 2);
    file.bytes(0, len)
}

pub(crate) fn read_dynamic_vhd(file: &dyn Bytes, id: Uuid) -> Disk {
    const BLOCK: u64 = 2 << 20;
    let footer = file.bytes(0, 512);
    assert_eq!(file.bytes(file.len() - 512, 512), footer);
    let len = big_u64(&footer, 48);
    check_vhd_footer(&footer, len, id, 3);
    let entries = len.div_ceil(BLOCK);
    let header = file.bytes(512, 1024);
    let mut expected = Vec::from(*b"cxsparse");
    expected.extend([u64::MAX.to_be_bytes(), 1536_u64.to_be_bytes()].concat());
    for number in [0x1_0000, u32::try_from(entries).unwrap(), 2 << 20] {
        expected.extend(number.to_be_bytes());
    }
    expected.extend(&header[36..40]);
    expected.resize(1024, 0);
    assert_eq!(header, expected);
    check_sum(&header, 36);
    let table_len = (entries * 4).next_multiple_of(512);
    let table = file.bytes(1536, table_len);
    assert!(table[place(entries * 4)..].iter().all(|byte| *byte == 0xff));
    let mut next = 1536 + table_len;
    let mut blocks = BTreeMap::new();
    for number in 0..entries {
        let sector = big_u32(&table, place(number * 4));
        if sector == u32::MAX {
            continue;
        }
        assert_eq!(u64::from(sector) * 512, next);
        assert_eq!(file.bytes(next, 512), [0xff; 512]);
        blocks.insert(number, file.bytes(next + 512, BLOCK));
        next += 512 + BLOCK;
    }
    assert_eq!(next + 512, file.len());
    Disk { len, block: BLOCK, blocks }
}

pub(crate) fn read_vdi(file: &dyn Bytes, id: Uuid) -> Disk {
    const BLOCK: u64 = 1 << 20;
    let header = file.bytes(0, 512);
    let len = little_u64(&header, 368);
    let entries = len.div_ceil(BLOCK);
    let data_at = BLOCK + (entries * 4).next_multiple_of(BLOCK);
    let count = (file.len() - data_at) / BLOCK;
    // The text that VirtualBox writes.
    let mut expected = b"<<< Oracle VM VirtualBox Disk Image >>>\n".to_vec();
    expected.resize(64, 0);
    let number = |number: u64| u32::try_from(number).unwrap().to_le_bytes();
    for field in [0xbeda_107f, 0x1_0001, 400, 1, 0] {
        expected.extend(number(field));
    }
    expected.resize(expected.len() + 256, 0);
    for field in [BLOCK, data_at, 0, 0, 0, 512, 0] {
        expected.extend(number(field));
    }
    expected.extend(len.to_le_bytes());
    for field in [BLOCK, 0, entries, count] {
        expected.extend(number(field));
    }
    expected.extend([id.on_disk(), id.on_disk()].concat());
    expected.resize(512, 0);
    assert_eq!(header, expected);
    assert!(file.is_zero(512, BLOCK - 512));
    let map = file.bytes(BLOCK, data_at - BLOCK);
    assert!(map[place(entries * 4)..].iter().all(|byte| *byte == 0));
    let mut blocks = BTreeMap::new();
    for number in 0..entries {
        let index = little_u32(&map, place(number * 4));
        if index != u32::MAX {
            assert_eq!(usize::try_from(index).unwrap(), blocks.len());
            blocks.insert(number, file.bytes(data_at + u64::from(index) * BLOCK, BLOCK));
        }
    }
    assert_eq!(u64::try_from(blocks.len()).unwrap(), count);
    assert_eq!(data_at + count * BLOCK, file.len());
    Disk { len, block: BLOCK, blocks }
}

/// Checks the CRC-32C of a structure of VHDX, which is computed with zeros in its own place.
fn check_crc(bytes: &[u8]) {
    let mut without = bytes.to_vec();
    without[4..8].fill(0);
    assert_eq!(little_u32(bytes, 4), crc32c::crc32c(&without));
}

/// The bytes of a GUID on the disk, by its text.
fn guid(text: &str) -> Vec<u8> {
    Uuid::parse(text).unwrap().on_disk().to_vec()
}

pub(crate) fn read_vhdx(file: &dyn Bytes, id: Uuid) -> Disk {
    const MIB: u64 = 1 << 20;
    let first = file.bytes(0, MIB);
    let mut used = Vec::new();
    assert_eq!(&first[..8], b"vhdxfile");
    for (sequence, at) in [(1_u64, 64 << 10), (2, 128 << 10)] {
        let header = &first[at..at + 4096];
        let mut expected = Vec::from(*b"head");
        expected.extend(&header[4..8]);
        expected.extend(sequence.to_le_bytes());
        expected.extend([id.on_disk(), id.on_disk(), [0; 16]].concat());
        // Versions of the log and of the format, length and place of the log.
        expected.extend([0, 0, 1, 0]);
        expected.extend([&0x10_0000_u32.to_le_bytes()[..], &MIB.to_le_bytes()].concat());
        expected.resize(4096, 0);
        assert_eq!(header, expected);
        check_crc(header);
        used.push(at..at + 4096);
    }
    let metadata = file.bytes(2 * MIB, MIB);
    let items = [
        ("caa16737-fa36-4d43-b3b6-33f0aa44e76b", 4_u32, [0x10_0000_u32.to_le_bytes(), [0; 4]].concat()),
        ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", 6, metadata[65_544..65_552].to_vec()),
        ("beca12ab-b2e6-4523-93ef-c309e000c746", 6, id.on_disk().to_vec()),
        ("8141bf1d-a96f-4709-ba47-f233a8faab5f", 6, 512_u32.to_le_bytes().to_vec()),
        ("cda348c7-445d-4471-9cc9-e9885251c556", 6, 4096_u32.to_le_bytes().to_vec()),
    ];
    let mut expected = vec![0; place(MIB)];
    expected[..12].copy_from_slice(b"metadata\0\0\x05\0");
    let mut at = 64 << 10;
    for (number, (name, flags, bytes)) in items.iter().enumerate() {
        let mut entry = guid(name);
        for number in [at, bytes.len()] {
            entry.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        entry.extend(flags.to_le_bytes());
        entry.resize(32, 0);
        expected[32 + number * 32..][..32].copy_from_slice(&entry);
        expected[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    }
    assert!(metadata == expected, "metadata");
    let len = little_u64(&metadata, 65_544);
    let blocks_of_disk = len.div_ceil(MIB);
    // After 4,096 blocks, an entry for a bitmap, unless it is the last entry.
    let entries = blocks_of_disk + (blocks_of_disk - 1) / 4096;
    let table_len = (entries * 8).next_multiple_of(MIB);
    for at in [192 << 10, 256 << 10] {
        let table = &first[at..at + (64 << 10)];
        let mut expected = Vec::from(*b"regi");
        expected.extend(&table[4..8]);
        expected.extend(2_u64.to_le_bytes());
        for (name, at, len) in [
            ("2dc27766-f623-4200-9d64-115e9bfd4a08", 3 * MIB, table_len),
            ("8b7ca206-4790-4b9a-b8fe-575f050f886e", 2 * MIB, MIB),
        ] {
            expected.extend(guid(name));
            expected.extend(at.to_le_bytes());
            expected.extend(u32::try_from(len).unwrap().to_le_bytes());
            expected.extend(1_u32.to_le_bytes());
        }
        expected.resize(64 << 10, 0);
        assert!(table == expected, "region table");
        check_crc(table);
        used.push(at..at + (64 << 10));
    }
    let unused = (8..first.len()).filter(|at| !used.iter().any(|used| used.contains(at)));
    assert!(unused.into_iter().all(|at| first[at] == 0));
    assert!(file.is_zero(MIB, MIB), "the log is empty");
    let table = file.bytes(3 * MIB, table_len);
    assert!(table[place(entries * 8)..].iter().all(|byte| *byte == 0));
    let data_at = 3 * MIB + table_len;
    let (mut next, mut blocks) = (data_at, BTreeMap::new());
    for number in 0..entries {
        let entry = little_u64(&table, place(number * 8));
        if number % 4097 == 4096 {
            assert_eq!(entry, 0, "there is no bitmap");
            continue;
        }
        let block = number - number / 4097;
        if entry == 2 {
            continue;
        }
        assert_eq!(entry, next | 6);
        blocks.insert(block, file.bytes(next, MIB));
        next += MIB;
    }
    assert_eq!(next, file.len());
    Disk { len, block: MIB, blocks }
}

pub(crate) const GRAIN: u64 = 64 << 10;

/// Checks the header of a VMDK, except for the places of its directories and of the first grain.
pub(crate) fn check_vmdk_header(header: &[u8], version: u32, flags: u32, compression: u16) {
    let mut expected = Vec::from(*b"KDMV");
    expected.extend([version.to_le_bytes(), flags.to_le_bytes()].concat());
    expected.extend(&header[12..20]);
    for number in [128_u64, 1, 20] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend(512_u32.to_le_bytes());
    expected.extend(&header[48..72]);
    expected.extend(b"\0\n \r\n");
    expected.extend(compression.to_le_bytes());
    expected.resize(512, 0);
    assert_eq!(header, expected);
}

pub(crate) fn read_sparse_vmdk(file: &dyn Bytes) -> Disk {
    let header = file.bytes(0, 512);
    check_vmdk_header(&header, 1, 3, 0);
    let len = little_u64(&header, 12) * 512;
    let grains = len.div_ceil(GRAIN);
    let tables = grains.div_ceil(512);
    let directory = (tables * 4).div_ceil(512);
    let each = directory + tables * 4;
    let [redundant, usual, data_at] = [48, 56, 64].map(|at| little_u64(&header, at));
    assert_eq!((redundant, usual), (21, 21 + each));
    assert_eq!(data_at, (21 + 2 * each).next_multiple_of(128));
    let of_sectors = |first: u64, count: u64| file.bytes(first * 512, count * 512);
    let directories = [redundant, usual].map(|at| {
        let bytes = of_sectors(at, directory);
        for number in 0..directory * 128 {
            let expected = if number < tables { at + directory + number * 4 } else { 0 };
            assert_eq!(u64::from(little_u32(&bytes, place(number * 4))), expected);
        }
        of_sectors(at + directory, tables * 4)
    });
    assert!(directories[0] == directories[1], "the directories have different grains");
    assert!(file.is_zero((21 + 2 * each) * 512, (data_at - 21 - 2 * each) * 512));
    let (mut next, mut blocks) = (data_at, BTreeMap::new());
    for grain in 0..tables * 512 {
        let sector = u64::from(little_u32(&directories[0], place(grain * 4)));
        if sector == 0 {
            continue;
        }
        assert!(grain < grains);
        assert_eq!(sector, next);
        blocks.insert(grain, of_sectors(sector, 128));
        next += 128;
    }
    assert_eq!(next * 512, file.len());
    Disk { len, block: GRAIN, blocks }
}

/// Reads a qcow2 file without compressed clusters, and checks that each of its clusters is used once.
pub(crate) fn read_qcow2(file: &dyn Bytes) -> Disk {
    const CLUSTER: u64 = 64 << 10;
    const COPIED: u64 = 1 << 63;
    let header = file.bytes(0, CLUSTER);
    let len = big_u64(&header, 24);
    let l1_entries = len.div_ceil(CLUSTER).div_ceil(8192);
    let [l1_at, refcounts_at] = [40, 48].map(|at| big_u64(&header, at));
    let table_clusters = u64::from(big_u32(&header, 56));
    let mut expected = Vec::from(*b"QFI\xfb");
    for number in [3, 0, 0, 0, 16] {
        expected.extend(u32::to_be_bytes(number));
    }
    expected.extend(len.to_be_bytes());
    expected.extend([0, u32::try_from(l1_entries).unwrap()].map(u32::to_be_bytes).concat());
    expected.extend(&header[40..60]);
    for number in [0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 104] {
        expected.extend(u32::to_be_bytes(number));
    }
    expected.resize(place(CLUSTER), 0);
    assert_eq!(header, expected);
    // Refcount table, refcount blocks, L1 table, L2 tables, data.
    assert_eq!(refcounts_at, CLUSTER);
    let clusters = file.len() / CLUSTER;
    assert_eq!(clusters * CLUSTER, file.len());
    let refcount_blocks = clusters.div_ceil(32_768);
    assert_eq!(table_clusters, refcount_blocks.div_ceil(8192));
    let table = file.bytes(CLUSTER, table_clusters * CLUSTER);
    for number in 0..table_clusters * 8192 {
        let at = (1 + table_clusters + number) * CLUSTER;
        assert_eq!(big_u64(&table, place(number * 8)), if number < refcount_blocks { at } else { 0 });
    }
    let counts = file.bytes((1 + table_clusters) * CLUSTER, refcount_blocks * CLUSTER);
    for (number, count) in (0..).zip(counts.chunks(2)) {
        assert_eq!(count, [0, u8::from(number < clusters)], "refcount of {number}");
    }
    let mut next = 1 + table_clusters + refcount_blocks;
    assert_eq!(l1_at, next * CLUSTER);
    let l1_clusters = (l1_entries * 8).div_ceil(CLUSTER);
    let l1 = file.bytes(l1_at, l1_clusters * CLUSTER);
    next += l1_clusters;
    let mut tables = BTreeMap::new();
    for number in 0..l1_clusters * 8192 {
        let entry = big_u64(&l1, place(number * 8));
        if entry != 0 {
            assert!(number < l1_entries);
            assert_eq!(entry, (next * CLUSTER) | COPIED);
            tables.insert(number, file.bytes(next * CLUSTER, CLUSTER));
            next += 1;
        }
    }
    let mut blocks = BTreeMap::new();
    for (number, table) in tables {
        let before = blocks.len();
        for entry in 0..8192 {
            let place = big_u64(&table, place(entry * 8));
            if place != 0 {
                assert_eq!(place, (next * CLUSTER) | COPIED);
                blocks.insert(number * 8192 + entry, file.bytes(next * CLUSTER, CLUSTER));
                next += 1;
            }
        }
        assert!(blocks.len() > before, "no table is empty");
    }
    assert_eq!(next, clusters);
    Disk { len, block: CLUSTER, blocks }
}

/// Reads a file in Android's sparse format, and gives the parts that a device gets: place, length, and the place in the file of their
/// bytes, or none for zeros.
pub(crate) fn read_simg(file: &dyn Bytes) -> Vec<(u64, u64, Option<u64>)> {
    let header = file.bytes(0, 28);
    let mut expected = Vec::from(0xed26_ff3a_u32.to_le_bytes());
    expected.extend([1, 0, 0, 0, 28, 0, 12, 0]);
    expected.extend(4096_u32.to_le_bytes());
    expected.extend(&header[16..24]);
    expected.extend([0; 4]);
    assert_eq!(header, expected);
    let (mut at, mut block, mut parts) = (28, 0, Vec::new());
    for _ in 0..little_u32(&header, 20) {
        let chunk = file.bytes(at, 12);
        let (count, len) = (u64::from(little_u32(&chunk, 4)), u64::from(little_u32(&chunk, 8)));
        assert!(count > 0 && little_u16(&chunk, 2) == 0);
        let (place, bytes) = (block * 4096, count * 4096);
        match little_u16(&chunk, 0) {
            0xcac1 => {
                assert_eq!(len, 12 + bytes);
                parts.push((place, bytes, Some(at + 12)));
            }
            0xcac2 => {
                assert_eq!((len, file.bytes(at + 12, 4)), (16, vec![0; 4]));
                parts.push((place, bytes, None));
            }
            0xcac3 => assert_eq!(len, 12),
            other => panic!("chunk of kind {other:#x}"),
        }
        at += len;
        block += count;
    }
    assert_eq!((at, block), (file.len(), u64::from(little_u32(&header, 16))));
    parts
}
