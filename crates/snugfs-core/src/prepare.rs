//! From a plan to an image whose every byte is decided: closures → trees → layouts → disk.

use std::sync::Arc;

use closure_registration::Closure;
use disk_layout::{Blob, Disk, Kind, Length, Partition, SwapArea, Table};
use ext4_layout::Layout;
use fat_layout::FatLayout;
use image_tree::{FileRef, FileTree, NodeId, NodeKind, PieceSource, TreeId, to_u64};
use snugfs_plan::{
    ClosurePlan, DiskPlan, Location, PartitionContent, PartitionPlan, PartitionType, Plan, RoundTo,
    TablePlan, VolumeRef,
};

use crate::boot::{self, Boot, BootCode, CodePlace};
use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::own_outputs::OwnOutputs;
use crate::parts::{
    self, Folder, Part, PartContent, ScannedFile, ScannedFolder, ScannedVolume, Scanner, SingleFile, Volume,
};
use crate::problem::Problem;
use crate::shared::SharedSources;
use crate::verity::{Appended, LateFile, Verity, VerityTree};
use crate::{Failure, FailureKind, closure, deduplicate, fields, hashes, verity};

/// Options of [`prepare`].
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Options<'o> {
    /// Files that the caller writes. No image includes them.
    pub outputs: &'o dyn OwnOutputs,
    /// Receives the progress of the work.
    pub observer: &'o dyn Observer,
    /// Keeps what is read, and uses what was read for another plan. Default: `None`.
    pub sources: Option<&'o SharedSources>,
    /// Compare the hashes of closures now, if the plan asks for it. Otherwise they are compared while the image is written.
    pub verify_hashes: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { outputs: &(), observer: &(), sources: None, verify_hashes: false }
    }
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("verify_hashes", &self.verify_hashes).finish_non_exhaustive()
    }
}

/// An image whose every byte is decided, but not written.
#[derive(Debug)]
pub struct Prepared<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// The root file system.
    pub root: Volume<'p>,
    /// The partitions, in the order of the table; empty if the image is a bare file system.
    pub parts: Vec<Part<'p>>,
    /// Files outside of partitions.
    pub blobs: Vec<SingleFile>,
    /// The disk around the file systems, if the plan asks for one.
    pub disk: Option<Disk>,
    /// Warnings.
    pub warnings: Vec<Problem>,
    /// The hash trees.
    pub(crate) verity: Verity,
    /// The root and its hash tree, if the image is a bare file system with one.
    appended: Option<Appended>,
    /// The trees of the image, by [`TreeId`].
    trees: Vec<FileTree>,
}

/// The scanned contents of a partition.
enum Content<'p> {
    Empty,
    Root,
    Ext4(Box<ScannedVolume<'p>>),
    Fat(Box<ScannedFolder<'p>>),
    Raw(ScannedFile),
    Verity(VolumeRef),
    Swap(SwapArea),
}

/// Decides every byte of a plan's image: reads its closures, scans its sources, lays out its file systems.
///
/// # Errors
/// If the plan contradicts its sources, a source can't be read, or the contents do not fit.
pub fn prepare<'p>(plan: &'p Plan, options: &Options<'_>) -> Result<Prepared<'p>, Failure> {
    let observer = options.observer;
    let closures = run_stage(observer, (Stage::Closure, Unit::Nothing, 0), || {
        let read = |planned: parts::PlannedVolume<'p>| {
            let closure = planned.plan.closure.as_ref();
            closure.map(|closure| read_closure(closure, &planned.at, options.sources)).transpose()
        };
        parts::planned_volumes(plan).map(read).collect::<Result<Vec<Option<Closure>>, Failure>>()
    })?;
    let boot = boot::read(plan, closures.first().and_then(Option::as_ref))?;
    let scanner = Scanner { plan, outputs: options.outputs, observer, shared: options.sources };
    let mut sources =
        run_stage(observer, (Stage::Scan, Unit::Entries, 0), || Scanned::new(plan, closures, boot, scanner))?;
    deduplicate::run(sources.volumes_mut(), observer)?;
    if options.verify_hashes {
        hashes::verify_all(sources.volumes(), observer)?;
    }
    // Last, as whether contents fit is of interest once they are the right ones.
    run_stage(observer, (Stage::Layout, Unit::Nothing, 0), || sources.lay_out(plan))
}

fn read_closure(
    plan: &ClosurePlan,
    volume: &Location,
    shared: Option<&SharedSources>,
) -> Result<Closure, Failure> {
    if let Some(known) = shared.and_then(|shared| shared.closure(plan)) {
        return Ok((*known).clone());
    }
    let closure = closure::read(plan, volume)?;
    if let Some(shared) = shared {
        shared.keep_closure(plan, &closure);
    }
    Ok(closure)
}

/// All scanned parts of an image, before layout.
struct Scanned<'p> {
    root: ScannedVolume<'p>,
    contents: Vec<Content<'p>>,
    blobs: Vec<ScannedFile>,
    boot: Boot,
}

impl<'p> Scanned<'p> {
    fn new(
        plan: &'p Plan,
        closures: Vec<Option<Closure>>,
        boot: Boot,
        scanner: Scanner<'_>,
    ) -> Result<Self, Failure> {
        let mut volumes = parts::planned_volumes(plan).zip(closures);
        let mut next = || {
            let volume = volumes.next();
            volume.ok_or_else(|| Failure::internal("plan.disk", "a file system of the plan is missing"))
        };
        let (root, closure) = next()?;
        let root = scanner.volume(plan, root, closure, boot.root())?;
        let mut contents = Vec::new();
        for (index, partition) in parts::partitions(plan) {
            contents.push(match &partition.content {
                PartitionContent::Empty => Content::Empty,
                PartitionContent::Root => Content::Root,
                PartitionContent::Ext4(_) => {
                    let (planned, closure) = next()?;
                    Content::Ext4(Box::new(scanner.volume(plan, planned, closure, boot.partition(index))?))
                }
                PartitionContent::Fat(fat) => {
                    let added = boot.partition(index);
                    Content::Fat(Box::new(scanner.folder(plan, fat, index, partition.size, added)?))
                }
                PartitionContent::Raw(source) => {
                    Content::Raw(scanner.file(parts::partition_at(index).key("content"), source)?)
                }
                PartitionContent::Verity(of) => Content::Verity(verity::canonical(plan, *of)),
                PartitionContent::Swap(swap) => {
                    Content::Swap(parts::swap_area(plan, swap, index, partition.size))
                }
            });
        }
        let blobs = parts::blobs(plan).map(|(at, _, source)| scanner.file(at, source));
        Ok(Self { root, contents, blobs: blobs.collect::<Result<_, _>>()?, boot })
    }

    fn volumes(&self) -> impl Iterator<Item = &ScannedVolume<'p>> {
        let others = self.contents.iter().filter_map(|content| match content {
            Content::Ext4(volume) => Some(&**volume),
            _ => None,
        });
        std::iter::once(&self.root).chain(others)
    }

    fn volumes_mut(&mut self) -> Vec<&mut ScannedVolume<'p>> {
        let others = self.contents.iter_mut().filter_map(|content| match content {
            Content::Ext4(volume) => Some(&mut **volume),
            _ => None,
        });
        std::iter::once(&mut self.root).chain(others).collect()
    }

    fn lay_out(mut self, plan: &'p Plan) -> Result<Prepared<'p>, Failure> {
        let mut layouts = Layouts { root: None, contents: self.contents.iter().map(|_| None).collect() };
        // A sealed file system does not fill its partition, and its hash tree's partition may depend on its length.
        let is_first =
            |partition: &PartitionPlan| partition.fill.is_none() || verity::has_tree(plan, partition);
        layouts.add(&self, plan, is_first)?;
        if let Some(planned) = plan.disk.as_ref().filter(|disk| has_fill(disk)) {
            self.fill(plan, planned, &layouts)?;
            layouts.add(&self, plan, |partition| !is_first(partition))?;
        }
        let missing = || Failure::internal("plan", "a layout is missing");
        let mut trees = Trees::default();
        let root = trees.volume(self.root, layouts.root.ok_or_else(missing)?)?;
        let mut parts = Vec::new();
        let mut places = Vec::new();
        for (((index, plan), content), layout) in
            parts::partitions(plan).zip(self.contents).zip(layouts.contents)
        {
            let content = match (content, layout) {
                (Content::Empty, _) => PartContent::Empty,
                (Content::Root, _) => PartContent::Root,
                (Content::Ext4(volume), Some(LaidOut::Ext4(layout))) => {
                    PartContent::Ext4(Box::new(trees.volume(*volume, layout)?))
                }
                (Content::Fat(mut scanned), Some(LaidOut::Fat(layout))) => {
                    let tree = trees.add(&scanned.tree)?;
                    let texts = std::mem::take(&mut scanned.hash_texts);
                    trees.late.extend(LateFile::all(texts, (&scanned.tree, tree), None)?);
                    PartContent::Fat(Box::new(Folder { scanned: *scanned, layout, tree }))
                }
                (Content::Raw(scanned), _) => PartContent::Raw(trees.file(scanned)?),
                // Its file system may come later.
                (Content::Verity(of), _) => {
                    places.push((parts.len(), of));
                    PartContent::Empty
                }
                (Content::Swap(area), _) => PartContent::Swap(parts::checked_swap(area, index)?),
                (Content::Ext4(_) | Content::Fat(_), _) => return Err(missing()),
            };
            parts.push(Part { plan, content });
        }
        for (index, of) in places {
            let tree = trees.verity.iter().find(|tree| tree.of() == of).cloned();
            let tree = tree.ok_or_else(|| Failure::internal("plan.disk", "a hash tree is missing"))?;
            let part = parts.get_mut(index);
            part.expect("invariant: it was counted").content = PartContent::Verity(tree);
        }
        let blobs = self.blobs.into_iter().map(|scanned| trees.file(scanned));
        let blobs = blobs.collect::<Result<Vec<_>, _>>()?;
        let disk = disk(plan, &root, &mut parts, &blobs, &self.boot)?;
        let warnings = warnings(plan, &root, &parts, &blobs);
        let verity = Verity::new(trees.verity, trees.late)?;
        let appended = match (&disk, verity.trees.first()) {
            (None, Some(tree)) => Some(Appended { layout: Arc::clone(&root.layout), tree: Arc::clone(tree) }),
            _ => None,
        };
        let trees = trees.files;
        Ok(Prepared { plan, root, parts, blobs, disk, warnings, verity, appended, trees })
    }

    /// Gives partitions that fill the disk their lengths, which depend on the layouts of the others.
    fn fill(&mut self, plan: &Plan, planned: &DiskPlan, layouts: &Layouts) -> Result<(), Failure> {
        let blank = |bytes: Option<u64>| disk_layout::Part::File {
            file: NodeId::ROOT.into(),
            len: bytes.unwrap_or(0),
        };
        let lengths = self.contents.iter().zip(&layouts.contents).map(|(content, layout)| match content {
            Content::Empty | Content::Swap(_) => None,
            Content::Root => layouts.len(VolumeRef::Root),
            Content::Raw(file) => Some(file.len),
            Content::Ext4(_) | Content::Fat(_) => layout.as_ref().map(LaidOut::len),
            Content::Verity(of) => layouts.len(*of).and_then(VerityTree::len_for),
        });
        let partitions = planned.partitions.iter().zip(lengths);
        let options = disk_layout::Options {
            partitions: partitions.map(|(partition, len)| placed(partition, blank(len))).collect(),
            blobs: planned
                .blobs
                .iter()
                .zip(&self.blobs)
                .map(|(blob, file)| Blob { offset: blob.offset, part: blank(Some(file.len)) })
                .collect(),
            ..table_options(plan, planned)
        };
        let places =
            Disk::places(&options).map_err(|error| fields::disk_failure(&error, planned.blobs.len()))?;
        let filled = places.iter().zip(&planned.partitions).zip(&mut self.contents);
        for ((place, _), content) in filled.filter(|((_, partition), _)| partition.fill.is_some()) {
            match content {
                Content::Root => self.root.planned.set_partition_size(place.len),
                Content::Ext4(volume) => volume.planned.set_partition_size(place.len),
                Content::Fat(folder) => folder.set_partition_size(place.len),
                Content::Swap(area) => area.len = place.len,
                Content::Empty | Content::Raw(_) | Content::Verity(_) => {}
            }
        }
        Ok(())
    }
}

fn has_fill(disk: &DiskPlan) -> bool {
    disk.partitions.iter().any(|partition| partition.fill.is_some())
}

/// The layouts of an image's file systems, as far as they are known.
struct Layouts {
    root: Option<VolumeLayout>,
    /// By partition.
    contents: Vec<Option<LaidOut>>,
}

/// The layout of an ext4 file system, and a warning if it does not follow an earlier image.
type VolumeLayout = (Arc<Layout>, Option<Problem>);

enum LaidOut {
    Ext4(VolumeLayout),
    Fat(Arc<FatLayout>),
}

impl LaidOut {
    fn len(&self) -> u64 {
        match self {
            Self::Ext4((layout, _)) => layout.len(),
            Self::Fat(layout) => layout.len(),
        }
    }
}

impl Layouts {
    /// The length of a file system in \[bytes\], if it is known.
    fn len(&self, of: VolumeRef) -> Option<u64> {
        match of {
            VolumeRef::Root => self.root.as_ref().map(|(layout, _)| layout.len()),
            VolumeRef::Partition(index) => self.contents.get(index)?.as_ref().map(LaidOut::len),
        }
    }

    /// Lays out the file systems of some partitions.
    fn add(
        &mut self,
        scanned: &Scanned<'_>,
        plan: &Plan,
        is_turn: impl Fn(&PartitionPlan) -> bool,
    ) -> Result<(), Failure> {
        let root = parts::partitions(plan).find(|(_, partition)| partition.content == PartitionContent::Root);
        if root.is_none_or(|(_, partition)| is_turn(partition)) {
            self.root = Some(lay_out(&scanned.root)?);
        }
        let contents = scanned.contents.iter().zip(&mut self.contents);
        for ((_, partition), (content, layout)) in parts::partitions(plan).zip(contents) {
            if !is_turn(partition) {
                continue;
            }
            *layout = match content {
                Content::Ext4(volume) => Some(LaidOut::Ext4(lay_out(volume)?)),
                Content::Fat(folder) => Some(LaidOut::Fat(Arc::new(folder.lay_out()?))),
                Content::Empty | Content::Root | Content::Raw(_) | Content::Swap(_) | Content::Verity(_) => {
                    None
                }
            };
        }
        Ok(())
    }
}

fn lay_out(volume: &ScannedVolume<'_>) -> Result<VolumeLayout, Failure> {
    let (layout, warning) = volume.planned.lay_out(&volume.tree, volume.closure.as_ref())?;
    Ok((Arc::new(layout), warning))
}

/// The trees of an image. The position of a tree is its [`TreeId`].
#[derive(Default)]
struct Trees {
    files: Vec<FileTree>,
    verity: Vec<Arc<VerityTree>>,
    late: Vec<LateFile>,
}

impl Trees {
    fn add(&mut self, tree: &FileTree) -> Result<TreeId, Failure> {
        let id = TreeId::from_index(self.files.len());
        self.files.push(tree.clone());
        id.ok_or_else(|| Failure::new(FailureKind::Fit, "plan.disk", "has too many parts", "leave some out"))
    }

    fn volume<'p>(
        &mut self,
        mut scanned: ScannedVolume<'p>,
        (layout, warning): VolumeLayout,
    ) -> Result<Volume<'p>, Failure> {
        scanned.warnings.extend(warning);
        let tree = self.add(&scanned.tree)?;
        let of = scanned.planned.reference();
        let verity = VerityTree::new(of, &scanned.planned.plan.filesystem, layout.len())?;
        let inside = verity.as_ref().map(|_| of);
        self.verity.extend(verity);
        let texts = std::mem::take(&mut scanned.hash_texts);
        self.late.extend(LateFile::all(texts, (&scanned.tree, tree), inside)?);
        Ok(Volume { scanned, layout, tree })
    }

    fn file(&mut self, scanned: ScannedFile) -> Result<SingleFile, Failure> {
        let tree = self.add(&scanned.tree)?;
        let file = FileRef { tree, node: scanned.node };
        Ok(SingleFile { scanned, file })
    }
}

fn warnings(plan: &Plan, root: &Volume<'_>, parts: &[Part<'_>], blobs: &[SingleFile]) -> Vec<Problem> {
    let of_volume = |volume: &Volume<'_>| {
        let of_layout = volume.layout.summary().warnings;
        let planned = &volume.scanned.planned;
        let of_layout =
            of_layout.iter().map(|warning| fields::layout_warning(warning, planned.plan, &planned.at));
        volume.scanned.warnings.iter().cloned().chain(of_layout).collect::<Vec<_>>()
    };
    let mut warnings = of_volume(root);
    for (index, part) in parts.iter().enumerate() {
        match &part.content {
            PartContent::Ext4(volume) => warnings.extend(of_volume(volume)),
            PartContent::Fat(folder) => {
                warnings.extend(folder.scanned.warnings.iter().cloned());
                warnings.extend(parts::random_seed(index, &folder.scanned.tree));
            }
            PartContent::Raw(file) => warnings.extend(file.scanned.warnings.iter().cloned()),
            PartContent::Empty
            | PartContent::Root
            | PartContent::Swap(_)
            | PartContent::Code(_)
            | PartContent::Verity(_) => {}
        }
    }
    warnings.extend(blobs.iter().flat_map(|blob| blob.scanned.warnings.iter().cloned()));
    warnings.extend(
        parts::partitions(plan).filter_map(|(index, partition)| parts::type_warning(index, partition)),
    );
    warnings
}

/// The disk around the file systems, if the plan asks for one.
fn disk(
    plan: &Plan,
    root: &Volume<'_>,
    parts: &mut [Part<'_>],
    blobs: &[SingleFile],
    boot: &Boot,
) -> Result<Option<Disk>, Failure> {
    let Some(planned) = &plan.disk else { return Ok(None) };
    let lay_out = |parts: &[Part<'_>], code: Vec<Blob>| {
        let mut options = disk_options(plan, planned, root, parts, blobs);
        options.blobs.extend(code);
        Disk::plan(options).map_err(|error| fields::disk_failure(&error, planned.blobs.len()))
    };
    let Some((images, place)) = &boot.code else { return lay_out(parts, Vec::new()).map(Some) };
    let blob = |offset, bytes| {
        let image = Arc::new(BootCode(bytes));
        Blob { offset, part: disk_layout::Part::Volume { image, tree: root.tree } }
    };
    let code = match *place {
        CodePlace::Gap => {
            // The core follows the table.
            vec![blob(0, images.boot_code(1)), blob(boot_loaders::SECTOR, images.core(1))]
        }
        CodePlace::Partition(index) => {
            // Both contain the place of the core, which only depends on lengths. So a first layout has the core at another place.
            let missing = || Failure::internal("plan.boot.bios", "its partition is missing");
            let content = |sector| PartContent::Code(Arc::new(BootCode(images.core(sector))));
            parts.get_mut(index).ok_or_else(missing)?.content = content(0);
            let first = lay_out(parts, vec![blob(0, images.boot_code(0))])?;
            let start = first.partitions().get(index).ok_or_else(missing)?.start;
            let sector = start / boot_loaders::SECTOR;
            parts.get_mut(index).ok_or_else(missing)?.content = content(sector);
            vec![blob(0, images.boot_code(sector))]
        }
    };
    lay_out(parts, code).map(Some)
}

fn disk_options(
    plan: &Plan,
    planned: &DiskPlan,
    root: &Volume<'_>,
    parts: &[Part<'_>],
    blobs: &[SingleFile],
) -> disk_layout::Options {
    let volume = |volume: &Volume<'_>| disk_layout::Part::Volume {
        image: Arc::<Layout>::clone(&volume.layout),
        tree: volume.tree,
    };
    let file = |file: &SingleFile| disk_layout::Part::File { file: file.file, len: file.scanned.len };
    let partition = |part: &Part<'_>| {
        let content = match &part.content {
            PartContent::Empty => disk_layout::Part::Empty,
            PartContent::Root => volume(root),
            PartContent::Ext4(other) => volume(other),
            PartContent::Fat(folder) => disk_layout::Part::Volume {
                image: Arc::<FatLayout>::clone(&folder.layout),
                tree: folder.tree,
            },
            PartContent::Raw(single) => file(single),
            PartContent::Swap(area) => {
                disk_layout::Part::Volume { image: Arc::<SwapArea>::clone(area), tree: root.tree }
            }
            PartContent::Code(code) => {
                disk_layout::Part::Volume { image: Arc::<BootCode>::clone(code), tree: root.tree }
            }
            PartContent::Verity(tree) => {
                disk_layout::Part::Volume { image: Arc::<VerityTree>::clone(tree), tree: root.tree }
            }
        };
        placed(part.plan, content)
    };
    disk_layout::Options {
        blobs: planned
            .blobs
            .iter()
            .zip(blobs)
            .map(|(blob, single)| Blob { offset: blob.offset, part: file(single) })
            .collect(),
        partitions: parts.iter().map(partition).collect(),
        ..table_options(plan, planned)
    }
}

/// The options of a disk without its parts.
fn table_options(plan: &Plan, planned: &DiskPlan) -> disk_layout::Options {
    disk_layout::Options {
        table: match planned.table {
            TablePlan::Mbr { id } => Table::Mbr(id),
            TablePlan::Gpt { guid } => Table::Gpt(guid),
        },
        sector: planned.sector,
        size: planned.size,
        round_to: match planned.round_to {
            RoundTo::Blocks => disk_layout::RoundTo::Blocks,
            RoundTo::Multiple(bytes) => disk_layout::RoundTo::Multiple(bytes),
            RoundTo::PowerOfTwo => disk_layout::RoundTo::PowerOfTwo,
        },
        seed: plan.root.filesystem.uuid,
        blobs: Vec::new(),
        partitions: Vec::new(),
    }
}

/// The options of a disk with empty partitions, which have the same identifiers.
pub(crate) fn table_of(plan: &Plan, planned: &DiskPlan) -> disk_layout::Options {
    let empty = |partition| placed(partition, disk_layout::Part::Empty);
    disk_layout::Options {
        partitions: planned.partitions.iter().map(empty).collect(),
        ..table_options(plan, planned)
    }
}

/// A partition with its content.
fn placed(plan: &PartitionPlan, part: disk_layout::Part) -> Partition {
    Partition {
        start: plan.start,
        align: plan.align,
        size: match (plan.size, plan.fill) {
            (Some(bytes), _) => Length::Bytes(bytes),
            (None, Some(weight)) => Length::Fill(weight),
            (None, None) => Length::Content,
        },
        kind: match plan.kind {
            PartitionType::Mbr(number) => Kind::Mbr(number),
            PartitionType::Gpt(guid) => Kind::Gpt(guid),
        },
        bootable: plan.bootable,
        name: plan.name.clone().unwrap_or_default(),
        guid: plan.guid,
        part,
    }
}

impl<'p> Prepared<'p> {
    /// The bytes of the image, before it is put into a container or compressed.
    #[must_use]
    pub fn image(&self) -> &dyn PieceSource {
        match &self.disk {
            Some(disk) => disk,
            None => self.appended.as_ref().map_or(&*self.root.layout, |appended| appended),
        }
    }

    /// The length in \[bytes\] of the hash tree after the root file system, if there is one and no disk.
    pub(crate) fn appended_bytes(&self) -> Option<u64> {
        self.appended.as_ref().map(|appended| appended.len() - self.root.layout.len())
    }

    /// The length of the image in \[bytes\], before it is put into a container or compressed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.image().len()
    }

    /// All ext4 file systems, the root first, the others in the order of their partitions.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume<'p>> {
        let others = self.parts.iter().filter_map(|part| match &part.content {
            PartContent::Ext4(volume) => Some(&**volume),
            _ => None,
        });
        std::iter::once(&self.root).chain(others)
    }

    /// All trees of the image, by [`TreeId`].
    #[must_use]
    pub fn trees(&self) -> &[FileTree] {
        &self.trees
    }

    /// The number of regular files in the image. A file with several names counts once.
    #[must_use]
    pub fn files(&self) -> u64 {
        let files = self
            .trees
            .iter()
            .flat_map(FileTree::iter)
            .filter(|(_, node)| matches!(node.kind(), NodeKind::File { .. }));
        to_u64(files.count())
    }

    /// The raw partition or blob of a file of the image, if it is one.
    pub(crate) fn single_file(&self, file: FileRef) -> Option<&SingleFile> {
        let raw = self.parts.iter().filter_map(|part| match &part.content {
            PartContent::Raw(file) => Some(file),
            _ => None,
        });
        raw.chain(&self.blobs).find(|single| single.file == file)
    }

    /// The root's layout.
    pub(crate) fn root_layout(&self) -> &Layout {
        &self.root.layout
    }

    /// Compares the hashes of closures without writing anything, if the plan asks for it.
    pub fn verify_hashes(&self, observer: &dyn Observer) -> Result<(), Failure> {
        hashes::verify_all(self.volumes().map(|volume| &volume.scanned), observer)
    }
}
