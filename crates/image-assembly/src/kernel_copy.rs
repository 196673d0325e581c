use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::StatFs;
use rustix::io::Errno;

use crate::{to_u64, to_usize};

/// The largest common block size of file systems that clone, in \[bytes\]. They clone whole blocks.
const BLOCK: u64 = 4096;

/// Minimum length of a file that the kernel copies faster than the program, in \[bytes\].
const LARGE_FILE: u64 = 1 << 20;
/// The same on file systems that share blocks, where a call costs the same for any length.
const LARGE_CLONE: u64 = 64 << 10;

/// File system types (`statfs(2)`) that share blocks between files: XFS, btrfs, bcachefs.
const CLONING: [u32; 3] = [0x5846_5342, 0x9123_683e, 0xca45_1a4e];

/// Minimum length of a file that the kernel copies, in \[bytes\].
pub(crate) fn large_file(shares_blocks: bool) -> u64 {
    if shares_blocks { LARGE_CLONE } else { LARGE_FILE }
}

/// Whether the file system of a file shares blocks between files.
pub(crate) fn shares_blocks(file: BorrowedFd<'_>) -> bool {
    has_type(file, &CLONING)
}

fn has_type(file: BorrowedFd<'_>, types: &[u32]) -> bool {
    // The type has 32 bits. The width and the sign of its field depend on the processor.
    let is = |kind: u32, stat: &StatFs| stat.f_type.to_le_bytes().starts_with(&kind.to_le_bytes());
    rustix::fs::fstatfs(file).is_ok_and(|stat| types.iter().any(|&kind| is(kind, &stat)))
}

/// The file system type of tmpfs.
const TMPFS: u32 = 0x0102_1994;

/// Whether a file is in memory.
pub(crate) fn is_in_memory(file: BorrowedFd<'_>) -> bool {
    has_type(file, &[TMPFS])
}

/// Copies bytes between two files in the kernel, which shares blocks if the file system can. Returns the number of copied
/// bytes, which can be 0. The caller must read and write the rest, and gets errors of the source then. Fails only if the output
/// has no space.
pub(crate) fn kernel_copy(
    from: (BorrowedFd<'_>, u64),
    to: (BorrowedFd<'_>, u64),
    len: u64,
) -> io::Result<u64> {
    let mut done = 0;
    while done < len {
        let left = len - done;
        let now = whole_blocks(left);
        let (mut source, mut target) = (from.1 + done, to.1 + done);
        match rustix::fs::copy_file_range(from.0, Some(&mut source), to.0, Some(&mut target), to_usize(now)) {
            Ok(0) => break,
            Ok(copied) => done += to_u64(copied),
            Err(Errno::INTR) => {}
            Err(full @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(full.into()),
            // Two file systems, a file system without the call, an old kernel, a bad sector: reading shows which.
            Err(_) => break,
        }
    }
    Ok(done)
}

/// How much is copied at once. Whole blocks first: with an incomplete block at the end, some file systems clone nothing.
fn whole_blocks(left: u64) -> u64 {
    match left - left % BLOCK {
        0 => left,
        whole => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn copies_all_bytes_and_counts_up_to_an_early_end() {
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
    fn whole_blocks_come_before_the_rest() {
        for (left, now) in [(1, 1), (4095, 4095), (4096, 4096), (4097, 4096), (8191, 4096), (8192, 8192)] {
            assert_eq!(whole_blocks(left), now);
        }
    }

    #[test]
    fn types_of_file_systems_are_known() {
        let [memory, disk] = [crate::testing::in_memory(b""), File::open("/proc/self/stat").unwrap()];
        assert!(is_in_memory(memory.as_fd()) && !is_in_memory(disk.as_fd()));
        assert!(!shares_blocks(memory.as_fd()) && !shares_blocks(disk.as_fd()));
        assert_eq!([false, true].map(large_file), [1 << 20, 64 << 10]);
    }

    #[test]
    fn leaves_bytes_to_the_caller_if_the_kernel_refuses() {
        let source = File::open("/dev/zero").unwrap();
        let target = tempfile::tempfile().unwrap();
        assert_eq!(kernel_copy((source.as_fd(), 0), (target.as_fd(), 0), 4096).unwrap(), 0);
    }
}
