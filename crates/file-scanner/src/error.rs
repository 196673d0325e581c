use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use image_tree::{InvalidAcl, InvalidName, TreeError, escaped};
use rustix::io::Errno;

/// What sort of mistake an error is; the program's exit codes follow it. In the order in which they matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The plan contradicts itself or what it names.
    Plan,
    /// The closure is not complete.
    Closure,
    /// A source can't be read, or changed while it was.
    Source,
    /// The format can't hold it.
    Limit,
    /// A bug of this program.
    Internal,
}

/// One thing that is wrong. Paths and names are already escaped for one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Two sources make the same path, and not both as a directory.
    #[error("{other}: {one} makes {path} too; leave one out")]
    Conflict {
        /// In the image.
        path: String,
        /// The source that comes first, such as `plan.trees[0]`.
        one: String,
        /// The later one, where the message begins.
        other: String,
    },
    /// A source makes something else where another has, or needs, a directory.
    #[error("{one}: makes {path}, but not as the directory that {other} needs there; leave one out")]
    NeedsDirectory {
        /// In the image.
        path: String,
        /// Who makes no directory.
        one: String,
        /// Who needs one.
        other: String,
    },
    /// Something is put at or into a store path.
    #[error("{one}: would change the store path {path}, which stays as it is; choose another place")]
    InsideStorePath {
        /// In the image.
        path: String,
        /// Who does so.
        one: String,
    },
    /// Permission bits laid on what is in a store path, whose hash includes them.
    #[error(
        "plan.attributes.\"{path}\".mode: reaches into store paths, whose modes belong to their hashes; leave it out, or name paths outside {store_dir}"
    )]
    StoreMode {
        /// In the image.
        path: String,
        /// Where the image has the store.
        store_dir: String,
    },
    /// An entry with an extended attribute that Linux does not let such an entry have.
    #[error(
        "plan.entries.\"{path}\".xattrs.\"{name}\": Linux lets no {what} have this attribute; leave it out"
    )]
    UnbearableXattr {
        /// In the image.
        path: String,
        /// The attribute.
        name: String,
        /// What the entry is.
        what: &'static str,
    },
    /// A file that says it is empty and is not, as those of /proc do.
    #[error("{path}: has contents though the system tells its length as 0; copy it to a regular file first")]
    ToldEmpty {
        /// On this machine.
        path: String,
    },
    /// Attributes for a path that nothing made.
    #[error("plan.attributes.\"{path}\": nothing makes this path; add it to plan.entries or leave it out")]
    NothingMade {
        /// In the image.
        path: String,
    },
    /// A registered store path is not there.
    #[error(
        "{path}: the store path is registered but missing; {}, or correct plan.closure.sourceDir", realise(.path)
    )]
    MissingStorePath {
        /// On this machine.
        path: String,
    },
    /// A store path without a usable name.
    #[error("plan.closure: a store path has no valid name: {reason}; correct the registration")]
    BadStoreName {
        /// What is wrong with it.
        reason: InvalidName,
    },
    /// A socket, device or FIFO in a store path.
    #[error("{path}: is neither file, directory nor symlink, as all in a store must be; remove it")]
    SpecialInStore {
        /// On this machine.
        path: String,
    },
    /// A tree's source that is no folder.
    #[error("{what}.source: {path} is not a folder; name one")]
    NotAFolder {
        /// `plan.trees[0]` or `plan.closure`.
        what: String,
        /// On this machine.
        path: String,
    },
    /// An entry's source that is no regular file.
    #[error("{what}.source: {path} is not a regular file; name one")]
    NotAFile {
        /// `plan.entries."/x"`.
        what: String,
        /// On this machine.
        path: String,
    },
    /// A source does not exist.
    #[error("{what}.source: {path} does not exist; create it or correct the path")]
    NoSource {
        /// `plan.trees[0]`, `plan.entries."/x"` or `plan.closure`.
        what: String,
        /// On this machine.
        path: String,
    },
    /// A system call says no.
    #[error("{path}: can't be read: {reason}; {remedy}")]
    Unreadable {
        /// On this machine.
        path: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Extended attributes whose names can't be had.
    #[error(
        "{path}: the names of its extended attributes can't be read: {reason}; {remedy}, or leave xattrs out of the tree"
    )]
    UnreadableXattrs {
        /// On this machine.
        path: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// An extended attribute whose value can't be had.
    #[error(
        "{path}: its extended attribute {name} can't be read: {reason}; {remedy}, or leave it out of the tree's xattrs"
    )]
    UnreadableXattr {
        /// On this machine.
        path: String,
        /// The attribute.
        name: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// An access control list that Linux would refuse.
    #[error(
        "{path}: Linux refuses its access control list {name}: {reason}; set it anew with setfacl, or leave it out of the tree's xattrs"
    )]
    Acl {
        /// On this machine.
        path: String,
        /// `system.posix_acl_access` or `system.posix_acl_default`.
        name: String,
        /// What is wrong with it.
        reason: InvalidAcl,
    },
    /// Extended attributes that can't be asked for, as /proc is not mounted.
    #[error(
        "{path}: its extended attributes can't be read without /proc; mount /proc, or leave xattrs out of the tree"
    )]
    XattrsWithoutProc {
        /// On this machine.
        path: String,
    },
    /// Something in a file system that is mounted below a tree.
    #[error(
        "{path}: another file system is mounted here, and {count} of its entries can't be taken in; unmount it, or set \"oneFileSystem\" of the tree to true to leave it out"
    )]
    InMount {
        /// On this machine, where it is mounted.
        path: String,
        /// How many problems there are.
        count: usize,
    },
    /// An owner that the user namespace of this process does not know.
    #[error(
        "{path}: its {whose} is not mapped into this user namespace, so it shows as {id}; run snugfs where it is known, for example in \"podman unshare\" or as root, or leave out \"owner\": \"keep\""
    )]
    UnmappedOwner {
        /// On this machine.
        path: String,
        /// `owner` or `group`.
        whose: &'static str,
        /// The number that stands for unknown owners.
        id: u32,
    },
    /// A library that is to show other owners, modes and devices to programs, and that this one has not loaded.
    #[error(
        "plan.trees[{tree}]: {library} is in LD_PRELOAD but is not loaded, so its owners, modes and devices can't be seen; use a snugfs that is linked dynamically against this machine's C library, or unset LD_PRELOAD to build with the real ones"
    )]
    FakedOwners {
        /// The position of the tree.
        tree: usize,
        /// `fakeroot` or `pseudo`.
        library: &'static str,
    },
    /// More files of one source with the problem of the lines above.
    #[error("{what}: {count} more files have the problem of the lines above; the same helps")]
    More {
        /// `plan.trees[0]`, `plan.closure` or `plan`.
        what: String,
        /// How many there are.
        count: usize,
        /// What sort of mistake it is.
        kind: ErrorKind,
    },
    /// An entry vanished or became something else.
    #[error("{path}: changed during the scan; leave the sources alone while an image is built")]
    Changed {
        /// On this machine.
        path: String,
    },
    /// No descriptors are left.
    #[error("{path}: can't be opened, all file descriptors are in use; raise the limit (ulimit -n)")]
    TooManyOpen {
        /// On this machine.
        path: String,
    },
    /// A modification time that ext4 can't hold.
    #[error(
        "{path}: its time is outside 1901-12-13 to 2446-05-10, the range of ext4; fix it with touch, or leave out \"times\": \"keep\""
    )]
    Time {
        /// On this machine.
        path: String,
    },
    /// A symlink's target that ext4 can't hold.
    #[error("{path}: the symlink's target has {len} bytes, 1 to 4095 are possible; replace it")]
    SymlinkTarget {
        /// On this machine.
        path: String,
        /// In \[bytes\].
        len: usize,
    },
    /// An entry's name that ext4 can't hold.
    #[error("{path}: holds the name \"{name}\" of more than 255 bytes; rename it")]
    NameTooLong {
        /// On this machine, the directory.
        path: String,
        /// The entry.
        name: String,
    },
    /// A device number that ext4 can't hold.
    #[error("{path}: has a device number outside 4095:1048575; remove it")]
    DeviceNumber {
        /// On this machine.
        path: String,
    },
    /// An extended attribute that a pattern wants and ext4 can't hold.
    #[error("{path}: {reason}; narrow the tree's xattrs")]
    Xattr {
        /// On this machine.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More than a tree can hold.
    #[error(
        "the contents: more entries, or bytes of names, than a file system of 2^32 inodes can hold; put less into the image"
    )]
    TooMany,
    /// The merge broke a rule of the tree.
    #[error("the merged tree: {0}; please report this as a bug")]
    Internal(String),
}

impl ScanError {
    /// What sort of mistake this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. }
            | Self::NeedsDirectory { .. }
            | Self::InsideStorePath { .. }
            | Self::StoreMode { .. }
            | Self::UnbearableXattr { .. }
            | Self::NothingMade { .. } => ErrorKind::Plan,
            Self::MissingStorePath { .. } | Self::BadStoreName { .. } => ErrorKind::Closure,
            Self::SpecialInStore { .. }
            | Self::ToldEmpty { .. }
            | Self::NotAFolder { .. }
            | Self::NotAFile { .. }
            | Self::NoSource { .. }
            | Self::Unreadable { .. }
            | Self::UnreadableXattrs { .. }
            | Self::UnreadableXattr { .. }
            | Self::Acl { .. }
            | Self::XattrsWithoutProc { .. }
            | Self::InMount { .. }
            | Self::UnmappedOwner { .. }
            | Self::FakedOwners { .. }
            | Self::Changed { .. }
            | Self::TooManyOpen { .. } => ErrorKind::Source,
            Self::Time { .. }
            | Self::SymlinkTarget { .. }
            | Self::NameTooLong { .. }
            | Self::DeviceNumber { .. }
            | Self::Xattr { .. }
            | Self::TooMany => ErrorKind::Limit,
            Self::More { kind, .. } => *kind,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Something that the system does not let this process read.
    pub(crate) fn unreadable(path: String, errno: Errno) -> Self {
        Self::Unreadable { path, reason: reason(errno), remedy: remedy(errno) }
    }

    /// A refusal of the tree's writer: too much of something, or an order that the merge should have kept.
    pub(crate) fn of_tree(error: TreeError) -> Self {
        match error {
            TreeError::TooMany => Self::TooMany,
            other => Self::Internal(other.to_string()),
        }
    }
}

/// How to get a store path; Nix itself knows only those of its own store.
fn realise(path: &str) -> String {
    let own = path.starts_with("/nix/store/");
    if own { format!("realise it (nix-store --realise {path})") } else { "put it there".to_owned() }
}

/// A path of this machine on one line.
pub(crate) fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes()).to_string()
}

/// What to do about a source that this process may not read. Its mode is what the image gets, so it stays as it is.
pub const RUN_AS: &str = "run snugfs as a user who may read it (its owner, a member of its group, root), or with \"podman unshare\" \
                      if a rootless container made it";

/// What to do about a system error.
pub(crate) fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::ACCESS | Errno::PERM => RUN_AS,
        Errno::LOOP => "name what the symlink leads to",
        Errno::IO | Errno::UCLEAN | Errno::BADMSG => "check the disk that holds it",
        _ => "check that other programs can read it",
    }
}

/// A system error in a few words, without its number where everyone knows it.
pub(crate) fn reason(errno: Errno) -> String {
    match errno {
        Errno::ACCESS | Errno::PERM => "permission denied".to_owned(),
        Errno::NOENT => "it does not exist".to_owned(),
        Errno::LOOP => "a symlink stands in the way".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_gets_a_store_path_is_told_for_the_store_of_nix_alone() {
        let told = |path: &str| ScanError::MissingStorePath { path: path.to_owned() }.to_string();
        let missing = "the store path is registered but missing";
        assert_eq!(
            [told("/nix/store/x"), told("store/x")],
            [
                format!(
                    "/nix/store/x: {missing}; realise it (nix-store --realise /nix/store/x), or correct plan.closure.sourceDir"
                ),
                format!("store/x: {missing}; put it there, or correct plan.closure.sourceDir"),
            ]
        );
    }
}
