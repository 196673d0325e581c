//! From the disk of a plan to the pieces of an image: which file systems there are, what stands beside them, and the
//! disk around all of them.

use std::collections::BTreeMap;
use std::path::Path;

use build_plan::{
    DiskPlan, Entry, EntryKind, FatBits, FatPlan, PartitionContent, PartitionPlan, PartitionType, Plan,
    TablePlan, TreePlan, VolumePlan,
};
use disk_layout::{Blob, Disk, Kind, Part, Partition, Table};
use ext4_layout::LayoutError;
use fat_layout::FatLayout;
use file_scanner::{Scan, Sources, Warning, WarningKind};
use image_tree::{FileTree, ImagePath, NodeKind, PieceSource, SectorSize, Timestamp};

use crate::exit::{Exit, Failure};
use crate::outputs::Outputs;
use crate::pipeline::{Gathered, Layouts};
use crate::progress::Meter;

/// A file system that a plan describes, and where.
#[derive(Debug)]
pub(crate) struct Planned<'p> {
    pub(crate) volume: &'p VolumePlan,
    /// What stands before its fields: `plan`, or `plan.disk.partitions[1].content`.
    pub(crate) place: String,
    /// The index and the length of its partition, where they are given.
    partition: Option<(usize, Option<u64>)>,
}

/// Length of the blocks of a file system, in \[bytes\].
const BLOCK: u64 = 4096;

impl Planned<'_> {
    /// The exact size of the file system: its own, or that of its partition, which a sealed one does not fill.
    pub(crate) fn size(&self) -> Option<u64> {
        if self.volume.filesystem.sealed {
            return None;
        }
        let of_partition = self.partition.and_then(|(_, size)| size).map(|size| size - size % BLOCK);
        self.volume.filesystem.size.or(of_partition)
    }

    /// Names the partition where that is what is too small.
    pub(crate) fn does_not_fit(&self, error: LayoutError) -> Failure {
        match self.partition {
            Some((index, Some(_))) if self.volume.filesystem.size.is_none() => {
                let place = format!("plan.disk.partitions[{index}].size");
                Failure::from(error).renamed("plan.filesystem.size", &place).within(&self.place)
            }
            _ => Failure::from(error).within(&self.place),
        }
    }
}

/// The root, and the other ext4 file systems in the order of their partitions.
pub(crate) fn file_systems(plan: &Plan) -> (Planned<'_>, Vec<Planned<'_>>) {
    let mut root = Planned { volume: &plan.root, place: "plan".to_owned(), partition: None };
    let mut others = Vec::new();
    for (index, partition) in partitions(plan.disk.as_ref()) {
        match &partition.content {
            PartitionContent::Root => root.partition = Some((index, partition.size)),
            PartitionContent::Ext4(volume) => others.push(Planned {
                volume,
                place: format!("plan.disk.partitions[{index}].content"),
                partition: Some((index, partition.size)),
            }),
            _ => {}
        }
    }
    (root, others)
}

fn partitions(disk: Option<&DiskPlan>) -> impl Iterator<Item = (usize, &PartitionPlan)> {
    disk.into_iter().flat_map(|disk| disk.partitions.iter().enumerate())
}

/// What is on a disk beside ext4 file systems.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    firmware: Vec<Firmware>,
    /// What is unusual about the partitions themselves.
    warnings: Vec<String>,
    /// Single files, each at the path of its number in the root of one tree.
    files: Option<Scan>,
}

/// A folder that becomes a FAT file system.
#[derive(Debug)]
struct Firmware {
    index: usize,
    bytes: u64,
    plan: FatPlan,
    serial_number: u32,
    sector: SectorSize,
    scan: Scan,
}

impl Beside {
    /// Looks at all of it.
    pub(crate) fn scan(plan: &Plan, outputs: &Outputs, meter: &Meter) -> Result<Self, Failure> {
        let mut firmware = Vec::new();
        let sector = plan.disk.as_ref().map_or_else(SectorSize::default, |disk| disk.sector);
        for (index, partition) in partitions(plan.disk.as_ref()) {
            if let PartitionContent::Fat(fat) = &partition.content {
                let bytes = partition.size.unwrap_or_default();
                let scan = scan_firmware(index, fat, outputs, meter)?;
                let derived = || disk_layout::fat_serial_number(&plan.root.filesystem.uuid, index + 1);
                let serial_number = fat.id.unwrap_or_else(derived);
                firmware.push(Firmware { index, bytes, plan: fat.clone(), serial_number, sector, scan });
            }
        }
        let sources: Vec<_> = plan.disk.iter().flat_map(single_files).collect();
        let files = if sources.is_empty() { None } else { Some(scan_files(&sources, meter)?) };
        Ok(Self { firmware, warnings: empty_partitions(plan), files })
    }

    pub(crate) fn trees(&self) -> impl Iterator<Item = &FileTree> {
        self.firmware.iter().map(|firmware| &firmware.scan).chain(&self.files).map(|scan| &scan.tree)
    }

    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        let files = self.files.iter().flat_map(|scan| &scan.warnings).map(|warning| warning.text.clone());
        self.firmware.iter().flat_map(Firmware::warnings).chain(files).chain(self.warnings.clone())
    }

    /// The FAT file systems, in the order of their partitions.
    pub(crate) fn layouts(&self) -> Result<Vec<FatLayout>, Failure> {
        self.firmware.iter().map(Firmware::layout).collect()
    }
}

/// A warning about a file system, with the place of that file system: `plan`, or a field below it.
pub(crate) fn at_place(text: &str, place: &str) -> String {
    match text.strip_prefix("plan.") {
        _ if place == "plan" => text.to_owned(),
        Some(rest) => format!("{place}.{rest}"),
        None => format!("{place}: {text}"),
    }
}

impl Firmware {
    /// What people should know of its folder. FAT has neither owners nor modes, and its content no field for mounts.
    fn warnings(&self) -> Vec<String> {
        let place = format!("plan.disk.partitions[{}].content", self.index);
        let of_fat = self.scan.warnings.iter().filter(|warning| warning.kind != WarningKind::SetId);
        let text =
            |warning: &Warning| match (warning.kind, warning.text.split_once("; set \"oneFileSystem\"")) {
                (WarningKind::Mounts, Some((what, _))) => {
                    let what = what.strip_prefix("plan.trees[0]").unwrap_or(what);
                    format!("{place}{what}; unmount it, or name a copy of the folder")
                }
                (WarningKind::Outputs, _) => warning.text.clone(),
                _ => at_place(&warning.text, &place),
            };
        of_fat.map(text).collect()
    }

    fn layout(&self) -> Result<FatLayout, Failure> {
        let options = fat_layout::Options {
            bytes: self.bytes,
            label: self.plan.label,
            id: self.serial_number,
            sector: self.sector,
            bits: self.plan.bits.map(|bits| match bits {
                FatBits::Fat16 => fat_layout::Bits::Fat16,
                FatBits::Fat32 => fat_layout::Bits::Fat32,
            }),
        };
        FatLayout::plan(&self.scan.tree, &options).map_err(|error| {
            Failure::new(Exit::Fit, format!("plan.disk.partitions[{}].content: {error}", self.index))
        })
    }
}

/// Partitions of types that are of no use without a content, and have none.
fn empty_partitions(plan: &Plan) -> Vec<String> {
    let empty =
        partitions(plan.disk.as_ref()).filter(|(_, partition)| partition.content == PartitionContent::Empty);
    let warning = |(index, partition): (usize, &PartitionPlan)| {
        let text = if partition.kind.is_swap() {
            "is a swap partition, but holds no swap area; run mkswap on it at the first boot, or give its line in fstab the option x-systemd.makefs"
        } else if partition.kind.is_esp() {
            "is an EFI system partition without a file system, from which no firmware boots; give it \"content\": { \"kind\": \"fat\" }"
        } else {
            return None;
        };
        Some(format!("plan.disk.partitions[{index}]: {text}"))
    };
    empty.filter_map(warning).collect()
}

fn scan_firmware(index: usize, plan: &FatPlan, outputs: &Outputs, meter: &Meter) -> Result<Scan, Failure> {
    let trees: Vec<TreePlan> = plan.source.iter().map(|source| tree(source)).collect();
    let nothing = BTreeMap::new();
    let sources = sources(&trees, &nothing);
    let place = format!("plan.disk.partitions[{index}].content");
    let scan = file_scanner::scan_except(&sources, &outputs.own_files(), &|entries| meter.advance(entries));
    let mut scan = scan.map_err(|errors| Failure::from(errors).renamed("plan.trees[0]", &place))?;
    scan.warnings.extend(outputs.in_trees(&scan.own, &trees, &|_| place.clone())?);
    Ok(scan)
}

fn tree(source: &Path) -> TreePlan {
    // FAT has no holes.
    TreePlan { keep_holes: false, ..TreePlan::new(source.to_owned(), ImagePath::root()) }
}

fn sources<'a>(trees: &'a [TreePlan], entries: &'a BTreeMap<ImagePath, Entry>) -> Sources<'a> {
    static NO_ATTRIBUTES: BTreeMap<ImagePath, build_plan::AttributesPlan> = BTreeMap::new();
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

/// The single files of a disk, with the field that names each: contents of raw partitions, then blobs.
fn single_files(disk: &DiskPlan) -> Vec<(String, &Path)> {
    let raw = disk.partitions.iter().enumerate().filter_map(|(index, partition)| match &partition.content {
        PartitionContent::Raw(source) => {
            Some((format!("plan.disk.partitions[{index}].content"), source.as_path()))
        }
        _ => None,
    });
    let blobs = disk.blobs.iter().enumerate();
    raw.chain(blobs.map(|(index, blob)| (format!("plan.disk.blobs[{index}]"), blob.source.as_path())))
        .collect()
}

fn scan_files(files: &[(String, &Path)], meter: &Meter) -> Result<Scan, Failure> {
    let entry = |source: &Path| Entry {
        kind: EntryKind::Source(source.to_owned()),
        permissions: None,
        uid: 0,
        gid: 0,
        xattrs: Vec::new(),
        keep_holes: false,
    };
    let entries =
        files.iter().enumerate().filter_map(|(number, (_, source))| Some((path_of(number)?, entry(source))));
    let entries: BTreeMap<_, _> = entries.collect();
    let scan = file_scanner::scan(&sources(&[], &entries), &|entries| meter.advance(entries));
    scan.map_err(|errors| {
        let rename = |failure: Failure, (number, (field, _)): (usize, &(String, &Path))| {
            failure.renamed(&format!("plan.entries.\"/{number:020}\""), field)
        };
        files.iter().enumerate().fold(Failure::from(errors), rename)
    })
}

/// So that the order of the tree is that of the numbers.
fn path_of(number: usize) -> Option<ImagePath> {
    ImagePath::parse(format!("/{number:020}").as_bytes()).ok()
}

/// The disk that a plan asks for, around the file systems; `None` where it asks for none.
pub(crate) fn disk<'g>(
    plan: &Plan,
    gathered: &'g Gathered<'_>,
    layouts: &'g Layouts<'g>,
) -> Result<Option<Disk<'g>>, Failure> {
    let Some(planned) = &plan.disk else { return Ok(None) };
    let bases = bases(gathered)?;
    let mut volumes = layouts.others.iter().map(image).zip(bases.others.iter().copied());
    let mut firmware = layouts.firmware.iter().map(image).zip(bases.firmware.iter().copied());
    let mut files = gathered.beside.files(bases.files);
    let mut partitions = Vec::with_capacity(planned.partitions.len());
    for (index, partition) in planned.partitions.iter().enumerate() {
        let volume = |(image, base)| Part::Volume { image, base };
        let part = match &partition.content {
            PartitionContent::Empty => Some(Part::Empty),
            PartitionContent::Root => Some(Part::Volume { image: &layouts.root, base: 0 }),
            PartitionContent::Ext4(_) => volumes.next().map(volume),
            PartitionContent::Fat(_) => firmware.next().map(volume),
            PartitionContent::Raw(_) => files.next().map(|(node, len)| Part::File { node, len }),
        };
        let what = format!("plan.disk.partitions[{index}]");
        partitions.push(Partition {
            start: partition.start,
            size: partition.size,
            kind: match partition.kind {
                PartitionType::Mbr(number) => Kind::Mbr(number),
                PartitionType::Gpt(guid) => Kind::Gpt(guid),
            },
            bootable: partition.bootable,
            name: partition.name.clone().unwrap_or_default(),
            guid: partition.guid,
            part: part.ok_or_else(|| lost(&what))?,
            what,
        });
    }
    let blobs = planned.blobs.iter().enumerate().map(|(index, blob)| {
        let what = format!("plan.disk.blobs[{index}]");
        let (node, len) = files.next().ok_or_else(|| lost(&what))?;
        Ok(Blob { offset: blob.offset, node, len, what })
    });
    let options = disk_layout::Options {
        table: match planned.table {
            TablePlan::Mbr { id } => Table::Mbr(id),
            TablePlan::Gpt { guid } => Table::Gpt(guid),
        },
        sector: planned.sector,
        size: planned.size,
        seed: plan.root.filesystem.uuid,
        blobs: blobs.collect::<Result<_, Failure>>()?,
        partitions,
    };
    Disk::plan(options).map(Some).map_err(Failure::from)
}

fn image<T: PieceSource>(layout: &T) -> &dyn PieceSource {
    layout
}

/// What is added to the numbers of the files of each tree.
struct Bases {
    others: Vec<usize>,
    firmware: Vec<usize>,
    files: usize,
}

fn bases(gathered: &Gathered<'_>) -> Result<Bases, Failure> {
    let mut next = gathered.root.scan.tree.len();
    let mut take = |tree: &FileTree| {
        let base = next;
        next = next.saturating_add(tree.len());
        base
    };
    let others = gathered.others.iter().map(|volume| take(&volume.scan.tree)).collect();
    let firmware = gathered.beside.firmware.iter().map(|firmware| take(&firmware.scan.tree)).collect();
    let files = gathered.beside.files.as_ref().map_or(0, |scan| take(&scan.tree));
    if image_tree::NodeId::from_index(next).is_none() {
        let text = "plan.disk: its file systems have more than 4294967295 entries in all; leave some out";
        return Err(Failure::new(Exit::Fit, text));
    }
    Ok(Bases { others, firmware, files })
}

impl Beside {
    /// The numbers and lengths of single files, in the order of [`single_files`].
    fn files(&self, base: usize) -> impl Iterator<Item = (image_tree::NodeId, u64)> {
        let nodes = self.files.iter().flat_map(|scan| scan.tree.iter());
        nodes.filter_map(move |(id, node)| {
            let NodeKind::File { size, .. } = node.kind() else { return None };
            Some((image_tree::NodeId::from_index(base.checked_add(id.index())?)?, size))
        })
    }
}

fn lost(what: &str) -> Failure {
    Failure::new(Exit::Bug, format!("{what}: lost on the way from the plan to the disk; please report it"))
}
