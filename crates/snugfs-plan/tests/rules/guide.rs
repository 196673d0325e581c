//! The tables as text.

use snugfs_plan::{GuideField, guide};

/// A field of a section, of all that have the name the first one.
fn field(place: &str, name: &str) -> GuideField {
    let sections = guide();
    let section = sections.iter().find(|section| section.place == place).unwrap_or_else(|| panic!("{place}"));
    section.fields.iter().find(|field| field.name == name).unwrap_or_else(|| panic!("{place}.{name}")).clone()
}

#[test]
fn objects_of_every_shape_have_a_section_where_they_are_first() {
    let places: Vec<_> = guide().into_iter().map(|section| section.place).collect();
    let expected = [
        "plan",
        "plan.closure",
        "plan.trees[]",
        "plan.entries.\"PATH\"",
        "plan.attributes.\"PATH\"",
        "plan.selinux",
        "plan.filesystem",
        "plan.filesystem.verity",
        "plan.output",
        "plan.output.compression",
        "plan.disk",
        "plan.disk.partitions[]",
        "plan.disk.partitions[].content",
        "plan.disk.partitions[].content.entries.\"PATH\"",
        "plan.disk.blobs[]",
        "plan.boot",
        "plan.boot.efi",
        "plan.boot.bios",
        "plan.boot.state",
        "plan.variants[]",
    ];
    assert_eq!(places, expected);
}

#[test]
fn the_values_of_every_shape_are_described() {
    for (place, name, values) in [
        ("plan", "version", "1"),
        ("plan", "closure", "object, or null"),
        ("plan", "trees", "list of objects"),
        ("plan", "entries", "object of paths in the image and objects"),
        ("plan", "$schema", "string"),
        ("plan.closure", "registration", "host path, or null"),
        ("plan.closure", "graph", "host path, key, or list, or null"),
        ("plan.closure", "storeDir", "path in the image"),
        ("plan.closure", "verify", "\"none\", \"size\" or \"hash\""),
        ("plan.closure", "deduplicate", "true or false"),
        ("plan.trees[]", "xattrs", "list of strings such as \"user.*\", or null"),
        ("plan.trees[]", "exclude", "list of patterns such as \"*.pyc\""),
        ("plan.entries.\"PATH\"", "mode", "mode such as \"0644\""),
        ("plan.entries.\"PATH\"", "xattrs", "object of names and base64 values"),
        ("plan.entries.\"PATH\"", "major", "whole number from 0 to 4095"),
        ("plan.filesystem", "verity", "true, false or object"),
        ("plan.filesystem", "label", "string of at most 16 bytes"),
        ("plan.filesystem", "uuid", "UUID"),
        ("plan.filesystem", "freeSpace", "size such as \"16MiB\""),
        ("plan.filesystem", "journalSize", "0 or size such as \"16MiB\", or null"),
        ("plan.filesystem", "reservedPercent", "number from 0 to 50, or null"),
        ("plan.filesystem.verity", "salt", "hexadecimal digits, or null"),
        ("plan.disk", "id", "number, string such as \"0x2178694e\" or GUID, or null"),
        ("plan.disk", "sectorSize", "512 or 4096"),
        ("plan.disk", "roundTo", "size such as \"16MiB\" or \"powerOfTwo\", or null"),
        ("plan.disk.partitions[]", "type", "string such as \"83\" or \"esp\" or GUID"),
        ("plan.disk.partitions[].content", "of", "\"root\", or index of a partition"),
        ("plan.boot", "extraFiles", "object of paths and host paths"),
        ("plan.boot.state", "devices", "list of strings"),
    ] {
        assert_eq!(field(place, name).values, values, "{place}.{name}");
    }
}

#[test]
fn fields_have_a_default_or_are_required() {
    let otherwise = |place, name| field(place, name).otherwise;
    assert_eq!(otherwise("plan", "version").as_deref(), Some("required"));
    assert_eq!(otherwise("plan.filesystem", "freeSpace").as_deref(), Some("default \"32MiB\""));
    assert_eq!(otherwise("plan", "closure"), None);
}

#[test]
fn kinds_share_fields_of_one_meaning() {
    let sections = guide();
    let fields = |place: &str, name: &str| {
        let section = sections.iter().find(|section| section.place == place).unwrap();
        let fields = section.fields.iter().filter(|field| field.name == name);
        fields.map(|field| field.only_for.clone()).collect::<Vec<_>>()
    };
    // The levels of each format have a meaning of their own.
    let compression = "plan.output.compression";
    assert_eq!(fields(compression, "level"), [["zstd"], ["gzip"], ["xz"], ["deflate"]]);
    assert_eq!(fields(compression, "format"), [[""; 0]]);
    assert_eq!(fields("plan.boot", "generation"), [[""; 0]]);
    assert_eq!(fields("plan.boot", "bootPath"), [["grub", "extlinux"]]);
    assert_eq!(fields("plan.boot", "configurationLimit"), [["grub", "extlinux"]]);
    assert_eq!(fields("plan.boot", "extraEntries"), [["systemd-boot"], ["grub"]]);
    let format = field(compression, "format").about;
    assert_eq!(
        format,
        "zstd: fast, and small; gzip: for tools and boards that read nothing else; xz: small, but slow to write and to read; \
         deflate: only for the clusters of qcow2, vmdk and ova."
    );
}
