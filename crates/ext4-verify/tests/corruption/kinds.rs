//! The kinds of damage: what it is, how it is done, what verify must call it.

use ext4_verify::Code;

use crate::fields::{
    DESCRIPTOR, DOTS, EXTENT_BLOCK, Field, INDEX, INODES, JOURNAL, NODE, RESERVED, SB, SUPERBLOCK,
    XATTR_BLOCK,
};
use crate::image::{BLOCK, Image, Names, narrow};

pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) expected: Code,
    pub(crate) damage: Box<dyn Fn(&mut Image) + Sync>,
}

/// Adds the kinds of a table: `at` the structure, `fix` its checksum.
fn table(
    kinds: &mut Vec<Kind>,
    what: &str,
    fields: &[Field],
    at: u64,
    fix: impl Fn(&mut Image) + Clone + Sync + 'static,
) {
    for &(offset, len, more, name, expected) in fields {
        let fix = fix.clone();
        let damage = move |image: &mut Image| {
            image.add(at + offset, len, more);
            fix(image);
        };
        kinds.push(Kind { name: format!("{what}: {name}"), expected, damage: Box::new(damage) });
    }
}

/// A byte that is not zero, or no longer what it was, without any checksum made right.
fn bytes(kinds: &mut Vec<Kind>, places: &[(&str, u64, Code)]) {
    for &(name, at, expected) in places {
        let damage = move |image: &mut Image| image.add(at, 1, 1);
        kinds.push(Kind { name: name.to_owned(), expected, damage: Box::new(damage) });
    }
}

/// All kinds of damage to [`crate::image::full`].
pub(crate) fn all(image: &Image, names: &Names) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let k = &mut kinds;
    table(k, "superblock", SUPERBLOCK, SB, |image| image.fix_super(SB));
    table(k, "descriptor", DESCRIPTOR, image.desc(0), |image| image.fix_desc(0));
    for (name, fields) in INODES {
        let number = names.of(name);
        table(k, name, fields, image.inode(number), move |image| image.fix_inode(number));
    }
    for &(number, fields) in RESERVED {
        let what = format!("inode {number}");
        table(k, &what, fields, image.inode(number), move |image| image.fix_inode(number));
    }
    let (sub, index, deep) = (names.of("sub"), names.of("index"), names.of("deep"));
    let at = image.first(sub);
    table(k, "directory", DOTS, at, move |image| image.fix_directory(sub, at));
    let at = image.first(index);
    table(k, "index", INDEX, at, move |image| image.fix_index(index, at, 0x20));
    let block = image.n(image.inode(names.of("xattr")) + 0x68, 4) * BLOCK;
    table(k, "attribute block", XATTR_BLOCK, block, move |image| image.fix_xattrs(block));
    let tree = image.first(deep);
    table(k, "extent block", EXTENT_BLOCK, tree, move |image| image.fix_extents(deep, tree));
    let journal = image.first(8);
    table(k, "journal", JOURNAL, journal, |_| {});
    bitmaps(k, image);
    let group = 32768 * BLOCK;
    let leaf = image.first(index) + BLOCK;
    let unused_inode = image.inode(names.of("zacl") + 1);
    let gdt = 1 + image.n(SB, 4).div_ceil(image.n(SB + 0x28, 4)).div_ceil(64);
    let resize = image.n(image.inode(7) + 0x5c, 4) * BLOCK;
    bytes(
        k,
        &[
            ("boot block", 100, Code::MetadataPadding),
            ("behind the superblock", 3000, Code::MetadataPadding),
            ("superblock without its checksum", SB + 0x78, Code::SuperblockChecksum),
            ("descriptor without its checksum", image.desc(1) + 0x0c, Code::DescriptorChecksum),
            ("behind the last descriptor", BLOCK + 4000, Code::DescriptorsBehind),
            ("copy of the superblock in group 1", group + 0x88, Code::BackupSuperblock),
            ("its checksum", group + 0x3fc, Code::BackupChecksum),
            ("its state", group + 0x3a, Code::BackupState),
            ("its group", group + 0x5a, Code::BackupSuperblock),
            ("behind it", group + 2000, Code::MetadataPadding),
            ("copy of the superblock in group 9", 9 * group + 0x10, Code::BackupSuperblock),
            ("copy of the descriptors in group 1", group + BLOCK + 12, Code::BackupDescriptors),
            ("copy of the descriptors in group 7", 7 * group + BLOCK + 12, Code::BackupDescriptors),
            ("reserve of group 1, first block", group + gdt * BLOCK, Code::ReserveNotZero),
            ("reserve of group 3, last byte", 3 * group + (gdt + 1) * BLOCK - 1, Code::ReserveNotZero),
            ("first pointer to a copy of the reserve", gdt * BLOCK, Code::ResizeBackupPointer),
            ("third pointer to a copy of the reserve", gdt * BLOCK + 8, Code::ResizeBackupPointer),
            ("pointer behind the last", gdt * BLOCK + 4000, Code::ResizeBackupPointer),
            ("pointer to the reserve", resize + 4 * (gdt - 1), Code::ResizePointer),
            ("pointer to no reserve", resize + 4000, Code::ResizePointer),
            ("inode without its checksum", image.inode(names.of("file")) + 2, Code::InodeChecksum),
            ("checksum of an inode", image.inode(names.of("file")) + 0x7c, Code::InodeChecksum),
            ("checksum of the journal's inode", image.inode(8) + 0x7c, Code::InodeChecksum),
            ("checksum of an inode without use", image.inode(4) + 0x7c, Code::InodeChecksum),
            ("unused inode", unused_inode + 0x10, Code::InodeUnusedNotZero),
            ("unused inode with a link", unused_inode + 0x1a, Code::InodeOrphan),
            ("last inode of the table", unused_inode + 40_960, Code::InodeOrphan),
            ("directory without its checksum", image.first(sub) + 40, Code::DirectoryChecksum),
            ("leaf of an index without its checksum", leaf + 20, Code::DirectoryChecksum),
            ("index without its checksum", image.first(index) + 0x28, Code::HtreeChecksum),
            ("attribute block without its checksum", block + 0xfff, Code::XattrChecksum),
            ("extent block without its checksum", tree + 20, Code::ExtentChecksum),
            ("behind the end of a file", image.first(names.of("file")) + 5000, Code::SlackNotZero),
            ("behind the end of a long target", image.first(names.of("longlink")) + 100, Code::SlackNotZero),
            ("last free block", image.len - 1, Code::FreeBlockNotZero),
            ("a free block", image.len - 40_000_000, Code::FreeBlockNotZero),
        ],
    );
    flags(k, image, names);
    swaps(k, image, names);
    kinds
}

/// All kinds of damage to [`crate::image::two_levels`].
pub(crate) fn two_levels(image: &Image, names: &Names) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let huge = names.of("huge");
    let root = image.first(huge);
    let node = root + image.n(root + 0x24, 4) * BLOCK;
    table(&mut kinds, "index of two levels", NODE, node, move |image| image.fix_index(huge, node, 8));
    kinds
}

/// Kinds that only a checksum reveals: the owner of a file may be any.
const HIDDEN: [&str; 1] = ["inode without its checksum"];

/// What reveals a kind instead of a checksum, or of a flag that needs one.
const WITHOUT_CHECKSUM: [(&str, Code); 13] = [
    ("superblock: s_blocks_count_hi", Code::SuperblockBlocks),
    ("bitmap: blocks without checksum", Code::BlockNotMarked),
    ("bitmap: inodes without checksum", Code::InodeNotMarked),
    ("bitmap: inodes that are not written", Code::InodeLeaked),
    ("superblock without its checksum", Code::BackupSuperblock),
    ("descriptor without its checksum", Code::GroupFreeBlocks),
    ("directory without its checksum", Code::EntryPadding),
    ("leaf of an index without its checksum", Code::InodeOrphan),
    ("index without its checksum", Code::HtreeContinued),
    ("attribute block without its checksum", Code::XattrHash),
    ("extent block without its checksum", Code::BlockShared),
    ("swap: two descriptors", Code::BackupDescriptors),
    ("swap: an inode for another", Code::EntryType),
];

/// All kinds of damage to an image of [`crate::image::full`] without checksums.
pub(crate) fn legacy(image: &Image, names: &Names) -> Vec<Kind> {
    let mut kinds = all(image, names);
    kinds.retain(|kind| {
        let is_high = kind.name.starts_with("descriptor: ")
            && (kind.name.ends_with("_hi") || kind.name.ends_with("bg_reserved"));
        let is_tail = kind.name.ends_with(" of the tail");
        !is_high && !is_tail && !HIDDEN.contains(&&*kind.name)
    });
    for kind in &mut kinds {
        if let Some((_, code)) = WITHOUT_CHECKSUM.iter().find(|(name, _)| *name == kind.name) {
            kind.expected = *code;
        }
    }
    let features: &[Field] = &[
        (0x60, 4, 0x80, "64bit alone", Code::SuperblockFeatures),
        (0x64, 4, 0x10, "uninit_bg", Code::SuperblockFeatures),
        (0x64, 4, 0x400, "metadata_csum alone", Code::SuperblockFeatures),
    ];
    table(&mut kinds, "legacy: feature", features, SB, |_| {});
    let (deep, file) = (names.of("deep"), names.of("file"));
    let block = image.n(image.inode(names.of("xattr")) + 0x68, 4) * BLOCK;
    bytes(
        &mut kinds,
        &[
            ("legacy: s_checksum", SB + 0x3fc, Code::SuperblockChecksum),
            ("legacy: bg_checksum", image.desc(3) + 0x1e, Code::DescriptorChecksum),
            ("legacy: i_checksum_hi", image.inode(file) + 0x82, Code::InodeChecksum),
            (
                "legacy: checksum of a block of an index",
                image.first(names.of("index")) + 4095,
                Code::HtreePadding,
            ),
            ("legacy: checksum of an extent block", image.first(deep) + 4092, Code::ExtentChecksum),
            ("legacy: checksum of an attribute block", block + 0x10, Code::XattrChecksum),
            (
                "legacy: behind the last entry of a directory",
                image.first(names.of("sub")) + 4095,
                Code::EntryPadding,
            ),
        ],
    );
    kinds
}

/// Each flag on each type of inode. Linux lets users set some, on some types (`EXT4_FL_USER_MODIFIABLE`, `EXT4_REG_FLMASK`,
/// `EXT4_OTHER_FLMASK`).
fn flags(kinds: &mut Vec<Kind>, image: &Image, names: &Names) {
    // Their checks are others.
    const INDEX: u32 = 12;
    const EXTENTS: u32 = 19;
    // In the order of the letters suScSiadAjtDTxP of chattr.
    let of_directories = [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17, 25, 29];
    let of_files = [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 25];
    let of_others = [6, 7];
    let types: [(&str, &[u32]); 7] = [
        ("file", &of_files),
        ("sub", &of_directories),
        ("index", &of_directories),
        ("link", &of_others),
        ("longlink", &of_others),
        ("console", &of_others),
        ("fifo", &of_others),
    ];
    for (name, allowed) in types {
        let number = names.of(name);
        let at = image.inode(number) + 0x20;
        for bit in (0..32).filter(|bit| ![INDEX, EXTENTS].contains(bit)) {
            let expected = if allowed.contains(&bit) { Code::InodeAttributes } else { Code::InodeFlags };
            let damage = move |image: &mut Image| {
                let flags = u32::try_from(image.n(at, 4)).unwrap() | 1 << bit;
                image.put(at, &flags.to_le_bytes());
                image.fix_inode(number);
            };
            kinds.push(Kind { name: format!("flag {bit} of {name}"), expected, damage: Box::new(damage) });
        }
    }
}

fn bitmaps(kinds: &mut Vec<Kind>, image: &Image) {
    let mut add = |name: &str, expected: Code, damage: Box<dyn Fn(&mut Image) + Sync>| {
        kinds.push(Kind { name: format!("bitmap: {name}"), expected, damage });
    };
    let last = image.len.div_ceil(32768 * BLOCK) - 1;
    let (blocks, inodes) = (image.bitmap(0, 0), image.bitmap(0, 4));
    add(
        "a used block as free",
        Code::BlockNotMarked,
        Box::new(move |image| {
            image.add(blocks, 1, 0xfe);
            image.fix_block_bitmap(0);
        }),
    );
    let tail = image.bitmap(last, 0);
    let in_last = image.len / BLOCK - last * 32768;
    add(
        "a free block as used",
        Code::BlockLeaked,
        Box::new(move |image| {
            image.put(tail + (in_last - 8) / 8, &[0xff]);
            image.fix_block_bitmap(last);
        }),
    );
    add(
        "behind the last block",
        Code::BlockBitmapPadding,
        Box::new(move |image| {
            image.put(tail + 4095, &[0x7f]);
            image.fix_block_bitmap(last);
        }),
    );
    add(
        "blocks without checksum",
        Code::BlockBitmapChecksum,
        Box::new(move |image| {
            image.add(blocks, 1, 1);
        }),
    );
    add(
        "a used inode as free",
        Code::InodeNotMarked,
        Box::new(move |image| {
            image.add(inodes + 1, 1, 0xf0);
            image.fix_inode_bitmap(0);
        }),
    );
    let group = image.n(SB, 4) / image.n(SB + 0x28, 4) - 1;
    let used_group = (0..group).rev().find(|&group| image.n(image.desc(group) + 0x12, 2) & 1 == 0).unwrap();
    let used = image.bitmap(used_group, 4);
    let per_group = image.n(SB + 0x28, 4);
    add(
        "a free inode as used",
        Code::InodeLeaked,
        Box::new(move |image| {
            image.put(used + per_group / 8 - 1, &[0x80]);
            image.fix_inode_bitmap(used_group);
        }),
    );
    add(
        "behind the last inode",
        Code::InodeBitmapPadding,
        Box::new(move |image| {
            image.put(used + 4095, &[0x7f]);
            image.fix_inode_bitmap(used_group);
        }),
    );
    add(
        "inodes without checksum",
        Code::InodeBitmapChecksum,
        Box::new(move |image| {
            image.add(inodes, 1, 0xff);
        }),
    );
    let unwritten = image.bitmap(group, 4);
    add("inodes that are not written", Code::UninitBitmap, Box::new(move |image| image.put(unwritten, &[1])));
}

/// Correct items in the wrong place.
#[expect(clippy::too_many_lines, reason = "a list of kinds, one behind the other")]
fn swaps(kinds: &mut Vec<Kind>, image: &Image, names: &Names) {
    let mut add = |name: &str, expected: Code, damage: Box<dyn Fn(&mut Image) + Sync>| {
        kinds.push(Kind { name: format!("swap: {name}"), expected, damage });
    };
    add(
        "two descriptors",
        Code::DescriptorChecksum,
        Box::new(|image| {
            let (one, two) = (image.desc(1), image.desc(2));
            let len = narrow(two - one);
            let (a, b) = (image.get(one, len), image.get(two, len));
            image.put(one, &b);
            image.put(two, &a);
        }),
    );
    let (file, link, fifo) = (names.of("file"), names.of("link"), names.of("fifo"));
    add(
        "two inodes",
        Code::EntryType,
        Box::new(move |image| {
            let (a, b) = (image.get(image.inode(file), 256), image.get(image.inode(fifo), 256));
            let (at_a, at_b) = (image.inode(file), image.inode(fifo));
            image.put(at_a, &b);
            image.put(at_b, &a);
            image.fix_inode(file);
            image.fix_inode(fifo);
        }),
    );
    add(
        "an inode for another",
        Code::InodeChecksum,
        Box::new(move |image| {
            let other = image.get(image.inode(link), 256);
            let at = image.inode(fifo);
            image.put(at, &other);
        }),
    );
    let (index, leaf) = (names.of("index"), image.first(names.of("index")) + BLOCK);
    add(
        "two leaves of an index",
        Code::HtreeRange,
        Box::new(move |image| {
            let (a, b) = (image.get(leaf, 4096), image.get(leaf + BLOCK, 4096));
            image.put(leaf, &b);
            image.put(leaf + BLOCK, &a);
        }),
    );
    add(
        "two blocks of an index, by number",
        Code::HtreeRange,
        Box::new(move |image| {
            let root = image.first(index);
            let (a, b) = (image.get(root + 0x24, 4), image.get(root + 0x2c, 4));
            image.put(root + 0x24, &b);
            image.put(root + 0x2c, &a);
            image.fix_index(index, root, 0x20);
        }),
    );
    add(
        "two entries of the same name",
        Code::EntryDuplicate,
        Box::new(move |image| {
            // Names of the same length, one behind the other.
            let name = image.get(leaf + 8, 10);
            image.put(leaf + 28, &name);
            image.fix_directory(index, leaf);
        }),
    );
    let sub = names.of("sub");
    add(
        "a directory in itself",
        Code::DirectoryLinkedTwice,
        Box::new(move |image| {
            let at = image.first(sub);
            image.put(at + 24, &u32::try_from(sub).unwrap().to_le_bytes());
            image.fix_directory(sub, at);
        }),
    );
    add(
        "an entry that is unused",
        Code::EntryUnused,
        Box::new(move |image| {
            let at = image.first(sub);
            image.put(at + 24, &[0; 4]);
            image.fix_directory(sub, at);
        }),
    );
    let deep = names.of("deep");
    add(
        "two extents",
        Code::ExtentOrder,
        Box::new(move |image| {
            let at = image.first(deep);
            let (a, b) = (image.get(at + 12, 12), image.get(at + 24, 12));
            image.put(at + 12, &b);
            image.put(at + 24, &a);
            image.fix_extents(deep, at);
        }),
    );
    add(
        "an extent tree that leads to itself",
        Code::BlockShared,
        Box::new(move |image| {
            let at = image.first(deep);
            image.put(at + 6, &[1, 0]);
            let number = (at / BLOCK).to_le_bytes();
            image.put(at + 16, &number[..6]);
            let inode = image.inode(deep);
            image.put(inode + 0x2e, &[2, 0]);
            image.fix_extents(deep, at);
            image.fix_inode(deep);
        }),
    );
    add("a shorter image", Code::ImageTooShort, Box::new(|image| image.len -= BLOCK));
    add(
        "something behind the end",
        Code::TrailingData,
        Box::new(|image| {
            image.len += BLOCK;
            let at = image.len - 1;
            image.put(at, &[1]);
        }),
    );
}
