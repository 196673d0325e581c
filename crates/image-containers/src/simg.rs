//! Android's sparse format (`system/core/libsparse/sparse_format.h` of AOSP), for fastboot and simg2img.
//!
//! Zeros that readers rely on become "fill" chunks, because a device keeps its old contents in "don't care" chunks.
//! Only [`Content::Unused`] becomes "don't care".

use image_tree::{Content, Piece, PieceSource, narrow, to_u64, to_usize};

use crate::ContainerError;
use crate::runs::{Kind, PieceMover, Run, runs};

/// Block size in \[bytes\].
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
/// Why the numbers of blocks and chunks have 32 bits.
const BLOCKS: &str = "`Simg::new` refuses 2^32 blocks";
/// Length of a fill pattern in \[bytes\].
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
    /// Offset of its header.
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
    /// Lays out the container.
    ///
    /// # Errors
    /// Fails if the image's length is not a multiple of the block size, or if it has 2³² blocks or more.
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
        // Version 1.0, and the lengths of both headers.
        for number in [1, 0, HEADER, CHUNK_HEADER] {
            bytes.extend(narrow::<u16>(number, "headers are short").to_le_bytes());
        }
        // No checksum, as from img2simg.
        for number in [BLOCK, self.image.len() / BLOCK, to_u64(self.chunks.len()), 0] {
            bytes.extend(narrow::<u32>(number, BLOCKS).to_le_bytes());
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
    bytes.extend(narrow::<u32>(chunk.run.count, BLOCKS).to_le_bytes());
    bytes.extend(narrow::<u32>(chunk.len(), "data runs are not much longer than 256 MiB").to_le_bytes());
    if chunk.kind == Kind::Zeros {
        bytes.extend([0; 4]);
    }
    bytes
}

impl PieceSource for Simg<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let mut mover = PieceMover::of(self.image);
        let header = Piece { offset: 0, len: HEADER, content: Content::Metadata };
        let chunks = self.chunks.iter().flat_map(move |chunk| {
            let header = Piece { offset: chunk.at, len: chunk.header_len(), content: Content::Metadata };
            let data = if chunk.kind == Kind::Data {
                mover.moved(chunk.run, BLOCK, chunk.at + CHUNK_HEADER)
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
        buffer.copy_from_slice(&bytes);
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

    /// An image without used bytes.
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

    /// `total_blks` and `chunk_sz` have 32 bits.
    #[test]
    fn accepts_images_up_to_the_maximum_number_of_blocks() {
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
