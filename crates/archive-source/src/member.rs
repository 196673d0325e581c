//! The entries of a tar archive, one after the other.

use image_tree::{Segment, SpecialKind, to_u64, to_usize};

use crate::error::Fault;
use crate::header::{BLOCK, Header, text, unsigned};
use crate::input::Input;
use crate::limits;
use crate::pax::{self, Overrides};

/// An entry, as the archive describes it.
#[derive(Debug)]
pub(crate) struct Member {
    /// Any bytes.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: MemberKind,
    /// Twelve bits.
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
    /// Name and value, each name once.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug)]
pub(crate) enum MemberKind {
    Directory,
    /// A file whose bytes follow each other.
    File {
        size: u64,
        offset: u64,
    },
    Sparse {
        size: u64,
        segments: Vec<Segment>,
    },
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    Special(SpecialKind),
}

/// A problem, with the path of the entry if it is known.
pub(crate) type EntryFault = (Option<Vec<u8>>, Fault);

/// Reads the entries of an archive.
pub(crate) struct Members {
    globals: Overrides,
    global_bytes: u64,
    /// Whether a missing mark of the end is an error. Where a digest covers the archive, it can't be cut.
    needs_end: bool,
}

/// What comes in front of a header.
#[derive(Default)]
struct Extensions {
    local: Option<Overrides>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    bytes: u64,
    count: usize,
}

impl Members {
    pub(crate) fn new(needs_end: bool) -> Self {
        Self { globals: Overrides::default(), global_bytes: 0, needs_end }
    }

    /// The next entry; `None` at the end.
    pub(crate) fn next(&mut self, input: &mut dyn Input) -> Result<Option<Member>, EntryFault> {
        let mut extensions = Extensions::default();
        loop {
            let Some(header) = self.header(input, extensions.count > 0).map_err(|fault| (None, fault))?
            else {
                return Ok(None);
            };
            match header.type_byte() {
                b'x' | b'X' | b'g' | b'L' | b'K' => {
                    self.extension(input, &header, &mut extensions)
                        .map_err(|fault| (Some(header.path()), fault))?;
                }
                // The label of the volume.
                b'V' => skip_data(input, &header).map_err(|fault| (None, fault))?,
                _ => {
                    let overrides = extensions.local.take().unwrap_or_else(|| self.globals.clone());
                    let mut path = header.path();
                    path = extensions.long_path.take().unwrap_or(path);
                    path = overrides.path.clone().unwrap_or(path);
                    path = overrides.sparse.path.clone().unwrap_or(path);
                    let long_link = extensions.long_link.take();
                    return member(input, &header, overrides, (path.clone(), long_link))
                        .map(Some)
                        .map_err(|fault| (Some(path), fault));
                }
            }
        }
    }

    /// The next header; `None` at the end of the archive.
    fn header(&self, input: &mut dyn Input, is_expected: bool) -> Result<Option<Header>, Fault> {
        let offset = input.position();
        let mut header = Header([0; 512]);
        let filled = input.fill(&mut header.0);
        if offset == 0 && filled == Err(Fault::Truncated) {
            return Err(Fault::NotAnArchive);
        }
        if !filled? {
            return match (is_expected, self.needs_end && offset > 0) {
                (true, _) => Err(Fault::Truncated),
                (_, true) => Err(Fault::NoEnd),
                _ if offset == 0 => Err(Fault::NotAnArchive),
                _ => Ok(None),
            };
        }
        if header.is_zero() {
            if is_expected {
                return Err(Fault::Truncated);
            }
            // The mark has two blocks. Some programs write only one, as the last block of the file.
            let mut second = Header([0; 512]);
            return match input.fill(&mut second.0) {
                Ok(true) if !second.is_zero() => Err(Fault::Checksum { offset: offset + BLOCK }),
                Ok(_) | Err(Fault::Truncated) => Ok(None),
                Err(fault) => Err(fault),
            };
        }
        if !header.has_checksum() {
            return Err(if offset == 0 { Fault::NotAnArchive } else { Fault::Checksum { offset } });
        }
        Ok(Some(header))
    }

    fn extension(
        &mut self,
        input: &mut dyn Input,
        header: &Header,
        extensions: &mut Extensions,
    ) -> Result<(), Fault> {
        let len = header.size()?;
        extensions.count += 1;
        extensions.bytes = extensions.bytes.saturating_add(len);
        if extensions.count > limits::EXTENSIONS {
            return Err(Fault::Limit { what: "more than 16 headers in front of one entry" });
        }
        if extensions.bytes > limits::EXTENSION_BYTES {
            return Err(Fault::Limit { what: "more than 8 MiB of headers in front of one entry" });
        }
        let bytes = data(input, len)?;
        match header.type_byte() {
            b'L' => extensions.long_path = Some(text(&bytes).to_vec()),
            b'K' => extensions.long_link = Some(text(&bytes).to_vec()),
            b'g' => {
                self.global_bytes = self.global_bytes.saturating_add(len);
                if self.global_bytes > limits::GLOBAL_BYTES {
                    return Err(Fault::Limit { what: "more than 64 KiB of global PAX headers" });
                }
                pax::apply(&mut self.globals, &bytes)?;
            }
            _ => {
                let local = extensions.local.get_or_insert_with(|| self.globals.clone());
                pax::apply(local, &bytes)?;
            }
        }
        Ok(())
    }
}

/// Reads the data after a header.
fn data(input: &mut dyn Input, len: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; to_usize(len)];
    if !bytes.is_empty() && !input.fill(&mut bytes)? {
        return Err(Fault::Truncated);
    }
    input.pad()?;
    Ok(bytes)
}

fn skip_data(input: &mut dyn Input, header: &Header) -> Result<(), Fault> {
    input.skip(header.size()?)?;
    input.pad()
}

fn member(
    input: &mut dyn Input,
    header: &Header,
    overrides: Overrides,
    (path, long_link): (Vec<u8>, Option<Vec<u8>>),
) -> Result<Member, Fault> {
    let id = |given: Option<i64>, field, value: Result<Option<i64>, Fault>| {
        let id = match given {
            Some(id) => id,
            None => value?.unwrap_or(0),
        };
        // The largest number means "no change" to chown(2), so that no file can have it.
        u32::try_from(id).ok().filter(|id| *id < u32::MAX).ok_or(Fault::Number { field })
    };
    let uid = id(overrides.uid, "owner", header.uid())?;
    let gid = id(overrides.gid, "group", header.gid())?;
    let (seconds, nanoseconds) = match overrides.mtime {
        Some(mtime) => mtime,
        None => (header.mtime()?, 0),
    };
    let kind = kind(input, header, &overrides, &path, long_link)?;
    input.pad()?;
    Ok(Member { path, kind, mode: header.mode()?, uid, gid, seconds, nanoseconds, xattrs: overrides.xattrs })
}

fn kind(
    input: &mut dyn Input,
    header: &Header,
    overrides: &Overrides,
    path: &[u8],
    long_link: Option<Vec<u8>>,
) -> Result<MemberKind, Fault> {
    let link = || {
        let link = long_link.unwrap_or_else(|| header.link());
        overrides.link.clone().unwrap_or(link)
    };
    // Links, devices and FIFOs have no data, whatever their size says.
    Ok(match header.type_byte() {
        b'1' => MemberKind::HardLink(link()),
        b'2' => MemberKind::Symlink(link()),
        b'3' => {
            let (major, minor) = device(header, overrides)?;
            MemberKind::Special(SpecialKind::Character { major, minor })
        }
        b'4' => {
            let (major, minor) = device(header, overrides)?;
            MemberKind::Special(SpecialKind::Block { major, minor })
        }
        b'5' => MemberKind::Directory,
        b'6' => MemberKind::Special(SpecialKind::Fifo),
        // The list of a directory's entries in an incremental archive.
        b'D' => {
            input.skip(size(header, overrides)?)?;
            MemberKind::Directory
        }
        b'S' => old_sparse(input, header, overrides)?,
        // Before POSIX, directories were files whose names end with a slash.
        b'0' | 0 if path.ends_with(b"/") => {
            input.skip(size(header, overrides)?)?;
            MemberKind::Directory
        }
        b'0' | 0 | b'7' => file(input, header, overrides)?,
        b'M' => return Err(Fault::MultiVolume),
        other => return Err(Fault::Type { byte: image_tree::escaped(&[other]).to_string() }),
    })
}

fn size(header: &Header, overrides: &Overrides) -> Result<u64, Fault> {
    let size = match overrides.size {
        Some(size) => size,
        None => header.size()?,
    };
    // Offsets are signed in Linux.
    if i64::try_from(size).is_err() { Err(Fault::Number { field: "size" }) } else { Ok(size) }
}

fn device(header: &Header, overrides: &Overrides) -> Result<(u32, u32), Fault> {
    let (major, minor) = match (overrides.major, overrides.minor) {
        (Some(major), Some(minor)) => (major, minor),
        (major, minor) => {
            let numbers = header.device()?;
            (major.unwrap_or(numbers.0), minor.unwrap_or(numbers.1))
        }
    };
    let number = |value: i64, below: u32| u32::try_from(value).ok().filter(|value| *value < below);
    number(major, 1 << 12).zip(number(minor, 1 << 20)).ok_or(Fault::Device)
}

fn file(input: &mut dyn Input, header: &Header, overrides: &Overrides) -> Result<MemberKind, Fault> {
    let stored = size(header, overrides)?;
    let sparse = &overrides.sparse;
    let numbers = match (sparse.major, sparse.minor) {
        (Some(1), Some(0)) => {
            let (numbers, read) = map_in_data(input, stored)?;
            return sparse_file(input, sparse.size, &numbers, stored - read);
        }
        (None | Some(0), _) if sparse.map.is_some() || sparse.size.is_some() => sparse.map.clone(),
        (None | Some(0), _) => return Ok(MemberKind::File { size: stored, offset: input.keep(stored)? }),
        _ => return Err(Fault::Sparse),
    };
    sparse_file(input, sparse.size, &numbers.unwrap_or_default(), stored)
}

/// Numbers in front of the data, one in a line, up to the end of a block: how many runs, then their offsets and lengths.
/// Returns the latter, and how many bytes they took.
fn map_in_data(input: &mut dyn Input, stored: u64) -> Result<(Vec<u64>, u64), Fault> {
    let (mut numbers, mut read, mut count) = (Vec::new(), 0, None);
    let mut digits: Vec<u8> = Vec::new();
    let mut block = [0; 512];
    loop {
        if stored - read < BLOCK {
            return Err(Fault::Sparse);
        }
        if !input.fill(&mut block)? {
            return Err(Fault::Truncated);
        }
        read += BLOCK;
        for &byte in &block {
            if byte != b'\n' {
                digits.push(byte);
                if digits.len() > 20 {
                    return Err(Fault::Sparse);
                }
                continue;
            }
            let number = pax::decimal(&digits).ok_or(Fault::Sparse)?;
            digits.clear();
            match count {
                None => count = Some(number.checked_mul(2).ok_or(Fault::Sparse)?),
                Some(_) => numbers.push(number),
            }
            if count == Some(to_u64(numbers.len())) {
                return Ok((numbers, read));
            }
            if numbers.len() > 2 * limits::SEGMENTS {
                return Err(too_many_runs());
            }
        }
    }
}

fn too_many_runs() -> Fault {
    Fault::Limit { what: "more than 1048576 data runs" }
}

/// The header has four runs. Blocks of 21 runs follow, if it says so.
fn old_sparse(input: &mut dyn Input, header: &Header, overrides: &Overrides) -> Result<MemberKind, Fault> {
    let stored = size(header, overrides)?;
    let mut numbers = Vec::new();
    let (map, mut has_more) = header.sparse_map();
    let mut add = |map: &[u8]| {
        for run in map.chunks_exact(24) {
            let (offset, len) = run.split_at(12);
            // Runs that are not used have no digits.
            if offset[0] != 0 {
                numbers.push(unsigned(offset, "map of data")?);
                numbers.push(unsigned(len, "map of data")?);
            }
        }
        if numbers.len() > 2 * limits::SEGMENTS { Err(too_many_runs()) } else { Ok(()) }
    };
    add(map)?;
    while has_more {
        let mut block = [0; 512];
        if !input.fill(&mut block)? {
            return Err(Fault::Truncated);
        }
        add(&block[..504])?;
        has_more = block[504] != 0;
    }
    sparse_file(input, Some(header.sparse_size()?), &numbers, stored)
}

/// A file with `stored` \[bytes\] of data, at the places that pairs of an offset and a length say.
fn sparse_file(
    input: &mut dyn Input,
    size: Option<u64>,
    numbers: &[u64],
    stored: u64,
) -> Result<MemberKind, Fault> {
    let size = size.filter(|size| i64::try_from(*size).is_ok()).ok_or(Fault::Sparse)?;
    if !numbers.len().is_multiple_of(2) {
        return Err(Fault::Sparse);
    }
    if numbers.len() > 2 * limits::SEGMENTS {
        return Err(too_many_runs());
    }
    let mut segments: Vec<Segment> = Vec::new();
    let (mut end, mut in_data) = (0, 0_u64);
    for pair in numbers.chunks_exact(2) {
        let (start, len) = (pair[0], pair[1]);
        let after = start.checked_add(len).filter(|after| *after <= size).ok_or(Fault::Sparse)?;
        if start < end {
            return Err(Fault::Sparse);
        }
        if len > 0 {
            match segments.last_mut() {
                Some(last) if last.start + last.len == start => last.len += len,
                _ => segments.push(Segment { start, len, offset: in_data }),
            }
        }
        end = after;
        in_data = in_data.checked_add(len).ok_or(Fault::Sparse)?;
    }
    if in_data != stored {
        return Err(Fault::Sparse);
    }
    let offset = input.keep(stored)?;
    if stored == size {
        return Ok(MemberKind::File { size, offset });
    }
    for segment in &mut segments {
        segment.offset += offset;
    }
    Ok(MemberKind::Sparse { size, segments })
}
