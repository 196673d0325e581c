//! What people should know though it is no error: a line for each matter, in a fixed order.

use std::collections::BTreeMap;

use image_tree::ImagePath;

use crate::error::shown;
use crate::found::Found;
use crate::scan::EntryFiles;

/// Something that people should know though it is no error: one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    /// Where, what, and what to do about it.
    pub text: String,
}

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningKind {
    /// A tree takes in what is mounted below its folder.
    Mounts,
    /// Files lose their set-user-id and set-group-id bits.
    SetId,
    /// Owners that may be unknown ones of a user namespace.
    Owners,
    /// Extended attributes that are left out.
    Xattrs,
    /// Files take much more room in the image than on this machine.
    Room,
    /// Files of a tree that the program itself writes, and leaves out.
    Outputs,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// How many files a warning names.
const NAMED: usize = 10;

/// Files that one warning is about: the first of them, and how many there are.
#[derive(Clone, Debug, Default)]
struct Files {
    count: usize,
    first: Vec<String>,
}

impl Files {
    fn add(&mut self, path: impl FnOnce() -> String) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < NAMED {
            self.first.push(path());
        }
    }

    /// The files in a sentence, if there are any.
    fn named(&self) -> Option<String> {
        let first = self.first.join(", ");
        match self.count.saturating_sub(self.first.len()) {
            _ if self.count == 0 => None,
            0 => Some(first),
            more => Some(format!("{first} and {more} more")),
        }
    }
}

/// What one tree is warned of.
#[derive(Clone, Debug, Default)]
struct OfTree {
    /// Files that lost their set-id bits.
    set_id_dropped: Files,
    /// Files whose owner or group has this number, which stands for unknown ones too.
    in_doubt: BTreeMap<u32, Files>,
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
        if let Some(tree) = self.trees.get_mut(tree) {
            tree.set_id_dropped.add(path);
        }
    }

    /// A file of a tree has the owner or group `id`, or one that the user namespace does not know.
    pub(crate) fn owner_in_doubt(&mut self, tree: usize, id: u32, path: impl FnOnce() -> String) {
        if let Some(tree) = self.trees.get_mut(tree) {
            tree.in_doubt.entry(id).or_default().add(path);
        }
    }

    /// `plan.attributes` asks for extended attributes that its path can't bear.
    pub(crate) fn xattrs_left_out(&mut self, path: &ImagePath) {
        let text = format!(
            "plan.attributes.\"{path}\": extended attributes are left out that Linux does not allow on this type of \
             file; lay them on a file or directory"
        );
        self.other.push(Warning { kind: WarningKind::Xattrs, text });
    }

    pub(crate) fn finish(self) -> Vec<Warning> {
        let mut lines = Vec::new();
        for (number, tree) in self.trees.iter().enumerate() {
            if let Some(files) = tree.set_id_dropped.named() {
                let text = format!(
                    "plan.trees[{number}]: setuid and setgid bits are dropped from {files}; set \"owner\" to \"keep\" to keep them"
                );
                lines.push(Warning { kind: WarningKind::SetId, text });
            }
            for (id, files) in &tree.in_doubt {
                let Some(files) = files.named() else { continue };
                let text = format!(
                    "plan.trees[{number}]: {files} show owner or group {id}, which may stand for one that is not mapped into this \
                     user namespace; check them where all owners are known, for example as root"
                );
                lines.push(Warning { kind: WarningKind::Owners, text });
            }
        }
        lines.into_iter().chain(self.other).collect()
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
    let named: Vec<_> = largest.iter().take(LARGEST).map(|(_, path)| shown(path)).collect();
    let what =
        if named.is_empty() { String::new() } else { format!("; the largest are {}", named.join(", ")) };
    let text = format!(
        "the contents: {} bytes are stored for files that take {} on this machine, as holes are filled with zeros{what}; set \
         \"holes\" to \"keep\" where it is \"fill\", or leave these files out",
        room.stored, room.taken
    );
    Some(Warning { kind: WarningKind::Room, text })
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
        assert!(lines[0].text.starts_with("plan.trees[1]: setuid"), "{}", lines[0]);
        assert!(lines[0].text.contains("/f9 and 2 more;") && !lines[0].text.contains("/f10"), "{}", lines[0]);
    }

    #[test]
    fn files_whose_owner_is_in_doubt_are_named() {
        let mut warnings = Warnings::new(1);
        warnings.owner_in_doubt(0, 65534, || "root/a".to_owned());
        let lines = warnings.finish();
        assert!(lines[0].text.starts_with("plan.trees[0]: root/a show owner or group 65534,"), "{lines:?}");
    }
}
