//! Identifies the source of an error or a warning.

use std::fmt;

use image_tree::ImagePath;

/// A source of a scan. Programs can name it in their own terms; `Display` shows a neutral name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceId {
    /// The store.
    Store,
    /// A tree, by its position among the trees.
    Tree(usize),
    /// A single entry, by its path in the image.
    Entry(ImagePath),
    /// The attributes for a path of the image.
    Attributes(ImagePath),
    /// A file with bytes from the program, by its path in the image.
    Inline(ImagePath),
    /// The file system itself, which needs `/lost+found`.
    FileSystem,
    /// All sources.
    All,
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("the store"),
            Self::Tree(index) => write!(f, "tree {index}"),
            Self::Entry(path) => write!(f, "the entry {path}"),
            Self::Attributes(path) => write!(f, "the attributes of {path}"),
            Self::Inline(path) => write!(f, "the file {path}"),
            Self::FileSystem => f.write_str("the file system"),
            Self::All => f.write_str("the sources"),
        }
    }
}

/// The part of a source that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceField {
    /// The whole source.
    Itself,
    /// The file or folder of this machine that it names.
    Path,
    /// Permission bits.
    Mode,
    /// An extended attribute.
    Xattr(String),
}

/// The subject of an error or a warning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A source.
    Source(SourceId, SourceField),
    /// A path, of this machine or in the image, escaped for one line.
    Path(String),
    /// The contents of the image as a whole.
    Contents,
}

impl From<SourceId> for Subject {
    fn from(id: SourceId) -> Self {
        Self::Source(id, SourceField::Itself)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(id, SourceField::Itself | SourceField::Path) => write!(f, "{id}"),
            Self::Source(id, SourceField::Mode) => write!(f, "the mode of {id}"),
            Self::Source(id, SourceField::Xattr(name)) => write!(f, "the attribute {name} of {id}"),
            Self::Path(path) => f.write_str(path),
            Self::Contents => f.write_str("the contents"),
        }
    }
}
