//! From names to inodes: lost+found, directories without an index, and what a name can lead to.

use ext4_layout::Compatibility::Current;
use ext4_verify::Code;
use image_tree::FileSource;

use crate::image::{BLOCK, Image, name, small, tiny};
use crate::{codes, first};

const LOST_FOUND: u64 = 11;

/// Makes a directory shorter, in its inode only.
fn shortened(good: &Image, inode: u64, blocks: u8) -> Image {
    let mut image = good.clone();
    let at = image.inode(inode);
    image.put(at + 4, &(u32::from(blocks) * 4096).to_le_bytes());
    image.put(at + 0x1c, &[8 * blocks]);
    image.put(at + 0x38, &[blocks]);
    image.fix_inode(inode);
    image
}

/// e2fsck needs blocks of lost+found that it can use without an allocation.
#[test]
fn lost_found_has_four_blocks_unless_the_file_system_is_sealed() {
    let good = tiny(Current);
    assert_eq!(good.n(good.inode(LOST_FOUND) + 4, 4), 4 * BLOCK);
    let short = shortened(&good, LOST_FOUND, 3);
    let text =
        "inode 11 (/lost+found): has 3 blocks, less than the four that e2fsck needs (lost-found-short)";
    assert_eq!(first(&short, Code::LostFoundShort), text);
    let mut sealed = short.clone();
    sealed.put(1024 + 0x65, &[0x14]);
    sealed.fix_super(1024);
    assert!(!codes(&sealed).contains(&"lost-found-short"));
}

#[test]
fn lost_found_is_a_directory_of_the_root() {
    let good = tiny(Current);
    let mut image = good.clone();
    let entry = image.first(2) + 24;
    image.put(entry + 8, b"Lost+found");
    image.fix_directory(2, entry - 24);
    assert_eq!(first(&image, Code::LostFound), "/lost+found: is not there as inode 11 (lost-found)");
    assert_eq!(codes(&image), ["lost-found"]);
}

/// A directory of the right name and inode, but not in the root.
#[test]
fn lost_found_is_not_in_another_directory() {
    let mut image = small(
        |options| options,
        |tree| {
            tree.directory("dir", |tree| tree.directory("directory1", |_| {}));
            tree.directory("lost+found", |_| {});
        },
    );
    // The entries behind the dots: of the root, which begins with that of `dir`, and of `dir`.
    let (root, dir) = (image.first(2), image.first(12));
    image.put(root + 36, &[13]);
    image.put(root + 44, b"directory1");
    image.put(dir + 24, &[11]);
    image.put(dir + 32, b"lost+found");
    image.fix_directory(2, root);
    image.fix_directory(12, dir);
    assert_eq!(codes(&image), ["directory-parent", "lost-found"]);
}

fn with_directory() -> Image {
    small(
        |options| options,
        |tree| {
            let plain = tree.plain;
            tree.directory("dir", |tree| {
                for index in 0..60 {
                    tree.writer.file(name(&format!("{index:080}")), plain, 0, FileSource::Inline(0)).unwrap();
                }
                tree.directory("inner", |_| {});
            });
            tree.directory("lost+found", |_| {});
        },
    )
}

/// The directory with an index, and the one in it.
const DIRECTORY: u64 = 12;
const INNER: u64 = 73;

#[test]
fn a_directory_of_several_blocks_has_an_index() {
    let good = with_directory();
    assert_eq!(codes(&good), [""; 0]);
    let mut image = good.clone();
    let at = image.inode(DIRECTORY);
    let blocks = image.n(at + 4, 4) / BLOCK;
    image.put(at + 0x20, &[0, 0, 8, 0]);
    image.fix_inode(DIRECTORY);
    let text = format!("inode 12 (/dir): has {blocks} blocks without an index (directory-linear)");
    assert_eq!(first(&image, Code::DirectoryLinear), text);
}

#[test]
fn a_directory_is_as_long_as_its_blocks() {
    let good = with_directory();
    for (size, text) in [
        (0_u32, "0 bytes do not go with 1 blocks"),
        (4095, "4095 bytes do not go with 1 blocks"),
        (8192, "8192 bytes do not go with 1 blocks"),
    ] {
        let mut image = good.clone();
        let at = image.inode(INNER);
        image.put(at + 4, &size.to_le_bytes());
        image.fix_inode(INNER);
        assert_eq!(codes(&image), ["directory-size"], "{size}");
        let expected = format!("inode 73 (/dir/inner): {text} (directory-size)");
        assert_eq!(first(&image, Code::DirectorySize), expected);
    }
    // No block at all.
    let mut image = good.clone();
    let at = image.inode(INNER);
    image.put(at + 4, &[0; 4]);
    image.put(at + 0x1c, &[0]);
    image.put(at + 0x2a, &[0; 2]);
    image.put(at + 0x34, &[0; 12]);
    image.fix_inode(INNER);
    let text = "inode 73 (/dir/inner): 0 bytes do not go with 0 blocks (directory-size)";
    assert_eq!(first(&image, Code::DirectorySize), text);
    let mut image = good;
    image.put(at + 0x34, &[1]);
    image.fix_inode(INNER);
    let text = "inode 73 (/dir/inner): 1 of its 2 blocks are there and written (directory-hole)";
    assert_eq!(first(&image, Code::DirectoryHole), text);
}

#[test]
fn a_directory_is_linked_by_its_name_and_by_the_directories_in_it() {
    let good = with_directory();
    for (inode, links, path) in [(DIRECTORY, 3, "/dir"), (INNER, 2, "/dir/inner"), (2, 4, "/")] {
        let mut image = good.clone();
        let at = image.inode(inode) + 0x1a;
        image.add(at, 2, 5);
        image.fix_inode(inode);
        let text =
            format!("inode {inode} ({path}): link count is {}, should be {links} (inode-links)", links + 5);
        assert_eq!(first(&image, Code::InodeLinks), text);
    }
}

#[test]
fn a_name_leads_to_an_inode_of_its_type() {
    let good = with_directory();
    let mut image = good.clone();
    let at = image.inode(13);
    image.put(at, &[0xa4, 0x11]);
    image.fix_inode(13);
    let path = format!("{:080}", 0);
    let text = format!("inode 13 (/dir/{path}): its name says type 1, but it is a FIFO (5) (entry-type)");
    assert_eq!(first(&image, Code::EntryType), text);
    image.put(at, &[0xa4, 0x31, 0xff]);
    image.fix_inode(13);
    let text = format!("inode 13 (/dir/{path}): a name leads to it, but its mode is 0o30644 (inode-type)");
    assert_eq!(first(&image, Code::InodeType), text);
}

#[test]
fn the_root_is_a_directory() {
    let mut image = tiny(Current);
    let at = image.inode(2);
    image.put(at, &[0xed, 0x81]);
    image.fix_inode(2);
    assert_eq!(first(&image, Code::InodeType), "inode 2 (/): is the root, and no directory (inode-type)");
}

/// Without extents, a directory has no contents that could be read.
#[test]
fn a_directory_has_extents() {
    let mut image = with_directory();
    let at = image.inode(INNER);
    image.put(at + 0x20, &[0; 4]);
    image.fix_inode(INNER);
    let text = "inode 73 (/dir/inner): flags are 0x0, which a directory can't have (inode-flags)";
    assert_eq!(first(&image, Code::InodeFlags), text);
}

#[test]
fn names_are_in_the_block_of_an_index_that_their_hash_belongs_to() {
    let good = with_directory();
    let leaf = good.first(DIRECTORY) + BLOCK;
    let mut changed = good;
    let mut ranges = 0;
    for digit in b'0'..=b'9' {
        changed.put(leaf + 8, &[digit + 20]);
        changed.fix_directory(DIRECTORY, leaf);
        if codes(&changed) == ["htree-range"] {
            let text = first(&changed, Code::HtreeRange);
            assert!(text.contains(" is in block 1, which is for 0x00000000 to 0x"), "{text}");
            ranges += 1;
        }
    }
    assert!(ranges > 0);
}

/// The last twelve bytes of a block are an unused entry of a type of its own, and the checksum.
#[test]
fn a_block_of_a_directory_ends_with_its_checksum() {
    let good = tiny(Current);
    let block = good.first(2);
    for at in [4084, 4087, 4088, 4089, 4090, 4091] {
        let mut image = good.clone();
        image.add(block + at, 1, 1);
        assert_eq!(codes(&image), ["directory-tail"], "{at}");
    }
    for at in [4092, 4095] {
        let mut image = good.clone();
        image.add(block + at, 1, 1);
        assert_eq!(codes(&image), ["directory-checksum"], "{at}");
    }
    let mut image = good.clone();
    image.put(block + 4083, &[1]);
    assert_eq!(codes(&image), ["directory-checksum", "entry-padding"]);
    let found = u32::try_from(good.n(block + 4092, 4)).unwrap();
    let text = first(&image, Code::DirectoryChecksum);
    assert!(
        text.starts_with(&format!("inode 2 (/): checksum of block 0 is {found:#010x}, should be 0x")),
        "{text}"
    );
}

/// The superblock says whether characters are signed; snugfs writes that they are.
#[test]
fn hashes_of_names_depend_on_the_sign_of_characters() {
    let good = small(
        |options| options,
        |tree| {
            let plain = tree.plain;
            tree.directory("dir", |tree| {
                for index in 0..60 {
                    let text = format!("{index:060}äöüß");
                    tree.writer.file(name(&text), plain, 0, FileSource::Inline(0)).unwrap();
                }
            });
            tree.directory("lost+found", |_| {});
        },
    );
    assert_eq!(codes(&good), [""; 0]);
    let mut unsigned = good;
    unsigned.put(1024 + 0x160, &[2]);
    unsigned.fix_super(1024);
    assert_eq!(codes(&unsigned), ["superblock-tuned", "htree-range"]);
}
