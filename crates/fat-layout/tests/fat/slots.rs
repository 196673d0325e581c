//! Slots: files whose contents a finished image still gets.

use std::ops::Range;

use fat_layout::{Bits, FatError, FatLayout, NO_LABEL, Options, SLOTS};
use image_tree::SectorSize;

use crate::support::{Entry, MIB, options, tree_with};
use crate::volume::Volume;

const DIRECTORY: Entry = Entry::Directory;
const SLOT: Entry = Entry::Slot(70_000);

/// The types with both lengths of sectors, with and without a label.
fn all_options() -> Vec<Options> {
    let mut all = Vec::new();
    for (bits, sector, mib) in [
        (Bits::Fat16, SectorSize::Bytes512, 9),
        (Bits::Fat16, SectorSize::Bytes4096, 18),
        (Bits::Fat32, SectorSize::Bytes512, 34),
        (Bits::Fat32, SectorSize::Bytes4096, 260),
    ] {
        let with_label = Options { sector, ..options(mib * MIB, Some(bits)) };
        all.extend([with_label, Options { label: NO_LABEL, ..with_label }]);
    }
    all
}

/// The bytes of an image from one sector to another.
fn sectors(volume: &Volume, range: Range<usize>) -> &[u8] {
    &volume.bytes[range.start * volume.sector..range.end * volume.sector]
}

/// The list begins after the sectors that the type uses, and NULs follow it.
#[test]
fn the_reserved_sectors_list_all_slots() {
    let names: Vec<String> = (0..20).map(|number| format!("{number:02}{}", "n".repeat(200))).collect();
    let long: Vec<_> = names.iter().map(|name| (name.as_str(), SLOT)).collect();
    let long_list = names.iter().map(|name| format!("70000 /{name}\n")).collect::<Vec<_>>().concat();
    let short = [("boot", DIRECTORY), ("boot/Ü b", Entry::Slot(1)), ("none", Entry::File(0))];
    for options in all_options() {
        let (at, used) = if options.bits == Some(Bits::Fat16) { (1, 1) } else { (9, 8) };
        for (entries, list) in [(&short[..], "1 /boot/Ü b\n"), (&long, &long_list)] {
            let volume = Volume::of(&FatLayout::plan(&tree_with(entries), &options).unwrap());
            let list = format!("{SLOTS}\n{list}");
            let (text, rest) = sectors(&volume, at..volume.reserved / volume.sector).split_at(list.len());
            assert_eq!(String::from_utf8_lossy(text), list);
            assert!(rest.iter().chain(sectors(&volume, used..at)).all(|byte| *byte == 0));
        }
        let none = Volume::of(&FatLayout::plan(&tree_with(&short[2..]), &options).unwrap());
        assert!(sectors(&none, used..none.reserved / none.sector).iter().all(|byte| *byte == 0));
    }
}

/// A stamp changes the counts of `FSInfo` and its copy, the tables, the entries of the slots, and free clusters.
#[test]
fn a_stamp_changes_what_describes_the_slots_and_free_clusters() {
    let slots = ["1 long name of a slot", "b/c/SLOT", "b/also a long name", "b/d/slot", "z"];
    let tree = tree_with(&[
        ("0 long name of a file", Entry::File(3)),
        (slots[0], SLOT),
        ("b", DIRECTORY),
        ("b/Name of thirty-one characters", Entry::File(30_000)),
        (slots[2], SLOT),
        ("b/c", DIRECTORY),
        (slots[1], SLOT),
        ("b/d", DIRECTORY),
        (slots[3], SLOT),
        ("e", DIRECTORY),
        (slots[4], SLOT),
    ]);
    for options in all_options() {
        let layout = FatLayout::plan(&tree, &options).unwrap();
        let volume = Volume::of(&layout);
        let entries = slots.map(|path| volume.entry(path).at).map(|at| at..at + 32);
        let mut expected: Vec<_> = entries.into();
        expected.extend([volume.reserved..volume.root_at(), volume.free_at()..volume.bytes.len()]);
        if volume.bits == Bits::Fat32 {
            expected.extend([1, 7].map(|sector| sector * volume.sector + 488..sector * volume.sector + 496));
        }
        expected.sort_by_key(|range| range.start);
        let found = layout.stampable();
        let place = |at| usize::try_from(at).unwrap();
        let found: Vec<_> = found.into_iter().map(|range| place(range.start)..place(range.end)).collect();
        assert_eq!(found, expected, "{options:?}");
        let none = FatLayout::plan(&tree_with(&[("file", Entry::File(9))]), &options).unwrap();
        assert_eq!(none.stampable(), []);
    }
}

/// Slots and the promised free space take whole clusters, each its own.
#[test]
fn slots_have_room_among_the_free_clusters() {
    let options = options(9 * MIB, None);
    let of = |slot, file, free_space| {
        let tree = tree_with(&[("a", Entry::Slot(slot)), ("b", Entry::Slot(1)), ("c", Entry::File(file))]);
        FatLayout::plan(&tree, &Options { free_space, ..options }).map(|layout| layout.summary())
    };
    let empty = FatLayout::plan(&tree_with(&[]), &options).unwrap().summary();
    assert_eq!((empty.cluster_bytes, empty.free_clusters), (2048, empty.clusters));
    let room = empty.clusters * 2048;
    assert_eq!(of(2049, room - 4 * 2048, 1).unwrap().free_clusters, 4);
    for (error, has_free_space) in [
        (of(2048, room - 2 * 2048 + 1, 0), false),
        (of(2049, room - 3 * 2048, 1), true),
        (of(4097, room - 4 * 2048, 1), true),
        (of(2049, room - 4 * 2048, 2049), true),
    ] {
        let error = error.unwrap_err();
        let FatError::Full { missing: 2048, promised: true, free_space, more: Some(_) } = error else {
            panic!("{error:?}")
        };
        assert_eq!(free_space, has_free_space);
    }
    let tree = tree_with(&[("c", Entry::File(room + 1))]);
    for (free, missing) in [(0, 2048), (1, 4096)] {
        let error = FatLayout::plan(&tree, &Options { free_space: free, ..options }).unwrap_err();
        let FatError::Full { missing: found, promised, free_space, .. } = error else { panic!("{error:?}") };
        assert_eq!((found, promised, free_space), (missing, free > 0, free > 0));
    }
}
