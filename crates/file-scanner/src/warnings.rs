//! What people should know though it is no error: a line for each matter, in a fixed order.

use std::collections::BTreeMap;
use std::fmt;

use image_tree::{Explain, Explanation, ImagePath, shown};

use crate::found::Found;
use crate::scan::EntryFiles;
use crate::source_id::{SourceId, Subject};

/// Something that people should know though it is no error. Paths are of this machine and escaped for one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A tree takes in what is mounted below its folder.
    Mounts {
        /// The position of the tree.
        tree: usize,
        /// Where something is mounted.
        mounts: NamedFiles,
    },
    /// Files lose their set-user-id and set-group-id bits.
    SetId {
        /// The position of the tree.
        tree: usize,
        /// The files.
        files: NamedFiles,
    },
    /// Owners that may be unknown ones of a user namespace.
    Owners {
        /// The position of the tree.
        tree: usize,
        /// The number that their owner or group shows as.
        id: u32,
        /// The files.
        files: NamedFiles,
    },
    /// Extended attributes that are left out.
    Xattrs {
        /// In the image.
        path: ImagePath,
    },
    /// Files take much more room in the image than on this machine.
    Room {
        /// In the image, in \[bytes\].
        stored: u64,
        /// On this machine, in \[bytes\].
        taken: u64,
        /// The files that account for most of it.
        largest: Vec<String>,
    },
}

impl Warning {
    /// What the warning is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Mounts { tree, .. } | Self::SetId { tree, .. } | Self::Owners { tree, .. } => {
                SourceId::Tree(*tree).into()
            }
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
                    "{files} show owner or group {id}, which may stand for one that is not mapped into this user namespace"
                ),
                "check them where all owners are known, for example as root",
            ),
            Self::Xattrs { .. } => (
                "extended attributes are left out that Linux does not allow on this type of file".to_owned(),
                "lay them on a file or directory",
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

/// Files that one message is about: the first of them, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedFiles {
    /// The first of them, at most ten.
    pub first: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// How many files a warning names.
const NAMED: usize = 10;

impl NamedFiles {
    fn add(&mut self, path: impl FnOnce() -> String) {
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

/// What one tree is warned of.
#[derive(Clone, Debug, Default)]
struct OfTree {
    /// Files that lost their set-id bits.
    set_id_dropped: NamedFiles,
    /// Files whose owner or group has this number, which stands for unknown ones too.
    in_doubt: BTreeMap<u32, NamedFiles>,
}

/// Collects matters in the order of the tree.
#[derive(Debug)]
pub(crate) struct Warnings {
    trees: Vec<OfTree>,
    other: Vec<Warning>,
}

impl Warnings {
    pub(crate) fn new(trees: usize) -> Self {
        Self { trees: vec![OfTree::default(); trees], other: Vec::new() }
    }

    /// A file of a tree has lost its set-id bits.
    pub(crate) fn set_id_dropped(&mut self, tree: usize, path: impl FnOnce() -> String) {
        self.trees[tree].set_id_dropped.add(path);
    }

    /// A file of a tree has the owner or group `id`, or one that the user namespace does not know.
    pub(crate) fn owner_in_doubt(&mut self, tree: usize, id: u32, path: impl FnOnce() -> String) {
        self.trees[tree].in_doubt.entry(id).or_default().add(path);
    }

    /// A path can't have the extended attributes that are laid over it.
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

/// How many files are named that store much more than they take.
const LARGEST: usize = 3;

/// Whether the contents take much more room in the image than on this machine: mostly a sparse file that is filled.
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
