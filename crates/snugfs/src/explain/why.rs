//! `explain --why NAME`: the chain of references from a root to a store path, its referrers and its references.

use std::fmt::Write;

use closure_registration::PathInfo;
use image_explain::{FileSystem, StoreName};

use snugfs_core::explain::{ExplainedVolume, store_name};
use snugfs_core::human::{counted, size, wrapped};
use snugfs_core::{Failure, FailureKind, Problem, one_line};

use super::rows::{COLUMNS, fit};

/// The answers for all names, one after another.
pub(super) fn text(systems: &[ExplainedVolume<'_>], names: &[String]) -> Result<String, Failure> {
    let mut text = String::new();
    let mut problems = Vec::new();
    for name in names {
        let mut found = false;
        for system in systems {
            for path in named(&system.explained, name) {
                found = true;
                if !text.is_empty() {
                    text.push('\n');
                }
                answer(&mut text, &system.explained, path);
            }
        }
        if !found {
            problems.push(unknown(systems, name));
        }
    }
    if problems.is_empty() { Ok(text) } else { Err(Failure::all(FailureKind::Usage, problems)) }
}

/// The store paths with a name: a whole path, hash and name, a name, or a name without version.
fn named(explained: &FileSystem<'_>, name: &str) -> Vec<usize> {
    let base = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let matching = |is: fn(StoreName<'_>, &str, &str) -> bool| -> Vec<usize> {
        let paths = explained.paths().iter().enumerate();
        let named = |(path, info): &(usize, &PathInfo)| is(explained.name(*path), info.path.as_str(), base);
        paths.filter(named).map(|(path, _)| path).collect()
    };
    let mut found = matching(|_, whole, base| whole == base);
    for is in [
        |name: StoreName<'_>, _: &str, base: &str| name.full == base,
        |name: StoreName<'_>, _: &str, base: &str| name.name == base,
        // At least four digits of a hash.
        |_: StoreName<'_>, whole: &str, base: &str| base.len() >= 4 && whole.starts_with(base),
    ] {
        if found.is_empty() {
            found = matching(is);
        }
    }
    found
}

fn unknown(systems: &[ExplainedVolume<'_>], name: &str) -> Problem {
    const NAMED: usize = 3;
    let matches = |whole: &str| whole.to_lowercase().contains(&name.to_lowercase());
    let all = systems.iter().flat_map(|system| {
        let paths = 0..system.explained.paths().len();
        paths.map(|path| system.explained.name(path).full)
    });
    let like: Vec<&str> = all.filter(|whole| !name.is_empty() && matches(whole)).take(NAMED).collect();
    let hint = if like.is_empty() {
        "`snugfs explain PLAN --json` lists all of them".to_owned()
    } else {
        format!("did you mean {}?", like.join(", "))
    };
    Problem::new("--why", format!("no store path has the name {}", one_line(name)), hint)
}

fn answer(text: &mut String, explained: &FileSystem<'_>, path: usize) {
    let info = &explained.paths()[path];
    let found = &explained.store_paths[path];
    for line in wrapped(info.path.as_str(), COLUMNS) {
        let _ = writeln!(text, "{}", fit(&line, COLUMNS));
    }
    let _ = writeln!(text, "  itself     {:>11}", size(found.own));
    let _ = writeln!(text, "  exclusive  {:>11}  would leave the image with it", size(found.exclusive));
    let chain = explained.references.way_to(path);
    if chain.len() > 1 {
        let _ = writeln!(text, "  is there because of");
        for (depth, &step) in chain.iter().enumerate() {
            // The indent is limited, so that long chains fit the terminal.
            let indent = 4 + 2 * depth.min(12);
            let arrow = if depth == 0 { "" } else { "-> " };
            let name = fit(&store_name(explained, step), COLUMNS - indent - arrow.len());
            let _ = writeln!(text, "{:indent$}{arrow}{name}", "");
        }
        match found.only_through {
            Some(above) => {
                let name = fit(&store_name(explained, above), COLUMNS - 44);
                let _ = writeln!(text, "  and would not be there without {name}");
            }
            None => {
                let _ = writeln!(text, "  and also by other chains: it does not depend on any one of these");
            }
        }
    } else if explained.references.referrers(path).is_empty() {
        let _ = writeln!(text, "  is a root: it is in the closure, and no other path refers to it");
    } else {
        let _ = writeln!(text, "  is a root: only paths that it needs itself refer to it");
    }
    listed(text, explained, "referred to by", explained.references.referrers(path));
    listed(text, explained, "refers to", explained.references.references(path));
}

/// A table of paths, those with the largest exclusive size first.
fn listed(text: &mut String, explained: &FileSystem<'_>, what: &str, paths: &[usize]) {
    const NAME: usize = 52;
    if paths.is_empty() {
        return;
    }
    let mut paths = paths.to_vec();
    paths.sort_by_key(|&path| std::cmp::Reverse(explained.store_paths[path].exclusive));
    let count = counted(u64::try_from(paths.len()).unwrap_or(u64::MAX), "path");
    let head = format!("  {what} {count}");
    let _ = writeln!(text, "{head:<56}{:>11}{:>11}", "itself", "exclusive");
    for path in paths {
        let found = &explained.store_paths[path];
        let name = fit(&store_name(explained, path), NAME);
        let _ = writeln!(text, "    {name:<NAME$}{:>11}{:>11}", size(found.own), size(found.exclusive));
    }
}
