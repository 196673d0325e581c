//! Bodies of fuzz tests: each takes any bytes and panics where the crate breaks a promise.
#![doc(hidden)]

use std::path::Path;

/// A plan of any bytes is either read, with every path of this machine joined, or refused in words, a line each.
pub fn plan_bytes(data: &[u8]) {
    let base = Path::new("/base");
    match crate::parse(data, base) {
        Ok(plan) => {
            assert!(
                plan.root.trees.iter().all(|tree| tree.source.is_absolute()),
                "a tree's source was not joined"
            );
            assert_eq!(crate::parse(data, base).as_ref(), Ok(&plan), "the same bytes gave another plan");
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "the plan was refused without a word");
            for line in problems.iter().map(ToString::to_string) {
                assert!(line.starts_with("plan") && line.contains(": ") && line.contains("; "), "{line:?}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
}
