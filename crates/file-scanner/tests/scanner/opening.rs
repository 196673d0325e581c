use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use file_scanner::{OpenFile, Opener, ScannedFiles, SourceError, check_unchanged};
use image_tree::{Contents, FileBytes, FileRef, FileTree, NodeId, NodeKind, TreeId};
use rustix::fs::{CWD, FileType, Mode};
use snugfs_plan::EntryKind;

use crate::support::{World, entry, path, text};

fn read(tree: &FileTree, node: NodeId, opened: OpenFile<'_>) -> String {
    match opened {
        OpenFile::Inline(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        OpenFile::Fd(fd) => {
            let mut file = File::from(fd);
            let mut contents = String::new();
            file.read_to_string(&mut contents).unwrap();
            check_unchanged(tree, node, file.as_fd()).unwrap();
            contents
        }
        OpenFile::Contained(mut file) => {
            let mut contents = String::new();
            file.read_to_string(&mut contents).unwrap();
            check_unchanged(tree, node, file.file()).unwrap();
            contents
        }
    }
}

fn world() -> World {
    let mut world = World::new();
    for folder in 0..30 {
        for file in 0..4 {
            let name =
                format!("{}/{folder}/x/y/{file}", if folder % 2 == 0 { "store/aaa-x" } else { "tree" });
            world.write(&name, &name);
        }
    }
    fs::hard_link(world.at("tree/1/x/y/0"), world.at("tree/link")).unwrap();
    world.write("store/bbb-y", "store/bbb-y");
    world.write("single", "single");
    world.symlink("to-single", "single");
    world.store("store", &["aaa-x", "bbb-y"]);
    world.tree("tree", "/opt/deeper");
    world.entry("/etc/single", entry(EntryKind::Source(world.at("to-single"))));
    world.entry("/etc/text", text("text"));
    world
}

#[test]
fn files_are_read_again_in_any_order_and_from_many_threads() {
    let world = world();
    let tree = world.scan().unwrap().tree;
    let has_bytes =
        |id: NodeId| matches!(tree.node(id).kind(), NodeKind::File { .. } | NodeKind::HardLink { .. });
    let mut files: Vec<NodeId> = tree.iter().map(|(id, _)| id).filter(|&id| has_bytes(id)).collect();
    assert_eq!(files.len(), 30 * 4 + 4);
    let opener = Opener::new(&tree);
    let good = AtomicUsize::new(0);
    let check = |files: &[NodeId]| {
        let mut cursor = opener.cursor();
        for &file in files {
            let contents = read(&tree, file, cursor.open(file).unwrap());
            let expected = match tree.path(file).to_string().as_str() {
                "/opt/deeper/link" => "tree/1/x/y/0".to_owned(),
                "/etc/single" => "single".to_owned(),
                "/etc/text" => "text".to_owned(),
                other => other.replace("/nix/store", "store").replace("/opt/deeper", "tree"),
            };
            assert_eq!(contents, expected);
            good.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for part in files.chunks(17) {
            scope.spawn(move || check(part));
        }
    });
    files.reverse();
    check(&files);
    files.sort_by_key(|file| file.index() % 7);
    check(&files);
    assert_eq!(good.into_inner(), 3 * files.len());
}

/// Opens `/opt/deeper/1/x/y/0` after a change of the sources.
fn after(change: impl FnOnce(&World)) -> Result<String, SourceError> {
    let world = world();
    let tree = world.scan().unwrap().tree;
    change(&world);
    let node = tree.find(&path("/opt/deeper/1/x/y/0")).unwrap();
    let opener = Opener::new(&tree);
    match opener.cursor().open(node)? {
        OpenFile::Fd(fd) => {
            check_unchanged(&tree, node, fd.as_fd())?;
            let mut contents = String::new();
            File::from(fd).read_to_string(&mut contents).unwrap();
            Ok(contents)
        }
        OpenFile::Inline(_) | OpenFile::Contained(_) => Ok(String::new()),
    }
}

#[test]
fn files_that_were_removed_or_changed_are_named() {
    assert_eq!(after(|_| {}).unwrap(), "tree/1/x/y/0");
    let vanished = after(|world| fs::remove_file(world.at("tree/1/x/y/0")).unwrap()).unwrap_err();
    assert!(matches!(vanished, SourceError::Vanished { .. }), "{vanished}");
    assert!(vanished.to_string().contains("tree/1/x/y/0: vanished after the scan;"), "{vanished}");
    let gone = after(|world| fs::rename(world.at("tree/1"), world.at("elsewhere")).unwrap()).unwrap_err();
    assert!(matches!(gone, SourceError::Vanished { .. }), "{gone}");
    let longer = after(|world| fs::write(world.at("tree/1/x/y/0"), "something longer").unwrap()).unwrap_err();
    assert!(matches!(longer, SourceError::Changed { .. }), "{longer}");
    let as_long = after(|world| {
        // The clock of the kernel ticks in milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(world.at("tree/1/x/y/0"), "TREE/1/x/y/0").unwrap();
    });
    assert!(matches!(as_long.unwrap_err(), SourceError::Changed { .. }));
}

#[test]
fn does_not_follow_a_symlink_that_replaced_a_file() {
    let swapped = |at: &'static str| {
        after(move |world| {
            let outside = world.at("outside");
            fs::rename(world.at(at), &outside).unwrap();
            std::os::unix::fs::symlink(&outside, world.at(at)).unwrap();
        })
    };
    for at in ["tree/1", "tree/1/x", "tree/1/x/y", "tree/1/x/y/0"] {
        let error = swapped(at).unwrap_err();
        assert!(matches!(error, SourceError::Replaced { .. }), "{at}: {error}");
    }
}

#[test]
fn does_not_read_another_folder_with_the_name_of_a_source() {
    /// A file with the length and the time of the scanned file.
    fn forge(world: &World, time: SystemTime) {
        world.write("tree/1/x/y/0", "TREE/1/x/y/0");
        File::options().append(true).open(world.at("tree/1/x/y/0")).unwrap().set_modified(time).unwrap();
    }
    let time = |world: &World| fs::metadata(world.at("tree/1/x/y/0")).unwrap().modified().unwrap();
    let moved = after(|world| {
        let time = time(world);
        fs::rename(world.at("tree"), world.at("moved")).unwrap();
        forge(world, time);
    });
    assert_eq!(moved.unwrap(), "tree/1/x/y/0", "the folder that was scanned, wherever it is now");
    let removed = after(|world| {
        let time = time(world);
        // The next new file may get the same inode number.
        fs::remove_dir_all(world.at("tree")).unwrap();
        forge(world, time);
    });
    assert!(matches!(removed, Err(SourceError::Vanished { .. })), "{removed:?}");
}

#[test]
fn does_not_follow_a_symlink_below_an_open_directory() {
    let world = world();
    world.write("tree/1/top", "");
    let tree = world.scan().unwrap().tree;
    let node = |text: &str| tree.find(&path(text)).unwrap();
    let opener = Opener::new(&tree);
    let mut cursor = opener.cursor();
    cursor.open(node("/opt/deeper/1/top")).unwrap();
    fs::rename(world.at("tree/1/x"), world.at("outside")).unwrap();
    std::os::unix::fs::symlink(world.at("outside"), world.at("tree/1/x")).unwrap();
    assert!(matches!(cursor.open(node("/opt/deeper/1/x/y/1")), Err(SourceError::Replaced { .. })));
    assert!(cursor.open(node("/opt/deeper/3/x/y/1")).is_ok(), "an error must not spoil the cursor");
}

#[test]
fn a_pipe_or_folder_that_replaced_a_file_is_an_error() {
    let pipe = after(|world| {
        fs::remove_file(world.at("tree/1/x/y/0")).unwrap();
        rustix::fs::mknodat(CWD, world.at("tree/1/x/y/0"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    });
    assert!(matches!(pipe.unwrap_err(), SourceError::Replaced { .. }));
    let folder = after(|world| {
        fs::remove_file(world.at("tree/1/x/y/0")).unwrap();
        fs::create_dir(world.at("tree/1/x/y/0")).unwrap();
    });
    assert!(matches!(folder.unwrap_err(), SourceError::Replaced { .. }));
}

#[test]
fn directories_are_not_opened_as_files() {
    let world = world();
    let tree = world.scan().unwrap().tree;
    let opener = Opener::new(&tree);
    assert!(matches!(opener.cursor().open(NodeId::ROOT), Err(SourceError::NotAFile { .. })));
}

#[test]
fn files_of_several_trees_are_contents_of_an_image() {
    let world = world();
    let trees = [world.scan().unwrap().tree, FileTree::clone(&world.scan().unwrap().tree)];
    let contents = ScannedFiles::of(&trees);
    let mut reader = contents.reader();
    let node = trees[0].find(&path("/opt/deeper/1/x/y/1")).unwrap();
    let second = TreeId::from_index(1).unwrap();
    let file = FileRef { tree: second, node };
    assert_eq!(contents.shown(file), world.at("tree/1/x/y/1").to_string_lossy());
    let Ok(FileBytes::Fd(fd)) = reader.open(file) else { panic!("a file of this machine") };
    contents.check(file, fd.as_fd()).unwrap();
    fs::write(world.at("tree/1/x/y/1"), "longer than it was").unwrap();
    let changed = contents.check(file, fd.as_fd()).unwrap_err();
    assert!(!changed.is_internal() && changed.to_string().contains("tree/1/x/y/1: changed"), "{changed}");
    let text = FileRef { tree: second, node: trees[1].find(&path("/etc/text")).unwrap() };
    assert!(matches!(reader.open(text), Ok(FileBytes::Memory(b"text"))));
    assert_eq!(contents.shown(text), "/etc/text");
    let missing = FileRef { tree: TreeId::from_index(2).unwrap(), node };
    assert!(reader.open(missing).unwrap_err().is_internal());
    assert!(contents.check(missing, fd.as_fd()).unwrap_err().is_internal());
    assert!(reader.open(NodeId::ROOT.into()).unwrap_err().is_internal());
}

#[test]
fn a_file_in_a_merged_directory_is_read_from_its_own_source() {
    let mut world = World::new();
    let files = ["one/d/e/a", "two/d/e/b", "one/d/e/c", "three/e/d", "two/d/f", "one/d/g"];
    for file in files {
        world.write(file, file);
    }
    for (source, target) in [("one", "/"), ("two", "/"), ("three", "/d")] {
        world.tree(source, target);
    }
    let tree = world.scan().unwrap().tree;
    let opener = Opener::new(&tree);
    let mut cursor = opener.cursor();
    for file in files.iter().chain(files.iter().rev()) {
        let name = file.rsplit('/').next().unwrap();
        let at = if file.contains("/e/") { format!("/d/e/{name}") } else { format!("/d/{name}") };
        let node = tree.find(&path(&at)).unwrap();
        assert_eq!(read(&tree, node, cursor.open(node).unwrap()), *file);
    }
}
