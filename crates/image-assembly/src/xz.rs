//! xz in one stream of blocks (`doc/xz-file-format.txt` of XZ Utils). liblzma compresses each block to a stream of its own, and
//! its block moves into the one stream. There its header also has both lengths, so that `xz -d` can decompress with several
//! threads. liblzma's own encoder with threads would fail where no thread can be started.

use std::io::{self, Write};

use liblzma::stream::{Action, Check, Status, Stream};

use crate::blocks::{Block, Format};
use crate::{to_u64, to_usize};

/// Dictionaries of levels 0 to 9, as the power of two \[bytes\] (`lzma_encoder_presets.c`).
const DICTIONARIES: [u32; 10] = [18, 20, 21, 22, 22, 23, 23, 24, 25, 26];
/// Memory of compressors of levels 0 to 9 in \[MiB\] (`xz.1`).
const MEMORY: [u64; 10] = [3, 9, 17, 32, 48, 94, 94, 186, 370, 674];
/// Limits of a block's length in \[bytes\].
const SHORTEST: usize = 1 << 20;
const LONGEST: usize = 64 << 20;

/// How much is compressed between two looks at whether that is still wanted, in \[bytes\].
const SLICE: usize = 256 << 10;
/// More room for the output.
const MORE: usize = 256 << 10;

/// The stream's header: magic, flags (CRC-64), CRC-32 of the flags.
const HEADER: [u8; 12] = [0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4, 0xe6, 0xd6, 0xb4, 0x46];
const CHECK: usize = 8;
const FOOTER: usize = 12;
/// In a block's header: one filter, and both lengths are there.
const ONE_FILTER_AND_LENGTHS: u8 = 0xc0;

/// What the index needs: each block's length without padding, and its length decompressed.
pub(crate) struct Xz {
    index: Vec<(u64, u64)>,
}

/// A block as it is written to the stream; `None` if the input is empty.
pub(crate) struct Compressed(Option<Part>);

struct Part {
    header: Vec<u8>,
    /// Data, padding and check.
    rest: Vec<u8>,
    unpadded: u64,
    decompressed: u64,
}

impl Format for Xz {
    type Settings = u32;
    type Compressed = Compressed;
    type Ending = ();

    const HISTORY: usize = 0;

    /// Three dictionaries, as xz chooses, within limits.
    fn block(&level: &u32) -> usize {
        let dictionary = 1_usize << preset(&DICTIONARIES, level);
        (3 * dictionary).clamp(SHORTEST, LONGEST)
    }

    fn memory(&level: &u32) -> u64 {
        (preset(&MEMORY, level) << 20) + 2 * to_u64(Self::block(&level))
    }

    fn compress(&level: &u32, block: &Block) -> io::Result<Compressed> {
        if block.bytes.is_empty() {
            return Ok(Compressed(None));
        }
        let mut encoder = Stream::new_easy_encoder(level, Check::Crc64)?;
        let mut stream = Vec::with_capacity(MORE);
        for slice in block.bytes.chunks(SLICE) {
            block.check_wanted()?;
            let end = encoder.total_in() + to_u64(slice.len());
            while encoder.total_in() < end {
                let from = slice.len() - to_usize(end - encoder.total_in());
                stream.reserve(MORE);
                encoder.process_vec(slice.get(from..).unwrap_or_default(), &mut stream, Action::Run)?;
            }
        }
        loop {
            stream.reserve(MORE);
            if encoder.process_vec(&[], &mut stream, Action::Finish)? == Status::StreamEnd {
                break;
            }
        }
        let part = take_apart(&stream, to_u64(block.bytes.len()));
        part.map(|part| Compressed(Some(part)))
            .ok_or_else(|| io::Error::other("liblzma wrote an unexpected stream"))
    }

    fn begin(_: &u32, output: &mut impl Write) -> io::Result<Self> {
        output.write_all(&HEADER)?;
        Ok(Self { index: Vec::new() })
    }

    fn put(&mut self, block: &Compressed, output: &mut impl Write) -> io::Result<()> {
        let Compressed(Some(part)) = block else { return Ok(()) };
        output.write_all(&part.header)?;
        output.write_all(&part.rest)?;
        self.index.push((part.unpadded, part.decompressed));
        Ok(())
    }

    fn end(self, output: &mut impl Write) -> io::Result<()> {
        let mut index = vec![0];
        put_number(&mut index, to_u64(self.index.len()));
        for (unpadded, decompressed) in self.index {
            put_number(&mut index, unpadded);
            put_number(&mut index, decompressed);
        }
        pad_and_check(&mut index);
        let words =
            u32::try_from(index.len() / 4 - 1).map_err(|_| io::Error::other("too long for an index"))?;
        let mut end = words.to_le_bytes().to_vec();
        end.extend(&HEADER[6..8]);
        output.write_all(&index)?;
        output.write_all(&crc32fast::hash(&end).to_le_bytes())?;
        output.write_all(&end)?;
        output.write_all(b"YZ")
    }
}

fn preset<T: Copy>(of_levels: &[T; 10], level: u32) -> T {
    let [.., highest] = *of_levels;
    usize::try_from(level).ok().and_then(|level| of_levels.get(level).copied()).unwrap_or(highest)
}

/// Takes the only block out of a stream; `None` if the stream is not as liblzma writes it.
fn take_apart(stream: &[u8], decompressed: u64) -> Option<Part> {
    let footer = stream.len().checked_sub(FOOTER)?;
    let backward: [u8; 4] = stream.get(footer + 4..footer + 8)?.try_into().ok()?;
    let index_len = (to_usize(u64::from(u32::from_le_bytes(backward))) + 1) * 4;
    let index_at = footer.checked_sub(index_len)?;
    // An indicator, one record.
    let mut records = stream.get(index_at..footer)?.strip_prefix(&[0, 1])?;
    let unpadded = number(&mut records)?;
    let block = stream.get(HEADER.len()..index_at)?;
    if number(&mut records)? != decompressed || to_u64(block.len()) != unpadded.next_multiple_of(4) {
        return None;
    }
    let [words, 0, filter @ ..] = block else { return None };
    let (header, rest) = block.split_at_checked((usize::from(*words) + 1) * 4)?;
    let compressed = unpadded.checked_sub(to_u64(header.len() + CHECK))?;
    // LZMA2 and its property of one byte, the dictionary's length.
    let filter = filter.get(..3).filter(|filter| filter.starts_with(&[0x21, 1]))?;
    let mut header = vec![0, ONE_FILTER_AND_LENGTHS];
    put_number(&mut header, compressed);
    put_number(&mut header, decompressed);
    header.extend(filter);
    let words = header.len().div_ceil(4);
    *header.first_mut()? = u8::try_from(words).ok()?;
    pad_and_check(&mut header);
    let unpadded = to_u64(header.len() + CHECK) + compressed;
    Some(Part { header, rest: rest.to_vec(), unpadded, decompressed })
}

/// Appends zeros up to a multiple of four bytes, and the CRC-32 of all.
fn pad_and_check(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let crc = crc32fast::hash(bytes);
    bytes.extend(crc.to_le_bytes());
}

/// Appends a number in seven bits a byte, the lowest first.
fn put_number(bytes: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// Takes such a number from the front.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Blocks;
    use crate::testing::{data, noise};

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        for (value, expected) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (u64::MAX >> 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            assert_eq!(bytes, expected);
            let mut rest = &bytes[..];
            assert_eq!((number(&mut rest), rest.len()), (Some(value), 0));
        }
        assert_eq!(number(&mut &[0x80, 0x80][..]), None);
    }

    #[test]
    fn what_is_no_stream_of_one_block_is_refused() {
        let mut encoder = Stream::new_easy_encoder(1, Check::Crc64).unwrap();
        let mut stream = Vec::with_capacity(1000);
        assert_eq!(encoder.process_vec(b"block", &mut stream, Action::Finish), Ok(Status::StreamEnd));
        assert!(take_apart(&stream, 5).is_some());
        assert!(take_apart(&stream, 6).is_none());
        for end in 0..stream.len() {
            assert!(take_apart(&stream[..end], 5).is_none(), "{end}");
        }
    }

    #[test]
    fn all_blocks_are_one_stream() {
        let whole = [noise(300_000), data(0, 2 << 20)].concat();
        let block = Xz::block(&0);
        for len in [0, 1, SLICE + 1, block, block + 1, whole.len()] {
            let bytes = &whole[..len];
            let threads = std::num::NonZeroUsize::new(2).unwrap();
            let mut blocks: Blocks<_, Xz> = Blocks::new(Vec::new(), 0, threads).unwrap();
            blocks.write_all(bytes).unwrap();
            let stream = blocks.finish().unwrap().0;
            let mut decoder = Stream::new_stream_decoder(u64::MAX, 0).unwrap();
            let mut found = Vec::with_capacity(len + 1);
            let status = decoder.process_vec(&stream, &mut found, Action::Finish).unwrap();
            assert_eq!(status, Status::StreamEnd);
            assert!(found == bytes && decoder.total_in() == to_u64(stream.len()), "{len} bytes");
        }
    }

    #[test]
    fn memory_is_limited_at_the_highest_level() {
        assert_eq!([0, 1, 6, 9].map(|level| Xz::block(&level)), [1 << 20, 3 << 20, 24 << 20, 64 << 20]);
        assert_eq!([1, 6, 9].map(|level| Xz::memory(&level) >> 20), [15, 142, 802]);
    }
}
