use std::collections::BTreeMap;
use std::path::PathBuf;

use image_tree::{ImagePath, Permissions, SectorSize, Timestamp, Xattr};

use crate::partition_types;

/// A whole plan, valid and complete: every default is filled in, every path of this machine is joined with the
/// base folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The file system that the plan is about.
    pub root: VolumePlan,
    /// The disk around it; `None` for the bare file system.
    pub disk: Option<DiskPlan>,
    /// Where the image goes.
    pub output: OutputPlan,
}

/// An ext4 file system and all that is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumePlan {
    /// The store paths to put into the image, if any.
    pub closure: Option<ClosurePlan>,
    /// Folders laid over the image, in the order of the plan.
    pub trees: Vec<TreePlan>,
    /// Single files by their path in the image; never the root as anything but a directory.
    pub entries: BTreeMap<ImagePath, Entry>,
    /// What is laid over the metadata that the rest gave.
    pub attributes: BTreeMap<ImagePath, AttributesPlan>,
    /// The file system around them.
    pub filesystem: FilesystemPlan,
}

/// `plan.closure`
#[derive(Clone, Debug, PartialEq)]
pub struct ClosurePlan {
    /// Where the list of store paths and what is known of them comes from.
    pub source: ClosureSource,
    /// Where this machine has the store.
    pub source_dir: PathBuf,
    /// Where the image has the store.
    pub store_dir: ImagePath,
    /// What is compared with the registration.
    pub verify: Verify,
    /// Whether equal files of the store become names of one inode.
    pub deduplicate: bool,
    /// Where in the image the registration is written, if anywhere.
    pub registration_target: Option<ImagePath>,
    /// Where in the image Nix's database of the closure is, if anywhere.
    pub database: Option<DatabasePlan>,
}

/// Where Nix looks for the database of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePlan {
    /// The database itself.
    pub file: ImagePath,
    /// The file that tells the version of its schema.
    pub schema: ImagePath,
    /// Folders that Nix creates when it opens a store, and must find in one that it can't write to.
    pub folders: Vec<ImagePath>,
}

impl ClosurePlan {
    /// The files that a closure puts beside its store, and the field that asks for each.
    pub(crate) fn files(&self) -> Vec<(&ImagePath, &'static str)> {
        let registration = self.registration_target.iter().map(|path| (path, "registrationTarget"));
        let database = self.database.iter().flat_map(|database| [&database.file, &database.schema]);
        registration.chain(database.map(|path| (path, "nixDatabase"))).collect()
    }
}

/// The forms in which a closure is given.
#[derive(Clone, Debug, PartialEq)]
pub enum ClosureSource {
    /// What `closureInfo` writes.
    Registration {
        /// The file for `nix-store --load-db`.
        registration: PathBuf,
        /// A path a line; without it, all that is registered.
        store_paths: Option<PathBuf>,
    },
    /// A file with a reference graph.
    GraphFile(PathBuf),
    /// The reference graph itself, from structured attributes or from the plan.
    Graph(serde_json::Value),
}

/// `plan.closure.verify`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Nothing is compared.
    None,
    /// The NAR size of each store path.
    Size,
    /// The NAR size and the NAR hash of each store path.
    Hash,
}

/// One of `plan.trees`
#[derive(Clone, Debug, PartialEq)]
pub struct TreePlan {
    /// A folder of this machine.
    pub source: PathBuf,
    /// The directory in the image that its entries go into.
    pub target: ImagePath,
    /// Whether owners and set-id bits of the source are kept; else all is root's and the bits are dropped.
    pub keep_owner: bool,
    /// Whether modification times of the source are kept; else they are the plan's.
    pub keep_times: bool,
    /// Which extended attributes of the source are kept.
    pub xattrs: Vec<XattrPattern>,
    /// Whether holes of sparse files stay holes; else zeros are stored for them.
    pub keep_holes: bool,
    /// Whether other file systems that are mounted below the source are left out; `None` takes them in and warns.
    pub one_file_system: Option<bool>,
}

/// A name of extended attributes, or all that begin with what stands before a final `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XattrPattern {
    /// The name, or its beginning.
    pub prefix: String,
    /// Whether a `*` follows.
    pub wildcard: bool,
}

impl XattrPattern {
    /// Whether a full name such as `user.comment` is meant.
    pub fn matches(&self, name: &[u8]) -> bool {
        if self.wildcard { name.starts_with(self.prefix.as_bytes()) } else { name == self.prefix.as_bytes() }
    }
}

/// One of `plan.entries`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits; without them 0755 for directories, 0644 for other entries, and for a file with a source
    /// that source's bits without set-id.
    pub permissions: Option<Permissions>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes, sorted, each name once.
    pub xattrs: Vec<Xattr>,
    /// Whether holes of a sparse source stay holes; of no meaning for what has no source.
    pub keep_holes: bool,
}

/// What a single entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with these bytes.
    Text(Vec<u8>),
    /// A file with the bytes of a file of this machine (symlinks to it are followed).
    Source(PathBuf),
    /// A directory.
    Directory,
    /// A symbolic link, its target 1 to 4,095 bytes without NUL.
    Symlink(Vec<u8>),
    /// A character device.
    Character {
        /// Below 4,096.
        major: u32,
        /// Below 2²⁰.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Below 4,096.
        major: u32,
        /// Below 2²⁰.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// One of `plan.attributes`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributesPlan {
    /// Owner, where given.
    pub uid: Option<u32>,
    /// Group, where given.
    pub gid: Option<u32>,
    /// Permission bits, where given; never laid on symlinks.
    pub permissions: Option<Permissions>,
    /// Extended attributes that are added or replaced, sorted, each name once.
    pub xattrs: Vec<Xattr>,
    /// Whether all that lies below is meant too.
    pub recursive: bool,
}

/// `plan.filesystem`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesystemPlan {
    /// Whether nobody shall ever write into it. Then the fields below promise nothing: no free space, no journal, no
    /// growth.
    pub sealed: bool,
    /// At most 16 bytes, no NUL.
    pub label: Vec<u8>,
    /// In the order of its text form.
    pub uuid: [u8; 16],
    /// Promised free space in \[bytes\].
    pub free_space: u64,
    /// Promised free inodes.
    pub free_inodes: u64,
    /// The exact size in \[bytes\], or the smallest.
    pub size: Option<u64>,
    /// Up to which size in \[bytes\] online growth changes no feature; `None` asks for no reserve.
    pub grow_to: Option<u64>,
    /// Inode density in \[bytes an inode\], 1024 to 64 MiB, kept when the file system grows.
    pub bytes_per_inode: u64,
    /// Length of the journal in \[bytes\]: 0 for none, else at least 4 MiB; `None` as mke2fs would choose.
    pub journal_size: Option<u64>,
    /// Blocks kept for root in \[thousandths of a percent\], 0 to 50,000; `None` for 5 % but at most half of what
    /// is free.
    pub reserved: Option<u32>,
    /// The time of everything that has no other.
    pub timestamp: Timestamp,
}

/// `plan.output`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPlan {
    /// The image's file; `-o` goes before it.
    pub path: Option<PathBuf>,
    /// In which form the image is written, where the plan says so. Without it the name decides (`.qcow2`, `.simg`), and
    /// a name that does not gives the bytes of the image.
    pub format: Option<Format>,
    /// Whether a map of all blocks except unused space is written beside the image, for bmaptool.
    pub bmap: bool,
    /// Whether the image is judged and compared with the plan before it appears.
    pub verify: bool,
    /// How to compress, where the plan says so. Without it the name decides (`.zst` asks for level 3).
    pub compression: Option<ZstdPlan>,
}

/// `plan.output.format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The bytes of the image.
    #[default]
    Raw,
    /// QEMU's format, where zeros take no space.
    Qcow2,
    /// Android's sparse format, as fastboot takes it.
    Simg,
}

/// `plan.output.compression`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZstdPlan {
    /// 1 to 22.
    pub level: i32,
    /// Whether the output is cut into frames with a table of them, so that a part can be read by itself.
    pub seekable: bool,
}

/// `plan.disk`
#[derive(Clone, Debug, PartialEq)]
pub struct DiskPlan {
    /// The partition table.
    pub table: TablePlan,
    /// The length of the disk's logical sectors.
    pub sector: SectorSize,
    /// The whole disk's length in \[bytes\], a multiple of the sector; `None` for what the rest needs.
    pub size: Option<u64>,
    /// The partitions, in the order of their numbers; exactly one has the root.
    pub partitions: Vec<PartitionPlan>,
    /// Bytes outside of partitions.
    pub blobs: Vec<BlobPlan>,
}

/// `plan.disk.table` and `plan.disk.id`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TablePlan {
    /// The table of a master boot record, with the disk's number.
    Mbr {
        /// Without one, it is derived from the root's UUID.
        id: Option<u32>,
    },
    /// A GUID partition table.
    Gpt {
        /// In the order of its text form; without one, it is derived from the root's UUID.
        guid: Option<[u8; 16]>,
    },
}

/// One of `plan.disk.partitions`
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionPlan {
    /// Where it begins in \[bytes\], a multiple of the sector; `None` for the next MiB after what is before it.
    pub start: Option<u64>,
    /// Its length in \[bytes\], a multiple of the sector; `None` for as much as its content has, which then is not empty
    /// and no FAT.
    pub size: Option<u64>,
    /// What the table says that it is; of the table's kind.
    pub kind: PartitionType,
    /// The active flag of an MBR, the legacy BIOS bootable attribute of a GPT.
    pub bootable: bool,
    /// Its name, at most 36 UTF-16 units; only in a GPT.
    pub name: Option<String>,
    /// Its own GUID in the order of its text form, only in a GPT; without one, it is derived.
    pub guid: Option<[u8; 16]>,
    /// What is in it.
    pub content: PartitionContent,
}

/// `plan.disk.partitions[].type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// A number, neither 0 nor one of extended partitions.
    Mbr(u8),
    /// A GUID in the order of its text form.
    Gpt([u8; 16]),
}

impl PartitionType {
    /// Whether Linux swaps to such a partition.
    #[must_use]
    pub fn is_swap(self) -> bool {
        self.is_named("swap")
    }

    /// Whether EFI firmware looks for boot loaders there.
    #[must_use]
    pub fn is_esp(self) -> bool {
        self.is_named("esp")
    }

    fn is_named(self, name: &str) -> bool {
        match self {
            Self::Mbr(number) => partition_types::mbr(name) == Some(number),
            Self::Gpt(guid) => partition_types::gpt(name) == Some(guid),
        }
    }
}

/// `plan.disk.partitions[].content`
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionContent {
    /// Zeros.
    Empty,
    /// [`Plan::root`].
    Root,
    /// Another ext4 file system.
    Ext4(Box<VolumePlan>),
    /// A FAT file system.
    Fat(FatPlan),
    /// The bytes of a file of this machine.
    Raw(PathBuf),
}

/// A FAT file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatPlan {
    /// A folder of this machine; without one, the file system is empty.
    pub source: Option<PathBuf>,
    /// Upper case, padded with spaces; `NO NAME` where there is none.
    pub label: [u8; 11],
    /// The volume's number; without one, it is derived from the root's UUID.
    pub id: Option<u32>,
    /// How many bits its table has for a cluster; without them, as mkfs.vfat would choose.
    pub bits: Option<FatBits>,
}

/// `plan.disk.partitions[].content.bits`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FatBits {
    /// FAT16.
    Fat16,
    /// FAT32.
    Fat32,
}

/// One of `plan.disk.blobs`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobPlan {
    /// A file of this machine.
    pub source: PathBuf,
    /// Where its bytes go, in \[bytes\] from the start of the disk.
    pub offset: u64,
}
