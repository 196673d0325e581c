//! Opens image files: plain, or compressed by zstd, gzip or xz.
//!
//! With a seek table, frames are decompressed when they are needed. Without one, the image is decompressed once, into an
//! unnamed file in the folder for temporary files, with holes for zeros.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use image_tree::{io_reason, shown, to_u64};
use rustix::fs::{Mode, OFlags};

use crate::bytes::Bytes;
use crate::compressed::Compression;
use crate::seekable::Seekable;
use crate::source::FileSource;
use crate::{ReadError, Window};

/// The container of an image. Lengths are in \[bytes\].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// No container.
    Raw,
    /// Compressed by zstd.
    Zstd {
        /// The length of the compressed file.
        compressed: u64,
        /// Whether there is a seek table, by which parts can be read.
        seekable: bool,
    },
    /// Compressed by gzip.
    Gzip {
        /// The length of the compressed file.
        compressed: u64,
    },
    /// Compressed by xz.
    Xz {
        /// The length of the compressed file.
        compressed: u64,
    },
}

/// An open image.
#[derive(Debug)]
pub struct Image {
    /// The container.
    pub container: Container,
    /// The image's bytes, without the container.
    pub window: Window,
}

/// Formats that snugfs does not read: offset and bytes of the magic, name, and help.
const FOREIGN: [(usize, &[u8], &str, &str); 9] = [
    (0, b"QFI\xfb", "a qcow2 image", "convert it with `qemu-img convert -O raw`"),
    (0, b"conectix", "a dynamic VHD", "convert it with `qemu-img convert -f vpc -O raw`"),
    (64, b"\x7f\x10\xda\xbe", "a VDI", "convert it with `qemu-img convert -O raw`"),
    (0, b"vhdxfile", "a VHDX", "convert it with `qemu-img convert -O raw`"),
    (0, b"KDMV", "a VMDK", "convert it with `qemu-img convert -O raw`"),
    (0, b"\x3a\xff\x26\xed", "an Android sparse image", "convert it with `simg2img`"),
    (0, b"BZh", "compressed by bzip2", "decompress it with `bzip2 -dk`"),
    (0, b"\x04\x22\x4d\x18", "compressed by lz4", "decompress it with `lz4 -d`"),
    (257, b"ustar", "a tar archive", "unpack it with `tar -x`"),
];

/// Length of the start of a file that is enough for [`FOREIGN`], in \[bytes\].
const BEGINNING: u64 = 512;

/// Fails if the start of a file, or of what is compressed in it, is of another format.
fn refuse_foreign(begin: &[u8], verb: &str) -> Result<(), ReadError> {
    match FOREIGN.iter().find(|(at, magic, ..)| Bytes(begin).slice(*at, magic.len()) == *magic) {
        None => Ok(()),
        Some((_, _, what, help)) => {
            Err(ReadError::unsupported("", format!("{verb} {what}, which snugfs does not read"), *help))
        }
    }
}

/// Fails if what is compressed in a file is of another format, before all of it is decompressed. Damage is reported then.
fn refuse_foreign_in(raw: &Window, compression: Compression) -> Result<(), ReadError> {
    let mut begin = Vec::new();
    if let Ok(decoder) = compression.decoder(Stream { window: raw, at: 0 }) {
        let _ = decoder.take(BEGINNING).read_to_end(&mut begin);
    }
    refuse_foreign(&begin, "contains")
}

/// Block size of decompression in \[bytes\]. Blocks of zeros become holes.
const BLOCK: usize = 64 << 10;

impl Image {
    /// Opens an image file or a block device, read-only.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::of_file(open(path)?)
    }

    /// Opens an image to be changed: the bytes of a file that is open for reading, which must not be compressed.
    ///
    /// # Errors
    /// If the file can't be read, is compressed, or has a format that snugfs does not read.
    pub fn uncompressed(file: File) -> Result<Self, ReadError> {
        match raw(file)? {
            (window, None) => Ok(Self { container: Container::Raw, window }),
            (_, Some(compression)) => {
                let name = compression.name();
                let help = "decompress it, or build a raw image";
                Err(ReadError::unsupported(
                    "",
                    format!("is compressed by {name}, and can't be changed"),
                    help,
                ))
            }
        }
    }

    /// Opens an image in a file that is open for reading.
    pub fn of_file(file: File) -> Result<Self, ReadError> {
        let (raw, compression) = raw(file)?;
        let length = raw.length();
        let Some(compression) = compression else {
            return Ok(Self { container: Container::Raw, window: raw });
        };
        refuse_foreign_in(&raw, compression)?;
        let compressed = length;
        let container = match compression {
            Compression::Zstd => {
                if let Some(seekable) = Seekable::open(&raw)? {
                    let container = Container::Zstd { compressed, seekable: true };
                    return Ok(Self { container, window: Window::whole(Arc::new(seekable)) });
                }
                Container::Zstd { compressed, seekable: false }
            }
            Compression::Gzip => Container::Gzip { compressed },
            Compression::Xz => Container::Xz { compressed },
        };
        Ok(Self { container, window: Window::whole(Arc::new(decompress(&raw, compression)?)) })
    }
}

fn open(path: &Path) -> Result<File, ReadError> {
    let place = "";
    // Checked before opening, because opening a pipe would block.
    let kind = std::fs::metadata(path).map_err(|error| ReadError::io(place, error))?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        let what = if kind.is_dir() { "is a folder" } else { "is neither a file nor a block device" };
        return Err(ReadError::unsupported(place, what, "name an image"));
    }
    File::open(path).map_err(|error| ReadError::io(place, error))
}

/// The bytes of a file as they are stored, and how they are compressed.
fn raw(mut file: File) -> Result<(Window, Option<Compression>), ReadError> {
    let place = "";
    let length = file.seek(SeekFrom::End(0)).map_err(|error| ReadError::io(place, error))?;
    let raw = Window::whole(Arc::new(FileSource { file, length }));
    let begin = raw.bytes(0, length.min(BEGINNING)).map_err(|error| ReadError::io(place, error))?;
    if length == 0 {
        return Err(ReadError::unsupported(place, "is empty", "name an image"));
    }
    refuse_foreign(&begin, "is")?;
    Ok((raw, Compression::of(&begin)))
}

/// The bytes of an image in order, without a temporary file. They are not checked to be those of an image.
pub struct ImageStream {
    reader: Box<dyn Read + Send>,
    /// Length in \[bytes\]; `None` if the image is compressed.
    length: Option<u64>,
    /// The name of the compression.
    compression: Option<&'static str>,
}

impl std::fmt::Debug for ImageStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageStream").field("length", &self.length).finish_non_exhaustive()
    }
}

impl ImageStream {
    /// Opens an image file or a block device, read-only.
    ///
    /// # Errors
    /// If it can't be read, or has a format that snugfs does not read.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let (raw, compression) = raw(open(path)?)?;
        let length = raw.length();
        let Some(compression) = compression else {
            let reader = Box::new(Stream { window: raw, at: 0 });
            return Ok(Self { reader, length: Some(length), compression: None });
        };
        refuse_foreign_in(&raw, compression)?;
        let stream = Stream { window: raw, at: 0 };
        let name = compression.name();
        let reader =
            compression.decoder(stream).map_err(|error| ReadError::damaged(name, io_reason(&error)))?;
        Ok(Self { reader, length: None, compression: Some(name) })
    }

    /// Length of the image in \[bytes\]; `None` if it is compressed.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Fills the buffer with the next bytes, except at the end, and returns how many there are.
    ///
    /// # Errors
    /// If the file can't be read, or the compressed image is damaged or truncated.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let mut filled: usize = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(filled)
    }

    fn failed(&self, error: io::Error) -> ReadError {
        match self.compression {
            // Errors of the file have a number, those of decompression have none.
            Some(name) if error.raw_os_error().is_none() => damaged(name, &error),
            _ => ReadError::io("", error),
        }
    }
}

fn damaged(name: &'static str, error: &io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::damaged(name, "the compressed image is truncated"),
        _ => ReadError::damaged(name, io_reason(error)),
    }
}

/// A stream of the bytes of a window.
pub(crate) struct Stream<W> {
    pub(crate) window: W,
    pub(crate) at: u64,
}

impl<W: std::borrow::Borrow<Window>> Read for Stream<W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let window: &Window = self.window.borrow();
        let left = window.length().saturating_sub(self.at);
        let part = buffer.len().min(image_tree::to_usize(left));
        if let Some(buffer) = buffer.get_mut(..part) {
            window.read(self.at, buffer)?;
        }
        self.at = self.at.saturating_add(to_u64(part));
        Ok(part)
    }
}

/// Decompresses an image into an unnamed file.
pub(crate) fn decompress(raw: &Window, compression: Compression) -> Result<FileSource, ReadError> {
    let folder = std::env::temp_dir();
    let place = "temporary file";
    let mut file = unnamed(&folder).map_err(|error| ReadError::io(place, error))?;
    let name = compression.name();
    let damaged = |error: io::Error| damaged(name, &error);
    let mut decoder = compression.decoder(Stream { window: raw, at: 0 }).map_err(damaged)?;
    let mut block = vec![0; BLOCK];
    let mut length = 0_u64;
    loop {
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let read = decoder.read(rest).map_err(damaged)?;
            if read == 0 {
                break;
            }
            filled = filled.saturating_add(read);
        }
        let found = &block[..filled];
        if found.iter().any(|&byte| byte != 0) {
            file.seek(SeekFrom::Start(length)).and_then(|_| file.write_all(found)).map_err(|error| {
                let help = format!("free space in {} or set TMPDIR to another folder", shown(&folder));
                ReadError::unsupported(place, io_reason(&error), help)
            })?;
        }
        length = length
            .checked_add(to_u64(filled))
            .ok_or_else(|| ReadError::unsupported(name, "has more than 2^64 bytes", ""))?;
        if filled < BLOCK {
            break;
        }
    }
    file.set_len(length).map_err(|error| ReadError::io(place, error))?;
    Ok(FileSource { file, length })
}

/// An unnamed file, which is deleted when it is closed.
fn unnamed(folder: &Path) -> io::Result<File> {
    let private = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    if let Ok(fd) = rustix::fs::open(folder, flags, private) {
        return Ok(File::from(fd));
    }
    // Not every file system supports unnamed files.
    deleted(folder)
}

/// A file that has a name only for a moment.
fn deleted(folder: &Path) -> io::Result<File> {
    let private = Mode::RUSR | Mode::WUSR;
    for number in 0..100 {
        let path = folder.join(format!(".snugfs-inspect-{}-{number}", std::process::id()));
        let made =
            rustix::fs::open(&path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, private);
        match made {
            Ok(fd) => {
                std::fs::remove_file(&path)?;
                return Ok(File::from(fd));
            }
            Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut found).unwrap();
        found
    }

    /// A file with these bytes.
    struct Stored {
        folder: tempfile::TempDir,
    }

    impl Stored {
        fn new(bytes: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("image"), bytes).unwrap();
            Self { folder }
        }

        fn path(&self) -> std::path::PathBuf {
            self.folder.path().join("image")
        }
    }

    fn first(error: &ReadError) -> String {
        error.to_string().split("; ").next().unwrap_or_default().to_owned()
    }

    fn refused(bytes: &[u8]) -> [Option<String>; 2] {
        let file = Stored::new(bytes);
        let image = Image::open(&file.path()).err();
        let stream = ImageStream::open(&file.path()).err();
        [image.as_ref().map(first), stream.as_ref().map(first)]
    }

    /// Bytes that are not compressed well, and zeros at the end.
    fn contents() -> Vec<u8> {
        let mut bytes: Vec<u8> =
            (0..150_000_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        bytes.resize(bytes.len() + 200_000, 0);
        bytes
    }

    #[test]
    fn other_formats_are_refused_also_if_they_are_compressed() {
        for (at, magic, name, _) in FOREIGN {
            let mut bytes = vec![0; 2000];
            bytes[at..at + magic.len()].copy_from_slice(magic);
            let is = format!("is {name}, which snugfs does not read");
            assert_eq!(refused(&bytes), [Some(is.clone()), Some(is)]);
            let contains = format!("contains {name}, which snugfs does not read");
            for compressed in [gzip(&bytes), zstd::bulk::compress(&bytes, 1).unwrap(), xz(&bytes)] {
                assert_eq!(refused(&compressed), [Some(contains.clone()), Some(contains.clone())]);
            }
        }
        assert_eq!(refused(&[1; 2000]), [None, None]);
        assert_eq!(refused(b""), [Some("is empty".to_owned()), Some("is empty".to_owned())]);
    }

    #[test]
    fn only_files_and_block_devices_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(first(&Image::open(folder.path()).unwrap_err()), "is a folder");
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(first(&Image::open(&pipe).unwrap_err()), "is neither a file nor a block device");
        let absent = Image::open(&folder.path().join("absent")).unwrap_err();
        assert_eq!(first(&absent), "no such file or directory");
    }

    #[test]
    fn compressed_images_are_read_whole() {
        let bytes = contents();
        let (gz, zst, xz) = (gzip(&bytes), zstd::bulk::compress(&bytes, 1).unwrap(), xz(&bytes));
        let length = |compressed: &[u8]| to_u64(compressed.len());
        for (stored, container) in [
            (&bytes, Container::Raw),
            (&gz, Container::Gzip { compressed: length(&gz) }),
            (&zst, Container::Zstd { compressed: length(&zst), seekable: false }),
            (&xz, Container::Xz { compressed: length(&xz) }),
        ] {
            let file = Stored::new(stored);
            let image = Image::open(&file.path()).unwrap();
            assert_eq!(image.container, container);
            assert_eq!(image.window.length(), to_u64(bytes.len()));
            assert!(image.window.bytes(0, to_u64(bytes.len())).unwrap() == bytes);
            let changed = Image::uncompressed(File::open(file.path()).unwrap());
            assert_eq!(changed.is_ok(), container == Container::Raw);
            let mut stream = ImageStream::open(&file.path()).unwrap();
            assert_eq!(stream.length(), (container == Container::Raw).then_some(to_u64(bytes.len())));
            let mut buffer = vec![0; bytes.len() + 7];
            // The buffer is filled, except at the end.
            assert_eq!(stream.fill(&mut buffer[..500_000]).unwrap(), 500_000);
            assert_eq!(stream.fill(&mut buffer[500_000..]).unwrap(), bytes.len() - 500_000);
            assert!(buffer[..bytes.len()] == bytes);
            assert_eq!(stream.fill(&mut buffer).unwrap(), 0);
        }
    }

    #[test]
    fn truncated_and_damaged_images_are_named() {
        let whole = gzip(&contents());
        let mut damaged = whole.clone();
        let at = damaged.len() - 6;
        damaged[at] ^= 1;
        let truncated = &whole[..whole.len() - 10];
        let all = |bytes: &[u8]| {
            let file = Stored::new(bytes);
            let image = first(&Image::open(&file.path()).unwrap_err());
            let mut stream = ImageStream::open(&file.path()).unwrap();
            let streamed = first(&stream.fill(&mut vec![0; 1 << 20]).unwrap_err());
            assert_eq!(image, streamed);
            image
        };
        assert_eq!(all(truncated), "gzip: the compressed image is truncated");
        assert!(all(&damaged).starts_with("gzip: corrupt gzip stream"), "{}", all(&damaged));
    }

    #[test]
    fn errors_of_the_file_are_not_those_of_compression() {
        struct Failing(Vec<io::Error>);
        impl Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if let Some(error) = self.0.pop() {
                    return Err(error);
                }
                buffer.fill(7);
                Ok(buffer.len())
            }
        }
        let stream = |errors, compression| ImageStream {
            reader: Box::new(Failing(errors)),
            length: None,
            compression,
        };
        let failed =
            |error, compression| first(&stream(vec![error], compression).fill(&mut [0; 9]).unwrap_err());
        let disk = || io::Error::from_raw_os_error(5);
        assert_eq!(failed(disk(), Some("gzip")), "input/output error");
        assert_eq!(failed(disk(), None), "input/output error");
        assert_eq!(failed(io::Error::other("Odd"), Some("gzip")), "gzip: odd");
        assert_eq!(failed(io::Error::other("Odd"), None), "odd");
        // An interrupted read is tried again.
        let mut buffer = [0; 9];
        let mut interrupted = stream(vec![io::ErrorKind::Interrupted.into()], None);
        assert_eq!((interrupted.fill(&mut buffer).unwrap(), buffer), (9, [7; 9]));
    }

    #[test]
    fn temporary_files_are_private_and_have_no_name() {
        let folder = tempfile::tempdir().unwrap();
        // A file of another program may have the name.
        let other = folder.path().join(format!(".snugfs-inspect-{}-0", std::process::id()));
        std::fs::write(&other, "mine").unwrap();
        for make in [unnamed, deleted] {
            let mut file = make(folder.path()).unwrap();
            let found = file.metadata().unwrap();
            assert_eq!((found.mode() & 0o777, found.nlink()), (0o600, 0));
            assert!(rustix::io::fcntl_getfd(&file).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
            file.write_all(b"text").unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"text");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(std::fs::read(&other).unwrap(), b"mine");
        for number in 1..100 {
            std::fs::write(
                folder.path().join(format!(".snugfs-inspect-{}-{number}", std::process::id())),
                "",
            )
            .unwrap();
        }
        assert_eq!(deleted(folder.path()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
