use super::*;
use crate::ext4::tests::{DATA, DIRECTORY, FILE, Image, directory};
use crate::fat::Fields;
use crate::{Fat, Links, Window, find};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Arc;

/// Sets bytes of an inode.
fn set(image: &mut Image, inode: usize, at: usize, bytes: &[u8]) {
    image.bytes[5 * 1024 + (inode - 1) * 128 + at..][..bytes.len()].copy_from_slice(bytes);
}

fn run(fs: &FileSystem, path: &str, folder: &Path, options: ExtractOptions) -> Extracted {
    extract(fs, &find(fs, path.as_bytes(), Links::Keep).unwrap(), folder, options).unwrap()
}

/// The first parts of messages.
fn texts(errors: &[Explanation]) -> Vec<String> {
    errors.iter().map(|error| error.to_string().split("; ").next().unwrap_or_default().to_owned()).collect()
}

/// A file system with a file of every kind, and a second name of a file.
fn all_kinds() -> FileSystem {
    let mut image = Image::new();
    let root = [
        ("block", 18),
        ("character", 17),
        ("directory", 12),
        ("fifo", 15),
        ("file", 13),
        ("link", 14),
        ("socket", 16),
    ];
    directory(&mut image, 2, DATA, &root);
    directory(&mut image, 12, DATA + 1, &[("own", 20), ("second", 13)]);
    set(&mut image, 12, 0, &0o043_751_u16.to_le_bytes());
    image.extents(13, 0o106_711, 2500, &[(0, 1, DATA + 2), (2, 1, DATA + 3)]);
    image.block(DATA + 2, &[1; 1024]);
    image.block(DATA + 3, &[2; 1024]);
    set(&mut image, 13, 0x1a, &[2]);
    image.inode(14, 0o120_777, 9, 0, b"directory");
    image.inode(15, 0o010_640, 0, 0, &[]);
    image.inode(16, 0o140_640, 0, 0, &[]);
    image.inode(17, 0o020_640, 0, 0, &[7, 5]);
    image.inode(18, 0o060_640, 0, 0, &[9, 8]);
    image.extents(20, FILE, 0, &[]);
    for inode in [12, 13, 14, 15, 17, 18] {
        // Owner, group, and modification time.
        set(&mut image, inode, 2, &[5]);
        set(&mut image, inode, 0x18, &[6]);
        set(&mut image, inode, 0x10, &[0, 1]);
    }
    // The number that `chown` takes as "unchanged".
    for at in [2, 0x18, 0x78, 0x7a] {
        set(&mut image, 20, at, &[0xff; 2]);
    }
    FileSystem::Ext4(image.open())
}

#[test]
fn extracts_without_owners_and_devices_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let done = run(&all_kinds(), "/", &out, ExtractOptions::default());
    assert_eq!((texts(&done.unread), texts(&done.unwritten)), (vec![], vec![]));
    assert_eq!((done.files, done.directories, done.symlinks, done.others), (2, 1, 1, 1));
    // Two devices and a socket.
    assert_eq!((done.bytes, done.left_out), (2500, 3));
    let at = |name: &str| std::fs::symlink_metadata(out.join(name)).unwrap();
    let names: Vec<_> =
        ["block", "character", "socket"].into_iter().filter(|name| out.join(name).exists()).collect();
    assert_eq!(names, [""; 0]);
    // Without owners, files don't run as another user.
    assert_eq!([at("file").mode() & 0o7777, at("directory").mode() & 0o7777], [0o711, 0o1751]);
    assert_eq!(at("file").uid(), std::fs::metadata(folder.path()).unwrap().uid());
    for name in ["file", "link", "fifo"] {
        assert_eq!(at(name).mtime(), 256, "{name}");
    }
    assert_eq!(at("directory").mtime(), 256);
    assert!(at("fifo").file_type().is_fifo());
    assert_eq!(std::fs::read_link(out.join("link")).unwrap(), Path::new("directory"));
    let contents = [&[1; 1024][..], &[0; 1024], &[2; 452]].concat();
    assert_eq!(std::fs::read(out.join("file")).unwrap(), contents);
    assert_eq!(at("directory/second").ino(), at("file").ino());
    assert_ne!(at("directory/own").ino(), at("file").ino());
}

#[test]
fn extracts_owners_and_devices_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let options = ExtractOptions { owners: true, devices: true };
    let done = run(&all_kinds(), "/", folder.path(), options);
    assert_eq!(texts(&done.unwritten), [""; 0], "only root can do this");
    // A FIFO and two devices; the socket is left out.
    assert_eq!((done.others, done.left_out), (3, 1));
    let at = |name: &str| std::fs::symlink_metadata(folder.path().join(name)).unwrap();
    for name in ["file", "directory", "link", "fifo", "character", "block"] {
        assert_eq!((at(name).uid(), at(name).gid(), at(name).mtime()), (5, 6, 256), "{name}");
    }
    assert_eq!([at("file").mode() & 0o7777, at("directory").mode() & 0o7777], [0o6711, 0o3751]);
    assert!(at("character").file_type().is_char_device());
    assert_eq!(at("character").rdev(), rustix::fs::makedev(5, 7));
    assert!(at("block").file_type().is_block_device());
    assert_eq!(at("block").rdev(), rustix::fs::makedev(8, 9));
    let own = at("directory/own");
    assert_eq!((own.uid(), own.gid()), (0, 0));
}

#[test]
fn extracts_a_file_or_directory_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let done = run(&all_kinds(), "/directory", folder.path(), ExtractOptions::default());
    assert_eq!((done.directories, done.files), (1, 2));
    assert!(folder.path().join("directory/second").exists());
    let done = run(&all_kinds(), "/directory/own", folder.path(), ExtractOptions::default());
    assert_eq!((done.directories, done.files), (0, 1));
    assert!(folder.path().join("own").exists());
}

#[test]
fn names_of_a_file_are_linked_only_if_it_counts_them() {
    for (links, inodes) in [(1, 2), (2, 1), (3, 1)] {
        let mut image = Image::new();
        directory(&mut image, 2, DATA, &[("a", 13), ("b", 13)]);
        image.extents(13, FILE, 0, &[]);
        set(&mut image, 13, 0x1a, &[links]);
        let folder = tempfile::tempdir().unwrap();
        let fs = FileSystem::Ext4(image.open());
        let done = run(&fs, "/", folder.path(), ExtractOptions::default());
        assert_eq!((done.files, done.unwritten.len()), (inodes, 0), "{links}");
    }
}

#[test]
fn a_file_is_no_folder_to_extract_into() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let fs = all_kinds();
    let root = find(&fs, b"/", Links::Keep).unwrap();
    let error = extract(&fs, &root, &file, ExtractOptions::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn existing_files_are_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["file", "link", "directory"] {
        std::fs::write(folder.path().join(name), "mine").unwrap();
    }
    let done = run(&all_kinds(), "/", folder.path(), ExtractOptions::default());
    let exists = ["file", "link", "directory"].map(|name| format!("{name}: already exists"));
    assert_eq!(texts(&done.unwritten), exists);
    for name in ["file", "link", "directory"] {
        assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), b"mine");
    }
    // A second name is not replaced either.
    std::fs::create_dir(folder.path().join("new")).unwrap();
    let new = folder.path().join("new");
    let image = || {
        let mut image = Image::new();
        directory(&mut image, 2, DATA, &[("a", 13), ("b", 13)]);
        image.extents(13, FILE, 0, &[]);
        set(&mut image, 13, 0x1a, &[2]);
        FileSystem::Ext4(image.open())
    };
    std::fs::write(new.join("b"), "mine").unwrap();
    let done = run(&image(), "/", &new, ExtractOptions::default());
    assert_eq!(texts(&done.unwritten), ["b: already exists"]);
    assert_eq!(std::fs::read(new.join("b")).unwrap(), b"mine");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_extracted() {
    let mut image = Image::new();
    let names = [("a", 13), ("b", 30), ("c", 14), ("d", 15), ("e", 12), ("f", 2), ("g", 16)];
    directory(&mut image, 2, DATA, &names);
    // No inode, blocks outside of the file system, a target with a NUL, a damaged directory, the root itself, no target.
    image.extents(13, FILE, 1000, &[(0, 1, 99)]);
    image.inode(14, 0o120_777, 3, 0, b"a\0b");
    image.extents(15, FILE, 0, &[]);
    image.extents(12, DIRECTORY, 1024, &[(0, 1, 99)]);
    image.extents(16, 0o120_777, 3, &[(0, 1, 99)]);
    let folder = tempfile::tempdir().unwrap();
    let fs = FileSystem::Ext4(image.open());
    let done = run(&fs, "/", folder.path(), ExtractOptions::default());
    assert_eq!(
        texts(&done.unread),
        [
            "/a: inode 13: refers to 1 blocks from 99",
            "/b: inode 30: has the mode 0o0",
            "/c: the link: has a target with a NUL byte",
            "/f: the directory: has a second name",
            "/g: inode 16: refers to 1 blocks from 99",
            "/e: inode 12: refers to 1 blocks from 99",
        ]
    );
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["d", "e"], "an incomplete file is removed");
    assert_eq!((done.files, done.directories, done.symlinks), (1, 1, 0));
}

#[test]
fn a_thousand_problems_are_listed() {
    for number in [1000, 1001] {
        let texts: Vec<_> = (0..number).map(|number| format!("{number:04}")).collect();
        let names = |inode| texts.iter().map(|name| (name.as_str(), inode)).collect::<Vec<_>>();
        let folder = tempfile::tempdir().unwrap();
        let fs = |inode: u32| {
            let mut image = Image::new();
            directory(&mut image, 2, DATA, &names(inode));
            image.extents(13, FILE, 0, &[]);
            set(&mut image, 13, 0x1a, &[2]);
            FileSystem::Ext4(image.open())
        };
        let unread = run(&fs(30), "/", folder.path(), ExtractOptions::default());
        assert_eq!((unread.unread.len(), unread.unwritten.len()), (1000, 0));
        let all = run(&fs(13), "/", folder.path(), ExtractOptions::default());
        assert_eq!((all.files, all.unread.len(), all.unwritten.len()), (1, 0, 0));
        let unwritten = run(&fs(13), "/", folder.path(), ExtractOptions::default());
        assert_eq!((unwritten.unread.len(), unwritten.unwritten.len()), (0, 1000));
    }
}

#[test]
fn a_limit_of_work_is_listed_after_a_thousand_problems_and_ends_the_extraction() {
    // Directories that share their blocks: all of them together are longer than the file system.
    let mut image = Image::new();
    let bad = vec![("a/b", 13); 1020];
    directory(&mut image, 12, DATA + 1, &bad);
    let good = vec![("a", 13); 1020];
    directory(&mut image, 13, DATA + 20, &good);
    let mut root = vec![("0", 12)];
    let names: Vec<_> = (0..12).map(|number| format!("d{number:02}")).collect();
    for (number, name) in (14..).zip(&names) {
        image.extents(number, DIRECTORY, 17 * 1024, &[(0, 17, DATA + 20)]);
        root.push((name, number));
    }
    directory(&mut image, 2, DATA, &root);
    let fs = FileSystem::Ext4(image.open());
    let folder = tempfile::tempdir().unwrap();
    let done = run(&fs, "/", folder.path(), ExtractOptions::default());
    let last = done.unread.last().unwrap().to_string();
    assert!(last.contains("the directories are larger than the file system"), "{last}");
    assert_eq!(done.unread.len(), 1001);
    // 65,536 bytes have room for 5,461 entries.
    assert_eq!(done.directories, 7);
}

#[test]
fn shared_blocks_are_written_a_limited_number_of_times() {
    let mut image = Image::of_blocks(8192);
    let names: Vec<_> = (10..20).map(|number| format!("f{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).zip(12..).collect();
    directory(&mut image, 2, DATA, &names);
    for (_, inode) in &names {
        image.extents(*inode, FILE, 8000 * 1024, &[(0, 8000, DATA + 1)]);
    }
    let folder = tempfile::tempdir().unwrap();
    let fs = FileSystem::Ext4(image.open());
    let done = run(&fs, "/", folder.path(), ExtractOptions::default());
    // Eight times the image: 64 MiB. From a shorter image, 64 MiB may be written, too.
    assert_eq!((done.files, std::fs::read_dir(folder.path()).unwrap().count()), (8, 8));
    assert_eq!(texts(&done.unread), ["/f18: contents: the files are far larger than the image"]);
    let mut short = Image::new();
    // 20 files of 50 KiB.
    let names: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).zip(12..).collect();
    directory(&mut short, 2, DATA, &names);
    for (_, inode) in &names {
        short.extents(*inode, FILE, 50 * 1024, &[(0, 50, DATA + 1)]);
    }
    let fs = FileSystem::Ext4(short.open());
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&fs, "/", folder.path(), ExtractOptions::default()).files, 20);
}

#[test]
fn directories_are_at_most_five_hundred_deep() {
    let mut bytes = Fields::clusters(600).sector();
    bytes.resize(632 * 512, 0);
    // Every cluster is the last of its directory.
    bytes[512..31 * 512].fill(0xff);
    for number in 0..510 {
        let at = (31 + number) * 512;
        bytes[at..at + 12].copy_from_slice(b"D          \x10");
        let cluster = u16::try_from(number + 2).unwrap();
        bytes[at + 0x1a..at + 0x1c].copy_from_slice(&cluster.to_le_bytes());
    }
    let fs = FileSystem::Fat(Fat::open(Window::whole(Arc::new(bytes))).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let done = run(&fs, "/", folder.path(), ExtractOptions::default());
    // Entries are extracted from the root and from 500 directories.
    assert_eq!((done.directories, done.unread.len()), (501, 1));
    assert!(done.unread[0].to_string().contains("the directory: is nested too deeply"), "{:?}", done.unread);
}

#[test]
fn only_directories_are_opened_and_not_through_symlinks() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("directory")).unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("directory", folder.path().join("link")).unwrap();
    let above = File::open(folder.path()).unwrap();
    for access in [OFlags::RDONLY, OFlags::PATH] {
        let open = |name| open_directory(above.as_fd(), OsStr::new(name), access);
        let opened = open("directory").unwrap();
        assert!(rustix::io::fcntl_getfd(&opened).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert_eq!(rustix::fs::fcntl_getfl(&opened).unwrap().contains(OFlags::PATH), access == OFlags::PATH);
        assert!(open("file").is_err());
        assert!(open("link").is_err());
    }
}

#[test]
fn hard_links_lead_only_to_the_extracted_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    std::fs::write(folder.path().join("a/b/file"), "").unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("other")).unwrap();
    let fs = all_kinds();
    let root = File::open(folder.path()).unwrap();
    let mut work = Extraction {
        fs: &fs,
        options: ExtractOptions::default(),
        root: root.as_fd(),
        done: Extracted::default(),
        first_names: BTreeMap::new(),
        visits: fs.visits(),
        left: 1 << 20,
        is_stopped: false,
    };
    let path = |names: [&str; 3]| {
        names
            .iter()
            .fold(None, |path, name| Some(RelativePath::below(path.as_ref(), name.as_bytes())))
            .unwrap()
    };
    let made = identity(root.as_fd(), OsStr::new("a/b/file")).unwrap();
    let link = |names, made| work.link(&path(names), made, root.as_fd(), OsStr::new("link"));
    // Another program replaced a folder by a symlink, or the file by another one.
    assert!(link(["other", "b", "file"], made).is_err());
    assert!(link(["a", "b", "file"], Identity(made.0, made.1 + 1)).is_err());
    assert!(!folder.path().join("link").exists());
    link(["a", "b", "file"], made).unwrap();
    assert_eq!(identity(root.as_fd(), OsStr::new("link")).unwrap(), made);
    // Without a link, the file is copied.
    let node = find(&fs, b"/file", Links::Keep).unwrap().node;
    work.first_names.insert(13, (path(["a", "b", "file"]), Identity(made.0, made.1 + 1)));
    work.entry(root.as_fd(), &RelativePath::below(None, b"copy"), &node, 0);
    assert_eq!((work.done.files, work.done.unwritten.len()), (1, 0));
    assert_eq!(std::fs::read(folder.path().join("copy")).unwrap().len(), 2500);
}

#[test]
fn long_paths_are_shown_without_their_start() {
    let path = |names: usize| {
        let name = [b'n'; 31];
        (0..names).fold(None, |path, _| Some(RelativePath::below(path.as_ref(), &name))).unwrap()
    };
    assert_eq!(shown_path(Some(&path(2))), format!("{0}/{0}", "n".repeat(31)));
    assert_eq!(shown_path(Some(&path(128))).len(), 128 * 32 - 1);
    assert_eq!(shown_path(Some(&path(130))).len(), 4096);
    assert_eq!(shown_path(None), "");
}
