//! Which lengths of a partition suffice, and which the errors name.

use fat_layout::{Bits, FatError, FatLayout, Options};
use image_tree::{PieceSource, SectorSize};
use proptest::prelude::*;

use crate::support::{Files, GIB, MIB, blank, options, tree_of};

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// A partition that is longer by what the error says has room for everything.
    #[test]
    fn the_length_in_the_error_suffices(
        sizes in prop::collection::vec(
            prop_oneof![0..5000_u64, 0..60 * MIB, Just(MIB), 0..4 * GIB],
            1..60,
        ),
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        start in prop_oneof![40..80_u64, 500..530_u64],
        long_sectors in any::<bool>(),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let of = |bytes| Options { sector, ..options(bytes, bits) };
        let tree = blank(&sizes);
        let all: u64 = sizes.iter().sum();
        match FatLayout::plan(&tree, &of(start * MIB)) {
            Err(FatError::Full { missing, more: Some(more), .. }) => {
                prop_assert!(more >= missing && more.is_multiple_of(sector.bytes()));
                prop_assert!(FatLayout::plan(&tree, &of(start * MIB + more)).is_ok(), "{more}");
            }
            // 65,524 clusters of 64 KiB.
            Err(FatError::Full { more: None, .. }) => {
                prop_assert!(bits == Some(Bits::Fat16) && all > 3 * GIB, "{all}");
            }
            Err(FatError::TooShort { .. }) => prop_assert!(bits == Some(Bits::Fat32) && long_sectors),
            Err(other) => prop_assert!(false, "{other}"),
            Ok(_) => prop_assert!(all < start * MIB),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// The smallest partition has room for the contents and the free space, and no shorter one has.
    #[test]
    fn the_smallest_partition_is_the_first_that_suffices(
        sizes in prop::collection::vec(prop_oneof![0..5000_u64, 0..20 * MIB, Just(MIB)], 0..40),
        free_space in prop_oneof![Just(0), 0..MIB, 0..300 * MIB, 400 * MIB..700 * MIB],
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        long_sectors in any::<bool>(),
        shorter in prop::collection::vec(0.0..1.0_f64, 20),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let of = |bytes| Options { sector, free_space, ..options(bytes, bits) };
        let tree = blank(&sizes);
        let smallest = FatLayout::smallest(&tree, &of(0)).unwrap();
        let found = FatLayout::plan(&tree, &of(smallest)).unwrap().summary();
        prop_assert!(found.free_clusters * found.cluster_bytes >= free_space);
        let sectors = smallest / sector.bytes();
        let near = sectors.saturating_sub(700)..sectors;
        #[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any number will do")]
        let far = shorter.iter().map(|share| (share * sectors as f64) as u64);
        // Where the type, the length of clusters and that of tracks change.
        let changes = [16, 32, 128, 256, 260, 504, 512, 1008].map(|mib| mib * MIB / sector.bytes());
        let changes = changes.into_iter().flat_map(|at| [at - 1, at, at + 1]).filter(|at| *at < sectors);
        for shorter in near.chain(far).chain(changes) {
            prop_assert!(FatLayout::plan(&tree, &of(shorter * sector.bytes())).is_err(), "{} of {}", shorter, sectors);
        }
    }
}

/// Where clusters become longer, tables become shorter: a sector more may give room for MiB.
#[test]
fn the_smallest_partition_is_found_where_clusters_change() {
    let tree = blank(&[]);
    for (change, bits) in [
        (262_656 * 512, Bits::Fat16),
        (524_790 * 512, Bits::Fat16),
        (1_049_013 * 512, Bits::Fat16),
        (2_097_396 * 512, Bits::Fat16),
        (4_194_288 * 512, Bits::Fat16),
        (260 * MIB + 512, Bits::Fat32),
        (8 * GIB + 512, Bits::Fat32),
        (16 * GIB + 512, Bits::Fat32),
        (32 * GIB + 512, Bits::Fat32),
    ] {
        let of = |bytes, free_space| Options { free_space, ..options(bytes, Some(bits)) };
        let room = |bytes| {
            let summary = FatLayout::plan(&tree, &of(bytes, 0)).unwrap().summary();
            summary.free_clusters * summary.cluster_bytes
        };
        let before = room(change - 512);
        for more in (1..12).map(|number| number * 33_331) {
            let free_space = before + more;
            let smallest = FatLayout::smallest(&tree, &of(0, free_space)).unwrap();
            assert!(smallest >= change);
            let from = (change - 512).max(smallest - 400 * 512);
            for bytes in (from..smallest).step_by(7 * 512) {
                assert!(FatLayout::plan(&tree, &of(bytes, free_space)).is_err(), "{bytes} of {smallest}");
            }
        }
    }
}

/// From 512 MiB on, clusters have 4 KiB instead of 8: files that FAT16 has no room for fit into FAT32.
#[test]
fn the_smallest_partition_is_found_where_fat32_begins() {
    let tree = blank(&[1; 2000]);
    let of = |bytes, free_space| Options { free_space, ..options(bytes, None) };
    let room = FatLayout::plan(&tree, &of(512 * MIB - 512, 0)).unwrap().summary();
    assert_eq!(room.cluster_bytes, 8192);
    let free_space = room.free_clusters * 8192 + 5 * MIB;
    assert_eq!(FatLayout::smallest(&tree, &of(0, free_space)), Ok(512 * MIB));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any numbers give a layout or an error.
    #[test]
    fn no_number_is_too_large(
        bytes in prop_oneof![Just(u64::MAX), Just(1 << 41), any::<u64>(), 0..u64::MAX],
        free_space in prop_oneof![u64::MAX - 3 * MIB..=u64::MAX, (1 << 41) - 4 * GIB..(1 << 42), any::<u64>()],
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        long_sectors in any::<bool>(),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let of = |bytes| Options { sector, free_space, ..options(bytes, bits) };
        let tree = blank(&[1, 4 * GIB - 1]);
        match FatLayout::smallest(&tree, &of(0)) {
            Ok(smallest) => {
                let found = FatLayout::plan(&tree, &of(smallest)).unwrap().summary();
                prop_assert!(found.free_clusters * found.cluster_bytes >= free_space);
            }
            Err(error) => {
                let is_too_much = matches!(error, FatError::TooMuch { .. });
                prop_assert!(is_too_much && free_space > GIB, "{}", error);
            }
        }
        if let Ok(layout) = FatLayout::plan(&tree, &of(bytes)) {
            prop_assert_eq!(layout.len(), bytes);
        }
    }
}

/// Promised free space is counted in whole clusters, and the error for too short a partition names it.
#[test]
fn free_space_is_promised() {
    let tree = blank(&[1]);
    let with = |free_space| FatLayout::plan(&tree, &Options { free_space, ..options(9 * MIB, None) });
    let free = with(0).unwrap().summary();
    let free = free.free_clusters * free.cluster_bytes;
    with(free).unwrap();
    let error = with(free + 1).unwrap_err();
    let message = "the files and the free space need 2048 bytes more than the partition has; make it ";
    assert!(error.to_string().starts_with(message), "{error}");
}

#[test]
fn more_than_any_partition_holds_is_an_error_about_the_free_space() {
    let error = |sizes: &[u64], free_space, bits| {
        let options = Options { free_space, ..options(0, bits) };
        FatLayout::smallest(&blank(sizes), &options).unwrap_err().to_string()
    };
    assert_eq!(
        error(&[1], u64::MAX, None),
        "the free space: 18446744073709551615 bytes and the files are more than FAT32 can hold; promise less"
    );
    assert_eq!(
        error(&[1], 5 * GIB, Some(Bits::Fat16)),
        "the free space: 5368709120 bytes and the files are more than FAT16 can hold; promise less, or choose FAT32"
    );
    assert_eq!(
        error(&[3 * GIB, 3 * GIB], 0, Some(Bits::Fat16)),
        "the files are more than FAT16 can hold; leave some out, or choose FAT32"
    );
}

/// 40 MiB, a file of 40 MiB and 40 small ones.
#[test]
fn the_length_in_the_error_counts_longer_tables() {
    let tree = blank(&[&[40 * MIB][..], &[10; 40]].concat());
    let at = |bytes| FatLayout::plan(&tree, &options(bytes, Some(Bits::Fat16)));
    let Err(FatError::Full { more: Some(more), .. }) = at(40 * MIB) else { panic!("does not fit") };
    at(40 * MIB + more).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Readers derive the FAT type only from the number of clusters (specification, section 3.5).
    #[test]
    fn every_size_has_a_valid_number_of_clusters_or_is_rejected_with_a_valid_minimum(
        bytes in prop_oneof![0..80 * MIB, 200 * MIB..600 * MIB, 0..40 * GIB],
        bits in prop_oneof![Just(None), Just(Some(Bits::Fat16)), Just(Some(Bits::Fat32))],
        long_sectors in any::<bool>(),
    ) {
        let sector = if long_sectors { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let bytes = bytes - bytes % sector.bytes();
        let of = |bytes| Options { sector, ..options(bytes, bits) };
        let none = Files::new();
        let tree = tree_of(&none);
        match FatLayout::plan(&tree, &of(bytes)) {
            Ok(layout) => {
                let found = layout.summary();
                let range = if found.bits == Bits::Fat32 { 65_525..268_435_445 } else { 4085..65_525 };
                prop_assert!(range.contains(&found.clusters), "{:?}", found);
                prop_assert!(bits.is_none_or(|bits| bits == found.bits));
                prop_assert!(found.cluster_bytes <= 64 << 10 && found.cluster_bytes >= sector.bytes());
            }
            Err(FatError::TooShort { least, .. }) => {
                prop_assert!(least > bytes, "{} of {}", least, bytes);
                prop_assert!(FatLayout::plan(&tree, &of(least)).is_ok());
            }
            Err(FatError::TooLong { .. }) => prop_assert!(bits == Some(Bits::Fat16) && bytes > 3 * GIB),
            Err(other) => panic!("{other}"),
        }
    }
}
