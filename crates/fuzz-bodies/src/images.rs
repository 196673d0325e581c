//! Images that nobody vouches for: what looks into them, and what judges them.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use ext4_verify::{Findings, Unused, check};
use image_reader::{
    Container, Contents, FileSystem, Image, Kind, Links, Node, Overview, PartitionTable, ReadError,
    VolumeContent, Window, find,
};

use crate::memory::Memory;
use crate::{Outcome, assert_one_line, to_u64};

/// The most names that are looked at in one image.
const MOST_NAMES: u64 = 2000;

/// A partition table of any bytes lies within its disk, as far as it says.
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

/// All that an image holds is read, as it is and with its checksums made right; whatever it says, that ends.
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
            VolumeContent::Other(_) | VolumeContent::Unknown => {}
        }
    }
    outcome
}

/// Reads every name once; gives how many there are, and whether all of them could be read.
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
            if names > MOST_NAMES {
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

/// Takes so many bytes and no more.
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
            // That the sink is full is no matter of the image.
            let _ = fs.copy(node, &mut Sink(4 << 20))?;
        }
        _ => {}
    }
    Ok(())
}

/// A file of any bytes is opened as what it is wrapped in, and read at both ends and in the middle.
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

/// A file system is judged, as it is and with its checksums made right. What is called sound can be read.
pub fn judge(bytes: &[u8]) -> Outcome {
    let mut repaired = bytes.to_vec();
    repair(&mut repaired);
    let as_it_is = judged(bytes);
    if repaired == bytes { as_it_is } else { judged(&repaired) }
}

fn judged(bytes: &[u8]) -> Outcome {
    match check(&bytes.to_vec(), Unused::Zeros) {
        Ok(findings) => {
            assert_told(&findings);
            if findings.is_empty() {
                assert_eq!(look(bytes), Outcome::Accepted, "what is called sound can't be read");
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

fn assert_told(findings: &Findings) {
    for problem in &findings.problems {
        assert_one_line(&problem.to_string());
    }
    // So many of each kind are kept, however many there are.
    assert!(findings.problems.len() <= findings.counts.len() * 10);
}

fn refused(error: &ReadError) -> Outcome {
    assert_one_line(&error.to_string());
    Outcome::Refused
}

fn window(bytes: &[u8]) -> Window {
    Window::whole(Arc::new(Memory(bytes.to_vec())))
}

/// Makes the checksums of an ext4 file system right, as far as the reader compares them: of the superblock, of
/// descriptors and inodes of the first groups. Else nearly all damage would be found by them alone.
fn repair(image: &mut [u8]) {
    let number = |image: &[u8], at: usize, len: usize| {
        let bytes = image.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().rev().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte)))
    };
    let crc = |seed: u32, bytes: &[u8]| !crc32c::crc32c_append(!seed, bytes);
    let mut go = || {
        if number(image, 0x438, 2)? != 0xef53 {
            return None;
        }
        let sum = crc(!0, image.get(0x400..0x7fc)?).to_le_bytes();
        image.get_mut(0x7fc..0x800)?.copy_from_slice(&sum);
        let seed = crc(!0, image.get(0x468..0x478)?);
        let block = 1024_usize.checked_shl(u32::try_from(number(image, 0x418, 4)?).ok()?.min(6))?;
        let per_group = number(image, 0x428, 4)?;
        let groups = number(image, 0x404, 4)?.div_ceil(number(image, 0x420, 4)?.max(1));
        for group in 0..u32::try_from(groups.min(4)).ok()? {
            let at = (if block == 1024 { 2048 } else { block }) + 64 * usize::try_from(group).ok()?;
            image.get_mut(at + 0x1e..at + 0x20)?.fill(0);
            let sum = crc(crc(seed, &group.to_le_bytes()), image.get(at..at + 64)?).to_le_bytes();
            image.get_mut(at + 0x1e..at + 0x20)?.copy_from_slice(sum.get(..2)?);
            let table = number(image, at + 8, 4)?.checked_mul(block)?;
            for index in 0..per_group.min(64) {
                let at = table.checked_add(256 * index)?;
                let inode =
                    u32::try_from(per_group.checked_mul(usize::try_from(group).ok()?)? + index + 1).ok()?;
                if number(image, at, 2)? != 0 {
                    image.get_mut(at + 0x7c..at + 0x7e)?.fill(0);
                    image.get_mut(at + 0x82..at + 0x84)?.fill(0);
                    let own = crc(crc(seed, &inode.to_le_bytes()), image.get(at + 0x64..at + 0x68)?);
                    let sum = crc(own, image.get(at..at + 256)?).to_le_bytes();
                    image.get_mut(at + 0x7c..at + 0x7e)?.copy_from_slice(sum.get(..2)?);
                    image.get_mut(at + 0x82..at + 0x84)?.copy_from_slice(sum.get(2..)?);
                }
            }
        }
        Some(())
    };
    // It ends where the image does.
    let _ = go();
}
