//! Other names of paths. Each line has a path and the path to look up in its place.

/// The lines of a file, the last one first: libselinux adds each line in front of the earlier ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Substitutions(Vec<(Vec<u8>, Vec<u8>)>);

impl Substitutions {
    pub(crate) fn parse(text: &[u8]) -> Self {
        let pair = |line: &[u8]| {
            let mut words = line.split(is_space).filter(|word| !word.is_empty());
            Some((words.next()?.to_vec(), words.next()?.to_vec()))
        };
        Self(text.split(|byte| *byte == b'\n').rev().filter_map(pair).collect())
    }

    /// The path to look up; `None` for the same path.
    pub(crate) fn apply(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.0.iter().find_map(|(from, to)| {
            let rest = path.strip_prefix(from.as_slice())?;
            match rest.first() {
                None => Some(to.clone()),
                // `/usr/x` with the line `/usr /` becomes `/x`.
                Some(b'/') if to == b"/" => Some(rest.to_vec()),
                Some(b'/') => Some([to, rest].concat()),
                Some(_) => None,
            }
        })
    }
}

/// `isspace` of C.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that `split` takes")]
pub(crate) fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_comes_first_and_whole_names_are_compared() {
        let lines = b"# /lib /no\n/lib64 /usr/lib\n /lib\t/usr/lib  x\n/sub /\n\n/only\n/lib /last\n";
        let substitutions = Substitutions::parse(lines);
        let apply =
            |path: &str| substitutions.apply(path.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(apply("/lib64/x").as_deref(), Some("/usr/lib/x"));
        assert_eq!(apply("/lib").as_deref(), Some("/last"));
        assert_eq!(apply("/library"), None);
        assert_eq!(apply("/sub/x/y").as_deref(), Some("/x/y"));
        assert_eq!(apply("/sub").as_deref(), Some("/"));
        assert_eq!(apply("/only"), None);
    }
}
