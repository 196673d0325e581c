use image_tree::{FileTree, TreeBuilder};

use super::*;
use crate::Compatibility;
use crate::numbering::RESERVED_INODES;
use crate::previous::{Place, Recorded};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A tree with nothing but lost+found: it uses the root directory's block and the four of lost+found, and eleven inodes.
fn empty() -> FileTree {
    let mut tree = TreeBuilder::new();
    tree.lost_found().unwrap();
    tree.finish().unwrap()
}

/// No promises, no journal, no growth.
fn options() -> Options {
    Options::default().with_free_space(0).with_free_inodes(0).with_grow_to(None).with_journal_size(Some(0))
}

/// Number of the first block of a group.
fn start(group: u64) -> u64 {
    group * BLOCKS_PER_GROUP
}

/// The solver's task for [`empty`].
fn with_task<T>(options: &Options, look: impl FnOnce(&Task<'_>) -> T) -> T {
    let inventory = Inventory::of(&empty(), options, None).unwrap();
    let inodes = inventory.numbering.used() + options.free_inodes;
    look(&Task { inventory: &inventory, options, free_blocks: blocks_for(options.free_space), inodes })
}

/// A group has 128 MiB. With checksums, a block has the descriptors of 8 GiB, and without, those of 16 GiB.
#[test]
fn reserves_the_descriptor_blocks_of_the_size_to_grow_to() {
    const LEGACY_MOST: u64 = 16 * TIB - 128 * MIB;
    use Compatibility::{Current, Legacy};
    for (compatibility, groups, grow_to, expected) in [
        (Current, 1, None, (0, None)),
        // At least one block, so that Linux does not convert to meta_bg.
        (Current, 1, Some(8 * GIB), (1, None)),
        (Current, 1, Some(8 * GIB + 4 * KIB), (1, None)),
        (Current, 1, Some(16 * GIB), (1, None)),
        (Current, 1, Some(16 * GIB + 4 * KIB), (2, None)),
        (Current, 1, Some(TIB), (127, None)),
        (Current, 65, Some(TIB), (126, None)),
        (Legacy, 1, Some(TIB), (63, None)),
        // Nothing if it is larger already.
        (Current, 8, Some(GIB), (1, None)),
        (Current, 9, Some(GIB), (0, None)),
        // The resize inode maps 1,024 more blocks than the file system has.
        (Current, 1, Some(8200 * GIB), (1024, None)),
        (Current, 1, Some(8200 * GIB + 4 * KIB), (1024, Some(8200 * GIB))),
        (Current, 65, Some(8208 * GIB), (1024, None)),
        (Current, 65, Some(9 * TIB), (1024, Some(8208 * GIB))),
        // Its map has block numbers of 32 bits.
        (Current, 1024 * 64 + 1, Some(16 * TIB), (1023, None)),
        (Current, 1024 * 64 + 1, Some(16 * TIB + 4 * KIB), (1023, Some(16 * TIB))),
        (Current, 1 << 17, Some(16 * TIB), (1, None)),
        (Current, (1 << 17) + 1, Some(24 * TIB), (0, Some(16 * TIB))),
        (Current, 1, Some(129 * TIB), (1024, Some(8200 * GIB))),
        // Without 64bit, all numbers are below 2^32.
        (Legacy, 1, Some(LEGACY_MOST), (1023, None)),
        (Legacy, 1, Some(LEGACY_MOST + 4 * KIB), (1023, Some(LEGACY_MOST))),
        (Legacy, (1 << 17) - 1, Some(LEGACY_MOST), (1, None)),
        (Legacy, (1 << 17) - 1, Some(16 * TIB), (0, Some(LEGACY_MOST))),
    ] {
        let options = options().with_compatibility(compatibility).with_grow_to(grow_to);
        let gdt = u64::div_ceil(groups, compatibility.descriptors_per_block());
        let found = with_task(&options, |task| task.reserved_gdt(groups, gdt));
        assert_eq!(found, expected, "{compatibility:?}, {groups} groups, {grow_to:?}");
    }
}

/// A quarter of the journal, without a block for each 1,000 and 16 more (`jbd2_max_user_trans_buffers`).
#[test]
fn a_journal_of_a_size_is_for_so_many_reserved_blocks() {
    for (journal, most) in [(64, 0), (68, 1), (1000, 233), (1024, 239), (4096, 1004), (8192, 2024)] {
        assert!(growth_fits(journal, most), "{journal}");
        assert!(!growth_fits(journal, most + 1), "{journal}");
    }
    assert!(!growth_fits(1, 0) && !growth_fits(63, 0));
    assert!(growth_fits(0, MAX_RESERVED_GDT), "no journal has no limit");
    for (reserved, shortest) in
        [(0, 1024), (239, 1024), (240, 4096), (1004, 4096), (1005, 8192), (1024, 8192)]
    {
        assert_eq!(shortest_for_growth(reserved), shortest, "{reserved}");
    }
}

#[test]
fn a_journal_is_as_long_as_asked_for_or_as_usual_and_growth_need() {
    let journal = |size, blocks, reserved| {
        with_task(&options().with_journal_size(size), |task| task.journal(blocks, reserved))
    };
    assert_eq!(journal(Some(0), 1 << 20, 1024), 0);
    assert_eq!(journal(Some(5 * MIB), 100, 1024), 1280);
    assert_eq!(journal(None, 2047, 1024), 0);
    assert_eq!(journal(None, 2048, 239), 1024);
    assert_eq!(journal(None, 2048, 240), 4096);
    assert_eq!(journal(None, 1 << 20, 240), 16_384);
}

/// The tables and bitmaps of sixteen groups fit into the first of them, and all inode numbers into 32 bits.
#[test]
fn a_group_has_at_most_so_many_inodes() {
    for (groups, descriptor_blocks, most) in [
        (1, 1, 32_640),
        (16, 1, 32_640),
        // (32,768 - 1 - 128) / 16 blocks are 2,039: two for bitmaps, and 16 inodes in each of the others.
        (16, 128, 2_037 * 16),
        (17, 128, 2_037 * 16),
        (2, 32_767 - 100, 48 * 16),
        (2, 32_767, 0),
        (2, 40_000, 0),
        // 2^32 - 1 inodes for 2^20 groups are 4,095 for each; 255 blocks have 4,080.
        (1 << 20, 1, 4_080),
        (1 << 17, 1, 32_640),
    ] {
        assert_eq!(most_inodes_per_group(groups, descriptor_blocks), most, "{groups}, {descriptor_blocks}");
    }
}

#[test]
fn a_number_of_groups_has_these_tables() {
    use Compatibility::{Current, Legacy};
    let weigh = |options: &Options, groups| {
        with_task(options, |task| task.weigh_for(groups, 0)).map(|candidate| {
            let Geometry { blocks, groups, inodes_per_group, gdt, reserved_gdt, journal } =
                candidate.unwrap().geometry;
            assert_eq!((blocks, journal), (u64::from(groups) * BLOCKS_PER_GROUP, 0));
            (groups, inodes_per_group, gdt, reserved_gdt)
        })
    };
    assert_eq!(weigh(&options(), 3), Ok((3, 8192, 1, 0)));
    assert_eq!(weigh(&options(), 65), Ok((65, 8192, 2, 0)));
    // Descriptors and the reserve leave 2,039 blocks to each of sixteen groups.
    let dense = options().with_bytes_per_inode(1024).with_grow_to(Some(TIB));
    assert_eq!(weigh(&dense, 16), Ok((16, 2_037 * 16, 1, 127)));
    assert_eq!(weigh(&dense, 65), Ok((65, 2_037 * 16, 2, 126)));
    let legacy = options().with_compatibility(Legacy).with_bytes_per_inode(64 * MIB);
    assert_eq!(weigh(&legacy, (1 << 17) - 1), Ok(((1 << 17) - 1, 16, 1024, 0)));
    let too_large = |bytes, compatibility| Err(LayoutError::TooLarge { bytes, compatibility });
    assert_eq!(weigh(&legacy, 1 << 17), too_large(16 * TIB, Legacy));
    assert_eq!(weigh(&options(), (1 << 20) + 1), too_large(128 * TIB + 128 * MIB, Current));
}

/// Too many inodes for one group fewer make the file system longer than what is stored, and so its usual journal.
#[test]
fn the_journal_is_the_usual_one_of_the_size_found() {
    let smallest = |groups: u64, free_blocks| {
        let free_inodes = groups * MAX_INODES_PER_GROUP + 1 - u64::from(RESERVED_INODES);
        let options = options()
            .with_journal_size(None)
            .with_bytes_per_inode(128 * MIB)
            .with_free_inodes(free_inodes)
            .with_free_space(free_blocks * 4096);
        let geometry = with_task(&options, |task| task.smallest().unwrap());
        (geometry.blocks, u64::from(geometry.groups), geometry.journal)
    };
    // Group 8 has no copy of the superblock: a block of it is enough. From 8 groups on, a journal has 8,192 blocks.
    assert_eq!(smallest(8, 0), (8 * BLOCKS_PER_GROUP + 1, 9, 8192));
    // With free space up to the end of group 511, twice the 65,536 blocks do not fit before the end of group 512, which has the
    // tables of one group.
    let geometry = Geometry {
        blocks: 0,
        groups: 513,
        inodes_per_group: 2037 * 16,
        gdt: 9,
        reserved_gdt: 0,
        journal: 65_536,
    };
    let end = 512 * BLOCKS_PER_GROUP;
    // The journal has an extent tree; the root and lost+found have five blocks.
    let free = end - geometry.overhead() - 1 - 5;
    assert_eq!(smallest(512, free), (end + 2 + 2037, 513, 65_536));
    assert_eq!(smallest(512, free - 65_536 + BLOCKS_PER_GROUP), (end + BLOCKS_PER_GROUP, 513, 131_072));
    assert_eq!(smallest(512, free - 65_536 + BLOCKS_PER_GROUP + 1), (end + 2 + 2037, 513, 65_536));
}

#[test]
fn a_fixed_size_may_only_shorten_the_usual_journal() {
    let own: u64 = 1 + 1 + 2 + 512 + 5;
    let journal = |free_blocks: u64, journal_size, grow_to| {
        let options = options()
            .with_size(Some(128 * MIB))
            .with_free_space(free_blocks * 4096)
            .with_journal_size(journal_size)
            .with_grow_to(grow_to);
        let fitting = with_task(&options, |task| task.fitting(128 * MIB)).unwrap();
        fitting.map(|geometry| geometry.journal)
    };
    let free_with = |journal: u64| 32_768 - own - journal;
    assert_eq!(journal(free_with(4096), None, None), Some(4096));
    assert_eq!(journal(free_with(4096) + 1, None, None), Some(1024));
    assert_eq!(journal(free_with(1024), None, None), Some(1024));
    assert_eq!(journal(free_with(1024) + 1, None, None), None);
    assert_eq!(journal(free_with(4096), Some(16 * MIB), None), Some(4096));
    assert_eq!(journal(free_with(4096) + 1, Some(16 * MIB), None), None);
    // Growth needs 240 reserved blocks, and with them one for their map and a journal longer than 1,024 blocks.
    let far = Some(241 * 8 * GIB);
    assert_eq!(journal(free_with(4096) - 241, None, far), Some(4096));
    assert_eq!(journal(free_with(4096) - 241 + 1, None, far), None);
    let near = Some(240 * 8 * GIB);
    assert_eq!(journal(free_with(4096) - 240 + 1, None, near), Some(1024));
}

#[test]
fn inodes_per_group_follow_the_density_and_the_promise() {
    let used = u64::from(RESERVED_INODES);
    for (groups, bytes_per_inode, free_inodes, expected) in [
        (1, 16_384, 0, Some(8192)),
        (1, 16_383, 0, Some(8208)),
        (1, 128 * MIB, 0, Some(16)),
        // Promised ones are in whole blocks of the table.
        (4, 16_384, 100_000 - used, Some(25_008)),
        (4, 16_384, 4 * 32_640 - used, Some(32_640)),
        (4, 16_384, 4 * 32_640 - used + 1, None),
        // The density alone is lowered to what is possible.
        (1, 1024, 0, Some(32_640)),
        (16, 1024, 0, Some(32_640)),
        (1, 0, 0, Some(32_640)),
    ] {
        let options = options().with_bytes_per_inode(bytes_per_inode).with_free_inodes(free_inodes);
        let found = with_task(&options, |task| task.inodes_per_group(groups, 1));
        assert_eq!(found, expected, "{groups} groups, {bytes_per_inode}, {free_inodes}");
    }
}

#[test]
fn warns_of_the_density_the_journal_and_the_end_that_are_not_as_asked_for() {
    let geometry =
        Geometry { blocks: 32_768, groups: 1, inodes_per_group: 8192, gdt: 1, reserved_gdt: 0, journal: 0 };
    let warnings = |options: Options, geometry| with_task(&options, |task| task.warnings(&geometry));
    assert_eq!(warnings(options(), geometry), []);
    // More inodes than by the density are no reason.
    assert_eq!(warnings(options().with_bytes_per_inode(32_768), geometry), []);
    assert_eq!(
        warnings(options().with_bytes_per_inode(1024), Geometry { inodes_per_group: 32_640, ..geometry }),
        [LayoutWarning::InodesPerGroup { bytes_per_inode: 1024, possible: 4113 }]
    );
    assert_eq!(
        warnings(options(), Geometry { journal: 1024, reserved_gdt: 240, ..geometry }),
        [LayoutWarning::JournalTooShortToGrow { journal: 4 * MIB, needed: 16 * MIB }]
    );
    assert_eq!(warnings(options(), Geometry { journal: 1024, reserved_gdt: 239, ..geometry }), []);
    assert_eq!(warnings(options().with_size(Some(128 * MIB)), geometry), []);
    assert_eq!(
        warnings(options().with_size(Some(128 * MIB + 12 * KIB)), geometry),
        [LayoutWarning::UnusedEnd { bytes: 12 * KIB }]
    );
}

/// The last group has room for its copy of the superblock with descriptors, and for the tables that begin in it.
#[test]
fn the_last_group_has_room_for_its_own_metadata() {
    let of = |groups| Geometry {
        blocks: u64::from(groups) * BLOCKS_PER_GROUP,
        groups,
        inodes_per_group: 160,
        gdt: 2,
        reserved_gdt: 30,
        journal: 0,
    };
    // Group 0 has a superblock with 32 blocks of descriptors, two bitmaps and ten blocks of inodes.
    assert_eq!(shortest(&of(1), 0), 33 + 2 + 10);
    // Group 1 has a copy, group 2 nothing, group 16 the tables of one group.
    assert_eq!(shortest(&of(2), 0), start(1) + 33);
    assert_eq!(shortest(&of(3), 0), start(2) + 1);
    assert_eq!(shortest(&of(17), 0), start(16) + 2 + 10);
    // 81 is a power of 3, and 80 a multiple of 16.
    assert_eq!(shortest(&of(82), 0), start(81) + 33);
    assert_eq!(shortest(&of(81), 0), start(80) + 2 + 10);
    assert_eq!(shortest(&of(2), start(1) + 34), start(1) + 34);
    assert_eq!(shortest(&of(2), start(1) + 33), start(1) + 33);
}

#[test]
fn the_resize_map_and_the_journal_come_first() {
    let geometry =
        Geometry { blocks: 3 << 20, groups: 96, inodes_per_group: 16, gdt: 2, reserved_gdt: 0, journal: 0 };
    let own = |reserved_gdt, journal| {
        let geometry = Geometry { reserved_gdt, journal, ..geometry };
        own_blocks(&geometry, &DataSpace::of(&geometry))
    };
    assert_eq!(own(0, 0), 0);
    assert_eq!(own(1, 0), 1);
    assert_eq!(own(1024, 0), 1);
    assert_eq!(own(0, 1024), 1024);
    assert_eq!(own(9, 1024), 1025);
    // Five extents need a block: islands begin at groups 1, 3, 5 and 7.
    assert_eq!(own(0, 262_144), 262_144 + 1);
}

#[test]
fn a_group_is_added_when_the_others_are_full() {
    let smallest = |free_space, journal_size| {
        let options = options().with_free_space(free_space).with_journal_size(journal_size);
        with_task(&options, |task| task.smallest().unwrap())
    };
    // A superblock, a block of descriptors, two bitmaps, 512 blocks of inodes; five blocks of directories.
    let own = 1 + 1 + 2 + 512 + 5;
    assert_eq!(smallest(0, Some(0)).blocks, own);
    assert_eq!(smallest(40 * KIB, Some(0)).blocks, own + 10);
    let full = (32_768 - own) * 4 * KIB;
    assert_eq!((smallest(full, Some(0)).blocks, smallest(full, Some(0)).groups), (32_768, 1));
    let more = smallest(full + 4 * KIB, Some(0));
    // A second group has a copy of the superblock and its descriptors, bitmaps, a table, and the block that is too many.
    assert_eq!((more.blocks, more.groups), (32_768 + 2 + 2 + 512 + 1, 2));
    // 1,024 blocks of journal as soon as there are 2,048 blocks.
    let usual = |blocks: u64| smallest((blocks - own) * 4 * KIB, None);
    assert_eq!((usual(2047).blocks, usual(2047).journal), (2047, 0));
    assert_eq!((usual(2048).blocks, usual(2048).journal), (2048 + 1024, 1024));
}

/// Between one number of groups and the next, inode tables and the reserve can become shorter by almost two blocks a group.
#[test]
fn no_sufficient_number_of_groups_is_skipped() {
    for (free_inodes, free_blocks, grow_to, groups) in
        [(903_564, 3_383_847, Some(3200 * MIB), 105), (1_295_381, 3_752_623, Some(14_720 * MIB), 117)]
    {
        let options = options()
            .with_bytes_per_inode(16 * MIB)
            .with_free_inodes(free_inodes)
            .with_free_space(free_blocks * 4096)
            .with_grow_to(grow_to);
        with_task(&options, |task| {
            assert_eq!(task.smallest().unwrap().groups, groups);
            for fewer in 1..u64::from(groups) {
                let candidate = task.weigh(fewer, None).unwrap();
                assert!(candidate.is_none_or(|candidate| candidate.needed > fewer * BLOCKS_PER_GROUP));
            }
        });
    }
}

#[test]
fn a_fixed_size_that_ends_in_too_short_a_group_leaves_it_out() {
    let fitting = |size| with_task(&options().with_size(Some(size)), |task| task.fitting(size)).unwrap();
    // Two blocks of a second group have room for its copy of the superblock with descriptors.
    for (blocks, expected) in [
        (520, None),
        (521, Some((521, 1))),
        (32_768, Some((32_768, 1))),
        (32_769, Some((32_768, 1))),
        (32_770, Some((32_770, 2))),
        (2 * 32_768 + 1, Some((2 * 32_768 + 1, 3))),
        (0, None),
    ] {
        let found = fitting(blocks * 4 * KIB).map(|geometry| (geometry.blocks, geometry.groups));
        assert_eq!(found, expected, "{blocks}");
    }
    let bytes = fitting(521 * 4 * KIB + 4095).map(|geometry| geometry.blocks);
    assert_eq!(bytes, Some(521), "the size is in whole blocks");
}

#[test]
fn inodes_and_journals_have_limits() {
    let solve_with = |options: &Options| {
        let inventory = Inventory::of(&empty(), options, None).unwrap();
        solve(&inventory, options).map(|solution| solution.geometry.journal)
    };
    // 617,093 groups of 6,960 inodes have exactly as many as possible.
    let promise = |inodes| solve_with(&options().with_free_inodes(inodes - u64::from(RESERVED_INODES)));
    assert_eq!(promise(617_093 * 6_960), Ok(0));
    assert_eq!(promise(MAX_INODES + 1), Err(LayoutError::TooManyInodes { wanted: MAX_INODES + 1 }));
    let with_journal = |size| solve_with(&options().with_journal_size(Some(size)));
    assert_eq!(with_journal(0), Ok(0));
    for size in [1, 4096, 4 * MIB - 1, 16 * TIB, u64::MAX] {
        assert_eq!(with_journal(size), Err(LayoutError::JournalSize { size }));
    }
    assert_eq!(with_journal(4 * MIB), Ok(1024));
    assert_eq!(with_journal(4 * MIB + 4095), Ok(1024));
    assert_eq!(with_journal(16 * TIB - 1), Ok(u64::from(u32::MAX)));
}

/// An earlier image of whole groups, without a reserve and a journal.
fn recorded(groups: u32) -> Recorded {
    Recorded {
        blocks: u64::from(groups) * BLOCKS_PER_GROUP,
        groups,
        inodes_per_group: 8192,
        reserved_gdt_blocks: 0,
        journal_blocks: 0,
        compatibility: Compatibility::Current,
    }
}

#[test]
fn the_density_and_the_journal_of_an_earlier_image_are_kept_if_they_can_be() {
    let anew = Geometry { blocks: 0, groups: 1, inodes_per_group: 8192, gdt: 1, reserved_gdt: 0, journal: 0 };
    let like = |options: &Options, recorded, anew_journal, groups| {
        let previous = Previous::new(recorded, Vec::new(), 5).unwrap();
        let anew = Geometry { journal: anew_journal, ..anew };
        let geometry = with_task(options, |task| task.geometry_like(groups, &previous, &anew))?;
        Some((geometry.blocks, geometry.inodes_per_group, geometry.journal, geometry.reserved_gdt))
    };
    let journal = |journal_blocks, anew_journal, options: &Options| {
        let recorded = Recorded { journal_blocks, ..recorded(2) };
        like(options, recorded, anew_journal, 1).map(|(_, _, journal, _)| journal)
    };
    let by_size = options().with_journal_size(None);
    assert_eq!(journal(4096, 1024, &by_size), Some(4096));
    assert_eq!(journal(0, 0, &by_size), Some(0));
    assert_eq!(journal(0, 1024, &by_size), Some(1024));
    assert_eq!(journal(1024, 0, &by_size), Some(0));
    // 1,024 blocks are enough for 239 reserved ones: growth to 240 times 8 GiB.
    assert_eq!(journal(1024, 4096, &by_size.clone().with_grow_to(Some(240 * 8 * GIB))), Some(1024));
    assert_eq!(journal(1024, 4096, &by_size.clone().with_grow_to(Some(241 * 8 * GIB))), Some(4096));
    assert_eq!(journal(4096, 1280, &options().with_journal_size(Some(5 * MIB))), Some(1280));

    let inodes = |inodes_per_group, groups, options: &Options| {
        let recorded = Recorded { inodes_per_group, ..recorded(20) };
        like(options, recorded, 0, groups).map(|(blocks, inodes, _, _)| (blocks / BLOCKS_PER_GROUP, inodes))
    };
    assert_eq!(inodes(16_384, 3, &options()), Some((3, 16_384)));
    assert_eq!(inodes(1024, 3, &options()), Some((3, 8192)));
    // With 127 reserved blocks, 16 groups have room for 2,037 blocks of inodes each.
    let grows = options().with_grow_to(Some(TIB));
    assert_eq!(inodes(2_037 * 16, 16, &grows), Some((16, 2_037 * 16)));
    assert_eq!(inodes(2_038 * 16, 16, &grows), Some((16, 8192)));
    assert_eq!(inodes(2_038 * 16, 15, &grows), Some((15, 2_038 * 16)));
    // What is out of reach for so few groups.
    assert_eq!(inodes(8192, 1, &options().with_grow_to(Some(9 * TIB))), None);
}

/// The blocks, groups and moved inodes of a file system that follows an earlier one, in which a file of 100 blocks had a place.
/// The root and lost+found always move: their places are not known.
fn alike(options: &Options, recorded: Recorded, place: Place) -> Option<(u64, u32, u64)> {
    let mut tree = TreeBuilder::new();
    tree.lost_found().unwrap().external("/a", 100 * 4096, 0).unwrap();
    let previous = Previous::new(recorded, vec![None, Some(place)], 5).unwrap();
    let inventory = Inventory::of(&tree.finish().unwrap(), options, Some(&previous)).unwrap();
    let anew = Geometry { blocks: 0, groups: 1, inodes_per_group: 8192, gdt: 1, reserved_gdt: 0, journal: 0 };
    let alike = solve_like(&inventory, options, &previous, &anew)?;
    let Geometry { blocks, groups, .. } = alike.solution.geometry;
    Some((blocks, groups, alike.moved))
}

#[test]
fn a_file_system_that_follows_another_ends_with_what_it_needs() {
    let at = |start| alike(&options(), recorded(20), Place::new(12, start, 100));
    assert_eq!(at(20_000), Some((20_100, 1, 2)));
    assert_eq!(at(start(5) - 100), Some((start(5), 5, 2)));
    assert_eq!(at(start(6)), Some((start(6) + 100, 7, 2)));
    // Groups 5 and 7 begin with a copy of the superblock.
    assert_eq!(at(start(5) + 2), Some((start(5) + 102, 6, 2)));
    assert_eq!(at(start(20) - 100), Some((start(20), 20, 2)));
    // Nobody knows what had a place of more blocks, so it moves.
    assert_eq!(at(start(20) - 99), Some((1 + 1 + 2 + 512 + 105, 1, 3)));
    // An inode needs the groups up to its own.
    let inode = |inode| alike(&options(), recorded(20), Place::new(inode, 20_000, 100));
    assert_eq!(inode(3 * 8192), Some((start(2) + 1, 3, 2)));
    assert_eq!(inode(3 * 8192 + 1), Some((start(3) + 2, 4, 2)));
    // So does free space: 105 blocks are used, and group 0 has the tables of three groups, group 1 a copy of the superblock.
    let roomy = options().with_free_space(start(2) * 4096);
    let metadata = 2 + 3 * (2 + 512) + 2;
    assert_eq!(
        alike(&roomy, recorded(20), Place::new(12, 20_000, 100)),
        Some((metadata + 105 + start(2), 3, 2))
    );
    // Growth that is out of reach for as many groups as anew is not made possible by more of them.
    let far = options().with_grow_to(Some(9 * TIB));
    assert_eq!(alike(&far, recorded(1), Place::new(12, 20_000, 100)), None);
    // More groups than before.
    assert_eq!(
        alike(&roomy, recorded(1), Place::new(12, 20_000, 100)),
        Some((metadata + 105 + start(2), 3, 2))
    );
}

#[test]
fn a_fixed_size_that_follows_another_keeps_what_is_before_its_end() {
    let of = |blocks: u64, recorded, start| {
        alike(&options().with_size(Some(blocks * 4096)), recorded, Place::new(12, start, 100))
    };
    assert_eq!(of(40_000, recorded(20), 35_000), Some((40_000, 2, 2)));
    assert_eq!(of(40_000, recorded(20), 39_900), Some((40_000, 2, 2)));
    assert_eq!(of(40_000, recorded(20), 39_901), Some((40_000, 2, 3)));
    // Twice as many inodes as in a new file system. Group 16 needs blocks for its bitmaps and its table.
    let dense = Recorded { inodes_per_group: 16_384, ..recorded(20) };
    assert_eq!(of(start(16) + 2 + 512, recorded(20), 20_000), Some((start(16) + 2 + 512, 17, 2)));
    assert_eq!(of(start(16) + 2 + 1023, dense, 20_000), None);
    assert_eq!(of(start(16) + 2 + 1024, dense, 20_000), Some((start(16) + 2 + 1024, 17, 2)));
    // Their table takes the room of the free space.
    let full = options().with_size(Some(10_000 * 4096)).with_free_space((10_000 - 516 - 105) * 4096);
    let sparse = Recorded { inodes_per_group: 1024, ..recorded(20) };
    assert_eq!(alike(&full, sparse, Place::new(12, 9000, 100)), Some((10_000, 1, 2)));
    assert_eq!(alike(&full, dense, Place::new(12, 9000, 100)), None);
}
