//! The writes of a stamp, in an order that survives a crash.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use image_reader::{FileSystem, Window};
use image_tree::{to_u64, to_usize};

use crate::error::StampError;
use crate::slot::Slot;
use crate::{ext4, fat};

/// What a slot gets.
#[derive(Clone, Copy, Debug)]
pub struct Fill<'f> {
    /// The slot, as [`crate::find`] found it.
    pub slot: &'f Slot,
    /// The contents; none empty the slot.
    pub contents: &'f [u8],
}

/// Bytes to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Offset in the volume in \[bytes\].
    pub offset: u64,
    /// The bytes.
    pub bytes: Cow<'static, [u8]>,
}

impl Write {
    pub(crate) fn new(offset: u64, bytes: Vec<u8>) -> Self {
        Self { offset, bytes: bytes.into() }
    }
}

/// The changes of an image that fill slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// What is written, in steps. Each step must be stored before the next one begins.
    pub steps: Vec<Vec<Write>>,
}

/// The steps of both file systems. Those of ext4 have no tables.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Empties slots that have contents.
    pub(crate) clear: Vec<Write>,
    /// The allocation tables of FAT, with the clusters that get contents; none is free yet.
    pub(crate) reserve: Vec<Write>,
    /// The contents, and zeros behind them.
    pub(crate) contents: Vec<Write>,
    /// The allocation tables of FAT, as they stay.
    pub(crate) tables: Vec<Write>,
    /// The lengths.
    pub(crate) lengths: Vec<Write>,
}

/// Unit in which contents are compared and written, in \[bytes\].
const UNIT: usize = 4096;
/// The most zeros of a write.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl Changes {
    /// Adds what a range of the volume needs to have these bytes: nothing where it has them already.
    pub(crate) fn add_contents(&mut self, window: &Window, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut found = vec![0; UNIT];
        for (index, wanted) in bytes.chunks(UNIT).enumerate() {
            let at = offset.saturating_add(to_u64(index.saturating_mul(UNIT)));
            let found = found.get_mut(..wanted.len()).unwrap_or_default();
            window.read(at, found)?;
            if found != wanted {
                match self.contents.last_mut() {
                    Some(last) if last.offset.saturating_add(to_u64(last.bytes.len())) == at => {
                        last.bytes.to_mut().extend_from_slice(wanted);
                    }
                    _ => self.contents.push(Write::new(at, wanted.to_vec())),
                }
            }
        }
        Ok(())
    }

    /// Adds zeros for a range of the volume, where it has other bytes. They take no memory, because a range may be long.
    pub(crate) fn add_zeros(&mut self, window: &Window, offset: u64, length: u64) -> io::Result<()> {
        let mut found = vec![0; to_usize(length).min(ZEROS.len())];
        let mut at = offset;
        let end = offset.saturating_add(length);
        while at < end {
            let part = to_usize(end.saturating_sub(at)).min(ZEROS.len());
            let found = found.get_mut(..part).unwrap_or_default();
            window.read(at, found)?;
            if found.iter().any(|byte| *byte != 0) {
                let bytes = ZEROS.get(..part).unwrap_or_default().into();
                self.contents.push(Write { offset: at, bytes });
            }
            at = at.saturating_add(to_u64(part));
        }
        Ok(())
    }
}

impl Stamp {
    /// Plans to fill slots of a file system.
    ///
    /// # Errors
    /// If a slot is given twice, also by two names, if contents are too long, if a slot is no longer as it was reserved, or if the file system was not unmounted.
    pub fn plan(fs: &FileSystem, fills: &[Fill<'_>]) -> Result<Self, StampError> {
        let mut seen = HashMap::new();
        for Fill { slot, contents } in fills {
            if let Some(other) = seen.insert(slot.identity(fs), &slot.path) {
                return Err(StampError::Twice { path: slot.path.clone(), other: other.clone() });
            }
            let bytes = to_u64(contents.len());
            if bytes > slot.room {
                return Err(StampError::TooLong { path: slot.path.clone(), bytes, room: slot.room });
            }
        }
        let mut changes = Changes::default();
        match fs {
            FileSystem::Ext4(ext4) => {
                for fill in fills {
                    ext4::plan(ext4, *fill, &mut changes)?;
                }
            }
            FileSystem::Fat(fat) => fat::plan(fs, fat, fills, &mut changes)?,
        }
        let Changes { clear, reserve, contents, tables, lengths } = changes;
        let steps = [clear, reserve, contents, tables, lengths];
        Ok(Self { steps: steps.into_iter().filter(|step| !step.is_empty()).collect() })
    }

    /// Number of \[bytes\] that are written.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let writes = self.steps.iter().flatten();
        writes.fold(0, |sum, write| sum.saturating_add(to_u64(write.bytes.len())))
    }

    /// Writes the changes. `start` is the offset of the volume in the file, in \[bytes\]. With `sync`, waits after each step until
    /// it is stored.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn apply(&self, file: &File, start: u64, sync: bool) -> io::Result<()> {
        for step in &self.steps {
            for write in step {
                file.write_all_at(&write.bytes, start.saturating_add(write.offset))?;
            }
            if sync {
                file.sync_data()?;
            }
        }
        Ok(())
    }
}

/// The contents of a slot and zeros, cut at the ends of its runs in the volume: offset and length, both in \[bytes\].
pub(crate) fn spread(
    changes: &mut Changes,
    window: &Window,
    contents: &[u8],
    runs: impl Iterator<Item = (u64, u64)>,
) -> io::Result<()> {
    let mut rest = contents;
    for (offset, length) in runs {
        let length = to_usize(length);
        let (here, later) = rest.split_at(length.min(rest.len()));
        let mut bytes = here.to_vec();
        bytes.resize(length, 0);
        changes.add_contents(window, offset, &bytes)?;
        rest = later;
    }
    Ok(())
}
