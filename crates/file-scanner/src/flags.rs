//! Flags of the system calls that open and examine files. A symlink is only followed where the name says so.

use rustix::fs::{AtFlags, OFlags, ResolveFlags};

/// Opens a file for reading. A symlink is followed. A FIFO in place of the file must not block the program, and a terminal must
/// not become its controlling terminal.
pub(crate) const FOLLOWED_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// Opens a file for reading.
pub(crate) const FILE: OFlags = FOLLOWED_FILE.union(OFlags::NOFOLLOW);

/// Opens a directory that is to be listed. A symlink is followed.
pub(crate) const FOLLOWED_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a directory that is to be listed.
pub(crate) const DIRECTORY: OFlags = FOLLOWED_DIRECTORY.union(OFlags::NOFOLLOW);

/// Opens a directory that is not listed. A symlink is followed.
pub(crate) const FOLLOWED_STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a directory that is not listed.
pub(crate) const STEP: OFlags = FOLLOWED_STEP.union(OFlags::NOFOLLOW);

/// Opens a path of several names, all of them below a directory.
pub(crate) const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// Examines an entry itself, and mounts nothing.
pub(crate) const ITSELF: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT);
