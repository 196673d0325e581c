//! Formats of compression. All of them are decompressed as streams, with bounded memory.

use std::fs::File;
use std::io::{self, BufReader, Read};

use liblzma::stream::{CONCATENATED, Stream};

/// How an image is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Zstd,
    Gzip,
    Xz,
}

const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The first of 16 magics of zstd's frames without data differ in their first four bits.
const SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
/// With deflate, the only method.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];
const XZ: &[u8] = b"\xfd7zXZ\0";

/// Memory for the dictionary of xz in \[bytes\]: twice what its highest level needs, as much as zstd allows for its window.
const MEMORY: u64 = 128 << 20;
const BUFFER: usize = 64 << 10;

impl Compression {
    /// By the first bytes of a file; `None` if they are of no format.
    pub(crate) fn of(begin: &[u8]) -> Option<Self> {
        let is_skippable =
            matches!(begin, [first, rest @ ..] if first >> 4 == 5 && rest.starts_with(SKIPPABLE));
        match begin {
            _ if is_skippable || begin.starts_with(ZSTD) => Some(Self::Zstd),
            _ if begin.starts_with(GZIP) => Some(Self::Gzip),
            _ if begin.starts_with(XZ) => Some(Self::Xz),
            _ => None,
        }
    }

    /// The name of the format.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
        }
    }

    /// Decompresses all frames, members or streams. Bytes after them that are none are an error.
    pub(crate) fn decoder<'a>(self, input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        let input = BufReader::with_capacity(BUFFER, input);
        Ok(match self {
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Xz => {
                let stream = Stream::new_stream_decoder(MEMORY, CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
        })
    }
}

/// The first bytes of a file, at most `most`; of what it contains if it is compressed. If that is damaged, the bytes before the
/// damage.
pub fn beginning(file: &File, most: usize) -> io::Result<Vec<u8>> {
    let limit = image_tree::to_u64(most);
    let mut bytes = Vec::new();
    let mut rest = file;
    rest.by_ref().take(limit).read_to_end(&mut bytes)?;
    let Some(compression) = Compression::of(&bytes) else { return Ok(bytes) };
    let mut found = Vec::new();
    if let Ok(decoder) = compression.decoder(bytes.chain(rest)) {
        let _ = decoder.take(limit).read_to_end(&mut found);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        for (begin, expected) in [
            (&b"\x28\xb5\x2f\xfd\0"[..], Some(Compression::Zstd)),
            (b"\x50\x2a\x4d\x18", Some(Compression::Zstd)),
            (b"\x5f\x2a\x4d\x18", Some(Compression::Zstd)),
            (b"\x60\x2a\x4d\x18", None),
            (b"\x1f\x8b\x08", Some(Compression::Gzip)),
            (b"\x1f\x8b\x07", None),
            (b"\xfd7zXZ\0", Some(Compression::Xz)),
            (b"\xfd7zXZ", None),
            (b"", None),
        ] {
            assert_eq!(Compression::of(begin), expected, "{begin:?}");
        }
    }

    #[test]
    fn beginnings_are_those_of_the_contents() {
        use std::io::{Seek, Write};
        let text = b"text of a file";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text).unwrap();
        let gz = gz.finish().unwrap();
        let beginning = |bytes: &[u8], most| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            beginning(&file, most).unwrap()
        };
        for (most, found) in [(4, &text[..4]), (14, text), (50, text)] {
            assert_eq!(beginning(text, most), found);
            assert_eq!(beginning(&gz, most), found);
        }
        // A damaged one has nothing, or what is before the damage.
        assert_eq!(beginning(&gz[..10], 50), b"");
        assert!(text.starts_with(&beginning(&gz[..gz.len() - 9], 50)));
    }

    #[test]
    fn formats_have_the_names_of_their_programs() {
        assert_eq!(
            [Compression::Zstd, Compression::Gzip, Compression::Xz].map(Compression::name),
            ["zstd", "gzip", "xz"]
        );
    }

    #[test]
    fn an_xz_stream_that_wants_much_memory_is_refused() {
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(256 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let stream = Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc64).unwrap();
        let mut bytes = Vec::new();
        liblzma::read::XzEncoder::new_stream(&b"small"[..], stream).read_to_end(&mut bytes).unwrap();
        let mut found = Vec::new();
        let error = Compression::Xz.decoder(&bytes[..]).unwrap().read_to_end(&mut found).unwrap_err();
        assert!(error.to_string().contains("memory"), "{error}");
    }
}
