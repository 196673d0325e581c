use image_tree::{Explain, Explanation, escaped, explained_errors};

/// Why an archive or a container image can't be a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveError {
    path: String,
    entry: Option<String>,
    fault: Fault,
}

/// What is wrong with an archive. Names are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A system call failed.
    Unreadable {
        /// The system's words.
        reason: String,
    },
    /// The file does not exist.
    Missing,
    /// It is neither a regular file nor a folder.
    NotAFile,
    /// The first bytes are neither those of a tar archive nor of a known compression.
    NotAnArchive,
    /// A known format that is not supported.
    Unsupported {
        /// Its name.
        format: &'static str,
    },
    /// The compressed bytes are damaged, or ask for too much memory.
    Compressed {
        /// The decompressor's words.
        reason: String,
    },
    /// The temporary file can't be made or written.
    Temporary {
        /// Its folder.
        folder: String,
        /// The system's words.
        reason: String,
    },
    /// The archive ends within an entry.
    Truncated,
    /// The archive ends without the mark of its end.
    NoEnd,
    /// A header with a wrong checksum.
    Checksum {
        /// Where it begins in the uncompressed archive, in \[bytes\].
        offset: u64,
    },
    /// A field of a header is not a number, or is out of range.
    Number {
        /// The field.
        field: &'static str,
    },
    /// A wrong record of a PAX header.
    Pax {
        /// What is wrong.
        what: &'static str,
    },
    /// An unknown type of entry.
    Type {
        /// The type's byte, escaped.
        byte: String,
    },
    /// Part of an archive of several volumes.
    MultiVolume,
    /// A wrong map of a sparse file.
    Sparse,
    /// A name that no file of Linux can have.
    Name {
        /// What is wrong.
        what: &'static str,
    },
    /// Below a file that is not a directory.
    BelowFile {
        /// That file.
        file: String,
    },
    /// In the place of a directory that has entries.
    OverDirectory {
        /// Its name, escaped.
        directory: String,
    },
    /// Symlinks that lead in a circle.
    Loop,
    /// A hard link to something that the archive does not have before it, or to a directory.
    HardLink {
        /// The target.
        target: String,
    },
    /// A symlink with an empty or a too long target.
    SymlinkTarget {
        /// Length in \[bytes\].
        len: usize,
    },
    /// A device number that ext4 can't store.
    Device,
    /// An access control list without numbers of users and groups, or a wrong one.
    Acl,
    /// A bound of what is accepted; see [`crate::limits`].
    Limit {
        /// What there is too much of.
        what: &'static str,
    },
    /// Contents that do not have their digest or their length.
    Digest {
        /// The digest.
        expected: String,
    },
    /// A file that the image names is missing.
    NoBlob {
        /// Its name in the image.
        name: String,
    },
    /// JSON that is not what the specification says.
    Json {
        /// Its name in the image.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// There is no container image.
    NotAnImage,
    /// The choice leaves no image, or more than one.
    Choice {
        /// Whether it leaves more than one.
        several: bool,
        /// The images, in the words of the plan.
        images: Vec<String>,
    },
    /// A layer that is encrypted.
    Encrypted,
    /// The archive changed while it was read.
    Changed,
}

/// The kind of a fault, for exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The plan must say something else.
    Plan,
    /// The source is damaged, missing or unreadable.
    Source,
    /// The source is more than is supported.
    Limit,
}

impl Fault {
    /// Adds the place.
    #[must_use]
    pub fn at(self, path: &str, entry: Option<&[u8]>) -> ArchiveError {
        ArchiveError {
            path: path.to_owned(),
            entry: entry.map(|entry| escaped(entry).to_string()),
            fault: self,
        }
    }

    pub(crate) fn unreadable(error: impl Into<std::io::Error>) -> Self {
        Self::Unreadable { reason: image_tree::io_reason(&error.into()) }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Choice { .. } => FaultKind::Plan,
            Self::Limit { .. } | Self::Device | Self::Unsupported { .. } | Self::SymlinkTarget { .. } => {
                FaultKind::Limit
            }
            _ => FaultKind::Source,
        }
    }

    fn what(&self) -> String {
        match self {
            Self::Unreadable { reason } => format!("can't be read: {reason}"),
            Self::Missing => "does not exist".to_owned(),
            Self::NotAFile => "is neither a file nor a folder".to_owned(),
            Self::NotAnArchive => {
                "is not a tar archive, plain or compressed with gzip, zstd or xz".to_owned()
            }
            Self::Unsupported { format } => format!("is {format}, which is not supported"),
            Self::Compressed { reason } => format!("can't be decompressed: {reason}"),
            Self::Temporary { folder, reason } => {
                format!("can't be decompressed to an unnamed file in {folder}: {reason}")
            }
            Self::Truncated => "ends in the middle of an entry".to_owned(),
            Self::NoEnd => "ends without the blocks of zeros that mark the end of an archive".to_owned(),
            Self::Checksum { offset } => {
                format!("has no valid header at byte {offset}, where the next entry begins")
            }
            Self::Number { field } => format!("has a wrong number as its {field}"),
            Self::Pax { what } => format!("has a wrong PAX header: {what}"),
            Self::Type { byte } => format!("has the unknown type \"{byte}\""),
            Self::MultiVolume => "is continued from another volume".to_owned(),
            Self::Sparse => "has a wrong map of its data and holes".to_owned(),
            Self::Name { what } => format!("has a name {what}"),
            Self::BelowFile { file } => format!("is below {file}, which is not a directory"),
            Self::OverDirectory { directory } => {
                format!("would replace the directory {directory} and everything in it")
            }
            Self::Loop => "is reached through symlinks that lead in a circle".to_owned(),
            Self::HardLink { target } => {
                format!("is a hard link to {target}, which is no file, symlink or special file before it")
            }
            Self::SymlinkTarget { len } => format!("is a symlink with a target of {len} bytes"),
            Self::Device => "has a device number that ext4 can't store".to_owned(),
            Self::Acl => {
                "has an access control list that names users or groups without their numbers, or is \
                          wrong"
                    .to_owned()
            }
            Self::Limit { what } => format!("has {what}"),
            Self::Digest { expected } => format!("does not have the digest or the length of {expected}"),
            Self::NoBlob { name } => format!("lacks {name}"),
            Self::Json { name, reason } => format!("has a wrong {name}: {reason}"),
            Self::NotAnImage => "has neither the index.json of an OCI image nor the manifest.json of \
                                 `docker save`"
                .to_owned(),
            Self::Choice { several: true, images } => {
                format!("has several images that match: {}", images.join(", "))
            }
            Self::Choice { images, .. } if images.is_empty() => "has no images".to_owned(),
            Self::Choice { images, .. } => format!("has no image that matches, only {}", images.join(", ")),
            Self::Encrypted => "has an encrypted layer".to_owned(),
            Self::Changed => "changed while it was read".to_owned(),
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check the file and its permissions",
            Self::Missing | Self::NotAFile => "give an existing one",
            Self::NotAnArchive => "give a folder or such an archive",
            Self::Unsupported { .. } => "compress it with gzip, zstd or xz",
            Self::Compressed { .. } => "get the archive again",
            Self::Temporary { .. } => {
                "free space there, or set TMPDIR to another folder, or decompress the archive first"
            }
            Self::Truncated | Self::NoEnd => "get the archive again, it was probably cut",
            Self::Checksum { .. } => "get the archive again, it is damaged or not a tar archive",
            Self::Number { .. } | Self::Pax { .. } | Self::Sparse | Self::Type { .. } => {
                "make the archive again with GNU tar or bsdtar"
            }
            Self::MultiVolume => "join the volumes first",
            Self::Name { .. }
            | Self::BelowFile { .. }
            | Self::OverDirectory { .. }
            | Self::Loop
            | Self::HardLink { .. } => "make the archive again without this entry",
            Self::SymlinkTarget { .. } => "use a target of 1 to 4095 bytes",
            Self::Device => "use a major number below 4096 and a minor number below 1048576",
            Self::Acl => "make the archive with --numeric-owner",
            Self::Limit { .. } => "see docs/security.md for the limits",
            Self::Digest { .. } | Self::NoBlob { .. } | Self::Json { .. } => "get the image again",
            Self::NotAnImage => "leave \"kind\" out for a tar archive or a folder of files",
            Self::Choice { several: true, .. } => "choose one with \"image\" or \"platform\"",
            Self::Choice { .. } => "correct \"image\" or \"platform\"",
            Self::Encrypted => "decrypt the image first",
            Self::Changed => "leave the sources alone while an image is built",
        }
    }
}

impl ArchiveError {
    /// What is wrong.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The archive or folder on this machine.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Explain for ArchiveError {
    fn explain(&self) -> Explanation {
        let subject = match &self.entry {
            Some(entry) => format!("{}: {entry}", self.path),
            None => self.path.clone(),
        };
        Explanation::new(subject, self.fault.what(), self.fault.help())
    }
}

explained_errors!(ArchiveError);
