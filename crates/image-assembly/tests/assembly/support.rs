//! Images of any pieces with real files, and a naive assembler to compare with.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use file_scanner::ScannedFiles;
use image_assembly::{AssemblyError, Compression, Framing, Options, Target, Writer, Written};
use image_tree::{
    Content, FileSource, FileStamp, FileTree, ImagePath, Metadata, Name, NodeId, Origin, Permissions, Piece,
    PieceSource, Timestamp, TreeWriter,
};

pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const THREADS: [usize; 4] = [1, 2, 4, 8];

/// Bytes that differ everywhere and hardly compress.
pub(crate) fn noise(seed: u64, len: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = (0..len.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(usize::try_from(len).unwrap()).collect()
}

/// Files on the disk and one in the tree.
pub(crate) struct Files {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) tree: FileTree,
    pub(crate) bytes: Vec<Vec<u8>>,
}

impl Files {
    /// A file of each length; the last is inline.
    pub(crate) fn new(lens: &[u64]) -> Self {
        Self::within(&std::env::temp_dir(), lens)
    }

    pub(crate) fn within(parent: &Path, lens: &[u64]) -> Self {
        Self::of(parent, lens.iter().zip(1..).map(|(&len, seed)| noise(seed, len)).collect())
    }

    /// Files with these bytes; the last is inline.
    pub(crate) fn of(parent: &Path, contents: Vec<Vec<u8>>) -> Self {
        let folder = tempfile::tempdir_in(parent).unwrap();
        let origin = Origin {
            source: folder.path().to_path_buf(),
            target: ImagePath::root(),
            folder: None,
            container: None,
        };
        let owner = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        let mut writer = TreeWriter::new(owner.clone(), vec![origin]);
        let metadata = writer.metadata(&owner);
        for (index, bytes) in contents.iter().enumerate() {
            let name = format!("file{index:04}");
            let source = if index + 1 == contents.len() {
                writer.inline(bytes.clone())
            } else {
                let path = folder.path().join(&name);
                fs::write(&path, bytes).unwrap();
                let stat = fs::metadata(&path).unwrap();
                let stamp = FileStamp::of_mtime(stat.mtime(), u32::try_from(stat.mtime_nsec()).unwrap());
                FileSource::Scanned { origin: writer.origin(0).unwrap(), stamp }
            };
            let len = u64::try_from(bytes.len()).unwrap();
            writer.file(Name::new(name.as_bytes()).unwrap(), metadata, len, source).unwrap();
        }
        Self { folder, tree: writer.finish(), bytes: contents }
    }

    pub(crate) fn path(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("file{index:04}"))
    }

    pub(crate) fn node(index: usize) -> NodeId {
        NodeId::from_index(index + 1).unwrap()
    }
}

/// The kind of a piece of an [`Image`]. Lengths and offsets are in \[bytes\].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Zeros(u64),
    Metadata(u64),
    File { index: usize, from: u64, len: u64 },
}

impl Part {
    pub(crate) fn len(self) -> u64 {
        match self {
            Self::Zeros(len) | Self::Metadata(len) | Self::File { len, .. } => len,
        }
    }
}

/// An image with given parts.
pub(crate) struct Image(pub(crate) Vec<Part>);

impl PieceSource for Image {
    fn len(&self) -> u64 {
        self.0.iter().map(|part| part.len()).sum()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let mut offset = 0;
        Box::new(self.0.iter().map(move |&part| {
            let content = match part {
                Part::Zeros(_) => Content::Zeros,
                Part::Metadata(_) => Content::Metadata,
                Part::File { index, from, .. } => {
                    Content::File { file: Files::node(index).into(), offset: from }
                }
            };
            let piece = Piece { offset, len: part.len(), content };
            offset += part.len();
            piece
        }))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        assert_eq!(u64::try_from(buffer.len()).unwrap(), piece.len);
        assert!(buffer.iter().all(|&byte| byte == 0), "a metadata buffer comes zeroed");
        // Its second half stays zero. `generate` need not write zeros.
        let half = piece.len.div_ceil(2);
        buffer[..usize::try_from(half).unwrap()].copy_from_slice(&noise(piece.offset + 1, half));
    }
}

impl Image {
    /// A whole file, filled up to a block.
    pub(crate) fn of_files(files: &Files) -> Self {
        let mut parts = vec![Part::Metadata(8 * KIB)];
        for (index, bytes) in files.bytes.iter().enumerate() {
            let len = u64::try_from(bytes.len()).unwrap();
            parts.push(Part::File { index, from: 0, len });
            let end = len.next_multiple_of(4096);
            if end > len {
                parts.push(Part::Zeros(end - len));
            }
        }
        parts.push(Part::Metadata(4 * KIB));
        Self(parts)
    }

    /// All bytes.
    pub(crate) fn naive(&self, files: &Files) -> Vec<u8> {
        let mut image = Vec::new();
        for (part, piece) in self.0.iter().zip(self.pieces()) {
            let len = usize::try_from(part.len()).unwrap();
            match *part {
                Part::Zeros(_) => image.resize(image.len() + len, 0),
                Part::Metadata(_) => {
                    let mut bytes = vec![0; len];
                    self.generate(&piece, &mut bytes);
                    image.extend(bytes);
                }
                Part::File { index, from, .. } => {
                    let from = usize::try_from(from).unwrap();
                    image.extend_from_slice(&files.bytes[index][from..from + len]);
                }
            }
        }
        image
    }

    /// Writes the image and checks that its progress adds up.
    pub(crate) fn write(
        &self,
        files: &Files,
        target: Target<'_>,
        options: &Options,
    ) -> Result<Written, AssemblyError> {
        let done = AtomicU64::new(0);
        let progress = |bytes| {
            done.fetch_add(bytes, Ordering::Relaxed);
        };
        let scanned = ScannedFiles::new(&files.tree);
        let written = Writer::new(self, &scanned).options(*options).progress(&progress).write(target)?;
        assert_eq!(done.into_inner(), self.len());
        Ok(written)
    }
}

pub(crate) fn options(threads: usize, zstd_level: Option<i32>) -> Options {
    Options {
        threads: NonZeroUsize::new(threads).unwrap(),
        readers: NonZeroUsize::new(32).unwrap(),
        compression: zstd_level.map(|level| Compression::Zstd { level, framing: Framing::Single }),
        sync: false,
        read_back: true,
        sector: None,
        digest: true,
    }
}

/// The same with another compression.
pub(crate) fn compressed(threads: usize, compression: Compression) -> Options {
    Options { compression: Some(compression), ..options(threads, None) }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs a tool that a test needs.
pub(crate) fn run(command: &str, arguments: &[&str]) -> String {
    let hint = "these tests need root, mount, unshare, losetup, mkfs.xfs and filefrag";
    let output = std::process::Command::new(command)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{command}: {error}; {hint}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command} {arguments:?}: {errors}; {hint}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A file system for one test.
pub(crate) struct Mounted(pub(crate) tempfile::TempDir);

impl Mounted {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        run("mount", &[arguments, &[folder.path().to_str().unwrap()]].concat());
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &[self.path().to_str().unwrap()]);
    }
}
