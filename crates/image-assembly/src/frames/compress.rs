//! One zstd frame: the length of its contents, the contents, a checksum. After it, a skippable frame fills the last block,
//! so that file systems can share the blocks of a frame between files.

use std::io::{self, Write};

use zstd::bulk::Compressor;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

use crate::sink::ZEROS;
use crate::{to_u64, to_usize};

/// Compressed frames are multiples of this length, in \[bytes\].
pub(super) const BLOCK: u64 = 4096;

/// All of a frame is in the window: at level 3, that makes up for what frames cost. log2 of \[bytes\].
const WINDOW_LOG: u32 = 22;

/// A magic number of skippable frames (`ZSTD_MAGIC_SKIPPABLE_START` and the next 15), unlike that of the table of the
/// seekable format.
const SKIPPABLE: u32 = 0x184d_2a53;

/// The header of a skippable frame in \[bytes\].
const HEADER: u64 = 8;

/// Compresses frames, one after another.
pub(super) struct FrameCompressor {
    level: i32,
    compressor: Compressor<'static>,
}

impl FrameCompressor {
    pub(super) fn new(level: i32) -> io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        Ok(Self { level, compressor })
    }

    /// Writes the frame of `bytes` to `output`.
    pub(super) fn bytes(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
        output.clear();
        output.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.compressor.compress_to_buffer(bytes, output)?;
        Ok(())
    }

    /// Writes the frame of so many zeros to `output`.
    pub(super) fn zeros(&self, len: u64, output: &mut Vec<u8>) -> io::Result<()> {
        output.clear();
        let mut encoder = Encoder::new(output, self.level)?;
        encoder.include_checksum(true)?;
        encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        encoder.set_pledged_src_size(Some(len))?;
        let mut left = len;
        while left > 0 {
            let now = to_usize(left).min(ZEROS.len());
            encoder.write_all(&ZEROS[..now])?;
            left -= to_u64(now);
        }
        encoder.finish()?;
        Ok(())
    }
}

/// Fills the last block.
pub(super) fn pad(frame: &mut Vec<u8>) {
    let mut rest = to_u64(frame.len()).next_multiple_of(BLOCK) - to_u64(frame.len());
    if rest == 0 {
        return;
    }
    if rest < HEADER {
        rest += BLOCK;
    }
    let zeros = u32::try_from(rest - HEADER).expect("invariant: at most two blocks");
    frame.extend(SKIPPABLE.to_le_bytes());
    frame.extend(zeros.to_le_bytes());
    frame.resize(frame.len() + to_usize(zeros.into()), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::data;

    #[test]
    fn a_skippable_frame_fills_the_last_block() {
        // The length of a frame, and that of its blocks. The header needs eight bytes.
        for (len, blocks) in
            [(0, 0), (1, 4096), (4088, 4096), (4089, 8192), (4095, 8192), (4096, 4096), (4097, 8192)]
        {
            let mut frame = data(0, len);
            pad(&mut frame);
            assert_eq!(frame.len(), blocks, "{len}");
            let (contents, filled) = frame.split_at(to_usize(len));
            assert_eq!(contents, data(0, len));
            if let Some((header, zeros)) = filled.split_at_checked(8) {
                assert_eq!(header[..4], [0x53, 0x2a, 0x4d, 0x18]);
                assert_eq!(header[4..], u32::try_from(zeros.len()).unwrap().to_le_bytes());
                assert!(zeros.iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn a_frame_has_its_length_a_checksum_and_its_contents() {
        let mut compressor = FrameCompressor::new(3).unwrap();
        let mut frame = vec![9; 20];
        for len in [0, 1, 128 << 10, (128 << 10) + 1, 500_000] {
            for zeros in [false, true] {
                let bytes = if zeros { vec![0; to_usize(len)] } else { data(0, len) };
                if zeros {
                    compressor.zeros(len, &mut frame).unwrap();
                } else {
                    compressor.bytes(&bytes, &mut frame).unwrap();
                }
                let padded = {
                    let mut padded = frame.clone();
                    pad(&mut padded);
                    padded
                };
                assert!(zstd::decode_all(&*padded).unwrap() == bytes, "{len}, {zeros}");
                assert_eq!(zstd::zstd_safe::get_frame_content_size(&frame).unwrap(), Some(len));
                assert_eq!(zstd::zstd_safe::find_frame_compressed_size(&frame), Ok(frame.len()));
                assert_eq!(frame[4] & 4, 4, "Content_Checksum_flag of RFC 8878, 3.1.1.1.1");
            }
        }
    }
}
