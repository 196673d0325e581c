//! Finds file systems and files that are mounted below a tree, which usually should not be in the image.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use image_tree::shown;
use rustix::fs::{FileType, StatxAttributes, StatxFlags};

use crate::error::ScanError;
use crate::flags::ITSELF;
use crate::found::{DirectoryId, Found};
use crate::inspect::Problem;
use crate::listing::Listing;
use crate::warnings::{NamedFiles, Warning};

/// Maximum number of mount points in a message.
const NAMED: usize = 5;

/// A mount below a tree: at a directory, or at an entry of a directory that is not a directory itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mount {
    pub(crate) directory: DirectoryId,
    pub(crate) entry: Option<usize>,
}

/// The names of mount points below some folders. Only entries with such a name are examined.
#[derive(Debug)]
pub(crate) struct MountPoints {
    /// `None` if unknown.
    names: Option<BTreeSet<Vec<u8>>>,
}

impl MountPoints {
    /// Reads the mount points below some folders (`proc_pid_mountinfo(5)`).
    pub(crate) fn below<'p>(folders: impl Iterator<Item = &'p Path>) -> Self {
        let folders: std::io::Result<Vec<PathBuf>> = folders.map(std::fs::canonicalize).collect();
        // The folders only limit the number of entries to examine.
        let folders = folders.unwrap_or_else(|_| vec![PathBuf::from("/")]);
        if folders.is_empty() {
            return Self { names: Some(BTreeSet::new()) };
        }
        Self { names: std::fs::read("/proc/self/mountinfo").ok().map(|table| names(&table, &folders)) }
    }

    /// Whether something is mounted at an entry of a directory in the file system `device`. Does not open the entry.
    pub(crate) fn is_mounted(&self, directory: impl AsFd, name: &CStr, device: u64) -> bool {
        if self.names.as_ref().is_some_and(|names| !names.contains(name.to_bytes())) {
            return false;
        }
        let directory = directory.as_fd();
        if let Ok(found) = rustix::fs::statx(directory, name, ITSELF, StatxFlags::TYPE)
            && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        {
            return found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        }
        // Before Linux 5.8.
        is_of_another_device(directory, name, device)
    }

    /// The entries of a directory, except directories, at which something is mounted.
    pub(crate) fn files_in(&self, directory: impl AsFd, listing: &Listing, device: u64) -> Vec<usize> {
        let candidates: Vec<usize> = match &self.names {
            Some(names) => names.iter().filter_map(|name| listing.position(name)).collect(),
            None => (0..listing.len()).collect(),
        };
        let is_file = |index: &usize| listing.file_type(*index) != FileType::Directory;
        let files = candidates.into_iter().filter(is_file);
        files.filter(|index| self.is_mounted(&directory, listing.c_name(*index), device)).collect()
    }
}

/// Whether an entry of a directory is not in the file system `device`. That is a sign of a mount.
fn is_of_another_device(directory: BorrowedFd<'_>, name: &CStr, device: u64) -> bool {
    rustix::fs::statat(directory, name, ITSELF).is_ok_and(|stat| stat.st_dev != device)
}

/// The last names of the mount points below some folders, from the fifth field of the lines of `/proc/self/mountinfo`.
fn names(table: &[u8], folders: &[PathBuf]) -> BTreeSet<Vec<u8>> {
    let points = table.split(|&b| b == b'\n').filter_map(|line| line.split(|&b| b == b' ').nth(4));
    let points = points.map(|point| PathBuf::from(OsString::from_vec(unescaped(point))));
    let below = points.filter(|point| folders.iter().any(|folder| point.starts_with(folder)));
    below.filter_map(|point| point.file_name().map(|name| name.as_bytes().to_vec())).collect()
}

/// Decodes space, tab, newline and backslash, which are a backslash and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| first == b'\\');
        let code = code.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    bytes
}

/// Removes the problems in mounted file systems, and returns one error per mount instead, to avoid thousands of errors about
/// files of /proc.
pub(crate) fn errors(
    found: &Found,
    problems: &mut Vec<(DirectoryId, Option<usize>, Problem)>,
) -> Vec<(usize, PathBuf, ScanError)> {
    let mut counts: BTreeMap<DirectoryId, usize> = BTreeMap::new();
    problems.retain(|(directory, ..)| match mount_of(found, *directory) {
        Some(mount) => {
            *counts.entry(mount).or_default() += 1;
            false
        }
        None => true,
    });
    let error = |(mount, count): (DirectoryId, usize)| {
        let path = found.host_path(mount, None);
        (found.source_of(mount), path.clone(), ScanError::InMount { path: shown(&path), count })
    };
    counts.into_iter().map(error).collect()
}

/// The mount point of a directory in a mounted file system.
fn mount_of(found: &Found, directory: DirectoryId) -> Option<DirectoryId> {
    let mut at = directory;
    loop {
        if found.mounts.iter().any(|mount| mount.directory == at && mount.entry.is_none()) {
            return Some(at);
        }
        match found.directory(at).parent {
            parent if parent == at => return None,
            parent => at = parent,
        }
    }
}

/// Warnings about the mounts below each tree. `first_tree` is the position of the first tree among the sources.
pub(crate) fn warnings(found: &Found, first_tree: usize) -> Vec<Warning> {
    let mut by_tree: BTreeMap<usize, Vec<PathBuf>> = BTreeMap::new();
    for mount in &found.mounts {
        let tree = found.source_of(mount.directory) - first_tree;
        by_tree.entry(tree).or_default().push(found.host_path(mount.directory, mount.entry));
    }
    let warning = |(tree, mut paths): (usize, Vec<PathBuf>)| {
        paths.sort();
        let first = paths.iter().take(NAMED).map(|path| shown(path)).collect();
        Warning::Mounts { tree, mounts: NamedFiles { first, count: paths.len() } }
    };
    by_tree.into_iter().map(warning).collect()
}

#[cfg(test)]
mod tests;
