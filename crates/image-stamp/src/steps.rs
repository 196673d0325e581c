//! The writes of a stamp, in an order that survives a crash.

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
    pub bytes: Vec<u8>,
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
    /// The contents, and zeros behind them.
    pub(crate) contents: Vec<Write>,
    /// The allocation tables of FAT.
    pub(crate) tables: Vec<Write>,
    /// The lengths.
    pub(crate) lengths: Vec<Write>,
}

/// Unit in which contents are compared and written, in \[bytes\].
const UNIT: usize = 4096;

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
                        last.bytes.extend_from_slice(wanted);
                    }
                    _ => self.contents.push(Write { offset: at, bytes: wanted.to_vec() }),
                }
            }
        }
        Ok(())
    }
}

impl Stamp {
    /// Plans to fill slots of a file system.
    ///
    /// # Errors
    /// If contents are too long, if a slot is no longer as it was reserved, or if the file system was not unmounted.
    pub fn plan(fs: &FileSystem, fills: &[Fill<'_>]) -> Result<Self, StampError> {
        for Fill { slot, contents } in fills {
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
            FileSystem::Fat(fat) => fat::plan(fat, fills, &mut changes)?,
        }
        let Changes { clear, contents, tables, lengths } = changes;
        let steps = [clear, contents, tables, lengths];
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
