//! The fields of `plan.disk`. The other fields are in [`crate::tables`].

use image_tree::SectorSize;

use crate::choices::{Choices, Numbers, Words};
use crate::plan::FatBits;
use crate::shapes::{CountRule, Field, Shape, SizeRule, Table};
use crate::tables::{
    ATTRIBUTES, CLOSURE, FILE_CONTENTS, FILE_SLOT, FILE_SOURCE, FILE_TEXT, FILESYSTEM, SELINUX, TREE,
};

/// Whole sectors of 512 bytes. `disk-layout` checks that a disk with longer sectors has multiples of those.
const SECTORS: SizeRule = SizeRule { min: 0, max: u64::MAX, step: 512, or_zero: false };
/// At least one sector.
pub(crate) const SOME_SECTORS: SizeRule = SizeRule { min: 512, max: u64::MAX, step: 512, or_zero: false };
const ANY_OFFSET: SizeRule = SizeRule { min: 0, max: u64::MAX, step: 1, or_zero: false };
const ANY_SIZE: SizeRule = ANY_OFFSET;
/// As systemd-repart's `Weight=`, without 0.
const WEIGHT: CountRule = CountRule { min: 1, max: 1_000_000 };

/// The `size` of a partition that takes what others leave.
pub(crate) const FILL: &str = "fill";
/// `plan.disk.roundTo` for lengths that are powers of two.
pub(crate) const POWER_OF_TWO: &str = "powerOfTwo";

/// Entries of an MBR. snugfs makes no extended partitions.
pub(crate) const MOST_MBR: usize = 4;
/// Entries of a GPT of the usual size (UEFI specification, 5.3.1: at least 16,384 bytes, 128 bytes per entry).
pub(crate) const MOST_GPT: usize = 128;
/// A GPT entry has 72 bytes for its name (UEFI specification, table 5.6), in \[UTF-16 units\].
pub(crate) const MAX_PARTITION_NAME: usize = 36;
/// A FAT directory entry has 11 bytes for a name.
pub(crate) const MAX_FAT_LABEL: usize = 11;
/// The header of a swap area has 16 bytes for a label, and the last one is a NUL (mkswap of util-linux).
pub(crate) const MAX_SWAP_LABEL: usize = 15;
/// The shortest swap area in \[bytes\]: ten pages (mkswap of util-linux).
pub(crate) const MIN_SWAP: u64 = 10 * 4096;

/// `plan.disk.table`
pub(crate) static TABLE_KINDS: Words<TableKind> =
    Choices(&[("mbr", TableKind::Mbr), ("gpt", TableKind::Gpt)]);

/// The kind of partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableKind {
    Mbr,
    Gpt,
}

/// `plan.disk.sectorSize`
pub(crate) static SECTOR_SIZES: Numbers<SectorSize> =
    Choices(&[(512, SectorSize::Bytes512), (4096, SectorSize::Bytes4096)]);

/// `plan.disk`
pub(crate) static DISK: Table = Table {
    what: "a disk",
    one_of: "",
    fields: &[
        Field::required("table", Shape::Word(&TABLE_KINDS), "\"table\": \"mbr\", or gpt", "The partition table."),
        Field::optional(
            "id",
            Shape::DiskId,
            "The disk's identifier: a 32-bit number for mbr, a GUID for gpt. By default, it is derived from the root's \
             UUID.",
        )
        .or_null(),
        Field::default(
            "sectorSize",
            Shape::Number(&SECTOR_SIZES),
            "512",
            "The logical sector size of the target disk, in bytes. Most disks have 512; 4Kn disks and UFS have 4096.",
        ),
        Field::optional(
            "size",
            Shape::Size(SOME_SECTORS),
            "The length of the whole disk. By default, as long as its parts need.",
        )
        .or_null(),
        Field::optional(
            "roundTo",
            Shape::SizeOr(SOME_SECTORS, POWER_OF_TWO),
            "Rounds up the length of a disk without a size: to a multiple of this size, or to a power of two as \
             emulators of SD cards require. By default, to 4096 bytes.",
        )
        .or_null(),
        Field::required(
            "partitions",
            Shape::List(&PARTITION),
            "\"partitions\": [ { \"type\": \"83\", \"content\": { \"kind\": \"root\" } } ]",
            "The partitions, in the order of their numbers. Exactly one has the root.",
        ),
        Field::default("blobs", Shape::List(&BLOB), "[]", "Bytes outside of partitions, such as boot loaders."),
    ],
};

/// One of `plan.disk.partitions`
pub(crate) static PARTITION: Table = Table {
    what: "a partition",
    one_of: "",
    fields: &[
        Field::required(
            "type",
            Shape::PartitionType,
            "\"type\": \"83\" for mbr, \"type\": \"linux\" for gpt",
            "The type of the partition. For mbr, a hexadecimal number such as 83. For gpt, a GUID, or a name of the \
             Discoverable Partitions Specification such as esp or root-arm64.",
        ),
        Field::optional(
            "start",
            Shape::Size(SECTORS),
            "The start of the partition on the disk. By default, the next multiple of align after the part before it.",
        )
        .or_null(),
        Field::default(
            "align",
            Shape::Size(SOME_SECTORS),
            "\"1MiB\"",
            "The alignment of its start, such as the erase block of a card.",
        ),
        Field::optional(
            "size",
            Shape::SizeOr(SOME_SECTORS, FILL),
            "Its length. By default, the length of its content. fill: what the other parts leave of disk.size.",
        )
        .or_null(),
        Field::optional(
            "weight",
            Shape::Count(WEIGHT),
            "The share of this partition, if several have the size fill. By default, 1.",
        )
        .or_null(),
        Field::default(
            "bootable",
            Shape::Flag,
            "false",
            "Whether the partition is marked as bootable, which some firmware looks for.",
        ),
        Field::optional("name", Shape::PartitionName, "Its name. Only with gpt.").or_null(),
        Field::optional(
            "guid",
            Shape::Uuid,
            "Its own GUID. Only with gpt. By default, it is derived from the root's UUID.",
        )
        .or_null(),
        Field::optional(
            "mount",
            Shape::ImagePath,
            "Where an entry of type fstab mounts its file system. By default, / for the root, and nowhere for others.",
        )
        .or_null(),
        Field::optional(
            "mountOptions",
            Shape::Text,
            "The options of that mount, or of a swap area, separated by commas. By default, ro for a sealed file system, \
             else defaults.",
        )
        .or_null(),
        Field::optional("content", Shape::Content, "The contents. By default, zeros.").or_null(),
    ],
};

/// One of `plan.disk.blobs`
pub(crate) static BLOB: Table = Table {
    what: "a blob",
    one_of: "",
    fields: &[
        Field::required("source", Shape::HostPath, "\"source\": \"u-boot.bin\"", "A file of this machine."),
        Field::required(
            "offset",
            Shape::Size(ANY_OFFSET),
            "\"offset\": \"8KiB\"",
            "The place of its first byte on the disk.",
        ),
    ],
};

/// The kinds of content of a partition.
pub(crate) static CONTENT_KINDS: Words<ContentKind> = Choices(&[
    ("root", ContentKind::Root),
    ("ext4", ContentKind::Ext4),
    ("fat", ContentKind::Fat),
    ("raw", ContentKind::Raw),
    ("verity", ContentKind::Verity),
    ("swap", ContentKind::Swap),
]);

/// See [`CONTENT_KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentKind {
    Root,
    Ext4,
    Fat,
    Raw,
    Verity,
    Swap,
}

impl ContentKind {
    /// The fields of such content.
    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::Root => &ROOT,
            Self::Ext4 => &EXT4,
            Self::Fat => &FAT,
            Self::Raw => &RAW,
            Self::Verity => &VERITY_CONTENT,
            Self::Swap => &SWAP,
        }
    }
}

/// What an entry of a FAT file system may be.
pub(crate) static FAT_ENTRY_TYPES: Words<FatEntryType> =
    Choices(&[("file", FatEntryType::File), ("directory", FatEntryType::Directory)]);

/// See [`FAT_ENTRY_TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FatEntryType {
    File,
    Directory,
}

impl FatEntryType {
    /// The fields of such an entry.
    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::File => &FAT_FILE,
            Self::Directory => &FAT_DIRECTORY,
        }
    }
}

const fn fat_entry(about: &'static str) -> Field {
    Field::required("type", Shape::Word(&FAT_ENTRY_TYPES), "\"type\": \"file\", or directory", about)
}

static FAT_FILE: Table = Table {
    what: "a file",
    one_of: FILE_CONTENTS,
    fields: &[fat_entry("A file, with one of text, source and slot."), FILE_TEXT, FILE_SOURCE, FILE_SLOT],
};
static FAT_DIRECTORY: Table = Table { what: "a directory", one_of: "", fields: &[fat_entry("A directory.")] };

/// The `bits` of a FAT file system.
pub(crate) static FAT_BITS: Numbers<FatBits> = Choices(&[(16, FatBits::Fat16), (32, FatBits::Fat32)]);

const fn kind_of(about: &'static str) -> Field {
    Field::required("kind", Shape::Word(&CONTENT_KINDS), "\"kind\": \"root\", or another of the kinds", about)
}

static ROOT: Table = Table {
    what: "the root",
    one_of: "",
    fields: &[kind_of("The file system that the rest of the plan describes.")],
};
static EXT4: Table = Table {
    what: "an ext4 file system",
    one_of: "",
    fields: &[
        kind_of("Another ext4 file system, with the same fields as the plan."),
        Field::optional("closure", Shape::Object(&CLOSURE), "Store paths to copy into the file system.")
            .or_null(),
        Field::default(
            "trees",
            Shape::List(&TREE),
            "[]",
            "Folders, archives and container images to copy into the file system.",
        ),
        Field::default("entries", Shape::Entries, "{}", "Single files, by their path in the file system."),
        Field::default(
            "attributes",
            Shape::ByPath(&ATTRIBUTES),
            "{}",
            "Changes of owners, modes and extended attributes, by path or by pattern.",
        ),
        Field::optional("selinux", Shape::Object(&SELINUX), "Labels for SELinux, by the rules of a policy.")
            .or_null(),
        Field::default("filesystem", Shape::Object(&FILESYSTEM), "{}", "Options of the file system."),
    ],
};
static FAT: Table = Table {
    what: "a FAT file system",
    one_of: "",
    fields: &[
        kind_of("A FAT file system, for firmware."),
        Field::optional("source", Shape::HostPath, "A folder of this machine to copy.").or_null(),
        Field::default(
            "entries",
            Shape::FatEntries,
            "{}",
            "Single files and directories, by their path in the file system.",
        ),
        Field::optional("label", Shape::FatLabel, "The volume label, at most 11 characters.").or_null(),
        Field::optional(
            "id",
            Shape::DiskId,
            "The volume's 32-bit serial number. By default, it is derived from the root's UUID.",
        )
        .or_null(),
        Field::default(
            "freeSpace",
            Shape::Size(ANY_SIZE),
            "0",
            "Free space of the file system. Without a size, the partition is as small as its contents and this space \
             allow.",
        ),
        Field::optional(
            "bits",
            Shape::Number(&FAT_BITS),
            "FAT16 or FAT32. By default, as mkfs.vfat would choose.",
        )
        .or_null(),
    ],
};
static VERITY_CONTENT: Table = Table {
    what: "a hash tree",
    one_of: "",
    fields: &[
        kind_of("The dm-verity hash tree of a file system with verity."),
        Field::required(
            "of",
            Shape::VolumeRef,
            "\"of\": \"root\"",
            "The file system: root, or the index of its partition in the list, from 0.",
        ),
    ],
};
static RAW: Table = Table {
    what: "raw content",
    one_of: "",
    fields: &[
        kind_of("The bytes of a file, such as a finished file system."),
        Field::required("source", Shape::HostPath, "\"source\": \"recovery.img\"", "A file of this machine."),
    ],
};
static SWAP: Table = Table {
    what: "a swap area",
    one_of: "",
    fields: &[
        kind_of("A swap area of Linux, as mkswap makes it."),
        Field::default("label", Shape::SwapLabel, "\"\"", "Its label, at most 15 bytes."),
        Field::optional("uuid", Shape::Uuid, "Its UUID. By default, it is derived from the root's UUID.")
            .or_null(),
    ],
};
