//! Owners, rights and times: what a source gives, and what `plan.attributes` lays over it.

use build_plan::{AttributesPlan, TreePlan};
use image_tree::{Metadata, Permissions, Timestamp, Xattr, XattrNamespace};

use crate::found::HostMetadata;

/// What bears attributes; Linux does not let everything bear all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearer {
    Directory,
    File,
    Symlink,
    Special,
}

/// Why a source's metadata can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeOutOfRange;

/// What a tree keeps of its source; whether set-id bits fell off beside it.
pub(crate) fn of_tree(
    plan: &TreePlan,
    host: HostMetadata,
    bearer: Bearer,
    xattrs: &[Xattr],
    timestamp: Timestamp,
) -> Result<(Metadata, bool), TimeOutOfRange> {
    let source = match bearer {
        Bearer::Symlink => Permissions::SYMLINK,
        _ => Permissions::from_mode(host.mode),
    };
    let permissions = if plan.keep_owner { source } else { source.without_set_id() };
    let (uid, gid) = if plan.keep_owner { (host.uid, host.gid) } else { (0, 0) };
    let mtime = if plan.keep_times {
        Timestamp::new(host.seconds, host.nanoseconds).ok_or(TimeOutOfRange)?
    } else {
        timestamp
    };
    let metadata = Metadata { permissions, uid, gid, mtime, xattrs: xattrs.to_vec() };
    Ok((metadata, permissions != source))
}

/// Lays attributes over metadata; false if some extended attribute stayed away because nothing of this sort can
/// bear it. `xattr(7)`: user attributes are for files and directories alone; `acl(5)`: default ACLs for
/// directories, and none for symlinks.
pub(crate) fn lay(metadata: &mut Metadata, plan: &AttributesPlan, bearer: Bearer) -> bool {
    metadata.uid = plan.uid.unwrap_or(metadata.uid);
    metadata.gid = plan.gid.unwrap_or(metadata.gid);
    if bearer != Bearer::Symlink {
        metadata.permissions = plan.permissions.unwrap_or(metadata.permissions);
    }
    let mut all = true;
    for xattr in &plan.xattrs {
        if !bears(bearer, xattr.name.namespace()) {
            all = false;
            continue;
        }
        match metadata.xattrs.binary_search_by(|known| known.name.cmp(&xattr.name)) {
            Ok(at) => {
                if let Some(known) = metadata.xattrs.get_mut(at) {
                    known.value.clone_from(&xattr.value);
                }
            }
            Err(at) => metadata.xattrs.insert(at, xattr.clone()),
        }
    }
    all
}

pub(crate) fn bears(bearer: Bearer, namespace: XattrNamespace) -> bool {
    match namespace {
        XattrNamespace::User => matches!(bearer, Bearer::Directory | Bearer::File),
        XattrNamespace::PosixAclDefault => bearer == Bearer::Directory,
        XattrNamespace::PosixAclAccess => bearer != Bearer::Symlink,
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
        assert!(lay(&mut metadata, &plan, Bearer::File));
        assert_eq!((metadata.uid, metadata.gid), (7, 0));
        assert_eq!(metadata.xattrs, [xattr("user.a", "1"), xattr("user.b", "new"), xattr("security.x", "2")]);
    }

    #[test]
    fn nothing_bears_what_linux_does_not_let_it_bear() {
        let xattrs =
            vec![xattr("user.a", "1"), xattr("trusted.t", "2"), xattr("system.posix_acl_default", "3")];
        let permissions = Permissions::new(0o600);
        let plan = AttributesPlan { uid: None, gid: None, permissions, xattrs, recursive: true };
        let mut symlink = Metadata::root_owned(Permissions::SYMLINK, Timestamp::STORE);
        assert!(!lay(&mut symlink, &plan, Bearer::Symlink));
        assert_eq!(symlink.permissions, Permissions::SYMLINK);
        assert_eq!(symlink.xattrs, [xattr("trusted.t", "2")]);
        assert!(lay(&mut base(), &plan, Bearer::Directory));
    }
}
