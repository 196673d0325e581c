//! Quotes input in messages: escaped, on one line, and cut at a limit.

use std::fmt;

use image_tree::escaped;

/// Longest text shown in full, in \[bytes\]: enough for the longest store path.
const LIMIT: usize = 300;

/// The bytes in quotes, escaped, cut at [`LIMIT`].
pub(crate) fn quoted(bytes: &[u8]) -> String {
    struct Quoted<'a>(&'a [u8]);
    impl fmt::Display for Quoted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0.split_at_checked(LIMIT) {
                Some((shown, rest)) if !rest.is_empty() => write!(f, "\"{}\"…", escaped(shown)),
                _ => write!(f, "\"{}\"", escaped(self.0)),
            }
        }
    }
    if bytes.is_empty() { "nothing".to_owned() } else { Quoted(bytes).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_on_one_short_line() {
        assert_eq!(quoted(b"a\nb"), "\"a\\x0ab\"");
        assert_eq!(quoted(b""), "nothing");
        assert_eq!(quoted(&[b'x'; 300]), format!("\"{}\"", "x".repeat(300)));
        assert_eq!(quoted(&[b'x'; 301]), format!("\"{}\"…", "x".repeat(300)));
    }
}
