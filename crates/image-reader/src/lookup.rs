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
struct Directories {
    read: BTreeMap<u32, Vec<Entry>>,
    entries: usize,
    most: usize,
}

impl Directories {
    /// A cache of at most this number of entries, and of one directory with more.
    fn new(most: usize) -> Self {
        Self { read: BTreeMap::new(), entries: 0, most }
    }

    fn entries(&mut self, fs: &FileSystem, directory: &Node) -> Result<&[Entry], ReadError> {
        let identity = directory.identity();
        if !self.read.contains_key(&identity) {
            let (entries, _) = fs.entries(directory)?;
            if self.entries.saturating_add(entries.len()) > self.most {
                *self = Self::new(self.most);
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
    let mut directories = Directories::new(MAX_CACHED);
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

    use crate::ext4::tests::{DATA, Image, directory};

    /// A file system with a directory of 3 entries, and symlinks: `l01` leads to `dir`, and each to the one before it.
    fn file_system() -> FileSystem {
        let mut image = Image::of_blocks(100);
        let names: Vec<_> = (1..=20).map(|number| format!("l{number:02}")).collect();
        let mut root = vec![("dir", 11), ("here", 12)];
        for (number, name) in (13..).zip(&names) {
            let target = if number == 13 { "dir" } else { &names[usize::try_from(number - 14).unwrap()] };
            image.inode(number, 0o120_777, to_u64(target.len()), 0, target.as_bytes());
            root.push((name, number));
        }
        image.inode(12, 0o120_777, 1, 0, b".");
        directory(&mut image, 2, DATA, &root);
        directory(&mut image, 11, DATA + 5, &[("configure", 12), ("other", 12), ("sub", 11)]);
        FileSystem::Ext4(image.open())
    }

    use image_tree::to_u64;

    fn found(path: &[u8]) -> Result<String, String> {
        let found = find(&file_system(), path, Links::Follow);
        found.map(|found| String::from_utf8(found.path).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_path_has_at_most_forty_symlinks() {
        assert_eq!(found(b"l20").unwrap(), "/dir");
        assert_eq!(found(b"l20/../l20").unwrap(), "/dir");
        let error = found(b"l20/../l20/../l01").unwrap_err();
        assert!(error.starts_with("/l01: has too many symlinks"), "{error}");
        assert_eq!(found(b"l20/../l19/../l01").unwrap(), "/dir");
    }

    #[test]
    fn a_path_with_its_targets_has_at_most_64_kib() {
        // The target has one byte.
        for (length, is_long) in [(65_535, false), (65_536, true)] {
            let path = [b"here/".to_vec(), vec![b'x'; length]].concat();
            let error = found(&path).unwrap_err();
            assert_eq!(error.contains("has too many symlinks"), is_long);
            assert_eq!(error.contains("not in the image"), !is_long);
        }
    }

    #[test]
    fn names_that_differ_in_a_third_of_their_bytes_are_similar() {
        let suggestion = |name: &str| {
            let error = found(format!("dir/{name}").as_bytes()).unwrap_err();
            error.split("; ").nth(1).map(str::to_owned)
        };
        let near = Some("did you mean /dir/configure?".to_owned());
        let far = Some("list the files in the image".to_owned());
        for (name, expected) in [
            ("confiabce", &near),
            ("confabcde", &far),
            ("cnfigure", &near),
            ("zub", &Some("did you mean /dir/sub?".to_owned())),
            ("zzb", &far),
        ] {
            assert_eq!(&suggestion(name), expected, "{name}");
        }
    }

    #[test]
    fn the_cache_of_directories_is_limited() {
        let fs = file_system();
        let root = fs.root().unwrap();
        let dir = fs.node(&fs.entries(&root).unwrap().0[0]).unwrap();
        for (most, number) in [(25, 2), (24, 1), (1, 1)] {
            let mut cache = Directories::new(most);
            assert_eq!(cache.entries(&fs, &root).unwrap().len(), 22);
            assert_eq!(cache.entries(&fs, &dir).unwrap().len(), 3);
            assert_eq!(cache.read.len(), number, "{most}");
            assert_eq!(cache.entries, if number == 2 { 25 } else { 3 });
            // A directory in the cache is not read again.
            assert_eq!(cache.entries(&fs, &dir).unwrap().len(), 3);
            assert_eq!(cache.read.len(), number);
        }
    }
}
