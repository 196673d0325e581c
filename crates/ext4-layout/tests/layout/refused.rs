//! What a file system can't have, or Linux can't use: an error before anything is written.

use ext4_layout::{Layout, LayoutError, Options};
use image_tree::{
    FileTree, ImagePath, Metadata, Permissions, SpecialKind, Timestamp, TreeBuilder, Xattr, XattrName,
};

use crate::support::{assemble, assert_clean, checked, debugfs, folder, options};

const ALL: [&str; 6] = ["/d", "/f", "/l", "/null", "/pipe", "/sock"];

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: XattrName::parse(name.as_bytes()).unwrap(), value: value.to_vec() }
}

/// A tree with a node of each kind. One of them has other metadata.
fn tree(path: &str, change: impl Fn(&mut Metadata)) -> FileTree {
    let mut tree = TreeBuilder::new();
    tree.lost_found().unwrap().directory("/d").unwrap().file("/f", "x").unwrap().symlink("/l", "f").unwrap();
    tree.special("/null", SpecialKind::Character { major: 1, minor: 3 }).unwrap();
    tree.special("/pipe", SpecialKind::Fifo).unwrap().special("/sock", SpecialKind::Socket).unwrap();
    let mut metadata = Metadata::root_owned(Permissions::from_mode(0o644), Timestamp::STORE);
    change(&mut metadata);
    tree.metadata(path, metadata).unwrap();
    tree.finish().unwrap()
}

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

#[test]
fn each_extended_attribute_has_one_name_in_any_order() {
    let folder = folder();
    for len in [1, 200] {
        let one = |byte: u8, name: &str| xattr(name, &vec![byte; len]);
        let twice = [one(1, "user.a"), one(2, "security.b"), one(3, "user.a")];
        for (a, b, c) in [(0, 1, 2), (0, 2, 1), (1, 0, 2)] {
            let xattrs = vec![twice[a].clone(), twice[b].clone(), twice[c].clone()];
            let tree = tree("/f", |metadata| metadata.xattrs.clone_from(&xattrs));
            let name = twice[0].name.clone();
            let error = Layout::plan(&tree, &options()).unwrap_err();
            assert_eq!(error, LayoutError::XattrTwice { path: path("/f"), name });
            assert_eq!(error.to_string(), "/f: has the extended attribute user.a twice; leave one out");
        }
        let unsorted = vec![one(1, "user.b"), one(2, "user.a"), one(3, "security.a"), one(4, "trusted.a")];
        let image =
            checked(&tree("/f", |metadata| metadata.xattrs.clone_from(&unsorted)), &options(), folder.path());
        let listed = debugfs(&image, "ea_list /f");
        for xattr in unsorted {
            assert!(listed.contains(&format!("{} ({len})", xattr.name)), "{listed}");
        }
    }
}

/// `xattr_permission`, `posix_acl_create` and `set_posix_acl` of Linux.
#[test]
fn extended_attributes_are_those_that_linux_returns_for_the_type() {
    let folder = folder();
    let acl = |bits: [u8; 3]| {
        let entry = |tag: u8, bits: u8| [tag, 0, bits, 0, 0xff, 0xff, 0xff, 0xff];
        let named = [2, 0, 7, 0, 5, 0, 0, 0];
        [
            &[2, 0, 0, 0][..],
            &entry(1, bits[0]),
            &named,
            &entry(4, bits[1]),
            &entry(16, 4),
            &entry(32, bits[2]),
        ]
        .concat()
    };
    for (name, value, allowed) in [
        ("user.a", b"v".to_vec(), &["/d", "/f"][..]),
        ("trusted.a", b"v".to_vec(), &ALL[..]),
        ("security.a", b"v".to_vec(), &ALL[..]),
        ("system.posix_acl_default", acl([6, 4, 4]), &["/d"]),
        ("system.posix_acl_access", acl([6, 4, 4]), &["/d", "/f", "/null", "/pipe", "/sock"]),
    ] {
        for at in ALL {
            let tree = tree(at, |metadata| metadata.xattrs = vec![xattr(name, &value)]);
            if allowed.contains(&at) {
                checked(&tree, &options(), folder.path());
            } else {
                let name = XattrName::parse(name.as_bytes()).unwrap();
                let refused = LayoutError::XattrOfOtherType { path: path(at), name };
                assert_eq!(Layout::plan(&tree, &options()).unwrap_err(), refused);
            }
        }
    }
}

#[test]
fn no_owner_and_no_uuid_are_errors() {
    let folder = folder();
    for at in ALL {
        for (uid, gid, fits) in [
            (u32::MAX - 1, u32::MAX - 1, true),
            (u32::MAX, 0, false),
            (0, u32::MAX, false),
            (u32::MAX, u32::MAX, false),
        ] {
            let tree = tree(at, |metadata| (metadata.uid, metadata.gid) = (uid, gid));
            if fits {
                checked(&tree, &options(), folder.path());
            } else {
                let error = Layout::plan(&tree, &options()).unwrap_err();
                assert_eq!(error, LayoutError::NoOwner { path: path(at) });
            }
        }
    }
    let none = options().with_uuid([0; 16]);
    let error = Layout::plan(&tree("/f", |_| {}), &none).unwrap_err();
    assert_eq!(error, LayoutError::NoUuid);
    assert_eq!(error.to_string(), "uuid: is zero, which means that there is none; choose another one");
}

#[test]
fn at_most_half_of_all_blocks_is_reserved() {
    let folder = folder();
    let tree = tree("/f", |_| {});
    for reserved in [0, 1, 49_999, 50_000] {
        checked(&tree, &options().with_reserved(Some(reserved)), folder.path());
    }
    for thousandths in [50_001, 100_000, 100_001, u32::MAX] {
        let error = Layout::plan(&tree, &options().with_reserved(Some(thousandths))).unwrap_err();
        assert_eq!(error, LayoutError::Reserved { thousandths });
        assert!(error.to_string().starts_with("reserved: "), "{error}");
    }
}

/// A sealed file system has neither a journal nor a reserve, whatever the other options say.
#[test]
fn a_sealed_file_system_has_no_journal_and_no_reserve() {
    let folder = folder();
    let tree = tree("/f", |_| {});
    let mut images = Vec::new();
    for journal_size in [None, Some(0), Some(4 << 20)] {
        for grow_to in [None, Some(1 << 40)] {
            let options = options().with_sealed(true).with_journal_size(journal_size).with_grow_to(grow_to);
            let layout = Layout::plan(&tree, &options).unwrap();
            assert_eq!((layout.summary().reserved_gdt_blocks, layout.summary().warnings), (0, Vec::new()));
            let image = folder.path().join("image");
            assemble(&layout, &image);
            assert_clean(&image);
            let features = debugfs(&image, "features");
            assert!(!features.contains("has_journal") && !features.contains("resize_inode"), "{features}");
            images.push(std::fs::read(image).unwrap());
        }
    }
    assert!(images.windows(2).all(|pair| pair[0] == pair[1]));
    // So the defaults can be sealed.
    checked(&tree, &Options::default().with_sealed(true), folder.path());
}
