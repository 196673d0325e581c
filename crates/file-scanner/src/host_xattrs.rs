//! Extended attributes of a tree's entries. Nothing is asked of the system unless a pattern wants something.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use build_plan::XattrPattern;
use image_tree::{InvalidXattr, Xattr, XattrName};
use rustix::io::Errno;

/// Why attributes can't be kept.
#[derive(Debug)]
pub(crate) enum XattrError {
    System(Errno),
    /// The entry was asked through /proc, which is not there.
    NoProc,
    /// One that ext4 has no place for.
    Invalid(InvalidXattr),
}

impl From<Errno> for XattrError {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

/// The largest list and the largest value that Linux gives, in \[bytes\]: `XATTR_LIST_MAX`, `XATTR_SIZE_MAX`.
const MAX: usize = 64 * 1024;

/// Those of an open directory that some pattern wants, sorted.
pub(crate) fn of_descriptor(fd: BorrowedFd<'_>, wanted: &[XattrPattern]) -> Result<Vec<Xattr>, XattrError> {
    collect(
        wanted,
        |list| rustix::fs::flistxattr(fd, list),
        |name, value| rustix::fs::fgetxattr(fd, name, value),
    )
}

/// Those of an entry of an open directory that some pattern wants, sorted. Symlinks are not followed.
pub(crate) fn of_entry(
    directory: &OwnedFd,
    name: &CStr,
    wanted: &[XattrPattern],
) -> Result<Vec<Xattr>, XattrError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    // A descriptor of the entry itself would need the right to read it, and a symlink gives none. The kernel goes
    // from /proc/self/fd straight to the directory that is held.
    let mut path = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    let path = path.as_slice();
    let found = collect(
        wanted,
        |list| rustix::fs::llistxattr(path, list),
        |name, value| rustix::fs::lgetxattr(path, name, value),
    );
    match found {
        Err(XattrError::System(Errno::NOENT | Errno::NOTDIR)) if !Path::new("/proc/self/fd").exists() => {
            Err(XattrError::NoProc)
        }
        other => other,
    }
}

fn collect(
    wanted: &[XattrPattern],
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<Xattr>, XattrError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let names = match read(&list) {
        // The file system has none at all.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        other => other?,
    };
    let mut xattrs = Vec::new();
    for name in names.split(|&b| b == 0) {
        if name.is_empty() || !wanted.iter().any(|pattern| pattern.matches(name)) {
            continue;
        }
        let parsed = XattrName::parse(name).map_err(XattrError::Invalid)?;
        xattrs.push(Xattr { name: parsed, value: read(|value| get(name, value))? });
    }
    xattrs.sort();
    xattrs.dedup_by(|a, b| a.name == b.name);
    Ok(xattrs)
}

/// Most are short: tries a small buffer first, then the largest.
fn read(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match call(&mut small) {
        Err(Errno::RANGE) => {}
        other => return other.map(|len| small.get(..len).unwrap_or_default().to_vec()),
    }
    let mut large = vec![0; MAX];
    let len = call(&mut large)?;
    large.truncate(len);
    large.shrink_to_fit();
    Ok(large)
}
