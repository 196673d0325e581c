//! Containers with compressed blocks: several blocks at a time are compressed by a thread of their own, and the container gets
//! them in order.

use std::io::{self, Write};
use std::sync::Arc;

use image_tree::{PackedBlock, PackedFile, PackedFormat};

use crate::blocks::{Block, Format};
use crate::to_u64;

/// About how many \[bytes\] a thread compresses at a time.
const PART: usize = 1 << 20;
/// Memory for a compressor in \[bytes\]. zstd at its highest levels needs this much for blocks of 64 KiB.
const STATE: u64 = 2 << 20;

/// A container that is being written.
pub(crate) struct Packed {
    file: Box<dyn PackedFile>,
    /// What is to be written next.
    buffer: Vec<u8>,
}

/// Consecutive blocks.
pub(crate) enum Blocks {
    Packed(Vec<PackedBlock>),
    Zeros(u64),
}

impl Packed {
    fn write(&mut self, output: &mut impl Write) -> io::Result<()> {
        output.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Format for Packed {
    type Settings = Arc<dyn PackedFormat>;
    type Compressed = Blocks;
    /// The bytes that replace the first ones of the file.
    type Ending = Vec<u8>;

    const HISTORY: usize = 0;

    fn block(format: &Self::Settings) -> usize {
        PART.next_multiple_of(format.block())
    }

    fn memory(format: &Self::Settings) -> u64 {
        2 * to_u64(Self::block(format)) + STATE
    }

    fn compress(format: &Self::Settings, block: &Block) -> io::Result<Blocks> {
        block.check_wanted()?;
        format.compress(&block.bytes).map(Blocks::Packed)
    }

    fn zeros(format: &Self::Settings, len: u64) -> Option<Blocks> {
        Some(Blocks::Zeros(len / to_u64(format.block())))
    }

    fn begin(format: &Self::Settings, output: &mut impl Write) -> io::Result<Self> {
        let mut buffer = Vec::new();
        let mut packed = Self { file: format.begin(&mut buffer), buffer };
        packed.write(output)?;
        Ok(packed)
    }

    fn put(&mut self, blocks: &Blocks, output: &mut impl Write) -> io::Result<()> {
        match blocks {
            Blocks::Packed(blocks) => {
                blocks.iter().try_for_each(|block| self.file.block(block, &mut self.buffer))?;
            }
            Blocks::Zeros(count) => self.file.zeros(*count, &mut self.buffer)?,
        }
        self.write(output)
    }

    fn end(mut self, output: &mut impl Write) -> io::Result<Vec<u8>> {
        let start = self.file.end(&mut self.buffer)?;
        output.write_all(&self.buffer)?;
        Ok(start)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::blocks::Blocks as Compressor;
    use crate::testing::data;

    /// Blocks of 300 bytes, which are written as they are. Of zeros, their number is written.
    #[derive(Debug)]
    struct Numbers;

    impl PackedFormat for Numbers {
        fn image_len(&self) -> u64 {
            0
        }

        fn block(&self) -> usize {
            300
        }

        fn compress(&self, blocks: &[u8]) -> io::Result<Vec<PackedBlock>> {
            Ok(blocks.chunks(300).map(|block| PackedBlock::Plain(block.to_vec())).collect())
        }

        fn is_patched(&self) -> bool {
            true
        }

        fn begin(&self, output: &mut Vec<u8>) -> Box<dyn PackedFile> {
            output.extend(b"begin ");
            Box::new(Self)
        }
    }

    impl PackedFile for Numbers {
        fn block(&mut self, block: &PackedBlock, output: &mut Vec<u8>) -> io::Result<()> {
            let PackedBlock::Plain(bytes) = block else { unreachable!("all blocks are plain") };
            output.extend(bytes);
            Ok(())
        }

        fn zeros(&mut self, count: u64, output: &mut Vec<u8>) -> io::Result<()> {
            output.extend(format!(" {count} ").bytes());
            Ok(())
        }

        fn end(self: Box<Self>, output: &mut Vec<u8>) -> io::Result<Vec<u8>> {
            output.extend(b" end");
            Ok(b"BEGIN".to_vec())
        }
    }

    #[test]
    fn a_thread_compresses_whole_blocks_and_the_file_has_them_in_order() {
        let format: Arc<dyn PackedFormat> = Arc::new(Numbers);
        let part = Packed::block(&format);
        assert_eq!(part, (1_usize << 20).next_multiple_of(300));
        let mut blocks: Compressor<_, Packed> =
            Compressor::new(Vec::new(), Arc::clone(&format), NonZeroUsize::MIN).unwrap();
        let (first, last) = (data(0, to_u64(2 * part)), data(7, 1000));
        blocks.write_all(&first).unwrap();
        blocks.write_zeros(to_u64(3 * part)).unwrap();
        blocks.write_all(&last).unwrap();
        let (file, start) = blocks.finish().unwrap();
        let zeros = format!(" {} ", 3 * part / 300);
        assert!(file == [b"begin ", &first[..], zeros.as_bytes(), &last, b" end"].concat());
        assert_eq!(start, b"BEGIN");
    }

    #[test]
    fn what_a_block_becomes_is_written_at_once() {
        let format: Arc<dyn PackedFormat> = Arc::new(Numbers);
        let mut output = Vec::new();
        let mut packed = Packed::begin(&format, &mut output).unwrap();
        assert_eq!(output, b"begin ");
        packed.put(&Blocks::Zeros(3), &mut output).unwrap();
        assert_eq!(output, b"begin  3 ");
        packed.put(&Blocks::Packed(vec![PackedBlock::Plain(b"block".to_vec())]), &mut output).unwrap();
        assert_eq!(output, b"begin  3 block");
    }

    #[test]
    fn each_thread_has_room_for_its_blocks_twice() {
        let format: Arc<dyn PackedFormat> = Arc::new(Numbers);
        assert_eq!(Packed::memory(&format), 2 * to_u64(Packed::block(&format)) + STATE);
        assert_eq!(Packed::memory(&format) >> 20, 4);
    }
}
