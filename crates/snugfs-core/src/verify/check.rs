//! Checks the parts of an image.

use std::collections::BTreeMap;
use std::ops::Range;
use std::{fmt, io};

use ext4_verify::{Findings, Severity, Source, Unused};
use image_reader::{
    FileSystem, Image, Overview, Partition, PartitionTable, ReadError, Volume, VolumeContent, Window,
};
use image_tree::{Explanation, to_usize};
use snugfs_compare::{Differences, Ext4Tree, PartCode};

use super::trees::{self, Trees};
use super::{damaged, swap};

/// Adapts a window for `ext4-verify`.
struct Bytes<'w> {
    window: &'w Window,
    /// The hash tree after the file system, in \[bytes\]: read as zeros, because it is checked by itself.
    tree: Range<u64>,
}

impl Source for Bytes<'_> {
    fn length(&self) -> u64 {
        self.window.length()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.window.read(offset, buffer)?;
        let within = |at: u64| to_usize(at.saturating_sub(offset)).min(buffer.len());
        let tree = within(self.tree.start)..within(self.tree.end);
        buffer[tree].fill(0);
        Ok(())
    }

    fn next_data(&self, offset: u64) -> u64 {
        let found = self.window.next_data(offset);
        if self.tree.contains(&found) { self.window.next_data(self.tree.end) } else { found }
    }
}

/// Where an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// In a file of the image's length.
    File,
    /// On a device. Bytes after the image are old data.
    Device,
}

/// What unused bytes may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terms {
    /// Where the image is stored.
    pub on: Medium,
    /// Whether unused space is not checked (`verify --ignore-unused`).
    pub ignore_unused: bool,
}

impl Terms {
    /// The terms for an image on a medium.
    #[must_use]
    pub fn new(on: Medium, ignore_unused: bool) -> Self {
        Self { on, ignore_unused }
    }

    /// The rule for the unused space of a file system, in a partition or as the whole image.
    fn unused(self, is_alone: bool) -> Unused {
        match (self.ignore_unused, self.on) {
            (true, _) => Unused::Anything,
            (false, Medium::Device) if is_alone => Unused::AnythingBehind,
            (false, _) => Unused::Zeros,
        }
    }
}

/// The result of checking an image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether there is a partition table.
    pub is_disk: bool,
    /// Problems of the partition table, and partitions that can't be read.
    pub table: Vec<String>,
    /// What unused bytes may contain.
    pub terms: Terms,
    /// A remark about the partition table.
    pub note: Option<&'static str>,
    /// Partitions that look as if they should have been checked, but were not.
    pub warnings: Vec<String>,
    /// The parts of the image, in order.
    pub volumes: Vec<CheckedVolume>,
    /// Differences from a plan, if the image was compared with one.
    pub differences: Option<Differences>,
}

/// A file system whose tree is collected while it is checked.
pub(super) struct Watched {
    /// The expected number of its partition, if the image should be a disk.
    pub(super) number: Option<u32>,
    /// Its expected start, in \[bytes\].
    pub(super) start: u64,
    /// The expected length of its partition or image, in \[bytes\].
    pub(super) length: u64,
    /// Its expected number of entries.
    pub(super) entries: usize,
    /// Its bytes and its tree, once they were found.
    pub(super) found: Option<(Window, Ext4Tree)>,
}

/// A part of an image.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckedVolume {
    /// Its partition, if the image is a disk.
    pub partition: Option<Partition>,
    /// The number of its partition, in the table or in the plan.
    pub number: Option<u32>,
    /// Its kind, such as `ext4`.
    pub what: String,
    /// Problems; `None` if it is not ext4 or was not checked.
    pub findings: Option<Findings>,
    /// Problems of its swap area or its hash tree; `None` if it has neither, or if they were not checked.
    pub problems: Option<Vec<PartProblem>>,
}

impl CheckedVolume {
    /// Whether it was checked. With a plan, only ext4 is checked, and everything is compared.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.findings.is_some() || self.problems.is_some()
    }
}

/// A problem of a part of an image other than ext4.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartProblem {
    /// Its kind.
    pub code: PartCode,
    /// The subject, and what is wrong with it, on one line.
    pub text: String,
}

impl PartProblem {
    pub(super) fn new(code: PartCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl fmt::Display for PartProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.code)
    }
}

impl Verdict {
    /// Whether there is no problem. With `used`, only errors in file systems count.
    pub fn is_right(&self, used: bool) -> bool {
        let right = |findings: &Findings| if used { findings.is_sound() } else { findings.is_empty() };
        let holds = self.differences.as_ref().is_none_or(Differences::is_empty);
        let fits = used || self.terms.on == Medium::Device || self.note.is_none();
        self.has_sound_parts() && fits && self.findings().all(right) && holds
    }

    /// Whether there is no damage, in the partition table and in all checked file systems. Differences from a plan and from
    /// what snugfs writes do not count.
    pub fn is_sound(&self) -> bool {
        self.has_sound_parts() && self.findings().all(Findings::is_sound)
    }

    /// Whether there is no damage outside of ext4.
    fn has_sound_parts(&self) -> bool {
        let problems = self.volumes.iter().filter_map(|volume| volume.problems.as_ref());
        self.table.is_empty() && problems.flatten().next().is_none()
    }

    /// The findings of each checked file system.
    pub fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.volumes.iter().filter_map(|volume| volume.findings.as_ref())
    }

    /// The number of problems of a severity.
    pub fn count(&self, severity: Severity) -> u64 {
        self.findings().map(|findings| findings.count(severity)).sum()
    }
}

/// Checks an image: its partition table and all ext4 file systems.
pub fn image(image: &Image, terms: Terms) -> Result<Verdict, ReadError> {
    let found = Overview::read(image)?;
    if let Some((what, remedy)) = foreign(&found) {
        let what = format!("contains {what}, but snugfs only checks ext4 and disks");
        return Err(ReadError::Unsupported(Explanation::new("", what, remedy)));
    }
    overview(&found, &image.window, terms, &mut [])
}

/// The known format of an image that is neither a disk nor ext4, and how to check it.
fn foreign(overview: &Overview) -> Option<(String, String)> {
    let volume = overview.volumes.first().filter(|_| overview.table.is_none())?;
    match &volume.content {
        VolumeContent::FileSystem(FileSystem::Fat(fat)) => {
            Some((format!("FAT{}", fat.bits()), "check it with `fsck.fat -n`".to_owned()))
        }
        VolumeContent::Other(name) => Some(((*name).to_owned(), "use the tools of that format".to_owned())),
        VolumeContent::Unreadable(error) if !is_ext4(&volume.window) => {
            Some(("a file system that can't be read".to_owned(), error.to_string()))
        }
        _ => None,
    }
}

/// Whether there is a superblock of ext2, ext3 or ext4.
fn is_ext4(window: &Window) -> bool {
    let mut magic = [0; 2];
    window.read(0x438, &mut magic).is_ok() && magic == 0xef53_u16.to_le_bytes()
}

/// Checks an image, and collects the trees of the file systems in `watched`. These are checked even if the image does not look
/// like ext4 there. If `watched` is not empty, no other file systems are checked: their bytes are compared with the plan.
pub(super) fn overview(
    overview: &Overview,
    image: &Window,
    terms: Terms,
    watched: &mut [Watched],
) -> Result<Verdict, ReadError> {
    let mut table = overview.table.as_ref().map(|table| table.warnings.clone()).unwrap_or_default();
    let note = overview.table.as_ref().and_then(PartitionTable::note);
    let is_disk = overview.table.is_some();
    let all = watched.is_empty();
    // With a plan, the bytes of these volumes are compared instead.
    if all {
        table.extend(unreadable(overview));
    }
    // With a plan, the bytes of trees are compared.
    let mut trees = if all { trees::check(overview)? } else { Trees::default() };
    let (mut volumes, mut warnings) = (Vec::new(), Vec::new());
    let mut checked = CheckedRanges::default();
    for (index, volume) in overview.volumes.iter().enumerate() {
        let (what, is_ext4) = match &volume.content {
            VolumeContent::FileSystem(FileSystem::Ext4(_)) => ("ext4".to_owned(), true),
            VolumeContent::FileSystem(FileSystem::Fat(fat)) => (format!("fat{}", fat.bits()), false),
            VolumeContent::Other(name) => ((*name).to_owned(), false),
            // Without a partition table, the image is checked as ext4.
            VolumeContent::Unknown if !is_disk => ("unknown".to_owned(), true),
            VolumeContent::Unknown if all && damaged::is_ext4(&volume.window)? => ("ext4".to_owned(), true),
            VolumeContent::Unknown => {
                warnings.extend(damaged::warning(volume)?.filter(|_| all));
                ("unknown".to_owned(), false)
            }
            VolumeContent::Unreadable(_) => ("unreadable".to_owned(), is_ext4(&volume.window)),
        };
        let watched = watched.iter_mut().find(|watched| watched.start == start(volume));
        let unused = terms.unused(volume.partition.is_none());
        // Overlapping partitions are reported with the table. No byte is checked as part of two file systems.
        let is_checked = ((is_ext4 && all) || watched.is_some()) && checked.add(volume);
        let findings = if is_checked {
            let appended = volume.partition.is_none().then(|| trees::split(&volume.window)).flatten();
            let tree = appended.map_or(0..0, |(data, tree)| {
                data.length()..data.length().saturating_add(trees::bytes_of(&tree))
            });
            Some(ext4(&Bytes { window: &volume.window, tree }, unused, watched)?)
        } else {
            None
        };
        let partition = volume.partition.clone();
        let number = partition.as_ref().map(|partition| partition.number);
        let problems =
            if all { trees.checked.remove(&index).or_else(|| swap::problems(volume)) } else { None };
        volumes.push(CheckedVolume { partition, number, what, findings, problems });
    }
    for watched in watched.iter_mut().filter(|watched| watched.found.is_none()) {
        let window = image.part(watched.start, watched.length);
        let what = format!("ext4 at byte {}", watched.start);
        volumes.push(CheckedVolume {
            partition: None,
            number: watched.number,
            what,
            findings: Some(ext4(&Bytes { window: &window, tree: 0..0 }, terms.unused(false), Some(watched))?),
            problems: None,
        });
    }
    Ok(Verdict { is_disk, table, terms, note, warnings, volumes, differences: None })
}

/// Partitions that can't be read and are not checked as ext4: the first ones, and the number of others.
fn unreadable(overview: &Overview) -> Vec<String> {
    const MOST: usize = 10;
    let mut all = overview.volumes.iter().filter_map(|volume| match (&volume.content, &volume.partition) {
        (VolumeContent::Unreadable(error), Some(partition)) if !is_ext4(&volume.window) => {
            Some(format!("partition {}: {error}", partition.number))
        }
        _ => None,
    });
    let mut shown: Vec<_> = all.by_ref().take(MOST).collect();
    let more = all.count();
    shown.extend((more > 0).then(|| format!("{more} more partitions can't be read")));
    shown
}

/// The places of checked volumes, in \[bytes\]: ends by starts.
#[derive(Default)]
struct CheckedRanges(BTreeMap<u64, u64>);

impl CheckedRanges {
    /// Adds a volume, unless it overlaps another one; whether it was added.
    fn add(&mut self, volume: &Volume) -> bool {
        let start = start(volume);
        // Both numbers come from the image.
        let end = start.saturating_add(volume.window.length());
        // Ranges do not overlap, so the last one to begin before the end is also the last one to end.
        let is_free = self.0.range(..end).next_back().is_none_or(|(_, last)| *last <= start);
        if is_free {
            self.0.insert(start, end);
        }
        is_free
    }
}

/// The start of a volume, in \[bytes\].
pub(super) fn start(volume: &Volume) -> u64 {
    volume.partition.as_ref().map_or(0, |partition| partition.start)
}

fn ext4(bytes: &Bytes<'_>, unused: Unused, watched: Option<&mut Watched>) -> Result<Findings, ReadError> {
    let length = if bytes.tree.is_empty() { bytes.window.length() } else { bytes.tree.start };
    let window = bytes.window.part(0, length);
    let findings = match watched {
        None => ext4_verify::check(bytes, unused),
        Some(watched) => {
            let (_, tree) =
                watched.found.insert((window.clone(), Ext4Tree::new(window.clone(), watched.entries)));
            ext4_verify::check_and_show(bytes, unused, tree)
        }
    };
    findings
        .map_err(|unread| ReadError::Io { place: format!("byte {}", unread.offset), reason: unread.error })
}
