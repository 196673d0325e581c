//! Where the bytes of an image's files come from: traits that any program can implement.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::{Explain, Explanation, FileRef, FileSource, FileTree, NodeKind, explained_errors};

/// The files of an image, read by several threads.
///
/// [`TreeContents`] is the implementation for trees that have the bytes of all their files.
pub trait Contents: Sync {
    /// Makes a reader for one thread.
    fn reader(&self) -> Box<dyn FileReader + '_>;

    /// Checks that an open file is still the one that the tree describes. Called after its bytes were read, and only for
    /// [`FileBytes::Fd`] and [`FileBytes::Range`]. By default every file passes.
    ///
    /// # Errors
    /// If the file changed.
    fn check(&self, file: FileRef, fd: BorrowedFd<'_>) -> Result<(), ContentsError> {
        let _ = (file, fd);
        Ok(())
    }

    /// The name of a file in messages, on one line. By default its numbers.
    fn shown(&self, file: FileRef) -> String {
        format!("file {} of tree {}", file.node.index(), file.tree.index())
    }

    /// Temporary files with contents of files, if there are any. They are read quickest in their own order. By default none.
    fn spool(&self) -> Option<&dyn Spool> {
        None
    }
}

/// Temporary files that only this process has. They contain the bytes of other files, as those of a compressed archive.
pub trait Spool: Sync {
    /// Where the bytes of a file begin; `None` if they are not in a temporary file, or not all together.
    fn place(&self, file: FileRef) -> Option<SpoolPlace<'_>>;

    /// Whether the writer may shorten the temporary files while it writes the image, because nobody reads them afterwards.
    fn is_last_use(&self) -> bool;
}

/// The place of a file in a temporary file.
#[derive(Clone, Copy, Debug)]
pub struct SpoolPlace<'s> {
    /// The temporary file. It is the same one for files that are in it together.
    pub fd: BorrowedFd<'s>,
    /// Where the bytes begin, in \[bytes\].
    pub offset: u64,
}

/// Opens the files of an image for one thread.
pub trait FileReader {
    /// Opens a file. Files are opened in the order of the image. A large file is opened several times, for a part of it each
    /// time.
    ///
    /// # Errors
    /// If the file can't be opened.
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError>;
}

/// The bytes of a file, as many as its node in the tree says. Fewer are an error; bytes after them are not read.
pub enum FileBytes<'c> {
    /// All bytes, in memory.
    Memory(&'c [u8]),
    /// An open file of this machine. The kernel copies its bytes or shares its blocks, where it can.
    Fd(OwnedFd),
    /// A part of an open file of this machine, which begins at an offset. The kernel copies its bytes, where it can.
    Range {
        /// The open file.
        fd: BorrowedFd<'c>,
        /// Where the part begins, in \[bytes\].
        offset: u64,
    },
    /// Anything else that reads from an offset. [`Forward`] makes it of a [`Read`](io::Read).
    Reader(Box<dyn ReadAt + 'c>),
}

impl fmt::Debug for FileBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => f.debug_tuple("Memory").field(&bytes.len()).finish(),
            Self::Fd(fd) => f.debug_tuple("Fd").field(fd).finish(),
            Self::Range { fd, offset } => {
                f.debug_struct("Range").field("fd", fd).field("offset", offset).finish()
            }
            Self::Reader(_) => f.debug_tuple("Reader").finish_non_exhaustive(),
        }
    }
}

/// Reads from an offset.
pub trait ReadAt {
    /// Reads up to `buffer.len()` bytes from `offset` \[bytes\] after the start, and returns how many there were: 0 only at
    /// the end.
    ///
    /// # Errors
    /// If the bytes can't be read.
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// Reads a [`Read`](io::Read) from an offset: reads up to the offset first. It can't go back.
#[derive(Debug)]
pub struct Forward<R> {
    reader: R,
    at: u64,
}

impl<R: io::Read> Forward<R> {
    /// `reader` is at the start of the file.
    pub fn new(reader: R) -> Self {
        Self { reader, at: 0 }
    }
}

impl<R: io::Read> Forward<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read > buffer.len() {
            return Err(io::Error::other("the stream says that it read more bytes than it was asked for"));
        }
        self.at = self.at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

impl<R: io::Read> ReadAt for Forward<R> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.at > offset {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a stream can't be read backwards"));
        }
        while self.at < offset && !buffer.is_empty() {
            // What is skipped goes where the bytes asked for will overwrite it.
            let skip = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(buffer.len());
            let skipped = match buffer.get_mut(..skip) {
                Some(skipped) => self.read(skipped),
                None => break,
            };
            match skipped {
                Ok(0) => return Ok(0),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.read(buffer)
    }
}

/// Why the bytes of a file are not available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentsError {
    explanation: Explanation,
    is_internal: bool,
}

impl ContentsError {
    /// The source is missing, unreadable, or was changed.
    #[must_use]
    pub fn new(explanation: Explanation) -> Self {
        Self { explanation, is_internal: false }
    }

    /// A bug of the program.
    #[must_use]
    pub fn internal(explanation: Explanation) -> Self {
        Self { explanation, is_internal: true }
    }

    /// The image names a file that the contents do not have.
    #[must_use]
    pub fn no_such_file(file: FileRef) -> Self {
        let subject = format!("file {} of tree {}", file.node.index(), file.tree.index());
        Self::internal(Explanation::new(
            subject,
            "is not a regular file of the image",
            "please report this as a bug",
        ))
    }

    /// A [`ReadAt`] returned more bytes than its buffer holds. `path` is the file's name in messages.
    #[must_use]
    pub fn overrun(path: impl Into<String>) -> Self {
        Self::internal(Explanation::new(
            path,
            "its reader says that it read more bytes than it was asked for",
            "correct `ReadAt::read_at` of the program",
        ))
    }

    /// Whether it is a bug of the program.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.is_internal
    }
}

impl Explain for ContentsError {
    fn explain(&self) -> Explanation {
        self.explanation.clone()
    }
}

explained_errors!(ContentsError);

/// The files of trees that have all bytes themselves ([`FileSource::Inline`]).
#[derive(Clone, Debug)]
pub struct TreeContents {
    /// By [`crate::TreeId`].
    trees: Vec<FileTree>,
}

impl TreeContents {
    /// The files of an image that has one tree.
    #[must_use]
    pub fn new(tree: &FileTree) -> Self {
        Self::of([tree])
    }

    /// The files of several trees, in the order of their [`crate::TreeId`]s.
    #[must_use]
    pub fn of<'t>(trees: impl IntoIterator<Item = &'t FileTree>) -> Self {
        Self { trees: trees.into_iter().cloned().collect() }
    }

    /// The bytes of a file; `None` if its tree does not have them.
    #[must_use]
    pub fn bytes(&self, file: FileRef) -> Option<&[u8]> {
        let tree = self.trees.get(file.tree.index())?;
        match tree.node(tree.resolve(file.node)).kind() {
            NodeKind::File { source: FileSource::Inline(index), .. } => Some(tree.inline(index)),
            NodeKind::File { source: FileSource::Slot(_), .. } => Some(&[]),
            _ => None,
        }
    }
}

impl Contents for TreeContents {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(self)
    }

    fn shown(&self, file: FileRef) -> String {
        self.trees.get(file.tree.index()).map_or(String::new(), |tree| tree.path(file.node).to_string())
    }
}

impl FileReader for &TreeContents {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let tree = self.trees.get(file.tree.index());
        let kind = tree.map(|tree| tree.node(tree.resolve(file.node)).kind());
        if let (Some(bytes), Some(NodeKind::File { size, .. })) = (self.bytes(file), kind) {
            if crate::to_u64(bytes.len()) != size {
                let what = format!("has {} bytes in the tree, but its length is {size}", bytes.len());
                let explanation =
                    Explanation::new(self.shown(file), what, "give `TreeWriter::file` their number");
                return Err(ContentsError::internal(explanation));
            }
            return Ok(FileBytes::Memory(bytes));
        }
        Err(match kind {
            Some(NodeKind::File { .. }) => ContentsError::internal(Explanation::new(
                self.shown(file),
                "its bytes are not in the tree",
                "implement `Contents` for files of other sources",
            )),
            _ => ContentsError::no_such_file(file),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, Name, NodeId, Permissions, Timestamp, TreeId, TreeWriter};

    #[test]
    fn a_stream_is_read_from_offsets_that_ascend() {
        let mut stream = Forward::new(&b"0123456789"[..]);
        let mut buffer = [0; 3];
        assert_eq!((stream.read_at(&mut buffer, 2).unwrap(), &buffer), (3, b"234"));
        assert_eq!((stream.read_at(&mut buffer, 5).unwrap(), &buffer), (3, b"567"));
        assert_eq!(stream.read_at(&mut buffer, 9).unwrap(), 1);
        assert_eq!(stream.read_at(&mut buffer, 10).unwrap(), 0);
        assert_eq!(stream.read_at(&mut buffer, 99).unwrap(), 0);
        let error = stream.read_at(&mut buffer, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_stream_that_was_interrupted_while_skipping_goes_on() {
        struct Interrupted<'b>(&'b [u8], bool);
        impl io::Read for Interrupted<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(buffer) }
            }
        }
        let mut stream = Forward::new(Interrupted(b"0123", true));
        assert_eq!(stream.read_at(&mut [0; 1], 0).unwrap(), 1);
        let mut buffer = [0; 1];
        // The byte that is skipped is read again after the interruption; for the byte asked for, the caller does that.
        assert_eq!(stream.read_at(&mut buffer, 2).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert_eq!((stream.read_at(&mut buffer, 2).unwrap(), &buffer), (1, b"2"));
    }

    #[test]
    fn files_of_other_contents_are_shown_by_their_numbers() {
        struct Other;
        impl Contents for Other {
            fn reader(&self) -> Box<dyn FileReader + '_> {
                unreachable!("names are shown without reading")
            }
        }
        let file = FileRef { tree: TreeId::from_index(2).unwrap(), node: NodeId::from_index(7).unwrap() };
        assert_eq!(Other.shown(file), "file 7 of tree 2");
    }

    #[test]
    fn a_stream_that_claims_too_much_is_an_error_also_while_skipping() {
        struct Claims(usize);
        impl io::Read for Claims {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                Ok(buffer.len().saturating_add(self.0))
            }
        }
        for more in [1, 1 << 20, usize::MAX] {
            for offset in [0, 1, 5, 5000] {
                let error = Forward::new(Claims(more)).read_at(&mut [0; 3], offset).unwrap_err();
                assert!(error.to_string().contains("more bytes than it was asked for"), "{offset}: {error}");
            }
        }
    }

    #[test]
    fn a_tree_has_its_inline_files_and_no_others() {
        let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
        let id = writer.metadata(&metadata);
        let inline = writer.inline(b"hi".to_vec());
        let file = writer.file(Name::new(b"a").unwrap(), id, 2, inline).unwrap();
        let link = writer.hard_link(Name::new(b"b").unwrap(), file).unwrap();
        let other = writer.file(Name::new(b"c").unwrap(), id, 2, FileSource::External(7)).unwrap();
        let tree = writer.finish();
        let contents = TreeContents::new(&tree);
        let mut reader = contents.reader();
        for node in [file, link] {
            assert!(matches!(reader.open(node.into()), Ok(FileBytes::Memory(b"hi"))));
        }
        for node in [NodeId::ROOT, other] {
            assert!(reader.open(node.into()).unwrap_err().is_internal());
        }
        assert!(!ContentsError::new(Explanation::new("/a", "is gone", "")).is_internal());
        assert_eq!(contents.shown(link.into()), "/b");
        let said = reader.open(other.into()).unwrap_err().to_string();
        assert_eq!(
            said,
            "/c: its bytes are not in the tree; implement `Contents` for files of other sources"
        );
    }

    #[test]
    fn inline_bytes_have_the_length_of_their_node() {
        let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        for (size, says) in
            [(1, Some("/a: has 2 bytes in the tree, but its length is 1")), (2, None), (3, Some(""))]
        {
            let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
            let id = writer.metadata(&metadata);
            let inline = writer.inline(b"hi".to_vec());
            let file = writer.file(Name::new(b"a").unwrap(), id, size, inline).unwrap();
            let contents = TreeContents::new(&writer.finish());
            let mut reader = contents.reader();
            let opened = reader.open(file.into());
            assert_eq!(opened.is_err(), says.is_some(), "{size}");
            assert!(opened.err().is_none_or(|error| error.to_string().starts_with(says.unwrap_or_default())));
        }
    }
}
