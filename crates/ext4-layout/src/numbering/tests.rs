use image_tree::TreeBuilder;

use super::*;
use crate::Compatibility;
use crate::previous::{Place, Recorded};

/// In the order of their nodes: the root, a file, a directory with another name of the file and one more file, lost+found, a
/// symlink.
fn tree() -> FileTree {
    let mut tree = TreeBuilder::new();
    tree.lost_found().unwrap().file("/a", "text").unwrap().directory("/d").unwrap();
    tree.hard_link("/d/e", "/a").unwrap().file("/d/f", "").unwrap().symlink("/s", "a").unwrap();
    tree.finish().unwrap()
}

fn inodes(numbering: &Numbering) -> Vec<u32> {
    numbering.inodes.iter().map(|inode| inode.0).collect()
}

/// The places of the nodes of [`tree`] in an image with 64 inodes.
fn previous(numbers: [Option<u32>; 7]) -> Previous {
    let recorded = Recorded {
        blocks: 1000,
        groups: 1,
        inodes_per_group: 64,
        reserved_gdt_blocks: 0,
        journal_blocks: 0,
        compatibility: Compatibility::Current,
    };
    let places = numbers.map(|number| number.map(|inode| Place::new(inode, 0, 0)));
    Previous::new(recorded, places.to_vec(), 5).unwrap()
}

#[test]
fn slots_are_the_root_lost_found_and_inodes_from_12() {
    for (inode, slot) in
        [(0, None), (1, None), (2, Some(0)), (3, None), (10, None), (11, Some(1)), (12, Some(2))]
    {
        assert_eq!(Slot::of(InodeNr(inode)), slot.map(Slot), "{inode}");
    }
    for slot in [0, 1, 2, 1000] {
        assert_eq!(Slot::of(Slot(slot).inode()), Some(Slot(slot)));
        assert_eq!(wide(Slot(slot).index()), u64::from(slot));
    }
}

#[test]
fn inodes_follow_the_order_of_the_tree_and_names_of_a_file_share_one() {
    let numbering = Numbering::of(&tree(), None).unwrap();
    assert_eq!(inodes(&numbering), [2, 12, 13, 12, 14, 11, 15]);
    assert_eq!((numbering.used(), numbering.last(), numbering.slot_count()), (15, 15, 6));
    assert_eq!((numbering.links(InodeNr(12)), numbering.links(InodeNr(14))), (2, 1));
    assert_eq!((numbering.hard_links(), numbering.continued()), (1, &[][..]));
    let nodes: Vec<_> = numbering.slots().map(|(slot, node)| (slot.0, node.index())).collect();
    assert_eq!(nodes, [(0, 0), (1, 5), (2, 1), (3, 2), (4, 4), (5, 6)]);
    // Reserved inodes are used.
    let used: Vec<u32> = (1..=17).filter(|&inode| numbering.is_used(InodeNr(inode))).collect();
    assert_eq!(used, (1..=15).collect::<Vec<_>>());
}

#[test]
fn inodes_of_an_earlier_image_are_kept_and_free_ones_filled() {
    let previous = previous([Some(2), Some(20), None, Some(20), Some(13), Some(11), None]);
    let numbering = Numbering::of(&tree(), Some(&previous)).unwrap();
    assert_eq!(inodes(&numbering), [2, 20, 12, 20, 13, 11, 14]);
    assert_eq!((numbering.used(), numbering.last(), numbering.slot_count()), (15, 20, 11));
    let used: Vec<u32> = (11..=21).filter(|&inode| numbering.is_used(InodeNr(inode))).collect();
    assert_eq!(used, [11, 12, 13, 14, 20]);
}

#[test]
fn an_inode_is_kept_only_if_it_can_be() {
    let all = |numbering: &Numbering| (inodes(numbering), numbering.used(), numbering.slot_count());
    let fresh = all(&Numbering::of(&tree(), None).unwrap());
    for (numbers, why) in [
        ([Some(30), None, None, None, None, Some(31), None], "the root and lost+found have their own"),
        ([None, None, None, Some(30), None, None, None], "a second name has the inode of its file"),
        ([None, Some(1), Some(2), None, Some(10), None, Some(11)], "reserved inodes are for others"),
        ([None, Some(65), Some(66), None, Some(u32::MAX), None, None], "the earlier image had 64"),
    ] {
        assert_eq!(all(&Numbering::of(&tree(), Some(&previous(numbers))).unwrap()), fresh, "{why}");
    }
    let both = previous([None, Some(64), Some(64), None, Some(12), None, None]);
    let numbering = Numbering::of(&tree(), Some(&both)).unwrap();
    assert_eq!(inodes(&numbering), [2, 64, 13, 64, 12, 11, 14], "the first node keeps an inode");
}

#[test]
fn inode_numbers_are_below_2_to_the_32() {
    let mut numbering = Numbering::of(&tree(), None).unwrap();
    let last = u32::MAX - RESERVED_INODES - 1;
    numbering.next = index(u64::from(last));
    assert_eq!(numbering.next(NodeId::ROOT).unwrap(), InodeNr(u32::MAX - 2));
    let wanted = u64::from(last) + 1;
    assert_eq!(numbering.next(NodeId::ROOT).unwrap_err(), LayoutError::TooManyInodes { wanted });
}

#[test]
fn a_tree_has_lost_found_as_a_directory() {
    let mut without = TreeBuilder::new();
    without.file("/a", "text").unwrap();
    let mut with_file = TreeBuilder::new();
    with_file.file("/lost+found", "text").unwrap();
    for tree in [without, with_file] {
        let error = Numbering::of(&tree.finish().unwrap(), None).unwrap_err();
        assert_eq!(error, LayoutError::NoLostFound);
    }
}
