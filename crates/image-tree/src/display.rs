use std::fmt;

/// Shows bytes that are mostly text on one line: control characters, backslashes and bytes that are not UTF-8
/// come out as `\xNN`, so that a file name can neither forge a message nor break a log.
#[must_use]
pub fn escaped(bytes: &[u8]) -> impl fmt::Display + '_ {
    Escaped(bytes)
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || c == '\\' {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn only_what_could_mislead_is_escaped() {
        assert_eq!(escaped(b"plain name").to_string(), "plain name");
        assert_eq!(escaped("größe".as_bytes()).to_string(), "größe");
        assert_eq!(escaped(b"a\nb\x1b[0m\\c\xff").to_string(), "a\\x0ab\\x1b[0m\\x5cc\\xff");
    }
}
