use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::error::{AssemblyError, Refusal};

/// Opens a block device exclusively. It must have at least `len` \[bytes\], and the given sector size, if any.
pub(crate) fn open(path: &Path, needs: u64, sector: Option<u32>) -> Result<File, AssemblyError> {
    let refused = |refusal| AssemblyError::refused(path, refusal);
    let failed = |error| AssemblyError::output(path, error);
    // Checked before opening: opening a pipe would wait, and opening a tape would wind it.
    let found = std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused(Refusal::NoDevice),
        _ => failed(error),
    })?;
    if !found.file_type().is_block_device() {
        return Err(refused(Refusal::NotADevice));
    }
    // For a block device, EXCL without CREATE fails while the device is mounted or otherwise in use.
    let flags = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map_err(|errno| match errno {
        Errno::BUSY => refused(Refusal::DeviceInUse),
        other => failed(other.into()),
    })?;
    let stat = rustix::fs::fstat(&fd).map_err(|errno| failed(errno.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::BlockDevice {
        return Err(refused(Refusal::NotADevice));
    }
    if let Some(needs) = sector {
        let has = rustix::fs::ioctl_blksszget(&fd).map_err(|errno| failed(errno.into()))?;
        if has != needs {
            return Err(refused(Refusal::OtherSectors { has, needs }));
        }
    }
    let mut file = File::from(fd);
    let has = file.seek(SeekFrom::End(0)).map_err(failed)?;
    if has < needs {
        return Err(refused(Refusal::DeviceTooSmall { has, needs }));
    }
    Ok(file)
}

/// Drops the page cache of a device, so that reads come from the device. Errors are ignored: pages that can't be dropped have
/// the bytes that were written.
pub(crate) fn forget(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}
