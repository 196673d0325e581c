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
