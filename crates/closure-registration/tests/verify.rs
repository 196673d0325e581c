//! Checks of sizes and hashes of a tree against the registration.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

#[allow(dead_code, reason = "shared by several tests, none of which needs all")]
mod common;

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use closure_registration::{
    Changed, Closure, ClosureError, ClosureErrors, Source, StreamingHashes, VerifyError, verify_hashes,
    verify_sizes, verify_sizes_then_hashes,
};
use common::{Item, Items, base_name, closure, directory, file, open, registration, store_dir, tree};
use image_tree::{FileTree, ImagePath, NodeKind};

fn items() -> Items {
    let bin = directory([(b"hello", Item::File { executable: true, bytes: vec![7; 1_000_001] })]);
    let top = directory([(b"bin", bin), (b"empty", file(b"")), (b"l", Item::Symlink(b"bin/hello".to_vec()))]);
    let single = file(&b"x".repeat(256 * 1024));
    Items::from([
        (base_name('0', "hello"), top),
        (base_name('1', "single"), single),
        (base_name('2', "x"), file(b"x")),
    ])
}

#[test]
fn accepts_a_true_registration_and_reports_all_contents_as_progress() {
    let (items, hashed) = (items(), AtomicU64::new(0));
    let (tree, closure) = (tree(&items), closure(&registration(&items)));
    verify_sizes(&closure, &tree).unwrap();
    let progress = |bytes| {
        hashed.fetch_add(bytes, Ordering::Relaxed);
    };
    verify_hashes(&closure, &tree, || |node| Ok::<_, String>(open(&tree, node)), &progress).unwrap();
    assert_eq!(hashed.into_inner(), 1_000_001 + 256 * 1024 + 1);
}

#[test]
fn ignores_other_entries_of_the_store() {
    let mut items = items();
    let closure = closure(&registration(&items));
    items.insert(b".links".to_vec(), file(b""));
    items.insert(b"zz".to_vec(), file(b""));
    verify_sizes(&closure, &tree(&items)).unwrap();
}

#[test]
fn reports_each_difference_once_with_any_number_of_threads() {
    let mut items = items();
    let closure = closure(&registration(&items));
    // Other bytes of the same size, another size, and a missing path.
    items.insert(base_name('2', "x"), file(b"y"));
    items.insert(base_name('0', "hello"), file(b"hello"));
    items.remove(&base_name('1', "single"));
    let tree = tree(&items);

    let sizes = verify_sizes(&closure, &tree).unwrap_err().to_string();
    let expected = [
        "/nix/store/11111111111111111111111111111111-single: is in the closure, but not in the image;",
        "/nix/store/00000000000000000000000000000000-hello: its NAR has 120 bytes, but 1000872 are registered;",
    ];
    assert_eq!(sizes.lines().count(), 2, "{sizes}");
    assert!(sizes.lines().zip(expected).all(|(line, start)| line.starts_with(start)), "{sizes}");

    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let verify = || verify_hashes(&closure, &tree, || |node| Ok::<_, String>(open(&tree, node)), &|_| ());
        let hashes = pool.install(verify).unwrap_err().to_string();
        let lines: Vec<_> = hashes.lines().collect();
        assert_eq!(lines.len(), 3, "{hashes}");
        assert!(lines[0].starts_with(expected[0]), "{hashes}");
        assert!(lines[1].contains("-hello: its NAR hash is sha256:"), "{hashes}");
        assert!(lines[2].contains("-x: its NAR hash is sha256:"), "{hashes}");
    }
}

/// Hashes all contents of a tree in its order, in pieces of `piece` bytes.
fn stream(closure: &Closure, tree: &FileTree, piece: usize) -> Result<(), ClosureErrors> {
    let mut hashes = StreamingHashes::new(closure, tree);
    for (id, node) in tree.iter() {
        if matches!(node.kind(), NodeKind::File { .. }) {
            let mut bytes = Vec::new();
            open(tree, id).read_to_end(&mut bytes).unwrap();
            bytes.chunks(piece).for_each(|bytes| hashes.update(id, bytes));
        }
    }
    hashes.finish()
}

#[test]
fn streaming_finds_the_same_differences_as_opening_files() {
    let mut items = items();
    let closure = closure(&registration(&items));
    items.insert(b".before".to_vec(), file(b"not in the closure"));
    items.insert(base_name('1', "between"), file(b"not in the closure"));
    items.insert(b"zz".to_vec(), file(b"not in the closure"));
    let whole = tree(&items);
    for piece in [1, 4096, usize::MAX] {
        stream(&closure, &whole, piece).unwrap();
    }
    items.insert(base_name('2', "x"), file(b"y"));
    items.insert(base_name('0', "hello"), file(b"hello"));
    items.remove(&base_name('1', "single"));
    let other = tree(&items);
    let opened = verify_hashes(&closure, &other, || |node| Ok::<_, String>(open(&other, node)), &|_| ());
    assert_eq!(stream(&closure, &other, 4096).unwrap_err().to_string(), opened.unwrap_err().to_string());
}

/// A reader that returns one byte at a time, and is interrupted before each.
struct SlowReader<R>(R, bool);

impl<R: Read> Read for SlowReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(&mut buffer[..1]) }
    }
}

#[test]
fn accepts_short_and_interrupted_reads() {
    let items = items();
    let (tree, closure) = (tree(&items), closure(&registration(&items)));
    verify_hashes(&closure, &tree, || |node| Ok::<_, String>(SlowReader(open(&tree, node), false)), &|_| ())
        .unwrap();
}

#[test]
fn reports_a_file_that_shrank_or_grew() {
    let items = items();
    let (tree, closure) = (tree(&items), closure(&registration(&items)));
    for change in [-1_isize, 1] {
        let changed = |node| {
            let mut bytes = open(&tree, node).into_inner();
            bytes.resize(bytes.len().saturating_add_signed(change), 0);
            Ok::<_, String>(io::Cursor::new(bytes))
        };
        let error = verify_hashes(&closure, &tree, || changed, &|_| ()).unwrap_err();
        assert!(matches!(error, VerifyError::Changed(_)));
        let start = "/nix/store/00000000000000000000000000000000-hello/bin/hello: changed while it was read";
        assert!(error.to_string().starts_with(start), "{error}");
    }
}

#[test]
fn reports_the_first_file_that_can_not_be_opened() {
    let items = items();
    let (tree, closure) = (tree(&items), closure(&registration(&items)));
    let refuse = |node| Err::<io::Empty, _>(tree.path(node).to_string());
    let error = verify_hashes(&closure, &tree, || refuse, &|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "/nix/store/00000000000000000000000000000000-hello/bin/hello");
}

/// Sizes need no contents, so a path of another size is found without reading more than was registered.
#[test]
fn paths_of_another_size_are_not_read() {
    let mut items = items();
    let closure = closure(&registration(&items));
    let read = AtomicU64::new(0);
    let verify = |tree: &FileTree| {
        let progress = |bytes| {
            read.fetch_add(bytes, Ordering::Relaxed);
        };
        verify_sizes_then_hashes(&closure, tree, || |node| Ok::<_, String>(open(tree, node)), &progress)
    };
    verify(&tree(&items)).unwrap();
    assert_eq!(read.swap(0, Ordering::Relaxed), 1_000_001 + 256 * 1024 + 1);
    items.insert(base_name('0', "hello"), file(&vec![0; 5_000_000]));
    items.insert(base_name('2', "x"), file(b"y"));
    let errors = verify(&tree(&items)).unwrap_err().to_string();
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(lines.len(), 2, "{errors}");
    assert!(lines[0].contains("-hello: its NAR has 5000112 bytes, but 1000872 are registered;"), "{errors}");
    assert!(lines[1].contains("-x: its NAR hash is sha256:"), "{errors}");
    assert_eq!(read.into_inner(), 256 * 1024 + 1);
}

#[test]
fn paths_without_files_at_the_end_are_compared_too() {
    let link = |target: &[u8]| Item::Symlink(target.to_vec());
    let mut items = Items::from([
        (base_name('0', "a"), link(b"x")),
        (base_name('1', "b"), link(b"y")),
        (base_name('2', "c"), link(b"z")),
    ]);
    let closure = closure(&registration(&items));
    stream(&closure, &tree(&items), 1).unwrap();
    items.insert(base_name('0', "a"), link(b"0"));
    items.insert(base_name('2', "c"), link(b"2"));
    let errors = stream(&closure, &tree(&items), 1).unwrap_err();
    let names: Vec<_> = errors.iter().map(|error| error.to_string()[44..45].to_owned()).collect();
    assert_eq!(names, ["a", "c"]);
}

/// Also of a file that is exactly as long as the buffer (256 KiB), or half.
#[test]
fn a_file_of_any_length_that_grew_is_reported() {
    // Empty files are never opened.
    for len in [1, 128 * 1024, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 512 * 1024] {
        let items = Items::from([(base_name('0', "a"), file(&vec![1; len]))]);
        let (tree, closure) = (tree(&items), closure(&registration(&items)));
        let verify = |more: usize| {
            let grown = |node| {
                let mut bytes = open(&tree, node).into_inner();
                bytes.resize(bytes.len() + more, 1);
                Ok::<_, String>(io::Cursor::new(bytes))
            };
            verify_hashes(&closure, &tree, || grown, &|_| ())
        };
        verify(0).unwrap();
        assert!(matches!(verify(1), Err(VerifyError::Changed(_))), "{len}");
    }
}

/// Counts reads.
struct Counted<'a, R>(R, &'a AtomicU64);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(buffer)
    }
}

#[test]
fn a_small_file_needs_one_read() {
    let items = Items::from([(base_name('0', "a"), file(b"small"))]);
    let (tree, closure) = (tree(&items), closure(&registration(&items)));
    let reads = AtomicU64::new(0);
    let opener = || |node| Ok::<_, String>(Counted(open(&tree, node), &reads));
    verify_hashes(&closure, &tree, opener, &|_| ()).unwrap();
    assert_eq!(reads.into_inner(), 1);
}

/// A disk that has no more bytes.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("a broken disk"))
    }
}

#[test]
fn a_file_that_can_not_be_read_is_named_with_the_reason() {
    let items = items();
    let (tree, closure) = (tree(&items), closure(&registration(&items)));
    let error = verify_hashes(&closure, &tree, || |_| Ok::<_, Changed>(Broken), &|_| ()).unwrap_err();
    assert!(matches!(&error, VerifyError::Read { reason, .. } if reason.to_string() == "a broken disk"));
    let explanations = error.explanations();
    assert_eq!(explanations.len(), 1);
    assert_eq!(explanations[0].to_string(), error.to_string());
    assert!(error.to_string().contains("-hello/bin/hello: "), "{error}");
}

#[test]
fn at_most_a_thousand_errors_are_listed() {
    let error = ClosureError::NotInTree { path: ImagePath::root() };
    let count = |errors: usize| match ClosureErrors::check(vec![error.clone(); errors]) {
        Ok(()) => (0, false),
        Err(errors) => {
            assert_eq!((&errors).into_iter().count(), errors.iter().count());
            let more = errors.iter().filter(|error| matches!(error, ClosureError::More { .. })).count();
            (errors.iter().count() - more, more == 1)
        }
    };
    for (errors, expected) in
        [(0, (0, false)), (1, (1, false)), (1000, (1000, false)), (1001, (1000, true)), (5000, (1000, true))]
    {
        assert_eq!(count(errors), expected, "{errors}");
    }
}

#[test]
fn an_error_knows_its_line() {
    let source = Source { name: "registration", bytes: b"/nix/store/x\n" };
    let errors = Closure::from_registration(source, None, &store_dir()).unwrap_err();
    let error = errors.iter().next().unwrap();
    assert_eq!(error.place().map(ToString::to_string), Some("registration:1".to_owned()));
    let elsewhere = ClosureError::NotInTree { path: ImagePath::root() };
    assert_eq!(elsewhere.place(), None);
}

#[test]
fn paths_are_found_where_the_closure_is_placed() {
    let items = items();
    let tree = tree(&items);
    let closure = closure(&registration(&items));
    assert_eq!(closure.place(), &store_dir());
    let names = |nodes: Vec<image_tree::NodeId>| {
        nodes.iter().map(|&node| tree.name(node).to_vec()).collect::<Vec<_>>()
    };
    let all: Vec<_> = items.keys().cloned().collect();
    assert_eq!(names(closure.nodes(&tree)), all);
    let found = closure.nodes_of_paths(&tree);
    assert!(found.iter().all(|(node, info)| tree.name(*node) == info.path.as_str().as_bytes()));
    assert_eq!(names(found.into_iter().map(|(node, _)| node).collect()), all);
    let moved = closure.placed(ImagePath::parse(b"/nix").unwrap());
    assert_eq!((moved.place().to_string(), moved.store_dir()), ("/nix".to_owned(), &store_dir()));
    assert_eq!(moved.nodes(&tree), []);
}
