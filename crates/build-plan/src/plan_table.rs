//! The fields of a plan itself.

use crate::disk_tables::DISK;
use crate::shapes::{Field, Shape, Table};
use crate::tables::{ATTRIBUTES, CLOSURE, FILESYSTEM, OUTPUT, TREE};

/// The plan.
pub(crate) static PLAN: Table = Table {
    what: "a plan",
    one_of: "",
    fields: &[
        Field::required("version", Shape::Version, "\"version\": 1", "The number of this format."),
        Field::optional("closure", Shape::Object(&CLOSURE), "The store paths to put into the image.")
            .or_null(),
        Field::default(
            "trees",
            Shape::List(&TREE),
            "[]",
            "Folders copied into the image, one over the other.",
        ),
        Field::default("entries", Shape::Entries, "{}", "Single files by their path in the image."),
        Field::default(
            "attributes",
            Shape::ByPath(&ATTRIBUTES),
            "{}",
            "Owners, modes and extended attributes laid over what the rest put at these paths.",
        ),
        Field::default("filesystem", Shape::Object(&FILESYSTEM), "{}", "The ext4 file system."),
        Field::default("output", Shape::Object(&OUTPUT), "{}", "Where the image goes, and in which form."),
        Field::optional(
            "disk",
            Shape::Object(&DISK),
            "The disk around the file system; without it, the image is the bare file system.",
        )
        .or_null(),
        Field::optional(
            "$schema",
            Shape::Text,
            "Where an editor finds the schema of plans; nothing is read from there.",
        ),
    ],
};
