use std::fmt;

/// An error or warning in the three parts of a message, `SUBJECT: WHAT; HELP`. Programs can print the parts separately, or
/// name the subject differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The subject: a path, a file, an option. May be empty.
    pub subject: String,
    /// What is wrong.
    pub what: String,
    /// What to do. May be empty.
    pub help: String,
}

impl Explanation {
    /// An explanation with these parts.
    pub fn new(subject: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { subject: subject.into(), what: what.into(), help: help.into() }
    }

    /// The same with another subject.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// The same with `outer` before the subject. Either may be empty.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let parts = [outer, &self.subject].into_iter().filter(|part| !part.is_empty());
        let subject = parts.collect::<Vec<_>>().join(": ");
        self.about(subject)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, what, help } = self;
        if !subject.is_empty() {
            write!(f, "{subject}: ")?;
        }
        f.write_str(what)?;
        if help.is_empty() { Ok(()) } else { write!(f, "; {help}") }
    }
}

/// An error or warning with the three parts of a message.
pub trait Explain {
    /// Returns the parts.
    fn explain(&self) -> Explanation;
}

/// Implements `Display` and `Error` for types that implement [`Explain`].
#[macro_export]
macro_rules! explained_errors {
    ($($error:ty),+ $(,)?) => {$(
        impl ::std::fmt::Display for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&$crate::Explain::explain(self), f)
            }
        }

        impl ::std::error::Error for $error {}
    )+};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parts_have_no_separators() {
        assert_eq!(
            Explanation::new("/a", "is full", "free some space").to_string(),
            "/a: is full; free some space"
        );
        assert_eq!(Explanation::new("", "is full", "").to_string(), "is full");
    }

    #[test]
    fn outer_subjects_come_first() {
        let subject = |outer: &str, inner: &str| Explanation::new(inner, "is full", "").within(outer).subject;
        let subjects = [subject("/a", "inode 7"), subject("", "inode 7"), subject("/a", ""), subject("", "")];
        assert_eq!(subjects, ["/a: inode 7", "inode 7", "/a", ""]);
    }
}
