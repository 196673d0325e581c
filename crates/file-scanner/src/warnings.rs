//! What people should know though it is no error: a line for each matter, in a fixed order.

use image_tree::ImagePath;

use crate::error::shown;
use crate::found::Found;
use crate::scan::EntryFiles;

/// How many files a warning names.
const NAMED: usize = 10;

#[derive(Clone, Debug, Default)]
struct Dropped {
    count: usize,
    first: Vec<String>,
}

/// Collects matters in the order of the tree.
#[derive(Debug)]
pub(crate) struct Warnings {
    /// Set-id bits, for each tree.
    dropped: Vec<Dropped>,
    other: Vec<String>,
}

impl Warnings {
    pub(crate) fn new(trees: usize) -> Self {
        Self { dropped: vec![Dropped::default(); trees], other: Vec::new() }
    }

    /// A file of a tree has lost its set-id bits.
    pub(crate) fn set_id_dropped(&mut self, tree: usize, path: impl FnOnce() -> String) {
        if let Some(dropped) = self.dropped.get_mut(tree) {
            dropped.count = dropped.count.saturating_add(1);
            if dropped.first.len() < NAMED {
                dropped.first.push(path());
            }
        }
    }

    /// `plan.attributes` asks for extended attributes that its path can't bear.
    pub(crate) fn xattrs_left_out(&mut self, path: &ImagePath) {
        self.other.push(format!(
            "plan.attributes.\"{path}\": extended attributes are left out that Linux does not allow on this type of \
             file; lay them on a file or directory"
        ));
    }

    pub(crate) fn finish(self) -> Vec<String> {
        let dropped = self.dropped.into_iter().enumerate().filter(|(_, dropped)| dropped.count > 0);
        let lines = dropped.map(|(tree, dropped)| {
            let more = match dropped.count.saturating_sub(dropped.first.len()) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "plan.trees[{tree}]: setuid and setgid bits are dropped from {}{more}; set \"owner\" to \"keep\" to \
                 keep them",
                dropped.first.join(", ")
            )
        });
        lines.chain(self.other).collect()
    }
}

/// How many files are named that store much more than they take.
const LARGEST: usize = 3;

/// Whether the contents take much more room in the image than on this machine: mostly a sparse file that is filled.
pub(crate) fn inflated(found: &Found, files: &EntryFiles) -> Option<String> {
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
    Some(format!(
        "the contents: {} bytes are stored for files that take {} on this machine, as holes are filled with zeros{what}; set \
         \"holes\" to \"keep\" where it is \"fill\", or leave these files out",
        room.stored, room.taken
    ))
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
        assert!(lines[0].starts_with("plan.trees[1]: setuid"), "{}", lines[0]);
        assert!(lines[0].contains("/f9 and 2 more;") && !lines[0].contains("/f10"), "{}", lines[0]);
    }
}
