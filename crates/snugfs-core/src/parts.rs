//! The parts of a plan and their scanned sources: ext4 file systems, folders for FAT, single files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use closure_registration::Closure;
use disk_layout::SwapArea;
use ext4_layout::Layout;
use fat_layout::FatLayout;
use file_scanner::{InTree, InlineFile, Scan, ScanOptions, SourceId, Sources, StoreSource};
use image_tree::{
    FileRef, FileTree, ImagePath, NodeId, NodeKind, Permissions, SectorSize, Timestamp, TreeId,
};
use serde::Serialize;
use snugfs_plan::{
    Compatibility, Entry, EntryKind, FatBits, FatPlan, Location, PartitionContent, PartitionPlan, Plan,
    SwapPlan, TreeKind, TreePlan, VolumePlan, VolumeRef,
};

use crate::boot::{self, Added, BootCode};
use crate::database;
use crate::failure::{Failure, FailureKind};
use crate::fields::{self, Scanned};
use crate::fstab;
use crate::layout_record::{self, Like};
use crate::observer::Observer;
use crate::own_outputs::OwnOutputs;
use crate::problem::Problem;
use crate::selinux;
use crate::shared::SharedSources;
use crate::verity::{self, HashText, VerityTree};

/// The block size of file systems, in \[bytes\].
const BLOCK: u64 = 4096;

/// An ext4 file system in a plan, with its place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedVolume<'p> {
    /// Its part of the plan.
    pub plan: &'p VolumePlan,
    /// Its place in the plan: `plan`, or the content of a partition. Its fields are below this place.
    pub at: Location,
    /// Its partition, if it has one.
    partition: Option<Partition>,
}

/// A partition in a plan.
#[derive(Clone, Debug)]
struct Partition {
    /// Its place in the list, from 0.
    index: usize,
    at: Location,
    /// In \[bytes\].
    size: Option<u64>,
}

impl<'p> PlannedVolume<'p> {
    fn of_partition(plan: &'p VolumePlan, index: usize, size: Option<u64>) -> Self {
        let at = partition_at(index);
        Self { plan, at: at.key("content"), partition: Some(Partition { index, at, size }) }
    }

    /// Sets the length of its partition in \[bytes\], if that depends on others.
    pub(crate) fn set_partition_size(&mut self, bytes: u64) {
        if let Some(partition) = &mut self.partition {
            partition.size = Some(bytes);
        }
    }

    /// The root of a plan.
    pub(crate) fn root(plan: &'p Plan) -> Self {
        let is_root = |(_, partition): &(usize, &PartitionPlan)| partition.content == PartitionContent::Root;
        let partition = partitions(plan).find(is_root);
        let partition = partition.map(|(index, partition)| Partition {
            index,
            at: partition_at(index),
            size: partition.size,
        });
        Self { plan: &plan.root, at: Location::plan(), partition }
    }

    /// The exact size of the file system: its own, or that of its partition unless it is sealed.
    fn size(&self) -> Option<u64> {
        if self.plan.filesystem.sealed {
            return None;
        }
        let of_partition =
            self.partition.as_ref().and_then(|partition| partition.size).map(|size| size - size % BLOCK);
        self.plan.filesystem.size.or(of_partition)
    }

    /// The plan's options of the file system.
    #[must_use]
    pub fn layout_options(&self) -> ext4_layout::Options {
        let plan = &self.plan.filesystem;
        let mut label = [0; 16];
        for (to, from) in label.iter_mut().zip(&plan.label) {
            *to = *from;
        }
        ext4_layout::Options::default()
            .with_sealed(plan.sealed)
            .with_compatibility(match plan.compatibility {
                Compatibility::Current => ext4_layout::Compatibility::Current,
                Compatibility::Legacy => ext4_layout::Compatibility::Legacy,
            })
            .with_label_bytes(label)
            .with_uuid(plan.uuid)
            .with_free_space(plan.free_space)
            .with_free_inodes(plan.free_inodes)
            .with_size(self.size())
            .with_grow_to(plan.grow_to)
            .with_bytes_per_inode(plan.bytes_per_inode)
            .with_journal_size(plan.journal_size)
            .with_reserved(plan.reserved)
            .with_timestamp(plan.timestamp)
    }

    /// Its name in the plan.
    pub(crate) fn reference(&self) -> VolumeRef {
        match &self.partition {
            Some(partition) if self.at != Location::plan() => VolumeRef::Partition(partition.index),
            _ => VolumeRef::Root,
        }
    }

    /// The number of its partition, from 1.
    pub(crate) fn partition_number(&self) -> Option<u32> {
        self.partition.as_ref().and_then(|partition| u32::try_from(partition.index + 1).ok())
    }

    /// What of an earlier image it keeps.
    fn like(&self) -> Option<Like<'p>> {
        let at = self.at.key("filesystem").key("layoutLike");
        let path = self.plan.filesystem.layout_like.as_deref()?;
        Some(Like { path, at, slack: self.plan.filesystem.layout_slack })
    }

    /// Lays out the file system. Also returns a warning if it does not follow an earlier image.
    pub(crate) fn lay_out(
        &self,
        tree: &FileTree,
        closure: Option<&Closure>,
    ) -> Result<(Layout, Option<Problem>), Failure> {
        // If the partition is too small, its size is the field to change.
        let of_partition = match &self.partition {
            Some(Partition { at, size: Some(_), .. }) if self.plan.filesystem.size.is_none() => {
                Some(at.key("size"))
            }
            _ => None,
        };
        let failed = |error| fields::layout_failure(&error, self.plan, &self.at, of_partition.as_ref());
        let options = self.layout_options();
        let Some(like) = self.like() else {
            return Ok((Layout::plan(tree, &options).map_err(failed)?, None));
        };
        let store = self.plan.closure.as_ref().map(|closure| closure.place.as_bytes());
        // A path in the root has only one slash.
        let store = store.map(|place| place.strip_suffix(b"/").unwrap_or(place));
        let previous = like.previous(self.partition_number(), tree, closure.zip(store))?;
        let layout = Layout::plan_like(tree, &options, &previous).map_err(failed)?;
        let warning = layout_record::warning(&layout, &like.at, like.slack);
        Ok((layout, warning))
    }
}

/// All ext4 file systems of a plan: the root first, then the others in the order of their partitions.
pub fn planned_volumes(plan: &Plan) -> impl Iterator<Item = PlannedVolume<'_>> {
    let others = partitions(plan).filter_map(|(index, partition)| match &partition.content {
        PartitionContent::Ext4(volume) => Some(PlannedVolume::of_partition(volume, index, partition.size)),
        _ => None,
    });
    std::iter::once(PlannedVolume::root(plan)).chain(others)
}

/// All single files of a plan's disk, with their places: contents of raw partitions, entries of FAT, then blobs. Their paths are
/// in the field `source` at these places.
pub fn planned_files(plan: &Plan) -> impl Iterator<Item = (Location, &Path)> {
    let raw = partitions(plan).filter_map(|(index, partition)| match &partition.content {
        PartitionContent::Raw(source) => Some((partition_at(index).key("content"), source.as_path())),
        _ => None,
    });
    let fat = partitions(plan).filter_map(|(index, partition)| match &partition.content {
        PartitionContent::Fat(fat) => Some((partition_at(index).key("content").key("entries"), fat)),
        _ => None,
    });
    let fat = fat.flat_map(|(at, fat)| {
        fat.entries.iter().filter_map(move |(path, entry)| match &entry.kind {
            EntryKind::Source(source) => {
                Some((at.key(String::from_utf8_lossy(path.as_bytes())), source.as_path()))
            }
            _ => None,
        })
    });
    raw.chain(fat).chain(blobs(plan).map(|(at, _, source)| (at, source)))
}

pub(crate) fn partitions(plan: &Plan) -> impl Iterator<Item = (usize, &PartitionPlan)> {
    plan.disk.iter().flat_map(|disk| disk.partitions.iter().enumerate())
}

pub(crate) fn partition_at(index: usize) -> Location {
    Location::plan().key("disk").key("partitions").index(index)
}

/// The place, the offset and the source of each blob.
pub(crate) fn blobs(plan: &Plan) -> impl Iterator<Item = (Location, u64, &Path)> {
    let blobs = plan.disk.iter().flat_map(|disk| disk.blobs.iter().enumerate());
    blobs.map(|(index, blob)| {
        (Location::plan().key("disk").key("blobs").index(index), blob.offset, blob.source.as_path())
    })
}

/// A scanned ext4 file system.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScannedVolume<'p> {
    /// Its part of the plan.
    pub planned: PlannedVolume<'p>,
    /// Its closure, if it has one.
    pub closure: Option<Closure>,
    /// Its tree.
    pub tree: FileTree,
    /// Warnings about its sources.
    pub warnings: Vec<Problem>,
    /// Files that became hard links, if the plan asks for it.
    pub deduplicated: Option<Deduplicated>,
    /// Files that were replaced by those of a later tree, in the order of the tree.
    pub replaced: Vec<Replaced>,
    /// Texts with root hashes.
    pub(crate) hash_texts: Vec<HashText>,
}

/// A file that was replaced by one of a later tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Replaced {
    /// In the image, escaped.
    pub path: String,
    /// The position of the tree whose file is left out.
    pub tree: usize,
    /// The position of the tree whose file is in the image.
    pub by: usize,
}

/// Scans the sources of a plan.
/// Files that became hard links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Deduplicated {
    /// The number of files that became names of others.
    pub files: u64,
    /// Their length, in \[bytes\].
    pub bytes: u64,
}

/// Whether the plan asks to compare the hashes of a volume's closure.
pub(crate) fn is_hashed(volume: &ScannedVolume<'_>) -> bool {
    volume.closure.is_some() && verification(volume.planned.plan) == snugfs_plan::Verify::Hash
}

#[derive(Clone, Copy)]
pub(crate) struct Scanner<'s> {
    pub(crate) plan: &'s Plan,
    pub(crate) outputs: &'s dyn OwnOutputs,
    pub(crate) observer: &'s dyn Observer,
    /// What was read for another plan.
    pub(crate) shared: Option<&'s SharedSources>,
}

impl Scanner<'_> {
    fn scan(self, sources: &Sources<'_>, scanned: Scanned<'_>) -> Result<(Scan, Vec<Problem>), Failure> {
        let own = self.outputs.own_files();
        let progress = |entries| self.observer.advance(entries);
        let options = ScanOptions { own: &own, progress: &progress, ..ScanOptions::default() };
        let known = self.shared.and_then(|shared| shared.walked(sources));
        let is_known = known.is_some();
        let mut walked = known;
        let scan = file_scanner::scan_again(sources, &options, &mut walked);
        let scan = scan.map_err(|errors| scanned.failure(&errors))?;
        if let (Some(shared), Some(walked), false) = (self.shared, walked, is_known) {
            shared.keep_walked(walked);
        }
        let warnings = scan.warnings.iter().filter_map(|warning| scanned.warning(warning)).collect();
        Ok((scan, warnings))
    }

    /// Warnings about the caller's outputs in trees.
    fn outputs_in(
        self,
        found: &[InTree],
        trees: &[TreePlan],
        at: impl Fn(usize) -> Location,
    ) -> Result<Vec<Problem>, Failure> {
        let mut warnings = Vec::new();
        for one in found {
            let Some(tree) = trees.get(one.tree) else { continue };
            warnings.extend(self.outputs.in_tree(one, tree, &at(one.tree))?);
        }
        Ok(warnings)
    }

    /// Scans an ext4 file system.
    pub(crate) fn volume<'p>(
        self,
        whole: &Plan,
        planned: PlannedVolume<'p>,
        closure: Option<Closure>,
        added: &Added,
    ) -> Result<ScannedVolume<'p>, Failure> {
        let (plan, at) = (planned.plan, &planned.at);
        let (mut entries, mut trees) = (fstab::entries(whole, plan, at)?, Cow::Borrowed(&*plan.trees));
        if !added.is_empty() {
            entries = Cow::Owned(added.entries(&entries));
            trees = Cow::Owned(added.trees(&plan.trees));
        }
        let hash_texts = self.hash_texts(&mut entries, added, at)?;
        let mut sources = volume_sources(plan, closure.as_ref(), at)?;
        (sources.entries, sources.trees) = (&entries, &trees);
        if let (Some(store), Some(closure)) = (&sources.store, &closure) {
            self.outputs.check_store(&store.source_dir, closure)?;
        }
        let (mut scan, mut warnings) = self.scan(&sources, Scanned::Volume(plan, at, added))?;
        let tree_at = |index| {
            let added = added.location(plan.trees.len(), &SourceId::Tree(index));
            added.unwrap_or_else(|| at.key("trees").index(index))
        };
        warnings.extend(self.outputs_in(&scan.own, sources.trees, tree_at)?);
        if let (Some(closure), true) = (&closure, verification(plan) != snugfs_plan::Verify::None) {
            closure_registration::verify_sizes(closure, &scan.tree)
                .map_err(|errors| fields::closure_failure(&errors, at))?;
        }
        if let Some(closure) = &plan.closure {
            database::check_logs(closure, &scan.tree, at)?;
        }
        if let Some(selinux) = &plan.selinux {
            let partition = planned.partition.as_ref().and_then(|found| {
                partitions(whole).find(|(index, _)| *index == found.index).map(|(_, partition)| partition)
            });
            let mount = partition.and_then(|partition| partition.mount.as_ref());
            warnings.extend(selinux::label(&mut scan.tree, selinux, mount, at)?);
        }
        let replaced = scan.replaced.into_iter();
        let replaced =
            replaced.map(|file| Replaced { path: file.path, tree: file.tree, by: file.by }).collect();
        let tree = scan.tree;
        Ok(ScannedVolume { planned, closure, tree, warnings, deduplicated: None, replaced, hash_texts })
    }

    /// Finds the texts of a file system's entries that have root hashes.
    fn hash_texts(
        self,
        entries: &mut Cow<'_, BTreeMap<ImagePath, Entry>>,
        added: &Added,
        at: &Location,
    ) -> Result<Vec<HashText>, Failure> {
        verity::expand(entries, self.plan, |path| {
            let of_boot = added.location(0, &SourceId::Entry(path.clone()));
            of_boot.unwrap_or_else(|| at.key("entries").key(String::from_utf8_lossy(path.as_bytes())))
        })
    }

    /// Scans the folder and the entries of a FAT file system. `bytes` is the length of its partition, if that is given.
    pub(crate) fn folder<'p>(
        self,
        plan: &'p Plan,
        fat: &'p FatPlan,
        index: usize,
        bytes: Option<u64>,
        added: &Added,
    ) -> Result<ScannedFolder<'p>, Failure> {
        let at = partition_at(index).key("content");
        // FAT has no holes.
        let tree = |source: &Path| {
            let mut tree = TreePlan::new(source.to_owned(), ImagePath::root());
            tree.keep_holes = false;
            tree.kind = Some(TreeKind::Folder);
            tree
        };
        let planned: Vec<TreePlan> = fat.source.iter().map(|source| tree(source)).collect();
        let (trees, mut entries) = (added.trees(&planned), Cow::Owned(added.entries(&fat.entries)));
        let hash_texts = self.hash_texts(&mut entries, added, &at)?;
        let scanned = Scanned::Folder(&at, planned.len(), added);
        let (scan, mut warnings) = self.scan(&plain_sources(&trees, &entries), scanned)?;
        let tree_at =
            |index| added.location(planned.len(), &SourceId::Tree(index)).unwrap_or_else(|| at.clone());
        warnings.extend(self.outputs_in(&scan.own, &trees, tree_at)?);
        let options = fat_layout::Options {
            bytes: bytes.unwrap_or(0),
            free_space: fat.free_space,
            label: fat.label,
            id: boot::serial_number(plan, fat, index),
            sector: plan.disk.as_ref().map_or_else(SectorSize::default, |disk| disk.sector),
            bits: fat.bits.map(|bits| match bits {
                FatBits::Fat16 => fat_layout::Bits::Fat16,
                FatBits::Fat32 => fat_layout::Bits::Fat32,
            }),
        };
        let has_length = bytes.is_some();
        Ok(ScannedFolder { plan: fat, at, options, has_length, tree: scan.tree, warnings, hash_texts })
    }

    /// Scans a single file.
    pub(crate) fn file(self, at: Location, source: &Path) -> Result<ScannedFile, Failure> {
        let entry = Entry {
            kind: EntryKind::Source(source.to_owned()),
            permissions: None,
            uid: 0,
            gid: 0,
            xattrs: Vec::new(),
            keep_holes: false,
        };
        let path = ImagePath::parse(b"/content").map_err(|error| Failure::internal(&at, error))?;
        let entries = BTreeMap::from([(path.clone(), entry)]);
        let (scan, warnings) = self.scan(&plain_sources(&[], &entries), Scanned::File(&at))?;
        let node = scan.tree.find(&path);
        let size = node.map(|node| scan.tree.node(node).kind());
        let (Some(node), Some(NodeKind::File { size, .. })) = (node, size) else {
            return Err(Failure::internal(&at, "its file is not in the tree of its scan"));
        };
        Ok(ScannedFile { at, tree: scan.tree, node, len: size, warnings })
    }
}

/// The scanned folder of a FAT file system.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScannedFolder<'p> {
    /// Its part of the plan.
    pub plan: &'p FatPlan,
    /// Its place in the plan.
    pub at: Location,
    options: fat_layout::Options,
    /// Whether the options have the length of its partition. Otherwise it is as small as possible.
    has_length: bool,
    /// Its tree.
    pub tree: FileTree,
    /// Warnings about its folder.
    pub warnings: Vec<Problem>,
    /// Texts with root hashes.
    pub(crate) hash_texts: Vec<HashText>,
}

impl ScannedFolder<'_> {
    /// Sets the length of its partition in \[bytes\], if that depends on others.
    pub(crate) fn set_partition_size(&mut self, bytes: u64) {
        (self.options.bytes, self.has_length) = (bytes, true);
    }

    pub(crate) fn lay_out(&self) -> Result<FatLayout, Failure> {
        let failed = |error| fields::fat_failure(&error, &self.at);
        let mut options = self.options;
        if !self.has_length {
            options.bytes = FatLayout::smallest(&self.tree, &options).map_err(failed)?;
        }
        FatLayout::plan(&self.tree, &options).map_err(failed)
    }
}

/// A scanned single file.
#[derive(Debug)]
#[non_exhaustive]
pub struct ScannedFile {
    /// Its place in the plan.
    pub at: Location,
    /// A tree that contains only this file.
    pub tree: FileTree,
    /// The file in it.
    pub node: NodeId,
    /// Its length in \[bytes\].
    pub len: u64,
    /// Warnings about it.
    pub warnings: Vec<Problem>,
}

/// An ext4 file system, laid out.
#[derive(Debug)]
#[non_exhaustive]
pub struct Volume<'p> {
    /// Its scanned sources.
    pub scanned: ScannedVolume<'p>,
    /// Its layout.
    pub layout: Arc<Layout>,
    /// The number of its tree in the image.
    pub tree: TreeId,
}

/// A FAT file system, laid out.
#[derive(Debug)]
#[non_exhaustive]
pub struct Folder<'p> {
    /// Its scanned sources.
    pub scanned: ScannedFolder<'p>,
    /// Its layout.
    pub layout: Arc<FatLayout>,
    /// The number of its tree in the image.
    pub tree: TreeId,
}

/// A raw partition or a blob: a file whose bytes are copied to the disk.
#[derive(Debug)]
#[non_exhaustive]
pub struct SingleFile {
    /// The scanned file.
    pub scanned: ScannedFile,
    /// Its identity in the image.
    pub file: FileRef,
}

/// A partition, in the order of the table.
#[derive(Debug)]
#[non_exhaustive]
pub struct Part<'p> {
    /// Its part of the plan.
    pub plan: &'p PartitionPlan,
    /// Its contents.
    pub content: PartContent<'p>,
}

/// The contents of a partition.
#[derive(Debug)]
pub enum PartContent<'p> {
    /// Zeros.
    Empty,
    /// The root file system.
    Root,
    /// Another ext4 file system.
    Ext4(Box<Volume<'p>>),
    /// A FAT file system.
    Fat(Box<Folder<'p>>),
    /// The bytes of a file.
    Raw(SingleFile),
    /// A swap area.
    Swap(Arc<SwapArea>),
    /// Code of the boot loader.
    Code(Arc<BootCode>),
    /// A hash tree.
    Verity(Arc<VerityTree>),
}

impl PartContent<'_> {
    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Root => "root",
            Self::Ext4(_) => "ext4",
            Self::Fat(_) => "fat",
            Self::Raw(_) => "raw",
            Self::Swap(_) => "swap",
            Self::Code(_) => "boot-code",
            Self::Verity(_) => "verity",
        }
    }
}

/// The UUID of a swap area, given or derived.
pub(crate) fn swap_uuid(plan: &Plan, swap: &SwapPlan, index: usize) -> [u8; 16] {
    swap.uuid.unwrap_or_else(|| SwapArea::default_uuid(&plan.root.filesystem.uuid, index + 1))
}

/// The swap area of a partition, whose length can depend on others.
pub(crate) fn swap_area(plan: &Plan, swap: &SwapPlan, index: usize, bytes: Option<u64>) -> SwapArea {
    SwapArea { len: bytes.unwrap_or(0), uuid: swap_uuid(plan, swap, index), label: swap.label.clone() }
}

/// A swap area with its final length.
pub(crate) fn checked_swap(area: SwapArea, index: usize) -> Result<Arc<SwapArea>, Failure> {
    if area.len < SwapArea::MIN {
        let what = format!("{} bytes are left, which is too little for a swap area of 40 KiB", area.len);
        let at = partition_at(index).key("size");
        return Err(Failure::new(FailureKind::Fit, at, what, "make the disk longer, or write a size"));
    }
    Ok(Arc::new(area))
}

/// A warning for a partition whose type and contents do not match: it would not be used.
pub(crate) fn type_warning(index: usize, partition: &PartitionPlan) -> Option<Problem> {
    let is_swap = matches!(partition.content, PartitionContent::Swap(_));
    let (what, help) = if is_swap && !partition.kind.is_swap() {
        (
            "has a swap area, but another type, so Linux only uses it if a line of fstab names it",
            "write \"type\": \"swap\"",
        )
    } else if partition.content != PartitionContent::Empty {
        return None;
    } else if partition.kind.is_swap() {
        (
            "is a swap partition without a swap area",
            "add \"content\": { \"kind\": \"swap\" }, or run mkswap at the first boot",
        )
    } else if partition.kind.is_esp() {
        (
            "is an EFI system partition without a file system, so firmware can't boot from it",
            "add \"content\": { \"kind\": \"fat\" }",
        )
    } else {
        return None;
    };
    Some(Problem::new(partition_at(index), what, help))
}

/// A warning for a FAT file system with a random seed of systemd-boot, which would be the same on every machine.
pub(crate) fn random_seed(index: usize, tree: &FileTree) -> Option<Problem> {
    let child = |directory, name: &[u8]| {
        tree.children(directory).find(|node| tree.name(*node).eq_ignore_ascii_case(name))
    };
    let seed = child(child(NodeId::ROOT, b"loader")?, b"random-seed")?;
    if !matches!(tree.node(seed).kind(), NodeKind::File { size: 1.., .. }) {
        return None;
    }
    let what = format!("has {}, so all machines with this image have the same random seed", tree.path(seed));
    let help = "leave it out; \"bootctl random-seed\" makes one on each machine";
    Some(Problem::new(partition_at(index).key("content"), what, help))
}

/// How a closure is compared with its registration.
pub(crate) fn verification(plan: &VolumePlan) -> snugfs_plan::Verify {
    plan.closure.as_ref().map_or(snugfs_plan::Verify::None, |closure| closure.verify)
}

/// The sources of a file system for the scanner, including the registration and the database.
fn volume_sources<'p>(
    plan: &'p VolumePlan,
    closure: Option<&Closure>,
    at: &Location,
) -> Result<Sources<'p>, Failure> {
    let both = plan.closure.as_ref().zip(closure);
    let timestamp = plan.filesystem.timestamp;
    let database =
        both.map(|(planned, closure)| database::files(planned, closure, timestamp, at)).transpose()?;
    let registration = both.and_then(|(planned, closure)| {
        Some(InlineFile {
            path: planned.registration_target.clone()?,
            bytes: closure.registration(),
            permissions: Permissions::STORE_FILE,
        })
    });
    Ok(Sources {
        store: both.map(|(planned, closure)| StoreSource {
            source_dir: planned.source_dir.clone(),
            store_dir: planned.place.clone(),
            base_names: closure.paths().iter().map(|info| info.path.as_str().as_bytes().to_vec()).collect(),
        }),
        trees: &plan.trees,
        entries: &plan.entries,
        attributes: &plan.attributes,
        inline: registration.into_iter().chain(database.into_iter().flatten()).collect(),
        folders: both
            .and_then(|(planned, _)| planned.database.as_ref())
            .map_or(Vec::new(), |database| database.folders.clone()),
        lost_and_found: true,
        timestamp,
    })
}

/// Sources without a store, attributes and `/lost+found`.
fn plain_sources<'a>(trees: &'a [TreePlan], entries: &'a BTreeMap<ImagePath, Entry>) -> Sources<'a> {
    static NO_ATTRIBUTES: BTreeMap<ImagePath, snugfs_plan::AttributesPlan> = BTreeMap::new();
    Sources {
        store: None,
        trees,
        entries,
        attributes: &NO_ATTRIBUTES,
        inline: Vec::new(),
        folders: Vec::new(),
        lost_and_found: false,
        timestamp: Timestamp::STORE,
    }
}
