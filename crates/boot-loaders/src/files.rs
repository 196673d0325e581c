//! The files of a partition.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_tree::{ImagePath, Name, Permissions};

use crate::error::BootError;

/// The contents of a [`File`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A directory.
    Directory,
    /// A file of the store, by its path on the machine, without symlinks.
    Store(String),
    /// A folder of the store with everything in it, likewise.
    StoreFolder(String),
    /// A file of this machine.
    Host(PathBuf),
    /// A folder of this machine with everything in it.
    HostFolder(PathBuf),
}

/// A file, a directory or a folder of a boot loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its contents.
    pub contents: Contents,
    /// Its permission bits, where it is in ext4; `None` for the default.
    pub permissions: Option<Permissions>,
    /// The keys of the field it comes from, below `plan.boot`.
    pub field: Vec<String>,
}

/// Files by their path in a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    single: BTreeMap<ImagePath, File>,
    /// Folders whose contents go into a directory, by that.
    folders: BTreeMap<ImagePath, File>,
    /// The spelling of each path, by the path in upper case, if case is ignored.
    spellings: Option<BTreeMap<String, ImagePath>>,
}

impl Files {
    /// Paths that differ only in case become the same path, as on FAT.
    pub(crate) fn ignore_case(&mut self) {
        self.spellings = Some(BTreeMap::new());
    }

    /// The files, in the order of their paths. Directories above them are not listed, unless an installer creates them itself.
    pub fn iter(&self) -> impl Iterator<Item = (&ImagePath, &File)> {
        self.single.iter()
    }

    /// The folders, by the directories that their contents go into.
    pub fn folders(&self) -> impl Iterator<Item = (&ImagePath, &File)> {
        self.folders.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.single.is_empty() && self.folders.is_empty()
    }

    /// The file at a path.
    #[must_use]
    pub fn get(&self, path: &ImagePath) -> Option<&File> {
        self.single.get(path)
    }

    /// Adds a file. The same file twice is one.
    pub(crate) fn add(&mut self, path: &str, contents: Contents, field: &[&str]) -> Result<(), BootError> {
        self.add_with(path, contents, None, field)
    }

    /// Adds a directory.
    pub(crate) fn directory(&mut self, path: &str, permissions: u16) -> Result<(), BootError> {
        self.add_with(path, Contents::Directory, Permissions::new(permissions), &[])
    }

    /// Adds a file of the store.
    pub(crate) fn store(&mut self, path: &str, file: &str) -> Result<(), BootError> {
        self.add(path, Contents::Store(file.to_owned()), &["system"])
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, path: &str, text: impl Into<Vec<u8>>) -> Result<(), BootError> {
        self.add(path, Contents::Bytes(text.into()), &[])
    }

    /// Adds a file of this machine.
    pub(crate) fn host(&mut self, path: &str, file: &Path, field: &[&str]) -> Result<(), BootError> {
        self.add(path, Contents::Host(file.to_owned()), field)
    }

    fn add_with(
        &mut self,
        path: &str,
        contents: Contents,
        permissions: Option<Permissions>,
        field: &[&str],
    ) -> Result<(), BootError> {
        let shown = image_tree::escaped(path.as_bytes());
        let parsed = ImagePath::parse(path.as_bytes()).map_err(|error| {
            BootError::new(field, format!("{error}"), "choose shorter names, without special characters")
        })?;
        let path = self.spelled(&parsed);
        let field = field.iter().map(|&key| key.to_owned()).collect();
        let file = File { contents, permissions, field };
        let files = match file.contents {
            Contents::StoreFolder(_) | Contents::HostFolder(_) => &mut self.folders,
            _ => &mut self.single,
        };
        let known = files.entry(path).or_insert_with(|| file.clone());
        if known.contents == file.contents {
            return Ok(());
        }
        Err(BootError {
            what: format!("{shown} would be two files"),
            help: "rename one of them".to_owned(),
            field: file.field,
        })
    }

    /// The path in the spelling of those before it.
    fn spelled(&mut self, path: &ImagePath) -> ImagePath {
        let Some(spellings) = &mut self.spellings else { return path.clone() };
        let (mut at, mut key) = (ImagePath::root(), String::new());
        for name in path.parts() {
            key.push('/');
            key.push_str(&upper(name));
            at = spellings.entry(key.clone()).or_insert_with(|| at.join(name)).clone();
        }
        at
    }
}

fn upper(name: Name<'_>) -> String {
    String::from_utf8_lossy(name.as_bytes()).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn fat_has_one_spelling_of_a_name() {
        let mut files = Files::default();
        files.ignore_case();
        files.text("/EFI/nixos/a.efi", "a").unwrap();
        files.text("/efi/shell.efi", "b").unwrap();
        let paths: Vec<_> = files.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["/EFI/nixos/a.efi", "/EFI/shell.efi"]);
        assert!(files.text("/EFI/NIXOS/A.efi", "other").is_err());
    }

    #[test]
    fn ext4_has_several() {
        let mut files = Files::default();
        files.text("/boot/a", "a").unwrap();
        files.text("/boot/A", "b").unwrap();
        assert!(files.get(&path("/boot/A")).is_some());
        assert_eq!(files.iter().count(), 2);
    }

    #[test]
    fn the_same_file_twice_is_one_and_two_files_are_an_error() {
        let mut files = Files::default();
        files.store("/a", "/nix/store/x").unwrap();
        files.store("/a", "/nix/store/x").unwrap();
        let error = files.store("/a", "/nix/store/y").unwrap_err();
        assert_eq!(error.to_string(), "system: /a would be two files; rename one of them");
    }
}
