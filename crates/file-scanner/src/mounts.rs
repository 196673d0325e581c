//! Other file systems that are mounted below a tree: mostly nobody meant to take them in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::{ScanError, shown};
use crate::found::{DirectoryId, Found};
use crate::inspect::Problem;

/// How many mount points a message names.
const NAMED: usize = 5;

/// Takes what is wrong in mounted file systems out of the problems, and makes one error of it for each mount: thousands of
/// lines about the files of /proc help nobody.
pub(crate) fn errors(
    found: &Found,
    problems: &mut Vec<(DirectoryId, Option<usize>, Problem)>,
) -> Vec<(PathBuf, ScanError)> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    problems.retain(|(directory, ..)| match mount_of(found, *directory) {
        Some(mount) => {
            *counts.entry(mount).or_default() += 1;
            false
        }
        None => true,
    });
    let error = |(mount, count): (usize, usize)| {
        let path = found.host_path(found.mounts.get(mount).copied().unwrap_or(DirectoryId(0)), None);
        (path.clone(), ScanError::InMount { path: shown(&path), count })
    };
    counts.into_iter().map(error).collect()
}

/// The position of the mount that a directory is in.
fn mount_of(found: &Found, directory: DirectoryId) -> Option<usize> {
    let mut at = directory;
    loop {
        if let Some(mount) = found.mounts.iter().position(|mount| *mount == at) {
            return Some(mount);
        }
        match found.directory(at) {
            Some(directory) if directory.parent != at => at = directory.parent,
            _ => return None,
        }
    }
}

/// What people should know of the mounts below each tree; `first_tree` is the position of the first among the sources.
pub(crate) fn warnings(found: &Found, first_tree: usize) -> Vec<String> {
    let mut by_tree: BTreeMap<usize, Vec<PathBuf>> = BTreeMap::new();
    for &mount in &found.mounts {
        let tree = found.source_of(mount).saturating_sub(first_tree);
        by_tree.entry(tree).or_default().push(found.host_path(mount, None));
    }
    let line = |(tree, mut paths): (usize, Vec<PathBuf>)| {
        paths.sort();
        let named: Vec<_> = paths.iter().take(NAMED).map(|path| shown(path)).collect();
        let more = match paths.len().saturating_sub(named.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "plan.trees[{tree}]: takes in other file systems that are mounted at {}{more}; set \"oneFileSystem\" to true to \
             leave them out, or to false to take them in without this warning",
            named.join(", ")
        )
    };
    by_tree.into_iter().map(line).collect()
}
