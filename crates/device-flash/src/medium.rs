//! The device, as the flasher uses it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use image_tree::{to_u64, to_usize};

/// A device with random access. Offsets and lengths are in \[bytes\].
pub trait Medium {
    /// The length of the device.
    fn capacity(&self) -> u64;

    /// Fills the buffer with the bytes from `offset`.
    ///
    /// # Errors
    /// If the device does not return them.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all bytes at `offset`.
    ///
    /// # Errors
    /// If the device refuses them.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Waits until everything is stored on the device.
    ///
    /// # Errors
    /// If the device fails.
    fn sync(&mut self) -> io::Result<()>;

    /// Like [`Self::read`], but past the cache of the system where that is possible.
    ///
    /// # Errors
    /// If the device does not return the bytes.
    fn read_stored(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// An open device or file.
#[derive(Debug)]
pub struct DeviceFile {
    file: File,
    capacity: u64,
    /// The same device, opened for reading past the page cache (`O_DIRECT`).
    direct: Option<File>,
    /// A buffer in which reads past the page cache begin at a multiple of [`ALIGNMENT`].
    buffer: Vec<u8>,
}

/// Alignment of offsets, lengths and memory for reads past the page cache: enough for every device (open(2), `O_DIRECT`).
const ALIGNMENT: usize = 4096;

impl DeviceFile {
    /// A device with its length in \[bytes\]. `direct` is the same device, opened with `O_DIRECT`, if that is possible.
    pub(crate) fn new(file: File, capacity: u64, direct: Option<File>) -> Self {
        let device = Self { file, capacity, direct, buffer: Vec::new() };
        // What is cached may be older than the medium.
        device.drop_cache();
        device
    }

    fn drop_cache(&self) {
        // Errors are ignored: pages that can't be dropped have the bytes that were written.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }

    /// Reads past the page cache. `None` if the device can't do that for these bytes.
    fn read_direct(&mut self, offset: u64, wanted: &mut [u8]) -> Option<io::Result<()>> {
        let direct = self.direct.as_ref()?;
        let alignment = to_u64(ALIGNMENT);
        let start = offset - offset % alignment;
        let before = to_usize(offset - start);
        let whole = before.checked_add(wanted.len())?.checked_next_multiple_of(ALIGNMENT)?;
        if start.checked_add(to_u64(whole))? > self.capacity {
            return None;
        }
        if self.buffer.len() < whole.checked_add(ALIGNMENT)? {
            self.buffer.resize(whole + ALIGNMENT, 0);
        }
        let skip = self.buffer.as_ptr().align_offset(ALIGNMENT);
        let aligned = self.buffer.get_mut(skip..skip.checked_add(whole)?)?;
        match direct.read_exact_at(aligned, start) {
            Ok(()) => {
                wanted.copy_from_slice(aligned.get(before..before.checked_add(wanted.len())?)?);
                Some(Ok(()))
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {
                self.direct = None;
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Medium for DeviceFile {
    fn capacity(&self) -> u64 {
        self.capacity
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        self.drop_cache();
        Ok(())
    }

    fn read_stored(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self.read_direct(offset, buffer) {
            Some(read) => read,
            None => self.read(offset, buffer),
        }
    }
}
