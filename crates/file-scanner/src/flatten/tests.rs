use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use image_tree::{ImagePath, Origin};
use snugfs_plan::TreePlan;

use super::*;
use crate::found::{BATCH, FoundDirectory, Part, TreePart};
use crate::listing::Listing;
use crate::owners::Overflow;

const NAMESPACE: Namespace = Namespace { users: Overflow::None, groups: Overflow::None };

const HOST: HostMetadata = HostMetadata { mode: 0o644, uid: 0, gid: 0, seconds: 7, nanoseconds: 0 };

/// A tree with this many entries, all of the same kind and with the same metadata and place.
fn tree_of(count: usize, kind: Kind, host: HostMetadata, place: Option<Place>) -> Found {
    let names: Vec<Vec<u8>> = (0..count).map(|number| format!("{number:05}").into_bytes()).collect();
    let mut root = FoundDirectory::new(DirectoryId(0), 0);
    root.listing = Some(Arc::new(Listing::of_names(&names).unwrap()));
    for batch in names.chunks(BATCH) {
        let places = place.into_iter().cycle().take(batch.len()).collect();
        let metadata = vec![host; batch.len()];
        let tree = Some(Box::new(TreePart { metadata, places, ..TreePart::default() }));
        root.parts.push(Part { kinds: vec![kind; batch.len()], tree, ..Part::default() });
    }
    let sources = vec![PathBuf::from("/source")];
    Found { directories: vec![root], sources, mounts: Vec::new(), own: Vec::new() }
}

fn flattened(plan: &TreePlan, found: &Found, namespace: Namespace) -> Result<Scan, Vec<Located>> {
    let (entries, attributes) = (BTreeMap::new(), BTreeMap::new());
    let sources = Sources {
        store: None,
        trees: std::slice::from_ref(plan),
        entries: &entries,
        attributes: &attributes,
        inline: Vec::new(),
        folders: Vec::new(),
        lost_and_found: false,
        timestamp: Timestamp::STORE,
    };
    let origin =
        Origin { source: plan.source.clone(), target: plan.target.clone(), folder: None, container: None };
    let files = EntryFiles { origins: vec![origin], ..EntryFiles::default() };
    let attributes = Attributes::new(sources.attributes, &mut Vec::new());
    let tree = PlanTree::new(&sources, &attributes, &mut Vec::new());
    flatten(&sources, (&tree, &attributes), found, &files, namespace)
}

fn plan() -> TreePlan {
    let mut plan = TreePlan::new("/source".into(), ImagePath::root());
    (plan.kind, plan.keep_owner, plan.keep_times) = (Some(TreeKind::Folder), Some(true), Some(true));
    plan
}

#[test]
fn only_the_owners_that_a_folder_keeps_must_be_known() {
    let namespace = Namespace { users: Overflow::Unmapped(99), groups: Overflow::Ambiguous(98) };
    let other = Namespace { users: Overflow::Ambiguous(99), groups: Overflow::Unmapped(98) };
    let unmapped = |whose, id| Err(ScanError::UnmappedOwner { path: "/source/00000".to_owned(), whose, id });
    let in_doubt = |id| Ok(vec![format!("tree 0: /source/00000 show owner or group {id}, which may be one")]);
    let none = || Ok(Vec::new());
    for (keep_owner, kind, (uid, gid), namespace, expected) in [
        (true, TreeKind::Folder, (99, 0), namespace, unmapped("owner", 99)),
        (true, TreeKind::Folder, (0, 98), namespace, in_doubt(98)),
        (true, TreeKind::Folder, (99, 98), namespace, unmapped("owner", 99)),
        (true, TreeKind::Folder, (99, 0), other, in_doubt(99)),
        (true, TreeKind::Folder, (99, 98), other, unmapped("group", 98)),
        (true, TreeKind::Folder, (98, 99), other, none()),
        (true, TreeKind::Folder, (5, 6), namespace, none()),
        (true, TreeKind::Tar, (99, 98), namespace, none()),
        (true, TreeKind::Oci, (99, 98), other, none()),
        (false, TreeKind::Folder, (99, 98), namespace, none()),
    ] {
        let mut plan = plan();
        (plan.keep_owner, plan.kind) = (Some(keep_owner), Some(kind));
        let host = HostMetadata { uid, gid, ..HOST };
        let found = tree_of(1, Kind::Special(SpecialKind::Fifo), host, None);
        let result = match flattened(&plan, &found, namespace) {
            Ok(scan) => Ok(scan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Err(errors) => Err(errors[0].error.clone()),
        };
        let label = format!("{keep_owner} {kind:?} {uid}:{gid} {namespace:?}");
        match (result, expected) {
            (Ok(warnings), Ok(expected)) => {
                assert_eq!(warnings.len(), expected.len(), "{label}: {warnings:?}");
                let mut pairs = warnings.iter().zip(&expected);
                assert!(pairs.all(|(warning, start)| warning.starts_with(start)), "{label}: {warnings:?}");
            }
            (result, expected) => assert_eq!(result, expected, "{label}"),
        }
    }
}

#[test]
fn errors_say_which_source_they_belong_to() {
    let host = HostMetadata { seconds: i64::MAX, ..HOST };
    let found = tree_of(2, Kind::Special(SpecialKind::Fifo), host, None);
    let errors = flattened(&plan(), &found, NAMESPACE).unwrap_err();
    let expected = ["/source/00000", "/source/00001"].map(|path| ScanError::Time { path: path.to_owned() });
    assert_eq!(errors.iter().map(|located| located.source).collect::<Vec<_>>(), [Some(0), Some(0)]);
    assert_eq!(errors.into_iter().map(|located| located.error).collect::<Vec<_>>(), expected);
}

#[test]
fn the_scan_stops_after_ten_thousand_errors() {
    let host = HostMetadata { seconds: i64::MAX, ..HOST };
    for (entries, errors) in [(9_999, 9_999), (10_001, 10_001), (10_500, 10_001)] {
        let found = tree_of(entries, Kind::Special(SpecialKind::Fifo), host, None);
        assert_eq!(flattened(&plan(), &found, NAMESPACE).unwrap_err().len(), errors);
    }
}

#[test]
fn a_bug_stops_the_scan_at_once() {
    let file = Kind::File { size: 1, stamp: image_tree::FileStamp::of_mtime(0, 0), executable: false };
    let found = tree_of(3, file, HOST, Some(Place::Nowhere));
    let errors = flattened(&plan(), &found, NAMESPACE).unwrap_err();
    let errors: Vec<ScanError> = errors.into_iter().map(|located| located.error).collect();
    assert_eq!(errors, [ScanError::Internal("a file without contents".to_owned())]);
}
