//! Bytes in order: some threads read ahead, one takes their chunks as they stand in the image. It writes them to an
//! output that takes bytes in order alone, or only shows them to a witness, where the readers have written them already.

use std::io::Write;

use image_tree::{Content, NodeId, Piece};

use crate::assemble::{Job, Seen};
use crate::chunks::{Chunk, Chunks, Kind};
use crate::error::AssemblyError;
use crate::fill::Filler;
use crate::positioned::Positioned;
use crate::ring::{Made, Ring};
use crate::sink::ZEROS;
use crate::witness::Witness;
use crate::{to_u64, to_usize};

/// More threads than these never wait for one another to read ahead of a writer.
const MOST_READERS: usize = 6;

/// Beside the ones that are being filled: one on its way out, one ready behind it. So at most 8 of 1 MiB.
const SPARE_BUFFERS: usize = 2;

/// Where bytes go whose order matters to someone.
pub(crate) enum Outlet<'o> {
    /// To a sink, one after the other. The function makes an error of what the sink says.
    Sink(&'o mut dyn Write, &'o dyn Fn(std::io::Error) -> AssemblyError),
    /// To their places, from all threads.
    Placed(&'o Positioned<'o>),
}

/// Writes the whole image, and shows it in order.
pub(crate) fn write(
    job: &Job<'_>,
    mut outlet: Outlet<'_>,
    witness: &mut Seen<'_>,
) -> Result<(), AssemblyError> {
    let placed = if let Outlet::Placed(output) = outlet { Some(output) } else { None };
    let mut at = 0;
    let readers = job.options.threads.get().min(MOST_READERS);
    let lone_file = placed.and_then(Positioned::lone_file);
    let ring = Ring::new(Chunks::of(job.image, lone_file), readers, readers + SPARE_BUFFERS);
    std::thread::scope(|scope| {
        // However this ends, the readers do not wait any longer.
        let _stop = OnDrop(|| ring.stop());
        for started in 0..readers {
            let reader = || {
                let _leave = OnDrop(|| ring.leave());
                read(job, &ring, placed);
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
                        witness.bytes(&buffer[..len]);
                    }
                    if let Outlet::Sink(sink, refused) = &mut outlet {
                        sink.write_all(&buffer[..len]).map_err(refused)?;
                    }
                    ring.reuse(buffer);
                }
                Made::Copied { mut buffer, node, len } => {
                    if let (Some(witness), Some(output)) = (&mut *witness, placed) {
                        output.read_back(at, len, &mut buffer, |bytes| {
                            witness.see(node, bytes);
                            witness.bytes(bytes);
                        })?;
                    }
                    ring.reuse(buffer);
                }
                Made::Zeros { len, of } => {
                    if let Some(witness) = witness {
                        if let Some(file) = of {
                            show_zeros(file, len, *witness);
                        }
                        witness.zeros(len);
                    }
                    match &mut outlet {
                        Outlet::Sink(sink, refused) => put_zeros(sink, len).map_err(refused)?,
                        Outlet::Placed(output) => output.put_zeros(at, len)?,
                    }
                }
                Made::Failed(error) => return Err(error),
            }
            at += to_u64(len);
            (job.progress)(to_u64(len));
        }
        Ok(())
    })
}

fn read(job: &Job<'_>, ring: &Ring<'_>, placed: Option<&Positioned<'_>>) {
    let mut filler = Filler::new(job.image, job.contents);
    let mut chunk = Chunk::new();
    while let Some(buffer) = ring.take(&mut chunk) {
        let made = make(&mut filler, &mut chunk, buffer, placed);
        ring.bring(chunk.number, made.unwrap_or_else(Made::Failed));
    }
}

fn make(
    filler: &mut Filler<'_>,
    chunk: &mut Chunk,
    mut buffer: Vec<u8>,
    placed: Option<&Positioned<'_>>,
) -> Result<Made, AssemblyError> {
    if let (Kind::File { node, from }, Some(output)) = (chunk.kind, placed) {
        filler.copy(chunk, (node, from), output, &mut buffer)?;
        return Ok(Made::Copied { buffer, node, len: chunk.len });
    }
    let bytes = filler.fill(chunk, &mut buffer)?;
    placed.map_or(Ok(()), |output| output.put_bytes(bytes, chunk.offset))?;
    let len = bytes.len();
    Ok(Made::Bytes { buffer, len, pieces: std::mem::take(&mut chunk.pieces) })
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

/// Shows so many bytes of a file that are known to be zero.
fn show_zeros(file: NodeId, len: u64, witness: &mut dyn Witness) {
    let mut left = len;
    while left > 0 {
        let now = to_usize(left).min(ZEROS.len());
        witness.see(file, &ZEROS[..now]);
        left -= to_u64(now);
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
