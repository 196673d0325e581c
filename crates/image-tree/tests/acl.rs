//! Changes modes and access control lists in random order, and compares the result with that of Linux.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use image_tree::{Acl, Metadata, Permissions, Timestamp, Xattr, XattrName};
use proptest::collection::vec;
use proptest::prelude::*;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

#[derive(Clone, Debug)]
enum Change {
    Mode(u16),
    Access(Vec<u8>),
    /// Only of directories.
    Default(Vec<u8>),
}

/// A list that Linux usually accepts, with any number of named users and groups, and with or without a mask. Ids without a
/// meaning are random. Sometimes a tag, permissions, an id, the order, the version or the length is wrong.
fn list() -> impl Strategy<Value = Vec<u8>> {
    let bits = 0..8_u16;
    let named = vec((0..70_000_u32, bits.clone()), 0..4);
    let meaningless = prop_oneof![3 => Just(u32::MAX), 1 => any::<u32>()];
    let flaw = prop_oneof![8 => Just(None), 3 => (0..7_usize, any::<usize>(), 0..64_u16).prop_map(Some)];
    (
        (bits.clone(), bits.clone(), bits.clone()),
        named.clone(),
        named,
        prop::option::of(bits),
        meaningless,
        flaw,
    )
        .prop_map(|((user, group, other), users, groups, mask, no_id, flaw)| {
            let mut entries = vec![(1, user, no_id)];
            entries.extend(users.into_iter().map(|(id, bits)| (2, bits, id)));
            entries.push((4, group, no_id));
            entries.extend(groups.into_iter().map(|(id, bits)| (8, bits, id)));
            entries.extend(mask.map(|bits| (16, bits, no_id)));
            entries.push((32, other, no_id));
            let mut version = 2_u32;
            let mut cut = 0;
            if let Some((kind, at, number)) = flaw {
                let at = at % entries.len();
                match kind {
                    0 => entries[at].0 = number,
                    1 => entries[at].1 = number,
                    2 => entries[at].2 = u32::MAX,
                    3 => entries.swap(0, at),
                    4 => version = number.into(),
                    5 => cut = usize::from(number),
                    _ => entries.clear(),
                }
            }
            let mut value = version.to_le_bytes().to_vec();
            for (tag, bits, id) in entries {
                value.extend([&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat());
            }
            // At least one byte: an empty value is another call, which removes the list.
            value.truncate(value.len().saturating_sub(cut).max(1));
            value
        })
}

fn change() -> impl Strategy<Value = Change> {
    let mode = (0..0o10000_u16).prop_map(Change::Mode);
    prop_oneof![2 => mode, 3 => list().prop_map(Change::Access), 1 => list().prop_map(Change::Default)]
}

/// A list of a file, read from Linux.
fn list_of(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    match rustix::fs::getxattr(path, name, &mut buffer) {
        Ok(len) => Some(buffer[..len].to_vec()),
        Err(Errno::NODATA) => None,
        Err(errno) => {
            panic!("{}: {errno}; this test needs a file system with access control lists", path.display())
        }
    }
}

/// A list in metadata.
fn list_in(metadata: &Metadata, name: &str) -> Option<Vec<u8>> {
    let found = metadata.xattrs.iter().find(|xattr| xattr.name.to_string() == name);
    found.map(|xattr| xattr.value.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_have_the_same_result_as_on_linux(changes in vec(change(), 1..6), is_directory: bool) {
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
                Change::Default(_) if !is_directory => continue,
                Change::Access(value) | Change::Default(value) => {
                    let name = if matches!(change, Change::Access(_)) { ACCESS } else { DEFAULT };
                    let taken = rustix::fs::setxattr(&path, name, value, XattrFlags::empty());
                    let parsed = Acl::parse(value);
                    prop_assert_eq!(taken.is_ok(), parsed.is_ok(), "{:?}: {:?}, {:?}", value, taken, parsed);
                    if taken.is_ok() {
                        let name = XattrName::parse(name.as_bytes()).unwrap();
                        ours.set_xattr(&Xattr { name, value: value.clone() });
                    }
                }
            }
            let mode = std::fs::metadata(&path).unwrap().mode() & 0o7777;
            prop_assert_eq!(u32::from(ours.permissions.bits()), mode, "after {:?}", change);
            for name in [ACCESS, DEFAULT].iter().take(if is_directory { 2 } else { 1 }) {
                prop_assert_eq!(list_in(&ours, name), list_of(&path, name), "{} after {:?}", name, change);
            }
        }
    }
}
