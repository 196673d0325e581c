//! Whatever bytes a plan has, they are read or refused in words.

#![expect(clippy::unwrap_used, reason = "what a test can't do without ends it")]

use std::path::{Path, PathBuf};

use build_plan::fuzzing::plan_bytes;
use proptest::prelude::*;
use proptest::sample::Index;

/// The plans of the table, good and bad.
fn seeds() -> Vec<Vec<u8>> {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/plans");
    let mut paths: Vec<PathBuf> = ["good", "bad"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(plans.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Texts that are more than their bytes to a plan.
const TOKENS: [&str; 24] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "0.5",
    "1e3",
    "18446744073709551616",
    "\"/\"",
    "\"/a/../b\"",
    "\"16MiB\"",
    "\"9999999999TiB\"",
    "\"\\u0000\"",
    "\"\\n\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "\"plan\":",
    "\"graph\":",
    "\"type\":",
];

#[derive(Clone, Debug)]
enum Mutation {
    Byte(Index, u8),
    Token(Index, Index),
    Cut(Index, Index),
    Repeat(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(at, token)| Mutation::Token(at, token)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Cut(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    match mutation {
        Mutation::Byte(at, byte) => *at.get_mut(bytes) = *byte,
        Mutation::Token(at, token) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, token.get(&TOKENS).bytes());
        }
        Mutation::Cut(one, other) => {
            let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
            bytes.drain(one.min(other)..one.max(other));
        }
        Mutation::Repeat(one, other) => {
            let (one, other) = (one.index(bytes.len()), other.index(bytes.len()));
            let run = bytes[one.min(other)..one.max(other)].to_vec();
            bytes.splice(one..one, run);
        }
    }
}

/// Replaces one value of a plan, so that the rest of it stays readable.
fn replace_value(bytes: &[u8], which: Index, token: &str) -> Option<Vec<u8>> {
    fn values(value: &mut serde_json::Value, left: &mut usize, new: &serde_json::Value) {
        if *left == 0 {
            *value = new.clone();
        }
        *left = left.wrapping_sub(1);
        match value {
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| values(item, left, new)),
            serde_json::Value::Object(fields) => fields.values_mut().for_each(|item| values(item, left, new)),
            _ => (),
        }
    }
    let mut plan: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let new = serde_json::from_str(token).ok()?;
    values(&mut plan, &mut which.index(30), &new);
    serde_json::to_vec(&plan).ok()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(1000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        plan_bytes(&bytes);
    }

    #[test]
    fn mutated_plans_are_read_or_refused(
        seed in any::<Index>(),
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        let seeds = seeds();
        let mut bytes = seed.get(&seeds).clone();
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        plan_bytes(&bytes);
    }

    #[test]
    fn plans_with_a_value_of_another_kind_are_read_or_refused(
        seed in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), any::<Index>()), 1..4),
    ) {
        let seeds = seeds();
        let mut bytes = seed.get(&seeds).clone();
        for (which, token) in changes {
            if let Some(changed) = replace_value(&bytes, which, TOKENS[token.index(TOKENS.len())]) {
                bytes = changed;
            }
        }
        plan_bytes(&bytes);
    }
}

#[test]
fn large_and_deep_plans_are_refused_in_time() {
    let mut many = br#"{"version": 1, "filesystem": {"#.to_vec();
    for index in 0..200_000 {
        many.extend_from_slice(format!("\"lab{index}\": 0, ").as_bytes());
    }
    many.extend_from_slice(br#""label": ""}}"#);
    plan_bytes(&many);

    let long_path =
        format!(r#"{{"version": 1, "trees": [{{"source": "a", "target": "{}"}}]}}"#, "/a".repeat(1 << 20));
    plan_bytes(long_path.as_bytes());
    let long_name = format!(r#"{{"version": 1, "{}": 0}}"#, "a".repeat(1 << 22));
    plan_bytes(long_name.as_bytes());
    plan_bytes(&b"[".repeat(1 << 22));
    plan_bytes(&[&b"{\"version\": 1, \"trees\": ["[..], &b"0,".repeat(1 << 23), b"0]}"].concat());
}
