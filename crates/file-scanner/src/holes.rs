//! Finds the data of sparse files. If the file system reports any hole, every block of zeros becomes a hole, as with `mke2fs -d`.
//! So the result depends on the bytes and not on the block size of the source's file system.

use std::os::fd::{AsFd, BorrowedFd};

use image_tree::{DataRun, HOLE_GRAIN, narrow, to_u64, to_usize};
use rustix::fs::{Mode, OFlags, SeekFrom};
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

/// The data runs of a file of `size` \[bytes\] in a folder; `None` if it has no holes, or its file system does not report them. A
/// symlink is not followed.
pub(crate) fn of_entry(
    folder: impl AsFd,
    name: impl rustix::path::Arg + Copy,
    size: u64,
) -> Result<Option<Vec<DataRun>>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let fd = retry_on_intr(|| rustix::fs::openat(&folder, name, flags, Mode::empty()))?;
    of_file(fd.as_fd(), size)
}

/// The same for an open file.
pub(crate) fn of_file(fd: BorrowedFd<'_>, size: u64) -> Result<Option<Vec<DataRun>>, Errno> {
    if size.div_ceil(HOLE_GRAIN) > u64::from(u32::MAX)
        || seek(fd, SeekFrom::Hole(0))?.is_none_or(|at| at >= size)
    {
        return Ok(None);
    }
    let mut runs = Runs { list: Vec::new(), shortest: size.div_ceil(HOLE_GRAIN).div_ceil(MOST_UNITS) };
    let mut buffer = vec![0; BUFFER];
    let mut at = 0;
    while at < size {
        let Some(data) = seek(fd, SeekFrom::Data(at))?.filter(|data| *data < size) else { break };
        let hole = seek(fd, SeekFrom::Hole(data))?.unwrap_or(size).min(size);
        // Holes of the source can be smaller than a block of the image.
        let first = (data - data % HOLE_GRAIN).max(at - at % HOLE_GRAIN);
        at = hole.max(data + 1).next_multiple_of(HOLE_GRAIN).min(size);
        read_runs(fd, first, at, &mut buffer, &mut runs)?;
    }
    Ok(Some(runs.list))
}

fn read_runs(
    fd: BorrowedFd<'_>,
    from: u64,
    to: u64,
    buffer: &mut [u8],
    runs: &mut Runs,
) -> Result<(), Errno> {
    let mut at = from;
    while at < to {
        let len = to_usize(to - at).min(BUFFER);
        let bytes = &mut buffer[..len];
        let mut done = 0;
        while done < len {
            let rest = &mut bytes[done..];
            match retry_on_intr(|| rustix::io::pread(fd, &mut *rest, at + to_u64(done)))? {
                // It became shorter, which the copy reports.
                0 => return Ok(()),
                read => done += read,
            }
        }
        for (block, unit) in bytes.chunks(BLOCK).zip(at / HOLE_GRAIN..) {
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
        let start: u32 = narrow(unit, "`of_file` looks for no runs in longer files");
        match self.list.last_mut() {
            Some(last) if unit < last.end() => {}
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
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn runs_of(parts: &[(u64, &[u8])], size: u64) -> Option<Vec<(u32, u32)>> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        for (at, bytes) in parts {
            file.write_all_at(bytes, *at).unwrap();
        }
        let runs = of_file(file.as_fd(), size).unwrap();
        runs.map(|runs| runs.into_iter().map(|run| (run.start, run.len)).collect())
    }

    #[test]
    fn data_between_holes_is_found_to_the_block() {
        let far = 490 << 30;
        assert_eq!(
            runs_of(&[(5000, b"x"), (far, b"login")], 534_000_000_000),
            Some(vec![(1, 1), (u32::try_from(far / 4096).unwrap(), 1)])
        );
        assert_eq!(runs_of(&[], 1 << 20), Some(vec![]));
        assert_eq!(runs_of(&[(0, &[1; 8192])], 1 << 20), Some(vec![(0, 2)]));
        assert_eq!(runs_of(&[((1 << 20) - 1, b"x")], 1 << 20), Some(vec![(255, 1)]));
        assert_eq!(runs_of(&[((1 << 20) + 4, b"x")], (1 << 20) + 5), Some(vec![(256, 1)]));
    }

    #[test]
    fn a_file_without_holes_has_no_runs_and_zeros_of_a_sparse_one_are_holes() {
        assert_eq!(runs_of(&[(0, &vec![0; 1 << 20])], 1 << 20), None);
        let zeros = vec![0; 1 << 20];
        assert_eq!(runs_of(&[(0, &zeros), (1 << 20, b"x")], 64 << 20), Some(vec![(256, 1)]));
    }

    #[test]
    fn holes_that_are_too_short_are_filled() {
        let mut runs = Runs { list: Vec::new(), shortest: 3 };
        for unit in [0, 1, 3, 4, 8] {
            runs.add(unit);
        }
        let list: Vec<_> = runs.list.iter().map(|run| (run.start, run.len)).collect();
        assert_eq!(list, [(0, 5), (8, 1)]);
    }
}
