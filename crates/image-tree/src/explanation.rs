use std::fmt;

/// An error or a warning in the three parts of a message, `SUBJECT: WHAT; HELP`. Programs show the parts apart, or name the
/// subject in their own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What it is about: a path, a file, an option. Empty if it is about nothing in particular.
    pub subject: String,
    /// What is wrong there.
    pub what: String,
    /// What to do about it. Empty if there is nothing to do.
    pub help: String,
}

impl Explanation {
    /// Puts the three parts together.
    pub fn new(subject: impl Into<String>, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { subject: subject.into(), what: what.into(), help: help.into() }
    }

    /// The same, about something else.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// The same, about something in `outer`, which may be empty.
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

/// An error that comes in the three parts of a message.
pub trait Explain {
    /// Its parts.
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
    fn absent_parts_leave_no_separators() {
        assert_eq!(
            Explanation::new("/a", "is full", "free some space").to_string(),
            "/a: is full; free some space"
        );
        assert_eq!(Explanation::new("", "is full", "").to_string(), "is full");
    }

    #[test]
    fn subjects_are_named_from_the_outside_in() {
        let subject = |outer: &str, inner: &str| Explanation::new(inner, "is full", "").within(outer).subject;
        let subjects = [subject("/a", "inode 7"), subject("", "inode 7"), subject("/a", ""), subject("", "")];
        assert_eq!(subjects, ["/a: inode 7", "inode 7", "/a", ""]);
    }
}
