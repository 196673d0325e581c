//! Compares the store paths of two images: what was added, removed or updated, and by how much it grew or shrank.

use std::collections::BTreeMap;

use crate::StoreName;

/// A store path and its size in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathSize<'a> {
    /// Base name of the path: hash, dash and name.
    pub base_name: &'a str,
    /// Size in \[bytes\], whole blocks.
    pub bytes: u64,
}

/// The change of a store path. At least one of the two is `Some`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The path before; `None` if it was added.
    pub before: Option<PathSize<'a>>,
    /// The path after; `None` if it was removed.
    pub after: Option<PathSize<'a>>,
}

impl<'a> Change<'a> {
    /// Growth in \[bytes\]; negative if it shrank.
    pub fn growth(&self) -> i128 {
        let bytes = |path: Option<PathSize<'_>>| path.map_or(0, |path| i128::from(path.bytes));
        bytes(self.after) - bytes(self.before)
    }

    /// The name after; before, if the path was removed.
    pub fn name(&self) -> StoreName<'a> {
        StoreName::of(self.after.or(self.before).map_or("", |path| path.base_name))
    }
}

/// Pairs the store paths of two images: first equal paths, then equal names with different hashes, then equal names and
/// outputs with different versions. Several candidates are paired in the order of version and size. The result is sorted by
/// the amount of change, largest first.
pub fn compare<'a>(before: &[PathSize<'a>], after: &[PathSize<'a>]) -> Vec<Change<'a>> {
    let mut pairing = Pairing { before: before.to_vec(), after: after.to_vec(), changes: Vec::new() };
    pairing.pair(|path| (path.base_name, ""));
    pairing.pair(|path| (StoreName::of(path.base_name).full, ""));
    pairing.pair(|path| {
        let name = StoreName::of(path.base_name);
        (name.name, name.output)
    });
    let Pairing { before, after, mut changes } = pairing;
    changes.extend(before.into_iter().map(|path| Change { before: Some(path), after: None }));
    changes.extend(after.into_iter().map(|path| Change { before: None, after: Some(path) }));
    changes.sort_by_cached_key(|change| {
        let path = change.after.or(change.before).map_or("", |path| path.base_name);
        (std::cmp::Reverse(change.growth().unsigned_abs()), change.name().full, path)
    });
    changes
}

/// The paths without a pair, and the pairs so far.
struct Pairing<'a> {
    before: Vec<PathSize<'a>>,
    after: Vec<PathSize<'a>>,
    changes: Vec<Change<'a>>,
}

impl<'a> Pairing<'a> {
    /// Pairs the paths with equal keys.
    fn pair(&mut self, key: impl Fn(&PathSize<'a>) -> (&'a str, &'a str)) {
        let mut by_key: BTreeMap<_, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for path in self.before.drain(..) {
            by_key.entry(key(&path)).or_default().0.push(path);
        }
        for path in self.after.drain(..) {
            by_key.entry(key(&path)).or_default().1.push(path);
        }
        for (mut before, mut after) in by_key.into_values() {
            let order =
                |path: &PathSize<'a>| (StoreName::of(path.base_name).full, path.bytes, path.base_name);
            before.sort_unstable_by_key(order);
            after.sort_unstable_by_key(order);
            let pairs = before.len().min(after.len());
            let both = before.drain(..pairs).zip(after.drain(..pairs));
            self.changes.extend(both.map(|(one, two)| Change { before: Some(one), after: Some(two) }));
            self.before.extend(before);
            self.after.extend(after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(hash: char, name: &str) -> String {
        format!("{}-{name}", hash.to_string().repeat(32))
    }

    /// The pairs, as `firefox-1.2 > firefox-1.3: 30`.
    fn changes(before: &[(char, &str, u64)], after: &[(char, &str, u64)]) -> Vec<String> {
        let named = |paths: &[(char, &str, u64)]| -> Vec<(String, u64)> {
            paths.iter().map(|&(hash, name, bytes)| (base(hash, name), bytes)).collect()
        };
        let (before, after) = (named(before), named(after));
        let sizes = |paths: &'static [(String, u64)]| -> Vec<PathSize<'static>> {
            paths.iter().map(|(base_name, bytes)| PathSize { base_name, bytes: *bytes }).collect()
        };
        let (before, after) = (sizes(before.leak()), sizes(after.leak()));
        let shown = |path: Option<PathSize<'_>>| {
            path.map_or_else(|| "-".to_owned(), |path| path.base_name[31..].to_owned())
        };
        compare(&before, &after)
            .iter()
            .map(|change| format!("{} > {}: {}", shown(change.before), shown(change.after), change.growth()))
            .collect()
    }

    #[test]
    fn pairs_versions_of_one_name() {
        let before = [('a', "firefox-1.2", 100), ('b', "glibc-2.38", 50), ('c', "gone-1", 7)];
        let after = [('d', "firefox-1.3", 130), ('b', "glibc-2.38", 50), ('e', "new-1", 9)];
        assert_eq!(
            changes(&before, &after),
            [
                "a-firefox-1.2 > d-firefox-1.3: 30",
                "- > e-new-1: 9",
                "c-gone-1 > -: -7",
                "b-glibc-2.38 > b-glibc-2.38: 0"
            ]
        );
    }

    #[test]
    fn pairs_paths_before_names_and_names_before_versions() {
        let before = [('a', "x-1", 10), ('b', "x-1", 10), ('c', "x-2", 10)];
        let after = [('b', "x-1", 10), ('d', "x-1", 11), ('e', "x-3", 12)];
        assert_eq!(changes(&before, &after), ["c-x-2 > e-x-3: 2", "a-x-1 > d-x-1: 1", "b-x-1 > b-x-1: 0"]);
    }

    #[test]
    fn pairs_only_the_same_output() {
        let before = [('a', "glibc-2.38", 100), ('b', "glibc-2.38-dev", 20)];
        let after = [('c', "glibc-2.39-dev", 21), ('d', "glibc-2.39", 105)];
        assert_eq!(
            changes(&before, &after),
            ["a-glibc-2.38 > d-glibc-2.39: 5", "b-glibc-2.38-dev > c-glibc-2.39-dev: 1"]
        );
    }
}
