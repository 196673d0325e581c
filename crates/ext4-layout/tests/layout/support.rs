//! Trees to lay out, images without an assembler, and two programs that check them: e2fsck and ext4-verify.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ext4_layout::{Layout, Options, Purpose};
use ext4_verify::Unused;
use image_tree::{
    Content, FileSource, FileTree, Metadata, MetadataId, Name, NodeKind, Permissions, PieceSource, Timestamp,
    TreeWriter, Xattr, XattrName,
};

/// The options of plan-v1 without a growth reserve, nothing promised.
pub(crate) fn options() -> Options {
    Options::default()
        .with_sealed(false)
        .with_label_bytes(*b"TEST\0\0\0\0\0\0\0\0\0\0\0\0")
        .with_uuid(*b"snugfs test uuid")
        .with_free_space(0)
        .with_free_inodes(0)
        .with_size(None)
        .with_grow_to(None)
        .with_bytes_per_inode(16384)
        .with_journal_size(None)
        .with_reserved(None)
        .with_timestamp(Timestamp::STORE)
}

/// A tree under construction.
pub(crate) struct Tree {
    pub(crate) writer: TreeWriter,
    pub(crate) plain: MetadataId,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
        let plain = writer.metadata(&metadata);
        Self { writer, plain }
    }

    pub(crate) fn directory(&mut self, name: &str, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.writer.begin_directory(Name::new(name.as_bytes()).unwrap(), self.plain).unwrap();
        fill(self);
        self.writer.end_directory();
        self
    }

    /// A file whose contents nobody reads: holes in the image.
    pub(crate) fn blank(&mut self, name: &str, size: u64) -> &mut Self {
        self.writer
            .file(Name::new(name.as_bytes()).unwrap(), self.plain, size, FileSource::Inline(0))
            .unwrap();
        self
    }

    pub(crate) fn text(&mut self, name: &str, text: &[u8]) -> &mut Self {
        let source = self.writer.inline(text.to_vec());
        self.writer
            .file(Name::new(name.as_bytes()).unwrap(), self.plain, u64::try_from(text.len()).unwrap(), source)
            .unwrap();
        self
    }

    /// An empty file with room for `size` bytes.
    pub(crate) fn slot(&mut self, name: &str, size: u64) -> &mut Self {
        let metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        self.writer.slot(Name::new(name.as_bytes()).unwrap(), &metadata, size).unwrap();
        self
    }

    /// The metadata of a file with an extended attribute of this length. More than 68 bytes need a block.
    pub(crate) fn with_attribute(&mut self, len: usize) -> MetadataId {
        let mut metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        metadata.xattrs = vec![Xattr { name: XattrName::parse(b"user.a").unwrap(), value: vec![b'v'; len] }];
        self.writer.metadata(&metadata)
    }

    /// With lost+found, unless a name that sorts behind it was added already.
    pub(crate) fn lost_found(&mut self) -> &mut Self {
        self.directory("lost+found", |_| {})
    }

    pub(crate) fn finish(self) -> FileTree {
        self.writer.finish()
    }
}

/// Writes an image, files without inline contents as holes, and checks that its pieces leave no gap.
pub(crate) fn assemble(layout: &Layout, path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(layout.len()).unwrap();
    let tree = layout.tree();
    let mut at = 0;
    for piece in layout.pieces() {
        assert_eq!(piece.offset, at, "pieces leave no gap: {piece:?}");
        assert!(piece.len > 0, "no piece is empty: {piece:?}");
        at += piece.len;
        match piece.content {
            Content::Zeros | Content::Unused | Content::FileZeros { .. } => {}
            Content::Metadata => {
                let mut bytes = vec![0; usize::try_from(piece.len).unwrap()];
                layout.generate(&piece, &mut bytes);
                file.write_all_at(&bytes, piece.offset).unwrap();
            }
            Content::File { file: of, offset } => {
                if let NodeKind::File { source: FileSource::Inline(index), .. } = tree.node(of.node).kind() {
                    let bytes = tree.inline(index);
                    let from = usize::try_from(offset).unwrap();
                    let to = from + usize::try_from(piece.len).unwrap();
                    file.write_all_at(bytes.get(from..to).unwrap_or_default(), piece.offset).unwrap();
                }
            }
        }
    }
    assert_eq!(at, layout.len(), "pieces reach to the end");
}

/// A folder for one test's images.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// An image as ext4-verify reads it. Holes are skipped: some images have terabytes of them.
struct ImageFile {
    file: File,
    length: u64,
}

impl ext4_verify::Source for ImageFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn next_data(&self, offset: u64) -> u64 {
        // The call fails where only a hole is left.
        rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)).unwrap_or(self.length)
    }
}

/// Fails unless `e2fsck -fn` and ext4-verify find nothing to report.
pub(crate) fn assert_clean(image: &Path) {
    assert_e2fsck_clean(image);
    let file = File::open(image).unwrap();
    let length = file.metadata().unwrap().len();
    let findings = ext4_verify::check(&ImageFile { file, length }, Unused::Zeros).unwrap();
    assert!(findings.is_empty(), "ext4-verify {}:\n{:#?}", image.display(), findings.problems);
}

/// e2fsck exits with 0 in spite of some errors, so its output must be empty too.
fn assert_e2fsck_clean(image: &Path) {
    let output = Command::new("e2fsck").arg("-fn").arg(image).output();
    let output = output.expect("e2fsck runs; install e2fsprogs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let unexpected: Vec<&str> = text
        .lines()
        .filter(|line| {
            !line.starts_with("e2fsck 1.") && !line.starts_with("Pass ") && !line.contains(" files (")
        })
        .collect();
    assert!(output.status.success() && unexpected.is_empty(), "e2fsck -fn {}:\n{text}", image.display());
}

/// A number of `dumpe2fs -h`.
pub(crate) fn dumped(image: &Path, key: &str) -> u64 {
    let output =
        Command::new("dumpe2fs").arg("-h").arg(image).output().expect("dumpe2fs runs; install e2fsprogs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line =
        text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("{key} in\n{text}"));
    line.trim_start_matches(':').trim().parse().unwrap()
}

/// What a command of debugfs prints.
pub(crate) fn debugfs(image: &Path, request: &str) -> String {
    let output = Command::new("debugfs").args(["-R", request]).arg(image).output().expect("debugfs runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lays out, writes, and has it judged; gives the image's path for more.
pub(crate) fn checked(tree: &FileTree, options: &Options, folder: &Path) -> PathBuf {
    checked_layout(&Layout::plan(tree, options).unwrap(), options, folder)
}

/// The same for a layout.
pub(crate) fn checked_layout(layout: &Layout, options: &Options, folder: &Path) -> PathBuf {
    let image = folder.join("image");
    assemble(layout, &image);
    assert_clean(&image);
    let summary = layout.summary();
    let free = options.free_space.div_ceil(4096);
    assert!(summary.free_blocks >= free, "{} free blocks, {free} promised", summary.free_blocks);
    assert!(summary.free_inodes >= options.free_inodes);
    assert_eq!(dumped(&image, "Free blocks"), summary.free_blocks);
    assert_eq!(dumped(&image, "Block count"), summary.blocks);
    assert_eq!(dumped(&image, "Free inodes"), summary.free_inodes);
    let total: u64 = summary.overhead.iter().map(|(_, blocks)| blocks).sum();
    assert_eq!(
        total + summary.file_blocks + summary.free_blocks,
        summary.blocks,
        "every block is accounted for"
    );
    assert_areas(layout);
    std::io::stdout().flush().unwrap();
    image
}

/// Every block is for one purpose, and the sums are those of the summary.
fn assert_areas(layout: &Layout) {
    let summary = layout.summary();
    let areas = layout.areas();
    let end = areas.iter().fold(0, |at, area| {
        assert_eq!(area.start, at, "areas leave no gap: {area:?}");
        at + area.blocks
    });
    assert_eq!(end * 4096, layout.len());
    let sum =
        |purpose| areas.iter().filter(|area| area.purpose == purpose).map(|area| area.blocks).sum::<u64>();
    let kinds = [
        ("superblocks", Purpose::Superblock),
        ("groupDescriptors", Purpose::GroupDescriptors),
        ("growthReserve", Purpose::GrowthReserve),
        ("bitmaps", Purpose::Bitmaps),
        ("inodeTables", Purpose::InodeTables),
        ("journal", Purpose::Journal),
    ];
    for (kind, purpose) in kinds {
        assert!(summary.overhead.contains(&(kind, sum(purpose))), "{kind}: {:?}", summary.overhead);
    }
    assert_eq!(sum(Purpose::Free), summary.free_blocks);
    assert_eq!(
        layout.blocks_by_node().iter().sum::<u64>(),
        sum(Purpose::Directories) + sum(Purpose::Files),
        "blocks of all inodes are those of directories and files"
    );
}
