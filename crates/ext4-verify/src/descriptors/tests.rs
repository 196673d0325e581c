use super::*;
use crate::geometry::Geometry;
use crate::sample::{Blocks, superblock};

/// A file system of so many blocks, with these blocks of reserve, that has some blocks which are not zero.
fn check<T>(
    blocks: u64,
    reserved: u16,
    data: &[(u64, Vec<u8>)],
    check: impl FnOnce(&Image<'_>, &mut Findings) -> T,
) -> (T, Vec<String>) {
    let source = Blocks(data.iter().cloned().collect());
    let image = Image::new(&source, superblock(Geometry::new(blocks, 1024, reserved, true).unwrap()));
    let mut findings = Findings::default();
    let result = check(&image, &mut findings);
    (result, findings.problems.iter().map(ToString::to_string).collect())
}

/// A block that is zero except for one byte.
fn with_byte(at: usize) -> Vec<u8> {
    let mut block = vec![0; 4096];
    block[at] = 1;
    block
}

#[test]
fn the_last_group_holds_its_copy_of_superblock_and_descriptors() {
    // Superblock, descriptors and 100 reserved blocks.
    for (own, expected) in [
        (
            101,
            &[
                "group 1: is 101 blocks long, but its copy of superblock and descriptors takes 102 (last-group-too-short)",
            ][..],
        ),
        (102, &[]),
    ] {
        let ((), texts) = check(32768 + own, 100, &[], |image, findings| ends(image, findings).unwrap());
        assert_eq!(texts, expected, "{own}");
    }
    // Group 2 has no copy, so it may have one block.
    let ((), texts) = check(2 * 32768 + 1, 100, &[], |image, findings| ends(image, findings).unwrap());
    assert_eq!(texts, [""; 0]);
}

#[test]
fn the_first_block_is_zero_around_the_superblock() {
    for (at, is_padding) in
        [(0, true), (1023, true), (1024, false), (2047, false), (2048, true), (4095, true)]
    {
        let ((), texts) =
            check(1000, 0, &[(0, with_byte(at))], |image, findings| ends(image, findings).unwrap());
        let expected = "block 0: is not zero before and behind the superblock (metadata-padding)";
        assert_eq!(texts, if is_padding { vec![expected] } else { vec![] }, "{at}");
    }
}

/// The texts of the copies, without that of block 0.
fn copies(blocks: u64, data: &[(u64, Vec<u8>)]) -> Vec<String> {
    check(blocks, 2, data, |image, findings| backups(image, findings).unwrap()).1
}

#[test]
fn copies_are_compared_byte_by_byte() {
    const START: u64 = 32768;
    /// A copy says which group it is in, so only that is not zero.
    fn copy() -> Vec<u8> {
        let mut block = vec![0; 4096];
        block[0x5a] = 1;
        block
    }
    let good = (START, copy());
    assert_eq!(copies(40_000, std::slice::from_ref(&good)), [""; 0]);
    for (block, at, expected) in [
        (
            START + 1,
            4095,
            "group 1: its copy of descriptor block 1 differs from the first (backup-descriptors)",
        ),
        (1, 4095, "group 1: its copy of descriptor block 1 differs from the first (backup-descriptors)"),
        (
            START + 2,
            0,
            "block 32770: is reserved for descriptors in group 1, and not zero (reserve-not-zero)",
        ),
        (
            START + 3,
            4095,
            "block 32771: is reserved for descriptors in group 1, and not zero (reserve-not-zero)",
        ),
    ] {
        assert_eq!(copies(40_000, &[good.clone(), (block, with_byte(at))]), [expected], "{block} {at}");
    }
    assert_eq!(copies(40_000, &[good.clone(), (START + 4, with_byte(0))]), [""; 0]);
    for (at, expected) in [
        (0x08, "its superblock differs from the first at byte 0x8 (backup-superblock)"),
        (0x39, "its superblock differs from the first at byte 0x39 (backup-superblock)"),
        (0x3a, "its superblock has state 1, should be 0 (backup-state)"),
        (0x3b, "its superblock has state 256, should be 0 (backup-state)"),
        (0x3c, "its superblock differs from the first at byte 0x3c (backup-superblock)"),
        (0x59, "its superblock differs from the first at byte 0x59 (backup-superblock)"),
        (0x5b, "its superblock says that it is of group 257 (backup-superblock)"),
        (0x5c, "its superblock differs from the first at byte 0x5c (backup-superblock)"),
        (0x3fb, "its superblock differs from the first at byte 0x3fb (backup-superblock)"),
        (0x3fc, "checksum of its superblock is 0x00000001, should be 0x00000000 (backup-checksum)"),
        (0x400, "something is behind its superblock (metadata-padding)"),
        (0xfff, "something is behind its superblock (metadata-padding)"),
    ] {
        let mut block = copy();
        block[at] = 1;
        assert_eq!(copies(40_000, &[(START, block)]), [format!("group 1: {expected}")], "{at:#x}");
    }
}

/// A group that is too short for its copy has none.
#[test]
fn a_copy_is_there_where_its_group_has_room_for_it() {
    let missing = "group 1: its superblock says that it is of group 0 (backup-superblock)";
    assert_eq!(copies(32768 + 3, &[]), [""; 0]);
    assert_eq!(copies(32768 + 4, &[]), [missing]);
}

/// Claims the tables of the first group; gives whether they are inside, and the texts.
fn places(block_bitmap: u64, inode_bitmap: u64, table: u64) -> (bool, Vec<String>) {
    let group = Group { block_bitmap, inode_bitmap, table, ..Group::parse(&[]) };
    check(1000, 0, &[], |image, findings| {
        let mut claims = Claims::new(image.geometry());
        locations(image, &mut claims, findings, 0, &group)
    })
}

#[test]
fn tables_are_usually_behind_the_descriptors_and_never_outside() {
    assert_eq!(places(2, 3, 4), (true, vec![]));
    // The table has 64 blocks.
    let elsewhere = |text: &str| format!("group 0: {text} (tables-elsewhere)");
    assert_eq!(places(2, 3, 936), (true, vec![elsewhere("inode table is at block 936, usually at 4")]));
    assert_eq!(
        places(500, 999, 4),
        (
            true,
            vec![elsewhere(
                "block bitmap is at block 500, usually at 2; inode bitmap is at block 999, usually at 3"
            )]
        )
    );
    for (found, what, start) in [
        (places(2, 3, 937), "inode table", 937),
        (places(0, 3, 4), "block bitmap", 0),
        (places(2, 1000, 4), "inode bitmap", 1000),
        (places(2, 3, u64::MAX), "inode table", u64::MAX),
    ] {
        let text =
            format!("group 0: {what} is said to be at block {start}, which can't be (descriptor-location)");
        assert_eq!((found.0, &found.1[1..]), (false, &[text][..]));
    }
    let (inside, texts) = places(2, 2, 4);
    assert!(inside);
    assert_eq!(
        texts[1..],
        [
            "block 2: is used twice, the second time as inode bitmap of group 0 (block-shared)",
            "group 0: inode bitmap is said to be at block 2, where something else is (descriptor-location)"
        ]
    );
}

#[test]
fn a_descriptor_without_checksums_has_one_flag_and_no_other_field() {
    let of = |at: usize, byte: u8| {
        let mut desc = vec![0; 32];
        desc[0x12] = 4;
        if at > 0 {
            desc[at] = byte;
        }
        let group = Group::parse(&desc);
        check(1000, 0, &[], |image, findings| fields(image, findings, 0, &group, &desc)).1
    };
    assert_eq!(of(0, 0), [""; 0]);
    for (byte, text) in [
        (5, "flags are 0x5 (descriptor-flags)"),
        (6, "flags are 0x6 (descriptor-flags)"),
        (12, "flags are 0xc (descriptor-flags)"),
        (0, "flag ITABLE_ZEROED is not set (itable-not-zeroed)"),
    ] {
        assert_eq!(of(0x12, byte), [format!("group 0: {text}")]);
    }
    for at in 0x14..0x18 {
        assert_eq!(of(at, 1), ["group 0: a field without use is not zero (descriptor-unused)"], "{at:#x}");
    }
    assert_eq!(
        of(0x1e, 1),
        ["group 0: checksum of the descriptor is 0x0001, should be 0x0000 (descriptor-checksum)"]
    );
}

/// A block of descriptors of 32 bytes holds 128; those behind the last group are zero.
#[test]
fn descriptors_are_read_up_to_the_last_group() {
    let mut block = vec![0; 4096];
    let place = |group: u64| u32::try_from(32768 * group).unwrap();
    for (group, desc) in (0..2).zip(block.chunks_exact_mut(32)) {
        for (at, number) in [(0, place(group) + 10), (4, place(group) + 11), (8, place(group) + 12)] {
            desc[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        desc[0x12] = 4;
    }
    let found = |block: &[u8]| {
        check(40_000, 0, &[(1, block.to_vec())], |image, findings| {
            let mut claims = Claims::new(image.geometry());
            let groups = read(image, &mut claims, findings).unwrap();
            let tables = groups.map(|groups| groups.iter().map(|group| group.table).collect::<Vec<_>>());
            // Superblock and descriptors of both groups are in use.
            let used = [0, 1, 2, 32768, 32769, 32770].map(|block| claims.blocks.contains(block));
            assert_eq!(used, [true, true, false, true, true, false]);
            tables
        })
    };
    let (tables, texts) = found(&block);
    assert_eq!(tables, Some(vec![12, 32780]));
    assert!(texts.iter().all(|text| text.ends_with(" (tables-elsewhere)")), "{texts:?}");
    for at in [64, 4095] {
        let mut more = block.clone();
        more[at] = 1;
        let last = found(&more).1.pop().unwrap();
        assert_eq!(last, "block 1: has something behind the last descriptor (descriptors-behind)", "{at}");
    }
    block[32 + 8..32 + 12].fill(0xff);
    assert_eq!(found(&block).0, None);
}

/// The descriptors of 129 groups, 128 in the first block and one in the second.
#[test]
fn descriptors_go_on_in_the_next_block() {
    let mut blocks = vec![0; 8192];
    for (group, desc) in (0..129_u64).zip(blocks.chunks_exact_mut(32)) {
        let number = |table: u64| u32::try_from(32768 * group + table).unwrap().to_le_bytes();
        for (at, table) in [(0, 10), (4, 11), (8, 12)] {
            desc[at..at + 4].copy_from_slice(&number(table));
        }
        desc[0x12] = 4;
    }
    blocks[4096 + 4095] = 1;
    let (first, second) = blocks.split_at(4096);
    let data = [(1, first.to_vec()), (2, second.to_vec())];
    let (groups, texts) = check(129 * 32768, 0, &data, |image, findings| {
        let groups = read(image, &mut Claims::new(image.geometry()), findings).unwrap().unwrap();
        findings.problems.retain(|problem| problem.code != Code::TablesElsewhere);
        groups
    });
    assert_eq!(
        (groups.len(), groups[127].table, groups[128].table),
        (129, 127 * 32768 + 12, 128 * 32768 + 12)
    );
    assert_eq!(texts, ["block 2: has something behind the last descriptor (descriptors-behind)"]);
}

/// Superblock, descriptors and reserve take four blocks, of which the last group has three.
#[test]
fn a_group_that_is_too_short_is_all_in_use() {
    let ((), texts) = check(32768 + 3, 2, &[], |image, findings| {
        let mut claims = Claims::new(image.geometry());
        read(image, &mut claims, findings).unwrap();
        let used = [3, 4, 32768, 32770].map(|block| claims.blocks.contains(block));
        assert_eq!(used, [true, false, true, true]);
    });
    assert!(texts.iter().all(|text| !text.ends_with(" (block-outside)")), "{texts:?}");
}
