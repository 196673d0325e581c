//! Properties of any input.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

#[allow(dead_code, reason = "shared by several tests, none of which needs all")]
mod common;

use std::fmt::Write;

use closure_registration::{Closure, NarHash, NarPart, Source, StorePath, nar_parts, nar_size};
use common::{Item, Items, nar, open, tree};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

fn names() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_map(|b| if b == b'/' || b == 0 { b'_' } else { b }), 1..20)
        .prop_filter("is a directory itself", |name| name != b"." && name != b"..")
}

fn items() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        (any::<bool>(), vec(any::<u8>(), 0..40))
            .prop_map(|(executable, bytes)| Item::File { executable, bytes }),
        vec(1..=255_u8, 1..20).prop_map(Item::Symlink),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| btree_map(names(), inner, 0..6).prop_map(Item::Directory))
}

/// A registration of paths that refer to one another, and its text.
fn registrations() -> impl Strategy<Value = String> {
    let numbers =
        btree_set(0..1000_usize, 0..20).prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle();
    (numbers, any::<[u8; 32]>(), vec(any::<prop::sample::Index>(), 40), any::<u64>()).prop_map(
        |(numbers, hash, picks, size)| {
            let path = |n: usize| format!("/nix/store/{n:032}-name-{n}");
            let mut picks = picks.into_iter();
            let mut text = String::new();
            for &n in &numbers {
                let mut references: Vec<_> =
                    picks.by_ref().take(n % 4).map(|pick| numbers[pick.index(numbers.len())]).collect();
                references.sort_unstable();
                references.dedup();
                let deriver = if n % 2 == 0 { path(n) + ".drv" } else { String::new() };
                let hash = NarHash::from_bytes(hash);
                writeln!(text, "{}\n{hash}\n{size}\n{deriver}\n{}", path(n), references.len()).unwrap();
                for reference in references {
                    writeln!(text, "{}", path(reference)).unwrap();
                }
            }
            text
        },
    )
}

/// The same closure as a reference graph.
fn graph(closure: &Closure, by_path: bool) -> serde_json::Value {
    let shown = |path: &StorePath| format!("/nix/store/{path}");
    let records = closure.paths().iter().map(|info| {
        let references: Vec<_> = info.references.iter().map(shown).collect();
        serde_json::json!({
            "path": shown(&info.path),
            "narHash": info.nar_hash.to_string(),
            "narSize": info.nar_size,
            "references": references,
            "deriver": info.origin.deriver.as_ref().map(shown),
        })
    });
    if by_path {
        let keyed = records.map(|record| (record["path"].as_str().unwrap().to_owned(), record.clone()));
        serde_json::Value::Object(keyed.collect())
    } else {
        records.collect()
    }
}

fn read(text: &[u8]) -> Closure {
    Closure::from_registration(Source { name: "r", bytes: text }, None, &common::store_dir()).unwrap()
}

proptest! {
    // Failing seeds are saved next to this file; commit them.
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_parts_of_a_nar_are_the_nar_written_the_simple_way(item in items()) {
        let name = common::base_name('0', "x");
        let tree = tree(&Items::from([(name, item.clone())]));
        let top = tree.children(tree.find(&common::store_dir()).unwrap()).next().unwrap();
        let mut whole = Vec::new();
        for part in nar_parts(&tree, top).unwrap() {
            match part {
                NarPart::Framing(bytes) => whole.extend(bytes),
                NarPart::File { node, size } => {
                    let bytes = open(&tree, node).into_inner();
                    prop_assert_eq!(bytes.len(), usize::try_from(size).unwrap());
                    whole.extend(bytes);
                }
            }
        }
        prop_assert_eq!(nar_size(&tree, top).unwrap(), u64::try_from(whole.len()).unwrap());
        prop_assert_eq!(whole, nar(&item));
    }

    #[test]
    fn a_registration_survives_reading_and_writing(text in registrations()) {
        prop_assert_eq!(String::from_utf8(read(text.as_bytes()).registration()).unwrap(), text);
    }

    #[test]
    fn a_graph_and_its_registration_are_the_same_closure(text in registrations(), by_path in any::<bool>()) {
        let closure = read(text.as_bytes());
        let other = Closure::from_graph("g", &graph(&closure, by_path), &common::store_dir()).unwrap();
        prop_assert_eq!(closure.paths(), other.paths());
    }

    #[test]
    fn a_truncated_registration_is_rejected(text in registrations(), at in any::<prop::sample::Index>()) {
        let cut = &text.as_bytes()[..at.index(text.len() + 1)];
        let source = Source { name: "r", bytes: cut };
        if let Ok(closure) = Closure::from_registration(source, None, &common::store_dir()) {
            // Cut between two records, and no remaining record refers to a lost one.
            prop_assert_eq!(closure.registration(), cut);
        }
    }

    #[test]
    fn hashes_survive_writing_and_reading(bytes in any::<[u8; 32]>()) {
        let hash = NarHash::from_bytes(bytes);
        prop_assert_eq!(NarHash::parse(hash.to_string().as_bytes()), Ok(hash));
        let base16 = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        prop_assert_eq!(NarHash::parse(base16.as_bytes()), Ok(hash));
    }
}
