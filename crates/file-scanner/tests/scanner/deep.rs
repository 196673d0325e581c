use std::os::fd::OwnedFd;
use std::path::Path;

use file_scanner::{OpenFile, Opener, check_unchanged};
use image_tree::{NodeId, NodeKind};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::os::fd::AsFd;

use crate::support::World;

fn open(at: impl AsFd, name: &str) -> OwnedFd {
    rustix::fs::openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Folders in one another, each with a file beside the next folder; no path but relative ones.
fn dig(top: &Path, levels: usize) {
    let mut at = open(CWD, top.to_str().unwrap());
    for _ in 0..levels {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = open(&at, "d");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&at, "f", flags, Mode::RUSR | Mode::WUSR).unwrap();
        rustix::io::write(&file, b"deep").unwrap();
    }
}

/// Takes the levels away from the top, for what deletes folders otherwise goes down on the stack.
fn fill_in(top: &Path) {
    let at = open(CWD, top.to_str().unwrap());
    while let Ok(level) = rustix::fs::openat(&at, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
        rustix::fs::unlinkat(&level, "f", AtFlags::empty()).unwrap();
        let deeper = rustix::fs::renameat(&level, "d", &at, "next").is_ok();
        rustix::fs::unlinkat(&at, "d", AtFlags::REMOVEDIR).unwrap();
        if deeper {
            rustix::fs::renameat(&at, "next", &at, "d").unwrap();
        }
    }
}

fn scan_and_open(levels: usize) {
    let mut world = World::new();
    let top = world.mkdir("tree", 0o755);
    dig(&top, levels);
    world.tree("tree", "/");
    let tree = world.scan().unwrap().tree;
    assert_eq!(tree.len(), 2 + 2 * levels);

    let files: Vec<NodeId> = tree
        .iter()
        .filter(|(_, node)| matches!(node.kind(), NodeKind::File { .. }))
        .map(|(id, _)| id)
        .collect();
    assert_eq!(files.len(), levels);
    let opener = Opener::new(&tree);
    let read = |opened: OpenFile<'_>, node: NodeId| {
        let OpenFile::Fd(fd) = opened else { panic!("no file of the host") };
        check_unchanged(&tree, node, fd.as_fd()).unwrap();
    };
    let mut cursor = opener.cursor();
    for &file in &files {
        read(cursor.open(file).unwrap(), file);
    }
    // Straight to the bottom, farther than any path could say; and from there to the top.
    let bottom = files.iter().copied().max_by_key(|&file| tree.path(file).parts().count()).unwrap();
    let mut cursor = opener.cursor();
    read(cursor.open(bottom).unwrap(), bottom);
    let shallow = *files.iter().max().unwrap();
    read(cursor.open(shallow).unwrap(), shallow);
    fill_in(&top);
}

#[test]
fn a_tree_of_1500_levels_is_scanned_and_opened() {
    scan_and_open(1500);
}

#[test]
fn a_tree_of_20000_levels_is_scanned_and_opened() {
    // On the smallest stack that a thread gets here: no level may take any of it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).stack_size(256 * 1024).build().unwrap();
    pool.install(|| {
        let mut world = World::in_memory();
        let top = world.mkdir("tree", 0o755);
        dig(&top, 20_000);
        world.tree("tree", "/");
        let scan = world.scan();
        let len = scan.as_ref().map(|scan| scan.tree.len());
        if let Ok(scan) = &scan {
            let files = scan.tree.iter().filter(|(_, node)| matches!(node.kind(), NodeKind::File { .. }));
            let opener = Opener::new(&scan.tree);
            let mut cursor = opener.cursor();
            for (file, _) in files {
                assert!(cursor.open(file).is_ok());
            }
        }
        fill_in(&top);
        assert_eq!(len, Ok(40_002));
    });
}
