//! Opens images to stamp, and clones them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use image_tree::{to_u64, to_usize};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// How much is copied at once, in \[bytes\].
const COPY: usize = 1 << 20;

/// Opens an image for reading and writing: a regular file, or a block device that nothing else uses.
///
/// # Errors
/// If it can't be opened; with `ResourceBusy` if a device is in use.
pub fn open(path: &Path) -> io::Result<File> {
    // For a block device, EXCL without CREATE fails while the device is mounted or otherwise in use (open(2)).
    let flags = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?;
    Ok(File::from(fd))
}

/// Copies a file into an empty one. Both share their blocks if the file system can do that; else holes stay holes. The position in
/// `from` does not matter, so several threads may copy it.
///
/// # Errors
/// If one of the two can't be read or written.
pub fn clone_file(from: &File, to: &File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut at = 0;
    while at < length {
        at = match rustix::fs::seek(from, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => break,
            // A file system that does not say where its holes are.
            Err(_) => at,
        };
        let end = rustix::fs::seek(from, rustix::fs::SeekFrom::Hole(at)).unwrap_or(length).min(length);
        copy(from, to, at, end)?;
        at = end;
    }
    Ok(())
}

/// Copies a range to the same place: in the kernel, if it can do that between these files.
fn copy(from: &File, to: &File, mut at: u64, end: u64) -> io::Result<()> {
    let mut buffer = Vec::new();
    while at < end {
        let left = to_usize(end.saturating_sub(at));
        let (mut source, mut target) = (at, at);
        let copied = if buffer.is_empty() {
            rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), left).unwrap_or(0)
        } else {
            0
        };
        if copied > 0 {
            at = at.saturating_add(to_u64(copied));
            continue;
        }
        buffer.resize(COPY, 0);
        let part = buffer.get_mut(..left.min(COPY)).unwrap_or_default();
        from.read_exact_at(part, at)?;
        to.write_all_at(part, at)?;
        at = at.saturating_add(to_u64(part.len()));
    }
    Ok(())
}
