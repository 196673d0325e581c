use std::fmt;

/// The error if a boot loader can't be installed. Its text names the option; programs with a plan name the plan's field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootError {
    /// The keys of the option that is wrong, such as `bios`, `core`.
    pub field: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl BootError {
    /// An error of an option.
    pub fn new(field: &[&str], what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            field: field.iter().map(|&key| key.to_owned()).collect(),
            what: what.into(),
            help: help.into(),
        }
    }

    /// An error of a file of the system.
    pub(crate) fn of_system(file: &str, what: impl fmt::Display, help: impl Into<String>) -> Self {
        Self::new(&["system"], format!("{}: {what}", image_tree::escaped(file.as_bytes())), help)
    }
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.field.join("."), self.what, self.help)
    }
}

impl std::error::Error for BootError {}
