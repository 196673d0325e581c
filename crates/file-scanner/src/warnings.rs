//! Warnings of a scan, in a fixed order.

use std::collections::BTreeMap;
use std::fmt;

use image_tree::{Explain, Explanation, ImagePath, shown};

use crate::found::Found;
use crate::scan::EntryFiles;
use crate::source_id::{SourceId, Subject};

/// A warning of a scan. Paths are those on this machine, escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A tree includes file systems that are mounted below its folder.
    Mounts {
        /// The position of the tree.
        tree: usize,
        /// The mount points.
        mounts: NamedFiles,
    },
    /// The set-user-ID and set-group-ID bits of files are dropped.
    SetId {
        /// The position of the tree.
        tree: usize,
        /// The files.
        files: NamedFiles,
    },
    /// Owners that may not be mapped in the user namespace.
    Owners {
        /// The position of the tree.
        tree: usize,
        /// The number that is shown as their owner or group.
        id: u32,
        /// The files.
        files: NamedFiles,
    },
    /// Extended attributes that are left out.
    Xattrs {
        /// In the image.
        path: ImagePath,
    },
    /// Extended attributes of an archive that are left out, because ext4 does not have them, or not for the type of file.
    ArchiveXattrs {
        /// The position of the tree.
        tree: usize,
        /// The first few names of the attributes.
        names: Vec<String>,
        /// The files.
        files: NamedFiles,
    },
    /// A tar archive that looks like a container image.
    LooksLikeImage {
        /// The position of the tree.
        tree: usize,
    },
    /// A pattern that leaves out nothing.
    UnusedPattern {
        /// The position of the tree.
        tree: usize,
        /// The pattern.
        pattern: String,
    },
    /// Files need much more space in the image than on this machine.
    Room {
        /// In the image, in \[bytes\].
        stored: u64,
        /// On this machine, in \[bytes\].
        taken: u64,
        /// The files with the largest difference.
        largest: Vec<String>,
    },
}

impl Warning {
    /// The subject of the warning.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Mounts { tree, .. }
            | Self::SetId { tree, .. }
            | Self::Owners { tree, .. }
            | Self::ArchiveXattrs { tree, .. }
            | Self::LooksLikeImage { tree }
            | Self::UnusedPattern { tree, .. } => SourceId::Tree(*tree).into(),
            Self::Xattrs { path } => SourceId::Attributes(path.clone()).into(),
            Self::Room { .. } => Subject::Contents,
        }
    }
}

impl Explain for Warning {
    fn explain(&self) -> Explanation {
        let (what, help) = match self {
            Self::Mounts { mounts, .. } => (
                format!("takes in what is mounted at {mounts}"),
                "decide whether it stays on one file system",
            ),
            Self::SetId { files, .. } => {
                (format!("setuid and setgid bits are dropped from {files}"), "keep owners to keep them")
            }
            Self::Owners { id, files, .. } => (
                format!(
                    "{files} show owner or group {id}, which may be one that is not mapped into this user namespace"
                ),
                "check them where all owners are known, for example as root",
            ),
            Self::Xattrs { .. } => (
                "extended attributes are left out that Linux does not allow on this type of file".to_owned(),
                "lay them on a file or directory",
            ),
            Self::ArchiveXattrs { names, files, .. } => (
                format!(
                    "the extended attributes {} of {files} are left out, as Linux does not allow them there",
                    names.join(", ")
                ),
                "name those to keep",
            ),
            Self::LooksLikeImage { .. } => (
                "copies the files of a container image, not those of its layers".to_owned(),
                "read it as a container image",
            ),
            Self::UnusedPattern { pattern, .. } => (
                format!("the pattern \"{}\" leaves out nothing", image_tree::escaped(pattern.as_bytes())),
                "correct it or leave it out",
            ),
            Self::Room { stored, taken, largest } => {
                let largest = match largest.as_slice() {
                    [] => String::new(),
                    named => format!("; the largest are {}", named.join(", ")),
                };
                (
                    format!(
                        "{stored} bytes are stored for files that take {taken} on this machine, as holes are filled with zeros{largest}"
                    ),
                    "keep holes where they are filled, or leave these files out",
                )
            }
        };
        Explanation::new(self.subject().to_string(), what, help)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explain().fmt(f)
    }
}

/// The files of a message: the first of them, and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedFiles {
    /// The first of them, at most ten.
    pub first: Vec<String>,
    /// Their number.
    pub count: usize,
}

/// Maximum number of files in a warning.
const NAMED: usize = 10;

impl NamedFiles {
    pub(crate) fn add(&mut self, path: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(path());
        }
    }
}

impl fmt::Display for NamedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The warnings about a tree.
#[derive(Clone, Debug, Default)]
struct OfTree {
    /// Files whose set-id bits were dropped.
    set_id_dropped: NamedFiles,
    /// Files by the number of their owner or group, which is also shown for owners that are not mapped.
    in_doubt: BTreeMap<u32, NamedFiles>,
}

/// Collects warnings in the order of the tree.
#[derive(Debug)]
pub(crate) struct Warnings {
    trees: Vec<OfTree>,
    other: Vec<Warning>,
}

impl Warnings {
    pub(crate) fn new(trees: usize) -> Self {
        Self { trees: vec![OfTree::default(); trees], other: Vec::new() }
    }

    /// Adds a file of a tree whose set-id bits were dropped.
    pub(crate) fn set_id_dropped(&mut self, tree: usize, path: impl FnOnce() -> String) {
        self.trees[tree].set_id_dropped.add(path);
    }

    /// Adds a file of a tree with the owner or group `id`, or one that is not mapped in the user namespace.
    pub(crate) fn owner_in_doubt(&mut self, tree: usize, id: u32, path: impl FnOnce() -> String) {
        self.trees[tree].in_doubt.entry(id).or_default().add(path);
    }

    /// Adds a path that can't have the extended attributes of its attributes.
    pub(crate) fn xattrs_left_out(&mut self, path: &ImagePath) {
        self.other.push(Warning::Xattrs { path: path.clone() });
    }

    pub(crate) fn finish(self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (tree, of_tree) in self.trees.into_iter().enumerate() {
            if of_tree.set_id_dropped.count > 0 {
                warnings.push(Warning::SetId { tree, files: of_tree.set_id_dropped });
            }
            let in_doubt = of_tree.in_doubt.into_iter();
            warnings.extend(in_doubt.map(|(id, files)| Warning::Owners { tree, id, files }));
        }
        warnings.into_iter().chain(self.other).collect()
    }
}

/// Maximum number of files in the warning about space.
const LARGEST: usize = 3;

/// The warning if the contents need much more space in the image than on this machine, usually because a sparse file is filled.
pub(crate) fn inflated(found: &Found, files: &EntryFiles) -> Option<Warning> {
    let room = found.room().with(files.room);
    if !room.is_inflated() {
        return None;
    }
    let mut largest = found.inflated();
    largest.extend(files.inflated.iter().cloned());
    largest.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
    let largest = largest.iter().take(LARGEST).map(|(_, path)| shown(path)).collect();
    Some(Warning::Room { stored: room.stored, taken: room.taken, largest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_ten_files_and_counts_the_rest() {
        let mut warnings = Warnings::new(2);
        for index in 0..12 {
            warnings.set_id_dropped(1, || format!("/f{index}"));
        }
        let lines = warnings.finish();
        assert_eq!(lines.len(), 1);
        let text = lines[0].to_string();
        assert!(text.starts_with("tree 1: setuid"), "{text}");
        assert!(text.contains("/f9 and 2 more;") && !text.contains("/f10"), "{text}");
    }

    #[test]
    fn files_whose_owner_is_in_doubt_are_named() {
        let mut warnings = Warnings::new(1);
        warnings.owner_in_doubt(0, 65534, || "root/a".to_owned());
        let lines = warnings.finish();
        assert!(lines[0].to_string().starts_with("tree 0: root/a show owner or group 65534,"), "{lines:?}");
    }
}
