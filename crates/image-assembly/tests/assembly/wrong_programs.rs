//! Programs whose readers and writers return wrong counts or fail: an error that says so, and no image with other bytes.

use std::io::{self, Write};
use std::num::NonZeroUsize;

use image_assembly::{AssemblyError, ErrorKind, KnownZeros, Target, Writer};
use image_tree::{Contents, ContentsError, FileBytes, FileReader, FileRef, Forward, ReadAt};

use crate::support::*;

/// The first file is right, the others claim `more` bytes than their buffer has room for. They do not write the last `missing`.
#[derive(Clone, Copy, Debug)]
struct Claims {
    more: usize,
    missing: usize,
    is_stream: bool,
}

struct Reader(FileRef, Claims);

impl Reader {
    fn fill(&self, buffer: &mut [u8]) -> usize {
        let Self(file, claims) = self;
        let is_wrong = *file != Files::node(0).into();
        let missing = if is_wrong { claims.missing } else { 0 };
        let filled = buffer.len() - missing.min(buffer.len());
        buffer[..filled].fill(if is_wrong { b'w' } else { b's' });
        buffer.len() + if is_wrong { claims.more } else { 0 }
    }
}

impl ReadAt for Reader {
    fn read_at(&mut self, buffer: &mut [u8], _: u64) -> io::Result<usize> {
        Ok(self.fill(buffer))
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.fill(buffer))
    }
}

impl Contents for Claims {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(*self)
    }
}

impl FileReader for Claims {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let reader = Reader(file, *self);
        Ok(if self.is_stream {
            FileBytes::Reader(Box::new(Forward::new(reader)))
        } else {
            FileBytes::Reader(Box::new(reader))
        })
    }
}

#[test]
fn a_reader_that_claims_too_much_is_an_error() {
    let files = Files::new(&[3 * MIB, 5000, 200 * KIB, 3 * MIB]);
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let says = "says that it read more bytes than it was asked for";
    for more in [1, 10, usize::MAX / 4] {
        for (missing, is_stream) in [(0, false), (5000, false), (usize::MAX, false), (0, true)] {
            let claims = Claims { more, missing, is_stream };
            for threads in [1, 4] {
                for options in [options(threads, None), options(threads, Some(1))] {
                    let options = image_assembly::Options { digest: false, ..options };
                    let written = Writer::new(&image, &claims).options(options).write(Target::File(&path));
                    let error = written.unwrap_err();
                    assert!(error.to_string().contains(says), "{claims:?}: {error}");
                    assert!(!path.exists());
                    let error = Writer::new(&image, &claims).options(options).write_to(&mut Vec::new());
                    assert!(error.unwrap_err().to_string().contains(says), "{claims:?}");
                }
            }
            if missing == 0 && !is_stream {
                let found =
                    KnownZeros::find(&image, &claims, (NonZeroUsize::MIN, NonZeroUsize::MIN), &|_| {});
                let error = found.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Internal);
            }
        }
    }
}

/// Fails after `good` bytes, in a way.
struct Failing {
    good: usize,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Other,
    System,
    Kind,
    Claim,
    Flush,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(left) = self.good.checked_sub(bytes.len()) {
            self.good = left;
            return Ok(bytes.len());
        }
        match self.how {
            How::Other => Err(io::Error::other("disk on fire")),
            How::System => Err(io::Error::from_raw_os_error(28)),
            How::Kind => Err(io::ErrorKind::BrokenPipe.into()),
            How::Claim => Ok(bytes.len() + 1),
            How::Flush => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if matches!(self.how, How::Flush) { Err(io::Error::other("flush failed")) } else { Ok(()) }
    }
}

#[test]
fn an_error_of_the_output_is_not_one_of_the_compressor() {
    let files = Files::new(&[3 * MIB, 5000, 200 * KIB]);
    let image = Image::of_files(&files);
    let contents = file_scanner::ScannedFiles::new(&files.tree);
    for level in [None, Some(1)] {
        for framing in all_framings() {
            for digest in [false, true] {
                for good in [0, 1_500_000] {
                    for (how, says) in [
                        (How::Other, "disk on fire"),
                        (How::System, "no space left on device"),
                        (How::Kind, "broken pipe"),
                        (How::Claim, "took more bytes than it was given"),
                        (How::Flush, "flush failed"),
                    ] {
                        let mut options = image_assembly::Options { digest, ..options(2, level) };
                        if let Some(image_assembly::Compression::Zstd { framing: of, .. }) =
                            &mut options.compression
                        {
                            *of = framing;
                        }
                        let mut output = Failing { good, how };
                        let writer = Writer::new(&image, &contents).options(options);
                        let error = writer.write_to(&mut output).unwrap_err();
                        assert!(
                            matches!(&error, AssemblyError::Output { path, .. } if path == "the output"),
                            "{how:?}: {error:?}"
                        );
                        assert!(error.to_string().contains(says), "{how:?}: {error}");
                    }
                }
            }
        }
    }
}

fn all_framings() -> [image_assembly::Framing; 4] {
    use image_assembly::Framing::{Seekable, Single, Units};
    [Single, Seekable, Units { seekable: false }, Units { seekable: true }]
}
