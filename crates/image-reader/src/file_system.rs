//! What the file systems have in common: nodes, entries, where contents lie.

use std::collections::BTreeSet;
use std::io::{self, Write};

use image_tree::{escaped, to_u64, to_usize};

use crate::fat::FatEntry;
use crate::{Ext4, Fat, ReadError, Window};

/// A file system that was found sound enough to be read.
#[derive(Debug)]
pub enum FileSystem {
    /// ext2, ext3 or ext4.
    Ext4(Ext4),
    /// FAT12, FAT16 or FAT32.
    Fat(Fat),
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device with its major and minor number.
    Character(u32, u32),
    /// A block device with its major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A time: seconds since 1970, and nanoseconds below 1,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// A file of any kind.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Length of the contents in \[bytes\].
    pub size: u64,
    /// Permission bits, at most 0o7777. FAT has none: 0o755.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How many names it has.
    pub links: u32,
    /// When the contents were changed. FAT's local time is taken for UTC.
    pub modified: Time,
    /// Its inode's number; `None` on FAT.
    pub inode: Option<u32>,
    pub(crate) place: Place,
}

/// Where a node's own structure is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Inode { flags: u32, block: [u8; 60] },
    Fat(FatEntry),
}

/// A name in a directory. What it names is read by [`FileSystem::node`], as it may be unreadable alone.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name's bytes; a [`image_tree::Name`].
    pub name: Vec<u8>,
    pub(crate) target: Target,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Inode(u32),
    Fat(FatEntry),
}

/// A piece of a file that lies in one piece in its volume. What no run covers is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where in the file, in \[bytes\].
    pub at: u64,
    /// How long, in \[bytes\].
    pub length: u64,
    /// Where in the volume, in \[bytes\].
    pub from: u64,
}

/// Where a file's contents are.
#[derive(Clone, Debug)]
pub enum Contents {
    /// In the volume, in ascending order without overlap.
    Runs(Vec<Run>),
    /// In the node itself.
    Inline(Vec<u8>),
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Length in \[bytes\].
    pub bytes: u64,
    /// Free \[bytes\].
    pub free: u64,
    /// Inodes and how many of them are free; `None` on FAT.
    pub inodes: Option<(u32, u32)>,
}

/// What is copied at once.
const COPY: u64 = 1 << 20;

impl FileSystem {
    /// The root directory.
    pub fn root(&self) -> Result<Node, ReadError> {
        match self {
            Self::Ext4(ext4) => ext4.root(),
            Self::Fat(fat) => Ok(fat.root()),
        }
    }

    /// What is in a directory, without `.` and `..`, sorted by the bytes of the names.
    ///
    /// Names that no directory can have are told as errors among the others.
    pub fn entries(&self, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        let (mut entries, errors) = match self {
            Self::Ext4(ext4) => ext4.entries(directory)?,
            Self::Fat(fat) => fat.entries(directory)?,
        };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((entries, errors))
    }

    /// What an entry names.
    pub fn node(&self, entry: &Entry) -> Result<Node, ReadError> {
        match (self, &entry.target) {
            (Self::Ext4(ext4), Target::Inode(number)) => ext4.node(*number),
            (Self::Fat(_), Target::Fat(entry)) => Ok(Fat::node(entry)),
            _ => Err(ReadError::damaged(escaped(&entry.name).to_string(), "is of another file system")),
        }
    }

    /// Where the contents of a file are.
    pub fn contents(&self, node: &Node) -> Result<Contents, ReadError> {
        match self {
            Self::Ext4(ext4) => ext4.contents(node),
            Self::Fat(fat) => fat.contents(node),
        }
    }

    /// Where a symbolic link leads.
    pub fn link_target(&self, node: &Node) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::Ext4(ext4) => ext4.link_target(node),
            Self::Fat(_) => Err(ReadError::damaged("FAT", "has no symbolic links")),
        }
    }

    /// The bytes that the file system is in.
    pub fn window(&self) -> &Window {
        match self {
            Self::Ext4(ext4) => ext4.window(),
            Self::Fat(fat) => fat.window(),
        }
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        match self {
            Self::Ext4(ext4) => ext4.usage(),
            Self::Fat(fat) => fat.usage(),
        }
    }

    /// A guard for a walk through directories.
    pub fn visits(&self) -> Visits {
        let stored = self.usage().bytes.min(self.window().length());
        Visits { seen: BTreeSet::new(), left: stored / LEAST_ENTRY }
    }

    /// Writes a file's contents, zeros for its holes.
    pub fn copy(&self, node: &Node, out: &mut impl Write) -> Result<io::Result<()>, ReadError> {
        self.each_piece(node, |piece| match piece {
            Piece::Data(_, bytes) => out.write_all(bytes),
            Piece::Hole(mut length) => {
                let zeros = vec![0; to_usize(length.min(COPY))];
                while length > 0 {
                    let part = to_usize(length).min(zeros.len());
                    out.write_all(zeros.get(..part).unwrap_or_default())?;
                    length = length.saturating_sub(to_u64(part));
                }
                Ok(())
            }
        })
    }

    /// Hands a file's pieces over in order, until one is refused.
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
        // What is allocated behind the end is none of the contents.
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

/// Keeps a walk through directories from going in circles, and from giving the same entries again and again under several
/// names: together, the directories of a file system have no more entries than fit it.
#[derive(Debug)]
pub struct Visits {
    seen: BTreeSet<u32>,
    /// How many entries there can still be.
    left: u64,
}

/// The least that an entry takes in \[bytes\] (an entry of ext4 with a name of up to four bytes).
const LEAST_ENTRY: u64 = 12;

impl Visits {
    /// Notes that a directory is to be read; an error where it was noted before, under another name.
    pub fn enter(&mut self, directory: &Node) -> Result<(), ReadError> {
        if self.seen.insert(directory.identity()) {
            Ok(())
        } else {
            Err(ReadError::damaged("the directory", "has a second name"))
        }
    }

    /// Reads a directory like [`FileSystem::entries`], which [`enter`](Self::enter) has noted.
    pub fn read(
        &mut self,
        fs: &FileSystem,
        directory: &Node,
    ) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        let (entries, errors) = fs.entries(directory)?;
        self.left = self.left.checked_sub(to_u64(entries.len())).ok_or_else(|| {
            let what = "with it, directories are larger than the file system";
            ReadError::too_much("the directory", what, "the image is damaged")
        })?;
        Ok((entries, errors))
    }

    /// Both.
    pub fn entries(
        &mut self,
        fs: &FileSystem,
        directory: &Node,
    ) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        self.enter(directory)?;
        self.read(fs, directory)
    }
}

/// A piece of a file on its way out.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// Bytes and where they belong in the file.
    Data(u64, &'a [u8]),
    /// So many zeros.
    Hole(u64),
}

impl Node {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// What tells it from other directories: the number of its inode, or of its first cluster.
    pub fn identity(&self) -> u32 {
        match &self.place {
            Place::Inode { .. } => self.inode.unwrap_or(0),
            Place::Fat(entry) => entry.cluster,
        }
    }
}
