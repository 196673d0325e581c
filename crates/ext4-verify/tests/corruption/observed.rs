//! What an observer is shown of the inodes of a file system.

use ext4_verify::{Attribute, Code, Found, Kind, Observer, Run, Unused, check_and_show};
use image_tree::{Metadata, Permissions, SpecialKind, Timestamp, Xattr, XattrName};

use crate::image::{BLOCK, Image, name, small};
use crate::{codes, first};

/// One line for each name that is shown.
#[derive(Default)]
struct Lines(Vec<String>);

impl Observer for Lines {
    fn found(&mut self, found: Found<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut parts = vec![format!(
            "{}/{} {} {:?} {:o} {}:{} {:?} {}",
            found.directory,
            text(found.name),
            found.inode,
            found.kind,
            found.permissions,
            found.uid,
            found.gid,
            found.modified,
            found.size
        )];
        if !found.target.is_empty() {
            parts.push(format!("-> {}", text(found.target)));
        }
        if matches!(found.kind, Kind::Block | Kind::Character) {
            parts.push(format!("{:?}", found.device));
        }
        for Run { logical, start, len, written } in found.runs {
            assert!(*start > 0 && *written);
            parts.push(format!("[{logical}+{len}]"));
        }
        for Attribute { name, value } in found.attributes {
            parts.push(format!("{}={}", text(name), text(value)));
        }
        self.0.push(parts.join(" "));
    }
}

fn shown(image: &Image) -> Vec<String> {
    let mut lines = Lines::default();
    check_and_show(image, Unused::Zeros, &mut lines).unwrap();
    lines.0
}

fn image() -> Image {
    small(
        |options| options,
        |tree| {
            let plain = tree.plain;
            let mut special = |text, kind| tree.writer.special(name(text), plain, kind).unwrap();
            special("a", SpecialKind::Block { major: 259, minor: 0x1_2345 });
            special("b", SpecialKind::Character { major: 5, minor: 1 });
            tree.directory("dir", |tree| {
                let metadata = Metadata {
                    permissions: Permissions::from_mode(0o6751),
                    uid: 0x1234_5678,
                    gid: 0x8765_4321,
                    mtime: Timestamp::new((1 << 33) + 5, 999_999_999).unwrap(),
                    xattrs: ["user.a", "user.b"]
                        .map(|name| Xattr {
                            name: XattrName::parse(name.as_bytes()).unwrap(),
                            value: name[5..].repeat(60).into_bytes(),
                        })
                        .to_vec(),
                };
                let metadata = tree.writer.metadata(&metadata);
                let source = tree.writer.inline(vec![b'x'; 5000]);
                let file = tree.writer.file(name("file"), metadata, 5000, source).unwrap();
                tree.writer.hard_link(name("hard"), file).unwrap();
            });
            let old = Metadata::root_owned(Permissions::from_mode(0o1777), Timestamp::new(-2, 1).unwrap());
            let old = tree.writer.metadata(&old);
            tree.writer.symlink(name("link"), old, b"dir/file").unwrap();
            tree.directory("lost+found", |_| {});
            tree.writer.special(name("pipe"), plain, SpecialKind::Fifo).unwrap();
            tree.writer.special(name("socket"), plain, SpecialKind::Socket).unwrap();
            tree.writer.symlink(name("target"), plain, &[b't'; 60]).unwrap();
        },
    )
}

#[test]
fn every_name_is_shown_with_its_inode_and_directories_before_their_entries() {
    let (a, b) = ("a".repeat(60), "b".repeat(60));
    let file = "15 File 6751 305419896:2271560481 (8589934597, 999999999) 5000";
    let expected = [
        "2/ 2 Directory 755 0:0 (1, 0) 4096".to_owned(),
        "2/a 12 Block 755 0:0 (1, 0) 0 (259, 74565)".to_owned(),
        "2/b 13 Character 755 0:0 (1, 0) 0 (5, 1)".to_owned(),
        "2/dir 14 Directory 755 0:0 (1, 0) 4096".to_owned(),
        "2/link 16 Symlink 1777 0:0 (-2, 1) 8 -> dir/file".to_owned(),
        "2/lost+found 11 Directory 755 0:0 (1, 0) 16384".to_owned(),
        "2/pipe 17 Fifo 755 0:0 (1, 0) 0".to_owned(),
        "2/socket 18 Socket 755 0:0 (1, 0) 0".to_owned(),
        format!("2/target 19 Symlink 755 0:0 (1, 0) 60 -> {}", "t".repeat(60)),
        format!("14/file {file} [0+2] user.a={a} user.b={b}"),
        // What belongs to the inode is shown with its first name.
        format!("14/hard {file}"),
    ];
    assert_eq!(shown(&image()), expected);
}

/// An inode that has no type, and those below it, have nothing to show.
#[test]
fn an_inode_without_a_type_is_not_shown() {
    let mut image = image();
    let at = image.inode(14);
    image.put(at, &[0xed, 0x01]);
    image.fix_inode(14);
    let lines = shown(&image);
    assert_eq!(lines.len(), 8, "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("14")), "{lines:#?}");
}

/// An inode whose contents are damaged is shown with those that can be read.
#[test]
fn a_damaged_inode_is_shown_as_far_as_it_can_be_read() {
    let mut image = image();
    let at = image.inode(15) + 0x28;
    image.put(at, &[0]);
    image.fix_inode(15);
    let file = shown(&image).into_iter().find(|line| line.starts_with("14/file")).unwrap();
    assert!(file.contains("File 6751") && !file.contains('['), "{file}");
}

/// Without extents, nothing says where the contents of a file are. Other flags change nothing.
#[test]
fn a_file_with_wrong_flags_is_read_if_it_has_extents() {
    for (flags, is_read) in [(0x0008_0100_u32, true), (0x100, false), (0, false)] {
        let mut image = image();
        let at = image.inode(15) + 0x20;
        image.put(at, &flags.to_le_bytes());
        image.fix_inode(15);
        let codes = codes(&image);
        assert!(codes.contains(&"inode-flags"), "{flags:#x}: {codes:?}");
        // Blocks that are not read are in use by nothing.
        assert_eq!(codes.contains(&"block-leaked"), !is_read, "{flags:#x}: {codes:?}");
        let file = shown(&image).into_iter().find(|line| line.starts_with("14/file"));
        assert_eq!(file.is_some_and(|line| line.contains("[0+2]")), is_read, "{flags:#x}");
    }
}

#[test]
fn an_attribute_block_has_as_many_users_as_it_says() {
    let good = image();
    let block = good.n(good.inode(15) + 0x68, 4);
    assert!(block > 0);
    for users in [0, 2] {
        let mut image = good.clone();
        image.put(block * BLOCK + 4, &[users]);
        image.fix_xattrs(block * BLOCK);
        let text = format!("block {block}: says {users} users of its attributes, but has 1 (xattr-count)");
        assert_eq!(first(&image, Code::XattrCount), text);
    }
}
