//! From a path to a node, within the image: links lead nowhere else.

use std::collections::BTreeMap;

use image_tree::escaped;

use crate::{Entry, FileSystem, Kind, Node, ReadError};

/// The most links on the way, as in Linux.
const MOST_LINKS: u32 = 40;
/// The longest path with the targets of links in it, in \[bytes\].
const LONGEST: usize = 1 << 16;

/// What to do with a link at the end of a path; those on the way are always followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Take what it leads to.
    Follow,
    /// Take the link itself.
    Keep,
}

/// A node and where it was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The path without links, `.`, `..` and needless slashes.
    pub path: Vec<u8>,
    /// What is there.
    pub node: Node,
}

/// The most entries of directories that are remembered on the way.
const MOST_REMEMBERED: usize = 1 << 22;

/// The entries of directories on the way, as paths through links lead through the same ones again and again.
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
            if self.entries.saturating_add(entries.len()) > MOST_REMEMBERED {
                *self = Self::default();
            }
            self.entries = self.entries.saturating_add(entries.len());
            self.read.insert(identity, entries);
        }
        Ok(self.read.get(&identity).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Finds a path from the root. On FAT, case does not count.
pub fn find(fs: &FileSystem, path: &[u8], last: Links) -> Result<Found, ReadError> {
    // Directories from the root down to where we are; the parts that are still to be gone, the next one last.
    let mut way = vec![(Vec::new(), fs.root()?)];
    let mut parts: Vec<Vec<u8>> = parts(path);
    let mut links = 0_u32;
    let mut directories = Directories::default();
    while let Some(part) = parts.pop() {
        let here = way.last().map_or_else(|| fs.root(), |(_, node)| Ok(node.clone()))?;
        if !here.is_directory() {
            return Err(wrong(&way, "is no directory", "name what is in one"));
        }
        match part.as_slice() {
            b"." => continue,
            b".." => {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            _ => {}
        }
        let entries = directories.entries(fs, &here)?;
        let Some(entry) = named(fs, entries, &part) else {
            return Err(not_found(&way, &part, entries));
        };
        let node = fs.node(entry)?;
        if node.kind == Kind::Symlink && (last == Links::Follow || !parts.is_empty()) {
            links = links.saturating_add(1);
            let target = fs.link_target(&node)?;
            let length = parts.iter().fold(target.len(), |sum, part| sum.saturating_add(part.len()));
            let long = length > LONGEST;
            if links > MOST_LINKS || long {
                way.push((part, node));
                return Err(wrong(&way, "leads through too many links", "name what they lead to"));
            }
            if target.first() == Some(&b'/') {
                way.truncate(1);
            }
            parts.extend(self::parts(&target));
            continue;
        }
        let name = entry.name.clone();
        way.push((name, node));
    }
    let path = joined(&way);
    let node = way.pop().map_or_else(|| fs.root(), |(_, node)| Ok(node))?;
    Ok(Found { path, node })
}

/// The parts of a path, the first one last.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/').rev().filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The entry of a name among sorted entries.
fn named<'a>(fs: &FileSystem, entries: &'a [Entry], name: &[u8]) -> Option<&'a Entry> {
    let at = entries.partition_point(|entry| entry.name.as_slice() < name);
    let exact = entries.get(at).filter(|entry| entry.name == name);
    let any_case = || entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name));
    exact.or_else(|| if matches!(fs, FileSystem::Fat(_)) { any_case() } else { None })
}

fn joined(way: &[(Vec<u8>, Node)]) -> Vec<u8> {
    let mut path = Vec::new();
    for (name, _) in way.iter().skip(1) {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() { vec![b'/'] } else { path }
}

fn wrong(way: &[(Vec<u8>, Node)], what: &'static str, help: &'static str) -> ReadError {
    ReadError::WrongKind { path: escaped(&joined(way)).to_string(), what, help }
}

/// Names the entry whose name differs least, if it is near.
fn not_found(way: &[(Vec<u8>, Node)], part: &[u8], entries: &[Entry]) -> ReadError {
    let whole = |name: &[u8]| {
        let mut path = joined(way);
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        escaped(&path).to_string()
    };
    let near = (part.len() / 3).max(1);
    // Comparing is quadratic in the length: names that are far longer or shorter are not near anyway.
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
    fn distances_are_those_of_levenshtein() {
        for (from, to, far) in
            [("", "", 0), ("hosts", "host", 1), ("kitten", "sitting", 3), ("a", "", 1), ("A", "a", 0)]
        {
            assert_eq!(distance(from.as_bytes(), to.as_bytes()), far, "{from} {to}");
        }
    }

    #[test]
    fn parts_are_in_reverse() {
        assert_eq!(parts(b"//a/b/"), [b"b".to_vec(), b"a".to_vec()]);
        assert!(parts(b"/").is_empty());
    }
}
