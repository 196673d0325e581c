//! Decompresses and hashes in a thread, while another one uses the bytes.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes of a buffer.
const BUFFER: usize = 256 << 10;
/// Number of full buffers that wait.
const BUFFERS: usize = 8;

/// Calls `work` with a reader of the same bytes, which another thread reads ahead. If no thread can be started, it reads them
/// itself.
pub(crate) fn read<'r, T>(
    reader: Box<dyn Read + Send + 'r>,
    work: impl FnOnce(Box<dyn BufRead + 'r>) -> T,
) -> T {
    let (full, filled) = sync_channel(BUFFERS);
    let (empty, emptied) = sync_channel(BUFFERS + 2);
    let slot = std::sync::Mutex::new(Some(reader));
    let take = &|| slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    std::thread::scope(|scope| {
        let started =
            std::thread::Builder::new().name("decompress".to_owned()).spawn_scoped(scope, move || {
                if let Some(reader) = take() {
                    fill(reader, &full, &emptied);
                }
            });
        if started.is_ok() {
            return work(Box::new(Ahead { filled, empty, now: Vec::new(), at: 0 }));
        }
        let reader = take().unwrap_or_else(|| Box::new(io::empty()));
        work(Box::new(BufReader::with_capacity(BUFFER, reader)))
    })
}

/// Bytes, or the error after them. No bytes at the end.
type Filled = io::Result<Vec<u8>>;

fn fill(mut reader: Box<dyn Read + Send + '_>, full: &SyncSender<Filled>, emptied: &Receiver<Vec<u8>>) {
    loop {
        let mut buffer = emptied.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let mut done = 0;
        let error = loop {
            match reader.read(&mut buffer[done..]) {
                Ok(0) => break None,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
            if done == BUFFER {
                break None;
            }
        };
        buffer.truncate(done);
        let is_last = done < BUFFER;
        // The other side is gone if it has found an error.
        if (done > 0 && full.send(Ok(buffer)).is_err())
            || error.is_some_and(|error| full.send(Err(error)).is_err())
            || is_last
        {
            return;
        }
    }
}

struct Ahead {
    filled: Receiver<Filled>,
    empty: SyncSender<Vec<u8>>,
    now: Vec<u8>,
    at: usize,
}

impl Read for Ahead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let len = into.len().min(bytes.len());
        into[..len].copy_from_slice(&bytes[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.now.len() {
            let used = std::mem::take(&mut self.now);
            self.at = 0;
            if used.capacity() > 0 {
                let _ = self.empty.try_send(used);
            }
            // If the other thread has ended, nothing follows.
            if let Ok(next) = self.filled.recv() {
                self.now = next?;
            }
        }
        Ok(&self.now[self.at..])
    }

    fn consume(&mut self, len: usize) {
        self.at += len;
    }
}
