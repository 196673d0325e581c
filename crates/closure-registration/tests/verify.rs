//! Checks of sizes and hashes of a tree against the registration.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

#[allow(dead_code, reason = "shared by several tests, none of which needs all")]
mod common;

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

use closure_registration::{
    Closure, ClosureErrors, StreamingHashes, VerifyError, verify_hashes, verify_sizes,
};
use common::{Item, Items, base_name, closure, directory, file, open, registration, tree};
use image_tree::{FileTree, NodeKind};

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
