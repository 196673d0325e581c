use std::collections::BTreeMap;
use std::fmt;

use crate::{
    FileSource, FileTree, ImagePath, InvalidPath, Metadata, NodeId, Permissions, SpecialKind, Timestamp,
    TreeError, TreeWriter,
};

/// Builds a [`FileTree`] from entries in any order, for programs that have their tree in memory. Directories above an entry
/// are made if they are missing.
///
/// Everything belongs to root and has one time. Directories and executables have mode 0755, files 0644, symlinks 0777;
/// [`Self::metadata`] changes that.
///
/// ```
/// use image_tree::TreeBuilder;
///
/// let mut tree = TreeBuilder::new();
/// tree.file("/etc/hostname", "snug\n")?;
/// tree.symlink("/bin", "usr/bin")?;
/// let tree = tree.finish()?;
/// let paths: Vec<_> = tree.iter().map(|(node, _)| tree.path(node).to_string()).collect();
/// assert_eq!(paths, ["/", "/bin", "/etc", "/etc/hostname"]);
/// # Ok::<(), image_tree::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TreeBuilder {
    /// In the order of the tree. Without the directories that are made on the way.
    entries: BTreeMap<ImagePath, (Entry, Metadata)>,
    timestamp: Timestamp,
}

#[derive(Clone, Debug)]
enum Entry {
    Directory,
    File(Vec<u8>),
    External { size: u64, number: u64 },
    Symlink(Vec<u8>),
    HardLink(ImagePath),
    Special(SpecialKind),
}

/// What [`TreeBuilder`] refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// Not an absolute path.
    Path(InvalidPath),
    /// Two entries with one path, or an entry below one that is not a directory.
    Conflict(ImagePath),
    /// Metadata for a path without an entry.
    NoEntry(ImagePath),
    /// A hard link that leads to no file, symlink or special file.
    BadHardLink {
        /// The link.
        path: ImagePath,
        /// Its target as it was given.
        to: ImagePath,
    },
    /// An entry that no tree can hold.
    Tree(TreeError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(error) => error.fmt(f),
            Self::Conflict(path) => {
                write!(f, "{path} is added twice, or is not a directory and has entries below it")
            }
            Self::NoEntry(path) => write!(f, "{path} has metadata, but no entry"),
            Self::BadHardLink { path, to } => {
                write!(f, "the hard link {path} to {to} leads to no file, symlink or special file")
            }
            Self::Tree(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<InvalidPath> for BuildError {
    fn from(error: InvalidPath) -> Self {
        Self::Path(error)
    }
}

impl From<TreeError> for BuildError {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}

const FILE: Permissions = Permissions::from_mode(0o644);
const LOST_FOUND: Permissions = Permissions::from_mode(0o700);

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TreeBuilder {
    /// A tree that has only its root directory. Everything in it has the time of a Nix store, [`Timestamp::STORE`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_time(Timestamp::STORE)
    }

    /// The same with another time.
    #[must_use]
    pub fn with_time(timestamp: Timestamp) -> Self {
        let root = (Entry::Directory, Metadata::root_owned(Permissions::DIRECTORY, timestamp));
        Self { entries: BTreeMap::from([(ImagePath::root(), root)]), timestamp }
    }

    /// Adds a directory. One that is there already is kept.
    ///
    /// # Errors
    /// If the path is not absolute, or something else has it.
    pub fn directory(&mut self, path: impl AsRef<[u8]>) -> Result<&mut Self, BuildError> {
        let path = ImagePath::parse(path.as_ref())?;
        match self.entries.get(&path) {
            Some((Entry::Directory, _)) => Ok(self),
            _ => self.add(path, Entry::Directory, Permissions::DIRECTORY),
        }
    }

    /// Adds a regular file with its bytes.
    ///
    /// # Errors
    /// If the path is not absolute, or already used.
    pub fn file(
        &mut self,
        path: impl AsRef<[u8]>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<&mut Self, BuildError> {
        self.add(ImagePath::parse(path.as_ref())?, Entry::File(bytes.into()), FILE)
    }

    /// Adds a regular file with its bytes that can be executed.
    ///
    /// # Errors
    /// If the path is not absolute, or already used.
    pub fn executable(
        &mut self,
        path: impl AsRef<[u8]>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<&mut Self, BuildError> {
        self.add(ImagePath::parse(path.as_ref())?, Entry::File(bytes.into()), Permissions::DIRECTORY)
    }

    /// Adds a regular file of `size` \[bytes\] that the program's [`Contents`](crate::Contents) reads under a number; see
    /// [`FileSource::External`].
    ///
    /// # Errors
    /// If the path is not absolute, or already used.
    pub fn external(
        &mut self,
        path: impl AsRef<[u8]>,
        size: u64,
        number: u64,
    ) -> Result<&mut Self, BuildError> {
        self.add(ImagePath::parse(path.as_ref())?, Entry::External { size, number }, FILE)
    }

    /// Adds a symbolic link with a target of 1 to 4,095 bytes.
    ///
    /// # Errors
    /// If the path is not absolute, or already used.
    pub fn symlink(
        &mut self,
        path: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
    ) -> Result<&mut Self, BuildError> {
        let entry = Entry::Symlink(target.as_ref().to_vec());
        self.add(ImagePath::parse(path.as_ref())?, entry, Permissions::SYMLINK)
    }

    /// Adds one more name of a file, symlink or special file, whichever of the two sorts first. `to` may also be a hard link,
    /// and may be added later.
    ///
    /// # Errors
    /// If a path is not absolute, or already used.
    pub fn hard_link(
        &mut self,
        path: impl AsRef<[u8]>,
        to: impl AsRef<[u8]>,
    ) -> Result<&mut Self, BuildError> {
        let entry = Entry::HardLink(ImagePath::parse(to.as_ref())?);
        self.add(ImagePath::parse(path.as_ref())?, entry, FILE)
    }

    /// Adds a device, FIFO or socket with mode 0644.
    ///
    /// # Errors
    /// If the path is not absolute, or already used.
    pub fn special(&mut self, path: impl AsRef<[u8]>, kind: SpecialKind) -> Result<&mut Self, BuildError> {
        self.add(ImagePath::parse(path.as_ref())?, Entry::Special(kind), FILE)
    }

    /// Gives an entry another owner, mode, time or extended attributes. A hard link has those of its target.
    ///
    /// # Errors
    /// If the path has no entry of its own.
    pub fn metadata(&mut self, path: impl AsRef<[u8]>, metadata: Metadata) -> Result<&mut Self, BuildError> {
        let path = ImagePath::parse(path.as_ref())?;
        match self.entries.get_mut(&path) {
            Some((_, known)) => *known = metadata,
            None => return Err(BuildError::NoEntry(path)),
        }
        Ok(self)
    }

    /// Adds `/lost+found` with mode 0700 if it is missing: e2fsck wants it in every ext4 file system.
    ///
    /// # Errors
    /// If something other than a directory has the path.
    pub fn lost_found(&mut self) -> Result<&mut Self, BuildError> {
        let path = ImagePath::parse(b"/lost+found")?;
        match self.entries.get(&path) {
            Some((Entry::Directory, _)) => Ok(self),
            _ => self.add(path, Entry::Directory, LOST_FOUND),
        }
    }

    fn add(
        &mut self,
        path: ImagePath,
        entry: Entry,
        permissions: Permissions,
    ) -> Result<&mut Self, BuildError> {
        if self.entries.contains_key(&path) {
            return Err(BuildError::Conflict(path));
        }
        self.entries.insert(path, (entry, Metadata::root_owned(permissions, self.timestamp)));
        Ok(self)
    }

    /// Sorts the entries and gives the tree.
    ///
    /// # Errors
    /// If an entry is below one that is not a directory, a hard link leads to no file, or the tree can't hold an entry.
    pub fn finish(mut self) -> Result<FileTree, BuildError> {
        self.swap_links()?;
        let mut entries = self.entries.into_iter();
        let root = entries.next().map(|(_, (_, metadata))| metadata);
        let implied = Metadata::root_owned(Permissions::DIRECTORY, self.timestamp);
        let mut writer = TreeWriter::new(root.unwrap_or_else(|| implied.clone()), Vec::new());
        let mut open = ImagePath::root();
        let mut nodes: BTreeMap<ImagePath, NodeId> = BTreeMap::new();
        for (path, (entry, metadata)) in entries {
            let Some((parent, name)) = path.split_last() else { continue };
            while !parent.starts_with(&open) {
                writer.end_directory();
                open = open.split_last().map_or_else(ImagePath::root, |(above, _)| above);
            }
            for name in parent.parts().skip(open.parts().count()) {
                let next = open.join(name);
                if nodes.contains_key(&next) {
                    return Err(BuildError::Conflict(next));
                }
                let id = writer.metadata(&implied);
                writer.begin_directory(name, id)?;
                open = next;
            }
            let id = writer.metadata(&metadata);
            let node = match entry {
                Entry::Directory => {
                    writer.begin_directory(name, id)?;
                    open = path;
                    continue;
                }
                Entry::File(bytes) => {
                    let size = u64::try_from(bytes.len()).map_err(|_| TreeError::TooMany)?;
                    let source = writer.inline(bytes);
                    writer.file(name, id, size, source)?
                }
                Entry::External { size, number } => {
                    writer.file(name, id, size, FileSource::External(number))?
                }
                Entry::Symlink(target) => writer.symlink(name, id, &target)?,
                Entry::Special(kind) => writer.special(name, id, kind)?,
                Entry::HardLink(to) => {
                    let node = nodes.get(&to).copied();
                    let to = node.ok_or_else(|| BuildError::BadHardLink { path: path.clone(), to })?;
                    writer.hard_link(name, to)?
                }
            };
            nodes.insert(path, node);
        }
        Ok(writer.finish())
    }

    /// The first name of a file in the order of the tree is the file, all others are links to it.
    fn swap_links(&mut self) -> Result<(), BuildError> {
        let mut files: BTreeMap<ImagePath, ImagePath> = BTreeMap::new();
        for (path, (entry, _)) in &self.entries {
            if let Entry::HardLink(to) = entry {
                self.follow(path, to, &mut files)?;
            }
        }
        // The names of each linked file besides its own, sorted.
        let mut links: BTreeMap<ImagePath, Vec<ImagePath>> = BTreeMap::new();
        for (path, file) in files {
            links.entry(file).or_default().push(path);
        }
        for (file, names) in links {
            let first = names.first().map_or(&file, |first| first.min(&file)).clone();
            if let Some(entry) = self.entries.remove(&file) {
                self.entries.insert(first.clone(), entry);
            }
            for name in names.into_iter().chain([file]).filter(|name| *name != first) {
                let link = (Entry::HardLink(first.clone()), Metadata::root_owned(FILE, self.timestamp));
                self.entries.insert(name, link);
            }
        }
        Ok(())
    }

    /// Finds the file that a hard link leads to, maybe over further links, and adds all these links to `files`.
    fn follow(
        &self,
        path: &ImagePath,
        to: &ImagePath,
        files: &mut BTreeMap<ImagePath, ImagePath>,
    ) -> Result<(), BuildError> {
        let mut passed = vec![path];
        let mut at = to;
        // A longer chain is a circle.
        while passed.len() <= self.entries.len() {
            let file = match (files.get(at), self.entries.get(at)) {
                (Some(file), _) => file.clone(),
                (None, Some((Entry::HardLink(next), _))) => {
                    passed.push(at);
                    at = next;
                    continue;
                }
                (None, Some((Entry::Directory, _)) | None) => break,
                (None, Some(_)) => at.clone(),
            };
            files.extend(passed.into_iter().map(|link| (link.clone(), file.clone())));
            return Ok(());
        }
        Err(BuildError::BadHardLink { path: path.clone(), to: to.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeKind;

    fn lines(tree: &FileTree) -> Vec<String> {
        let line = |(id, node): (NodeId, &crate::Node)| {
            let mode = tree.metadata(node.metadata()).permissions.bits();
            let kind = match node.kind() {
                NodeKind::Directory { .. } => "directory".to_owned(),
                NodeKind::File { size, source: FileSource::Inline(index) } => {
                    format!("file {size} {:?}", String::from_utf8_lossy(tree.inline(index)))
                }
                NodeKind::File { size, source } => format!("file {size} {source:?}"),
                NodeKind::HardLink { to } => format!("link {}", tree.path(to)),
                NodeKind::Symlink { target } => {
                    format!("symlink {:?}", String::from_utf8_lossy(tree.symlink_target(target)))
                }
                NodeKind::Special(kind) => format!("{kind:?}"),
            };
            format!("{} {mode:04o} {kind}", tree.path(id))
        };
        tree.iter().map(line).collect()
    }

    #[test]
    fn entries_in_any_order_make_one_sorted_tree() {
        let mut tree = TreeBuilder::new();
        let private = Metadata { uid: 7, ..Metadata::root_owned(LOST_FOUND, Timestamp::STORE) };
        tree.symlink("/z", "a/b").unwrap().file("/a/b/c", "bytes").unwrap();
        tree.executable("/a-b", "").unwrap().directory("/a/b").unwrap().directory("/a/b").unwrap();
        tree.external("/big", 1 << 40, 9).unwrap().special("/a/pipe", SpecialKind::Fifo).unwrap();
        tree.metadata("/a/b", private).unwrap().lost_found().unwrap().lost_found().unwrap();
        let tree = tree.finish().unwrap();
        assert_eq!(
            lines(&tree),
            [
                "/ 0755 directory",
                "/a 0755 directory",
                "/a/b 0700 directory",
                "/a/b/c 0644 file 5 \"bytes\"",
                "/a/pipe 0644 Fifo",
                "/a-b 0755 file 0 \"\"",
                "/big 0644 file 1099511627776 External(9)",
                "/lost+found 0700 directory",
                "/z 0777 symlink \"a/b\"",
            ]
        );
    }

    #[test]
    fn the_first_name_of_a_file_is_the_file_whichever_was_linked() {
        let mut tree = TreeBuilder::new();
        tree.file("/m", "one file").unwrap();
        tree.metadata("/m", Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE)).unwrap();
        for link in ["/n", "/c", "/b/1", "/z"] {
            tree.hard_link(link, "/m").unwrap();
        }
        assert_eq!(
            lines(&tree.finish().unwrap()),
            [
                "/ 0755 directory",
                "/b 0755 directory",
                "/b/1 0444 file 8 \"one file\"",
                "/c 0444 link /b/1",
                "/m 0444 link /b/1",
                "/n 0444 link /b/1",
                "/z 0444 link /b/1",
            ]
        );
    }

    /// Every order of four names of one file, each linked to the one before it.
    #[test]
    fn a_hard_link_may_lead_to_another_one() {
        let names = ["/a", "/b", "/c/d", "/e"];
        let metadata = Metadata { uid: 7, ..Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE) };
        for code in 0..256_usize {
            let order: Vec<&str> = (0..4).map(|at| names[code >> (2 * at) & 3]).collect();
            if names.iter().any(|name| !order.contains(name)) {
                continue;
            }
            for is_reversed in [false, true] {
                let mut tree = TreeBuilder::new();
                let mut links: Vec<_> = order.windows(2).map(|pair| (pair[1], pair[0])).collect();
                if is_reversed {
                    links.reverse();
                }
                for (path, to) in links {
                    tree.hard_link(path, to).unwrap();
                }
                tree.file(order[0], "one file").unwrap().metadata(order[0], metadata.clone()).unwrap();
                let tree = tree.finish().unwrap();
                assert_eq!(
                    lines(&tree),
                    [
                        "/ 0755 directory",
                        "/a 0444 file 8 \"one file\"",
                        "/b 0444 link /a",
                        "/c 0755 directory",
                        "/c/d 0444 link /a",
                        "/e 0444 link /a",
                    ],
                    "{order:?}"
                );
            }
        }
    }

    #[test]
    fn what_makes_no_tree_is_refused() {
        let path = |text: &str| ImagePath::parse(text.as_bytes()).unwrap();
        let mut tree = TreeBuilder::new();
        assert!(matches!(tree.file("relative", "").unwrap_err(), BuildError::Path(_)));
        tree.file("/a", "").unwrap();
        assert_eq!(tree.symlink("/a", "x").unwrap_err(), BuildError::Conflict(path("/a")));
        assert_eq!(tree.directory("/a").unwrap_err(), BuildError::Conflict(path("/a")));
        assert_eq!(tree.file("/", "").unwrap_err(), BuildError::Conflict(path("/")));
        let plain = Metadata::root_owned(FILE, Timestamp::STORE);
        assert_eq!(tree.metadata("/b", plain).unwrap_err(), BuildError::NoEntry(path("/b")));
        let finished = |add: fn(&mut TreeBuilder)| {
            let mut tree = TreeBuilder::new();
            tree.directory("/d").unwrap().file("/a", "").unwrap();
            add(&mut tree);
            tree.finish().unwrap_err()
        };
        assert_eq!(
            finished(|tree| {
                tree.file("/a/b", "").unwrap();
            }),
            BuildError::Conflict(path("/a"))
        );
        let links: [fn(&mut TreeBuilder); 3] = [
            |tree| {
                tree.hard_link("/link", "/d").unwrap();
            },
            |tree| {
                tree.hard_link("/link", "/missing").unwrap();
            },
            |tree| {
                tree.hard_link("/link", "/link").unwrap();
            },
        ];
        for (add, to) in links.into_iter().zip(["/d", "/missing", "/link"]) {
            assert_eq!(finished(add), BuildError::BadHardLink { path: path("/link"), to: path(to) });
        }
        let circle = finished(|tree| {
            tree.hard_link("/x", "/y").unwrap().hard_link("/y", "/z").unwrap().hard_link("/z", "/x").unwrap();
        });
        assert_eq!(circle, BuildError::BadHardLink { path: path("/x"), to: path("/y") });
        assert_eq!(circle.to_string(), "the hard link /x to /y leads to no file, symlink or special file");
        let empty = finished(|tree| {
            tree.symlink("/s", "").unwrap();
        });
        assert!(matches!(empty, BuildError::Tree(TreeError::BadTarget { .. })), "{empty}");
    }
}
