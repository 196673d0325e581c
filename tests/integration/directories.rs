//! Directories with an index: Linux finds every name.

use serde_json::{Map, json};

use crate::support::*;

/// Numbers of names, of which 23229 and 102632 have one hash with [`COLLIDING_UUID`] and are split between two blocks:
/// 14 names have a lower hash, and a block holds 15.
const NUMBERS: [u32; 19] = [0, 1, 3, 5, 6, 8, 9, 10, 12, 14, 15, 16, 17, 19, 23_229, 102_632, 2, 4, 7];
const COLLIDING_UUID: &str = "736e7567-6673-2074-6573-742075756964";

#[test]
fn names_with_equal_hashes_are_found_across_a_block_boundary() {
    let name = |number: u32| format!("{number:0255}");
    let entries: Map<_, _> = NUMBERS
        .iter()
        .map(|&number| {
            (format!("/d/{}", name(number)), json!({ "type": "file", "text": number.to_string() }))
        })
        .collect();
    let mut plan = plan_of_entries(entries.into());
    plan["filesystem"]["uuid"] = json!(COLLIDING_UUID);
    let workspace = Workspace::with_plan(&plan);
    let image = workspace.build("d.img", []);
    let htree = debugfs(&image, "htree_dump /d");
    assert!(htree.contains("Hash 0x8f3db535 (**)"), "the names collide no longer: {htree}");
    let mounted = Mounted::new(&image);
    for number in NUMBERS {
        let path = mounted.path().join("d").join(name(number));
        assert_eq!(std::fs::read_to_string(path).unwrap(), number.to_string());
    }
}
