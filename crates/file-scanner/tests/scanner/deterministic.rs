use std::fs;
use std::num::NonZeroUsize;

use file_scanner::ScanOptions;

use crate::support::{World, chmod, dump, own_lines, wildcard};

/// The same contents, created in another order, so with other inode numbers, hash orders and link counts.
fn world(backwards: bool) -> World {
    let mut world = World::new();
    let mut names: Vec<usize> = (0..3000).collect();
    if backwards {
        names.reverse();
    }
    for name in names {
        world.write(&format!("store/aaa-flat/{name}"), &"x".repeat(name % 7));
        let file = world.write(&format!("store/bbb-wide/{}/{}/{name}", name % 13, name % 5), "");
        chmod(&file, if name % 3 == 0 { 0o755 } else { 0o600 });
        world.write(&format!("tree/many/{name}"), "");
        if name % 10 == 0 {
            world.symlink(&format!("tree/links/{name}"), "../many");
        }
    }
    let (first, second) = if backwards { ("tree/two", "tree/one") } else { ("tree/one", "tree/two") };
    world.write(first, "linked");
    fs::hard_link(world.at(first), world.at(second)).unwrap();
    if backwards {
        fs::hard_link(world.at("store/aaa-flat/5"), world.at("store/.links-5")).unwrap();
    }
    world.store("store", &["aaa-flat", "bbb-wide"]);
    world.tree("tree", "/").xattrs = Some(vec![wildcard("user.")]);
    world
}

fn threads(count: usize, world: &World) -> String {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap();
    pool.install(|| world.dump())
}

#[test]
fn the_tree_does_not_depend_on_the_order_of_creation_or_on_threads() {
    let (one, other) = (world(false), world(true));
    let dump = threads(1, &one);
    assert_eq!(own_lines(&dump).len(), 2 + 1 + 3000 + 1 + 13 + 65 + 3000 + 1 + 3000 + 1 + 300 + 2);
    assert!(dump == threads(4, &one), "threads must not matter");
    for readers in [1, 2, 32] {
        let options = ScanOptions {
            threads: NonZeroUsize::MIN,
            readers: readers.try_into().unwrap(),
            ..ScanOptions::default()
        };
        assert!(
            dump == crate::support::dump(&one.scan_with(&options).unwrap().tree),
            "readers must not matter"
        );
    }
    assert!(dump == threads(3, &other), "the order of creation must not matter");
}

#[test]
fn the_tree_depends_on_the_contents() {
    let world = world(false);
    let before = dump(&world.scan().unwrap().tree);
    world.write("store/aaa-flat/5", "longer than before");
    assert_ne!(before, world.dump());
}

#[test]
fn progress_counts_every_entry_found() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let world = world(false);
    let found = AtomicU64::new(0);
    let sources = file_scanner::Sources {
        store: world.store.clone(),
        trees: &world.trees,
        entries: &world.entries,
        attributes: &world.attributes,
        inline: Vec::new(),
        folders: Vec::new(),
        lost_and_found: true,
        timestamp: image_tree::Timestamp::STORE,
    };
    let scan = file_scanner::scan(&sources, &|entries| {
        found.fetch_add(entries, Ordering::Relaxed);
    });
    // All except the root, /nix, /nix/store and /lost+found are from the host.
    assert_eq!(usize::try_from(found.into_inner()).unwrap(), scan.unwrap().tree.len() - 4);
}
