//! Which parts of an image are judged, and how.

use std::collections::BTreeMap;
use std::io;

use ext4_verify::{Findings, Severity, Source, Unused};
use image_compare::{Differences, Ext4Tree};
use image_reader::{
    FileSystem, Image, Overview, Partition, PartitionTable, ReadError, Volume, VolumeContent, Window,
};
use image_tree::Explanation;

/// A window as a source of bytes to judge.
struct Bytes<'w>(&'w Window);

impl Source for Bytes<'_> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, buffer)
    }

    fn next_data(&self, offset: u64) -> u64 {
        self.0.next_data(offset)
    }
}

/// What an image is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A file as long as the image.
    File,
    /// A device, as long as it is; what is behind the image was there before.
    Device,
}

/// What is allowed in bytes that nothing uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the image is in.
    pub on: Medium,
    /// Whether space that nothing uses is not looked at, as `verify --ignore-unused` asks for.
    pub ignore_unused: bool,
}

impl Terms {
    /// What a file system may hold that is in a partition or is all of the image.
    fn unused(self, is_alone: bool) -> Unused {
        match (self.ignore_unused, self.on) {
            (true, _) => Unused::Anything,
            (false, Medium::Device) if is_alone => Unused::AnythingBehind,
            (false, _) => Unused::Zeros,
        }
    }
}

/// What was found in an image.
#[derive(Debug)]
pub struct Verdict {
    /// Whether there is a partition table.
    pub is_disk: bool,
    /// What is wrong around the file systems.
    pub table: Vec<String>,
    /// What was allowed, and where it is.
    pub terms: Terms,
    /// What is unusual about the table where an image is as long as what it holds.
    pub note: Option<&'static str>,
    /// The parts of the image, in their order.
    pub volumes: Vec<Judged>,
    /// What differs from a plan, if it was compared with one.
    pub differences: Option<Differences>,
}

/// Where a tree is collected while a file system is judged.
pub(super) struct Watched {
    /// Where the file system should be, in \[bytes\].
    pub(super) start: u64,
    /// How long what it is in should be, in \[bytes\].
    pub(super) length: u64,
    /// How many entries it should have.
    pub(super) entries: usize,
    /// Where it is, and what was collected.
    pub(super) found: Option<(Window, Ext4Tree)>,
}

/// A part of an image.
#[derive(Debug)]
pub struct Judged {
    /// The partition that it is, if it is one.
    pub partition: Option<Partition>,
    /// What it is, as far as it is known.
    pub what: String,
    /// `None` where it is nothing that is judged.
    pub findings: Option<Findings>,
}

impl Verdict {
    /// Whether there is no problem; `used`: what the format allows is none.
    pub fn is_right(&self, used: bool) -> bool {
        let right = |findings: &Findings| if used { findings.is_sound() } else { findings.is_empty() };
        let holds = self.differences.as_ref().is_none_or(Differences::is_empty);
        let fits = used || self.terms.on == Medium::Device || self.note.is_none();
        self.table.is_empty() && fits && self.findings().all(right) && holds
    }

    /// What the judge found in each file system that it judged.
    pub fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.volumes.iter().filter_map(|volume| volume.findings.as_ref())
    }

    /// How many problems there are of a severity.
    pub fn count(&self, severity: Severity) -> u64 {
        self.findings().fold(0, |sum: u64, findings| sum.saturating_add(findings.count(severity)))
    }
}

/// Judges all that is known of an image.
pub fn image(image: &Image, terms: Terms) -> Result<Verdict, ReadError> {
    let found = Overview::read(image)?;
    if let Some((what, remedy)) = foreign(&found) {
        let what = format!("holds {what}, and only ext4 and whole disks are judged");
        return Err(ReadError::Unsupported(Explanation::new("", what, remedy)));
    }
    overview(&found, &image.window, terms, &mut [])
}

/// What an image without a table holds that is known and not ext4, and who judges that.
fn foreign(overview: &Overview) -> Option<(String, String)> {
    let volume = overview.volumes.first().filter(|_| overview.table.is_none())?;
    match &volume.content {
        VolumeContent::FileSystem(FileSystem::Fat(fat)) => {
            Some((format!("FAT{}", fat.bits()), "check it with `fsck.fat -n`".to_owned()))
        }
        VolumeContent::Other(name) => Some(((*name).to_owned(), "use the tools for that".to_owned())),
        VolumeContent::Unreadable(error) if !is_ext4(&volume.window) => {
            Some(("a file system that can't be read".to_owned(), error.to_string()))
        }
        _ => None,
    }
}

/// Whether a superblock of ext2, ext3 or ext4 is where it belongs.
fn is_ext4(window: &Window) -> bool {
    let mut magic = [0; 2];
    window.read(0x438, &mut magic).is_ok() && magic == 0xef53_u16.to_le_bytes()
}

/// The same with the trees of some file systems, which are judged also where nothing tells of them. Where there are such,
/// others are none of ours: their bytes alone are compared.
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
    // Where a plan says what the volumes hold, their bytes are compared instead.
    if all {
        table.extend(unreadable(overview));
    }
    let mut volumes = Vec::new();
    let mut judged = Judgements::default();
    for volume in &overview.volumes {
        let (what, is_ext4) = match &volume.content {
            VolumeContent::FileSystem(FileSystem::Ext4(_)) => ("ext4".to_owned(), true),
            VolumeContent::FileSystem(FileSystem::Fat(fat)) => (format!("fat{}", fat.bits()), false),
            VolumeContent::Other(name) => ((*name).to_owned(), false),
            // What is no disk is judged as what it should be.
            VolumeContent::Unknown => ("unknown".to_owned(), !is_disk),
            VolumeContent::Unreadable(_) => ("unreadable".to_owned(), is_ext4(&volume.window)),
        };
        let watched = watched.iter_mut().find(|watched| watched.start == start(volume));
        let unused = terms.unused(volume.partition.is_none());
        // That partitions overlap is told with the table; no byte is judged as several file systems.
        let is_judged = ((is_ext4 && all) || watched.is_some()) && judged.add(volume);
        let findings = if is_judged { Some(ext4(&volume.window, unused, watched)?) } else { None };
        volumes.push(Judged { partition: volume.partition.clone(), what, findings });
    }
    for watched in watched.iter_mut().filter(|watched| watched.found.is_none()) {
        let window = image.part(watched.start, watched.length);
        let what = format!("ext4 at byte {}", watched.start);
        volumes.push(Judged {
            partition: None,
            what,
            findings: Some(ext4(&window, terms.unused(false), Some(watched))?),
        });
    }
    Ok(Verdict { is_disk, table, terms, note, volumes, differences: None })
}

/// Partitions that can't be read and are not judged as ext4 either: the first of them, and how many more there are.
fn unreadable(overview: &Overview) -> Vec<String> {
    const MOST: usize = 10;
    let mut all = overview.volumes.iter().filter_map(|volume| match (&volume.content, &volume.partition) {
        (VolumeContent::Unreadable(error), Some(partition)) if !is_ext4(&volume.window) => {
            Some(format!("partition {}: {error}", partition.number))
        }
        _ => None,
    });
    let mut told: Vec<_> = all.by_ref().take(MOST).collect();
    let more = all.count();
    told.extend((more > 0).then(|| format!("{more} more partitions can't be read")));
    told
}

/// Where the volumes are that were judged, in \[bytes\]: ends by starts.
#[derive(Default)]
struct Judgements(BTreeMap<u64, u64>);

impl Judgements {
    /// Adds a volume; false where it overlaps one that was added.
    fn add(&mut self, volume: &Volume) -> bool {
        let start = start(volume);
        let end = start.saturating_add(volume.window.length());
        // Those that were added do not overlap: the last one to begin before the end is the last one to end.
        let is_free = self.0.range(..end).next_back().is_none_or(|(_, last)| *last <= start);
        if is_free {
            self.0.insert(start, end);
        }
        is_free
    }
}

/// Where a volume begins, in \[bytes\].
pub(super) fn start(volume: &Volume) -> u64 {
    volume.partition.as_ref().map_or(0, |partition| partition.start)
}

fn ext4(window: &Window, unused: Unused, watched: Option<&mut Watched>) -> Result<Findings, ReadError> {
    let bytes = Bytes(window);
    let judged = match watched {
        None => ext4_verify::check(&bytes, unused),
        Some(watched) => {
            let (_, tree) =
                watched.found.insert((window.clone(), Ext4Tree::new(window.clone(), watched.entries)));
            ext4_verify::check_and_show(&bytes, unused, tree)
        }
    };
    judged.map_err(|unread| ReadError::Io { place: format!("byte {}", unread.offset), reason: unread.error })
}
