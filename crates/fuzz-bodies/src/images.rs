//! Bodies for readers and checkers of images.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use ext4_ondisk::{GroupDescriptor, Inode, Superblock, group, inode, read_padded, superblock};
use ext4_verify::{Findings, Unused, check};
use image_reader::{
    Container, Contents, FileSystem, Image, Kind, Links, Node, Overview, PartitionTable, ReadError,
    VolumeContent, Window, find,
};
use zerocopy::IntoBytes;

use image_tree::to_u64;

use crate::memory::Memory;
use crate::{Outcome, assert_one_line};

/// Maximum number of names that are read in one image.
const MAX_NAMES: u64 = 2000;

/// Reads a partition table. Its partitions must be within the disk, or it must report them.
pub fn partition_table(bytes: &[u8]) -> Outcome {
    match PartitionTable::read(&window(bytes)) {
        Ok(Some(table)) => {
            for partition in &table.partitions {
                assert_one_line(&partition.kind.name());
                assert_one_line(&partition.kind.code());
            }
            Outcome::Accepted
        }
        Ok(None) => Outcome::Refused,
        Err(error) => refused(&error),
    }
}

/// Reads all contents of an image, with its own checksums and with corrected ones. Reading must terminate.
pub fn file_systems(bytes: &[u8]) -> Outcome {
    let mut repaired = bytes.to_vec();
    repair(&mut repaired);
    let as_it_is = look(bytes);
    if repaired == bytes { as_it_is } else { look(&repaired) }
}

fn look(bytes: &[u8]) -> Outcome {
    let image = Image { container: Container::Raw, window: window(bytes) };
    let overview = match Overview::read(&image) {
        Ok(overview) => overview,
        Err(error) => return refused(&error),
    };
    let mut outcome = Outcome::Refused;
    for gap in &overview.gaps {
        assert!(gap.start.checked_add(gap.size).is_some(), "{gap:?}");
    }
    for volume in &overview.volumes {
        match &volume.content {
            VolumeContent::FileSystem(fs) => outcome = read_all(fs).1,
            VolumeContent::Unreadable(error) => assert_one_line(&error.to_string()),
            VolumeContent::Other(_) | VolumeContent::Unknown => {
                let problems = volume.swap().map(|swap| swap.problems(volume.window.length()));
                problems.iter().flatten().for_each(|problem| assert_one_line(problem));
            }
        }
    }
    outcome
}

/// Reads every name once. Returns the number of names, and whether all of them could be read.
pub(crate) fn read_all(fs: &FileSystem) -> (u64, Outcome) {
    let mut outcome = Outcome::Accepted;
    let mut tell = |error: &ReadError| {
        assert_one_line(&error.to_string());
        outcome = Outcome::Refused;
    };
    let mut names = 0;
    let mut visits = fs.visits();
    let mut open = Vec::new();
    match fs.root() {
        Ok(root) => open.push(root),
        Err(error) => tell(&error),
    }
    if let Err(error) = find(fs, b"/a/../link//./x", Links::Follow) {
        assert_one_line(&error.to_string());
    }
    while let Some(directory) = open.pop() {
        let entries = match visits.entries(fs, &directory) {
            Ok((entries, errors)) => {
                errors.iter().for_each(&mut tell);
                entries
            }
            Err(error) => {
                tell(&error);
                continue;
            }
        };
        for entry in entries {
            names += 1;
            if names > MAX_NAMES {
                return (names, Outcome::Refused);
            }
            match fs.node(&entry) {
                Ok(node) if node.kind == Kind::Directory => open.push(node),
                Ok(node) => {
                    if let Err(error) = read_node(fs, &node) {
                        tell(&error);
                    }
                }
                Err(error) => tell(&error),
            }
        }
    }
    (names, outcome)
}

/// A writer that accepts only this number of bytes.
struct Sink(u64);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(to_u64(bytes.len())).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_node(fs: &FileSystem, node: &Node) -> Result<(), ReadError> {
    match node.kind {
        Kind::Symlink => {
            fs.link_target(node)?;
        }
        Kind::File => {
            if let Contents::Runs(runs) = fs.contents(node)? {
                let mut at = 0;
                for run in runs {
                    assert!(run.at >= at && run.length > 0, "{run:?} after {at}");
                    at = run.at.saturating_add(run.length);
                    assert!(run.from.checked_add(run.length).is_some(), "{run:?}");
                }
            }
            // A full sink is not an error of the image.
            let _ = fs.copy(node, &mut Sink(4 << 20))?;
        }
        _ => {}
    }
    fs.attributes(node)?;
    Ok(())
}

/// Opens a file as an image in a container, and reads it at both ends and in the middle.
pub fn container(bytes: &[u8]) -> Outcome {
    let Some(file) = in_memory(bytes) else { return Outcome::Refused };
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    match Image::open(Path::new(&path)) {
        Ok(image) => {
            let length = image.window.length();
            let mut buffer = [0; 4096];
            for at in [0, length / 2, length.saturating_sub(4096), length] {
                if let Err(error) = image.window.read(at, &mut buffer) {
                    assert_one_line(&error.to_string());
                }
            }
            if image.container == Container::Raw { Outcome::Refused } else { Outcome::Accepted }
        }
        Err(error) => refused(&error),
    }
}

fn in_memory(bytes: &[u8]) -> Option<std::fs::File> {
    let fd = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes).ok()?;
    Some(file)
}

/// Checks a file system, with its own checksums and with corrected ones. If it is valid, it must be readable.
pub fn judge(bytes: &[u8]) -> Outcome {
    let mut repaired = bytes.to_vec();
    repair(&mut repaired);
    let as_it_is = checked(bytes);
    if repaired == bytes { as_it_is } else { checked(&repaired) }
}

fn checked(bytes: &[u8]) -> Outcome {
    match check(&bytes.to_vec(), Unused::Zeros) {
        Ok(findings) => {
            assert_counts(&findings);
            if findings.is_empty() {
                assert_eq!(look(bytes), Outcome::Accepted, "a valid file system can't be read");
                Outcome::Accepted
            } else {
                Outcome::Refused
            }
        }
        Err(unreadable) => {
            assert_one_line(&unreadable.to_string());
            Outcome::Refused
        }
    }
}

fn assert_counts(findings: &Findings) {
    for problem in &findings.problems {
        assert_one_line(&problem.to_string());
    }
    // Only a limited number of each kind is kept.
    assert!(findings.problems.len() <= findings.counts.len() * 10);
}

fn refused(error: &ReadError) -> Outcome {
    assert_one_line(&error.to_string());
    Outcome::Refused
}

fn window(bytes: &[u8]) -> Window {
    Window::whole(Arc::new(Memory(bytes.to_vec())))
}

/// Corrects the checksums of an ext4 file system that the reader checks: of the superblock, and of descriptors and inodes
/// of the first groups. Otherwise checksums would detect nearly all damage.
fn repair(image: &mut [u8]) {
    // A structure after the end of the image stops the repair; earlier repairs are kept.
    let _ = repair_as_far_as_possible(image);
}

fn repair_as_far_as_possible(image: &mut [u8]) -> Option<()> {
    let bytes = part(image, superblock::OFFSET, size_of::<Superblock>())?;
    let mut superblock: Superblock = read_padded(bytes);
    if superblock.s_magic.get() != superblock::MAGIC {
        return None;
    }
    superblock.s_checksum = superblock.computed_checksum().into();
    bytes.copy_from_slice(superblock.as_bytes());
    let seed = superblock.checksum_seed();
    let block = superblock.block_size().unwrap_or(64 << 10);
    let per_group = superblock.s_inodes_per_group.get();
    let groups = superblock.blocks_count().div_ceil(superblock.s_blocks_per_group.get().max(1).into());
    let inode_size = usize::from(superblock.inode_size());
    let descriptors = usize::try_from(if block == 1024 { 2048 } else { block }).ok()?;
    for (group, at) in
        (0..u32::try_from(groups.min(4)).ok()?).zip((descriptors..).step_by(group::SIZE.into()))
    {
        let bytes = part(image, at, group::SIZE.into())?;
        let mut descriptor: GroupDescriptor = read_padded(bytes);
        descriptor.bg_checksum = descriptor.computed_checksum(seed, group).into();
        bytes.copy_from_slice(descriptor.as_bytes());
        let table = usize::try_from(descriptor.inode_table().checked_mul(block)?).ok()?;
        let first = per_group.checked_mul(group)?.checked_add(1)?;
        for index in 0..per_group.min(64) {
            let at = inode_size.checked_mul(usize::try_from(index).ok()?)?.checked_add(table)?;
            let bytes = part(image, at, inode_size)?;
            let mut inode: Inode = read_padded(bytes);
            if inode.i_mode.get() != 0 {
                inode.set_checksum(inode::computed_checksum(seed, first.checked_add(index)?, bytes));
                bytes.iter_mut().zip(inode.as_bytes()).for_each(|(to, from)| *to = *from);
            }
        }
    }
    Some(())
}

/// The bytes at an offset; `None` if they are not all in the image.
fn part(image: &mut [u8], at: usize, len: usize) -> Option<&mut [u8]> {
    image.get_mut(at..at.checked_add(len)?)
}
