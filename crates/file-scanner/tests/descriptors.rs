//! The number of descriptors that a scan needs. A test program of its own, because the limit applies to the whole process.

use std::collections::BTreeMap;
use std::fs;

use file_scanner::{Sources, most_readers, scan};
use image_tree::{ImagePath, Timestamp};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use snugfs_plan::TreePlan;

#[test]
fn a_wide_and_a_deep_tree_need_few_descriptors_and_the_soft_limit_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    for wide in 0..2000 {
        fs::create_dir(folder.path().join(format!("wide{wide}"))).unwrap();
    }
    fs::create_dir_all(folder.path().join("deep/".repeat(300))).unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(300), maximum }).unwrap();
    assert_eq!(most_readers().get(), 5);
    setrlimit(Resource::Nofile, Rlimit { current: Some(16), maximum: Some(64) }).unwrap();

    let trees = [TreePlan::new(folder.path().to_owned(), ImagePath::root())];
    let sources = Sources {
        store: None,
        trees: &trees,
        entries: &BTreeMap::new(),
        attributes: &BTreeMap::new(),
        inline: Vec::new(),
        folders: Vec::new(),
        lost_and_found: true,
        timestamp: Timestamp::STORE,
    };
    let scanned = scan(&sources, &|_| {}).map(|scan| scan.tree.len());
    assert_eq!(scanned, Ok(2 + 2000 + 300));
    assert_eq!(getrlimit(Resource::Nofile).current, Some(64));

    // The number of directories with a sibling on the way down is above the limit.
    let mut at = folder.path().to_owned();
    for _ in 0..300 {
        at.push("deep");
        fs::create_dir(at.join("a")).unwrap();
        fs::create_dir(at.join("z")).unwrap();
    }
    match scan(&sources, &|_| {}) {
        Ok(scan) => assert_eq!(scan.tree.len(), 2 + 2000 + 900),
        Err(errors) => assert!(errors.to_string().contains("raise the limit (ulimit -n)"), "{errors}"),
    }
}
