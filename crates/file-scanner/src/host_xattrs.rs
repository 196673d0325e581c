//! Reads the extended attributes of a tree's entries. There are no system calls if no patterns are given.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use image_tree::{Acl, InvalidAcl, InvalidXattr, Xattr, XattrName, XattrNamespace};
use rustix::io::Errno;
use snugfs_plan::XattrPattern;

/// The reason why attributes can't be kept.
#[derive(Debug)]
pub(crate) enum XattrError {
    /// Their names can't be read.
    List(Errno),
    /// The value of one can't be read.
    Value(XattrName, Errno),
    /// They kept changing while they were read.
    Changing,
    /// /proc, through which they are read, is not mounted.
    NoProc,
    /// One that ext4 does not support.
    Invalid(InvalidXattr),
    /// An access control list that Linux would reject.
    Acl(XattrName, InvalidAcl),
}

/// Maximum number of attempts to read attributes that change.
const ATTEMPTS: usize = 3;

/// Maximum length of a list and of a value in Linux, in \[bytes\]: `XATTR_LIST_MAX`, `XATTR_SIZE_MAX`.
const MAX: usize = 64 << 10;

/// The attributes of an open directory that match a pattern, sorted.
pub(crate) fn of_descriptor(fd: BorrowedFd<'_>, wanted: &[XattrPattern]) -> Result<Vec<Xattr>, XattrError> {
    collect(
        wanted,
        |list| rustix::fs::flistxattr(fd, list),
        |name, value| rustix::fs::fgetxattr(fd, name, value),
    )
}

/// The attributes of an entry of an open directory that match a pattern, sorted. Symlinks are not followed.
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
    found.map_err(|error| error.through_proc(Path::new("/proc/self/fd").exists()))
}

impl XattrError {
    /// The error of a path below /proc/self/fd.
    fn through_proc(self, has_proc: bool) -> Self {
        match self {
            Self::List(Errno::NOENT | Errno::NOTDIR) if !has_proc => Self::NoProc,
            other => other,
        }
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
    for _ in 0..ATTEMPTS {
        match collect_once(wanted, &list, &get) {
            // An attribute was removed after its name was read, or names were added that don't fit into the buffer.
            Err(XattrError::List(Errno::RANGE) | XattrError::Value(_, Errno::NODATA | Errno::RANGE)) => {}
            other => return other,
        }
    }
    Err(XattrError::Changing)
}

fn collect_once(
    wanted: &[XattrPattern],
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<Xattr>, XattrError> {
    let names = match read(list) {
        // The file system does not support any.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        other => other.map_err(XattrError::List)?,
    };
    let mut xattrs = Vec::new();
    for bytes in names.split(|&b| b == 0) {
        if bytes.is_empty() || !wanted.iter().any(|pattern| pattern.matches(bytes)) {
            continue;
        }
        let name = XattrName::parse(bytes).map_err(XattrError::Invalid)?;
        let value = match read(|value| get(bytes, value)) {
            Ok(value) => value,
            Err(errno) => return Err(XattrError::Value(name, errno)),
        };
        xattrs.push(checked(name, value)?);
    }
    xattrs.sort();
    xattrs.dedup_by(|a, b| a.name == b.name);
    Ok(xattrs)
}

/// An attribute that Linux accepts.
fn checked(name: XattrName, value: Vec<u8>) -> Result<Xattr, XattrError> {
    if matches!(name.namespace(), XattrNamespace::PosixAclAccess | XattrNamespace::PosixAclDefault)
        && let Err(invalid) = Acl::parse(&value)
    {
        return Err(XattrError::Acl(name, invalid));
    }
    Ok(Xattr { name, value })
}

/// Reads a value. Most are short, so it tries a small buffer first, then one of the maximum length.
fn read(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match call(&mut small) {
        Err(Errno::RANGE) => {}
        other => return other.map(|len| small[..len].to_vec()),
    }
    let mut large = vec![0; MAX];
    let len = call(&mut large)?;
    large.truncate(len);
    large.shrink_to_fit();
    Ok(large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn all() -> [XattrPattern; 1] {
        [XattrPattern { prefix: String::new(), wildcard: true }]
    }

    fn fill(buffer: &mut [u8], bytes: &[u8]) -> Result<usize, Errno> {
        buffer.get_mut(..bytes.len()).ok_or(Errno::RANGE)?.copy_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Reads attributes whose `user.a` is missing the first `times` that its value is read.
    fn vanishing(times: usize) -> Result<Vec<Xattr>, XattrError> {
        let gone = Cell::new(0);
        let list = |buffer: &mut [u8]| fill(buffer, b"user.a\0user.b\0");
        let get = |name: &[u8], buffer: &mut [u8]| {
            if name == b"user.a" && gone.get() < times {
                gone.set(gone.get() + 1);
                return Err(Errno::NODATA);
            }
            fill(buffer, b"value")
        };
        collect(&all(), list, get)
    }

    #[test]
    fn attributes_that_change_are_read_three_times() {
        for times in 0..3 {
            let names: Vec<_> =
                vanishing(times).unwrap().iter().map(|xattr| xattr.name.to_string()).collect();
            assert_eq!(names, ["user.a", "user.b"], "{times}");
        }
        assert!(matches!(vanishing(3), Err(XattrError::Changing)));
    }

    #[test]
    fn what_the_system_refuses_is_told_with_its_name() {
        let list = |buffer: &mut [u8]| fill(buffer, b"security.selinux\0");
        let refused = collect(&all(), list, |_, _| Err(Errno::ACCESS)).unwrap_err();
        let XattrError::Value(name, errno) = refused else { panic!("{refused:?}") };
        assert_eq!((name.to_string().as_str(), errno), ("security.selinux", Errno::ACCESS));
        let get = |_: &[u8], _: &mut [u8]| -> Result<usize, Errno> { unreachable!() };
        assert!(matches!(collect(&all(), |_| Err(Errno::IO), get), Err(XattrError::List(Errno::IO))));
        assert_eq!(collect(&all(), |_| Err(Errno::NOTSUP), get).unwrap(), []);
        assert_eq!(collect(&[], |_| unreachable!(), get).unwrap(), []);
    }

    #[test]
    fn a_list_that_linux_would_refuse_is_no_attribute() {
        let list = |buffer: &mut [u8]| fill(buffer, b"system.posix_acl_default\0");
        let get = |_: &[u8], buffer: &mut [u8]| fill(buffer, b"\x02\0\0\0\x01");
        assert!(matches!(collect(&all(), list, get), Err(XattrError::Acl(_, InvalidAcl::Form))));
    }

    #[test]
    fn values_of_any_length_that_linux_allows_are_read() {
        for len in [0, 1, 256, 257, 65_535, 65_536] {
            let value: Vec<u8> = b"abcdefg".iter().copied().cycle().take(len).collect();
            assert_eq!(read(|buffer| fill(buffer, &value)), Ok(value.clone()), "{len}");
        }
        assert_eq!(read(|buffer| fill(buffer, &vec![0; 65_537])), Err(Errno::RANGE));
    }

    #[test]
    fn a_name_is_only_kept_once_and_only_if_it_is_wanted() {
        let wanted = [XattrPattern { prefix: "user.".to_owned(), wildcard: true }];
        let list = |buffer: &mut [u8]| fill(buffer, b"user.b\0trusted.t\0user.a\0user.b\0");
        let get = |name: &[u8], buffer: &mut [u8]| fill(buffer, &name[name.len() - 1..]);
        let xattrs = collect(&wanted, list, get).unwrap();
        let shown: Vec<_> = xattrs.iter().map(|xattr| (xattr.name.to_string(), &xattr.value[..])).collect();
        assert_eq!(shown, [("user.a".to_owned(), &b"a"[..]), ("user.b".to_owned(), b"b")]);
    }

    #[test]
    fn only_without_proc_is_a_missing_entry_the_fault_of_proc() {
        for (errno, has_proc, is_no_proc) in [
            (Errno::NOENT, false, true),
            (Errno::NOTDIR, false, true),
            (Errno::NOENT, true, false),
            (Errno::IO, false, false),
        ] {
            let error = XattrError::List(errno).through_proc(has_proc);
            assert_eq!(matches!(error, XattrError::NoProc), is_no_proc, "{errno} {has_proc}");
        }
        let folder = tempfile::tempdir().unwrap();
        let directory = OwnedFd::from(std::fs::File::open(folder.path()).unwrap());
        let missing = of_entry(&directory, c"missing", &all());
        assert!(matches!(missing, Err(XattrError::List(Errno::NOENT))), "{missing:?}");
    }
}
