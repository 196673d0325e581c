//! Finds slots.

use image_reader::{FileSystem, Kind, Links, Node};

use crate::error::StampError;
use crate::{ext4, fat};

/// A slot of a file system.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its path.
    pub path: Vec<u8>,
    /// The most \[bytes\] that its contents may have.
    pub room: u64,
    pub(crate) node: Node,
}

impl Slot {
    /// Length of its contents in \[bytes\].
    #[must_use]
    pub fn used(&self) -> u64 {
        self.node.size
    }
}

/// The slot with this path. Symlinks on the way to it are followed.
///
/// # Errors
/// If there is no such file, or it is not a slot.
pub fn find(fs: &FileSystem, path: &[u8]) -> Result<Slot, StampError> {
    let found = image_reader::find(fs, path, Links::Follow)?;
    let room = match fs {
        FileSystem::Ext4(ext4) if found.node.kind == Kind::File => ext4::room(ext4, &found.node)?,
        FileSystem::Ext4(_) => None,
        FileSystem::Fat(fat) => {
            let listed = fat::list(fat)?;
            let mut same = listed.into_iter().filter(|(path, _)| path.eq_ignore_ascii_case(&found.path));
            same.next().map(|(_, room)| room).filter(|_| found.node.kind == Kind::File)
        }
    };
    let room = room.ok_or_else(|| StampError::NotASlot { path: found.path.clone() })?;
    Ok(Slot { path: found.path, room, node: found.node })
}

/// All slots of a file system, sorted by path.
///
/// # Errors
/// If a directory or an inode can't be read.
pub fn slots(fs: &FileSystem) -> Result<Vec<Slot>, StampError> {
    let mut found = match fs {
        FileSystem::Ext4(ext4) => {
            let mut found = Vec::new();
            let mut visits = fs.visits();
            let mut open = vec![(Vec::new(), fs.root()?)];
            while let Some((above, directory)) = open.pop() {
                for entry in visits.entries(fs, &directory)?.0 {
                    let node = fs.node(&entry)?;
                    let path = [&above[..], b"/", &entry.name].concat();
                    match node.kind {
                        Kind::Directory => open.push((path, node)),
                        Kind::File => {
                            if let Some(room) = ext4::room(ext4, &node)? {
                                found.push(Slot { path, room, node });
                            }
                        }
                        _ => {}
                    }
                }
            }
            found
        }
        FileSystem::Fat(fat) => {
            let listed = fat::list(fat)?.into_iter();
            // A system may have removed it since.
            listed.filter_map(|(path, _)| find(fs, &path).ok()).collect()
        }
    };
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
