//! Finds slots.

use std::cell::OnceCell;
use std::collections::HashMap;

use image_reader::{Fat, FileSystem, Found, Kind, Links, Node, ReadError};

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

    /// What all names of its file have in common: the number of the inode, or the offset of the directory entry.
    pub(crate) fn identity(&self, fs: &FileSystem) -> u64 {
        match fs {
            FileSystem::Ext4(_) => self.node.inode.map_or(0, u64::from),
            FileSystem::Fat(fat) => fat.entry_offset(&self.node).unwrap_or(0),
        }
    }
}

/// Finds slots by their paths.
#[derive(Debug)]
pub struct Finder<'f> {
    fs: &'f FileSystem,
    /// The slots of a FAT file system by [`folded`] path. Looking for them one after the other would read directories as often.
    fat: OnceCell<HashMap<Vec<u8>, Slot>>,
}

impl<'f> Finder<'f> {
    /// A finder that has read nothing.
    #[must_use]
    pub fn new(fs: &'f FileSystem) -> Self {
        Self { fs, fat: OnceCell::new() }
    }

    /// The slot with this path. Symlinks on the way to it are followed.
    ///
    /// # Errors
    /// If there is no such file, or it is not a slot.
    pub fn find(&self, path: &[u8]) -> Result<Slot, StampError> {
        let fs = self.fs;
        let file = || image_reader::find(fs, path, Links::Follow).map_err(|error| why(fs, path, error));
        match fs {
            FileSystem::Ext4(ext4) => {
                let Found { path, node } = file()?;
                let room = if node.kind == Kind::File { ext4::room(ext4, &node)? } else { None };
                match room {
                    Some(room) => Ok(Slot { path, room, node }),
                    None => Err(StampError::NotASlot { path }),
                }
            }
            FileSystem::Fat(fat) => {
                let slots = self.slots_of_fat(fat)?;
                if let Some(slot) = slots.get(&folded(path)) {
                    return Ok(slot.clone());
                }
                let Found { path, .. } = file()?;
                slots.get(&folded(&path)).cloned().ok_or(StampError::NotASlot { path })
            }
        }
    }

    fn slots_of_fat(&self, fat: &Fat) -> Result<&HashMap<Vec<u8>, Slot>, ReadError> {
        if let Some(slots) = self.fat.get() {
            return Ok(slots);
        }
        let slots = slots_of_fat(self.fs, fat)?.into_iter();
        Ok(self.fat.get_or_init(|| slots.map(|slot| (folded(&slot.path), slot)).collect()))
    }
}

/// The error of a path: if it is missing in a directory of which a part can't be read, it may be there.
fn why(fs: &FileSystem, path: &[u8], error: ReadError) -> ReadError {
    if !matches!(error, ReadError::NotFound { .. }) {
        return error;
    }
    let slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let above = slashes.filter_map(|at| path.get(..at));
    let found = above.filter_map(|above| image_reader::find(fs, above, Links::Follow).ok());
    let deepest = found.into_iter().find(|found| found.node.is_directory());
    let errors = deepest.and_then(|found| fs.entries(&found.node).ok()).map(|(_, errors)| errors);
    errors.unwrap_or_default().into_iter().next().unwrap_or(error)
}

/// The slot with this path, as by [`Finder::find`].
///
/// # Errors
/// If there is no such file, or it is not a slot.
pub fn find(fs: &FileSystem, path: &[u8]) -> Result<Slot, StampError> {
    Finder::new(fs).find(path)
}

/// All slots of a file system, sorted by path.
///
/// # Errors
/// If a directory or an inode can't be read.
pub fn slots(fs: &FileSystem) -> Result<Vec<Slot>, StampError> {
    let mut found = match fs {
        FileSystem::Ext4(ext4) => files(fs, |_, node| ext4::room(ext4, node))?,
        FileSystem::Fat(fat) => slots_of_fat(fs, fat)?,
    };
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The slots of a FAT file system. A system may have removed some that are in the list.
fn slots_of_fat(fs: &FileSystem, fat: &Fat) -> Result<Vec<Slot>, ReadError> {
    let listed = fat::list(fat)?;
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let rooms: HashMap<_, _> = listed.into_iter().map(|(path, room)| (folded(&path), room)).collect();
    files(fs, |path, _| Ok(rooms.get(&folded(path)).copied()))
}

/// A path of FAT, for which case does not matter.
fn folded(path: &[u8]) -> Vec<u8> {
    path.to_ascii_lowercase()
}

/// The files for which `room` has a length.
fn files(
    fs: &FileSystem,
    room: impl Fn(&[u8], &Node) -> Result<Option<u64>, ReadError>,
) -> Result<Vec<Slot>, ReadError> {
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
                    if let Some(room) = room(&path, &node)? {
                        found.push(Slot { path, room, node });
                    }
                }
                _ => {}
            }
        }
    }
    Ok(found)
}
