//! The directories that were found, and paths made of their names for messages.

use crate::problem::Place;

/// The inode of the root.
pub(crate) const ROOT: u32 = 2;
/// The longest path in messages, in \[bytes\].
const LONGEST_PATH: usize = 1024;

/// A directory that a name leads to.
#[derive(Debug)]
struct Directory {
    inode: u32,
    /// The position of the directory that holds it; its own for the root.
    parent: usize,
    name: Box<[u8]>,
}

/// All directories found so far; the root comes first.
#[derive(Debug, Default)]
pub(crate) struct Directories(Vec<Directory>);

impl Directories {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a directory below the one at the position `parent`.
    pub(crate) fn add(&mut self, parent: usize, name: &[u8], inode: u32) {
        self.0.push(Directory { inode, parent, name: name.into() });
    }

    /// The inode of the directory at a position.
    pub(crate) fn inode(&self, position: usize) -> u32 {
        self.0.get(position).map_or(ROOT, |directory| directory.inode)
    }

    /// The inode of the directory that holds the one at a position.
    pub(crate) fn parent_inode(&self, position: usize) -> u32 {
        self.0.get(position).map_or(ROOT, |directory| self.inode(directory.parent))
    }

    /// Whether a directory of this inode and name is among them.
    pub(crate) fn contains(&self, inode: u32, name: &[u8]) -> bool {
        self.0.iter().any(|directory| directory.inode == inode && directory.name.as_ref() == name)
    }

    /// Where the directory at a position is.
    pub(crate) fn at(&self, position: usize) -> Where<'_> {
        match self.0.get(position) {
            Some(directory) => self.entry(directory.parent, &directory.name, directory.inode),
            None => Where::of_inode(ROOT),
        }
    }

    /// Where an inode is to which a name in the directory at the position `directory` leads.
    pub(crate) fn entry<'w>(&'w self, directory: usize, name: &'w [u8], inode: u32) -> Where<'w> {
        Where { inode, entry: Some(Entry { directories: self, directory, name }) }
    }
}

/// Where an inode is: its number, and the name that led to it if one did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Where<'w> {
    inode: u32,
    entry: Option<Entry<'w>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<'w> {
    directories: &'w Directories,
    directory: usize,
    name: &'w [u8],
}

impl Where<'_> {
    /// An inode that was found by its number.
    pub(crate) fn of_inode(inode: u32) -> Self {
        Self { inode, entry: None }
    }

    /// The inode of the directory that has the name.
    pub(crate) fn directory_inode(&self) -> u32 {
        self.entry.map_or(ROOT, |entry| entry.directories.inode(entry.directory))
    }

    /// The name; empty for the root, and where none is known.
    pub(crate) fn name(&self) -> &[u8] {
        self.entry.map_or(&[], |entry| entry.name)
    }

    /// The place of a problem, with the path where it is known.
    pub(crate) fn place(&self) -> Place {
        Place::Inode(self.inode, self.entry.map(|entry| self.path(entry)))
    }

    /// The path; without its middle where it is longer than [`LONGEST_PATH`].
    fn path(&self, entry: Entry<'_>) -> Vec<u8> {
        if self.inode == ROOT {
            return b"/".to_vec();
        }
        let mut parts = vec![entry.name];
        let mut length = entry.name.len();
        let mut at = entry.directory;
        while at != 0 {
            let Some(directory) = entry.directories.0.get(at) else { break };
            length = length.saturating_add(directory.name.len()).saturating_add(1);
            if length > LONGEST_PATH {
                parts.push(b"...");
                break;
            }
            parts.push(&directory.name);
            at = directory.parent;
        }
        let mut path = Vec::with_capacity(length.saturating_add(1));
        for part in parts.into_iter().rev() {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_of_names_and_shortened_in_their_middle() {
        let mut directories = Directories::default();
        directories.add(0, b"", ROOT);
        directories.add(0, b"usr", 12);
        directories.add(1, b"lib", 13);
        let path = |place: Where<'_>| match place.place() {
            Place::Inode(inode, path) => (inode, path.map(|path| String::from_utf8(path).unwrap())),
            other => panic!("{other:?}"),
        };
        assert_eq!(path(directories.at(0)), (ROOT, Some("/".to_owned())));
        assert_eq!(path(directories.at(2)), (13, Some("/usr/lib".to_owned())));
        assert_eq!(path(directories.entry(2, b"x", 14)), (14, Some("/usr/lib/x".to_owned())));
        assert_eq!(path(Where::of_inode(14)), (14, None));
        let long = [b'd'; 255];
        for depth in 0..5 {
            directories.add(2 + depth, &long, 20);
        }
        let shown = path(directories.entry(7, b"x", 14)).1.unwrap();
        assert!(shown.starts_with("/.../ddd") && shown.ends_with("d/x") && shown.len() < 1100, "{shown}");
    }

    #[test]
    fn paths_of_1024_bytes_after_their_first_slash_are_whole() {
        for (length, is_whole) in [(254, true), (255, false)] {
            let mut directories = Directories::default();
            directories.add(0, b"", ROOT);
            for (parent, length) in (0..).zip([length, 255, 255, 255]) {
                directories.add(parent, &vec![b'd'; length], 20);
            }
            let Place::Inode(_, Some(path)) = directories.entry(4, b"x", 21).place() else {
                panic!("no path")
            };
            assert_eq!(path.starts_with(b"/ddd"), is_whole, "{length}");
            assert_eq!(path.len(), if is_whole { 1025 } else { 4 + 3 * 256 + 2 });
        }
    }

    #[test]
    fn directories_are_known_by_their_position() {
        let mut directories = Directories::default();
        directories.add(0, b"", ROOT);
        directories.add(0, b"usr", 12);
        directories.add(1, b"lib", 13);
        assert_eq!((directories.len(), directories.inode(2), directories.parent_inode(2)), (3, 13, 12));
        assert_eq!(
            (directories.inode(0), directories.parent_inode(0), directories.parent_inode(1)),
            (ROOT, ROOT, ROOT)
        );
        // Positions that are not there count as the root.
        assert_eq!((directories.inode(3), directories.parent_inode(3)), (ROOT, ROOT));
        assert!(matches!(directories.at(3).place(), Place::Inode(ROOT, None)));
        assert!(directories.contains(13, b"lib"));
        assert!(!directories.contains(12, b"lib") && !directories.contains(13, b"usr"));
        let place = directories.entry(2, b"x", 14);
        assert_eq!((place.directory_inode(), place.name()), (13, &b"x"[..]));
        let place = Where::of_inode(14);
        assert_eq!((place.directory_inode(), place.name()), (ROOT, &b""[..]));
    }
}
