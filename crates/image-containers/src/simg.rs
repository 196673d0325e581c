//! Android's sparse format (`system/core/libsparse/sparse_format.h` of AOSP), as fastboot and simg2img take it.
//!
//! Zeros that a reader relies on are chunks of the kind "fill": a device keeps what it had where a chunk says "don't care".
//! Only [`Content::Unused`] is "don't care".

use image_tree::{Content, Piece, PieceSource, to_usize};

use crate::ContainerError;
use crate::runs::{Cutter, Kind, Run, runs};

/// The block of the format, in \[bytes\].
const BLOCK: u64 = 4096;
/// `SPARSE_HEADER_MAGIC`
const MAGIC: u32 = 0xed26_ff3a;
/// `sizeof(sparse_header_t)`, in \[bytes\].
const HEADER: u64 = 28;
/// `sizeof(chunk_header_t)`, in \[bytes\].
const CHUNK_HEADER: u64 = 12;
/// `CHUNK_TYPE_RAW`
const RAW: u16 = 0xcac1;
/// `CHUNK_TYPE_FILL`
const FILL: u16 = 0xcac2;
/// `CHUNK_TYPE_DONT_CARE`
const DONT_CARE: u16 = 0xcac3;
/// What a chunk is filled with, in \[bytes\].
const PATTERN: u64 = 4;

/// An image in Android's sparse format.
pub struct Simg<'i> {
    image: &'i dyn PieceSource,
    chunks: Vec<Chunk>,
    len: u64,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    run: Run,
    kind: Kind,
    /// Where its header is.
    at: u64,
}

impl Chunk {
    fn header_len(&self) -> u64 {
        if self.kind == Kind::Zeros { CHUNK_HEADER + PATTERN } else { CHUNK_HEADER }
    }

    fn len(&self) -> u64 {
        self.header_len() + if self.kind == Kind::Data { self.run.count * BLOCK } else { 0 }
    }
}

impl<'i> Simg<'i> {
    /// Decides what the chunks are.
    ///
    /// # Errors
    /// Where the image is no whole number of blocks, or has 2³² of them or more.
    pub fn new(image: &'i dyn PieceSource) -> Result<Self, ContainerError> {
        let len = image.len();
        if !len.is_multiple_of(BLOCK) {
            return Err(ContainerError::OddLength { len, block: BLOCK });
        }
        if len / BLOCK > u64::from(u32::MAX) {
            return Err(ContainerError::TooLong { len, most: u64::from(u32::MAX) * BLOCK });
        }
        let mut chunks = Vec::new();
        let mut at = HEADER;
        for (run, kind) in runs(image, BLOCK) {
            let chunk = Chunk { run, kind, at };
            at += chunk.len();
            chunks.push(chunk);
        }
        Ok(Self { image, chunks, len: at })
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(to_usize(HEADER));
        bytes.extend(MAGIC.to_le_bytes());
        // Version 1.0 and the lengths of both headers.
        for number in [1, 0, HEADER, CHUNK_HEADER] {
            bytes.extend(narrow(number).to_le_bytes().iter().take(2));
        }
        let chunks = u64::try_from(self.chunks.len()).unwrap_or(u64::MAX);
        // No checksum, as img2simg has none.
        for number in [BLOCK, self.image.len() / BLOCK, chunks, 0] {
            bytes.extend(narrow(number).to_le_bytes());
        }
        bytes
    }
}

fn chunk_header(chunk: &Chunk) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(to_usize(CHUNK_HEADER + PATTERN));
    let kind = match chunk.kind {
        Kind::Data => RAW,
        Kind::Zeros => FILL,
        Kind::Unused => DONT_CARE,
    };
    bytes.extend(kind.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(narrow(chunk.run.count).to_le_bytes());
    bytes.extend(narrow(chunk.len()).to_le_bytes());
    if chunk.kind == Kind::Zeros {
        bytes.extend([0; 4]);
    }
    bytes
}

/// Blocks are fewer than 2³², and a chunk of data is not much longer than 256 MiB.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl PieceSource for Simg<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let mut cutter = Cutter::of(self.image);
        let header = Piece { offset: 0, len: HEADER, content: Content::Metadata };
        let chunks = self.chunks.iter().flat_map(move |chunk| {
            let header = Piece { offset: chunk.at, len: chunk.header_len(), content: Content::Metadata };
            let data = if chunk.kind == Kind::Data {
                cutter.moved(chunk.run, BLOCK, chunk.at + CHUNK_HEADER)
            } else {
                Vec::new()
            };
            std::iter::once(header).chain(data)
        });
        Box::new(std::iter::once(header).chain(chunks))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let after = self.chunks.partition_point(|chunk| chunk.at <= piece.offset);
        let bytes = match after.checked_sub(1).and_then(|position| self.chunks.get(position)) {
            None => self.header(),
            Some(chunk) if chunk.at == piece.offset => chunk_header(chunk),
            Some(chunk) => {
                let offset = chunk.run.first * BLOCK + (piece.offset - chunk.at - CHUNK_HEADER);
                return self.image.generate(&Piece { offset, ..*piece }, buffer);
            }
        };
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = from;
        }
    }
}

impl std::fmt::Debug for Simg<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simg {{ {} bytes, {} chunks }}", self.len, self.chunks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image of which no byte is used.
    struct Unused(u64);

    impl PieceSource for Unused {
        fn len(&self) -> u64 {
            self.0
        }

        fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
            Box::new(std::iter::once(Piece { offset: 0, len: self.0, content: Content::Unused }))
        }

        fn generate(&self, _: &Piece, _: &mut [u8]) {}
    }

    /// `total_blks` and the chunk's `chunk_sz` are fields of 32 bits.
    #[test]
    fn images_of_as_many_blocks_as_can_be_counted_are_accepted_and_longer_ones_refused() {
        let most = u64::from(u32::MAX) * BLOCK;
        let image = Unused(most);
        let container = Simg::new(&image).unwrap();
        assert_eq!(container.len(), HEADER + CHUNK_HEADER);
        assert_eq!(container.header()[16..], [[0xff; 4], [1, 0, 0, 0], [0; 4]].concat());
        assert_eq!(chunk_header(&container.chunks[0])[..8], [0xc3, 0xca, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        let refused = |len| Simg::new(&Unused(len)).unwrap_err();
        assert_eq!(refused(most + BLOCK), ContainerError::TooLong { len: most + BLOCK, most });
        assert_eq!(refused(4097), ContainerError::OddLength { len: 4097, block: BLOCK });
    }
}
