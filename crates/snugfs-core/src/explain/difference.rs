//! The difference between the sizes of two images.

use image_explain::{Change, PathSize, compare};

use super::Sizes;

/// The sizes of two images, compared.
#[derive(Debug)]
pub struct Difference<'s> {
    /// The older image.
    pub before: &'s Sizes,
    /// The newer image.
    pub after: &'s Sizes,
    /// Store paths: new, removed, changed and unchanged ones.
    pub paths: Vec<Change<'s>>,
    /// Other parts: name, size before, size after. Parts of the newer image come first.
    pub others: Vec<(&'s str, u64, u64)>,
}

impl<'s> Difference<'s> {
    /// Compares two images.
    #[must_use]
    pub fn of(before: &'s Sizes, after: &'s Sizes) -> Self {
        let paths = |sizes: &'s Sizes| -> Vec<PathSize<'s>> {
            let path = |(base_name, bytes): &'s (String, u64)| PathSize { base_name, bytes: *bytes };
            sizes.store_paths.iter().map(path).collect()
        };
        let mut others: Vec<(&str, u64, u64)> =
            after.others.iter().map(|(name, bytes)| (name.as_str(), 0, *bytes)).collect();
        for (name, bytes) in &before.others {
            match others.iter_mut().find(|(other, _, _)| other == name) {
                Some((_, before, _)) => *before = *bytes,
                None => others.push((name, *bytes, 0)),
            }
        }
        Self { before, after, paths: compare(&paths(before), &paths(after)), others }
    }
}
