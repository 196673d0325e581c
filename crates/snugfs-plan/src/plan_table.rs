//! The fields of a plan itself.

use crate::disk_tables::DISK;
use crate::shapes::{Field, Shape, Table};
use crate::tables::{ATTRIBUTES, CLOSURE, FILESYSTEM, OUTPUT, SELINUX, TREE, VARIANT};

/// The plan.
pub(crate) static PLAN: Table = Table {
    what: "a plan",
    one_of: "",
    fields: &[
        Field::required("version", Shape::Version, "\"version\": 1", "The version of the plan's format."),
        Field::optional(
            "closure",
            Shape::Object(&CLOSURE),
            "Store paths to copy into the image, with Nix's metadata.",
        )
        .or_null(),
        Field::default("trees", Shape::List(&TREE), "[]", "Folders, archives and container images to copy into the image."),
        Field::default(
            "entries",
            Shape::Entries,
            "{}",
            "Single files, directories, symlinks and devices, by their path in the image.",
        ),
        Field::default(
            "attributes",
            Shape::ByPath(&ATTRIBUTES),
            "{}",
            "Changes of owners, modes and extended attributes, by path in the image or by pattern.",
        ),
        Field::optional("selinux", Shape::Object(&SELINUX), "Labels for SELinux, by the rules of a policy.")
            .or_null(),
        Field::default("filesystem", Shape::Object(&FILESYSTEM), "{}", "The ext4 file system."),
        Field::default("output", Shape::Object(&OUTPUT), "{}", "Where the image goes, and in which format."),
        Field::optional(
            "disk",
            Shape::Object(&DISK),
            "A disk with partitions around the file system. Without it, the image is the bare file system.",
        )
        .or_null(),
        Field::optional(
            "boot",
            Shape::Boot,
            "The boot loader of a NixOS system. Needs a closure; systemd-boot, and GRUB with efi or bios, also need a disk.",
        )
        .or_null(),
        Field::default(
            "variants",
            Shape::List(&VARIANT),
            "[]",
            "Other images of the same sources that differ in a few points. snugfs build writes them next to the image.",
        ),
        Field::optional("$schema", Shape::Text, "Where an editor finds the JSON Schema. Ignored by snugfs."),
    ],
};
