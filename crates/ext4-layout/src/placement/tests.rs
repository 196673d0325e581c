use image_tree::{FileTree, TreeBuilder};

use super::*;
use crate::Options;

/// Four groups; the second and the fourth begin with a copy of the superblock.
fn geometry() -> Geometry {
    Geometry { blocks: 100_000, groups: 4, inodes_per_group: 8192, gdt: 1, reserved_gdt: 0, journal: 0 }
}

#[test]
fn gaps_give_each_block_once_and_the_first_that_fits() {
    let mut gaps = Gaps::of(10..100);
    assert!(gaps.take(20..30) && gaps.take(10..12) && gaps.take(90..95));
    assert!(!gaps.take(29..31) && !gaps.take(9..13) && !gaps.take(99..101) && !gaps.take(5..7));
    assert_eq!(gaps.ranges, BTreeMap::from([(12, 20), (30, 90), (95, 100)]));
    assert_eq!(gaps.find(|_| 8), Some(12..20));
    assert_eq!(gaps.find(|_| 9), Some(30..39));
    assert_eq!(gaps.find(|start| if start == 30 { 70 } else { 5 }), Some(12..17));
    assert_eq!(gaps.find(|_| 61), None);
    assert_eq!(gaps.find(|_| 5), Some(12..17));
    assert!(gaps.take(12..20) && gaps.take(30..90));
    assert_eq!(gaps.find(|_| 5), Some(95..100));
    assert_eq!(gaps.ranges, BTreeMap::from([(95, 100)]));
    assert!(!Gaps::of(5..5).take(5..6));
}

#[test]
fn a_place_is_kept_if_the_same_blocks_have_it_in_the_new_file_system() {
    let (old, new) = (geometry(), Geometry { reserved_gdt: 10, ..geometry() });
    let space = DataSpace::of(&new);
    let former = Former { old: DataSpace::of(&old), new: &space };
    let start = |start, blocks| former.start(Place::new(12, start, blocks));
    let first = new.island(crate::units::GroupNr(0)).end;
    assert_eq!(start(first, 5), Some(DataNr(0)));
    assert_eq!(start(20_000, 5), Some(DataNr(20_000 - first)));
    assert_eq!(start(32_768 - 5, 5), Some(DataNr(32_768 - 5 - first)));
    // A copy of the superblock is longer than before, so what goes on after it is elsewhere.
    assert_eq!(start(32_768 - 5, 6), None);
    // No contents were or are here.
    assert_eq!(start(first - 1, 5), None);
    assert_eq!(start(32_768 + 2, 5), None);
    assert_eq!(start(0, 5), None);
    // The third group has no metadata in either. The end is that of the shorter one.
    assert_eq!(start(65_536, 5), Some(DataNr(65_536 - first - 12)));
    assert_eq!(start(99_995, 5), Some(DataNr(99_995 - first - 24)));
    assert_eq!(start(100_000, 5), None);
    let shorter = DataSpace::of(&Geometry { blocks: 99_000, ..old });
    let former = Former { old: DataSpace::of(&old), new: &shorter };
    assert_eq!(
        former.start(Place::new(12, 98_999, 1)).map(|data| shorter.block(data)),
        Some(BlockNr(98_999))
    );
    assert_eq!(former.start(Place::new(12, 98_999, 2)), None);
}

fn tree() -> FileTree {
    let attribute = |len| {
        let name = image_tree::XattrName::parse(b"user.a").unwrap();
        let mut metadata = image_tree::Metadata::root_owned(
            image_tree::Permissions::STORE_FILE,
            image_tree::Timestamp::STORE,
        );
        metadata.xattrs = vec![image_tree::Xattr { name, value: vec![b'v'; len] }];
        metadata
    };
    let mut tree = TreeBuilder::new();
    tree.lost_found().unwrap().file("/empty", "").unwrap().file("/file", "text").unwrap();
    tree.file("/inside", "text").unwrap().metadata("/inside", attribute(3)).unwrap();
    tree.file("/outside", "text").unwrap().metadata("/outside", attribute(300)).unwrap();
    tree.symlink("/short", "file").unwrap().symlink("/long", [b't'; 60]).unwrap();
    tree.finish().unwrap()
}

/// Everything except files comes first, in the order of inodes. The file with an attribute block is the only one that has
/// metadata in data space.
#[test]
fn contents_follow_each_other_and_those_with_metadata_are_known() {
    let options = Options::default();
    let inventory = Inventory::of(&tree(), &options, None).unwrap();
    let geometry = Geometry { reserved_gdt: 1, journal: 1024, ..geometry() };
    let space = DataSpace::of(&geometry);
    let placement = Placement::of(&inventory, &geometry, &space);
    let used = |placement: &Placement| -> Vec<_> {
        placement.used.iter().map(|range| (range.start, range.end)).collect()
    };
    let name = |slot: Slot| {
        let node = inventory.numbering.owner(slot).unwrap();
        String::from_utf8(inventory.tree.name(node).to_vec()).unwrap()
    };
    assert_eq!((placement.resize, placement.own_end()), (Some(DataNr(0)), DataNr(1025)));
    assert_eq!(placement.journal.map(|journal| journal.start), Some(DataNr(1)));
    let order: Vec<_> = placement.order.iter().map(|&slot| name(slot)).collect();
    assert_eq!(order, ["", "lost+found", "long", "file", "inside", "outside"]);
    let with_metadata: Vec<_> =
        placement.with_metadata.iter().map(|&(start, slot)| (start.0, name(slot))).collect();
    let expected = [(1025, ""), (1026, "lost+found"), (1030, "long"), (1033, "outside")];
    assert_eq!(with_metadata, expected.map(|(start, name)| (start, name.to_owned())));
    assert_eq!((used(&placement), placement.used_blocks()), (vec![(0, 1035)], 1035));
    assert_eq!(placement.end(), DataNr(1035));
    // Without a journal and a reserve, contents begin at 0.
    let geometry = self::geometry();
    let space = DataSpace::of(&geometry);
    let placement = Placement::of(&inventory, &geometry, &space);
    assert_eq!((placement.resize, placement.journal, placement.own_end()), (None, None, DataNr(0)));
    assert_eq!(used(&placement), [(0, 10)]);
}
