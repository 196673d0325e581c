use crate::escaped;

/// The name of a directory entry: 1 to 255 bytes without `/` and NUL, except `.` and `..`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a>(&'a [u8]);

/// The error for bytes that are not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidName {
    /// No bytes.
    Empty,
    /// More than [`Name::MAX_LEN`] bytes.
    TooLong(usize),
    /// A `/` or a NUL inside.
    BadByte(Vec<u8>),
    /// `.` or `..`.
    Dots(Vec<u8>),
}

impl std::fmt::Display for InvalidName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("a name is empty"),
            Self::TooLong(len) => write!(f, "a name is {len} bytes long, more than 255"),
            Self::BadByte(name) => write!(f, "the name \"{}\" contains a slash or a NUL byte", escaped(name)),
            Self::Dots(name) => write!(f, "the name \"{}\" is reserved", escaped(name)),
        }
    }
}

impl std::error::Error for InvalidName {}

impl<'a> Name<'a> {
    /// Maximum length of a name in \[bytes\]: `EXT4_NAME_LEN`, as in every Linux file system.
    pub const MAX_LEN: usize = 255;

    /// Checks bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, InvalidName> {
        if bytes.is_empty() {
            Err(InvalidName::Empty)
        } else if bytes.len() > Self::MAX_LEN {
            Err(InvalidName::TooLong(bytes.len()))
        } else if bytes == b"." || bytes == b".." {
            Err(InvalidName::Dots(bytes.to_vec()))
        } else if bytes.iter().any(|&b| b == b'/' || b == 0) {
            Err(InvalidName::BadByte(bytes.to_vec()))
        } else {
            Ok(Self(bytes))
        }
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The length in \[bytes\], 1 to 255.
    #[must_use]
    pub fn len_u8(self) -> u8 {
        u8::try_from(self.0.len()).expect("invariant: `Name::new` takes at most 255 bytes")
    }
}

impl std::fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", escaped(self.0))
    }
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", escaped(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_names_by_the_rules_of_linux() {
        assert!(Name::new(b"a").is_ok());
        assert!(Name::new(&[0xff; 255]).is_ok());
        assert!(Name::new(b"...").is_ok());
        assert_eq!(Name::new(b""), Err(InvalidName::Empty));
        assert_eq!(Name::new(&[b'a'; 256]), Err(InvalidName::TooLong(256)));
        assert_eq!(Name::new(b".."), Err(InvalidName::Dots(b"..".to_vec())));
        assert_eq!(Name::new(b"a/b"), Err(InvalidName::BadByte(b"a/b".to_vec())));
        assert_eq!(Name::new(b"a\0"), Err(InvalidName::BadByte(b"a\0".to_vec())));
        let reason = Name::new(b"a/\xff").unwrap_err().to_string();
        assert_eq!(reason, r#"the name "a/\xff" contains a slash or a NUL byte"#);
    }
}
