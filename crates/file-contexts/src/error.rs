use std::fmt;

/// One of the files that `setfiles` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `file_contexts`
    Base,
    /// `file_contexts.homedirs`
    Homedirs,
    /// `file_contexts.local`
    Local,
}

impl Part {
    /// What follows the name of the first file.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Base => "",
            Self::Homedirs => ".homedirs",
            Self::Local => ".local",
        }
    }
}

/// A line that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidContexts {
    /// The file.
    pub part: Part,
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong. One line, without control characters.
    pub what: String,
}

impl fmt::Display for InvalidContexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file_contexts{}:{}: {}", self.part.suffix(), self.line, self.what)
    }
}

impl std::error::Error for InvalidContexts {}
