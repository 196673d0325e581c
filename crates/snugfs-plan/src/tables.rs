//! Every field of a plan: name, shape, limits, default, meaning. The decoder, the schema and help read these tables;
//! `docs/plan-format.md` explains the fields in detail.

use image_tree::Timestamp;

use crate::choices::{Choices, Words};
use crate::plan::{Adapter, Compatibility, Format, FstabTag, TreeKind, Verify};
use crate::shapes::{CountRule, Field, Shape, SizeRule, Table};

/// The version of the format.
pub(crate) const VERSION: u64 = 1;

/// Any size.
const ANY_SIZE: SizeRule = SizeRule { min: 0, max: u64::MAX, step: 1, or_zero: false };
/// The file system's own size: whole blocks.
pub(crate) const FILESYSTEM_SIZE: SizeRule =
    SizeRule { min: 4096, max: u64::MAX, step: 4096, or_zero: false };
/// `mke2fs -i` accepts 1024 (`EXT2_MIN_BLOCK_SIZE`) to 64 MiB (`EXT2_MAX_BLOCK_SIZE * 1024`).
pub(crate) const BYTES_PER_INODE: SizeRule =
    SizeRule { min: 1 << 10, max: 64 << 20, step: 1, or_zero: false };
/// The kernel only mounts journals of at least 1,024 blocks (`JBD2_MIN_JOURNAL_BLOCKS`).
pub(crate) const JOURNAL_SIZE: SizeRule = SizeRule { min: 4 << 20, max: u64::MAX, step: 4096, or_zero: true };
/// Inodes have 32-bit numbers.
const FREE_INODES: CountRule = CountRule { min: 0, max: (1 << 32) - 1 };
/// `Timestamp::MAX_SECONDS`, which is positive.
const TIMESTAMP: CountRule = CountRule { min: 0, max: Timestamp::MAX_SECONDS.unsigned_abs() };
/// Owners and groups; the last 32-bit number means "none" to Linux (`INVALID_UID`).
pub(crate) const OWNER: CountRule = CountRule { min: 0, max: (1 << 32) - 2 };
/// `MINORBITS` is 20, which leaves 12 bits for majors.
pub(crate) const MAJOR: CountRule = CountRule { min: 0, max: (1 << 12) - 1 };
/// See [`MAJOR`].
pub(crate) const MINOR: CountRule = CountRule { min: 0, max: (1 << 20) - 1 };
/// From an image that is never longer to one of eleven times the length.
const LAYOUT_SLACK: CountRule = CountRule { min: 0, max: 1000 };
/// Levels of zstd, except those below 1.
const ZSTD_LEVEL: CountRule = CountRule { min: 1, max: 22 };
/// Levels of gzip; its 0 would not compress.
const GZIP_LEVEL: CountRule = CountRule { min: 1, max: 9 };
/// Levels of xz.
const XZ_LEVEL: CountRule = CountRule { min: 0, max: 9 };

/// Maximum of `reservedPercent`; `mke2fs -m` has the same limit.
pub(crate) const MAX_RESERVED_PERCENT: u32 = 50;
/// `EXT2_LABEL_LEN`, in \[bytes\].
pub(crate) const MAX_LABEL: usize = 16;
/// `PATH_MAX` without its NUL, in \[bytes\].
pub(crate) const MAX_LINK_TARGET: usize = 4095;
/// `NAME_MAX`, in \[bytes\].
pub(crate) const MAX_FILE_NAME: usize = 255;
/// Maximum length of a name in an archive in \[bytes\].
pub(crate) const MAX_MEMBER: usize = 100;

/// The longest path in a plan, in \[bytes\]: `PATH_MAX` without its NUL.
pub(crate) const MAX_PATH: usize = 4095;
/// `XATTR_SIZE_MAX`, in \[bytes\].
pub(crate) const MAX_XATTR_VALUE: usize = 65536;

/// `plan.closure.verify`
pub(crate) static VERIFY: Words<Verify> =
    Choices(&[("none", Verify::None), ("size", Verify::Size), ("hash", Verify::Hash)]);

/// `plan.closure`
pub(crate) static CLOSURE: Table = Table {
    what: "a closure",
    one_of: r#"[
        { "required": ["registration"],
          "properties": { "registration": { "type": "string" }, "graph": { "type": "null" } } },
        { "required": ["graph"],
          "properties": {
              "graph": { "type": ["string", "array"] },
              "registration": { "type": "null" }, "storePaths": { "type": "null" } } }
    ]"#,
    fields: &[
        Field::optional(
            "registration",
            Shape::HostPath,
            "The file registration of nixpkgs' closureInfo, the input of nix-store --load-db. A closure needs either \
             this or graph.",
        )
        .or_null(),
        Field::optional(
            "storePaths",
            Shape::HostPath,
            "A file with one store path per line: the file store-paths of closureInfo. Without it, the closure has \
             every registered path. Only together with registration.",
        )
        .or_null(),
        Field::optional(
            "graph",
            Shape::Graph,
            "The reference graph, instead of registration: a list of objects with path, narHash, narSize and \
             references, a JSON file with such a list, or the key of the structured attributes that has it.",
        )
        .or_null(),
        Field::default(
            "storeDir",
            Shape::ImagePath,
            "\"/nix/store\"",
            "The prefix of all store paths, and their directory in the image.",
        ),
        Field::optional(
            "place",
            Shape::ImagePath,
            "Another directory in the image for the store paths, for file systems that are mounted at storeDir. By \
             default, storeDir.",
        )
        .or_null(),
        Field::default("sourceDir", Shape::HostPath, "\"/nix/store\"", "The store's directory on this machine."),
        Field::default(
            "verify",
            Shape::Word(&VERIFY),
            "\"size\"",
            "What to compare of each store path with its registration: nothing, the NAR size, or also the NAR hash.",
        ),
        Field::default(
            "deduplicate",
            Shape::Flag,
            "false",
            "Whether files of the store with the same contents become hard links, as with nix-store --optimise.",
        ),
        Field::default(
            "registrationTarget",
            Shape::ImagePath,
            "\"/nix-path-registration\"",
            "The file in the image for the registration; null for none.",
        )
        .or_null(),
        Field::default(
            "nixDatabase",
            Shape::Flag,
            "false",
            "Whether the image contains Nix's database of the closure. Then nothing has to load the registration.",
        ),
    ],
};

/// Whether owners and set-id bits are kept.
pub(crate) static OWNERS: Words<bool> = Choices(&[("root", false), ("keep", true)]);
/// Whether times of modification are kept.
pub(crate) static TIMES: Words<bool> = Choices(&[("plan", false), ("keep", true)]);
/// Whether holes are kept.
pub(crate) static KEEP_HOLES: Words<bool> = Choices(&[("keep", true), ("fill", false)]);

/// Whether files of a tree replace those of earlier trees.
pub(crate) static LATER_WINS: Words<bool> = Choices(&[("error", false), ("later-wins", true)]);

/// What the source of a tree is.
pub(crate) static TREE_KINDS: Words<TreeKind> =
    Choices(&[("folder", TreeKind::Folder), ("tar", TreeKind::Tar), ("oci", TreeKind::Oci)]);

/// One of `plan.trees`
pub(crate) static TREE: Table = Table {
    what: "a tree",
    one_of: "",
    fields: &[
        Field::required("source", Shape::HostPath, "\"source\": \"files\"", "A folder, an archive or a container image of this machine."),
        Field::default(
            "kind",
            Shape::Word(&TREE_KINDS),
            "null",
            "folder. tar: an archive, plain or compressed with gzip, zstd or xz. oci: a container image, as an OCI image \
             layout or made by docker save, in a folder or a tar archive. Null: a folder is a folder, a file is a tar \
             archive.",
        )
        .or_null(),
        Field::optional("image", Shape::Text, "The name or the digest of one of several images. Only for oci.").or_null(),
        Field::optional(
            "platform",
            Shape::Text,
            "The platform of one of several images, such as linux/arm64. Only for oci.",
        )
        .or_null(),
        Field::optional(
            "ociConfigTarget",
            Shape::ImagePath,
            "The file in the image for the config of the container image (Env, Entrypoint, User and so on) as JSON. \
             Only for oci.",
        )
        .or_null(),
        Field::default(
            "target",
            Shape::ImagePath,
            "\"/\"",
            "The directory in the image for its contents.",
        ),
        Field::default(
            "owner",
            Shape::Word(&OWNERS),
            "null",
            "root: everything belongs to root, and setuid and setgid bits are dropped. keep: owners and all mode bits \
             are kept. Null: root for folders, keep for archives and images.",
        )
        .or_null(),
        Field::default(
            "times",
            Shape::Word(&TIMES),
            "null",
            "plan: everything has the time filesystem.timestamp. keep: modification times are kept. Null: plan for \
             folders, keep for archives and images.",
        )
        .or_null(),
        Field::default(
            "xattrs",
            Shape::XattrPatterns,
            "null",
            "Names of extended attributes to keep. A name may end in *, such as user.*. Null: none of folders, all of \
             archives and images.",
        )
        .or_null(),
        Field::default(
            "exclude",
            Shape::Patterns,
            "[]",
            "What to leave out of the source: patterns in the syntax of gitignore, relative to the top of the source.",
        ),
        Field::default(
            "overlap",
            Shape::Word(&LATER_WINS),
            "\"error\"",
            "error: a file that an earlier tree has too is an error. later-wins: it replaces the earlier one.",
        ),
        HOLES,
        Field::optional(
            "oneFileSystem",
            Shape::Flag,
            "Whether to skip file systems that are mounted below the folder. Without a value they are copied, with a \
             warning.",
        )
        .or_null(),
    ],
};

const HOLES: Field = Field::default(
    "holes",
    Shape::Word(&KEEP_HOLES),
    "\"keep\"",
    "keep: sparse files stay sparse. fill: their holes are stored as zeros.",
);

const MODE: Field =
    Field::optional("mode", Shape::Mode, "Permission bits, including setuid, setgid and sticky.");
const UID: Field = Field::optional("uid", Shape::Count(OWNER), "The owner.");
const GID: Field = Field::optional("gid", Shape::Count(OWNER), "The group.");
const XATTRS: Field = Field::optional("xattrs", Shape::Xattrs, "Extended attributes to add or replace.");
const ENTRY_UID: Field = Field::default("uid", Shape::Count(OWNER), "0", "The owner.");
const ENTRY_GID: Field = Field::default("gid", Shape::Count(OWNER), "0", "The group.");
const ENTRY_XATTRS: Field = Field::default("xattrs", Shape::Xattrs, "{}", "Extended attributes.");
const DEVICE_MAJOR: Field =
    Field::required("major", Shape::Count(MAJOR), "\"major\": 5", "The major number.");
const DEVICE_MINOR: Field =
    Field::required("minor", Shape::Count(MINOR), "\"minor\": 1", "The minor number.");

/// What an entry may be.
pub(crate) static ENTRY_TYPES: Words<EntryType> = Choices(&[
    ("file", EntryType::File),
    ("directory", EntryType::Directory),
    ("symlink", EntryType::Symlink),
    ("character", EntryType::Character),
    ("block", EntryType::Block),
    ("fifo", EntryType::Fifo),
    ("fstab", EntryType::Fstab),
]);

/// See [`ENTRY_TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryType {
    File,
    Directory,
    Symlink,
    Character,
    Block,
    Fifo,
    Fstab,
}

impl EntryType {
    /// The fields of such an entry.
    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::File => &FILE,
            Self::Directory => &DIRECTORY,
            Self::Symlink => &SYMLINK,
            Self::Character => &CHARACTER,
            Self::Block => &BLOCK,
            Self::Fifo => &FIFO,
            Self::Fstab => &FSTAB,
        }
    }
}

const fn type_of(about: &'static str) -> Field {
    Field::required("type", Shape::Word(&ENTRY_TYPES), "\"type\": \"file\", or another of the types", about)
}

/// What a file has one of.
pub(crate) const FILE_CONTENTS: &str =
    r#"[{ "required": ["text"] }, { "required": ["source"] }, { "required": ["slot"] }]"#;
pub(crate) const FILE_TEXT: Field = Field::optional("text", Shape::Text, "The contents, as UTF-8.");
pub(crate) const FILE_SOURCE: Field =
    Field::optional("source", Shape::HostPath, "A file of this machine with the contents.");
pub(crate) const FILE_SLOT: Field = Field::optional(
    "slot",
    Shape::Size(SLOT_SIZE),
    "Room for contents that `snugfs stamp` writes into the finished image. Until then the file is empty.",
);
const SLOT_SIZE: SizeRule = SizeRule { min: 1, max: image_tree::MAX_SLOT, step: 1, or_zero: false };

static FILE: Table = Table {
    what: "a file",
    one_of: FILE_CONTENTS,
    fields: &[
        type_of("A regular file, with one of text, source and slot."),
        FILE_TEXT,
        FILE_SOURCE,
        FILE_SLOT,
        HOLES,
        MODE,
        ENTRY_UID,
        ENTRY_GID,
        ENTRY_XATTRS,
    ],
};
static DIRECTORY: Table = Table {
    what: "a directory",
    one_of: "",
    fields: &[type_of("A directory."), MODE, ENTRY_UID, ENTRY_GID, ENTRY_XATTRS],
};
static SYMLINK: Table = Table {
    what: "a symlink",
    one_of: "",
    fields: &[
        type_of("A symbolic link."),
        Field::required(
            "target",
            Shape::LinkTarget,
            "\"target\": \"/path\"",
            "The target of the symlink. It need not exist.",
        ),
        MODE,
        ENTRY_UID,
        ENTRY_GID,
        ENTRY_XATTRS,
    ],
};
static CHARACTER: Table = Table {
    what: "a character device",
    one_of: "",
    fields: &[
        type_of("A character device."),
        DEVICE_MAJOR,
        DEVICE_MINOR,
        MODE,
        ENTRY_UID,
        ENTRY_GID,
        ENTRY_XATTRS,
    ],
};
static BLOCK: Table = Table {
    what: "a block device",
    one_of: "",
    fields: &[
        type_of("A block device."),
        DEVICE_MAJOR,
        DEVICE_MINOR,
        MODE,
        ENTRY_UID,
        ENTRY_GID,
        ENTRY_XATTRS,
    ],
};
static FIFO: Table = Table {
    what: "a fifo",
    one_of: "",
    fields: &[type_of("A named pipe."), MODE, ENTRY_UID, ENTRY_GID, ENTRY_XATTRS],
};

/// How an fstab names file systems.
pub(crate) static FSTAB_TAGS: Words<FstabTag> =
    Choices(&[("uuid", FstabTag::Uuid), ("label", FstabTag::Label), ("partuuid", FstabTag::PartUuid)]);

static FSTAB: Table = Table {
    what: "an fstab",
    one_of: "",
    fields: &[
        type_of("A regular file with a line for each partition of the disk that has a mount."),
        Field::default(
            "by",
            Shape::Word(&FSTAB_TAGS),
            "\"uuid\"",
            "How the lines name file systems: by UUID, by label, or by the GUID of the partition.",
        ),
        MODE,
        ENTRY_UID,
        ENTRY_GID,
        ENTRY_XATTRS,
    ],
};

/// One of `plan.attributes`
pub(crate) static ATTRIBUTES: Table = Table {
    what: "a set of attributes",
    one_of: "",
    fields: &[
        MODE,
        UID,
        GID,
        XATTRS,
        Field::default(
            "recursive",
            Shape::Flag,
            "false",
            "Whether this also applies to everything below the path.",
        ),
    ],
};

/// One of `plan.variants`
pub(crate) static VARIANT: Table = Table {
    what: "a variant",
    one_of: "",
    fields: &[
        Field::required(
            "output",
            Shape::FileName,
            "\"output\": \"card-1.img\"",
            "The name of the variant's file, which is written to the folder of the image.",
        ),
        Field::optional(
            "label",
            Shape::Label,
            "The volume label of the root file system, instead of the plan's.",
        )
        .or_null(),
        Field::optional("uuid", Shape::Uuid, "The UUID of the root file system, instead of the plan's.")
            .or_null(),
        Field::default(
            "entries",
            Shape::Entries,
            "{}",
            "Entries of the root file system that are added to those of the plan. Those with the same path are replaced.",
        ),
    ],
};

/// `plan.filesystem.verity.hash`
pub(crate) static VERITY_HASHES: Words<()> = Choices(&[("sha256", ())]);

/// `plan.filesystem.verity`
pub(crate) static VERITY: Table = Table {
    what: "a hash tree",
    one_of: "",
    fields: &[
        Field::default("hash", Shape::Word(&VERITY_HASHES), "\"sha256\"", "The hash function."),
        Field::optional(
            "salt",
            Shape::Salt,
            "Bytes that are hashed before each block, at most 256; \"\" for none. By default, 32 bytes that are derived \
             from the file system's UUID.",
        )
        .or_null(),
        Field::optional("uuid", Shape::Uuid, "The tree's UUID. By default, it is derived from the file system's UUID.")
            .or_null(),
    ],
};

/// `plan.selinux`
pub(crate) static SELINUX: Table = Table {
    what: "the labels of SELinux",
    one_of: "",
    fields: &[
        Field::required(
            "fileContexts",
            Shape::HostPath,
            "\"fileContexts\": \"policy/file_contexts\"",
            "The file_contexts of the policy. Files with the same name and .homedirs, .local, .subs or .subs_dist at its end \
             are read too.",
        ),
        Field::optional(
            "mountPoint",
            Shape::ImagePath,
            "Where the machine mounts the file system: the start of the paths that are looked up. By default, the mount of \
             its partition, or / without one.",
        )
        .or_null(),
    ],
};

/// `plan.filesystem.compatibility`
pub(crate) static COMPATIBILITIES: Words<Compatibility> =
    Choices(&[("current", Compatibility::Current), ("legacy", Compatibility::Legacy)]);

/// `plan.filesystem`
pub(crate) static FILESYSTEM: Table = Table {
    what: "a file system",
    one_of: "",
    fields: &[
        Field::default(
            "seal",
            Shape::Flag,
            "false",
            "Whether the file system is read-only for good. It is then as small as possible, and Linux will only mount \
             it read-only.",
        ),
        Field::default(
            "compatibility",
            Shape::Word(&COMPATIBILITIES),
            "\"current\"",
            "\"legacy\" omits the features metadata_csum and 64bit, for systems that do not know them: old boot loaders, \
             kernels and e2fsprogs.",
        ),
        Field::default(
            "verity",
            Shape::Verity,
            "false",
            "Whether the file system has a hash tree of dm-verity, so that the kernel checks every block that it reads. \
             Needs seal.",
        ),
        Field::default("label", Shape::Label, "\"\"", "The volume label."),
        Field::default("uuid", Shape::Uuid, "\"44444444-4444-4444-8888-888888888888\"", "The file system's UUID."),
        Field::default(
            "freeSpace",
            Shape::Size(ANY_SIZE),
            "\"32MiB\"",
            "Free space of the finished image. Linux reserves 2 % of the file system, at most 16 MiB, for itself.",
        )
        .if_sealed("0"),
        Field::default("freeInodes", Shape::Count(FREE_INODES), "1024", "Minimum of free inodes; bytesPerInode may ask for more.")
            .if_sealed("0"),
        Field::default(
            "size",
            Shape::Size(FILESYSTEM_SIZE),
            "null",
            "The exact size of the file system; null for the smallest size for the contents and the free space.",
        )
        .or_null(),
        Field::default(
            "growTo",
            Shape::Size(ANY_SIZE),
            "\"1TiB\"",
            "The size up to which the file system can grow while it is mounted, with the same features; null for no \
             reserve for growth.",
        )
        .or_null()
        .if_sealed("null"),
        Field::default(
            "bytesPerInode",
            Shape::Size(BYTES_PER_INODE),
            "16384",
            "One inode per this many bytes, which the file system keeps when it grows.",
        )
        .if_sealed("\"64MiB\""),
        Field::default(
            "journalSize",
            Shape::Size(JOURNAL_SIZE),
            "null",
            "The size of the journal; 0 for no journal, null for the size that mke2fs would choose.",
        )
        .or_null()
        .if_sealed("0"),
        Field::default(
            "reservedPercent",
            Shape::Percent,
            "null",
            "Blocks reserved for root, in percent; null for 5 %, but at most half of the free space.",
        )
        .or_null()
        .if_sealed("0"),
        Field::default(
            "timestamp",
            Shape::Count(TIMESTAMP),
            "1",
            "The time of the superblock and of all inodes without another time, in seconds since 1970.",
        ),
        Field::optional(
            "layoutLike",
            Shape::HostPath,
            "The record of an earlier image (build --layout-out). Inode numbers and blocks stay as they were there, as \
             far as possible.",
        )
        .or_null(),
        Field::default(
            "layoutSlackPercent",
            Shape::Count(LAYOUT_SLACK),
            "5",
            "With layoutLike: how much longer the image may be than one that is laid out anew, in percent.",
        ),
    ],
};

/// `plan.output.format`
pub(crate) static FORMATS: Words<Format> = Choices(&[
    ("raw", Format::Raw),
    ("qcow2", Format::Qcow2),
    ("simg", Format::Simg),
    ("vhd", Format::Vhd),
    ("vhd-fixed", Format::VhdFixed),
    ("vhdx", Format::Vhdx),
    ("vdi", Format::Vdi),
    ("vmdk", Format::Vmdk),
    ("vmdk-sparse", Format::VmdkSparse),
    ("ova", Format::Ova),
    ("tar", Format::Tar),
]);

/// `plan.output.adapter`
pub(crate) static ADAPTERS: Words<Adapter> = Choices(&[
    ("lsilogic", Adapter::Lsilogic),
    ("buslogic", Adapter::Buslogic),
    ("ide", Adapter::Ide),
    ("pvscsi", Adapter::Pvscsi),
]);

/// `plan.output`
pub(crate) static OUTPUT: Table = Table {
    what: "an output",
    one_of: "",
    fields: &[
        Field::optional("path", Shape::HostPath, "The image's file; -o on the command line takes precedence.")
            .or_null(),
        Field::default(
            "format",
            Shape::Word(&FORMATS),
            "null",
            "raw is the image itself, qcow2 is QEMU's format, simg is Android's sparse format for fastboot, vhd is \
             Microsoft's, vhd-fixed the same with all bytes (for Azure), vhdx is Microsoft's newer one, vdi is VirtualBox's, vmdk is VMware's (compressed), vmdk-sparse the same without compression, \
             ova is an archive with a VMDK and the description of its virtual machine, tar is an archive with the image (for \
             Google Compute Engine). Null: by the file's name, .qcow2, .simg, .vhd, .vhdx, .vdi, .vmdk, .ova or .tar, otherwise raw.",
        )
        .or_null(),
        Field::default(
            "member",
            Shape::Member,
            "null",
            "Only for the formats tar and ova: the image's name in the archive. Null: disk.raw, and disk.vmdk for ova.",
        )
        .or_null(),
        Field::optional(
            "ovf",
            Shape::Text,
            "Only for the format ova, which needs it: the description of the virtual machine, in XML. It must name the disk \
             (disk.vmdk); ${capacity} in it is replaced by the disk's length in bytes.",
        )
        .or_null(),
        Field::default(
            "adapter",
            Shape::Word(&ADAPTERS),
            "null",
            "Only for the formats vmdk and ova: the disk controller that the VMDK names. Null: lsilogic.",
        )
        .or_null(),
        Field::default(
            "bmap",
            Shape::Flag,
            "false",
            "Whether to write NAME.bmap next to the image: a map for bmaptool of all blocks except unused space.",
        ),
        Field::default(
            "verify",
            Shape::Flag,
            "false",
            "Whether to read the finished image again, check it and compare it with the plan before it gets its name.",
        ),
        Field::default(
            "compression",
            Shape::Compression,
            "null",
            "How the image is compressed. With the format qcow2, the clusters are compressed, unless the file's name ends in \
             .zst, .gz or .xz. Null: by the file's name, with zstd for .zst, gzip for .gz, xz for .xz, otherwise not.",
        )
        .or_null(),
    ],
};

/// The formats of compression.
pub(crate) static COMPRESSIONS: Words<CompressionKind> = Choices(&[
    ("zstd", CompressionKind::Zstd),
    ("gzip", CompressionKind::Gzip),
    ("xz", CompressionKind::Xz),
    ("deflate", CompressionKind::Deflate),
]);

/// See [`COMPRESSIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompressionKind {
    Zstd,
    Gzip,
    Xz,
    Deflate,
}

impl CompressionKind {
    /// The fields of such a compression.
    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::Zstd => &ZSTD,
            Self::Gzip => &GZIP,
            Self::Xz => &XZ,
            Self::Deflate => &DEFLATE,
        }
    }
}

const fn format_of(about: &'static str) -> Field {
    Field::required(
        "format",
        Shape::Word(&COMPRESSIONS),
        "\"format\": \"zstd\", or another of the formats",
        about,
    )
}

static ZSTD: Table = Table {
    what: "zstd",
    one_of: "",
    fields: &[
        format_of("Fast, and small."),
        Field::default("level", Shape::Count(ZSTD_LEVEL), "3", "The compression level of zstd."),
        Field::default(
            "frames",
            Shape::Flag,
            "false",
            "Whether to compress each store path by itself, so that a later build with --cache or --layer uses it again.",
        ),
        Field::default(
            "seekable",
            Shape::Flag,
            "false",
            "Whether to write frames and a table of them, so that tools can read parts of the image.",
        ),
    ],
};
static GZIP: Table = Table {
    what: "gzip",
    one_of: "",
    fields: &[
        format_of("For tools and boards that read nothing else."),
        Field::default("level", Shape::Count(GZIP_LEVEL), "6", "The compression level of gzip."),
    ],
};
static XZ: Table = Table {
    what: "xz",
    one_of: "",
    fields: &[
        format_of("Small, but slow to write and to read."),
        Field::default("level", Shape::Count(XZ_LEVEL), "6", "The compression level of xz."),
    ],
};
static DEFLATE: Table = Table {
    what: "deflate",
    one_of: "",
    fields: &[
        format_of("Only for the clusters of qcow2, vmdk and ova."),
        Field::default("level", Shape::Count(GZIP_LEVEL), "6", "The compression level of deflate."),
    ],
};
