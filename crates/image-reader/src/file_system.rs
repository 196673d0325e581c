//! The common interface of file systems: nodes, entries, location of contents.

use std::collections::BTreeSet;
use std::io::{self, Write};

use image_tree::{escaped, to_u64, to_usize};

use crate::fat::FatEntry;
use crate::{Ext4, Fat, ReadError, Window};

/// A file system that can be read.
#[derive(Debug)]
pub enum FileSystem {
    /// ext2, ext3 or ext4.
    Ext4(Ext4),
    /// FAT12, FAT16 or FAT32.
    Fat(Fat),
}

/// The kind of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A character device with its major and minor number.
    Character(u32, u32),
    /// A block device with its major and minor number.
    Block(u32, u32),
    /// A FIFO (named pipe).
    Fifo,
    /// A socket.
    Socket,
}

/// A point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// A file of any kind.
#[derive(Clone, Debug)]
pub struct Node {
    /// Kind of file.
    pub kind: Kind,
    /// Length of the contents in \[bytes\].
    pub size: u64,
    /// Permission bits, at most 0o7777; 0o755 on FAT.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Link count: number of names.
    pub links: u32,
    /// Modification time. FAT's local time is read as UTC.
    pub modified: Time,
    /// Inode number; `None` on FAT.
    pub inode: Option<u32>,
    pub(crate) place: Place,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, with its namespace; the number of the namespace and a dot, if that has no name.
    pub name: Vec<u8>,
    /// Its value as `getxattr` returns it; `None` if it is in an inode of its own, which is not read.
    pub value: Option<Vec<u8>>,
}

/// What is needed to find the contents of a node.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Inode { flags: u32, block: [u8; 60] },
    Fat(FatEntry),
}

/// A name in a directory. [`FileSystem::node`] reads its node, which can fail for each entry separately.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Bytes of the name, a valid [`image_tree::Name`].
    pub name: Vec<u8>,
    pub(crate) target: Target,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Inode(u32),
    Fat(FatEntry),
}

/// Consecutive bytes of a file that are consecutive in the volume. Bytes outside of all runs are zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Offset in the file in \[bytes\].
    pub at: u64,
    /// Length in \[bytes\].
    pub length: u64,
    /// Offset in the volume in \[bytes\].
    pub from: u64,
}

/// The location of a file's contents.
#[derive(Clone, Debug)]
pub enum Contents {
    /// Runs in the volume, ascending, without overlap.
    Runs(Vec<Run>),
    /// The bytes themselves, from the node.
    Inline(Vec<u8>),
}

/// Size and free space of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Length in \[bytes\].
    pub bytes: u64,
    /// Free space in \[bytes\].
    pub free: u64,
    /// Number of inodes and of free inodes; `None` on FAT.
    pub inodes: Option<(u32, u32)>,
}

/// Buffer size for copying in \[bytes\].
const COPY: u64 = 1 << 20;

impl FileSystem {
    /// The root directory.
    pub fn root(&self) -> Result<Node, ReadError> {
        match self {
            Self::Ext4(ext4) => ext4.root(),
            Self::Fat(fat) => Ok(fat.root()),
        }
    }

    /// Reads a directory: its entries without `.` and `..`, sorted by the bytes of their names, and errors.
    ///
    /// Invalid names are among the errors.
    pub fn entries(&self, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        let (mut entries, errors) = match self {
            Self::Ext4(ext4) => ext4.entries(directory)?,
            Self::Fat(fat) => fat.entries(directory)?,
        };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((entries, errors))
    }

    /// Reads the node of an entry.
    pub fn node(&self, entry: &Entry) -> Result<Node, ReadError> {
        match (self, &entry.target) {
            (Self::Ext4(ext4), Target::Inode(number)) => ext4.node(*number),
            (Self::Fat(_), Target::Fat(entry)) => Ok(Fat::node(entry)),
            _ => Err(ReadError::damaged(escaped(&entry.name).to_string(), "belongs to another file system")),
        }
    }

    /// Returns the location of a file's contents.
    pub fn contents(&self, node: &Node) -> Result<Contents, ReadError> {
        match self {
            Self::Ext4(ext4) => ext4.contents(node),
            Self::Fat(fat) => fat.contents(node),
        }
    }

    /// Reads the target of a symlink.
    pub fn link_target(&self, node: &Node) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Ext4(ext4) => ext4.link_target(node),
            Self::Fat(_) => Err(ReadError::damaged("FAT", "does not support symlinks")),
        }
    }

    /// The extended attributes of a node, in the order in which they are stored; none on FAT.
    pub fn attributes(&self, node: &Node) -> Result<Vec<Attribute>, ReadError> {
        match self {
            Self::Ext4(ext4) => ext4.attributes(node),
            Self::Fat(_) => Ok(Vec::new()),
        }
    }

    /// The bytes of the file system.
    pub fn window(&self) -> &Window {
        match self {
            Self::Ext4(ext4) => ext4.window(),
            Self::Fat(fat) => fat.window(),
        }
    }

    /// Size and free space.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Ext4(ext4) => ext4.usage(),
            Self::Fat(fat) => fat.usage(),
        }
    }

    /// Limits for a walk through all directories.
    pub fn visits(&self) -> Visits {
        let stored = self.usage().bytes.min(self.window().length());
        Visits { seen: BTreeSet::new(), left: stored / MIN_ENTRY }
    }

    /// Writes a file's contents, with zeros for holes.
    pub fn copy(&self, node: &Node, out: &mut impl Write) -> Result<io::Result<()>, ReadError> {
        self.each_piece(node, |piece| match piece {
            Piece::Data(_, bytes) => out.write_all(bytes),
            Piece::Hole(mut length) => {
                let zeros = vec![0; to_usize(length.min(COPY))];
                while length > 0 {
                    let part = to_usize(length).min(zeros.len());
                    out.write_all(&zeros[..part])?;
                    length = length.saturating_sub(to_u64(part));
                }
                Ok(())
            }
        })
    }

    /// Calls `take` with the pieces of a file in order, until it fails.
    pub(crate) fn each_piece(
        &self,
        node: &Node,
        mut take: impl FnMut(Piece<'_>) -> io::Result<()>,
    ) -> Result<io::Result<()>, ReadError> {
        let runs = match self.contents(node)? {
            Contents::Inline(bytes) => return Ok(take(Piece::Data(0, &bytes))),
            Contents::Runs(runs) => runs,
        };
        let mut at = 0;
        let mut buffer = Vec::new();
        // Blocks allocated after the end of the file are not part of the contents.
        for run in runs.into_iter().filter(|run| run.at < node.size) {
            let end = run.at.saturating_add(run.length).min(node.size);
            let hole = run.at.saturating_sub(at);
            if hole > 0
                && let Err(error) = take(Piece::Hole(hole))
            {
                return Ok(Err(error));
            }
            at = at.max(run.at);
            while at < end {
                let part = end.saturating_sub(at).min(COPY);
                buffer.resize(to_usize(part), 0);
                let from = run.from.saturating_add(at.saturating_sub(run.at));
                self.window().read(from, &mut buffer).map_err(|error| ReadError::io("contents", error))?;
                if let Err(error) = take(Piece::Data(at, &buffer)) {
                    return Ok(Err(error));
                }
                at = at.saturating_add(part);
            }
        }
        let hole = node.size.saturating_sub(at);
        Ok(if hole > 0 { take(Piece::Hole(hole)) } else { Ok(()) })
    }
}

/// Limits a walk through all directories. It enters each directory once, and together the directories have no more entries
/// than fit into the file system. So cycles and shared blocks can't make it endless.
#[derive(Debug)]
pub struct Visits {
    seen: BTreeSet<u32>,
    /// Number of entries that may still follow.
    left: u64,
}

/// Minimum size of an entry in \[bytes\] (in ext4, with a name of up to four bytes).
const MIN_ENTRY: u64 = 12;

impl Visits {
    /// Marks a directory as visited. Fails if it was visited before, under another name.
    pub fn enter(&mut self, directory: &Node) -> Result<(), ReadError> {
        if self.seen.insert(directory.identity()) {
            Ok(())
        } else {
            Err(ReadError::damaged("the directory", "has a second name"))
        }
    }

    /// Reads a directory like [`FileSystem::entries`], after [`enter`](Self::enter).
    pub fn read(
        &mut self,
        fs: &FileSystem,
        directory: &Node,
    ) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        let (entries, errors) = fs.entries(directory)?;
        self.left = self.left.checked_sub(to_u64(entries.len())).ok_or_else(|| {
            let what = "the directories are larger than the file system";
            ReadError::too_much("the directory", what, "the image is damaged")
        })?;
        Ok((entries, errors))
    }

    /// [`enter`](Self::enter)s and [`read`](Self::read)s a directory.
    pub fn entries(
        &mut self,
        fs: &FileSystem,
        directory: &Node,
    ) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        self.enter(directory)?;
        self.read(fs, directory)
    }
}

/// A piece of a file's contents.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// Offset in the file, and bytes.
    Data(u64, &'a [u8]),
    /// Length of a hole in \[bytes\].
    Hole(u64),
}

impl Node {
    /// Whether the node is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// The identity of a directory: the number of its inode, or of its first cluster.
    pub fn identity(&self) -> u32 {
        match &self.place {
            Place::Inode { .. } => self.inode.expect("invariant: `Ext4::node` sets the number"),
            Place::Fat(entry) => entry.cluster,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext4::tests::{DATA, FILE, Image, directory};
    use crate::fat::Fields;
    use std::sync::Arc;

    /// The pieces of a file: place and bytes, or the length of a hole.
    fn pieces(extents: &[(u32, u32, u32)], size: u64) -> Vec<String> {
        let mut image = Image::new();
        image.extents(12, FILE, size, extents);
        for block in DATA..64 {
            image.block(block, &[block.to_le_bytes()[0]; 1024]);
        }
        let ext4 = image.open();
        let node = ext4.node(12).unwrap();
        let fs = FileSystem::Ext4(ext4);
        let mut found = Vec::new();
        let outcome = fs.each_piece(&node, |piece| {
            found.push(match piece {
                Piece::Data(at, bytes) => format!("{at}: {} of {}", bytes.len(), bytes[0]),
                Piece::Hole(length) => format!("hole of {length}"),
            });
            Ok(())
        });
        outcome.unwrap().unwrap();
        found
    }

    #[test]
    fn files_are_data_and_holes_in_order() {
        assert_eq!(pieces(&[], 0), [""; 0]);
        assert_eq!(pieces(&[], 3000), ["hole of 3000"]);
        assert_eq!(pieces(&[(0, 2, 20)], 2048), ["0: 2048 of 20"]);
        assert_eq!(pieces(&[(0, 1, 20), (1, 1, 30)], 1500), ["0: 1024 of 20", "1024: 476 of 30"]);
        assert_eq!(
            pieces(&[(1, 1, 20), (4, 1, 30)], 9000),
            ["hole of 1024", "1024: 1024 of 20", "hole of 2048", "4096: 1024 of 30", "hole of 3880"]
        );
        // Blocks after the end.
        assert_eq!(pieces(&[(0, 1, 20), (1, 1, 30), (3, 1, 40)], 1024), ["0: 1024 of 20"]);
        assert_eq!(pieces(&[(3, 1, 40)], 1024), ["hole of 1024"]);
    }

    #[test]
    fn copies_have_zeros_for_holes() {
        let mut image = Image::new();
        // More than a buffer of zeros, not a multiple of it.
        let size = (5 << 20) / 2 + 100;
        image.extents(12, FILE, size, &[(1, 1, 20)]);
        image.block(20, &[7; 1024]);
        let ext4 = image.open();
        let node = ext4.node(12).unwrap();
        let fs = FileSystem::Ext4(ext4);
        let mut bytes = Vec::new();
        fs.copy(&node, &mut bytes).unwrap().unwrap();
        let mut expected = vec![0; to_usize(size)];
        expected[1024..2048].fill(7);
        assert!(bytes == expected);
        // Errors of the writer end the copy.
        for room in [0, 1024] {
            let mut short = vec![0; room];
            let error = fs.copy(&node, &mut &mut short[..]).unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        }
    }

    #[test]
    fn directories_are_visited_once_and_have_as_many_entries_as_fit() {
        let mut image = Image::new();
        directory(&mut image, 2, DATA, &[("a", 12), ("b", 13)]);
        image.extents(13, FILE, 0, &[]);
        let names: Vec<_> = (0..2730).map(|number| format!("{number:04}")).collect();
        let names: Vec<_> = names.iter().map(|name| (name.as_str(), 13)).collect();
        directory(&mut image, 12, DATA + 1, &names);
        let fs = FileSystem::Ext4(image.open());
        let root = fs.root().unwrap();
        let mut visits = fs.visits();
        let (entries, errors) = visits.entries(&fs, &root).unwrap();
        assert_eq!((entries.len(), errors.len()), (2, 0));
        let error = visits.entries(&fs, &root).unwrap_err().to_string();
        assert!(error.starts_with("the directory: has a second name"), "{error}");
        // 65,536 bytes have room for 5,461 entries of 12 bytes.
        let large = fs.node(&entries[0]).unwrap();
        assert_eq!(visits.entries(&fs, &large).unwrap().0.len(), 2730);
        assert_eq!(visits.left, 5461 - 2 - 2730);
        assert!(matches!(visits.read(&fs, &large), Err(ReadError::TooMuch { .. })));
        visits.left = 2730;
        assert!(visits.read(&fs, &large).is_ok());
    }

    #[test]
    fn nodes_belong_to_their_file_system() {
        let mut bytes = Fields::clusters(20).sector();
        bytes.resize(52 * 512, 0);
        bytes[31 * 512..][..12].copy_from_slice(b"A          \x10");
        let fat = FileSystem::Fat(Fat::open(Window::whole(Arc::new(bytes))).unwrap());
        let ext4 = FileSystem::Ext4(Image::new().open());
        let (entries, _) = fat.entries(&fat.root().unwrap()).unwrap();
        assert!(fat.node(&entries[0]).unwrap().is_directory());
        assert!(ext4.node(&entries[0]).is_err());
        assert!(ext4.contents(&fat.root().unwrap()).is_err());
        assert!(fat.contents(&ext4.root().unwrap()).is_err());
    }
}
