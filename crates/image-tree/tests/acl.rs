//! Modes and access control lists, changed in any order, beside what Linux makes of the same changes.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use image_tree::{Acl, Metadata, Permissions, Timestamp, Xattr, XattrName};
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

const ACCESS: &str = "system.posix_acl_access";

#[derive(Clone, Debug)]
enum Change {
    Mode(u16),
    List(Vec<u8>),
}

/// A list that Linux mostly takes: named users and groups in any number, a mask or none, now and then something wrong.
fn list() -> impl Strategy<Value = Vec<u8>> {
    let bits = 0..8_u16;
    let named = vec((0..70_000_u32, bits.clone()), 0..4);
    let spoil = prop_oneof![9 => Just(None), 1 => (0..8_usize, 0..64_u16).prop_map(Some)];
    ((bits.clone(), bits.clone(), bits.clone()), named.clone(), named, prop::option::of(bits), spoil)
        .prop_map(|((user, group, other), mut users, mut groups, mask, spoil)| {
            users.sort_unstable();
            groups.sort_unstable();
            users.dedup_by_key(|entry| entry.0);
            groups.dedup_by_key(|entry| entry.0);
            let mut entries = vec![(1, user, u32::MAX)];
            entries.extend(users.into_iter().map(|(id, bits)| (2, bits, id)));
            entries.push((4, group, u32::MAX));
            entries.extend(groups.into_iter().map(|(id, bits)| (8, bits, id)));
            entries.extend(mask.map(|bits| (16, bits, u32::MAX)));
            entries.push((32, other, u32::MAX));
            if let Some((at, tag)) = spoil {
                let at = at % entries.len();
                entries[at].0 = tag;
            }
            let mut value = 2_u32.to_le_bytes().to_vec();
            for (tag, bits, id) in entries {
                value.extend([&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat());
            }
            value
        })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![(0..0o10000_u16).prop_map(Change::Mode), list().prop_map(Change::List)]
}

/// Mode and access list of a file as Linux has them.
fn found(path: &Path) -> (u32, Option<Vec<u8>>) {
    let mut buffer = vec![0; 4096];
    let list = match rustix::fs::getxattr(path, ACCESS, &mut buffer) {
        Ok(len) => Some(buffer[..len].to_vec()),
        Err(Errno::NODATA) => None,
        Err(errno) => {
            panic!("{}: {errno}; this test needs a file system with access control lists", path.display())
        }
    };
    (std::fs::metadata(path).unwrap().mode() & 0o7777, list)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_come_to_what_linux_makes_of_them(changes in vec(change(), 1..6), is_directory: bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        if is_directory {
            std::fs::create_dir(&path).unwrap();
        } else {
            std::fs::write(&path, "").unwrap();
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut ours = Metadata::root_owned(Permissions::from_mode(0o644), Timestamp::STORE);
        for change in &changes {
            match change {
                Change::Mode(mode) => {
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode((*mode).into())).unwrap();
                    ours.set_permissions(Permissions::from_mode(*mode));
                }
                Change::List(value) => {
                    let taken = rustix::fs::setxattr(&path, ACCESS, value, XattrFlags::empty());
                    prop_assert_eq!(taken.is_ok(), Acl::parse(value).is_some(), "{:?}: {:?}", value, taken);
                    if taken.is_ok() {
                        let name = XattrName::parse(ACCESS.as_bytes()).unwrap();
                        ours.set_xattr(&Xattr { name, value: value.clone() });
                    }
                }
            }
            let (mode, list) = found(&path);
            prop_assert_eq!(u32::from(ours.permissions.bits()), mode, "after {:?}", change);
            prop_assert_eq!(ours.xattrs.first().map(|xattr| xattr.value.clone()), list, "after {:?}", change);
        }
    }
}
