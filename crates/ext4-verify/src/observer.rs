//! The contents of a file system, reported to a caller during the check.

use crate::extents::Run;
use crate::inode::Kind;

/// Gets every name and what it leads to, directories before their entries.
pub trait Observer {
    /// Called for each name. Damaged inodes are reported as far as they can be read.
    fn found(&mut self, found: Found<'_>);
}

/// What a name leads to.
#[derive(Debug)]
pub struct Found<'a> {
    /// The inode of the directory that has the name; the root's own for the root.
    pub directory: u32,
    /// The name, as it is stored; empty for the root.
    pub name: &'a [u8],
    /// The inode's number; several names of the same inode are hard links.
    pub inode: u32,
    /// What it is.
    pub kind: Kind,
    /// The twelve bits of the mode.
    pub permissions: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The last modification: seconds since 1970 and nanoseconds.
    pub modified: (i64, u32),
    /// The length of contents or target in \[bytes\].
    pub size: u64,
    /// The target of a symlink.
    pub target: &'a [u8],
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// The contents of a file, in blocks of 4096 bytes.
    pub runs: &'a [Run],
    /// Extended attributes, as they are stored.
    pub attributes: &'a [Attribute],
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// With its namespace, as `user.name`.
    pub name: Vec<u8>,
    /// As `getxattr` gives it.
    pub value: Vec<u8>,
}
