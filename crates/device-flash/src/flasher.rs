//! Compares an image with a device, and writes where they differ.

use std::io::{self, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use image_tree::{to_u64, to_usize};

use crate::aliases::Aliases;
use crate::checks::{Checks, Extent};
use crate::error::FlashError;
use crate::medium::Medium;

/// How much is compared at once, in \[bytes\].
const CHUNK: usize = 1 << 20;

/// The unit of comparison, in \[bytes\]: the page of flash controllers and of the system's cache.
const BLOCK: usize = 4096;

/// Equal \[bytes\] between two changes that are written too: several short writes are slower than one longer write.
const GAP: usize = 3 * BLOCK;

/// What is written last, in \[bytes\]: an MBR, a GPT (at most 24 KiB with sectors of 4096 bytes), the superblock of a bare
/// file system.
pub const HEAD: usize = 32 << 10;

/// How much is written before the device must have stored it, in \[bytes\]. So rates are those of the device.
const WINDOW: u64 = 16 << 20;

/// Length of the signature of a GPT (UEFI specification, table 5.5), and the sector sizes with which it may be at the end.
const GPT: &[u8] = b"EFI PART";
const SECTORS: [u64; 2] = [512, 4096];

/// What is read back after writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadBack {
    /// What was written, and some of what was not: a part of every 4 MiB, or all of it if the device may be smaller than it
    /// claims.
    #[default]
    Written,
    /// The whole image.
    All,
    /// Nothing.
    Nothing,
}

/// Options of [`Flasher::new`].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// What is read back.
    pub read_back: ReadBack,
}

impl Options {
    /// Sets what is read back.
    #[must_use]
    pub fn read_back(self, read_back: ReadBack) -> Self {
        Self { read_back }
    }
}

/// What was done so far. Lengths are in \[bytes\].
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Flashed {
    /// Length of the image up to here.
    pub compared: u64,
    /// Written to the device.
    pub written: u64,
    /// Read to compare.
    pub read: u64,
    /// Could not be read before, and was written.
    pub unreadable: u64,
    /// Read back.
    pub checked: u64,
    /// To be read back; known when everything is written.
    pub to_check: u64,
    /// Time of reading.
    pub reading: Duration,
    /// Time of writing.
    pub writing: Duration,
    /// Whether a GPT of an earlier image at the end of the device was overwritten.
    pub wiped_backup: bool,
}

impl Flashed {
    /// What was equal and not written, in \[bytes\].
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.compared.saturating_sub(self.written)
    }
}

/// Takes an image in order. Without [`Self::finish`], the device does not look whole.
pub struct Flasher<'a, M: Medium> {
    medium: M,
    options: Options,
    progress: &'a (dyn Fn(&Flashed) + Sync),
    /// The bytes of the current chunk.
    chunk: Vec<u8>,
    /// What the device has there.
    old: Vec<u8>,
    /// The beginning of the image.
    head: Vec<u8>,
    head_differs: bool,
    /// Whether the beginning of the device was overwritten.
    begun: bool,
    /// Written since the last [`Medium::sync`], in \[bytes\].
    unsynced: u64,
    checks: Checks,
    aliases: Aliases,
    done: Flashed,
    /// The error of a write, which comes out of `Write::write` as a text only.
    error: Option<FlashError>,
}

impl<M: Medium> std::fmt::Debug for Flasher<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flasher").field("done", &self.done).finish_non_exhaustive()
    }
}

impl<'a, M: Medium> Flasher<'a, M> {
    /// Begins at the start of the device. `progress` is called after every MiB.
    pub fn new(medium: M, options: Options, progress: &'a (dyn Fn(&Flashed) + Sync)) -> Self {
        Self {
            medium,
            options,
            progress,
            chunk: Vec::with_capacity(CHUNK),
            old: vec![0; CHUNK],
            head: Vec::new(),
            head_differs: false,
            begun: false,
            unsynced: 0,
            checks: Checks::default(),
            aliases: Aliases::default(),
            done: Flashed::default(),
            error: None,
        }
    }

    /// The error that ended the writes, if one did. `Write::write` returns its text.
    pub fn take_error(&mut self) -> Option<FlashError> {
        self.error.take()
    }

    /// Writes the rest, reads back, and writes the beginning of the device last.
    ///
    /// # Errors
    /// If the device fails or returns other bytes. Then the device does not look whole.
    pub fn finish(mut self) -> Result<Flashed, FlashError> {
        if let Some(error) = self.take_error() {
            return Err(error);
        }
        let finished = self.finish_writing();
        if finished.is_err() {
            self.erase_head_again();
        }
        finished.map(|()| self.done)
    }

    fn finish_writing(&mut self) -> Result<(), FlashError> {
        self.end_chunk()?;
        if self.done.compared == 0 {
            return Err(FlashError::Empty);
        }
        let extent = match self.options.read_back {
            ReadBack::Nothing => None,
            ReadBack::All => Some(Extent::All),
            ReadBack::Written if !self.begun => None,
            ReadBack::Written if self.aliases.suspects() => Some(Extent::All),
            ReadBack::Written => Some(Extent::Written),
        };
        if self.begun {
            self.sync()?;
        }
        if let Some(extent) = extent {
            self.done.to_check =
                self.checks.bytes(extent).saturating_add(self.checks.bytes(Extent::Beginning));
            self.check(extent)?;
        }
        if self.begun || self.head_differs {
            let head = std::mem::take(&mut self.head);
            self.write_at(0, &head)?;
            self.sync()?;
            if self.options.read_back != ReadBack::Nothing {
                self.check(Extent::Beginning)?;
            }
        }
        Ok(())
    }

    /// After an error: a device whose addresses are not all different may have got other bytes at its beginning. Errors are
    /// ignored; the first one counts.
    fn erase_head_again(&mut self) {
        if self.begun {
            let _ = self.medium.write(0, &vec![0; HEAD.min(to_usize(self.medium.capacity()))]);
            let _ = self.medium.sync();
        }
    }

    fn check(&mut self, extent: Extent) -> Result<(), FlashError> {
        let (done, progress) = (&mut self.done, self.progress);
        let started = Instant::now();
        self.checks.run(extent, &mut self.medium, |bytes| {
            done.checked = done.checked.saturating_add(bytes);
            progress(done);
        })?;
        done.reading = done.reading.saturating_add(started.elapsed());
        Ok(())
    }

    /// Compares the chunk, and writes where it differs.
    fn end_chunk(&mut self) -> Result<(), FlashError> {
        let chunk = std::mem::take(&mut self.chunk);
        let result = self.put(&chunk);
        self.chunk = chunk;
        self.chunk.clear();
        result?;
        (self.progress)(&self.done);
        Ok(())
    }

    fn put(&mut self, chunk: &[u8]) -> Result<(), FlashError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let offset = self.done.compared;
        let end = offset.saturating_add(to_u64(chunk.len()));
        if end > self.medium.capacity() {
            return Err(FlashError::TooLong { capacity: self.medium.capacity() });
        }
        let is_read = self.read_old(offset, chunk.len())?;
        let from = if offset == 0 { HEAD.min(chunk.len()) } else { 0 };
        if offset == 0 {
            self.head = chunk.get(..from).unwrap_or(chunk).to_vec();
            self.head_differs = !is_read || self.old.get(..from) != Some(&*self.head);
        }
        let ranges = if is_read {
            let old = self.old.get(..chunk.len()).unwrap_or_default();
            changes(old, chunk, from)
        } else {
            self.done.unreadable = self.done.unreadable.saturating_add(to_u64(chunk.len()));
            std::iter::once(from..chunk.len()).filter(|range| !range.is_empty()).collect()
        };
        if !ranges.is_empty() {
            self.begin(end)?;
        }
        for range in &ranges {
            let at = offset.saturating_add(to_u64(range.start));
            let bytes = chunk.get(range.clone()).unwrap_or_default();
            self.write_at(at, bytes)?;
        }
        if self.options.read_back != ReadBack::Nothing {
            let overlaps = |piece: Range<usize>| {
                piece.start < from
                    || ranges.iter().any(|range| range.start < piece.end && piece.start < range.end)
            };
            self.checks.add(chunk, overlaps);
        }
        self.done.compared = end;
        if self.unsynced >= WINDOW {
            self.sync()?;
        }
        Ok(())
    }

    /// Reads what the device has. False if it can't be read; then it is written.
    fn read_old(&mut self, offset: u64, length: usize) -> Result<bool, FlashError> {
        let started = Instant::now();
        let old = self.old.get_mut(..length).unwrap_or_default();
        let read = self.medium.read(offset, old);
        self.done.reading = self.done.reading.saturating_add(started.elapsed());
        match read {
            Ok(()) => {
                self.done.read = self.done.read.saturating_add(to_u64(length));
                self.aliases.add(offset, self.old.get(..length).unwrap_or_default());
                Ok(true)
            }
            Err(error) => match FlashError::unreadable(offset, error) {
                FlashError::Removed { at } => Err(FlashError::Removed { at }),
                _ => Ok(false),
            },
        }
    }

    /// Makes sure that a device that was written in part does not look whole. `end` is that of the current chunk, in \[bytes\].
    fn begin(&mut self, end: u64) -> Result<(), FlashError> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        let zeros = vec![0; self.head.len()];
        self.medium.write(0, &zeros).map_err(|error| FlashError::write(0, error))?;
        // The copy of a GPT at the end of the device: firmware uses it if the one at the beginning is missing.
        for sector in SECTORS {
            let Some(last) = self.medium.capacity().checked_sub(sector).filter(|&last| last >= end) else {
                continue;
            };
            let mut signature = vec![0; to_usize(sector)];
            if self.medium.read(last, &mut signature).is_ok() && signature.starts_with(GPT) {
                signature.fill(0);
                self.medium.write(last, &signature).map_err(|error| FlashError::write(last, error))?;
                self.done.wiped_backup = true;
            }
        }
        self.sync()
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), FlashError> {
        let started = Instant::now();
        let written = self.medium.write(at, bytes);
        self.done.writing = self.done.writing.saturating_add(started.elapsed());
        written.map_err(|error| FlashError::write(at, error))?;
        self.done.written = self.done.written.saturating_add(to_u64(bytes.len()));
        self.unsynced = self.unsynced.saturating_add(to_u64(bytes.len()));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FlashError> {
        let started = Instant::now();
        let synced = self.medium.sync();
        self.done.writing = self.done.writing.saturating_add(started.elapsed());
        self.unsynced = 0;
        synced.map_err(|error| FlashError::write(self.done.compared, error))
    }
}

impl<M: Medium> Write for Flasher<'_, M> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK.saturating_sub(self.chunk.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() >= CHUNK
            && let Err(error) = self.end_chunk()
        {
            self.erase_head_again();
            let text = error.to_string();
            self.error = Some(error);
            return Err(io::Error::other(text));
        }
        Ok(taken.len())
    }

    /// Does nothing: [`Flasher::finish`] writes the rest.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The ranges in which two chunks differ, from an offset, in whole blocks; close ranges are one.
fn changes(old: &[u8], new: &[u8], from: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut at = from;
    while at < new.len() {
        let end = at.saturating_add(BLOCK).min(new.len());
        if old.get(at..end) != new.get(at..end) {
            match ranges.last_mut() {
                Some(last) if at.saturating_sub(last.end) <= GAP => last.end = end,
                _ => ranges.push(at..end),
            }
        }
        at = end;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_whole_blocks_and_close_ones_are_one() {
        let old = vec![0; 20 * BLOCK + 100];
        let mut new = old.clone();
        for at in [0, 2 * BLOCK, 7 * BLOCK + 5, 20 * BLOCK + 99] {
            new[at] = 1;
        }
        let blocks = |from, to| from * BLOCK..to * BLOCK;
        let last = 20 * BLOCK..20 * BLOCK + 100;
        assert_eq!(changes(&old, &new, 0), [blocks(0, 3), blocks(7, 8), last.clone()]);
        assert_eq!(changes(&old, &new, BLOCK), [blocks(2, 3), blocks(7, 8), last]);
        assert_eq!(changes(&new, &new, 0), []);
    }
}
