use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Displays bytes that are mostly text on one line. Control characters, backslashes and bytes that are not UTF-8 are
/// displayed as `\xNN`, so that a file name can neither forge a message nor break a log.
#[must_use]
pub fn escaped(bytes: &[u8]) -> impl fmt::Display + '_ {
    Escaped(bytes)
}

/// Displays a path of this machine on one line, [`escaped`].
#[must_use]
pub fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes()).to_string()
}

/// The text of an I/O error, in lower case for the middle of a sentence: `no such file or directory`.
#[must_use]
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    // The standard library always appends the number to the system's text.
    let number = error.raw_os_error().map(|code| format!(" (os error {code})"));
    let text = number.and_then(|number| text.strip_suffix(&number)).unwrap_or(&text);
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
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
    use super::*;

    #[test]
    fn escapes_only_what_could_mislead() {
        assert_eq!(escaped(b"plain name").to_string(), "plain name");
        assert_eq!(escaped("größe".as_bytes()).to_string(), "größe");
        assert_eq!(escaped(b"a\nb\x1b[0m\\c\xff").to_string(), "a\\x0ab\\x1b[0m\\x5cc\\xff");
        assert_eq!(shown(Path::new("/a\nb")), "/a\\x0ab");
    }

    #[test]
    fn io_reasons_have_no_number() {
        let errors = [io::Error::from_raw_os_error(28), io::Error::other("Not (os error 28)")];
        assert_eq!(errors.each_ref().map(io_reason), ["no space left on device", "not (os error 28)"]);
    }
}
