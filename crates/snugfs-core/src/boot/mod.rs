//! The boot loader of a plan: the files it adds to file systems, and code outside of them.

mod code;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use boot_loaders::{BootError, Contents, File, FileSystem, Files, GrubImages, Machine};
use closure_registration::Closure;
use disk_layout::fat_serial_number;
use file_scanner::SourceId;
use image_tree::{ImagePath, SectorSize, Uuid};
use snugfs_plan::{
    BootLoaderPlan, BootPlan, ClosurePlan, Entry, EntryKind, FatPlan, Location, PartitionContent,
    PartitionPlan, PartitionType, Plan, TablePlan, TreePlan,
};

use self::store::ClosureStore;
use crate::failure::{Failure, FailureKind};
use crate::parts;

pub use self::code::BootCode;
pub(crate) use self::code::CodePlace;

/// What a boot loader adds to an image.
#[derive(Debug, Default)]
pub(crate) struct Boot {
    root: Added,
    /// By the index of the partition.
    partitions: BTreeMap<usize, Added>,
    /// GRUB's code for BIOS.
    pub(crate) code: Option<(GrubImages, CodePlace)>,
}

/// What a boot loader adds to a file system.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// Entries, without those that the plan has.
    entries: BTreeMap<ImagePath, Entry>,
    /// Folders, after those of the plan.
    trees: Vec<TreePlan>,
    /// The fields of the entries.
    fields: BTreeMap<ImagePath, Location>,
    /// The fields of the folders.
    tree_fields: Vec<Location>,
}

/// A file system without additions.
static NOTHING: Added =
    Added { entries: BTreeMap::new(), trees: Vec::new(), fields: BTreeMap::new(), tree_fields: Vec::new() };

impl Boot {
    /// What it adds to the root.
    pub(crate) fn root(&self) -> &Added {
        &self.root
    }

    /// What it adds to the partition of an index.
    pub(crate) fn partition(&self, index: usize) -> &Added {
        self.partitions.get(&index).unwrap_or(&NOTHING)
    }
}

impl Added {
    /// The plan's entries, and these.
    pub(crate) fn entries(&self, planned: &BTreeMap<ImagePath, Entry>) -> BTreeMap<ImagePath, Entry> {
        let all = planned.iter().chain(&self.entries);
        all.map(|(path, entry)| (path.clone(), entry.clone())).collect()
    }

    /// The plan's trees, and these.
    pub(crate) fn trees(&self, planned: &[TreePlan]) -> Vec<TreePlan> {
        planned.iter().chain(&self.trees).cloned().collect()
    }

    /// Whether nothing is added.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.trees.is_empty()
    }

    /// The field of a source, if it was added. `trees` is the number of the plan's trees.
    pub(crate) fn location(&self, trees: usize, id: &SourceId) -> Option<Location> {
        match id {
            SourceId::Entry(path) => self.fields.get(path).cloned(),
            SourceId::Tree(index) => self.tree_fields.get(index.checked_sub(trees)?).cloned(),
            _ => None,
        }
    }
}

/// The files of this machine that a boot loader is made of, with their fields.
pub fn boot_files(plan: &Plan) -> Vec<(Location, &Path)> {
    let at = Location::plan().key("boot");
    let mut files = Vec::new();
    match plan.boot.as_ref().map(|boot| &boot.loader) {
        Some(BootLoaderPlan::SystemdBoot(loader)) => {
            files.push((at.key("loader"), loader.loader.as_path()));
            for (path, source) in &loader.extra_files {
                let name = String::from_utf8_lossy(path.as_bytes());
                files.push((at.key("extraFiles").key(name.trim_start_matches('/')), source.as_path()));
            }
        }
        Some(BootLoaderPlan::Grub(grub)) => {
            files.extend(grub.efi.iter().map(|efi| (at.key("efi").key("image"), efi.image.as_path())));
            if let Some(bios) = &grub.bios {
                files.push((at.key("bios").key("boot"), bios.boot.as_path()));
                files.push((at.key("bios").key("core"), bios.core.as_path()));
            }
            files.extend(grub.font.iter().map(|font| (at.key("font"), font.as_path())));
            files.extend(grub.splash_image.iter().map(|image| (at.key("splashImage"), image.as_path())));
        }
        Some(BootLoaderPlan::Extlinux(_)) | None => {}
    }
    files
}

/// Reads the bootspec of a plan's system, and decides which files its boot loader has. `closure` is that of the root.
pub(crate) fn read(plan: &Plan, closure: Option<&Closure>) -> Result<Boot, Failure> {
    let Some(boot) = &plan.boot else { return Ok(Boot::default()) };
    let at = Location::plan().key("boot");
    let (Some(planned), Some(closure)) = (&plan.root.closure, closure) else {
        return Err(Failure::internal(&at, "a plan with a boot loader has no closure"));
    };
    let esp = only(plan, &at, "esp", PartitionType::is_esp)?;
    let xbootldr = only(plan, &at, "xbootldr", PartitionType::is_xbootldr)?;
    check_boot_partition(boot, xbootldr, &at)?;
    let file_system = |found: Option<(usize, &PartitionPlan)>| {
        found.and_then(|(index, partition)| file_system_of(plan, index, partition))
    };
    let machine = Machine {
        store_dir: planned.store_dir.clone(),
        root: FileSystem {
            uuid: Uuid(plan.root.filesystem.uuid).to_string(),
            label: String::from_utf8_lossy(&plan.root.filesystem.label).into_owned(),
        },
        // Firmware reads only FAT.
        esp: file_system(esp.filter(|(_, esp)| matches!(esp.content, PartitionContent::Fat(_)))),
        xbootldr: file_system(xbootldr),
        profile_time: plan.root.filesystem.timestamp,
    };
    let store = ClosureStore::new(planned, closure);
    let installation = boot_loaders::install(boot, &machine, &store).map_err(|error| failure(&error))?;
    let mut made = Boot {
        root: added(&installation.root, &plan.root.entries, &Location::plan(), planned)?,
        partitions: BTreeMap::new(),
        code: code::read(plan, boot)?,
    };
    for (found, files) in [(esp, &installation.esp), (xbootldr, &installation.xbootldr)] {
        let Some((index, partition)) = found.filter(|_| !files.is_empty()) else { continue };
        let nothing = BTreeMap::new();
        let entries = match &partition.content {
            PartitionContent::Fat(fat) => &fat.entries,
            PartitionContent::Ext4(volume) => &volume.entries,
            _ => &nothing,
        };
        let content = parts::partition_at(index).key("content");
        made.partitions.insert(index, added(files, entries, &content, planned)?);
    }
    Ok(made)
}

/// The partition of a type with a file system that boot loaders read.
fn only<'p>(
    plan: &'p Plan,
    at: &Location,
    name: &str,
    is_type: fn(PartitionType) -> bool,
) -> Result<Option<(usize, &'p PartitionPlan)>, Failure> {
    let mut found = parts::partitions(plan).filter(|(_, partition)| {
        let has_files = matches!(partition.content, PartitionContent::Fat(_) | PartitionContent::Ext4(_));
        has_files && is_type(partition.kind)
    });
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Failure::new(
            FailureKind::Plan,
            at,
            format!("the disk has two partitions with the type {name}"),
            "give one of them another type",
        )),
        (found, None) => Ok(found),
    }
}

/// systemd-boot reads its entries only from FAT.
fn check_boot_partition(
    boot: &BootPlan,
    xbootldr: Option<(usize, &PartitionPlan)>,
    at: &Location,
) -> Result<(), Failure> {
    let is_ext4 =
        xbootldr.is_some_and(|(_, partition)| matches!(partition.content, PartitionContent::Ext4(_)));
    if is_ext4 && matches!(boot.loader, BootLoaderPlan::SystemdBoot(_)) {
        let what = "systemd-boot does not read ext4, the file system of the partition with the type xbootldr";
        return Err(Failure::new(FailureKind::Plan, at.key("kind"), what, "write \"kind\": \"fat\" there"));
    }
    Ok(())
}

fn file_system_of(plan: &Plan, index: usize, partition: &PartitionPlan) -> Option<FileSystem> {
    match &partition.content {
        PartitionContent::Fat(fat) => {
            let (label, uuid) = fat_names(plan, fat, index);
            Some(FileSystem { uuid, label })
        }
        PartitionContent::Ext4(volume) => Some(FileSystem {
            uuid: Uuid(volume.filesystem.uuid).to_string(),
            label: String::from_utf8_lossy(&volume.filesystem.label).into_owned(),
        }),
        _ => None,
    }
}

/// The label of a FAT file system, and its serial number as Linux shows it.
pub(crate) fn fat_names(plan: &Plan, fat: &FatPlan, index: usize) -> (String, String) {
    let id = serial_number(plan, fat, index);
    let label = String::from_utf8_lossy(&fat.label).trim_end().to_owned();
    let label = if fat.label == fat_layout::NO_LABEL { String::new() } else { label };
    (label, format!("{:04X}-{:04X}", id >> 16, id & 0xffff))
}

/// The serial number of a FAT file system, given or derived.
pub(crate) fn serial_number(plan: &Plan, fat: &FatPlan, index: usize) -> u32 {
    fat.id.unwrap_or_else(|| fat_serial_number(&plan.root.filesystem.uuid, index + 1))
}

/// A boot loader's files as sources of a file system, which has these entries at `volume`.
fn added(
    files: &Files,
    planned: &BTreeMap<ImagePath, Entry>,
    volume: &Location,
    closure: &ClosurePlan,
) -> Result<Added, Failure> {
    let mut added = Added::default();
    for (path, file) in files.iter() {
        if let Some(entry) = planned.get(path) {
            // A directory of the plan keeps its own owner and mode.
            if (&entry.kind, &file.contents) == (&EntryKind::Directory, &Contents::Directory) {
                continue;
            }
            let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
            return Err(Failure::new(
                FailureKind::Plan,
                volume.key("entries").key(&name),
                "is also a file of plan.boot",
                "leave one of the two out",
            ));
        }
        let kind = match &file.contents {
            Contents::Bytes(bytes) => EntryKind::Text(bytes.clone()),
            Contents::Directory => EntryKind::Directory,
            Contents::Store(store) => EntryKind::Source(on_this_machine(store, closure)),
            Contents::Host(source) => EntryKind::Source(source.clone()),
            Contents::StoreFolder(_) | Contents::HostFolder(_) => continue,
        };
        let entry = Entry {
            kind,
            permissions: file.permissions,
            uid: 0,
            gid: 0,
            xattrs: Vec::new(),
            keep_holes: false,
        };
        added.entries.insert(path.clone(), entry);
        added.fields.insert(path.clone(), field(file));
    }
    for (path, file) in files.folders() {
        let source = match &file.contents {
            Contents::StoreFolder(store) => on_this_machine(store, closure),
            Contents::HostFolder(source) => source.clone(),
            _ => continue,
        };
        let mut tree = TreePlan::new(source, path.clone());
        tree.keep_holes = false;
        added.trees.push(tree);
        added.tree_fields.push(field(file));
    }
    Ok(added)
}

fn field(file: &File) -> Location {
    file.field.iter().fold(Location::plan().key("boot"), |at, key| at.key(key))
}

/// A path of the store on the machine, on this one.
fn on_this_machine(path: &str, closure: &ClosurePlan) -> PathBuf {
    let store = String::from_utf8_lossy(closure.store_dir.as_bytes());
    let below = path.strip_prefix(&*store).unwrap_or(path).trim_start_matches('/');
    closure.source_dir.join(below)
}

fn failure(error: &BootError) -> Failure {
    let at = error.field.iter().fold(Location::plan().key("boot"), |at, key| at.key(key));
    Failure::new(FailureKind::Plan, at, &error.what, &error.help)
}

/// Where GRUB's boot code and core go, and what the disk must be like.
fn code_place(plan: &Plan) -> Result<CodePlace, Failure> {
    let at = Location::plan().key("boot").key("bios");
    let wrong = |what: &str, help: &str| Failure::new(FailureKind::Plan, &at, what, help);
    let Some(disk) = &plan.disk else { return Err(Failure::internal(&at, "there is no disk")) };
    if disk.sector != SectorSize::Bytes512 {
        let help = "set plan.disk.sectorSize to 512, or leave \"bios\" out";
        return Err(wrong("GRUB's code for BIOS needs sectors of 512 bytes", help));
    }
    let of_partition = |(_, partition): &(usize, &PartitionPlan)| partition.kind.is_bios_boot();
    match (disk.table, parts::partitions(plan).find(of_partition)) {
        (TablePlan::Mbr { .. }, _) => Ok(CodePlace::Gap),
        (TablePlan::Gpt { .. }, Some((index, partition))) if partition.content == PartitionContent::Empty => {
            Ok(CodePlace::Partition(index))
        }
        (TablePlan::Gpt { .. }, Some((index, _))) => Err(Failure::new(
            FailureKind::Plan,
            parts::partition_at(index).key("content"),
            "the partition is for GRUB's core.img",
            "leave the content out",
        )),
        (TablePlan::Gpt { .. }, None) => Err(wrong(
            "the disk has no partition with the type bios-boot for GRUB's core.img",
            "add one before the others: { \"type\": \"bios-boot\", \"size\": \"1MiB\" }",
        )),
    }
}
