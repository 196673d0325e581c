//! What a plan leaves out of a source, by patterns in the syntax of gitignore.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::GlobBuilder;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::FileType;

use crate::error::ScanError;
use crate::flags::ITSELF;
use crate::glob_error;
use crate::listing::Listing;

/// The patterns of a tree. An excluded directory is left out with everything below it.
#[derive(Debug)]
pub(crate) struct Exclude {
    patterns: Gitignore,
    /// Whether a pattern has left anything out.
    used: BTreeMap<String, AtomicBool>,
}

impl Exclude {
    /// The patterns of a tree; `None` if it has none.
    pub(crate) fn new(tree: usize, patterns: &[String]) -> Result<Option<Self>, ScanError> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let wrong = |pattern: &str, error: &ignore::Error| {
            // The error has only a text, which is not about plans.
            let kind = GlobBuilder::new(pattern).backslash_escape(true).build().err();
            let unknown = || (error.to_string(), "correct it".to_owned());
            let (reason, help) = kind.map_or_else(unknown, |error| glob_error::explain(error.kind()));
            ScanError::Pattern { tree, pattern: pattern.to_owned(), reason, help }
        };
        let mut builder = GitignoreBuilder::new("");
        for pattern in patterns {
            if has_class_beyond_ascii(pattern) {
                let reason = "classes match one byte, as in git, so the characters in [] must be ASCII";
                let help = "write a pattern for each character, or *".to_owned();
                let (pattern, reason) = (pattern.clone(), reason.to_owned());
                return Err(ScanError::Pattern { tree, pattern, reason, help });
            }
            builder.add_line(None, pattern).map_err(|error| wrong(pattern, &error))?;
        }
        let all = patterns.join(" ");
        let excluding = patterns.iter().filter(|pattern| !pattern.starts_with('!'));
        Ok(Some(Self {
            patterns: builder.build().map_err(|error| wrong(&all, &error))?,
            used: excluding.map(|pattern| (pattern.clone(), AtomicBool::new(false))).collect(),
        }))
    }

    /// Whether a path is left out. The directories above it are not.
    pub(crate) fn has(&self, path: &[u8], is_directory: bool) -> bool {
        let path = Path::new(OsStr::from_bytes(path));
        match self.patterns.matched(path, is_directory) {
            Match::Ignore(pattern) => {
                if let Some(used) = self.used.get(pattern.original()) {
                    used.store(true, Ordering::Relaxed);
                }
                true
            }
            Match::None | Match::Whitelist(_) => false,
        }
    }

    /// Patterns that have left nothing out, in their order.
    pub(crate) fn unused(&self, patterns: &[String]) -> Vec<String> {
        let is_unused =
            |pattern: &&String| self.used.get(*pattern).is_some_and(|used| !used.load(Ordering::Relaxed));
        patterns.iter().filter(is_unused).cloned().collect()
    }

    /// Removes what is left out from the listing of a directory, before anything is known of it but its names.
    pub(crate) fn leave_out(&self, path: &[u8], directory: BorrowedFd<'_>, listing: &mut Listing) {
        let is_directory = |index: usize| match listing.file_type(index) {
            FileType::Unknown => rustix::fs::statat(directory, listing.c_name(index), ITSELF)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
            listed => listed == FileType::Directory,
        };
        let wanted: Vec<bool> = (0..listing.len())
            .map(|index| !self.has(&join(path, listing.name(index)), is_directory(index)))
            .collect();
        listing.retain_at(|index| wanted[index]);
    }
}

/// Whether there is a class such as `[éö]`, which would match the bytes of these characters.
fn has_class_beyond_ascii(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '[' => {
                let rest = characters.as_str();
                let class = rest.strip_prefix(['!', '^']).unwrap_or(rest);
                // As the first character, a bracket does not end the class.
                let first = class.chars().next().map_or(0, char::len_utf8);
                let Some(end) = class[first..].find(']') else { return false };
                let (class, after) = class.split_at(first + end);
                if !class.is_ascii() {
                    return true;
                }
                characters = after.chars();
            }
            _ => {}
        }
    }
    false
}

/// The path of an entry of a directory.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn patterns_are_those_of_gitignore() {
        let patterns =
            ["*.pyc", "/var/cache/*", "!/var/cache/keep", "doc/", "*.none", "\\#x"].map(str::to_owned);
        let exclude = Exclude::new(0, &patterns).unwrap().unwrap();
        for (path, is_directory, expected) in [
            (&b"a/b.pyc"[..], false, true),
            (b"a/b.py", false, false),
            (b"var/cache/x", true, true),
            (b"x/var/cache/x", true, false),
            (b"var/cache/keep", true, false),
            (b"a/doc", true, true),
            (b"a/doc", false, false),
            (b"#x", false, true),
            (b"\xff.pyc", false, true),
        ] {
            assert_eq!(exclude.has(path, is_directory), expected, "{path:?}");
        }
        assert_eq!(exclude.unused(&patterns), ["*.none"]);
        assert!(Exclude::new(0, &[]).unwrap().is_none());
        for (pattern, is_wrong) in [
            ("[éö]", true),
            ("x[!a-é]", true),
            ("[]é]", true),
            ("é[a]é", false),
            ("\\[é]", false),
            ("[\\]é", false),
            ("é?", false),
            ("[é", false),
            ("[é]", true),
            ("[a][é]", true),
        ] {
            assert_eq!(Exclude::new(0, &[pattern.to_owned()]).is_err(), is_wrong, "{pattern}");
        }
        assert!(matches!(Exclude::new(1, &["[z-a]".to_owned()]), Err(ScanError::Pattern { tree: 1, .. })));
    }

    /// Some file systems list no types. A symlink to a directory is none.
    #[test]
    fn patterns_for_directories_match_only_directories_of_unknown_type() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("directory")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("directory", folder.path().join("symlink")).unwrap();
        let fd = std::fs::File::open(folder.path()).unwrap();
        let patterns = ["directory/", "file/", "symlink/", "missing/"].map(str::to_owned);
        let names = ["directory", "file", "missing", "symlink"].map(|name| name.as_bytes().to_vec());
        let listed = Listing::read(fd.as_fd()).unwrap();
        for (mut listing, left) in [
            (Listing::of_names(&names).unwrap(), &["file", "missing", "symlink"][..]),
            (listed, &["file", "symlink"]),
        ] {
            let exclude = Exclude::new(0, &patterns).unwrap().unwrap();
            exclude.leave_out(b"", fd.as_fd(), &mut listing);
            let names: Vec<&[u8]> = (0..listing.len()).map(|index| listing.name(index)).collect();
            assert_eq!(names, left.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
            assert_eq!(exclude.unused(&patterns), &patterns[1..]);
        }
    }
}
