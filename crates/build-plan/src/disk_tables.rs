//! The fields of `plan.disk`, as [`crate::tables`] has those of the rest.

use image_tree::SectorSize;

use crate::choices::{Choices, Numbers, Words};
use crate::plan::FatBits;
use crate::shapes::{Field, Shape, SizeRule, Table};
use crate::tables::{ATTRIBUTES, CLOSURE, FILESYSTEM, TREE};

/// Partition tables count in sectors; that a disk of longer ones has multiples of these is looked at with the disk.
const SECTORS: SizeRule = SizeRule { min: 0, max: u64::MAX, step: 512, or_zero: false };
/// The same, where nothing would be no partition.
const SOME_SECTORS: SizeRule = SizeRule { min: 512, max: u64::MAX, step: 512, or_zero: false };
const ANY_OFFSET: SizeRule = SizeRule { min: 0, max: u64::MAX, step: 1, or_zero: false };

/// Entries of an MBR; extended partitions are not made.
pub(crate) const MOST_MBR: usize = 4;
/// Entries of the GPT that every tool makes (UEFI specification, 5.3.1: at least 16,384 bytes of 128 each).
pub(crate) const MOST_GPT: usize = 128;
/// A GPT entry has 72 bytes for its name (UEFI specification, table 5.6), in \[UTF-16 units\].
pub(crate) const MAX_PARTITION_NAME: usize = 36;
/// A FAT directory entry has 11 bytes for a name.
pub(crate) const MAX_FAT_LABEL: usize = 11;

/// `plan.disk.table`
pub(crate) static TABLE_KINDS: Words<TableKind> =
    Choices(&[("mbr", TableKind::Mbr), ("gpt", TableKind::Gpt)]);

/// Which kind of table a disk has.
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
        Field::required("table", Shape::Word(&TABLE_KINDS), "\"table\": \"mbr\", or gpt", "The kind of partition table."),
        Field::optional(
            "id",
            Shape::DiskId,
            "The disk's identifier: a number of 32 bits for mbr, a GUID for gpt; by default derived from the root's UUID.",
        )
        .or_null(),
        Field::default(
            "sectorSize",
            Shape::Number(&SECTOR_SIZES),
            "512",
            "The length of the disk's logical sectors, in which the table and FAT count; 4096 for 4Kn disks and UFS.",
        ),
        Field::optional(
            "size",
            Shape::Size(SOME_SECTORS),
            "The length of the whole disk; by default what the rest needs.",
        )
        .or_null(),
        Field::required(
            "partitions",
            Shape::List(&PARTITION),
            "\"partitions\": [ { \"type\": \"83\", \"content\": { \"kind\": \"root\" } } ]",
            "The partitions in the order of their numbers; exactly one of them has the root.",
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
            "What the table says that it is: for mbr a number in hexadecimal digits, for gpt a GUID or a name of the \
             Discoverable Partitions Specification such as esp or root-arm64.",
        ),
        Field::optional(
            "start",
            Shape::Size(SECTORS),
            "Where it begins; by default at the next MiB after what stands before it.",
        )
        .or_null(),
        Field::optional("size", Shape::Size(SOME_SECTORS), "Its length; by default that of its content.")
            .or_null(),
        Field::default(
            "bootable",
            Shape::Flag,
            "false",
            "Whether firmware that looks for such a mark boots from it.",
        ),
        Field::optional("name", Shape::PartitionName, "Its name, only in a gpt.").or_null(),
        Field::optional(
            "guid",
            Shape::Uuid,
            "Its own GUID, only in a gpt; by default derived from the root's UUID.",
        )
        .or_null(),
        Field::optional("content", Shape::Content, "What is in it; by default zeros.").or_null(),
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
            "Where on the disk its bytes go.",
        ),
    ],
};

/// What a partition may hold.
pub(crate) static CONTENT_KINDS: Words<ContentKind> = Choices(&[
    ("root", ContentKind::Root),
    ("ext4", ContentKind::Ext4),
    ("fat", ContentKind::Fat),
    ("raw", ContentKind::Raw),
]);

/// See [`CONTENT_KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentKind {
    Root,
    Ext4,
    Fat,
    Raw,
}

impl ContentKind {
    /// The fields of such content.
    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::Root => &ROOT,
            Self::Ext4 => &EXT4,
            Self::Fat => &FAT,
            Self::Raw => &RAW,
        }
    }
}

/// The `bits` of a FAT file system.
pub(crate) static FAT_BITS: Numbers<FatBits> = Choices(&[(16, FatBits::Fat16), (32, FatBits::Fat32)]);

const fn kind_of(about: &'static str) -> Field {
    Field::required("kind", Shape::Word(&CONTENT_KINDS), "\"kind\": \"root\", or another of the kinds", about)
}

static ROOT: Table =
    Table { what: "the root", one_of: "", fields: &[kind_of("The file system that the plan is about.")] };
static EXT4: Table = Table {
    what: "an ext4 file system",
    one_of: "",
    fields: &[
        kind_of("Another ext4 file system, with fields as the plan has them for its root."),
        Field::optional("closure", Shape::Object(&CLOSURE), "The store paths to put into it.").or_null(),
        Field::default("trees", Shape::List(&TREE), "[]", "Folders copied into it."),
        Field::default("entries", Shape::Entries, "{}", "Single files by their path in it."),
        Field::default(
            "attributes",
            Shape::ByPath(&ATTRIBUTES),
            "{}",
            "Owners, modes and extended attributes.",
        ),
        Field::default("filesystem", Shape::Object(&FILESYSTEM), "{}", "The file system itself."),
    ],
};
static FAT: Table = Table {
    what: "a FAT file system",
    one_of: "",
    fields: &[
        kind_of("A FAT file system, for firmware."),
        Field::optional(
            "source",
            Shape::HostPath,
            "A folder of this machine; without it, the file system is empty.",
        )
        .or_null(),
        Field::optional("label", Shape::FatLabel, "The volume's name, at most 11 characters.").or_null(),
        Field::optional(
            "id",
            Shape::DiskId,
            "The volume's number of 32 bits; by default derived from the root's UUID.",
        )
        .or_null(),
        Field::optional("bits", Shape::Number(&FAT_BITS), "16 or 32; by default as mkfs.vfat would choose.")
            .or_null(),
    ],
};
static RAW: Table = Table {
    what: "raw content",
    one_of: "",
    fields: &[
        kind_of("The bytes of a file."),
        Field::required("source", Shape::HostPath, "\"source\": \"recovery.img\"", "A file of this machine."),
    ],
};
