use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::StatFs;
use rustix::io::Errno;

use crate::{to_u64, to_usize};

/// File systems that clone do so by whole blocks; none of them has larger ones on common hardware.
const BLOCK: u64 = 4096;

/// From which length on the kernel puts a file to its place faster than reading and writing it with others does.
const LARGE_FILE: u64 = 1 << 20;
/// The same where blocks are shared: then a call costs as much for any length.
const LARGE_CLONE: u64 = 64 << 10;

/// `statfs(2)`'s types of file systems that share blocks between files: XFS, btrfs, bcachefs.
const CLONING: [u32; 3] = [0x5846_5342, 0x9123_683e, 0xca45_1a4e];

/// From which length on a file is left to the kernel, by whether its blocks are shared.
pub(crate) fn large_file(shares_blocks: bool) -> u64 {
    if shares_blocks { LARGE_CLONE } else { LARGE_FILE }
}

/// Whether a file is on a file system that shares blocks between files.
pub(crate) fn shares_blocks(file: BorrowedFd<'_>) -> bool {
    // A type has 32 bits, in a word whose width and sign depend on the processor.
    let is = |kind: u32, stat: &StatFs| stat.f_type.to_le_bytes().starts_with(&kind.to_le_bytes());
    rustix::fs::fstatfs(file).is_ok_and(|stat| CLONING.into_iter().any(|kind| is(kind, &stat)))
}

/// Copies between two files, each at an offset, without the bytes passing through the program; on file systems
/// that can, by sharing the blocks. Gives how many bytes came over, perhaps 0: the rest is to be read and written,
/// and whatever is wrong with the source shows then. Fails only where the output has no room.
pub(crate) fn kernel_copy(
    from: (BorrowedFd<'_>, u64),
    to: (BorrowedFd<'_>, u64),
    len: u64,
) -> io::Result<u64> {
    let mut done = 0;
    while done < len {
        let left = len - done;
        // Whole blocks by themselves: an odd end would keep some file systems from cloning any of it.
        let now = if left > BLOCK { left - left % BLOCK } else { left };
        let (mut source, mut target) = (from.1 + done, to.1 + done);
        match rustix::fs::copy_file_range(from.0, Some(&mut source), to.0, Some(&mut target), to_usize(now)) {
            Ok(0) => break,
            Ok(copied) => done += to_u64(copied),
            Err(Errno::INTR) => {}
            Err(full @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(full.into()),
            // Two file systems, one that can't, an old kernel, a bad sector: reading tells them apart.
            Err(_) => break,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn all_bytes_come_over_and_an_early_end_is_counted() {
        let bytes: Vec<u8> = (0..20_001_u32).flat_map(u32::to_le_bytes).collect();
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(&bytes).unwrap();
        let target = tempfile::NamedTempFile::new().unwrap();
        let copy = |from, to, len| kernel_copy((source.as_fd(), from), (target.as_fd(), to), len).unwrap();
        assert_eq!(copy(8, 4096, 70_001), 70_001);
        let written = std::fs::read(target.path()).unwrap();
        assert!(written[4096..] == bytes[8..70_009] && written[..4096] == [0; 4096]);
        assert_eq!(copy(80_000, 0, 4096), 4);
    }

    #[test]
    fn what_the_kernel_will_not_copy_is_left_to_the_caller() {
        let source = File::open("/dev/zero").unwrap();
        let target = tempfile::tempfile().unwrap();
        assert_eq!(kernel_copy((source.as_fd(), 0), (target.as_fd(), 0), 4096).unwrap(), 0);
    }
}
