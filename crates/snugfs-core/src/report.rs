//! The report: an image and its contents, as JSON for programs. `docs/report.md` describes the keys. Two builds of one plan
//! give the same report, except `seconds`.

use data_encoding::HEXLOWER;
use std::time::Duration;

use closure_registration::{Closure, PathInfo};
use ext4_layout::{Layout, Likeness, Summary};
use image_assembly::Written;
use image_tree::{FileTree, NodeKind, PieceSource, Uuid, to_u64};
use serde::Serialize;
use serde_json::{Map, Value};
use snugfs_plan::FilesystemPlan;

use crate::Failure;
use crate::container;
use crate::disk_report::DiskReport;
use crate::observer::Stage;
use crate::parts::{Deduplicated, Replaced};
use crate::prepare::Prepared;
use crate::problem::Problem;
use crate::variants::VariantsSummary;
use crate::write::WriteOptions;

/// The version of the JSON. Fields may be added within a version.
const VERSION: u32 = 1;

/// The report of an image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Report {
    version: u32,
    program: Program,
    /// Only if the caller provides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanReport>,
    /// The image as a file.
    pub image: Image,
    /// The root file system.
    pub filesystem: Filesystem,
    /// The length in \[bytes\] of the hash tree after the root file system; only if it has one and the image is not a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_tree_bytes: Option<u64>,
    /// The root hash of the root file system; only if it has a hash tree, and the image was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_hash: Option<String>,
    /// The contents of the root file system.
    pub contents: Contents,
    /// Blocks per kind of metadata, sorted by name.
    pub overhead: Map<String, Value>,
    /// The length of the root file system in \[bytes\].
    #[serde(skip)]
    pub root_bytes: u64,
    /// Blocks of the contents of files.
    #[serde(skip)]
    pub file_blocks: u64,
    /// The size of each store path, sorted by path; empty without a closure.
    pub store_paths: Vec<StorePathReport>,
    /// Only if the image is a disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskReport>,
    /// Only if the plan has variants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variants: Option<VariantsReport>,
    /// Warnings, one line each.
    pub warnings: Vec<String>,
    /// Only if the image was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<Map<String, Value>>,
}

/// The program, and the libraries whose versions can change the bytes of an image.
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
    /// Digest of the plan's file, in hexadecimal.
    sha256: String,
}

/// The variants of the image.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct VariantsReport {
    /// How many.
    pub images: u64,
    /// Their length together in \[bytes\].
    pub bytes: u64,
}

/// A store path.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StorePathReport {
    /// The whole path in the image.
    pub path: String,
    /// In \[bytes\] of whole blocks.
    pub bytes: u64,
}

/// The image as a file.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Length in \[bytes\], before compression.
    pub bytes: u64,
    /// Length in \[bytes\] after compression; null if not compressed.
    pub compressed_bytes: Option<u64>,
    /// The format of the compression; only if compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<&'static str>,
    /// The container around the image, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    /// Length in \[bytes\] of the written file; only for a container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    /// Digest of the written file (after compression), in hexadecimal; null if nothing was written.
    pub sha256: Option<String>,
    /// Digest of the uncompressed image, in hexadecimal; only if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_sha256: Option<String>,
}

/// The file system in the image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Filesystem {
    /// In \[bytes\].
    pub block_size: u32,
    /// Length of the file system.
    pub blocks: u64,
    /// Free blocks.
    pub free_blocks: u64,
    /// All inodes.
    pub inodes: u64,
    /// Free inodes.
    pub free_inodes: u64,
    /// Block groups.
    pub groups: u64,
    /// Inodes of each block group.
    pub inodes_per_group: u32,
    /// Blocks reserved in each copy of the descriptors for a larger file system.
    pub reserved_gdt_blocks: u64,
    /// Length of the journal.
    pub journal_blocks: u64,
    /// Names of the features, as in e2fsprogs.
    pub features: Vec<&'static str>,
    /// In its text form.
    pub uuid: String,
    /// The label.
    pub label: String,
    /// Only with `layoutLike`.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout_like: Option<LikenessReport>,
}

/// What of an earlier image was kept.
#[derive(Clone, Copy, Debug, Serialize)]
struct LikenessReport {
    /// Whether places were kept; otherwise the image was laid out anew.
    kept: bool,
    /// The number of inodes that have other blocks; only if places were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<u64>,
}

/// The contents of the image. The root and `/lost+found` count as directories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Contents {
    /// Regular files. A file with several names counts once.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Names beyond the first of their inodes.
    pub hard_links: u64,
    /// Devices, FIFOs and sockets.
    pub others: u64,
    /// Length of all regular files, in \[bytes\].
    pub bytes: u64,
    /// Paths of the closure.
    pub store_paths: u64,
    /// Equal files of the store that became hard links; only if the plan asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicated: Option<Deduplicated>,
    /// Files that were replaced by those of a later tree; only if there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Replaced>,
}

impl Report {
    /// The report before anything is written.
    pub(crate) fn new(prepared: &Prepared<'_>) -> Self {
        let (root, layout) = (&prepared.root.scanned, prepared.root_layout());
        let summary = layout.summary();
        let store_paths = root.closure.as_ref().map_or(0, |closure| closure.paths().len());
        let mut contents = Contents::of(&root.tree, to_u64(store_paths));
        contents.deduplicated = root.deduplicated;
        contents.replaced.clone_from(&root.replaced);
        // A file with more names than an inode can have is several files in the image.
        contents.hard_links = summary.hard_links;
        Self {
            version: VERSION,
            program: Program::this(),
            plan: None,
            image: Image {
                bytes: prepared.bytes(),
                compressed_bytes: None,
                compression: None,
                format: None,
                file_bytes: None,
                sha256: None,
                raw_sha256: None,
            },
            filesystem: Filesystem::new(
                &root.planned.plan.filesystem,
                &summary,
                prepared.root.layout.likeness(),
            ),
            hash_tree_bytes: prepared.appended_bytes(),
            root_hash: root_hash(prepared),
            contents,
            overhead: summary
                .overhead
                .iter()
                .map(|&(kind, blocks)| (kind.to_owned(), blocks.into()))
                .collect(),
            root_bytes: layout.len(),
            file_blocks: summary.file_blocks,
            store_paths: store_path_reports(root.closure.as_ref(), layout),
            disk: prepared.disk.as_ref().map(|disk| DiskReport::new(prepared, disk)),
            variants: None,
            warnings: prepared.warnings.iter().map(Problem::to_string).collect(),
            seconds: None,
        }
    }

    /// Adds warnings.
    pub fn add_warnings(&mut self, warnings: &[Problem]) {
        self.warnings.extend(warnings.iter().map(Problem::to_string));
    }

    /// Adds the variants, with their warnings.
    pub fn set_variants(&mut self, variants: &VariantsSummary) {
        self.variants = Some(VariantsReport { images: variants.images, bytes: variants.bytes });
        self.add_warnings(&variants.warnings);
    }

    /// Adds root hashes, and the GUIDs of partitions that follow from them. They are known after writing.
    pub fn set_root_hashes(&mut self, prepared: &Prepared<'_>) {
        self.root_hash = root_hash(prepared);
        self.disk = prepared.disk.as_ref().map(|disk| DiskReport::new(prepared, disk));
    }

    /// Adds the digest of the plan's file.
    pub fn set_plan(&mut self, sha256: [u8; 32]) {
        self.plan = Some(PlanReport { sha256: HEXLOWER.encode(&sha256) });
    }

    /// Adds the digest of the uncompressed image, if there is one.
    pub fn set_raw_digest(&mut self, digest: Option<[u8; 32]>) {
        self.image.raw_sha256 = digest.map(|digest| HEXLOWER.encode(&digest));
    }

    /// Adds the values that are known after writing.
    pub fn set_written(&mut self, written: &Written, options: &WriteOptions<'_>) {
        let compression = options.compression();
        self.image.format = container::format_name(options.format);
        self.image.file_bytes = self.image.format.map(|_| written.bytes);
        self.image.compressed_bytes = compression.map(|_| written.bytes);
        self.image.compression = compression;
        self.image.sha256 = written.sha256.map(|digest| HEXLOWER.encode(&digest));
    }

    /// Adds the time of each stage.
    pub fn set_times(&mut self, times: &[(Stage, Duration)]) {
        let milliseconds = |time: &Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
        self.seconds = Some(
            times.iter().map(|(stage, time)| (stage.name().to_owned(), milliseconds(time).into())).collect(),
        );
    }

    /// The JSON text, ending in a line feed.
    pub fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| Failure::internal("report", error))
    }
}

/// The root hash of the root file system.
fn root_hash(prepared: &Prepared<'_>) -> Option<String> {
    prepared.root_hash("root").map(|hash| hash.to_string())
}

/// The size of each store path of a file system.
fn store_path_reports(closure: Option<&Closure>, layout: &Layout) -> Vec<StorePathReport> {
    let Some(closure) = closure else { return Vec::new() };
    let path = |(info, bytes): (&PathInfo, u64)| {
        let path = info.path.in_store(closure.store_dir());
        StorePathReport { path: String::from_utf8_lossy(path.as_bytes()).into_owned(), bytes }
    };
    closure.paths().iter().zip(image_explain::store_path_sizes(layout, closure)).map(path).collect()
}

impl Filesystem {
    fn new(plan: &FilesystemPlan, summary: &Summary, likeness: Option<Likeness>) -> Self {
        let layout_like = likeness.map(|likeness| match likeness {
            Likeness::Kept { moved } => LikenessReport { kept: true, moved: Some(moved) },
            Likeness::Anew(_) => LikenessReport { kept: false, moved: None },
        });
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
            uuid: Uuid(plan.uuid).to_string(),
            label: String::from_utf8_lossy(&plan.label).into_owned(),
            layout_like,
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
                    // Sparse files can have any lengths together.
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

#[cfg(test)]
mod tests {
    use image_tree::{Metadata, Name, Permissions, SpecialKind, Timestamp, TreeWriter};

    use super::*;

    fn name(text: &str) -> Name<'_> {
        Name::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn contents_are_counted_by_inode_and_hard_links_separately() {
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
                deduplicated: None,
                replaced: Vec::new(),
            }
        );
    }
}
