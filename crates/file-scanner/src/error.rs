use archive_source::{ArchiveError, FaultKind};
use image_tree::{Explain, Explanation, ImagePath, InvalidAcl, InvalidName, TreeError, explained_errors};
use rustix::io::Errno;

use crate::source_id::{SourceField, SourceId, Subject};

/// The kind of an error, which decides on a program's exit code. The most important kind comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The plan contradicts itself or its sources.
    Plan,
    /// The closure is not complete.
    Closure,
    /// A source can't be read, or changed while it was read.
    Source,
    /// The format does not support it.
    Limit,
    /// A bug.
    Internal,
}

/// A problem that the scan found. Paths and names are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanError {
    /// Two sources have the same path, and one of them is not a directory.
    Conflict {
        /// In the image.
        path: String,
        /// The first source.
        one: SourceId,
        /// The second source, which the message is about.
        other: SourceId,
    },
    /// A source needs a directory where another source has something else.
    NeedsDirectory {
        /// In the image.
        path: String,
        /// The source without a directory.
        one: SourceId,
        /// The source that needs one.
        other: SourceId,
    },
    /// A source adds something to a store path.
    InsideStorePath {
        /// In the image.
        path: String,
        /// The source.
        one: SourceId,
    },
    /// Attributes that change the mode of a file in a store path, whose hash includes it.
    StoreMode {
        /// In the image.
        path: ImagePath,
        /// The directory of the store in the image.
        store_dir: String,
    },
    /// An entry with an extended attribute that Linux does not allow for its type.
    DisallowedXattr {
        /// In the image.
        path: ImagePath,
        /// The attribute.
        name: String,
        /// The type of the entry.
        what: &'static str,
    },
    /// A file with the length 0 and contents, as in /proc.
    EmptyWithBytes {
        /// On this machine.
        path: String,
    },
    /// Attributes for a path that no source has.
    MissingPath {
        /// In the image.
        path: ImagePath,
    },
    /// A pattern of attributes that matches no path.
    UnusedAttributes {
        /// The pattern.
        path: ImagePath,
    },
    /// A pattern of attributes that is not a valid glob.
    AttributesPattern {
        /// The pattern.
        path: ImagePath,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        help: String,
    },
    /// A registered store path that does not exist.
    MissingStorePath {
        /// On this machine.
        path: String,
    },
    /// A store path with an invalid name.
    BadStoreName {
        /// What is wrong with it.
        reason: InvalidName,
    },
    /// A socket, device or FIFO in a store path.
    SpecialInStore {
        /// On this machine.
        path: String,
    },
    /// The source of a tree is not a folder.
    NotAFolder {
        /// The tree or the store.
        source: SourceId,
        /// On this machine.
        path: String,
    },
    /// The source of an entry is not a regular file.
    NotAFile {
        /// The entry.
        source: SourceId,
        /// On this machine.
        path: String,
    },
    /// A source does not exist.
    NoSource {
        /// The tree, the entry or the store.
        source: SourceId,
        /// On this machine.
        path: String,
    },
    /// A system call failed.
    Unreadable {
        /// On this machine.
        path: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The names of extended attributes can't be read.
    UnreadableXattrs {
        /// On this machine.
        path: String,
        /// The system's words.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The value of an extended attribute can't be read.
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
    /// An access control list that Linux would reject.
    Acl {
        /// On this machine.
        path: String,
        /// `system.posix_acl_access` or `system.posix_acl_default`.
        name: String,
        /// What is wrong with it.
        reason: InvalidAcl,
    },
    /// Extended attributes that can't be read, because /proc is not mounted.
    XattrsWithoutProc {
        /// On this machine.
        path: String,
    },
    /// Problems in a file system that is mounted below a tree.
    InMount {
        /// The mount point on this machine.
        path: String,
        /// Number of problems.
        count: usize,
    },
    /// An owner that is not mapped in the user namespace of this process.
    UnmappedOwner {
        /// On this machine.
        path: String,
        /// `owner` or `group`.
        whose: &'static str,
        /// The number that is shown for unknown owners.
        id: u32,
    },
    /// A library that shows other owners, modes and devices to programs, but is not loaded by this one.
    FakedOwners {
        /// The position of the tree.
        tree: usize,
        /// `fakeroot` or `pseudo`.
        library: &'static str,
    },
    /// Further files of a source with the previous problem.
    More {
        /// The source.
        source: SourceId,
        /// Their number.
        count: usize,
        /// The kind of the problem.
        kind: ErrorKind,
    },
    /// An entry was removed or replaced during the scan.
    Changed {
        /// On this machine.
        path: String,
    },
    /// Too many open files.
    TooManyOpen {
        /// On this machine.
        path: String,
    },
    /// A modification time out of range of ext4.
    Time {
        /// On this machine.
        path: String,
    },
    /// A symlink target too long for ext4, or empty.
    SymlinkTarget {
        /// On this machine.
        path: String,
        /// In \[bytes\].
        len: usize,
    },
    /// A name too long for ext4.
    NameTooLong {
        /// On this machine, the directory.
        path: String,
        /// The entry.
        name: String,
    },
    /// A device number out of range of ext4.
    DeviceNumber {
        /// On this machine.
        path: String,
    },
    /// A selected extended attribute that ext4 does not support.
    Xattr {
        /// On this machine.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An archive or a container image that can't be read.
    Archive {
        /// The position of the tree.
        tree: usize,
        /// What is wrong.
        error: ArchiveError,
    },
    /// A pattern of what to leave out that has the wrong syntax.
    Pattern {
        /// The position of the tree.
        tree: usize,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        help: String,
    },
    /// A file longer than any of ext4.
    FileTooLong {
        /// In the archive.
        path: String,
        /// In \[bytes\].
        size: u64,
    },
    /// More entries than a tree can have.
    TooMany,
    /// A bug: the merge broke a rule of the tree.
    Internal(String),
}

impl ScanError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict { .. }
            | Self::NeedsDirectory { .. }
            | Self::InsideStorePath { .. }
            | Self::StoreMode { .. }
            | Self::DisallowedXattr { .. }
            | Self::Pattern { .. }
            | Self::MissingPath { .. }
            | Self::UnusedAttributes { .. }
            | Self::AttributesPattern { .. } => ErrorKind::Plan,
            Self::Archive { error, .. } => match error.fault().kind() {
                FaultKind::Plan => ErrorKind::Plan,
                FaultKind::Source => ErrorKind::Source,
                FaultKind::Limit => ErrorKind::Limit,
            },
            Self::MissingStorePath { .. } | Self::BadStoreName { .. } => ErrorKind::Closure,
            Self::SpecialInStore { .. }
            | Self::EmptyWithBytes { .. }
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
            | Self::FileTooLong { .. }
            | Self::TooMany => ErrorKind::Limit,
            Self::More { kind, .. } => *kind,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Returns the subject of the error, what is wrong, and what to do. `name` returns the program's name of a source.
    #[must_use]
    pub fn message(&self, name: &dyn Fn(&SourceId) -> String) -> (Subject, String, String) {
        let subject = self.subject();
        let (what, help) = match self {
            Self::Conflict { path, one, .. } => {
                (format!("{} makes {path} too", name(one)), "leave one out".to_owned())
            }
            Self::NeedsDirectory { path, other, .. } => (
                format!("makes {path}, but not as the directory that {} needs there", name(other)),
                "leave one out".to_owned(),
            ),
            other => (other.what(), other.help()),
        };
        (subject, what, help)
    }

    fn subject(&self) -> Subject {
        let path = |path: &String| Subject::Path(path.clone());
        let its_path = |source: &SourceId| Subject::Source(source.clone(), SourceField::Path);
        match self {
            Self::Conflict { other: source, .. }
            | Self::NeedsDirectory { one: source, .. }
            | Self::InsideStorePath { one: source, .. }
            | Self::More { source, .. } => source.clone().into(),
            Self::StoreMode { path, .. } => {
                Subject::Source(SourceId::Attributes(path.clone()), SourceField::Mode)
            }
            Self::DisallowedXattr { path, name, .. } => {
                Subject::Source(SourceId::Entry(path.clone()), SourceField::Xattr(name.clone()))
            }
            Self::MissingPath { path }
            | Self::UnusedAttributes { path }
            | Self::AttributesPattern { path, .. } => SourceId::Attributes(path.clone()).into(),
            Self::BadStoreName { .. } => SourceId::Store.into(),
            Self::NotAFolder { source, .. }
            | Self::NotAFile { source, .. }
            | Self::NoSource { source, .. } => its_path(source),
            Self::Archive { tree, error } if error.fault().kind() == FaultKind::Plan => {
                SourceId::Tree(*tree).into()
            }
            Self::Archive { error, .. } => path(&error.explain().subject),
            Self::Pattern { tree, .. } | Self::FakedOwners { tree, .. } => SourceId::Tree(*tree).into(),
            Self::TooMany => Subject::Contents,
            Self::Internal(_) => Subject::Path("the merged tree".to_owned()),
            Self::EmptyWithBytes { path: at }
            | Self::MissingStorePath { path: at }
            | Self::SpecialInStore { path: at }
            | Self::Unreadable { path: at, .. }
            | Self::UnreadableXattrs { path: at, .. }
            | Self::UnreadableXattr { path: at, .. }
            | Self::Acl { path: at, .. }
            | Self::XattrsWithoutProc { path: at }
            | Self::InMount { path: at, .. }
            | Self::UnmappedOwner { path: at, .. }
            | Self::Changed { path: at }
            | Self::TooManyOpen { path: at }
            | Self::Time { path: at }
            | Self::SymlinkTarget { path: at, .. }
            | Self::NameTooLong { path: at, .. }
            | Self::DeviceNumber { path: at }
            | Self::FileTooLong { path: at, .. }
            | Self::Xattr { path: at, .. } => path(at),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Conflict { path, one, .. } => format!("{one} makes {path} too"),
            Self::NeedsDirectory { path, other, .. } => {
                format!("makes {path}, but not as the directory that {other} needs there")
            }
            Self::InsideStorePath { path, .. } => {
                format!("would change the store path {path}, which stays as it is")
            }
            Self::StoreMode { .. } => {
                "reaches into store paths, whose modes belong to their hashes".to_owned()
            }
            Self::DisallowedXattr { what, .. } => format!("Linux lets no {what} have this attribute"),
            Self::EmptyWithBytes { .. } => {
                "has contents, but the system says that its length is 0".to_owned()
            }
            Self::MissingPath { .. } => "nothing makes this path".to_owned(),
            Self::UnusedAttributes { .. } => "the pattern matches nothing in the image".to_owned(),
            Self::AttributesPattern { reason, .. } => {
                format!("is not a valid pattern: {}", image_tree::escaped(reason.as_bytes()))
            }
            Self::MissingStorePath { .. } => "the store path is registered but missing".to_owned(),
            Self::BadStoreName { reason } => format!("a store path has no valid name: {reason}"),
            Self::SpecialInStore { .. } => {
                "is neither file, directory nor symlink, as all in a store must be".to_owned()
            }
            Self::NotAFolder { path, .. } => format!("{path} is not a folder"),
            Self::NotAFile { path, .. } => format!("{path} is not a regular file"),
            Self::NoSource { path, .. } => format!("{path} does not exist"),
            Self::Unreadable { reason, .. } => format!("can't be read: {reason}"),
            Self::UnreadableXattrs { reason, .. } => {
                format!("the names of its extended attributes can't be read: {reason}")
            }
            Self::UnreadableXattr { name, reason, .. } => {
                format!("its extended attribute {name} can't be read: {reason}")
            }
            Self::Acl { name, reason, .. } => {
                format!("Linux refuses its access control list {name}: {reason}")
            }
            Self::XattrsWithoutProc { .. } => {
                "its extended attributes can't be read without /proc".to_owned()
            }
            Self::InMount { count, .. } => {
                format!("another file system is mounted here, and {count} of its entries can't be taken in")
            }
            Self::UnmappedOwner { whose, id, .. } => {
                format!("its {whose} is not mapped into this user namespace, so it shows as {id}")
            }
            Self::FakedOwners { library, .. } => format!(
                "{library} is in LD_PRELOAD but is not loaded, so its owners, modes and devices can't be seen"
            ),
            Self::More { count, .. } => format!("{count} more files have the problem of the lines above"),
            Self::Changed { .. } => "changed during the scan".to_owned(),
            Self::TooManyOpen { .. } => "can't be opened, all file descriptors are in use".to_owned(),
            Self::Time { .. } => "its time is outside 1901-12-13 to 2446-05-10, the range of ext4".to_owned(),
            Self::SymlinkTarget { len, .. } => {
                format!("the symlink's target has {len} bytes, 1 to 4095 are possible")
            }
            Self::NameTooLong { name, .. } => format!("has the name \"{name}\" of more than 255 bytes"),
            Self::DeviceNumber { .. } => "has a device number outside 4095:1048575".to_owned(),
            Self::Xattr { reason, .. } => reason.clone(),
            Self::Archive { error, .. } => error.explain().what,
            Self::Pattern { pattern, reason, .. } => {
                let pattern = image_tree::escaped(pattern.as_bytes());
                format!(
                    "the pattern \"{pattern}\" is not one of gitignore: {}",
                    image_tree::escaped(reason.as_bytes())
                )
            }
            Self::FileTooLong { size, .. } => {
                format!("is {size} bytes long, and a file of ext4 has less than 16 TiB")
            }
            Self::TooMany => {
                "more entries, or bytes of names, than a file system of 2^32 inodes can hold".to_owned()
            }
            Self::Internal(what) => what.clone(),
        }
    }

    fn help(&self) -> String {
        let fixed = match self {
            Self::StoreMode { store_dir, .. } => {
                return format!("leave it out, or name paths outside {store_dir}");
            }
            Self::MissingStorePath { path } => {
                return format!("{}, or correct the folder of the store", realise(path));
            }
            Self::NoSource { path, .. } => missing(path),
            Self::Unreadable { remedy, .. } => remedy,
            Self::UnreadableXattrs { remedy, .. } => {
                return format!("{remedy}, or leave xattrs out of the tree");
            }
            Self::UnreadableXattr { remedy, .. } => {
                return format!("{remedy}, or leave it out of the tree's xattrs");
            }
            Self::Archive { error, .. } => return error.explain().help,
            Self::Pattern { help, .. } | Self::AttributesPattern { help, .. } => help,
            Self::Conflict { .. } | Self::NeedsDirectory { .. } => "leave one out",
            Self::InsideStorePath { .. } => "choose another place",
            Self::DisallowedXattr { .. } | Self::FileTooLong { .. } => "leave it out",
            Self::EmptyWithBytes { .. } => "copy it to a regular file first",
            Self::MissingPath { .. } => "add an entry for it or leave it out",
            Self::UnusedAttributes { .. } => "correct it or leave it out",
            Self::BadStoreName { .. } => "correct the registration",
            Self::SpecialInStore { .. } | Self::DeviceNumber { .. } => "remove it",
            Self::NotAFolder { .. } | Self::NotAFile { .. } => "name one",
            Self::Acl { .. } => "set it anew with setfacl, or leave it out of the tree's xattrs",
            Self::XattrsWithoutProc { .. } => "mount /proc, or leave xattrs out of the tree",
            Self::InMount { .. } => "unmount it, or take in one file system only",
            Self::UnmappedOwner { .. } => {
                "run snugfs where it is known, for example in \"podman unshare\" or as root, or don't keep owners"
            }
            Self::FakedOwners { .. } => {
                "use a snugfs that is linked dynamically against this machine's C library, or unset LD_PRELOAD to build with the real ones"
            }
            Self::More { .. } => "the same helps",
            Self::Changed { .. } => "leave the sources alone while an image is built",
            Self::TooManyOpen { .. } => "raise the limit (ulimit -n)",
            Self::Time { .. } => "fix it with touch, or don't keep times",
            Self::SymlinkTarget { .. } => "replace it",
            Self::NameTooLong { .. } => "rename it",
            Self::Xattr { .. } => "narrow the tree's xattrs",
            Self::TooMany => "put less into the image",
            Self::Internal(_) => "please report this as a bug",
        };
        fixed.to_owned()
    }

    /// A failed system call.
    pub(crate) fn unreadable(path: String, errno: Errno) -> Self {
        Self::Unreadable { path, reason: reason(errno), remedy: remedy(errno) }
    }

    /// An error of the tree's writer: too many entries, or a bug of the merge.
    pub(crate) fn of_tree(error: TreeError) -> Self {
        match error {
            TreeError::TooMany => Self::TooMany,
            other => Self::Internal(other.to_string()),
        }
    }
}

impl Explain for ScanError {
    fn explain(&self) -> Explanation {
        Explanation::new(self.subject().to_string(), self.what(), self.help())
    }
}

explained_errors!(ScanError);

/// What to do about a missing store path. Nix can only create those of its own store.
#[must_use]
pub fn realise(path: &str) -> String {
    let own = path.starts_with("/nix/store/");
    if own { format!("realise it (nix-store --realise {path})") } else { "put it there".to_owned() }
}

/// What to do about a source that does not exist.
fn missing(path: &str) -> &'static str {
    // A shell would have expanded both.
    let is_unexpanded = path.contains('$') || path.split('/').any(|name| name.starts_with('~'));
    if is_unexpanded {
        "~ and $NAME are not expanded in a plan, write the whole path"
    } else {
        "create it or correct the path"
    }
}

/// What to do about a source without read permission. The help does not suggest to change its mode, because the image gets
/// it.
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

/// A system error in a few words, without its number if it is well known.
pub(crate) fn reason(errno: Errno) -> String {
    match errno {
        Errno::ACCESS | Errno::PERM => "permission denied".to_owned(),
        Errno::NOENT => "it does not exist".to_owned(),
        Errno::LOOP => "a symlink is in the way".to_owned(),
        other => std::io::Error::from(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_nixs_own_store_are_realised() {
        let help = |path: &str| ScanError::MissingStorePath { path: path.to_owned() }.help();
        assert_eq!(
            [help("/nix/store/x"), help("store/x")],
            [
                "realise it (nix-store --realise /nix/store/x), or correct the folder of the store",
                "put it there, or correct the folder of the store",
            ]
        );
    }

    #[test]
    fn the_help_for_a_missing_source_names_what_a_shell_would_have_expanded() {
        let help =
            |path: &str| ScanError::NoSource { source: SourceId::Tree(0), path: path.to_owned() }.help();
        assert_eq!(help("/nix/store"), "create it or correct the path");
        for path in ["~/root", "plans/~me/root", "$HOME/root", "a/${X}"] {
            assert!(help(path).contains("not expanded"), "{path}");
        }
        assert!(!help("root~").contains("expanded"));
    }

    #[test]
    fn sources_have_the_names_that_the_program_gives_them() {
        let error = ScanError::Conflict {
            path: "/a".to_owned(),
            one: SourceId::Tree(0),
            other: SourceId::Entry(ImagePath::parse(b"/a").unwrap()),
        };
        let name = |id: &SourceId| format!("<{id}>");
        assert_eq!(error.message(&name).1, "<tree 0> makes /a too");
        assert_eq!(error.to_string(), "the entry /a: tree 0 makes /a too; leave one out");
    }

    #[test]
    fn system_errors_have_a_remedy() {
        const OTHER: &str = "check that other programs can read it";
        const DISK: &str = "check the disk that holds it";
        for (errno, text, help) in [
            (Errno::ACCESS, "permission denied", RUN_AS),
            (Errno::PERM, "permission denied", RUN_AS),
            (Errno::LOOP, "a symlink is in the way", "name what the symlink leads to"),
            (Errno::NOENT, "it does not exist", OTHER),
            (Errno::IO, "Input/output error (os error 5)", DISK),
            (Errno::UCLEAN, "Structure needs cleaning (os error 117)", DISK),
            (Errno::BADMSG, "Bad message (os error 74)", DISK),
            (Errno::NODEV, "No such device (os error 19)", OTHER),
        ] {
            let error = ScanError::unreadable("/x".to_owned(), errno);
            assert_eq!(error.to_string(), format!("/x: can't be read: {text}; {help}"));
            assert_eq!(error.kind(), ErrorKind::Source);
        }
    }
}
