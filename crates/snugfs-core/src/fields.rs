//! Maps errors and warnings of the other crates to fields of the plan. Those crates name sources, options and parts of a disk
//! in their own terms.

use closure_registration::{ClosureError, ClosureErrors, InvalidStorePath, JsonStep, VerifyError, Within};
use disk_layout::{DiskError, Item};
use ext4_layout::{LayoutError, LayoutWarning, OptionName};
use fat_layout::FatError;
use file_scanner::{ScanError, ScanErrors, SourceError, SourceField, SourceId, Subject, Warning};
use image_tree::{Explain, ImagePath, io_reason};
use snugfs_plan::{ClosureSource, Location, TreePlan, VolumePlan};

use crate::boot::Added;
use crate::failure::{Failure, FailureKind, kind_of_scan};
use crate::problem::{At, Problem};

/// The subject of a scan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scanned<'p> {
    /// An ext4 file system, its place in the plan, and what its boot loader adds.
    Volume(&'p VolumePlan, &'p Location, &'p Added),
    /// A FAT file system, by its place in the plan, the number of its folders, and what its boot loader adds.
    Folder(&'p Location, usize, &'p Added),
    /// A single file, by its place in the plan.
    File(&'p Location),
}

impl<'p> Scanned<'p> {
    fn location(self, id: &SourceId, field: &SourceField) -> Option<Location> {
        let added = match self {
            Self::Volume(plan, _, added) => added.location(plan.trees.len(), id),
            Self::Folder(_, trees, added) => added.location(trees, id),
            Self::File(_) => None,
        };
        if added.is_some() {
            return added;
        }
        let of_source = match (self, id) {
            (Self::Volume(plan, at, _), _) => volume_source(plan, at, id)?,
            (Self::Folder(at, ..), SourceId::Entry(path)) => at.key("entries").key(text(path)),
            (Self::Folder(at, ..) | Self::File(at), _) => at.clone(),
        };
        let path = if *id == SourceId::Store { "sourceDir" } else { "source" };
        Some(match field {
            SourceField::Itself => of_source,
            SourceField::Path => of_source.key(path),
            SourceField::Mode => of_source.key("mode"),
            SourceField::Xattr(name) => of_source.key("xattrs").key(name),
        })
    }

    fn name(self, id: &SourceId) -> String {
        self.location(id, &SourceField::Itself).map_or_else(|| id.to_string(), |at| at.to_string())
    }

    fn at(self, subject: &Subject) -> At {
        match subject {
            Subject::Source(id, field) => {
                self.location(id, field).map_or_else(|| At::Named(id.to_string()), At::Plan)
            }
            Subject::Path(path) => path.into(),
            Subject::Contents => subject.to_string().into(),
        }
    }

    /// A problem, with its place in the plan.
    fn placed(self, subject: &Subject, what: String, help: String) -> Problem {
        match (self, subject) {
            (Self::Folder(at, ..) | Self::File(at), Subject::Contents) => Problem::new(at, what, help),
            (Self::Folder(at, ..) | Self::File(at), Subject::Path(_)) => {
                within(at, &self.at(subject), &what, help)
            }
            (Self::Volume(_, at, _), Subject::Contents | Subject::Path(_)) => {
                within_volume(at, self.at(subject), what, help)
            }
            (_, Subject::Source(..)) => Problem::new(self.at(subject), what, help),
        }
    }

    /// The failure of a scan.
    pub(crate) fn failure(self, errors: &ScanErrors) -> Failure {
        let problems = errors.errors().iter().map(|error| self.problem(error));
        let rest = errors.rest().map(Problem::from);
        Failure::all(kind_of_scan(errors.kind()), problems.chain(rest))
    }

    fn problem(self, error: &ScanError) -> Problem {
        let (subject, what, help) = error.message(&|id| self.name(id));
        let help = self.help(error).unwrap_or(help);
        self.placed(&subject, what, help)
    }

    /// Help that names a field of the plan, if there is any.
    fn help(self, error: &ScanError) -> Option<String> {
        let is_volume = matches!(self, Self::Volume(..));
        let of_volume = |field: &str| match self {
            Self::Volume(_, at, _) => at.key(field).to_string(),
            Self::Folder(at, ..) | Self::File(at) => at.to_string(),
        };
        let help = match error {
            ScanError::MissingStorePath { path } => {
                let folder = format!("{}.sourceDir", of_volume("closure"));
                format!("{}, or correct {folder}", file_scanner::realise(path))
            }
            ScanError::Conflict { path, one, other } => self.help_with_conflict(path, one, other)?,
            ScanError::NeedsDirectory { path, one, .. } => self.help_to_exclude(path, one)?,
            ScanError::MissingPath { .. } => {
                format!("create the path in {}, or leave out its attributes", of_volume("entries"))
            }
            ScanError::InMount { .. } if is_volume => {
                "unmount it, or set \"oneFileSystem\" of the tree to true to skip it".to_owned()
            }
            ScanError::InMount { .. } => "unmount it, or name a copy of the folder".to_owned(),
            ScanError::UnmappedOwner { .. } => {
                "run snugfs as root or in \"podman unshare\", or leave out \"owner\": \"keep\"".to_owned()
            }
            ScanError::Time { .. } if is_volume => {
                "fix it with touch, or leave out \"times\": \"keep\"".to_owned()
            }
            _ => return None,
        };
        Some(help)
    }

    /// The tree of the plan that a source is, and its place.
    fn tree(self, id: &SourceId) -> Option<(&'p TreePlan, Location)> {
        match (self, id) {
            (Self::Volume(plan, at, _), SourceId::Tree(index)) => {
                Some((plan.trees.get(*index)?, at.key("trees").index(*index)))
            }
            _ => None,
        }
    }

    /// What to do if two sources have a file at a path.
    fn help_with_conflict(self, path: &str, one: &SourceId, other: &SourceId) -> Option<String> {
        match (self.tree(one), self.tree(other)) {
            (Some(_), Some((_, later))) => {
                let help = format!("write \"overlap\": \"later-wins\" in {later}");
                Some(format!("{help}, or leave the file out with \"exclude\""))
            }
            (Some(_), None) => self.help_to_exclude(path, one),
            _ => self.help_to_exclude(path, other),
        }
    }

    /// How a tree leaves out a file of the image; `None` if it is no tree of the plan.
    fn help_to_exclude(self, path: &str, id: &SourceId) -> Option<String> {
        let (tree, at) = self.tree(id)?;
        let target = std::str::from_utf8(tree.target.as_bytes()).ok()?;
        let pattern = path.strip_prefix(target.trim_end_matches('/'))?;
        // Other characters have a meaning in patterns, or are escaped in the message.
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+@".contains(letter);
        Some(if pattern.chars().all(is_plain) {
            format!("add \"exclude\": [\"{pattern}\"] to {at}")
        } else {
            format!("leave the file out of {at} with \"exclude\"")
        })
    }

    /// A warning about the sources. `None` if it does not apply to FAT.
    pub(crate) fn warning(self, warning: &Warning) -> Option<Problem> {
        let is_volume = matches!(self, Self::Volume(..));
        let explained = warning.explain();
        let help = match warning {
            // FAT has no owners and no modes.
            Warning::SetId { .. } if !is_volume => return None,
            Warning::SetId { .. } => "set \"owner\" to \"keep\" to keep them".to_owned(),
            Warning::Mounts { .. } if is_volume => {
                "set \"oneFileSystem\" to true to skip it, or to false to copy it without this warning"
                    .to_owned()
            }
            Warning::Mounts { .. } => "unmount it, or name a copy of the folder".to_owned(),
            Warning::Room { .. } if is_volume => {
                "set \"holes\" to \"keep\" if it is \"fill\", or leave out these files".to_owned()
            }
            Warning::Room { .. } => "leave out these files".to_owned(),
            Warning::LooksLikeImage { .. } => "set \"kind\" to \"oci\"".to_owned(),
            Warning::ArchiveXattrs { .. } => "name those to keep in \"xattrs\"".to_owned(),
            _ => explained.help,
        };
        Some(self.placed(&warning.subject(), explained.what, help))
    }
}

fn volume_source(plan: &VolumePlan, at: &Location, id: &SourceId) -> Option<Location> {
    Some(match id {
        SourceId::Store => at.key("closure"),
        SourceId::Tree(index) => at.key("trees").index(*index),
        SourceId::Entry(path) => at.key("entries").key(text(path)),
        SourceId::Attributes(path) => at.key("attributes").key(text(path)),
        SourceId::Inline(path) => {
            if let Some(index) = plan.trees.iter().position(|tree| tree.config_target.as_ref() == Some(path))
            {
                return Some(at.key("trees").index(index).key("ociConfigTarget"));
            }
            let registration = plan.closure.as_ref().and_then(|closure| closure.registration_target.as_ref());
            let is_registration = registration == Some(path);
            at.key("closure").key(if is_registration { "registrationTarget" } else { "nixDatabase" })
        }
        SourceId::All => at.clone(),
        SourceId::FileSystem => return None,
    })
}

fn text(path: &ImagePath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}

/// The key of an option in the plan.
const fn key(option: OptionName) -> &'static str {
    match option {
        OptionName::Size => "size",
        OptionName::FreeSpace => "freeSpace",
        OptionName::FreeInodes => "freeInodes",
        OptionName::BytesPerInode => "bytesPerInode",
        OptionName::GrowTo => "growTo",
        OptionName::JournalSize => "journalSize",
        OptionName::Reserved => "reservedPercent",
        OptionName::Uuid => "uuid",
        _ => option.field(),
    }
}

/// A problem of something in the image that is not in the plan. A root file system needs no name; in another volume, its place
/// comes first.
fn within_volume(volume: &Location, at: At, what: String, help: String) -> Problem {
    if *volume == Location::plan() { Problem::new(at, what, help) } else { within(volume, &at, &what, help) }
}

fn within(place: &Location, at: &At, what: &str, help: String) -> Problem {
    Problem::new(place, format!("{at}: {what}"), help)
}

fn layout_problem(
    (subject, what, help): (ext4_layout::Subject, String, String),
    plan: &VolumePlan,
    volume: &Location,
) -> Problem {
    let fields = volume.key("filesystem");
    match subject {
        ext4_layout::Subject::Path(path) => match planned(&path, plan, volume) {
            Some(at) => Problem::new(at, what, help),
            None => within_volume(volume, path.to_string().into(), what, help),
        },
        ext4_layout::Subject::Option(option) => Problem::new(fields.key(key(option)), what, help),

        _ => Problem::new(fields, what, help),
    }
}

/// The place of a path of the image in the plan, if it is there: first that of extended attributes, which most problems are
/// about.
fn planned(path: &ImagePath, plan: &VolumePlan, volume: &Location) -> Option<Location> {
    let attributes = plan.attributes.get(path).map(|plan| (!plan.xattrs.is_empty(), "attributes"));
    let entry = plan.entries.get(path).map(|entry| (!entry.xattrs.is_empty(), "entries"));
    let at = |list: &str| volume.key(list).key(text(path));
    let with_xattrs = [attributes, entry].into_iter().flatten().find(|(has_xattrs, _)| *has_xattrs);
    let with_xattrs = with_xattrs.map(|(_, list)| at(list).key("xattrs"));
    with_xattrs.or_else(|| entry.or(attributes).map(|(_, list)| at(list)))
}

/// The failure of a layout: contents that do not fit. `size` is the field that sets the size, if it is not the file system's
/// own.
pub(crate) fn layout_failure(
    error: &LayoutError,
    plan: &VolumePlan,
    volume: &Location,
    size: Option<&Location>,
) -> Failure {
    let (subject, what, help) = error.message(&|option| key(option).to_owned());
    let problem = match (&subject, size) {
        (ext4_layout::Subject::Option(OptionName::Size), Some(size)) => Problem::new(size, what, help),
        _ => layout_problem((subject, what, help), plan, volume),
    };
    Failure::of(FailureKind::Fit, problem)
}

/// A warning about a file system's layout.
pub(crate) fn layout_warning(warning: &LayoutWarning, plan: &VolumePlan, volume: &Location) -> Problem {
    let name = |option| volume.key("filesystem").key(key(option)).to_string();
    layout_problem(warning.message(&name), plan, volume)
}

struct FatNames;

impl fat_layout::Names for FatNames {
    fn any_type(&self) -> String {
        "leave out \"bits\"".to_owned()
    }

    fn fat32(&self) -> String {
        "set \"bits\" to 32".to_owned()
    }

    fn less_free_space(&self) -> String {
        "decrease \"freeSpace\"".to_owned()
    }
}

/// The failure of the layout of a FAT file system. `at` is its place in the plan.
pub(crate) fn fat_failure(error: &FatError, at: &Location) -> Failure {
    let (subject, what, help) = error.message(&FatNames);
    match subject {
        fat_layout::Subject::Path(path) => {
            Failure::new(FailureKind::Fit, at, format!("{path}: {what}"), help)
        }
        fat_layout::Subject::FreeSpace => Failure::new(FailureKind::Fit, at.key("freeSpace"), what, help),
        _ => Failure::new(FailureKind::Fit, at, what, help),
    }
}

/// The names of a disk's items. Blobs of the boot loader follow those of the plan, whose number this is.
struct DiskNames(usize);

impl disk_layout::Names for DiskNames {
    fn item(&self, item: Item) -> String {
        match item {
            Item::Table => item.to_string(),
            Item::Partition(_) | Item::Blob(_) | Item::Disk => disk_item(item, self.0).to_string(),
        }
    }

    fn size(&self) -> String {
        "plan.disk.size".to_owned()
    }

    fn round_to(&self) -> String {
        "plan.disk.roundTo".to_owned()
    }

    fn gpt(&self) -> String {
        "write \"table\": \"gpt\"".to_owned()
    }
}

fn disk_item(item: Item, blobs: usize) -> Location {
    let disk = Location::plan().key("disk");
    match item {
        Item::Table => disk.key("table"),
        Item::Partition(index) => disk.key("partitions").index(index),
        Item::Blob(index) if index < blobs => disk.key("blobs").index(index),
        // The boot code comes first, then the core.
        Item::Blob(index) => {
            Location::plan().key("boot").key("bios").key(if index == blobs { "boot" } else { "core" })
        }
        Item::Disk => disk,
    }
}

/// The failure of a disk's layout. `blobs` is the number of the plan's blobs.
pub(crate) fn disk_failure(error: &DiskError, blobs: usize) -> Failure {
    let kind = if error.is_conflict() { FailureKind::Plan } else { FailureKind::Fit };
    let (item, what, help) = error.message(&DiskNames(blobs));
    Failure::new(kind, disk_item(item, blobs), what, help)
}

/// A problem of a closure. If the graph is in the plan, the problem gets its place there.
pub(crate) fn closure_problem(error: &ClosureError, volume: &Location) -> Problem {
    let problem = Problem::from(error);
    let closure = volume.key("closure");
    let at = match error.place() {
        Some(place) if place.name == graph_name(volume) => match &place.at {
            Within::Json(steps) => steps
                .iter()
                .fold(closure.key("graph"), |at, step| match step {
                    JsonStep::Key(key) => at.key(key),
                    JsonStep::Index(index) => at.index(*index),
                })
                .into(),
            Within::Whole | Within::Line(_) => closure.key("graph").into(),
        },
        None if matches!(error, ClosureError::More { .. }) => closure.into(),
        None if *volume != Location::plan() => {
            return within(&closure, &problem.at, &problem.what, closure_help(error).unwrap_or(problem.help));
        }
        _ => problem.at,
    };
    let help = closure_help(error).unwrap_or(problem.help);
    Problem { at, what: problem.what, help, ..Problem::default() }
}

/// Help that names a field of the plan, if there is any.
fn closure_help(error: &ClosureError) -> Option<String> {
    let help = match error {
        ClosureError::StorePath { reason: InvalidStorePath::OtherStore { .. }, .. } => {
            "give paths of one store, and its directory as storeDir"
        }
        ClosureError::NotInTree { .. } => "set sourceDir to the store that contains it",
        _ => return None,
    };
    Some(help.to_owned())
}

/// The name of a graph in the plan, for messages.
pub(crate) fn graph_name(volume: &Location) -> String {
    volume.key("closure").key("graph").to_string()
}

/// The files of a closure, with their fields.
pub fn closure_files<'p>(volume: &'p VolumePlan, at: &Location) -> Vec<(Location, &'p std::path::Path)> {
    let closure = at.key("closure");
    match volume.closure.as_ref().map(|closure| &closure.source) {
        Some(ClosureSource::Registration { registration, store_paths }) => {
            let list = store_paths.as_deref().map(|list| (closure.key("storePaths"), list));
            std::iter::once((closure.key("registration"), registration.as_path())).chain(list).collect()
        }
        Some(ClosureSource::GraphFile(graph)) => vec![(closure.key("graph"), graph.as_path())],
        Some(ClosureSource::Graph(_)) | None => Vec::new(),
    }
}
/// The failure of an invalid closure. `volume` is the place of its file system.
pub(crate) fn closure_failure(errors: &ClosureErrors, volume: &Location) -> Failure {
    Failure::all(FailureKind::Closure, errors.iter().map(|error| closure_problem(error, volume)))
}

/// The failure of a closure whose hashes differ, or could not be computed.
pub(crate) fn verification_failure(error: VerifyError<SourceError>, volume: &Location) -> Failure {
    match error {
        VerifyError::Closure(errors) => closure_failure(&errors, volume),
        VerifyError::Open(error) => error.into(),
        VerifyError::Read { file, reason } => Failure::new(
            FailureKind::Source,
            file,
            format!("can't be read: {}", io_reason(&reason)),
            "check its disk",
        ),
        VerifyError::Changed(changed) => Failure::of(FailureKind::Source, Problem::from(&changed)),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn errors_of_each_stage_have_its_kind() {
        let file = || "/store/x".to_owned();
        let volume = Location::plan();
        let changed = VerifyError::Changed(closure_registration::Changed { file: file(), size: 1 });
        let unread = VerifyError::Read { file: file(), reason: io::ErrorKind::PermissionDenied.into() };
        for failure in [
            Failure::from(SourceError::Vanished { path: file() }),
            verification_failure(changed, &volume),
            verification_failure(unread, &volume),
        ] {
            assert_eq!(failure.kind, FailureKind::Source, "{failure}");
        }
        assert_eq!(kind_of_scan(file_scanner::ErrorKind::Closure), FailureKind::Closure);
        assert_eq!(kind_of_scan(file_scanner::ErrorKind::Limit), FailureKind::Fit);
    }
}
