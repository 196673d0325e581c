use std::collections::HashMap;

use crate::error::{InvalidContexts, Part};
use crate::spec::{FileKind, Spec};
use crate::substitutions::Substitutions;

/// The texts of the files that `setfiles FILE` reads. A file that does not exist is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'t> {
    /// `FILE`
    pub base: &'t [u8],
    /// `FILE.homedirs`
    pub homedirs: &'t [u8],
    /// `FILE.local`
    pub local: &'t [u8],
    /// `FILE.subs`
    pub substitutions: &'t [u8],
    /// `FILE.subs_dist`
    pub substitutions_of_distribution: &'t [u8],
}

/// The labels of a policy.
#[derive(Debug)]
pub struct FileContexts {
    /// In the order of their precedence, the lowest first.
    specs: Vec<Spec>,
    /// The positions of the lines of each stem, ascending. Lines without a stem are under the empty one.
    by_stem: HashMap<Vec<u8>, Vec<usize>>,
    substitutions: Substitutions,
    substitutions_of_distribution: Substitutions,
}

impl FileContexts {
    /// Reads the files of a policy.
    ///
    /// # Errors
    /// For a line without a context, with an unknown file type, with a character that is not ASCII, or with a regular expression
    /// that is not valid or not supported: backreferences, look-around, possessive quantifiers.
    pub fn parse(texts: &Texts<'_>) -> Result<Self, InvalidContexts> {
        let mut specs = Vec::new();
        let parts = [(Part::Base, texts.base), (Part::Homedirs, texts.homedirs), (Part::Local, texts.local)];
        for (part, text) in parts {
            for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
                specs.extend(Spec::parse(bytes).map_err(|what| InvalidContexts { part, line, what })?);
            }
        }
        // The sort is stable.
        specs.sort_by_key(|spec: &Spec| !spec.has_meta);
        let mut by_stem: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (position, spec) in specs.iter().enumerate() {
            by_stem.entry(spec.stem.clone()).or_default().push(position);
        }
        Ok(Self {
            specs,
            by_stem,
            substitutions: Substitutions::parse(texts.substitutions),
            substitutions_of_distribution: Substitutions::parse(texts.substitutions_of_distribution),
        })
    }

    /// The label of an absolute path. `None` if no line matches or the line says `<<none>>`: then `setfiles` leaves the file as
    /// it is.
    #[must_use]
    pub fn label(&self, path: &[u8], kind: FileKind) -> Option<&str> {
        let own = self.substitutions.apply(path);
        let path = own.as_deref().unwrap_or(path);
        let other = self.substitutions_of_distribution.apply(path);
        let path = other.as_deref().unwrap_or(path);
        let stem = path.iter().skip(1).position(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let lines = |stem: &[u8]| self.by_stem.get(stem).map_or(&[][..], Vec::as_slice);
        let last = |lines: &[usize]| {
            lines.iter().rev().copied().find(|position| self.specs[*position].matches(path, kind))
        };
        let with_stem = if stem == 0 { None } else { last(lines(&path[..stem])) };
        // Only later lines take precedence over it.
        let without = lines(&[]);
        let from = with_stem.map_or(0, |found| without.partition_point(|position| *position < found));
        let found = last(&without[from..]).or(with_stem)?;
        self.specs[found].context.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::FileKind::{Directory, Fifo, Regular, Socket, Symlink};

    fn contexts(base: &str) -> FileContexts {
        FileContexts::parse(&Texts { base: base.as_bytes(), ..Texts::default() }).unwrap()
    }

    #[test]
    fn the_last_line_wins_after_lines_without_special_characters() {
        let contexts = contexts(
            "# comment\n\n/.*\tdefault\n/etc/passwd -- passwd\n/etc(/.*)? etc\n/etc/[a-z]*d -l link\n\
             /etc/x -- <<none>>\n  /etc/y.*  -p  fifo  more\n/etc/a\\.b exact\n/etc/a.b meta\n",
        );
        for (path, kind, expected) in [
            ("/", Directory, Some("default")),
            ("/etc", Directory, Some("etc")),
            ("/etcetera", Directory, Some("default")),
            ("/etc/passwd", Regular, Some("passwd")),
            ("/etc/passwd", Symlink, Some("link")),
            ("/etc/passwd", Directory, Some("etc")),
            ("/etc/x", Regular, None),
            ("/etc/x", Socket, Some("etc")),
            ("/etc/y1", Fifo, Some("fifo")),
            ("/etc/a.b", Regular, Some("exact")),
            ("/etc/a+b", Regular, Some("meta")),
            ("/etc/new\nline", Regular, Some("etc")),
        ] {
            assert_eq!(contexts.label(path.as_bytes(), kind), expected, "{path}");
        }
        assert_eq!(contexts.label(b"/etc/\xff", Regular), Some("etc"));
        assert_eq!(contexts.label(b"/etc/passwd\n", Regular), Some("passwd"));
    }

    #[test]
    fn a_quantifier_applies_to_the_character_before_it() {
        let contexts = contexts("/var/tmpx? t\n/var/b{2} two\n/a|/b either\n/v+ar plus\n/w*/x star\n");
        for (path, expected) in [
            ("/var/tmp", Some("t")),
            ("/var/tmpx", Some("t")),
            ("/var/tmpxx", None),
            ("/var/bb", Some("two")),
            ("/var/b", Some("either")),
            ("/vvar", Some("plus")),
            ("//x", Some("star")),
            // As with libselinux, where ^ and $ apply to one alternative each.
            ("/at", Some("either")),
            ("/t/b", Some("either")),
            ("/t/bt", None),
        ] {
            assert_eq!(contexts.label(path.as_bytes(), Regular), expected, "{path}");
        }
    }

    #[test]
    fn homes_and_local_lines_come_later_and_paths_are_substituted() {
        let contexts = FileContexts::parse(&Texts {
            base: b"/.* default\n/usr/lib(/.*)? lib\n/home/[^/]*/.* home\n/run(/.*)? run\n",
            homedirs: b"/home/[^/]*/\\.ssh(/.*)? ssh\n",
            local: b"/home/[^/]*/\\.ssh/x local\n",
            substitutions: b"/mylib /lib\n",
            substitutions_of_distribution: b"/lib /usr/lib\n/var/run /run\n",
        })
        .unwrap();
        for (path, expected) in [
            ("/home/a/.ssh/y", "ssh"),
            ("/home/a/.ssh/x", "local"),
            ("/home/a/b", "home"),
            ("/lib/x", "lib"),
            ("/library", "default"),
            ("/mylib/x", "lib"),
            ("/var/run", "run"),
        ] {
            assert_eq!(contexts.label(path.as_bytes(), Regular), Some(expected), "{path}");
        }
    }

    #[test]
    fn wrong_lines_are_errors_with_their_place() {
        for (text, expected) in [
            ("\n/x\n", "file_contexts:2: has no context"),
            ("/x -x y\n", "file_contexts:1: -x is not a file type; the types are -- -d -l -c -b -p -s"),
            ("/x( y\n", "file_contexts:1: the regular expression is not valid: unclosed group"),
            (
                "/x(?=a) y\n",
                "file_contexts:1: the regular expression is not valid: look-around, including look-ahead and look-behind, is not supported",
            ),
            ("/(a)\\1 y\n", "file_contexts:1: has \\1, which is not supported"),
            ("/\u{e4} y\n", "file_contexts:1: has a character that is not printable ASCII"),
        ] {
            let error =
                FileContexts::parse(&Texts { base: text.as_bytes(), ..Texts::default() }).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let local = Texts { local: b"/x", ..Texts::default() };
        assert_eq!(
            FileContexts::parse(&local).unwrap_err().to_string(),
            "file_contexts.local:1: has no context"
        );
    }
}
