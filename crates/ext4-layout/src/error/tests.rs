use super::*;

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

#[test]
fn reports_sizes_in_units_and_the_size_to_set_in_bytes() {
    let message =
        |size, needed, free_space| LayoutError::SizeTooSmall { size, needed, free_space }.to_string();
    assert_eq!(
        message(2 << 20, 42_987_520, 32 << 20),
        "size: 2.0 MiB is too little: contents, metadata and free space need 41.0 MiB; \
         write at least 42987520, or lower free_space"
    );
    assert_eq!(
        message(4096, 2_101_248, 0),
        "size: 4.0 KiB is too little: contents and metadata need 2.1 MiB; write at least 2101248"
    );
    let close = message((8 << 30) - 4096, 8 << 30, 0);
    assert!(close.contains("7.9 GiB is too little: contents and metadata need 8.0 GiB;"), "{close}");
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    let a = || path("/a");
    let name = || XattrName::parse(b"user.b").unwrap();
    let large = |count, bytes| LayoutError::XattrsTooLarge { path: a(), count, bytes };
    let too_large = |compatibility| LayoutError::TooLarge { bytes: 7, compatibility };
    let mode = |bits| Permissions::from_mode(bits);
    let cases = [
        (
            LayoutError::FileTooLarge { path: a(), size: 1 << 44 },
            "/a: its 17592186044416 bytes exceed the maximum for files of ext4, 2^44 - 4096 bytes; \
             leave it out or split it",
        ),
        (
            LayoutError::DirectoryTooLarge { path: a(), entries: 9 },
            "/a: its 9 entries exceed what the index of an ext4 directory can hold; \
             spread them over several directories",
        ),
        (
            large(1, 4),
            "/a: its extended attribute takes 4 bytes more than its inode and one block of 4096 bytes can hold; \
             leave it out",
        ),
        (
            large(2, 8),
            "/a: its 2 extended attributes take 8 bytes more than its inode and one block of 4096 bytes can hold; \
             leave some out",
        ),
        (
            LayoutError::XattrTwice { path: a(), name: name() },
            "/a: has the extended attribute user.b twice; leave one out",
        ),
        (
            LayoutError::XattrOfOtherType { path: a(), name: name() },
            "/a: Linux knows no extended attribute user.b of a file of its type; leave it out",
        ),
        (
            LayoutError::NoOwner { path: a() },
            "/a: its owner or group is 4294967295, which means none; choose another one",
        ),
        (LayoutError::NoUuid, "uuid: is zero, which means that there is none; choose another one"),
        (
            LayoutError::Reserved { thousandths: 50_001 },
            "reserved: 50001 thousandths of a percent are more than half of the file system; \
             choose at most 50000",
        ),
        (
            LayoutError::AclMode { path: a(), mode: mode(0o644), list: mode(0o4) },
            "/a: its mode 0644 differs from the mode 0004 of its access control list; change one of the two",
        ),
        (LayoutError::NoLostFound, "/lost+found: is not a directory of the tree; add it"),
        (
            LayoutError::TooManyInodes { wanted: 1 << 32 },
            "the options: 4294967296 inodes exceed the 2^32 of ext4; lower free_inodes or raise bytes_per_inode",
        ),
        (
            too_large(Compatibility::Current),
            "the options: contents, free_space and size need at least 7 bytes, but a file system without meta_bg \
             can have at most 128 TiB; lower one of them",
        ),
        (
            too_large(Compatibility::Legacy),
            "the options: contents, free_space and size need at least 7 bytes, but a file system without the \
             feature 64bit can have at most 16 TiB - 128 MiB; lower one of them",
        ),
        (
            LayoutError::GrowthOutOfReach { wanted: 9, reachable: 8 },
            "grow_to: 9 bytes are too many: a file system of this size can grow online to at most 8 bytes; \
             lower it to that, or reserve nothing for growth",
        ),
        (
            LayoutError::JournalSize { size: 4096 },
            "journal_size: 4096 bytes are not possible: a journal has from 4194304 bytes to 2^32 - 1 blocks of \
             4096 bytes; choose 0, a size in this range, or the default",
        ),
    ];
    for (error, text) in cases {
        assert_eq!(error.to_string(), text);
    }
    let reason = InvalidAcl::Form;
    let text = format!("/a: Linux refuses its access control list: {reason}; remove or correct it");
    assert_eq!(LayoutError::BadAcl { path: a(), reason }.to_string(), text);
}

#[test]
fn warnings_name_the_place_and_the_remedy() {
    let cases = [
        (
            LayoutWarning::InodesPerGroup { bytes_per_inode: 1024, possible: 4113 },
            "bytes_per_inode: 1024 needs more inodes than a block group can have; 4113 is used instead",
        ),
        (
            LayoutWarning::JournalTooShortToGrow { journal: 5, needed: 6 },
            "journal_size: 5 bytes are too few to grow online to grow_to; Linux needs at least 6",
        ),
        (
            LayoutWarning::UnusedEnd { bytes: 4096 },
            "size: the last 4096 bytes are too few for a block group, so they stay unused",
        ),
        (
            LayoutWarning::UnusableFreeSpace { kept: 8, free: 4 },
            "free_space: Linux reserves 8 bytes of free space for itself, so the 4 bytes can't be used until the \
             file system is grown; choose more if the first boot writes, or 0 if nothing writes",
        ),
        (
            LayoutWarning::Copies { first: path("/a"), count: 2 },
            "/a: has more names than an inode can have (65000), so the image has copies of it; \
             there are 2 copies of such files",
        ),
    ];
    for (warning, text) in cases {
        assert_eq!(warning.to_string(), text);
    }
}

#[test]
fn messages_have_the_names_that_the_program_gives_options() {
    let name = |option: OptionName| format!("--{}", option.field().replace('_', "-"));
    let (subject, _, help) = LayoutError::TooManyInodes { wanted: 1 << 32 }.message(&name);
    assert_eq!(
        (subject, help.as_str()),
        (Subject::Options, "lower --free-inodes or raise --bytes-per-inode")
    );
    let (subject, what, _) = LayoutWarning::JournalTooShortToGrow { journal: 5, needed: 6 }.message(&name);
    assert_eq!(subject, Subject::Option(OptionName::JournalSize));
    assert_eq!(what, "5 bytes are too few to grow online to --grow-to");
}
