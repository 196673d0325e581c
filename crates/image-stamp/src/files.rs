//! Opens images to stamp, and clones them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

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

/// Copies a file into an empty one. Both share their blocks if the file system can do that; else holes stay holes.
///
/// # Errors
/// If one of the two can't be read or written.
pub fn clone_file(from: &File, to: &File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let (mut source, mut target) = (from, to);
    let mut at = 0;
    while at < length {
        at = match rustix::fs::seek(from, rustix::fs::SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => break,
            // A file system that does not say where its holes are.
            Err(_) => at,
        };
        let end = rustix::fs::seek(from, rustix::fs::SeekFrom::Hole(at)).unwrap_or(length).min(length);
        source.seek(SeekFrom::Start(at))?;
        target.seek(SeekFrom::Start(at))?;
        // The kernel copies: copy_file_range(2).
        let copied = io::copy(&mut source.take(end.saturating_sub(at)), &mut target)?;
        if copied == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at = at.saturating_add(copied);
    }
    Ok(())
}
