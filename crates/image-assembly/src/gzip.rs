//! gzip (RFC 1952) in one member, as pigz makes it: every reader decompresses it, also those that stop after the first member,
//! such as U-Boot. Each block is deflated by itself, with the 32 KiB before it as its dictionary, and all except the last end at
//! a byte (`Z_SYNC_FLUSH`).

use std::io::{self, Write};

use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

use crate::blocks::{Block, Format};
use crate::{to_u64, to_usize};

/// The length of a block in \[bytes\].
const BLOCK: usize = 1 << 20;
/// The compressor's tables, and a block compressed.
const STATE: u64 = (1 << 20) + (512 << 10);
/// More room for the output.
const MORE: usize = 64 << 10;

/// Magic, deflate.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// No name, no time.
const FLAGS_AND_TIME: [u8; 5] = [0; 5];
/// The operating system, whatever it is.
const UNIX: u8 = 3;

/// What is known of the member so far.
pub(crate) struct Gzip {
    crc: Hasher,
    bytes: u64,
}

/// A block, deflated.
pub(crate) struct Deflated {
    output: Vec<u8>,
    crc: Hasher,
    /// The length of the block itself in \[bytes\].
    input_len: usize,
}

impl Format for Gzip {
    type Settings = u32;
    type Compressed = Deflated;
    type Ending = ();

    /// The window of deflate.
    const HISTORY: usize = 32 << 10;

    fn block(_: &u32) -> usize {
        BLOCK
    }

    fn memory(_: &u32) -> u64 {
        to_u64(BLOCK) + STATE
    }

    fn compress(&level: &u32, block: &Block) -> io::Result<Deflated> {
        block.check_wanted()?;
        let mut deflate = Compress::new(Compression::new(level), false);
        if !block.history.is_empty() {
            deflate.set_dictionary(&block.history)?;
        }
        let flush = if block.is_last { FlushCompress::Finish } else { FlushCompress::Sync };
        // Enough for what can't be compressed.
        let mut output = Vec::with_capacity(block.bytes.len() + block.bytes.len() / 8 + MORE);
        loop {
            let rest = block.bytes.get(to_usize(deflate.total_in())..).unwrap_or_default();
            let status = deflate.compress_vec(rest, &mut output, flush)?;
            let has_room = output.len() < output.capacity();
            let is_done = if block.is_last { status == Status::StreamEnd } else { has_room };
            if is_done {
                break;
            }
            output.reserve(MORE);
        }
        let mut crc = Hasher::new();
        crc.update(&block.bytes);
        Ok(Deflated { output, crc, input_len: block.bytes.len() })
    }

    fn begin(&level: &u32, output: &mut impl Write) -> io::Result<Self> {
        // What the compressor did: at its best, at its fastest.
        let extra = match level {
            9 => 2,
            1 => 4,
            _ => 0,
        };
        output.write_all(&MAGIC)?;
        output.write_all(&FLAGS_AND_TIME)?;
        output.write_all(&[extra, UNIX])?;
        Ok(Self { crc: Hasher::new(), bytes: 0 })
    }

    fn put(&mut self, block: &Deflated, output: &mut impl Write) -> io::Result<()> {
        self.crc.combine(&block.crc);
        self.bytes += to_u64(block.input_len);
        output.write_all(&block.output)
    }

    fn end(self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(&self.crc.finalize().to_le_bytes())?;
        let [a, b, c, d, ..] = self.bytes.to_le_bytes();
        // The length modulo 2^32.
        output.write_all(&[a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::num::NonZeroUsize;

    use super::*;
    use crate::blocks::Blocks;
    use crate::testing::{data, noise};

    fn compressed(bytes: &[u8], level: u32, threads: usize) -> Vec<u8> {
        let threads = NonZeroUsize::new(threads).unwrap();
        let mut blocks: Blocks<_, Gzip> = Blocks::new(Vec::new(), level, threads).unwrap();
        blocks.write_all(bytes).unwrap();
        blocks.finish().unwrap().0
    }

    #[test]
    fn all_blocks_are_one_member() {
        let whole = [noise(300_000), data(0, 2 << 20)].concat();
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, whole.len()] {
            for (level, extra) in [(1, 4), (5, 0), (9, 2)] {
                let bytes = &whole[..len];
                let member = compressed(bytes, level, 2);
                assert_eq!(member[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, extra, 3]);
                let mut decoder = flate2::bufread::GzDecoder::new(&*member);
                let mut found = Vec::new();
                decoder.read_to_end(&mut found).unwrap();
                assert!(found == bytes && decoder.into_inner().is_empty(), "{len} bytes, level {level}");
                assert!(level != 5 || compressed(bytes, level, 1) == member);
            }
        }
    }

    #[test]
    fn a_block_has_a_mebibyte_and_uses_the_32_kib_before_it() {
        assert_eq!((Gzip::block(&5), Gzip::HISTORY), (1 << 20, 32 << 10));
        assert_eq!(Gzip::memory(&5), (2 << 20) + (512 << 10));
        // A period that fits into the history, in several blocks.
        let period = noise(30_000);
        let [one, three] = [BLOCK, 3 * BLOCK]
            .map(|len| compressed(&period.iter().copied().cycle().take(len).collect::<Vec<_>>(), 6, 2).len());
        assert!(three - one < one, "{one} and {three} bytes");
    }
}
