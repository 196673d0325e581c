//! The report: what an image is and holds, as JSON for programs. Key for key that of the plan's documentation; but
//! for `seconds`, two builds of one plan report the same.

use std::fmt::Write;
use std::time::Duration;

use build_plan::{FilesystemPlan, Format};
use closure_registration::{Closure, PathInfo};
use ext4_layout::{Layout, Summary};
use image_assembly::Written;
use image_tree::{FileTree, NodeKind, PieceSource};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::container;
use crate::deduplicate::Deduplicated;
use crate::disk_report::DiskReport;
use crate::exit::{Exit, Failure};
use crate::progress::Stage;

/// The version of this form; fields may be added within a version.
const VERSION: u32 = 1;

/// All that is known of an image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    version: u32,
    program: Program,
    /// Only where the plan was read for this image.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanReport>,
    pub(crate) image: Image,
    pub(crate) filesystem: Filesystem,
    pub(crate) contents: Contents,
    /// Blocks a kind of metadata, in the order of their names.
    pub(crate) overhead: Map<String, Value>,
    /// The length of the root file system in \[bytes\].
    #[serde(skip)]
    pub(crate) root_bytes: u64,
    /// Blocks of the contents of files.
    #[serde(skip)]
    pub(crate) file_blocks: u64,
    /// What each store path takes itself, sorted by path; empty without a closure.
    store_paths: Vec<StorePathReport>,
    /// Only where the image is a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk: Option<DiskReport>,
    pub(crate) warnings: Vec<String>,
    /// Only where an image was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Map<String, Value>>,
}

/// The program and the libraries whose versions decide about bytes of an image.
#[derive(Clone, Copy, Debug, Serialize)]
struct Program {
    snugfs: &'static str,
    /// Compresses the image.
    zstd: &'static str,
    /// Writes Nix's database.
    sqlite: &'static str,
}

impl Program {
    fn this() -> Self {
        Self {
            snugfs: env!("CARGO_PKG_VERSION"),
            zstd: image_assembly::zstd_version(),
            sqlite: nix_database::sqlite_version(),
        }
    }
}

/// The plan as a file.
#[derive(Clone, Debug, Serialize)]
struct PlanReport {
    /// Of all its bytes, in hexadecimal.
    sha256: String,
}

/// A store path.
#[derive(Clone, Debug, Serialize)]
struct StorePathReport {
    path: String,
    /// In \[bytes\] of whole blocks.
    bytes: u64,
}

/// The image as a file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Image {
    /// Length in \[bytes\], before compression.
    pub(crate) bytes: u64,
    /// Length in \[bytes\] after compression; null where nothing was compressed.
    pub(crate) compressed_bytes: Option<u64>,
    /// The container around the image, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<&'static str>,
    /// Length in \[bytes\] of what was written, only of a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file_bytes: Option<u64>,
    /// Digest of the bytes that were written (the compressed ones, if any), in hexadecimal; null where nothing was.
    pub(crate) sha256: Option<String>,
    /// Digest of the image before compression, in hexadecimal; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raw_sha256: Option<String>,
}

/// The file system in the image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filesystem {
    pub(crate) block_size: u32,
    pub(crate) blocks: u64,
    pub(crate) free_blocks: u64,
    pub(crate) inodes: u64,
    pub(crate) free_inodes: u64,
    pub(crate) groups: u64,
    pub(crate) inodes_per_group: u32,
    pub(crate) reserved_gdt_blocks: u64,
    pub(crate) journal_blocks: u64,
    pub(crate) features: Vec<&'static str>,
    pub(crate) uuid: String,
    pub(crate) label: String,
}

/// What the image holds. The root and `/lost+found` are counted as the directories that they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contents {
    /// Regular files, each once however many names it has.
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) symlinks: u64,
    /// Names beyond the first of their inodes.
    pub(crate) hard_links: u64,
    /// Devices, FIFOs and sockets.
    pub(crate) others: u64,
    /// Of all regular files, in \[bytes\].
    pub(crate) bytes: u64,
    /// Paths of the closure.
    pub(crate) store_paths: u64,
    /// Equal files of the store that became hard links, only where the plan asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deduplicated: Option<Deduplicated>,
}

impl Report {
    /// What is known before anything is written.
    pub(crate) fn new(
        plan: &FilesystemPlan,
        layout: &Layout,
        mut contents: Contents,
        warnings: &[String],
    ) -> Self {
        let summary = layout.summary();
        // A file with more names than an inode can have is several in the image.
        contents.hard_links = summary.hard_links;
        Self {
            version: VERSION,
            program: Program::this(),
            plan: None,
            image: Image {
                bytes: layout.len(),
                compressed_bytes: None,
                format: None,
                file_bytes: None,
                sha256: None,
                raw_sha256: None,
            },
            filesystem: Filesystem::new(plan, &summary),
            contents,
            overhead: summary
                .overhead
                .iter()
                .map(|&(kind, blocks)| (kind.to_owned(), blocks.into()))
                .collect(),
            root_bytes: layout.len(),
            file_blocks: summary.file_blocks,
            store_paths: Vec::new(),
            disk: None,
            warnings: warnings.iter().chain(&summary.warnings).cloned().collect(),
            seconds: None,
        }
    }

    /// Adds what each store path of the root takes.
    pub(crate) fn set_store_paths(&mut self, closure: Option<&Closure>, layout: &Layout) {
        let Some(closure) = closure else { return };
        let path = |(info, bytes): (&PathInfo, u64)| {
            let path = info.path.in_store(closure.store_dir());
            StorePathReport { path: String::from_utf8_lossy(path.as_bytes()).into_owned(), bytes }
        };
        let sizes = image_explain::store_path_sizes(layout, closure);
        self.store_paths = closure.paths().iter().zip(sizes).map(path).collect();
    }

    /// Adds the disk around the file system, and its length.
    pub(crate) fn set_disk(&mut self, bytes: u64, disk: DiskReport) {
        self.image.bytes = bytes;
        self.disk = Some(disk);
    }

    /// Adds the digest of the plan's file.
    pub(crate) fn set_plan(&mut self, sha256: [u8; 32]) {
        self.plan = Some(PlanReport { sha256: hexadecimal(sha256) });
    }

    /// Adds the digest of the image before compression, if there is one.
    pub(crate) fn set_raw_digest(&mut self, digest: Option<[u8; 32]>) {
        self.image.raw_sha256 = digest.map(hexadecimal);
    }

    /// Adds what is known since the image was written.
    pub(crate) fn set_written(&mut self, written: &Written, compressed: bool, format: Format) {
        self.image.format = container::name(format);
        self.image.file_bytes = self.image.format.map(|_| written.bytes);
        self.image.compressed_bytes = compressed.then_some(written.bytes);
        self.image.sha256 = written.sha256.map(hexadecimal);
    }

    /// Adds how long each stage took.
    pub(crate) fn set_times(&mut self, times: &[(Stage, Duration)]) {
        let milliseconds = |time: &Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
        self.seconds = Some(
            times.iter().map(|(stage, time)| (stage.name().to_owned(), milliseconds(time).into())).collect(),
        );
    }

    /// The JSON text, ending in a line feed.
    pub(crate) fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| Failure::new(Exit::Bug, format!("report: {error}; please report it")))
    }
}

impl Filesystem {
    fn new(plan: &FilesystemPlan, summary: &Summary) -> Self {
        Self {
            block_size: summary.block_size,
            blocks: summary.blocks,
            free_blocks: summary.free_blocks,
            inodes: summary.inodes,
            free_inodes: summary.free_inodes,
            groups: summary.groups.into(),
            inodes_per_group: summary.inodes_per_group,
            reserved_gdt_blocks: summary.reserved_gdt_blocks,
            journal_blocks: summary.journal_blocks,
            features: summary.features.clone(),
            uuid: uuid_text(plan.uuid),
            label: String::from_utf8_lossy(&plan.label).into_owned(),
        }
    }
}

impl Contents {
    /// Counts the entries of a tree.
    pub(crate) fn of(tree: &FileTree, store_paths: u64) -> Self {
        let mut contents = Self { store_paths, ..Self::default() };
        for (_, node) in tree.iter() {
            match node.kind() {
                NodeKind::Directory { .. } => contents.directories += 1,
                NodeKind::File { size, .. } => {
                    contents.files += 1;
                    contents.bytes = contents.bytes.saturating_add(size);
                }
                NodeKind::HardLink { .. } => contents.hard_links += 1,
                NodeKind::Symlink { .. } => contents.symlinks += 1,
                NodeKind::Special(_) => contents.others += 1,
            }
        }
        contents
    }
}

fn hexadecimal(digest: [u8; 32]) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// 16 bytes as `8-4-4-4-12` hexadecimal digits.
pub(crate) fn uuid_text(uuid: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use image_tree::{Metadata, Name, Permissions, SpecialKind, Timestamp, TreeWriter};

    use super::*;

    fn name(text: &str) -> Name<'_> {
        Name::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn contents_are_counted_by_inode_and_the_other_names_apart() {
        let meta = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        let mut writer = TreeWriter::new(meta.clone(), Vec::new());
        let meta = writer.metadata(&meta);
        let bytes = writer.inline(b"seven b".to_vec());
        writer.begin_directory(name("a"), meta).unwrap();
        let file = writer.file(name("b"), meta, 7, bytes).unwrap();
        writer.hard_link(name("c"), file).unwrap();
        writer.symlink(name("d"), meta, b"b").unwrap();
        writer.special(name("e"), meta, SpecialKind::Fifo).unwrap();
        assert_eq!(
            Contents::of(&writer.finish(), 3),
            Contents {
                files: 1,
                directories: 2,
                symlinks: 1,
                hard_links: 1,
                others: 1,
                bytes: 7,
                store_paths: 3,
                deduplicated: None
            }
        );
    }

    #[test]
    fn a_uuid_is_shown_in_its_text_form() {
        let mut uuid = [0x44; 16];
        uuid[8] = 0x0a;
        assert_eq!(uuid_text(uuid), "44444444-4444-4444-0a44-444444444444");
    }
}
