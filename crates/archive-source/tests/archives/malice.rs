//! Each case is an error that names the entry, or harmless.

use crate::support::{Entry, directory, file, hard_link, list, list_all, pax, symlink, tar};

fn refused(entries: &[Entry], says: &str) {
    let error = list_all(entries).unwrap_err();
    assert!(error.contains(says), "{says} in {error}");
}

fn device(major: &[u8], minor: &[u8]) -> Entry {
    let mut device = Entry::new(b'3', b"dev", b"");
    device.set(329, major).set(337, minor);
    device
}

#[test]
fn names_cannot_leave_the_root() {
    for name in ["..", "../x", "a/../../x", "a/..", "/../x"] {
        refused(&[file(name, b"x")], &format!(": {name}: has a name with a part that is \"..\""));
        refused(&[file("x", b""), hard_link("l", name)], "has a name with a part that is \"..\"");
    }
    assert_eq!(list_all(&[file("/etc/passwd", b"x")]).unwrap(), "/etc/ implied\n/etc/passwd \"x\"");
    refused(
        &[file(&("n".repeat(90) + "/x"), b""), pax(b'x', &[("path", &[b'n'; 256])]), file("x", b"")],
        "more than 255 bytes",
    );
    refused(&[pax(b'x', &[("path", b"a\0b")]), file("x", b"")], "with a NUL byte");
    refused(&[file("", b"x")], "has a name without a part");
    refused(&[symlink("./", "x")], "has a name without a part");
}

#[test]
fn nothing_is_below_a_file_and_symlinks_do_not_circle() {
    refused(&[file("f", b""), file("f/x", b"")], ": f/x: is below f, which is not a directory");
    refused(&[device(b"0000001\0", b"0000003\0"), file("dev/x", b"")], "is below dev");
    refused(
        &[symlink("a", "b"), symlink("b", "a"), file("a/x", b"")],
        ": a/x: is reached through symlinks that lead in a circle",
    );
    refused(&[symlink("a", "a/a"), file("a/x", b"")], "in a circle");
}

#[test]
fn links_lead_to_what_is_there() {
    refused(&[hard_link("a", "b"), file("b", b"")], ": a: is a hard link to b");
    refused(&[hard_link("a", "a")], "is a hard link to a");
    refused(&[directory("d"), hard_link("a", "d")], "is a hard link to d");
    refused(&[directory("d"), hard_link("a", ".")], "is a hard link to .");
    refused(&[hard_link("a", "/etc/passwd")], "is a hard link to /etc/passwd");
    refused(&[symlink("a", "")], "is a symlink with a target of 0 bytes");
    refused(&[pax(b'x', &[("linkpath", &[b'x'; 4096])]), symlink("a", "b")], "a target of 4096 bytes");
    // To itself, as GNU tar writes a name that it is given twice.
    assert_eq!(list_all(&[file("a", b"x"), hard_link("a", "a")]).unwrap(), "/a \"x\"");
}

#[test]
fn numbers_are_in_their_range() {
    refused(&[device(b"0010000\0", b"0000000\0")], "a device number that ext4 can't store");
    refused(&[device(b"0000000\0", b"4000000\0")], "a device number that ext4 can't store");
    refused(
        &[device(b"\xff\xff\xff\xff\xff\xff\xff\xff", b"0000000\0")],
        "a device number that ext4 can't store",
    );
    for (field, name) in [(108, "owner"), (116, "group")] {
        for bytes in [
            &b"\x80\0\0\0\xff\xff\xff\xff"[..],
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x80\0\0\x01\0\0\0\0",
            b"00x0000\0",
        ] {
            let mut entry = file("x", b"");
            entry.set(field, bytes);
            refused(&[entry], &format!(": x: has a wrong number as its {name}"));
        }
    }
    refused(&[pax(b'x', &[("uid", b"4294967295")]), file("x", b"")], "as its owner");
    refused(&[pax(b'x', &[("size", b"9223372036854775808")]), file("x", b"")], "as its size");
    for bytes in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut entry = file("x", b"");
        entry.set(124, bytes);
        refused(&[entry], "as its size");
    }
    let mut huge = file("x", b"");
    huge.set(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    refused(&[huge], "ends in the middle of an entry");
}

#[test]
fn headers_are_bounded() {
    for kind in [b'x', b'L', b'K', b'g'] {
        let mut huge = Entry::new(kind, b"h", b"");
        huge.size(4 << 30);
        refused(&[huge], "more than 8 MiB of headers in front of one entry");
        let mut short = Entry::new(kind, b"h", b"");
        short.size(4096);
        let error = list(&short.bytes()).unwrap_err();
        assert!(error.contains("ends in the middle"), "{error}");
    }
    let many = vec![pax(b'x', &[("comment", b"x")]); 17];
    refused(&many, "more than 16 headers in front of one entry");
    refused(&[pax(b'g', &[("comment", &vec![b'x'; 70_000])])], "more than 64 KiB of global PAX headers");
    let large = vec![b'x'; 200_000];
    refused(
        &[pax(b'x', &[("SCHILY.xattr.user.a", &large), ("SCHILY.xattr.user.b", &large)]), file("x", b"")],
        "more than 256 KiB of extended attributes",
    );
    // Headers before nothing.
    let error = list(&pax(b'x', &[("path", b"x")]).bytes()).unwrap_err();
    assert!(error.contains("ends in the middle"), "{error}");
    let mut bytes = pax(b'x', &[("path", b"x")]).bytes();
    bytes.resize(bytes.len() + 1024, 0);
    assert!(list(&bytes).unwrap_err().contains("ends in the middle"));
}

#[test]
fn a_cut_archive_is_noticed_at_every_block() {
    let whole = tar(&[file("a", &[b'x'; 1500]), file("b", b"y")]);
    let end = whole.len() - 1024;
    for len in (0..end).step_by(100).chain([end]) {
        let error = list(&whole[..len]).unwrap_err();
        let says =
            ["is not a tar archive", "ends in the middle of an entry", "ends without the blocks of zeros"];
        assert!(says.iter().any(|text| error.contains(text)), "{len}: {error}");
    }
    // Some programs write one block of zeros only. What comes after the end does not count.
    assert!(list(&whole[..end + 512]).is_ok());
    assert!(list(&[&whole, &b"anything"[..]].concat()).is_ok());
}

#[test]
fn a_wrong_checksum_names_its_place() {
    let mut bytes = tar(&[file("a", b"x"), file("b", b"y")]);
    bytes[1024 + 5] ^= 1;
    assert!(list(&bytes).unwrap_err().contains("has no valid header at byte 1024"));
    bytes[5] ^= 1;
    assert!(list(&bytes).unwrap_err().contains("is not a tar archive"));
    // A header between the blocks of zeros.
    let bytes = [file("a", b"").bytes(), vec![0; 512], file("b", b"").bytes(), vec![0; 1024]].concat();
    assert!(list(&bytes).unwrap_err().contains("no valid header at byte 1024"));
}

#[test]
fn maps_of_sparse_files_are_checked() {
    let sparse = |records: &[(&str, &[u8])], data: &[u8]| [pax(b'x', records), file("s", data)];
    let size: (&str, &[u8]) = ("GNU.sparse.size", b"10");
    for (map, data) in [
        (&b"2,3"[..], &b"abcd"[..]),
        (b"2,3,1,1", b"abcd"),
        (b"8,3", b"abc"),
        (b"2", b"ab"),
        (b"2,x", b"ab"),
        (b"18446744073709551615,1", b"a"),
        (b"0,18446744073709551615", b"a"),
    ] {
        refused(&sparse(&[size, ("GNU.sparse.map", map)], data), "a wrong map of its data and holes");
    }
    refused(&sparse(&[("GNU.sparse.map", b"0,1")], b"a"), "a wrong map");
    refused(&sparse(&[size, ("GNU.sparse.numbytes", b"1")], b"a"), "a wrong map");
    let one_0: [(&str, &[u8]); 3] =
        [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"10")];
    for data in [&b"1\n0\n1\n"[..], b"", &[b'1'; 512], b"18446744073709551615\n"] {
        refused(&sparse(&one_0, data), "a wrong map");
    }
    let mut endless = vec![b'9'; 20];
    endless[10..].fill(b'\n');
    endless.resize(512, b'\n');
    refused(&sparse(&one_0, &endless), "a wrong map");
    refused(&sparse(&[("GNU.sparse.major", b"2"), size], b"a"), "a wrong map");
    // A file of holes alone, of any length.
    let holes =
        [pax(b'x', &[("GNU.sparse.size", b"9223372036854775807"), ("GNU.sparse.map", b"")]), file("s", b"")];
    assert_eq!(list_all(&holes).unwrap(), "/s sparse 9223372036854775807 bytes");
}

#[test]
fn unknown_forms_are_named() {
    refused(&[Entry::new(b'M', b"x", b"")], "is continued from another volume");
    refused(&[Entry::new(b'Z', b"x", b"")], "has the unknown type \"Z\"");
    for (bytes, says) in [
        (&b"BZh91AY&SY"[..], "is compressed with bzip2"),
        (b"\x04\x22\x4d\x18", "is compressed with lz4"),
        (b"PK\x03\x04", "is a zip archive"),
        (b"", "is not a tar archive"),
        (b"text", "is not a tar archive"),
    ] {
        let error = list(bytes).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
    // A name that looks like one of them.
    assert_eq!(list_all(&[file("BZh9", b"x")]).unwrap(), "/BZh9 \"x\"");
}

#[test]
fn a_bomb_of_zeros_takes_no_space() {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt;
    let place = crate::support::Place::new();
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    let mut header = file("zeros", b"");
    header.size(1 << 28);
    encoder.write_all(&header.bytes()).unwrap();
    for _ in 0..256 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    encoder.write_all(&[0; 1024]).unwrap();
    let bytes = encoder.finish().unwrap();
    assert!(bytes.len() < 200_000);
    let archive = place.read(&place.write("x", &bytes), archive_source::Format::Tar).unwrap();
    let (_, container) = archive.containers.last().unwrap();
    let file = std::fs::File::from(container.file.try_clone().unwrap());
    let metadata = file.metadata().unwrap();
    assert_eq!((metadata.len(), metadata.blocks()), (1 << 28, 0));
}
