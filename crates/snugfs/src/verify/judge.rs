//! Which parts of an image are judged, and how.

use std::io;

use ext4_verify::{Behind, Findings, Severity, Source};
use image_reader::{FileSystem, Image, Overview, Partition, ReadError, VolumeContent, Window};

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

/// What was found in an image.
pub(super) struct Verdict {
    /// What is wrong around the file systems.
    pub(super) table: Vec<String>,
    pub(super) volumes: Vec<Judged>,
}

/// A part of an image.
pub(super) struct Judged {
    pub(super) partition: Option<Partition>,
    /// What it is, as far as it is known.
    pub(super) what: String,
    /// `None` where it is nothing that is judged.
    pub(super) findings: Option<Findings>,
}

impl Verdict {
    /// Whether there is no problem; `used`: what the format allows is none.
    pub(super) fn is_right(&self, used: bool) -> bool {
        let right = |findings: &Findings| if used { findings.is_sound() } else { findings.is_empty() };
        self.table.is_empty() && self.findings().all(right)
    }

    pub(super) fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.volumes.iter().filter_map(|volume| volume.findings.as_ref())
    }

    /// How many problems there are of a severity.
    pub(super) fn count(&self, severity: Severity) -> u64 {
        self.findings().fold(0, |sum: u64, findings| sum.saturating_add(findings.count(severity)))
    }
}

/// Judges all that is known of an image.
pub(super) fn image(image: &Image) -> Result<Verdict, ReadError> {
    let overview = Overview::read(image)?;
    let table = overview.table.as_ref().map(|table| table.warnings.clone()).unwrap_or_default();
    let is_disk = overview.table.is_some();
    let volumes = overview.volumes.iter().map(|volume| {
        let (what, is_ext4) = match &volume.content {
            VolumeContent::FileSystem(FileSystem::Ext4(_)) => ("ext4".to_owned(), true),
            VolumeContent::FileSystem(FileSystem::Fat(fat)) => (format!("fat{}", fat.bits()), false),
            VolumeContent::Other(name) => ((*name).to_owned(), false),
            // What is no disk is judged as what it should be.
            VolumeContent::Unknown => ("unknown".to_owned(), !is_disk),
            VolumeContent::Unreadable(_) => ("unreadable".to_owned(), true),
        };
        let findings = is_ext4.then(|| ext4(&volume.window)).transpose()?;
        Ok(Judged { partition: volume.partition.clone(), what, findings })
    });
    Ok(Verdict { table, volumes: volumes.collect::<Result<_, ReadError>>()? })
}

fn ext4(window: &Window) -> Result<Findings, ReadError> {
    ext4_verify::check(&Bytes(window), Behind::Zeros)
        .map_err(|unread| ReadError::Io { place: format!("byte {}", unread.offset), reason: unread.error })
}
