//! Every field of a plan: name, shape, limits, default, meaning. The decoder and the schema both read these tables;
//! `docs/plan-format.md` tells the same at length.

use image_tree::Timestamp;

use crate::choices::{Choices, Words};
use crate::plan::{Format, Verify};
use crate::shapes::{CountRule, Field, Shape, SizeRule, Table};

/// The format's number.
pub(crate) const VERSION: u64 = 1;

/// A size without a limit of its own.
const ANY_SIZE: SizeRule = SizeRule { min: 0, max: u64::MAX, step: 1, or_zero: false };
/// The file system's own size: whole blocks.
pub(crate) const FILESYSTEM_SIZE: SizeRule =
    SizeRule { min: 4096, max: u64::MAX, step: 4096, or_zero: false };
/// mke2fs knows 1024 (`EXT2_MIN_BLOCK_SIZE`) to 64 MiB (`EXT2_MAX_BLOCK_SIZE * 1024`) for `-i`.
pub(crate) const BYTES_PER_INODE: SizeRule =
    SizeRule { min: 1 << 10, max: 64 << 20, step: 1, or_zero: false };
/// 1,024 blocks are the least that the kernel mounts (`JBD2_MIN_JOURNAL_BLOCKS`).
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
/// Levels of zstd without those below 1.
const ZSTD_LEVEL: CountRule = CountRule { min: 1, max: 22 };

/// The most that stays reserved for root, in \[percent\]; `mke2fs -m` has the same limit.
pub(crate) const MAX_RESERVED_PERCENT: u32 = 50;
/// `EXT2_LABEL_LEN`, in \[bytes\].
pub(crate) const MAX_LABEL: usize = 16;
/// `PATH_MAX` without its NUL, in \[bytes\].
pub(crate) const MAX_LINK_TARGET: usize = 4095;

/// The longest path of a plan in \[bytes\]: Linux takes no longer one in a call.
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
            "The file for nix-store --load-db, as closureInfo writes it; either this or graph.",
        )
        .or_null(),
        Field::optional(
            "storePaths",
            Shape::HostPath,
            "A file with a store path a line; without it, all that is registered. Only beside registration.",
        )
        .or_null(),
        Field::optional(
            "graph",
            Shape::Graph,
            "The reference graph: a list of objects with path, narHash, narSize and references, a file with such a \
             list, or the key of the structured attributes that has it. Instead of registration.",
        )
        .or_null(),
        Field::default("storeDir", Shape::ImagePath, "\"/nix/store\"", "Where the image has the store."),
        Field::default("sourceDir", Shape::HostPath, "\"/nix/store\"", "Where this machine has the store."),
        Field::default(
            "verify",
            Shape::Word(&VERIFY),
            "\"size\"",
            "What of each store path must be as it is registered: nothing, its NAR size, or its NAR hash too.",
        ),
        Field::default(
            "deduplicate",
            Shape::Flag,
            "false",
            "Whether files of the store with the same contents become hard links, as nix-store --optimise makes them.",
        ),
        Field::default(
            "registrationTarget",
            Shape::ImagePath,
            "\"/nix-path-registration\"",
            "Where in the image the registration is written; null for nowhere.",
        )
        .or_null(),
        Field::default(
            "nixDatabase",
            Shape::Flag,
            "false",
            "Whether the image has Nix's database of the closure, so that nothing need load the registration.",
        ),
    ],
};

/// Whether owners and set-id bits are kept.
pub(crate) static OWNERS: Words<bool> = Choices(&[("root", false), ("keep", true)]);
/// Whether times of modification are kept.
pub(crate) static TIMES: Words<bool> = Choices(&[("plan", false), ("keep", true)]);
/// Whether holes are kept.
pub(crate) static KEEP_HOLES: Words<bool> = Choices(&[("keep", true), ("fill", false)]);

/// One of `plan.trees`
pub(crate) static TREE: Table = Table {
    what: "a tree",
    one_of: "",
    fields: &[
        Field::required("source", Shape::HostPath, "\"source\": \"files\"", "A folder of this machine."),
        Field::default(
            "target",
            Shape::ImagePath,
            "\"/\"",
            "The directory of the image that its contents go into.",
        ),
        Field::default(
            "owner",
            Shape::Word(&OWNERS),
            "\"root\"",
            "Whether all is root's and loses setuid and setgid bits, or owners and all mode bits are kept.",
        ),
        Field::default(
            "times",
            Shape::Word(&TIMES),
            "\"plan\"",
            "Whether all has the plan's time, or its own time of modification.",
        ),
        Field::default(
            "xattrs",
            Shape::XattrPatterns,
            "[]",
            "Names of extended attributes that are kept; a * at the end stands for any rest.",
        ),
        HOLES,
        Field::optional(
            "oneFileSystem",
            Shape::Flag,
            "Whether what is mounted below the folder is left out. Without a value it is taken in, with a warning.",
        )
        .or_null(),
    ],
};

const HOLES: Field = Field::default(
    "holes",
    Shape::Word(&KEEP_HOLES),
    "\"keep\"",
    "Whether holes of sparse files stay holes, or zeros are stored for them.",
);

const MODE: Field =
    Field::optional("mode", Shape::Mode, "Permission bits, setuid, setgid and sticky included.");
const UID: Field = Field::optional("uid", Shape::Count(OWNER), "The owner.");
const GID: Field = Field::optional("gid", Shape::Count(OWNER), "The group.");
const XATTRS: Field = Field::optional("xattrs", Shape::Xattrs, "Extended attributes.");
const ENTRY_UID: Field = Field::default("uid", Shape::Count(OWNER), "0", "The owner.");
const ENTRY_GID: Field = Field::default("gid", Shape::Count(OWNER), "0", "The group.");
const ENTRY_XATTRS: Field = Field::default("xattrs", Shape::Xattrs, "{}", "Extended attributes.");
const DEVICE_MAJOR: Field =
    Field::required("major", Shape::Count(MAJOR), "\"major\": 5", "The driver's number.");
const DEVICE_MINOR: Field =
    Field::required("minor", Shape::Count(MINOR), "\"minor\": 1", "The device's number.");

/// What an entry may be.
pub(crate) static ENTRY_TYPES: Words<EntryType> = Choices(&[
    ("file", EntryType::File),
    ("directory", EntryType::Directory),
    ("symlink", EntryType::Symlink),
    ("character", EntryType::Character),
    ("block", EntryType::Block),
    ("fifo", EntryType::Fifo),
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
        }
    }
}

const fn type_of(about: &'static str) -> Field {
    Field::required("type", Shape::Word(&ENTRY_TYPES), "\"type\": \"file\", or another of the types", about)
}

static FILE: Table = Table {
    what: "a file",
    one_of: r#"[{ "required": ["text"] }, { "required": ["source"] }]"#,
    fields: &[
        type_of("A regular file, from either text or source."),
        Field::optional("text", Shape::Text, "What the file holds, as UTF-8."),
        Field::optional("source", Shape::HostPath, "A file of this machine that has the contents."),
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
        Field::required("target", Shape::LinkTarget, "\"target\": \"/path\"", "Where the symlink leads."),
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
            "Whether all that lies below the path is meant too.",
        ),
    ],
};

/// `plan.filesystem`
pub(crate) static FILESYSTEM: Table = Table {
    what: "a file system",
    one_of: "",
    fields: &[
        Field::default(
            "seal",
            Shape::Flag,
            "false",
            "Whether nobody shall ever write into it: as small as can be, and Linux mounts it read-only alone.",
        ),
        Field::default("label", Shape::Label, "\"\"", "The volume's name, at most 16 bytes."),
        Field::default("uuid", Shape::Uuid, "\"44444444-4444-4444-8888-888888888888\"", "The file system's UUID."),
        Field::default(
            "freeSpace",
            Shape::Size(ANY_SIZE),
            "\"32MiB\"",
            "Space that the image has left at least. Of it Linux keeps 2 % of the image, at most 16 MiB, to itself.",
        )
        .if_sealed("0"),
        Field::default("freeInodes", Shape::Count(FREE_INODES), "1024", "Inodes that the image has left at least.")
            .if_sealed("0"),
        Field::default(
            "size",
            Shape::Size(FILESYSTEM_SIZE),
            "null",
            "The exact size of the file system; null for the smallest that holds the contents.",
        )
        .or_null(),
        Field::default(
            "growTo",
            Shape::Size(ANY_SIZE),
            "\"1TiB\"",
            "Up to this size the file system grows online without a change of its features; null for no reserve.",
        )
        .or_null()
        .if_sealed("null"),
        Field::default(
            "bytesPerInode",
            Shape::Size(BYTES_PER_INODE),
            "16384",
            "The inode density that the file system keeps when it is grown.",
        )
        .if_sealed("\"64MiB\""),
        Field::default(
            "journalSize",
            Shape::Size(JOURNAL_SIZE),
            "null",
            "The journal's length; 0 for no journal, null for what mke2fs would choose.",
        )
        .or_null()
        .if_sealed("0"),
        Field::default(
            "reservedPercent",
            Shape::Percent,
            "null",
            "Blocks kept for root; null for 5, but never more than half of the free space.",
        )
        .or_null()
        .if_sealed("0"),
        Field::default(
            "timestamp",
            Shape::Count(TIMESTAMP),
            "1",
            "The time of every inode and of the superblock, in seconds since 1970.",
        ),
    ],
};

/// `plan.output.format`
pub(crate) static FORMATS: Words<Format> =
    Choices(&[("raw", Format::Raw), ("qcow2", Format::Qcow2), ("simg", Format::Simg)]);

/// `plan.output`
pub(crate) static OUTPUT: Table = Table {
    what: "an output",
    one_of: "",
    fields: &[
        Field::optional("path", Shape::HostPath, "The image's file; -o on the command line goes before it.")
            .or_null(),
        Field::default(
            "format",
            Shape::Word(&FORMATS),
            "null",
            "The bytes of the image, or a container: for QEMU, or Android's sparse format for fastboot; null leaves it to \
             the file's name, where .qcow2 and .simg ask for these.",
        )
        .or_null(),
        Field::default(
            "bmap",
            Shape::Flag,
            "false",
            "Whether NAME.bmap is written beside the image: a map for bmaptool of all blocks except unused space.",
        ),
        Field::default(
            "verify",
            Shape::Flag,
            "false",
            "Whether what was written is read again, judged and compared with the plan before it gets its name.",
        ),
        Field::default(
            "compression",
            Shape::Object(&COMPRESSION),
            "null",
            "How the image is compressed; null leaves it to the file's name, where .zst asks for zstd.",
        )
        .or_null(),
    ],
};

/// `plan.output.compression.format`: there is only one.
pub(crate) static COMPRESSIONS: Words<()> = Choices(&[("zstd", ())]);

/// `plan.output.compression`
pub(crate) static COMPRESSION: Table = Table {
    what: "a compression",
    one_of: "",
    fields: &[
        Field::required(
            "format",
            Shape::Word(&COMPRESSIONS),
            "\"format\": \"zstd\"",
            "The format of compression.",
        ),
        Field::default("level", Shape::Count(ZSTD_LEVEL), "3", "The level of zstd."),
        Field::default(
            "seekable",
            Shape::Flag,
            "false",
            "Whether a table of frames is added, so that tools can read a part of the image by itself.",
        ),
    ],
};
