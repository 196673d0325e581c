//! An output that takes bytes in order alone: some threads read ahead, one writes.

use std::io::Write;

use image_tree::{Content, Piece};

use crate::assemble::{Job, Seen};
use crate::chunks::{Chunk, Chunks};
use crate::error::AssemblyError;
use crate::fill::Filler;
use crate::ring::{Made, Ring};
use crate::sink::ZEROS;
use crate::witness::Witness;
use crate::{to_u64, to_usize};

/// More threads than these never wait for one another to read ahead of a writer.
const MOST_READERS: usize = 6;

/// Beside the ones that are being filled: one on its way out, one ready behind it. So at most 8 of 4 MiB.
const SPARE_BUFFERS: usize = 2;

/// Writes the whole image in order; `refused` makes an error of what the sink says.
pub(crate) fn write(
    job: &Job<'_>,
    sink: &mut dyn Write,
    refused: &dyn Fn(std::io::Error) -> AssemblyError,
    witness: &mut Seen<'_>,
) -> Result<(), AssemblyError> {
    let readers = job.options.threads.get().min(MOST_READERS);
    let ring = Ring::new(Chunks::of(job.image, None), readers, readers + SPARE_BUFFERS);
    std::thread::scope(|scope| {
        // However this ends, the readers do not wait any longer.
        let _stop = OnDrop(|| ring.stop());
        for started in 0..readers {
            let reader = || {
                let _leave = OnDrop(|| ring.leave());
                read(job, &ring);
            };
            if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, reader) {
                if started == 0 {
                    return Err(AssemblyError::NoThread(error));
                }
                // Fewer threads read the same image.
                (started..readers).for_each(|_| ring.leave());
                break;
            }
        }
        while let Some(made) = ring.next()? {
            let len = made.len();
            match made {
                Made::Bytes { buffer, len, pieces } => {
                    if let Some(witness) = witness {
                        show(&pieces, &buffer[..len], *witness);
                    }
                    sink.write_all(&buffer[..len]).map_err(refused)?;
                    ring.reuse(buffer);
                }
                Made::Zeros(len) => put_zeros(sink, len).map_err(refused)?,
                Made::Failed(error) => return Err(error),
            }
            (job.progress)(to_u64(len));
        }
        Ok(())
    })
}

fn read(job: &Job<'_>, ring: &Ring<'_>) {
    let mut filler = Filler::new(job.image, job.contents);
    let mut chunk = Chunk::new();
    while let Some(mut buffer) = ring.take(&mut chunk) {
        let outcome = filler.fill(&chunk, &mut buffer).map(<[u8]>::len);
        let made = match outcome {
            Ok(len) => Made::Bytes { buffer, len, pieces: std::mem::take(&mut chunk.pieces) },
            Err(error) => Made::Failed(error),
        };
        ring.bring(chunk.number, made);
    }
}

/// Shows the files among the pieces of a chunk.
fn show(pieces: &[Piece], bytes: &[u8], witness: &mut dyn Witness) {
    let mut rest = bytes;
    for piece in pieces {
        let (here, later) = rest.split_at(to_usize(piece.len));
        if let Content::File { node, .. } = piece.content {
            witness.see(node, here);
        }
        rest = later;
    }
}

fn put_zeros(sink: &mut dyn Write, len: u64) -> std::io::Result<()> {
    let mut left = len;
    while left > 0 {
        let now = to_usize(left).min(ZEROS.len());
        sink.write_all(&ZEROS[..now])?;
        left -= to_u64(now);
    }
    Ok(())
}

/// Does something at the end of a block, also when that is left by a panic.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
