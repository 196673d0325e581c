//! One entry of a directory: at most one call for what a store says of it, and one more where a tree keeps more.

use std::ffi::CStr;
use std::os::fd::AsFd;

use image_tree::SpecialKind;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::found::{DirectoryId, HostMetadata, Inode, Kind, Part, TreePart, mode_bits, stamp};
use crate::host_xattrs::{self, XattrError};
use crate::listing::ListError;
use crate::walk::{OpenDirectory, Policy};

/// What is wrong with an entry or a directory; the walk adds where.
#[derive(Debug)]
pub(crate) enum Problem {
    System(Errno),
    Changed,
    MissingStorePath,
    SpecialInStore,
    /// A symlink's target of so many bytes.
    Target(usize),
    DeviceNumber,
    /// A length of 0 is told, and yet there are contents.
    ToldEmpty,
    TooMany,
    List(ListError),
    Xattr(XattrError),
}

impl From<Errno> for Problem {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        Self::List(error)
    }
}

impl From<XattrError> for Problem {
    fn from(error: XattrError) -> Self {
        Self::Xattr(error)
    }
}

/// The kind of a directory that the walk has not numbered yet.
const UNNUMBERED: Kind = Kind::Directory(DirectoryId(u32::MAX));

/// The longest target that a symlink of ext4 can have, in \[bytes\]: a block less its NUL, also Linux' `PATH_MAX`.
const MAX_TARGET: usize = 4095;

/// Adds an entry to a part; true for a directory, whose number is still missing.
pub(crate) fn entry(directory: &OpenDirectory<'_>, index: usize, part: &mut Part) -> Result<bool, Problem> {
    let name = directory.listing.c_name(index);
    let listed = directory.listing.file_type(index);
    let kind = match directory.policy {
        Policy::Store => store_entry(directory, name, listed, part)?,
        Policy::Tree(plan) => {
            let stat = if listed == FileType::Directory { None } else { Some(stat(directory, name)?) };
            let kind = match &stat {
                Some(stat) => tree_kind(directory, name, stat, part)?,
                None => UNNUMBERED,
            };
            let position = part.kinds.len();
            let tree = part.tree.get_or_insert_default();
            let is_directory = matches!(kind, Kind::Directory(_));
            if let (Some(stat), false) = (&stat, is_directory) {
                tree_extras(tree, position, stat);
                let xattrs = host_xattrs::of_entry(&directory.fd, name, &plan.xattrs)?;
                if !xattrs.is_empty() {
                    tree.xattrs.push((position, xattrs));
                }
            } else {
                // A directory's own come from its descriptor; this keeps the positions.
                let none = HostMetadata { mode: 0, uid: 0, gid: 0, seconds: 0, nanoseconds: 0 };
                tree.metadata.push(none);
            }
            kind
        }
    };
    part.kinds.push(kind);
    Ok(matches!(kind, Kind::Directory(_)))
}

fn store_entry(
    directory: &OpenDirectory<'_>,
    name: &CStr,
    listed: FileType,
    part: &mut Part,
) -> Result<Kind, Problem> {
    match listed {
        FileType::Directory => Ok(UNNUMBERED),
        FileType::Symlink => symlink(directory, name, part),
        FileType::RegularFile | FileType::Unknown => {
            let stat = stat(directory, name)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => file(&stat),
                _ if listed == FileType::RegularFile => Err(Problem::Changed),
                FileType::Directory => Ok(UNNUMBERED),
                FileType::Symlink => symlink(directory, name, part),
                _ => Err(Problem::SpecialInStore),
            }
        }
        _ => Err(Problem::SpecialInStore),
    }
}

fn tree_kind(
    directory: &OpenDirectory<'_>,
    name: &CStr,
    stat: &Stat,
    part: &mut Part,
) -> Result<Kind, Problem> {
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            if stat.st_size == 0 && has_contents(&directory.fd, name) {
                return Err(Problem::ToldEmpty);
            }
            file(stat)?
        }
        FileType::Directory => UNNUMBERED,
        FileType::Symlink => symlink(directory, name, part)?,
        FileType::CharacterDevice => {
            let (major, minor) = device(stat)?;
            Kind::Special(SpecialKind::Character { major, minor })
        }
        FileType::BlockDevice => {
            let (major, minor) = device(stat)?;
            Kind::Special(SpecialKind::Block { major, minor })
        }
        FileType::Fifo => Kind::Special(SpecialKind::Fifo),
        FileType::Socket => Kind::Special(SpecialKind::Socket),
        FileType::Unknown => return Err(Problem::Changed),
    })
}

fn tree_extras(tree: &mut TreePart, position: usize, stat: &Stat) {
    tree.metadata.push(HostMetadata::of(stat));
    if stat.st_nlink > 1 {
        tree.links.push((position, Inode { device: stat.st_dev, number: stat.st_ino }));
    }
}

fn stat(directory: &OpenDirectory<'_>, name: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
}

/// Whether a file that says it is empty has contents, as those of /proc have. One that can't be opened is taken at its
/// word.
pub(crate) fn has_contents(directory: impl AsFd, name: impl rustix::path::Arg) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    rustix::fs::openat(directory, name, flags, Mode::empty())
        .is_ok_and(|fd| rustix::io::read(&fd, &mut [0_u8; 1]).is_ok_and(|read| read > 0))
}

fn file(stat: &Stat) -> Result<Kind, Problem> {
    let size = u64::try_from(stat.st_size).map_err(|_| Problem::Changed)?;
    Ok(Kind::File { size, stamp: stamp(stat), executable: mode_bits(stat) & 0o100 != 0 })
}

fn symlink(directory: &OpenDirectory<'_>, name: &CStr, part: &mut Part) -> Result<Kind, Problem> {
    let mut buffer = [0; MAX_TARGET + 1];
    let len = match rustix::fs::readlinkat_raw(&directory.fd, name, &mut buffer) {
        // It is no symlink any more.
        Err(Errno::INVAL) => return Err(Problem::Changed),
        other => other?,
    };
    let target = buffer.get(..len).unwrap_or_default();
    if target.is_empty() || len > MAX_TARGET {
        return Err(Problem::Target(len));
    }
    let start = u32::try_from(part.targets.len()).map_err(|_| Problem::TooMany)?;
    part.targets.extend_from_slice(target);
    Ok(Kind::Symlink { start, len: u16::try_from(len).map_err(|_| Problem::Target(len))? })
}

fn device(stat: &Stat) -> Result<(u32, u32), Problem> {
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    if major < 1 << 12 && minor < 1 << 20 { Ok((major, minor)) } else { Err(Problem::DeviceNumber) }
}
