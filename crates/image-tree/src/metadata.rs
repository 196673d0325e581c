use crate::{Acl, Xattr, XattrNamespace};

/// Permission bits of an inode, including set-ID and sticky bits: 0 to 0o7777.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(u16);

impl Permissions {
    /// Of directories and executables in a Nix store: `r-xr-xr-x`.
    pub const STORE_EXECUTABLE: Self = Self(0o555);
    /// Of all other files in a Nix store: `r--r--r--`.
    pub const STORE_FILE: Self = Self(0o444);
    /// Default for directories: `rwxr-xr-x`.
    pub const DIRECTORY: Self = Self(0o755);
    /// Of all symlinks; Linux ignores them.
    pub const SYMLINK: Self = Self(0o777);

    /// The low twelve bits of a `st_mode`.
    #[must_use]
    pub const fn from_mode(mode: u16) -> Self {
        Self(mode & 0o7777)
    }

    /// These bits; `None` if they exceed 0o7777.
    #[must_use]
    pub const fn new(bits: u16) -> Option<Self> {
        if bits <= 0o7777 { Some(Self(bits)) } else { None }
    }

    /// The bits without set-user-ID and set-group-ID.
    #[must_use]
    pub const fn without_set_id(self) -> Self {
        Self(self.0 & !0o6000)
    }

    /// The bits, 0 to 0o7777.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

/// A point in time: \[seconds\] since 1970, and \[nanoseconds\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// The first second that an ext4 inode can store: 1901-12-13 (kernel documentation, "Inode Timestamps").
    pub const MIN_SECONDS: i64 = -(1 << 31);
    /// The last second that an ext4 inode can store with its two epoch bits: 2446-05-10.
    pub const MAX_SECONDS: i64 = (1 << 34) - (1 << 31) - 1;
    /// The modification time of all files in a Nix store.
    pub const STORE: Self = Self { seconds: 1, nanoseconds: 0 };

    /// A time; `None` if ext4 can't store it.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        if seconds < Self::MIN_SECONDS || seconds > Self::MAX_SECONDS || nanoseconds > 999_999_999 {
            return None;
        }
        Some(Self { seconds, nanoseconds })
    }

    /// Seconds since 1970-01-01, [`Self::MIN_SECONDS`] to [`Self::MAX_SECONDS`].
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds, 0 to 999,999,999.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

/// Owner, permissions, time and extended attributes of an inode. A tree stores equal metadata once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// Permission bits.
    pub permissions: Permissions,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of modification, access, change and creation.
    pub mtime: Timestamp,
    /// Extended attributes, sorted by namespace and name, each name once.
    pub xattrs: Vec<Xattr>,
}

impl Metadata {
    /// Metadata with these permissions and time, owned by root, without extended attributes.
    #[must_use]
    pub fn root_owned(permissions: Permissions, mtime: Timestamp) -> Self {
        Self { permissions, uid: 0, gid: 0, mtime, xattrs: Vec::new() }
    }

    /// Changes the permission bits like `chmod(2)`, which also updates an access control list.
    pub fn set_permissions(&mut self, permissions: Permissions) {
        self.permissions = permissions;
        let access =
            self.xattrs.iter_mut().find(|xattr| xattr.name.namespace() == XattrNamespace::PosixAclAccess);
        if let Some(access) = access
            && let Ok(Some(acl)) = Acl::parse(&access.value)
        {
            access.value = acl.changed_mode(permissions).to_value();
        }
    }

    /// Adds or replaces an extended attribute like `setxattr(2)`. An access control list also updates the permission bits. It is
    /// not stored if these can express it or if it has no entries. A list that Linux would reject is stored unchanged; the
    /// layout reports it.
    pub fn set_xattr(&mut self, xattr: &Xattr) {
        let at = self.xattrs.binary_search_by(|known| known.name.cmp(&xattr.name));
        match (self.value_to_keep(xattr), at) {
            (Some(value), Ok(at)) => {
                if let Some(known) = self.xattrs.get_mut(at) {
                    known.value = value;
                }
            }
            (Some(value), Err(at)) => self.xattrs.insert(at, Xattr { name: xattr.name.clone(), value }),
            (None, Ok(at)) => {
                self.xattrs.remove(at);
            }
            (None, Err(_)) => {}
        }
    }

    /// The value to store for an attribute, if any. Updates the permission bits.
    fn value_to_keep(&mut self, xattr: &Xattr) -> Option<Vec<u8>> {
        let is_access = xattr.name.namespace() == XattrNamespace::PosixAclAccess;
        if !is_access && xattr.name.namespace() != XattrNamespace::PosixAclDefault {
            return Some(xattr.value.clone());
        }
        match Acl::parse(&xattr.value) {
            Ok(Some(acl)) if is_access => {
                self.permissions = acl.mode(self.permissions);
                (!acl.is_mode()).then(|| acl.to_value())
            }
            Ok(acl) => acl.map(|acl| acl.to_value()),
            Err(_) => Some(xattr.value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_twelve_bits() {
        assert_eq!(Permissions::from_mode(0o100_644).bits(), 0o644);
        assert_eq!(Permissions::new(0o7777).map(Permissions::bits), Some(0o7777));
        assert_eq!(Permissions::new(0o10000), None);
        assert_eq!(Permissions::from_mode(0o7751).without_set_id().bits(), 0o1751);
    }

    /// From the kernel's documentation of ext4, "Inode Timestamps": 1901-12-13 20:45:52 to 2446-05-10 22:38:55.
    #[test]
    fn times_are_those_that_an_inode_can_store() {
        let time = |seconds, nanoseconds| {
            Timestamp::new(seconds, nanoseconds).map(|time| (time.seconds(), time.nanoseconds()))
        };
        for seconds in [-2_147_483_648, -1, 0, 15_032_385_535] {
            assert_eq!(time(seconds, 999_999_999), Some((seconds, 999_999_999)));
            assert_eq!(time(seconds, 1_000_000_000), None);
        }
        assert_eq!((time(-2_147_483_649, 0), time(15_032_385_536, 0)), (None, None));
    }
}
