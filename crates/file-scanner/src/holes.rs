//! Finds the data of sparse files. If the file system reports any hole, every block of zeros becomes a hole, as with `mke2fs -d`.
//! So the result depends on the bytes and not on the block size of the source's file system.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use image_tree::{DataRun, HOLE_GRAIN, narrow, to_u64, to_usize};
use rustix::fs::{Mode, OFlags, SeekFrom, Stat};
use rustix::io::{Errno, retry_on_intr};

/// Length of the read buffer in \[bytes\], a multiple of [`HOLE_GRAIN`].
const BUFFER: usize = 256 << 10;
/// About twice the maximum number of runs of a file. In huge files, short holes are filled to stay below it.
const MOST_UNITS: u64 = 1 << 21;

/// Whether a file can have holes: it needs less space than its length.
pub(crate) fn may_have_holes(size: u64, blocks: u64) -> bool {
    // A FUSE file system can report any number.
    blocks.saturating_mul(512) < size
}

/// The number of \[bytes\] that data runs take in the image.
pub(crate) fn stored_bytes(runs: &[DataRun]) -> u64 {
    runs.iter().map(|run| u64::from(run.len) * HOLE_GRAIN).sum()
}

/// The data runs of a file in a folder; `None` if it has no holes, or its file system does not report them. `stat` is of the
/// file, and `flags` say how it is opened.
pub(crate) fn of_entry(
    folder: impl AsFd,
    name: impl rustix::path::Arg + Copy,
    stat: &Stat,
    flags: OFlags,
) -> Result<Option<Vec<DataRun>>, Errno> {
    match (u64::try_from(stat.st_size), u64::try_from(stat.st_blocks)) {
        (Ok(size), Ok(blocks)) if may_have_holes(size, blocks) => {
            let fd = retry_on_intr(|| rustix::fs::openat(&folder, name, flags, Mode::empty()))?;
            let read = |buffer: &mut [u8], at| retry_on_intr(|| rustix::io::pread(&fd, &mut *buffer, at));
            data_runs(size, |to| seek(fd.as_fd(), to), read)
        }
        _ => Ok(None),
    }
}

/// The data runs of a file of `size` \[bytes\], by the offsets of data and holes that `seek` finds, and the bytes that `read` reads.
fn data_runs(
    size: u64,
    seek: impl Fn(SeekFrom) -> Result<Option<u64>, Errno>,
    read: impl Fn(&mut [u8], u64) -> Result<usize, Errno>,
) -> Result<Option<Vec<DataRun>>, Errno> {
    let units = size.div_ceil(HOLE_GRAIN);
    if units > u64::from(u32::MAX) || seek(SeekFrom::Hole(0))?.is_none_or(|at| at >= size) {
        return Ok(None);
    }
    let mut runs = Runs { list: Vec::new(), shortest: units.div_ceil(MOST_UNITS) };
    let mut buffer = vec![0; BUFFER];
    let mut next = 0;
    while next < units {
        let Some(data) = seek(SeekFrom::Data(next * HOLE_GRAIN))? else { break };
        let hole = seek(SeekFrom::Hole(data))?.unwrap_or(size);
        // Holes of the source can be smaller than a block of the image. A FUSE file system can report any numbers.
        let first = next.max(data / HOLE_GRAIN);
        next = hole.div_ceil(HOLE_GRAIN).max(first.saturating_add(1)).min(units);
        read_runs(&read, first * HOLE_GRAIN..size.min(next * HOLE_GRAIN), &mut buffer, &mut runs)?;
    }
    Ok(Some(runs.list))
}

/// Reads a part of a file that begins with a block, and adds the blocks with data.
fn read_runs(
    read: impl Fn(&mut [u8], u64) -> Result<usize, Errno>,
    bytes: Range<u64>,
    buffer: &mut [u8],
    runs: &mut Runs,
) -> Result<(), Errno> {
    let mut at = bytes.start;
    while at < bytes.end {
        let len = to_usize(bytes.end - at).min(BUFFER);
        let block = &mut buffer[..len];
        let mut done = 0;
        while done < len {
            match read(&mut block[done..], at + to_u64(done))? {
                // It became shorter, which the copy reports.
                0 => return Ok(()),
                read => done += read,
            }
        }
        for (block, unit) in block.chunks(BLOCK).zip(at / HOLE_GRAIN..) {
            if block.iter().any(|byte| *byte != 0) {
                runs.add(unit);
            }
        }
        at += to_u64(len);
    }
    Ok(())
}

const BLOCK: usize = 4096;
const _: () = assert!(HOLE_GRAIN == 4096);

/// Collects data runs.
struct Runs {
    list: Vec<DataRun>,
    /// The minimum length of a hole, in units.
    shortest: u64,
}

impl Runs {
    /// Adds a unit with data, after all previous ones.
    fn add(&mut self, unit: u64) {
        let start: u32 = narrow(unit, "`data_runs` finds none in longer files");
        match self.list.last_mut() {
            Some(last) if unit - last.end() < self.shortest => last.len = start - last.start + 1,
            _ => self.list.push(DataRun { start, len: 1 }),
        }
    }
}

/// The offset of the next data or hole; `None` if there is none, or the file system does not report it.
fn seek(fd: BorrowedFd<'_>, to: SeekFrom) -> Result<Option<u64>, Errno> {
    match rustix::fs::seek(fd, to) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO | Errno::INVAL | Errno::OPNOTSUPP | Errno::SPIPE) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests;
