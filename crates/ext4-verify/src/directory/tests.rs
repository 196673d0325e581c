use super::*;
use crate::sample::Sample;

const PARENT: u32 = 2;

fn directory() -> Sample {
    Sample::new(0o040_755, 4096, &[])
}

/// An entry with its name and zeros up to its length.
fn entry(inode: u32, length: u16, kind: u8, name: &[u8]) -> Vec<u8> {
    let head = [&inode.to_le_bytes()[..], &length.to_le_bytes(), &[u8::try_from(name.len()).unwrap(), kind]]
        .concat();
    let mut bytes = [&head[..], name].concat();
    bytes.resize(usize::from(length).max(bytes.len()), 0);
    bytes
}

/// The first block of a directory with these entries behind its dots.
fn first(entries: &[Vec<u8>]) -> Vec<u8> {
    [entry(12, 12, 2, b"."), entry(PARENT, 12, 2, b".."), entries.concat()].concat()
}

/// The names in a block as (inode, type, name), and the codes.
fn read(logical: u64, bytes: &[u8]) -> (Vec<(u32, u8, String)>, Vec<&'static str>) {
    directory().check(|cx| {
        let entries = read_block(cx, PARENT, None, logical, bytes);
        entries
            .iter()
            .map(|entry| (entry.inode, entry.kind, image_tree::escaped(entry.name).to_string()))
            .collect()
    })
}

fn codes(logical: u64, bytes: &[u8]) -> Vec<&'static str> {
    read(logical, bytes).1
}

#[test]
fn entries_fill_a_block() {
    let names = vec![(20, 1, "name".to_owned()), (21, 7, "link".to_owned())];
    let entries = [entry(20, 12, 1, b"name"), entry(21, 4060, 7, b"link")];
    assert_eq!(read(0, &first(&entries)), (names.clone(), vec![]));
    let entries = [entry(20, 12, 1, b"name"), entry(21, 4084, 7, b"link")];
    assert_eq!(read(1, &entries.concat()), (names, vec![]));
    // A block without names, as those of lost+found.
    assert_eq!(read(1, &entry(0, 4096, 0, b"")), (vec![], vec![]));
}

#[test]
fn an_entry_has_room_for_its_name_and_ends_in_its_block() {
    for (length, name, expected) in [
        (4096, 255, &[][..]),
        (4092, 4, &["entry-length"]),
        (4100, 4, &["entry-length"]),
        (12, 5, &["entry-length"]),
        (8, 1, &["entry-length"]),
        (4, 0, &["entry-length"]),
        (0, 0, &["entry-length"]),
    ] {
        let mut bytes = entry(20, length, 1, &vec![b'n'; name]);
        bytes.resize(4096, 0);
        assert_eq!(codes(1, &bytes), expected, "{length} {name}");
    }
    // Lengths are multiples of four.
    let bytes = [entry(20, 14, 1, b"name"), entry(21, 4082, 1, b"b")].concat();
    assert_eq!(codes(1, &bytes), ["entry-length"]);
    // The room of a name is rounded up to a multiple of four; the end of an entry may be that of its block.
    let bytes = [entry(20, 12, 1, b"name"), entry(21, 4072, 1, b"b"), entry(22, 12, 1, b"last")].concat();
    assert_eq!((bytes.len(), codes(1, &bytes)), (4096, vec![]));
    // An unused entry has at least its head.
    let bytes = [entry(20, 4088, 1, b"name"), entry(0, 8, 0, b"")].concat();
    assert_eq!(codes(1, &bytes), ["entry-unused"]);
}

#[test]
fn only_a_whole_block_may_be_unused() {
    for bytes in [
        [entry(0, 12, 0, b""), entry(20, 4084, 1, b"a")].concat(),
        [entry(20, 12, 1, b"a"), entry(0, 4084, 0, b"")].concat(),
    ] {
        assert_eq!(codes(1, &bytes), ["entry-unused"]);
    }
}

#[test]
fn the_room_behind_a_name_is_zero() {
    for at in [9, 4095] {
        let mut bytes = entry(20, 4096, 1, b"a");
        bytes[at] = 1;
        assert_eq!(codes(1, &bytes), ["entry-padding"], "{at}");
    }
    for (at, expected) in [(7, &[][..]), (8, &["entry-padding"]), (4095, &["entry-padding"])] {
        let mut bytes = entry(0, 4096, 0, b"");
        bytes[at] = 1;
        assert_eq!(codes(1, &bytes), expected, "{at}");
    }
}

#[test]
fn a_directory_begins_with_itself_and_the_one_that_holds_it() {
    let last = |dot: Vec<u8>, dotdot: Vec<u8>| {
        let rest = 4096 - dot.len() - dotdot.len();
        codes(0, &[dot, dotdot, entry(20, u16::try_from(rest).unwrap(), 1, b"a")].concat())
    };
    let (dot, dotdot) = (entry(12, 12, 2, b"."), entry(PARENT, 12, 2, b".."));
    assert_eq!(last(dot.clone(), dotdot.clone()), [""; 0]);
    for wrong in [
        entry(13, 12, 2, b"."),
        entry(12, 16, 2, b"."),
        entry(12, 12, 1, b"."),
        entry(12, 12, 2, b"x"),
        entry(12, 12, 2, b".."),
    ] {
        assert!(last(wrong.clone(), dotdot.clone()).contains(&"directory-dots"), "{wrong:?}");
    }
    assert_eq!(last(dot.clone(), entry(PARENT, 12, 1, b"..")), ["directory-dots"]);
    assert_eq!(last(dot.clone(), entry(PARENT, 12, 2, b"x.")), ["directory-dots"]);
    assert_eq!(last(dot.clone(), entry(3, 12, 2, b"..")), ["directory-parent"]);
    assert_eq!(codes(0, &entry(12, 4096, 2, b".")), ["directory-dots"]);
    // Only the first block has them.
    assert_eq!(codes(1, &entry(20, 4096, 1, b"a")), [""; 0]);
    // e2fsck reads them as strings.
    for at in [9, 22] {
        let mut bytes = first(&[entry(20, 4072, 1, b"a")]);
        bytes[at] = 1;
        assert_eq!(codes(0, &bytes), ["entry-padding", "directory-dots"], "{at}");
    }
}

#[test]
fn a_name_is_possible_and_leads_to_an_inode_that_is_not_reserved() {
    let possible = |name: &[u8], inode: u32| {
        let entry = Entry { inode, kind: 1, length: 12, name };
        directory().check(|cx| is_possible(cx, &entry, 100))
    };
    for name in [&b"a"[..], b"...", b".a", b"..a", b"\\", b"\xff\n"] {
        assert_eq!(possible(name, 11), (true, vec![]), "{name:?}");
    }
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b", b"\0"] {
        assert_eq!(possible(name, 11), (false, vec!["entry-name"]), "{name:?}");
    }
    for (inode, right) in [(1, false), (10, false), (11, true), (100, true), (101, false)] {
        let codes = if right { vec![] } else { vec!["entry-inode"] };
        assert_eq!(possible(b"a", inode), (right, codes), "{inode}");
    }
}

#[test]
fn a_name_is_in_a_directory_once() {
    for (given, count) in [
        (&[&b"a"[..], b"b", b"ab"][..], 0),
        (&[b"a", b"b", b"a"], 1),
        (&[b"a", b"ab", b"a", b"ab", b"a"], 3),
        (&[], 0),
    ] {
        let mut names = Names::default();
        for name in given {
            names.add(name);
        }
        let ((), codes) = directory().check(|cx| names.check_repeated(cx));
        assert_eq!(codes, vec!["entry-duplicate"; count], "{given:?}");
    }
}
