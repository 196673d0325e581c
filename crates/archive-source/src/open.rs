//! Opens archives and images, and reads all their layers.

use std::io::{BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_tree::{Container, FileStamp, Segment, shown, to_usize};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::Options;
use crate::ahead;
use crate::compress::Compression;
use crate::digest::{Digest, Hashed, Progress};
use crate::error::{ArchiveError, Fault};
use crate::input::{Input, Keeps, Part, PartReader, Seeking, Streaming, read_exact_at};
use crate::member::Members;
use crate::temporary::Temporary;
use crate::tree::{ArchiveTree, Contained};

/// A file that is being read.
struct Opened {
    path: PathBuf,
    /// `None` for the temporary file until it is complete.
    file: Option<Arc<OwnedFd>>,
    stamp: Option<(u64, FileStamp)>,
    segments: Vec<Box<[Segment]>>,
}

/// What an archive must be, as far as others know it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Of the file.
    pub(crate) digest: Option<Digest>,
    /// Of what it contains if it is compressed.
    pub(crate) uncompressed: Option<Digest>,
}

/// The tree, and the files with the contents of its files.
pub(crate) struct Reading<'r> {
    pub(crate) tree: ArchiveTree,
    opened: Vec<Opened>,
    temporary: Option<(u16, Temporary)>,
    source: &'r Path,
    options: &'r Options<'r>,
}

/// Number of entries after which progress is reported.
const STEP: u64 = 256;

impl<'r> Reading<'r> {
    pub(crate) fn new(source: &'r Path, options: &'r Options<'r>) -> Self {
        Self { tree: ArchiveTree::new(), opened: Vec::new(), temporary: None, source, options }
    }

    /// Opens a regular file. Returns its number, and all its bytes.
    pub(crate) fn open(&mut self, path: &Path) -> Result<(u16, Part), ArchiveError> {
        let (part, stamp) = open_file(path).map_err(|fault| fault.at(&shown(path), None))?;
        Ok((self.push(path, Some(Arc::clone(&part.file)), Some(stamp)), part))
    }

    /// Adds a file that is open already.
    pub(crate) fn push(
        &mut self,
        path: &Path,
        file: Option<Arc<OwnedFd>>,
        stamp: Option<(u64, FileStamp)>,
    ) -> u16 {
        let number = image_tree::narrow(
            image_tree::to_u64(self.opened.len()),
            "an image has at most as many files as layers, and two more",
        );
        self.opened.push(Opened { path: path.to_owned(), file, stamp, segments: Vec::new() });
        number
    }

    /// Adds the entries of an archive.
    pub(crate) fn archive(
        &mut self,
        (container, part): (u16, Part),
        expected: &Expected,
        path: &str,
    ) -> Result<(), ArchiveError> {
        let compression = compression(&part).map_err(|fault| fault.at(path, None))?;
        let is_plain = compression == Compression::Plain;
        if is_plain && expected.digest.is_none() && expected.uncompressed.is_none() {
            return self.members(&mut Seeking::new(part), container, true, path);
        }
        let whole = |fault: Fault| fault.at(path, None);
        let mut reader: Box<dyn Read + Send> = Box::new(PartReader::new(part.clone()));
        let digest = hashed(&mut reader, expected.digest.as_ref());
        let mut reader = compression.reader(reader).map_err(|error| whole(Fault::unreadable(error)))?;
        let uncompressed = hashed(&mut reader, expected.uncompressed.as_ref());
        let needs_end = digest.is_none() && uncompressed.is_none();
        let mut temporary = None;
        let container = if is_plain {
            container
        } else {
            let (number, file) = if let Some(known) = self.temporary.take() {
                known
            } else {
                let file = Temporary::new(self.options.temporary).map_err(whole)?;
                // In messages about its files, it has the name of the source.
                (self.push(self.source, None, None), file)
            };
            temporary = Some(file);
            number
        };
        let read = ahead::read(reader, |reader| {
            let keeps = match &mut temporary {
                Some(temporary) => Keeps::Copied(temporary),
                None => Keeps::InPlace(part.start),
            };
            let mut input = Streaming::new(reader, keeps, !is_plain);
            let read = self.members(&mut input, container, needs_end, path);
            read.and_then(|()| input.drain().map_err(whole))
        });
        self.temporary = temporary.map(|file| (container, file));
        read?;
        if let Some((progress, digest)) = digest {
            check(&progress, digest, &part).map_err(whole)?;
        }
        match uncompressed {
            Some((progress, digest)) if !progress.matches(digest) => {
                Err(whole(Fault::Digest { expected: digest.to_string() }))
            }
            _ => Ok(()),
        }
    }

    fn members(
        &mut self,
        input: &mut dyn Input,
        container: u16,
        needs_end: bool,
        path: &str,
    ) -> Result<(), ArchiveError> {
        let mut members = Members::new(needs_end);
        let segments = &mut self.opened[usize::from(container)].segments;
        let mut place = Contained { container, segments };
        let mut count = 0;
        while let Some(member) =
            members.next(input).map_err(|(entry, fault)| fault.at(path, entry.as_deref()))?
        {
            let name = member.path.clone();
            self.tree.add(member, &mut place).map_err(|fault| fault.at(path, Some(&name)))?;
            count += 1;
            if count == STEP {
                (self.options.progress)(STEP);
                count = 0;
            }
        }
        (self.options.progress)(count);
        Ok(())
    }

    /// Ends the temporary file. Further archives get another one.
    pub(crate) fn end_temporary(&mut self) -> Result<(), ArchiveError> {
        let Some((number, temporary)) = self.temporary.take() else { return Ok(()) };
        let folder = shown(self.options.temporary);
        let file = temporary.finish().map_err(|fault| fault.at(&folder, None))?;
        self.opened[usize::from(number)].file = Some(file);
        Ok(())
    }

    /// An open file.
    pub(crate) fn file(&self, number: u16) -> Option<Arc<OwnedFd>> {
        self.opened.get(usize::from(number))?.file.clone()
    }

    /// The tree, and the files with their paths.
    pub(crate) fn finish(mut self) -> Result<(ArchiveTree, Containers), ArchiveError> {
        self.end_temporary()?;
        let container = |opened: Opened| {
            let file = opened.file.expect("invariant: the only one without a file is the temporary one");
            let container = Container { file, stamp: opened.stamp, segments: opened.segments };
            (opened.path, Arc::new(container))
        };
        Ok((self.tree, self.opened.into_iter().map(container).collect()))
    }
}

/// Open files with their paths.
pub(crate) type Containers = Vec<(PathBuf, Arc<Container>)>;

/// Hashes what is read, if a digest is known.
fn hashed<'d>(
    reader: &mut Box<dyn Read + Send>,
    digest: Option<&'d Digest>,
) -> Option<(Progress, &'d Digest)> {
    let digest = digest?;
    let inner = std::mem::replace(reader, Box::new(std::io::empty()));
    let (hashed, progress) = Hashed::new(inner, digest);
    *reader = Box::new(hashed);
    Some((progress, digest))
}

/// Compares the digest of a file. A decompressor may have left its last bytes unread.
fn check(progress: &Progress, digest: &Digest, part: &Part) -> Result<(), Fault> {
    if progress.read() == part.len && progress.matches(digest) {
        return Ok(());
    }
    Err(Fault::Digest { expected: digest.to_string() })
}

/// Whether one of the first entries of an archive has a name that `is_wanted`.
pub(crate) fn is_among_first(
    path: &Path,
    count: usize,
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Result<bool, ArchiveError> {
    let place = shown(path);
    let whole = |fault: Fault| fault.at(&place, None);
    let (part, _) = open_file(path).map_err(whole)?;
    let compression = compression(&part).map_err(whole)?;
    let mut input: Box<dyn Input> = if compression == Compression::Plain {
        Box::new(Seeking::new(part))
    } else {
        let reader = compression.reader(PartReader::new(part));
        let reader = reader.map_err(|error| whole(Fault::unreadable(error)))?;
        Box::new(Streaming::new(Box::new(BufReader::new(reader)), Keeps::InPlace(0), true))
    };
    let mut members = Members::new(true);
    for _ in 0..count {
        let next = members.next(&mut *input);
        match next.map_err(|(entry, fault)| fault.at(&place, entry.as_deref()))? {
            Some(member) if is_wanted(&member.path) => return Ok(true),
            Some(_) => {}
            None => break,
        }
    }
    Ok(false)
}

fn compression(part: &Part) -> Result<Compression, Fault> {
    let mut magic = vec![0; to_usize(part.len.min(512))];
    read_exact_at(&part.file, &mut magic, part.start)?;
    Compression::of(&magic)
}

/// Opens a regular file.
pub(crate) fn open_file(path: &Path) -> Result<(Part, (u64, FileStamp)), Fault> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file =
        retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map_err(|errno| match errno {
            Errno::NOENT => Fault::Missing,
            errno => Fault::unreadable(errno),
        })?;
    let stat = rustix::fs::fstat(&file).map_err(Fault::unreadable)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Fault::NotAFile);
    }
    let len = u64::try_from(stat.st_size).map_err(|_| Fault::NotAFile)?;
    let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let stamp = FileStamp::of_mtime(stat.st_mtime, nanoseconds);
    Ok((Part { file: Arc::new(file), start: 0, len }, (len, stamp)))
}
