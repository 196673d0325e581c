//! Sizes in the image that this one is compared with.

use std::collections::BTreeMap;

use image_explain::{Change, Kind, PathSize};
use image_tree::escaped;
use serde_json::{Value, json};

use snugfs_core::explain::Difference;

use crate::explain::compare::name;
use crate::explain::rows::kind_name;

/// The most changes with a row.
const MOST_ROWS: usize = 60;

/// Sizes in the older image, in \[bytes\]; empty without `--compare`.
#[derive(Default)]
pub(super) struct Before<'d> {
    difference: Option<&'d Difference<'d>>,
    /// The name of the older image.
    other: Option<&'d str>,
    /// By hash and name in the new image.
    paths: BTreeMap<&'d str, u64>,
}

impl<'d> Before<'d> {
    pub(super) fn new(difference: Option<&'d Difference<'d>>, other: Option<&'d str>) -> Self {
        let changes = difference.into_iter().flat_map(|difference| &difference.paths);
        let path = |change: &Change<'d>| {
            Some((change.after?.base_name, change.before.map_or(0, |before| before.bytes)))
        };
        Self { difference, other, paths: changes.filter_map(path).collect() }
    }

    /// The whole image.
    pub(super) fn image(&self) -> Option<u64> {
        self.difference.map(|difference| difference.before.total)
    }

    /// A store path, by its hash and name in the new image; 0 for a new path.
    pub(super) fn path(&self, base_name: &str) -> Option<u64> {
        self.paths.get(base_name).copied()
    }

    /// A part of the root.
    pub(super) fn part(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::StorePaths => {
                let paths = &self.difference?.before.store_paths;
                Some(paths.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes)))
            }
            kind => self.other(kind_name(kind)),
        }
    }

    /// A part that is not a store path, by its name in the comparison.
    pub(super) fn other(&self, name: &str) -> Option<u64> {
        let mut others = self.difference?.others.iter();
        others.find(|(other, ..)| *other == name).map(|(_, before, _)| *before)
    }

    /// The comparison for the page: name and size of the older image, and the largest changes, each with its name, the size
    /// before and after, and the number of its store path (-1 for none).
    pub(super) fn into_value(self, path_number: impl Fn(&str) -> Option<usize>) -> Value {
        let Some(difference) = self.difference else { return Value::Null };
        let bytes = |path: Option<PathSize<'_>>| path.map_or(0, |path| path.bytes);
        let paths = difference.paths.iter().filter(|change| change.growth() != 0).take(MOST_ROWS);
        let paths = paths.map(|change| {
            let number = change.after.and_then(|path| path_number(path.base_name));
            (name(change), bytes(change.before), bytes(change.after), number)
        });
        let others = difference.others.iter().filter(|(_, before, after)| before != after);
        let others =
            others.map(|&(name, before, after)| (escaped(name.as_bytes()).to_string(), before, after, None));
        let mut rows: Vec<_> = paths.chain(others).collect();
        rows.sort_by_key(|(_, before, after, _)| std::cmp::Reverse(before.abs_diff(*after)));
        rows.truncate(MOST_ROWS);
        let row = |(name, before, after, number): (String, u64, u64, Option<usize>)| {
            json!([name, before, after, number.map_or(json!(-1), |number| json!(number))])
        };
        json!({
            "name": escaped(self.other.unwrap_or_default().as_bytes()).to_string(),
            "bytes": difference.before.total,
            "rows": rows.into_iter().map(row).collect::<Vec<_>>(),
        })
    }
}
