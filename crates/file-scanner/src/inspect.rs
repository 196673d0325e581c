//! Inspects an entry of a directory: at most one system call in a store, more in a tree that keeps more metadata.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use image_tree::{DataRun, SpecialKind};
use rustix::fs::{Access, AtFlags, FileType, Mode, Stat};
use rustix::io::Errno;
use snugfs_plan::TreePlan;

use crate::flags::{FILE, ITSELF};
use crate::found::{DirectoryId, HostMetadata, Kind, Part, TreePart, mode_bits, stamp};
use crate::holes;
use crate::host_xattrs::{self, XattrError};
use crate::listing::ListError;
use crate::own;
use crate::walk::{OpenDirectory, Policy};

/// A problem of an entry or a directory. The walk adds the path.
#[derive(Debug)]
pub(crate) enum Problem {
    System(Errno),
    Changed,
    MissingStorePath,
    SpecialInStore,
    /// The target of a symlink has an invalid length, in \[bytes\].
    Target(usize),
    DeviceNumber,
    /// The length is 0, but there are contents.
    EmptyWithBytes,
    /// This process has no read permission.
    Forbidden,
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

/// Maximum length of a symlink target in ext4, in \[bytes\]: a block without the NUL.
const MAX_TARGET: u16 = 4095;

/// Maximum length of a path in Linux with its NUL, in \[bytes\].
const PATH_MAX: usize = 4096;

/// Adds an entry to a part. Returns true for a directory, which then needs a number.
pub(crate) fn entry(directory: &OpenDirectory<'_>, index: usize, part: &mut Part) -> Result<bool, Problem> {
    let name = directory.listing.c_name(index);
    let listed = directory.listing.file_type(index);
    let kind = match directory.policy {
        Policy::Store => store_entry(directory, name, listed, part)?,
        Policy::Tree(plan) => {
            let stat = if listed == FileType::Directory { None } else { Some(stat(directory, name)?) };
            let kind = match &stat {
                Some(stat) => tree_kind(directory, plan, name, stat, part)?,
                None => UNNUMBERED,
            };
            let position = part.kinds.len();
            let tree = part.tree.get_or_insert_default();
            let is_directory = matches!(kind, Kind::Directory(_));
            if let (Some(stat), false) = (&stat, is_directory) {
                tree_extras(tree, position, stat);
                let xattrs =
                    host_xattrs::of_entry(&directory.fd, name, plan.xattrs.as_deref().unwrap_or_default())?;
                if !xattrs.is_empty() {
                    tree.xattrs.push((position, xattrs));
                }
            } else {
                // The metadata of a directory comes from its descriptor. This value only keeps the positions.
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
                FileType::RegularFile => {
                    let kind = readable_file(&directory.fd, name, &stat)?;
                    account(part, &kind, None, &stat);
                    Ok(kind)
                }
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
    plan: &TreePlan,
    name: &CStr,
    stat: &Stat,
    part: &mut Part,
) -> Result<Kind, Problem> {
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            if stat.st_size == 0 && has_contents(&directory.fd, name) {
                return Err(Problem::EmptyWithBytes);
            }
            let kind = readable_file(&directory.fd, name, stat)?;
            let runs = if plan.keep_holes { holes::of_entry(&directory.fd, name, stat, FILE)? } else { None };
            account(part, &kind, runs.as_deref(), stat);
            if let Some(runs) = runs {
                let position = part.kinds.len();
                part.tree.get_or_insert_default().sparse.push((position, runs));
            }
            kind
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
        tree.links.push((position, own::inode(stat)));
    }
}

fn stat(directory: &OpenDirectory<'_>, name: &CStr) -> Result<Stat, Errno> {
    rustix::fs::statat(&directory.fd, name, ITSELF)
}

/// Whether a file of length 0 has contents, as in /proc. False if it can't be opened.
pub(crate) fn has_contents(directory: impl AsFd, name: impl rustix::path::Arg) -> bool {
    rustix::fs::openat(directory, name, FILE, Mode::empty())
        .is_ok_and(|fd| rustix::io::read(&fd, &mut [0_u8; 1]).is_ok_and(|read| read > 0))
}

/// A regular file. Fails if this process can't read it, because the copy would fail much later.
fn readable_file(directory: &OwnedFd, name: &CStr, stat: &Stat) -> Result<Kind, Problem> {
    if is_readable(directory, name, stat) { file(stat) } else { Err(Problem::Forbidden) }
}

/// Whether this process can read a file, by its effective owner and capabilities. No system call if everybody can read it.
pub(crate) fn is_readable(directory: impl AsFd, name: impl rustix::path::Arg, stat: &Stat) -> bool {
    let everybody = mode_bits(stat) & 0o444 == 0o444;
    let refused = |errno| matches!(errno, Errno::ACCESS | Errno::PERM);
    everybody || !rustix::fs::accessat(directory, name, Access::READ_OK, AtFlags::EACCESS).is_err_and(refused)
}

/// Adds the space of a file. `runs` are its data runs if it has holes.
fn account(part: &mut Part, kind: &Kind, runs: Option<&[DataRun]>, stat: &Stat) {
    let Kind::File { size, .. } = kind else { return };
    let position = part.kinds.len();
    let more = part.room.add(runs.map_or(*size, holes::stored_bytes), stat);
    part.inflated.extend(more.map(|more| (position, more)));
}

fn file(stat: &Stat) -> Result<Kind, Problem> {
    let size = u64::try_from(stat.st_size).map_err(|_| Problem::Changed)?;
    Ok(Kind::File { size, stamp: stamp(stat), executable: mode_bits(stat) & 0o100 != 0 })
}

fn symlink(directory: &OpenDirectory<'_>, name: &CStr, part: &mut Part) -> Result<Kind, Problem> {
    let mut buffer = [0; PATH_MAX];
    let len = match rustix::fs::readlinkat_raw(&directory.fd, name, &mut buffer) {
        // It is no longer a symlink.
        Err(Errno::INVAL) => return Err(Problem::Changed),
        other => other?,
    };
    let start = u32::try_from(part.targets.len()).map_err(|_| Problem::TooMany)?;
    let kind = Kind::Symlink { start, len: target_len(len)? };
    part.targets.extend_from_slice(&buffer[..len]);
    Ok(kind)
}

/// The length of a symlink target, if ext4 can have it.
fn target_len(len: usize) -> Result<u16, Problem> {
    match u16::try_from(len) {
        Ok(len @ 1..=MAX_TARGET) => Ok(len),
        _ => Err(Problem::Target(len)),
    }
}

fn device(stat: &Stat) -> Result<(u32, u32), Problem> {
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    if major < 1 << 12 && minor < 1 << 20 { Ok((major, minor)) } else { Err(Problem::DeviceNumber) }
}

#[cfg(test)]
mod tests;
