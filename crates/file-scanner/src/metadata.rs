//! Owners, permissions and times of sources, changed by `plan.attributes`.

use image_tree::{Metadata, Permissions, Timestamp, Xattr, XattrNamespace};
use snugfs_plan::{AttributesPlan, Entry, TreePlan};

use crate::found::HostMetadata;

/// The type of a file. Linux allows some attributes only for some types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InodeKind {
    Directory,
    File,
    Symlink,
    Special,
}

/// The reason why a source's metadata can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeOutOfRange;

/// The metadata that a tree keeps of its source, and whether set-id bits were dropped.
pub(crate) fn of_tree(
    plan: &TreePlan,
    host: HostMetadata,
    inode_kind: InodeKind,
    xattrs: &[Xattr],
    timestamp: Timestamp,
) -> Result<(Metadata, bool), TimeOutOfRange> {
    let source = match inode_kind {
        InodeKind::Symlink => Permissions::SYMLINK,
        _ => Permissions::from_mode(host.mode),
    };
    let permissions = if plan.keep_owner == Some(true) { source } else { source.without_set_id() };
    let (uid, gid) = if plan.keep_owner == Some(true) { (host.uid, host.gid) } else { (0, 0) };
    let mtime = if plan.keep_times == Some(true) {
        Timestamp::new(host.seconds, host.nanoseconds).ok_or(TimeOutOfRange)?
    } else {
        timestamp
    };
    let mut metadata = Metadata { permissions, uid, gid, mtime, xattrs: Vec::new() };
    for xattr in xattrs {
        // A file of a mounted image that was a slot is an ordinary file here.
        if xattr.name.to_string() != image_tree::SLOT_XATTR {
            metadata.set_xattr(xattr);
        }
    }
    // They are equal in every file system, except if fakeroot shows another mode.
    metadata.set_permissions(permissions);
    Ok((metadata, permissions != source))
}

/// Applies attributes to metadata. Returns false if an extended attribute was left out because this type of file can't have it:
/// user attributes are only for files and directories (`xattr(7)`), default ACLs only for directories, and symlinks have no
/// ACLs (`acl(5)`).
pub(crate) fn apply(metadata: &mut Metadata, plan: &AttributesPlan, inode_kind: InodeKind) -> bool {
    metadata.uid = plan.uid.unwrap_or(metadata.uid);
    metadata.gid = plan.gid.unwrap_or(metadata.gid);
    let mut all = true;
    for xattr in &plan.xattrs {
        if allows(inode_kind, xattr.name.namespace()) {
            metadata.set_xattr(xattr);
        } else {
            all = false;
        }
    }
    // After the attributes, as chmod after setfacl: a mode in the plan takes precedence.
    if let Some(permissions) = plan.permissions.filter(|_| inode_kind != InodeKind::Symlink) {
        metadata.set_permissions(permissions);
    }
    all
}

/// The metadata of an entry of the plan. Without a mode, the mode is that of the access control list.
pub(crate) fn of_entry(entry: &Entry, default: Permissions, mtime: Timestamp) -> Metadata {
    let mut metadata = Metadata::root_owned(default, mtime);
    (metadata.uid, metadata.gid) = (entry.uid, entry.gid);
    for xattr in &entry.xattrs {
        metadata.set_xattr(xattr);
    }
    if let Some(permissions) = entry.permissions {
        metadata.set_permissions(permissions);
    }
    metadata
}

pub(crate) fn allows(inode_kind: InodeKind, namespace: XattrNamespace) -> bool {
    match namespace {
        XattrNamespace::User => matches!(inode_kind, InodeKind::Directory | InodeKind::File),
        XattrNamespace::PosixAclDefault => inode_kind == InodeKind::Directory,
        XattrNamespace::PosixAclAccess => inode_kind != InodeKind::Symlink,
        XattrNamespace::Trusted | XattrNamespace::Security => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_tree::XattrName;

    fn xattr(name: &str, value: &str) -> Xattr {
        Xattr { name: XattrName::parse(name.as_bytes()).unwrap(), value: value.as_bytes().to_vec() }
    }

    fn base() -> Metadata {
        let mut metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        metadata.xattrs = vec![xattr("user.b", "old")];
        metadata
    }

    #[test]
    fn laid_attributes_are_added_or_replaced_and_stay_sorted() {
        let xattrs = vec![xattr("user.a", "1"), xattr("user.b", "new"), xattr("security.x", "2")];
        let plan = AttributesPlan { uid: Some(7), gid: None, permissions: None, xattrs, recursive: false };
        let mut metadata = base();
        assert!(apply(&mut metadata, &plan, InodeKind::File));
        assert_eq!((metadata.uid, metadata.gid), (7, 0));
        assert_eq!(metadata.xattrs, [xattr("user.a", "1"), xattr("user.b", "new"), xattr("security.x", "2")]);
    }

    /// rw- for the owner, r-- for user 1234 and the group, mask r--.
    fn access_list() -> Xattr {
        let entry = |tag: u8, bits: u8| [tag, 0, bits, 0, 0xd2, 4, 0, 0];
        let entries = [entry(1, 6), entry(2, 4), entry(4, 4), entry(16, 4), entry(32, 0)];
        let value = [&[2, 0, 0, 0][..], &entries.concat()].concat();
        Xattr { name: XattrName::parse(b"system.posix_acl_access").unwrap(), value }
    }

    fn mask_of(metadata: &Metadata) -> u8 {
        metadata.xattrs[0].value[4 + 3 * 8 + 2]
    }

    #[test]
    fn a_mode_that_is_laid_over_an_access_list_changes_its_mask() {
        let mut metadata = Metadata::root_owned(Permissions::from_mode(0o640), Timestamp::STORE);
        metadata.xattrs = vec![access_list()];
        let permissions = Permissions::new(0o610);
        let plan = AttributesPlan { uid: None, gid: None, permissions, xattrs: Vec::new(), recursive: false };
        apply(&mut metadata, &plan, InodeKind::File);
        assert_eq!((metadata.permissions.bits(), mask_of(&metadata)), (0o610, 1));
    }

    #[test]
    fn a_list_that_is_laid_over_a_mode_changes_it_and_a_mode_beside_it_holds() {
        let plan = |permissions| AttributesPlan {
            uid: None,
            gid: None,
            permissions,
            xattrs: vec![access_list()],
            recursive: false,
        };
        let mut metadata = Metadata::root_owned(Permissions::from_mode(0o2777), Timestamp::STORE);
        apply(&mut metadata, &plan(None), InodeKind::File);
        assert_eq!((metadata.permissions.bits(), mask_of(&metadata)), (0o2640, 4));
        apply(&mut metadata, &plan(Permissions::new(0o777)), InodeKind::Directory);
        assert_eq!((metadata.permissions.bits(), mask_of(&metadata)), (0o777, 7));
    }

    #[test]
    fn an_entry_with_a_list_and_no_mode_has_the_mode_of_the_list() {
        let mut entry = Entry {
            kind: snugfs_plan::EntryKind::Directory,
            permissions: None,
            uid: 7,
            gid: 8,
            xattrs: vec![access_list()],
            keep_holes: true,
        };
        let metadata = of_entry(&entry, Permissions::DIRECTORY, Timestamp::STORE);
        assert_eq!((metadata.permissions.bits(), metadata.uid, metadata.gid), (0o640, 7, 8));
        entry.permissions = Permissions::new(0o750);
        let metadata = of_entry(&entry, Permissions::DIRECTORY, Timestamp::STORE);
        assert_eq!((metadata.permissions.bits(), mask_of(&metadata)), (0o750, 5));
    }

    #[test]
    fn nothing_bears_what_linux_does_not_let_it_bear() {
        let xattrs =
            vec![xattr("user.a", "1"), xattr("trusted.t", "2"), xattr("system.posix_acl_default", "3")];
        let permissions = Permissions::new(0o600);
        let plan = AttributesPlan { uid: None, gid: None, permissions, xattrs, recursive: true };
        let mut symlink = Metadata::root_owned(Permissions::SYMLINK, Timestamp::STORE);
        assert!(!apply(&mut symlink, &plan, InodeKind::Symlink));
        assert_eq!(symlink.permissions, Permissions::SYMLINK);
        assert_eq!(symlink.xattrs, [xattr("trusted.t", "2")]);
        assert!(apply(&mut base(), &plan, InodeKind::Directory));
    }

    #[test]
    fn linux_allows_attributes_by_the_type_of_file() {
        use InodeKind::{Directory, File, Special, Symlink};
        for (namespace, allowed) in [
            (XattrNamespace::User, &[Directory, File][..]),
            (XattrNamespace::PosixAclDefault, &[Directory]),
            (XattrNamespace::PosixAclAccess, &[Directory, File, Special]),
            (XattrNamespace::Trusted, &[Directory, File, Symlink, Special]),
            (XattrNamespace::Security, &[Directory, File, Symlink, Special]),
        ] {
            for kind in [Directory, File, Symlink, Special] {
                assert_eq!(allows(kind, namespace), allowed.contains(&kind), "{namespace:?} {kind:?}");
            }
        }
    }

    #[test]
    fn a_tree_keeps_what_its_plan_says() {
        let host = HostMetadata { mode: 0o4755, uid: 5, gid: 6, seconds: 77, nanoseconds: 8 };
        let slot =
            Xattr { name: XattrName::parse(image_tree::SLOT_XATTR.as_bytes()).unwrap(), value: vec![] };
        let xattrs = [slot, xattr("user.a", "1")];
        let mut plan = TreePlan::new("/x".into(), image_tree::ImagePath::root());
        let kept = |plan: &TreePlan, kind| {
            let (metadata, dropped) = of_tree(plan, host, kind, &xattrs, Timestamp::STORE).unwrap();
            assert_eq!(metadata.xattrs, [xattr("user.a", "1")], "a slot of a mounted image is a file");
            let (uid, gid, seconds) = (metadata.uid, metadata.gid, metadata.mtime.seconds());
            (metadata.permissions.bits(), uid, gid, seconds, dropped)
        };
        assert_eq!(kept(&plan, InodeKind::File), (0o755, 0, 0, 1, true));
        // Whatever mode is shown of a symlink.
        assert_eq!(kept(&plan, InodeKind::Symlink), (0o777, 0, 0, 1, false));
        plan.keep_owner = Some(true);
        assert_eq!(kept(&plan, InodeKind::File), (0o4755, 5, 6, 1, false));
        (plan.keep_owner, plan.keep_times) = (Some(false), Some(true));
        assert_eq!(kept(&plan, InodeKind::File), (0o755, 0, 0, 77, true));
        assert_eq!(kept(&plan, InodeKind::Symlink), (0o777, 0, 0, 77, false));
        let far = HostMetadata { seconds: 1 << 40, ..host };
        let result = of_tree(&plan, far, InodeKind::File, &[], Timestamp::STORE);
        assert_eq!(result.unwrap_err(), TimeOutOfRange);
        plan.keep_times = Some(false);
        assert!(of_tree(&plan, far, InodeKind::File, &[], Timestamp::STORE).is_ok());
    }
}
