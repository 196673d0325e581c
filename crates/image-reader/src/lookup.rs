//! Finds the node of a path. Symlinks are resolved within the image.

use std::collections::BTreeMap;

use image_tree::escaped;

use crate::{Entry, FileSystem, Kind, Node, ReadError};

/// Maximum number of symlinks in a path, as in Linux.
const MAX_LINKS: u32 = 40;
/// Maximum length of a path with the targets of its symlinks, in \[bytes\].
const MAX_PATH: usize = 1 << 16;

/// How to treat a symlink at the end of a path. Others are always followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Return its target.
    Follow,
    /// Return the symlink itself.
    Keep,
}

/// A node and its path.
#[derive(Clone, Debug)]
pub struct Found {
    /// The path without symlinks, `.`, `..` and extra slashes.
    pub path: Vec<u8>,
    /// The node.
    pub node: Node,
}

/// Maximum number of directory entries in the cache.
const MAX_CACHED: usize = 1 << 22;

/// A cache of directory entries, because paths with symlinks often lead through the same directories.
#[derive(Default)]
struct Directories {
    read: BTreeMap<u32, Vec<Entry>>,
    entries: usize,
}

impl Directories {
    fn entries(&mut self, fs: &FileSystem, directory: &Node) -> Result<&[Entry], ReadError> {
        let identity = directory.identity();
        if !self.read.contains_key(&identity) {
            let (entries, _) = fs.entries(directory)?;
            if self.entries.saturating_add(entries.len()) > MAX_CACHED {
                *self = Self::default();
            }
            self.entries = self.entries.saturating_add(entries.len());
            self.read.insert(identity, entries);
        }
        Ok(self.read.get(&identity).expect("invariant: the directory was just read"))
    }
}

/// Finds a path from the root. On FAT, case is ignored.
pub fn find(fs: &FileSystem, path: &[u8], last: Links) -> Result<Found, ReadError> {
    // The open directories from the root, and the remaining parts of the path, next one last.
    let mut open = vec![(Vec::new(), fs.root()?)];
    let mut parts: Vec<Vec<u8>> = parts(path);
    let mut links = 0_u32;
    let mut directories = Directories::default();
    while let Some(part) = parts.pop() {
        let directory = open.last().map_or_else(|| fs.root(), |(_, node)| Ok(node.clone()))?;
        if !directory.is_directory() {
            return Err(wrong(&open, "is not a directory", "choose a path in a directory"));
        }
        match part.as_slice() {
            b"." => continue,
            b".." => {
                if open.len() > 1 {
                    open.pop();
                }
                continue;
            }
            _ => {}
        }
        let entries = directories.entries(fs, &directory)?;
        let Some(entry) = named(fs, entries, &part) else {
            return Err(not_found(&open, &part, entries));
        };
        let node = fs.node(entry)?;
        if node.kind == Kind::Symlink && (last == Links::Follow || !parts.is_empty()) {
            links = links.saturating_add(1);
            let target = fs.link_target(&node)?;
            let length = parts.iter().fold(target.len(), |sum, part| sum.saturating_add(part.len()));
            let long = length > MAX_PATH;
            if links > MAX_LINKS || long {
                open.push((part, node));
                return Err(wrong(&open, "has too many symlinks", "use the path of the target"));
            }
            if target.first() == Some(&b'/') {
                open.truncate(1);
            }
            parts.extend(self::parts(&target));
            continue;
        }
        let name = entry.name.clone();
        open.push((name, node));
    }
    let path = joined(&open);
    let node = open.pop().map_or_else(|| fs.root(), |(_, node)| Ok(node))?;
    Ok(Found { path, node })
}

/// The parts of a path, in reverse order.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/').rev().filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Finds the entry of a name among sorted entries.
fn named<'a>(fs: &FileSystem, entries: &'a [Entry], name: &[u8]) -> Option<&'a Entry> {
    let at = entries.partition_point(|entry| entry.name.as_slice() < name);
    let exact = entries.get(at).filter(|entry| entry.name == name);
    let any_case = || entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
    exact.or_else(|| if matches!(fs, FileSystem::Fat(_)) { any_case() } else { None })
}

fn joined(open: &[(Vec<u8>, Node)]) -> Vec<u8> {
    let mut path = Vec::new();
    for (name, _) in open.iter().skip(1) {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() { vec![b'/'] } else { path }
}

fn wrong(open: &[(Vec<u8>, Node)], what: &'static str, help: &'static str) -> ReadError {
    ReadError::WrongKind { path: escaped(&joined(open)).to_string(), what, help }
}

/// The error for a missing path, with the most similar existing name, if one is similar enough.
fn not_found(open: &[(Vec<u8>, Node)], part: &[u8], entries: &[Entry]) -> ReadError {
    let whole = |name: &[u8]| {
        let mut path = joined(open);
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        escaped(&path).to_string()
    };
    let near = (part.len() / 3).max(1);
    // The comparison is quadratic in the length, and names of very different lengths are not similar anyway.
    let candidates =
        entries.iter().filter(|entry| entry.name.len().abs_diff(part.len()) <= near).take(10_000);
    let nearest = candidates.map(|entry| (distance(part, &entry.name), &entry.name)).min_by_key(|(d, _)| *d);
    let nearest = nearest.filter(|(distance, _)| *distance <= near).map(|(_, name)| whole(name));
    ReadError::NotFound { path: whole(part), nearest }
}

/// How many insertions, deletions and replacements of bytes lead from one to the other; case is ignored.
fn distance(from: &[u8], to: &[u8]) -> usize {
    strsim::generic_levenshtein(&from.to_ascii_lowercase(), &to.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computes_the_levenshtein_distance() {
        for (from, to, far) in
            [("", "", 0), ("hosts", "host", 1), ("kitten", "sitting", 3), ("a", "", 1), ("A", "a", 0)]
        {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), far, "{from} {to}");
        }
    }

    #[test]
    fn parts_are_in_reverse_order() {
        assert_eq!(parts(b"//a/b/"), [b"b".to_vec(), b"a".to_vec()]);
        assert!(parts(b"/").is_empty());
    }
}
