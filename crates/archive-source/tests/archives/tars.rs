use std::io::Write as _;

use crate::support::{
    Entry, Place, directory, file, hard_link, list, list_all, noise, pax, shown, symlink, tar,
};
use archive_source::Format;

#[test]
fn entries_become_a_tree_and_the_last_of_a_name_wins() {
    let tree = list_all(&[
        directory("./"),
        file("./a/b/new", b"1"),
        directory("a/"),
        file("//abs//x", b"abs"),
        file("f", b"old"),
        hard_link("g", "./f"),
        file("f", b"new"),
        symlink("l", "../../outside"),
        directory("d"),
        file("d", b"file now"),
        file("e", b"file"),
        directory("e/"),
    ]);
    assert_eq!(
        tree.unwrap(),
        "/a/ 644\n/a/b/ implied\n/a/b/new \"1\"\n/abs/ implied\n/abs/x \"abs\"\n/d \"file now\"\n/e/ 644\n/f \"new\"\n\
         /g \"old\" inode 2\n/l -> ../../outside"
    );
}

#[test]
fn a_directory_with_entries_is_not_replaced() {
    let inside = [directory("d"), file("d/inside", b"kept")];
    for later in [file("d", b"x"), symlink("d", "other"), hard_link("d", "d/inside")] {
        let error = list_all(&[inside[0].clone(), inside[1].clone(), later]).unwrap_err();
        assert!(error.contains("would replace the directory d and everything in it"), "{error}");
    }
}

#[test]
fn entries_below_symlinks_go_where_these_lead_within_the_root() {
    let tree = list_all(&[
        symlink("lib", "usr/lib"),
        file("lib/x", b"x"),
        symlink("up", "../../../../tmp"),
        file("up/y", b"y"),
        symlink("abs", "/etc"),
        file("abs/passwd", b"z"),
        hard_link("linked", "abs/passwd"),
    ]);
    assert_eq!(
        tree.unwrap(),
        "/abs -> /etc\n/etc/ implied\n/etc/passwd \"z\" inode 5\n/lib -> usr/lib\n/linked \"z\" inode 5\n/tmp/ implied\n\
         /tmp/y \"y\"\n/up -> ../../../../tmp\n/usr/ implied\n/usr/lib/ implied\n/usr/lib/x \"x\""
    );
}

#[test]
fn long_names_are_those_of_each_format() {
    let long = "d/".repeat(60) + &"n".repeat(200);
    let gnu = Entry::new(b'L', b"././@LongLink", format!("{long}\0").as_bytes());
    let gnu_link = Entry::new(b'K', b"././@LongLink", format!("{long}\0").as_bytes());
    let mut prefixed = file("name", b"p");
    prefixed.set(345, b"prefix/of");
    let mut old = file("old", b"o");
    old.set(257, &[0; 8]).set(345, b"not a prefix");
    let all = list_all(&[
        gnu,
        file("short", b"gnu"),
        gnu_link,
        symlink("link", "short"),
        prefixed,
        old,
        pax(b'x', &[("path", b"p\xff"), ("linkpath", b"t\xfe")]),
        symlink("short", "short"),
        // Without an own one, the global header applies.
        pax(b'g', &[("linkpath", b"global")]),
        symlink("g1", "own"),
        pax(b'x', &[("linkpath", b"")]),
        symlink("g2", "own"),
    ]);
    let text = all.unwrap();
    for line in [
        &format!("/{long} \"gnu\""),
        &format!("/link -> {long}"),
        "/prefix/of/name \"p\"",
        "/old \"o\"",
        "/p\\xff -> t\\xfe",
        "/g1 -> global",
        "/g2 -> own",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in {text}");
    }
}

#[test]
fn sparse_files_of_all_formats_have_their_data_in_place() {
    // Data at 2 to 5 and at 8, and a hole at the end.
    let expected = "sparse \"..abc...d.\"";
    let records = |more: &[(&str, &[u8])]| {
        let all: Vec<(&str, &[u8])> = [("GNU.sparse.name", &b"s"[..])].iter().chain(more).copied().collect();
        [pax(b'x', &all), file("GNUSparseFile.0/s", b"abcd")]
    };
    let zero_0 = records(&[
        ("GNU.sparse.size", b"10"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"2"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", b"8"),
        ("GNU.sparse.numbytes", b"1"),
    ]);
    let zero_1 = records(&[("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"2,3,8,1")]);
    let mut one_0 =
        records(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"10")]);
    let mut data = b"2\n2\n3\n8\n1\n".to_vec();
    data.resize(512, 0);
    data.extend_from_slice(b"abcd");
    one_0[1] = file("GNUSparseFile.0/s", &data);
    let mut old = Entry::new(b'S', b"s", b"abcd");
    old.set(257, b"ustar  \0");
    old.set(386, b"00000000002\x0000000000003\x0000000000010\x0000000000001\0");
    old.set(483, b"00000000012\0");
    for entries in [&zero_0[..], &zero_1, &one_0, &[old]] {
        assert_eq!(list_all(entries).unwrap(), format!("/s {expected}"));
    }
}

#[test]
fn an_old_sparse_file_can_have_many_runs() {
    let runs = 4 + 21 + 1;
    let run = |index: usize| format!("{:011o}\0{:011o}\0", index * 2, 1);
    let mut old = Entry::new(b'S', b"s", &[]);
    old.set(257, b"ustar  \0");
    for index in 0..4 {
        old.set(386 + 24 * index, run(index).as_bytes());
    }
    old.header[482] = 1;
    old.size(runs);
    old.set(483, format!("{:011o}\0", runs * 2).as_bytes());
    let mut bytes = old.bytes();
    for block in 0..2 {
        let mut extension = vec![0; 512];
        for index in 0..if block == 0 { 21 } else { 1 } {
            extension[24 * index..24 * index + 24].copy_from_slice(run(4 + 21 * block + index).as_bytes());
        }
        extension[504] = u8::from(block == 0);
        bytes.extend_from_slice(&extension);
    }
    bytes.extend_from_slice(b"abcdefghijklmnopqrstuvwxyz");
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    let text = list(&bytes).unwrap();
    assert_eq!(text, "/s sparse 52 bytes");
}

#[test]
fn every_compression_gives_the_same_tree() {
    let place = Place::new();
    let large = noise(3 << 20);
    let entries = [
        file("a", b"small"),
        file("large", &large),
        file("zeros", &vec![0; 2 << 20]),
        hard_link("b", "large"),
    ];
    let plain = tar(&entries);
    let expected = list(&plain).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let (first, second) = plain.split_at(plain.len() / 3);
    let frames = [zstd::bulk::compress(first, 1).unwrap(), zstd::bulk::compress(second, 1).unwrap()].concat();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(&plain).unwrap();
    for bytes in [&gzip, &frames, &xz.finish().unwrap()] {
        let path = place.write("x", bytes);
        let archive = place.read(&path, Format::Tar).unwrap();
        assert_eq!(shown(&archive), expected);
        let (_, container) = archive.containers.last().unwrap();
        assert!(container.stamp.is_none());
        // Nothing is left behind.
        assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 1);
        for cut in [bytes.len() - 1, bytes.len() / 2, 20] {
            let path = place.write("x", &bytes[..cut]);
            let error = place.read(&path, Format::Tar).unwrap_err().to_string();
            assert!(error.contains("can't be decompressed") || error.contains("is not a tar"), "{error}");
        }
    }
}

#[test]
fn metadata_is_that_of_the_header_unless_pax_says_otherwise() {
    let place = Place::new();
    let mut one = file("one", b"");
    one.set(100, b"0104755\0")
        .set(108, b"\x80\0\0\0\xee\x6b\x28\x00")
        .set(136, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    let two = [
        pax(
            b'x',
            &[
                ("uid", b"4294967294"),
                ("gid", b"70000"),
                ("mtime", b"12.000000003"),
                ("SCHILY.xattr.user.n", b"\n\0="),
                ("SCHILY.acl.access", b"user::rw-,user:7:r--,group::r--,mask::r--,other::---"),
            ],
        ),
        file("two", b""),
    ];
    let path = place.write("x.tar", &tar(&[vec![one], two.to_vec()].concat()));
    let archive = place.read(&path, Format::Tar).unwrap();
    let inodes: Vec<_> = archive
        .tree
        .entries(archive_source::DirectoryId::ROOT)
        .map(|(_, target)| match target {
            archive_source::Target::Inode(id) => archive.tree.inode(id).clone(),
            archive_source::Target::Directory(_) => panic!("only files"),
        })
        .collect();
    let owner =
        |mode, uid, gid, seconds, nanoseconds| archive_source::Owner { mode, uid, gid, seconds, nanoseconds };
    assert_eq!(inodes[0].owner, owner(0o4755, 4_000_000_000, 0, -1, 0));
    assert_eq!(inodes[1].owner, owner(0o644, 4_294_967_294, 70_000, 12, 3));
    let xattrs = inodes[1].xattrs.as_ref().unwrap();
    assert_eq!(xattrs[0], (b"user.n".to_vec(), b"\n\0=".to_vec()));
    assert_eq!((xattrs[1].0.as_slice(), xattrs[1].1.len()), (&b"system.posix_acl_access"[..], 4 + 5 * 8));
}
