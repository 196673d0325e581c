/// A file or a folder of this machine, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode {
    /// The number of the file system that it is in (`st_dev`).
    pub device: u64,
    /// Its number there (`st_ino`).
    pub number: u64,
}

/// A name in a folder that the program writes to, or is about to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    /// The folder.
    pub folder: Inode,
    /// The name in it.
    pub name: Vec<u8>,
    /// What the temporary names begin with that the file has until it is complete, never empty; two numbers with a hyphen
    /// follow, of the process and of the try.
    pub temporary_prefix: Option<Vec<u8>>,
}

impl OwnFile {
    /// Whether a name in the folder is that of the file, or one of its temporary names.
    #[must_use]
    pub fn is_named(&self, name: &[u8]) -> bool {
        let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let is_temporary = |prefix: &Vec<u8>| {
            let mut numbers = name
                .strip_prefix(prefix.as_slice())
                .into_iter()
                .flat_map(|rest| rest.splitn(2, |&byte| byte == b'-'));
            !prefix.is_empty()
                && numbers.next().is_some_and(is_number)
                && numbers.next().is_some_and(is_number)
        };
        name == self.name || self.temporary_prefix.as_ref().is_some_and(is_temporary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_and_temporary_names_of_two_numbers() {
        let folder = Inode { device: 0, number: 0 };
        let prefix = b".image.snugfs-".to_vec();
        let file = OwnFile { folder, name: b"image".to_vec(), temporary_prefix: Some(prefix) };
        let is_named = |name: &str| file.is_named(name.as_bytes());
        assert!(is_named("image") && is_named(".image.snugfs-17-0"));
        for other in
            ["image2", ".image.snugfs-", ".image.snugfs-17", ".image.snugfs-17-x", ".image.snugfs-17-0~"]
        {
            assert!(!is_named(other), "{other}");
        }
    }
}
