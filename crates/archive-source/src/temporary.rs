//! An unnamed file with the decompressed contents of files. Blocks of zeros become holes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use image_tree::{shown, to_u64};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::error::Fault;

/// What file systems share and leave out, in \[bytes\].
const BLOCK: u64 = 4096;

/// Minimum length of a file that begins at a block, so that it can be cloned, in \[bytes\].
const ALIGNED: u64 = 64 << 10;

/// How much is written at once, in \[bytes\].
const BUFFER: usize = 1 << 20;

/// The file while it is written.
pub(crate) struct Temporary {
    file: OwnedFd,
    folder: PathBuf,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    start: u64,
}

impl Temporary {
    /// Makes a file without a name. It is gone when it is closed, however the program ends.
    pub(crate) fn new(folder: &Path) -> Result<Self, Fault> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let made = match retry_on_intr(|| rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR)) {
            // The file system, as overlayfs of old kernels or NFS, has no unnamed files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => unlinked(folder),
            other => other,
        };
        let file = made.map_err(|errno| refused(folder, errno))?;
        Ok(Self { file, folder: folder.to_owned(), buffer: Vec::with_capacity(BUFFER), start: 0 })
    }

    fn end(&self) -> u64 {
        self.start + to_u64(self.buffer.len())
    }

    /// Begins the contents of a file, and returns their offset.
    pub(crate) fn begin(&mut self, len: u64) -> Result<u64, Fault> {
        if len >= ALIGNED && !self.end().is_multiple_of(BLOCK) {
            let next = self.end().next_multiple_of(BLOCK);
            self.flush()?;
            self.start = next;
        }
        Ok(self.end())
    }

    /// Lends the buffer, which has room for at least one byte.
    pub(crate) fn room(&mut self) -> Result<Vec<u8>, Fault> {
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Takes the buffer back.
    pub(crate) fn give_back(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// Writes the buffer, except its blocks of zeros.
    fn flush(&mut self) -> Result<(), Fault> {
        let (mut at, mut run) = (0, 0..0);
        while at < self.buffer.len() {
            let in_block = image_tree::to_usize(BLOCK - (self.start + to_u64(at)) % BLOCK);
            let end = self.buffer.len().min(at + in_block);
            if self.buffer[at..end].iter().all(|&byte| byte == 0) {
                self.write(run.clone())?;
                run = end..end;
            } else {
                run.end = end;
            }
            at = end;
        }
        self.write(run)?;
        self.start = self.end();
        self.buffer.clear();
        Ok(())
    }

    fn write(&self, range: std::ops::Range<usize>) -> Result<(), Fault> {
        let mut at = self.start + to_u64(range.start);
        let mut bytes = &self.buffer[range];
        while !bytes.is_empty() {
            let written = retry_on_intr(|| rustix::io::pwrite(&self.file, bytes, at));
            let written = written.map_err(|errno| refused(&self.folder, errno))?;
            bytes = &bytes[written..];
            at += to_u64(written);
        }
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<OwnedFd, Fault> {
        self.flush()?;
        // Zeros at the end were not written.
        let set = retry_on_intr(|| rustix::fs::ftruncate(self.file.as_fd(), self.start));
        set.map_err(|errno| refused(&self.folder, errno))?;
        Ok(self.file)
    }
}

fn refused(folder: &Path, errno: Errno) -> Fault {
    Fault::Temporary { folder: shown(folder), reason: image_tree::io_reason(&errno.into()) }
}

/// A file whose name is removed at once.
fn unlinked(folder: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for attempt in 0..1000 {
        let path = folder.join(format!(".snugfs-{}-{attempt}", std::process::id()));
        match retry_on_intr(|| rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)) {
            Err(Errno::EXIST) => {}
            Ok(file) => {
                rustix::fs::unlink(&path)?;
                return Ok(file);
            }
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EXIST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    fn add(temporary: &mut Temporary, mut bytes: &[u8]) -> u64 {
        let start = temporary.begin(to_u64(bytes.len())).unwrap();
        while !bytes.is_empty() {
            let mut room = temporary.room().unwrap();
            let (now, later) = bytes.split_at(bytes.len().min(room.capacity() - room.len()));
            room.extend_from_slice(now);
            temporary.give_back(room);
            bytes = later;
        }
        start
    }

    #[test]
    fn contents_are_where_it_says_and_zeros_are_holes() {
        let folder = tempfile::tempdir().unwrap();
        for is_unlinked in [false, true] {
            let mut temporary = Temporary::new(folder.path()).unwrap();
            if is_unlinked {
                temporary.file = unlinked(folder.path()).unwrap();
            }
            let mut large = vec![0; 5 << 20];
            large[(3 << 20) + 77] = 7;
            let all =
                [b"small".to_vec(), large, vec![], b"\0\0".to_vec(), vec![9; (2 << 20) + 1], vec![0; 70_000]];
            let starts: Vec<u64> = all.iter().map(|bytes| add(&mut temporary, bytes)).collect();
            assert_eq!(starts[1] % BLOCK, 0);
            let file = std::fs::File::from(temporary.finish().unwrap());
            for (bytes, start) in all.iter().zip(starts) {
                let mut read = vec![1; bytes.len()];
                file.read_exact_at(&mut read, start).unwrap();
                assert!(read == *bytes);
            }
            assert!(file.metadata().unwrap().blocks() * 512 < 3 << 20);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
