//! An unnamed file with the decompressed contents of files, written by a thread of its own. Blocks of zeros become holes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

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

/// Number of full buffers that wait for the thread that writes them.
const WAITING: usize = 4;

/// The file while it is written.
pub(crate) struct Temporary {
    file: Arc<OwnedFd>,
    folder: PathBuf,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    start: u64,
    writer: Option<Writer>,
}

/// A thread that writes full buffers, with their offsets, and returns them. If no thread can be started, there is none.
struct Writer {
    full: SyncSender<(Vec<u8>, u64)>,
    empty: Receiver<Result<Vec<u8>, Errno>>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(file: &Arc<OwnedFd>) -> Option<Self> {
        let (full, filled) = sync_channel::<(Vec<u8>, u64)>(WAITING);
        let (emptied, empty) = channel();
        let file = Arc::clone(file);
        let work = move || {
            for (mut buffer, start) in filled {
                let written = write(&file, &buffer, start);
                buffer.clear();
                // Nobody waits for the buffer if the archive has an error.
                let _ = emptied.send(written.map(|()| buffer));
            }
        };
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(work).ok()?;
        Some(Self { full, empty, thread })
    }

    /// Waits until everything is written.
    fn finish(self) -> Result<(), Errno> {
        let Self { full, empty, thread } = self;
        drop(full);
        let written = empty.iter().try_for_each(|buffer| buffer.map(drop));
        let ended = thread.join();
        ended.expect("invariant: the thread does not panic");
        written
    }
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
        Ok(Self::of(file, folder))
    }

    fn of(file: OwnedFd, folder: &Path) -> Self {
        let file = Arc::new(file);
        let writer = Writer::start(&file);
        Self { file, folder: folder.to_owned(), buffer: Vec::with_capacity(BUFFER), start: 0, writer }
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

    /// Adds bytes of the file that was begun.
    pub(crate) fn append(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            if self.buffer.len() >= BUFFER {
                self.flush()?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the buffer, or has it written.
    fn flush(&mut self) -> Result<(), Fault> {
        let next = self.end();
        let flushed = match &self.writer {
            Some(writer) if !self.buffer.is_empty() => {
                let full = std::mem::take(&mut self.buffer);
                match writer.full.send((full, self.start)) {
                    Ok(()) => writer.empty.try_recv().unwrap_or_else(|_| Ok(Vec::with_capacity(BUFFER))),
                    // The thread ends when this is dropped.
                    Err(_) => Err(Errno::PIPE),
                }
                .map(|buffer| self.buffer = buffer)
            }
            _ => write(&self.file, &self.buffer, self.start).map(|()| self.buffer.clear()),
        };
        flushed.map_err(|errno| refused(&self.folder, errno))?;
        self.start = next;
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<Arc<OwnedFd>, Fault> {
        self.flush()?;
        let refused = |errno| refused(&self.folder, errno);
        self.writer.take().map_or(Ok(()), Writer::finish).map_err(refused)?;
        // Zeros at the end were not written.
        retry_on_intr(|| rustix::fs::ftruncate(self.file.as_fd(), self.start)).map_err(refused)?;
        Ok(self.file)
    }
}

/// Writes bytes to a file that is zero there, except blocks of zeros.
fn write(file: &OwnedFd, bytes: &[u8], start: u64) -> Result<(), Errno> {
    let (mut at, mut run) = (0, 0..0);
    while at < bytes.len() {
        let in_block = image_tree::to_usize(BLOCK - (start + to_u64(at)) % BLOCK);
        let end = bytes.len().min(at + in_block);
        if bytes[at..end].iter().all(|&byte| byte == 0) {
            write_run(file, &bytes[run.clone()], start + to_u64(run.start))?;
            run = end..end;
        } else {
            run.end = end;
        }
        at = end;
    }
    write_run(file, &bytes[run.clone()], start + to_u64(run.start))
}

fn write_run(file: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = retry_on_intr(|| rustix::io::pwrite(file, bytes, at))?;
        bytes = &bytes[written..];
        at += to_u64(written);
    }
    Ok(())
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

    fn add(temporary: &mut Temporary, bytes: &[u8]) -> u64 {
        let start = temporary.begin(to_u64(bytes.len())).unwrap();
        bytes.chunks(3000).for_each(|part| temporary.append(part).unwrap());
        start
    }

    #[test]
    fn contents_are_where_it_says_and_zeros_are_holes() {
        let folder = tempfile::tempdir().unwrap();
        for (is_unlinked, has_thread) in [(false, true), (true, true), (false, false)] {
            let temporary = Temporary::new(folder.path()).unwrap();
            let mut temporary = if is_unlinked {
                Temporary::of(unlinked(folder.path()).unwrap(), folder.path())
            } else {
                temporary
            };
            if !has_thread {
                temporary.writer = None;
            }
            let mut large = vec![0; 5 << 20];
            large[(3 << 20) + 77] = 7;
            let all =
                [b"small".to_vec(), large, vec![], b"\0\0".to_vec(), vec![9; (2 << 20) + 1], vec![0; 70_000]];
            let starts: Vec<u64> = all.iter().map(|bytes| add(&mut temporary, bytes)).collect();
            assert_eq!(starts[1] % BLOCK, 0);
            let file = std::fs::File::from(temporary.finish().unwrap().try_clone().unwrap());
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
