//! What was found, where, and how much of it is kept.

use std::collections::BTreeMap;
use std::fmt;

use image_tree::escaped;

use crate::codes::{Code, Severity};

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The image as a whole.
    Image,
    /// The superblock.
    Superblock,
    /// What a group holds, or its descriptor.
    Group(u32),
    /// A block of the file system.
    Block(u64),
    /// An inode, with the path that leads to it where one is known.
    Inode(u32, Option<Vec<u8>>),
    /// A path.
    Path(Vec<u8>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image => f.write_str("file system"),
            Self::Superblock => f.write_str("superblock"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::Block(block) => write!(f, "block {block}"),
            Self::Inode(inode, None) => write!(f, "inode {inode}"),
            Self::Inode(inode, Some(path)) => write!(f, "inode {inode} ({})", escaped(path)),
            Self::Path(path) => write!(f, "{}", escaped(path)),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub code: Code,
    /// Where it is.
    pub place: Place,
    /// What is wrong, on one line.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.place, self.text, self.code)
    }
}

/// Everything that was found, as far as it is kept.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The first problems of each kind, in the order in which they were found.
    pub problems: Vec<Problem>,
    /// How many there are of each kind.
    pub counts: BTreeMap<Code, u64>,
}

/// How many problems of one kind are kept in full.
const KEPT_OF_EACH: u64 = 10;

impl Findings {
    /// Whether nothing is wrong that would make the file system unsound.
    pub fn is_sound(&self) -> bool {
        self.counts.keys().all(|code| code.severity() == Severity::Foreign)
    }

    /// Whether nothing was found at all: the image is as snugfs makes it.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How many problems there are of some severity.
    pub fn count(&self, severity: Severity) -> u64 {
        let of_it = self.counts.iter().filter(|(code, _)| code.severity() == severity);
        of_it.fold(0, |sum: u64, (_, count)| sum.saturating_add(*count))
    }

    /// Whether the next problem of a kind is kept in full.
    pub(crate) fn keeps_another(&self, code: Code) -> bool {
        self.counts.get(&code).is_none_or(|count| *count < KEPT_OF_EACH)
    }

    /// Counts a problem; true where it is to be kept in full.
    fn counted(&mut self, code: Code) -> bool {
        let count = self.counts.entry(code).or_default();
        *count = count.saturating_add(1);
        *count <= KEPT_OF_EACH
    }

    pub(crate) fn add(&mut self, code: Code, place: Place, text: impl Into<String>) {
        self.add_with(code, || place, text);
    }

    /// The same; the place is made only where the problem is kept.
    pub(crate) fn add_with(&mut self, code: Code, place: impl FnOnce() -> Place, text: impl Into<String>) {
        if self.counted(code) {
            self.problems.push(Problem { code, place: place(), text: text.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_one_line_each() {
        for (place, text) in [
            (Place::Image, "file system"),
            (Place::Superblock, "superblock"),
            (Place::Group(3), "group 3"),
            (Place::Block(70), "block 70"),
            (Place::Inode(12, None), "inode 12"),
            (Place::Inode(12, Some(b"/a\nb".to_vec())), "inode 12 (/a\\x0ab)"),
            (Place::Path(b"/lost+found".to_vec()), "/lost+found"),
        ] {
            let problem = Problem { code: Code::InodeLinks, place, text: "is wrong".to_owned() };
            assert_eq!(problem.to_string(), format!("{text}: is wrong (inode-links)"));
        }
    }

    #[test]
    fn ten_problems_of_each_kind_are_kept_and_all_are_counted() {
        let mut findings = Findings::default();
        assert!(findings.is_empty() && findings.is_sound() && findings.keeps_another(Code::TrailingData));
        for number in 0..12 {
            assert_eq!(findings.keeps_another(Code::BlockShared), number < 10);
            findings.add(Code::BlockShared, Place::Block(number), "");
            findings.add_with(Code::BlockLeaked, || Place::Block(number), "");
        }
        findings.add(Code::TrailingData, Place::Image, "");
        let kept = |code| findings.problems.iter().filter(|problem| problem.code == code).count();
        assert_eq!((kept(Code::BlockShared), kept(Code::BlockLeaked), kept(Code::TrailingData)), (10, 10, 1));
        assert_eq!((findings.count(Severity::Unsound), findings.count(Severity::Foreign)), (24, 1));
        assert!(!findings.is_empty() && !findings.is_sound());
    }

    #[test]
    fn a_file_system_that_another_program_changed_is_sound() {
        let mut findings = Findings::default();
        findings.add(Code::TrailingData, Place::Image, "");
        assert!(findings.is_sound() && !findings.is_empty());
    }
}
