use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image_tree::{ImagePath, Permissions, SectorSize, Timestamp, Xattr};

use crate::boot_plan::BootPlan;
use crate::partition_types;

/// A valid and complete plan. Defaults are filled in, and paths of this machine are joined with the
/// base folder.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The root file system.
    pub root: VolumePlan,
    /// The disk around it; `None` for the bare file system.
    pub disk: Option<DiskPlan>,
    /// The boot loader; `None` for none. Then there is a disk, and the root has a closure.
    pub boot: Option<BootPlan>,
    /// The output.
    pub output: OutputPlan,
    /// Other images that differ in a few points, in the order of the plan. Their file names are all different.
    pub variants: Vec<VariantPlan>,
    /// Of the plan of a variant: the files of the image and of all variants. No image includes them.
    pub siblings: Vec<PathBuf>,
}

/// One of `plan.variants`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariantPlan {
    /// Name of its file, in the folder of the image.
    pub output: String,
    /// The root's label, if it is another.
    pub label: Option<Vec<u8>>,
    /// The root's UUID, if it is another.
    pub uuid: Option<[u8; 16]>,
    /// Entries of the root that are added, or replace those with the same path.
    pub entries: BTreeMap<ImagePath, Entry>,
    /// The files of `entries` whose text is made from the disk's partitions.
    pub fstabs: BTreeMap<ImagePath, FstabTag>,
}

/// An ext4 file system and its contents.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VolumePlan {
    /// The store paths to put into the image, if any.
    pub closure: Option<ClosurePlan>,
    /// Folders to copy, in the order of the plan.
    pub trees: Vec<TreePlan>,
    /// Single files by path in the image. The root can only be a directory.
    pub entries: BTreeMap<ImagePath, Entry>,
    /// The files of `entries` whose text is made from the disk's partitions.
    pub fstabs: BTreeMap<ImagePath, FstabTag>,
    /// Changes of metadata, made after all other fields. Keys with a special character of a glob are patterns.
    pub attributes: BTreeMap<ImagePath, AttributesPlan>,
    /// Security labels (`SELinux`), given last; `None` for none.
    pub selinux: Option<SelinuxPlan>,
    /// Parameters of the file system.
    pub filesystem: FilesystemPlan,
}

impl Plan {
    /// The plan of a variant, which has no variants itself. Its output is next to that of this plan.
    #[must_use]
    pub fn with_variant(&self, variant: &VariantPlan) -> Self {
        let (disk, boot, mut output) = (self.disk.clone(), self.boot.clone(), self.output.clone());
        let siblings = self.output.path.iter().cloned().chain(self.variant_paths()).collect();
        output.path = self.output.path.as_deref().map(|image| variant.path(image));
        Self { root: self.root.with_variant(variant), disk, boot, output, variants: Vec::new(), siblings }
    }

    /// The files of the variants, next to that of the image; none if the plan names no file for the image.
    pub fn variant_paths(&self) -> impl Iterator<Item = PathBuf> {
        let image = self.output.path.as_deref();
        image.into_iter().flat_map(|image| self.variants.iter().map(|variant| variant.path(image)))
    }

    /// The file system of a reference; `None` if there is none.
    #[must_use]
    pub fn filesystem(&self, of: VolumeRef) -> Option<&FilesystemPlan> {
        let VolumeRef::Partition(index) = of else { return Some(&self.root.filesystem) };
        match &self.disk.as_ref()?.partitions.get(index)?.content {
            PartitionContent::Root => Some(&self.root.filesystem),
            PartitionContent::Ext4(volume) => Some(&volume.filesystem),
            _ => None,
        }
    }

    /// All ext4 file systems of the plan.
    pub fn filesystems_mut(&mut self) -> impl Iterator<Item = &mut FilesystemPlan> {
        let partitions = self.disk.iter_mut().flat_map(|disk| &mut disk.partitions);
        let others = partitions.filter_map(|partition| match &mut partition.content {
            PartitionContent::Ext4(volume) => Some(&mut volume.filesystem),
            _ => None,
        });
        std::iter::once(&mut self.root.filesystem).chain(others)
    }
}

impl VariantPlan {
    /// Its file, next to the file of its image.
    #[must_use]
    pub fn path(&self, image: &Path) -> PathBuf {
        image.with_file_name(&self.output)
    }
}

impl VolumePlan {
    /// The root file system of a variant.
    pub(crate) fn with_variant(&self, variant: &VariantPlan) -> Self {
        let mut volume = self.clone();
        volume.filesystem.label = variant.label.clone().unwrap_or(volume.filesystem.label);
        volume.filesystem.uuid = variant.uuid.unwrap_or(volume.filesystem.uuid);
        volume.entries.extend(variant.entries.iter().map(|(path, entry)| (path.clone(), entry.clone())));
        volume.fstabs.retain(|path, _| !variant.entries.contains_key(path));
        volume.fstabs.extend(variant.fstabs.iter().map(|(path, tag)| (path.clone(), *tag)));
        volume
    }
}

/// `plan.closure`
#[derive(Clone, Debug, PartialEq)]
pub struct ClosurePlan {
    /// Source of the store paths and their registration.
    pub source: ClosureSource,
    /// Store folder on this machine.
    pub source_dir: PathBuf,
    /// Prefix of all store paths.
    pub store_dir: ImagePath,
    /// Directory in the image for the store paths; by default, their prefix.
    pub place: ImagePath,
    /// What to compare with the registration.
    pub verify: Verify,
    /// Whether equal files of the store become hard links.
    pub deduplicate: bool,
    /// Path in the image for the registration, if any.
    pub registration_target: Option<ImagePath>,
    /// Path in the image for Nix's database of the closure, if any.
    pub database: Option<DatabasePlan>,
}

/// The paths of Nix's database of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePlan {
    /// The database.
    pub file: ImagePath,
    /// The file with the version of its schema.
    pub schema: ImagePath,
    /// Directories that Nix creates when it opens a store. They must exist in a read-only one.
    pub folders: Vec<ImagePath>,
}

impl ClosurePlan {
    /// The files that a closure adds besides its store, each with its field.
    pub(crate) fn files(&self) -> Vec<(&ImagePath, &'static str)> {
        let registration = self.registration_target.iter().map(|path| (path, "registrationTarget"));
        let database = self.database.iter().flat_map(|database| [&database.file, &database.schema]);
        registration.chain(database.map(|path| (path, "nixDatabase"))).collect()
    }
}

/// The forms of a closure.
#[derive(Clone, Debug, PartialEq)]
pub enum ClosureSource {
    /// The output of `closureInfo`.
    Registration {
        /// The file for `nix-store --load-db`.
        registration: PathBuf,
        /// The file with a path a line; without it, all registered paths.
        store_paths: Option<PathBuf>,
    },
    /// A file with a reference graph.
    GraphFile(PathBuf),
    /// The reference graph itself, from structured attributes or from the plan.
    Graph(Arc<serde_json::Value>),
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
#[non_exhaustive]
pub struct TreePlan {
    /// A folder, an archive or a container image of this machine.
    pub source: PathBuf,
    /// What the source is; `None` to look: a folder, or a file with a tar archive.
    pub kind: Option<TreeKind>,
    /// The name or the digest of one of several container images.
    pub image: Option<String>,
    /// `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT` of one of several container images.
    pub platform: Option<String>,
    /// The file in the image for the configuration of a container image.
    pub config_target: Option<ImagePath>,
    /// The directory in the image that its entries go into.
    pub target: ImagePath,
    /// Patterns of what is left out, in the syntax of gitignore.
    pub exclude: Vec<String>,
    /// Whether owners and set-id bits of the source are kept; else all is root's and the bits are dropped. `None` keeps those of
    /// archives and container images.
    pub keep_owner: Option<bool>,
    /// Whether modification times of the source are kept; else they are the plan's. `None` keeps those of archives and container
    /// images.
    pub keep_times: Option<bool>,
    /// Which extended attributes of the source are kept. `None` keeps all of archives and container images.
    pub xattrs: Option<Vec<XattrPattern>>,
    /// Whether holes of sparse files stay holes; else zeros are stored for them.
    pub keep_holes: bool,
    /// Whether its files replace those of earlier trees at the same path; otherwise these are conflicts.
    pub later_wins: bool,
    /// Whether other file systems that are mounted below the source are left out; `None` takes them in and warns.
    pub one_file_system: Option<bool>,
}

/// The kind of a tree's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeKind {
    /// A folder.
    Folder,
    /// A tar archive, plain or compressed.
    Tar,
    /// A container image: an OCI image layout or an archive of `docker save`.
    Oci,
}

/// A name of extended attributes, or with a final `*` all names that start with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XattrPattern {
    /// The name, or its start.
    pub prefix: String,
    /// Whether a `*` follows.
    pub wildcard: bool,
}

impl XattrPattern {
    /// Whether a full name such as `user.comment` matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        if self.wildcard { name.starts_with(self.prefix.as_bytes()) } else { name == self.prefix.as_bytes() }
    }
}

/// One of `plan.entries`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Kind of entry.
    pub kind: EntryKind,
    /// Permission bits. Default: 0755 for directories, 0644 for other entries, and for a file with a source
    /// that source's bits without set-id.
    pub permissions: Option<Permissions>,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Extended attributes, sorted, each name once.
    pub xattrs: Vec<Xattr>,
    /// Whether holes of a sparse source stay holes; ignored without a source.
    pub keep_holes: bool,
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with these bytes.
    Text(Vec<u8>),
    /// A file with the bytes of a file of this machine (symlinks to it are followed).
    Source(PathBuf),
    /// An empty file with room for this number of \[bytes\], at least 1 and at most [`image_tree::MAX_SLOT`].
    Slot(u64),
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
    /// Owner, if given.
    pub uid: Option<u32>,
    /// Group, if given.
    pub gid: Option<u32>,
    /// Permission bits, if given; ignored for symlinks.
    pub permissions: Option<Permissions>,
    /// Extended attributes to add or replace, sorted, each name once.
    pub xattrs: Vec<Xattr>,
    /// Whether the change applies to all entries below too.
    pub recursive: bool,
}

/// `plan.selinux`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelinuxPlan {
    /// The `file_contexts` of the policy.
    pub file_contexts: PathBuf,
    /// Where the machine mounts the file system, if given. [`PartitionPlan::mount`] is the default, and after it the root.
    pub mount_point: Option<ImagePath>,
}

/// How an fstab names file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FstabTag {
    /// By the UUID, for FAT the serial number.
    Uuid,
    /// By the label.
    Label,
    /// By the partition's GUID, or the number that stands for it in an MBR.
    PartUuid,
}

/// `plan.filesystem.compatibility`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compatibility {
    /// The features `metadata_csum` and `64bit`.
    #[default]
    Current,
    /// Neither of them.
    Legacy,
}

/// `plan.filesystem`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesystemPlan {
    /// Whether the file system is read-only for good. Then the defaults of the fields below are: no free space, no journal, no
    /// growth.
    pub sealed: bool,
    /// Which systems can use the file system.
    pub compatibility: Compatibility,
    /// The hash tree of dm-verity, if it has one. Then it is sealed.
    pub verity: Option<VerityPlan>,
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
    /// Size in \[bytes\] up to which online growth changes no feature; `None` for no reserve.
    pub grow_to: Option<u64>,
    /// Inode density in \[bytes an inode\], 1024 to 64 MiB, kept when the file system grows.
    pub bytes_per_inode: u64,
    /// Length of the journal in \[bytes\]: 0 for none, else at least 4 MiB; `None` as mke2fs would choose.
    pub journal_size: Option<u64>,
    /// Blocks reserved for root in \[thousandths of a percent\], 0 to 50,000; `None` for 5 %, at most half of what
    /// is free.
    pub reserved: Option<u32>,
    /// Time of all files without their own.
    pub timestamp: Timestamp,
    /// The record of an earlier image, whose places are kept as far as possible.
    pub layout_like: Option<PathBuf>,
    /// How much longer the image may be for that than one that is laid out anew, in \[percent\].
    pub layout_slack: u32,
}

/// `plan.filesystem.verity`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerityPlan {
    /// At most 256 bytes; by default derived from the file system's UUID.
    pub salt: Option<Vec<u8>>,
    /// UUID of the tree, in the order of its text form; by default derived from the file system's UUID.
    pub uuid: Option<[u8; 16]>,
}

/// A file system of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VolumeRef {
    /// [`Plan::root`].
    Root,
    /// That of the partition with this index.
    Partition(usize),
}

/// As in a plan: `root`, or the index.
impl std::fmt::Display for VolumeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::Partition(index) => write!(f, "{index}"),
        }
    }
}

/// `plan.output`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputPlan {
    /// The image's file; `-o` takes precedence.
    pub path: Option<PathBuf>,
    /// Format of the image, if given. By default the file name decides (`.qcow2`, `.simg`, `.vhd`, `.vhdx`, `.vdi`, `.vmdk`, `.ova`,
    /// `.tar`); other names mean the plain image.
    pub format: Option<Format>,
    /// Name of the image in [`Format::Tar`], of the disk in [`Format::Ova`], or that a [`Format::VmdkSparse`] has of itself, if
    /// given. By default [`OutputPlan::MEMBER`] or
    /// [`OutputPlan::DISK`].
    pub member: Option<String>,
    /// Description of the virtual machine for [`Format::Ova`].
    pub ovf: Option<String>,
    /// Disk controller for [`Format::Vmdk`], [`Format::VmdkSparse`] and [`Format::Ova`], if given. By default [`Adapter::Lsilogic`].
    pub adapter: Option<Adapter>,
    /// Whether to write a block map for bmaptool next to the image.
    pub bmap: bool,
    /// Whether to check the image and compare it with the plan before it gets its name.
    pub verify: bool,
    /// Compression, if given. By default the file name decides (`.zst`, `.gz` or `.xz`, each at its default level). With
    /// [`Format::Qcow2`] and no such name, it is that of the clusters.
    pub compression: Option<CompressionPlan>,
}

impl OutputPlan {
    /// The usual name of an image in an archive: Google Compute Engine takes no other.
    pub const MEMBER: &str = "disk.raw";

    /// The usual name of a disk in an appliance.
    pub const DISK: &str = "disk.vmdk";

    /// The name of an image in an archive or a VMDK of this format.
    #[must_use]
    pub fn member(&self, format: Format) -> &str {
        let usual =
            if matches!(format, Format::Ova | Format::VmdkSparse) { Self::DISK } else { Self::MEMBER };
        self.member.as_deref().unwrap_or(usual)
    }
}

/// `plan.output.adapter`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adapter {
    /// LSI Logic's SCSI controller.
    #[default]
    Lsilogic,
    /// `BusLogic`'s SCSI controller.
    Buslogic,
    /// IDE. Also for SATA.
    Ide,
    /// `VMware`'s paravirtual SCSI controller.
    Pvscsi,
}

/// `plan.output.format`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The plain image.
    #[default]
    Raw,
    /// QEMU's format, in which zeros take no space.
    Qcow2,
    /// Android's sparse format, for fastboot.
    Simg,
    /// Microsoft's format, in which empty blocks take no space.
    Vhd,
    /// Microsoft's format with all bytes of the image, for Azure.
    VhdFixed,
    /// Microsoft's newer format, in which empty blocks take no space.
    Vhdx,
    /// `VMware`'s format `monolithicSparse`: not compressed; empty blocks take no space.
    VmdkSparse,
    /// `VirtualBox`'s format, in which empty blocks take no space.
    Vdi,
    /// `VMware`'s format, streamOptimized: compressed.
    Vmdk,
    /// An archive with the image.
    Tar,
    /// An archive with a VMDK and the description of its virtual machine.
    Ova,
}

/// `plan.output.compression`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionPlan {
    /// With zstd.
    Zstd {
        /// 1 to 22.
        level: i32,
        /// How the output is divided into frames.
        framing: FramingPlan,
    },
    /// With gzip.
    Gzip {
        /// 1 to 9.
        level: u32,
    },
    /// With xz.
    Xz {
        /// 0 to 9.
        level: u32,
    },
    /// With deflate, in the clusters of [`Format::Qcow2`], [`Format::Vmdk`] or [`Format::Ova`]; a whole file can't be.
    Deflate {
        /// 1 to 9.
        level: u32,
    },
}

impl CompressionPlan {
    /// The name of the format in plans.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd { .. } => "zstd",
            Self::Gzip { .. } => "gzip",
            Self::Xz { .. } => "xz",
            Self::Deflate { .. } => "deflate",
        }
    }
}

/// How an output is divided into frames of zstd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingPlan {
    /// One frame.
    Single,
    /// Several frames and a seek table, so that parts can be read separately.
    Seekable,
    /// Frames that begin and end with store paths, so that later builds can use them again.
    Units {
        /// Whether a seek table follows them.
        seekable: bool,
    },
}

/// `plan.disk`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DiskPlan {
    /// The partition table.
    pub table: TablePlan,
    /// Logical sector size of the disk.
    pub sector: SectorSize,
    /// Length of the disk in \[bytes\], a multiple of the sector. `None`: as long as needed.
    pub size: Option<u64>,
    /// How the length is rounded up, if `size` is `None`.
    pub round_to: RoundTo,
    /// The partitions, in the order of their numbers; exactly one has the root.
    pub partitions: Vec<PartitionPlan>,
    /// Files outside of partitions.
    pub blobs: Vec<BlobPlan>,
}

/// `plan.disk.roundTo`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoundTo {
    /// As the disk's blocks require.
    #[default]
    Blocks,
    /// To a multiple of this number of \[bytes\], a multiple of the sector.
    Multiple(u64),
    /// To a power of two.
    PowerOfTwo,
}

/// `plan.disk.table` and `plan.disk.id`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TablePlan {
    /// A master boot record.
    Mbr {
        /// Without one, it is derived from the root's UUID.
        id: Option<u32>,
    },
    /// A GUID partition table.
    Gpt {
        /// The disk's GUID, bytes in the order of the text form; by default derived from the root's UUID.
        guid: Option<[u8; 16]>,
    },
}

/// One of `plan.disk.partitions`
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PartitionPlan {
    /// Offset in \[bytes\], a multiple of the sector. `None`: the next multiple of `align` after the previous partition.
    pub start: Option<u64>,
    /// Alignment of the start in \[bytes\], a multiple of the sector.
    pub align: u64,
    /// Length in \[bytes\], a multiple of the sector. `None`: that of the content, which then is not empty, unless it fills.
    pub size: Option<u64>,
    /// The weight of a partition that takes what others leave of the disk. Then the disk has a size, and this has none.
    pub fill: Option<u32>,
    /// Partition type, for the kind of table in use.
    pub kind: PartitionType,
    /// The active flag of an MBR, the legacy BIOS bootable attribute of a GPT.
    pub bootable: bool,
    /// Name, at most 36 UTF-16 units; only in a GPT.
    pub name: Option<String>,
    /// GUID, bytes in the order of the text form; only in a GPT; derived by default.
    pub guid: Option<[u8; 16]>,
    /// Where an fstab mounts it, if anywhere. Then it has a file system.
    pub mount: Option<ImagePath>,
    /// The options of the mount or of the swap area in an fstab, without white space.
    pub mount_options: Option<String>,
    /// Content.
    pub content: PartitionContent,
}

/// `plan.disk.partitions[].type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionType {
    /// A number, except 0 and those of extended partitions.
    Mbr(u8),
    /// A GUID, bytes in the order of the text form.
    Gpt([u8; 16]),
}

impl PartitionType {
    /// Whether it is the type of Linux swap partitions.
    #[must_use]
    pub fn is_swap(self) -> bool {
        self.is_named("swap")
    }

    /// Whether it is the type of extended boot loader partitions.
    #[must_use]
    pub fn is_xbootldr(self) -> bool {
        self.is_named("xbootldr")
    }

    /// Whether it is the type of partitions for GRUB's BIOS code.
    #[must_use]
    pub fn is_bios_boot(self) -> bool {
        self.is_named("bios-boot")
    }

    /// Whether a partition of this type is found by the root hash of its file system's hash tree (Discoverable Partitions
    /// Specification).
    #[must_use]
    pub fn is_found_by_root_hash(self) -> bool {
        let Self::Gpt(guid) = self else { return false };
        let known = |prefix: &str| {
            let mut names = partition_types::GPT.iter().map(|named| named.0);
            names.any(|name| {
                let is_signature = name.ends_with("-verity-sig");
                name.starts_with(prefix) && !is_signature && partition_types::gpt(name) == Some(guid)
            })
        };
        known("root-") || known("usr-")
    }

    /// Whether it is the type of EFI system partitions.
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
    /// Only zeros.
    Empty,
    /// [`Plan::root`].
    Root,
    /// Another ext4 file system.
    Ext4(Box<VolumePlan>),
    /// A FAT file system.
    Fat(FatPlan),
    /// A file of this machine.
    Raw(PathBuf),
    /// The hash tree of a file system of the plan that has one.
    Verity(VolumeRef),
    /// A swap area.
    Swap(SwapPlan),
}

/// A swap area of Linux, in a partition of at least 40 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwapPlan {
    /// At most 15 bytes, no NUL.
    pub label: Vec<u8>,
    /// UUID, bytes in the order of the text form; by default derived from the root's UUID.
    pub uuid: Option<[u8; 16]>,
}

/// A FAT file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatPlan {
    /// Folder of this machine to copy.
    pub source: Option<PathBuf>,
    /// Single files and directories, by their path in the file system. Only their kinds count.
    pub entries: BTreeMap<ImagePath, Entry>,
    /// Label in upper case, padded with spaces; `NO NAME` for none.
    pub label: [u8; 11],
    /// Volume serial number; by default derived from the root's UUID.
    pub id: Option<u32>,
    /// Promised free space in \[bytes\].
    pub free_space: u64,
    /// FAT type; by default as mkfs.vfat chooses.
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
    /// Offset on the disk in \[bytes\].
    pub offset: u64,
}
