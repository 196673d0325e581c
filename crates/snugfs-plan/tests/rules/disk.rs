//! Disks and their partitions.

use serde_json::{Value, json};
use snugfs_plan::TablePlan;

use crate::support::{problems, read};

#[test]
fn the_identifier_of_an_mbr_is_a_number_or_hexadecimal() {
    let plan = |id: Value| {
        let root = json!({ "type": "83", "content": { "kind": "root" } });
        json!({ "disk": { "table": "mbr", "id": id, "partitions": [root] } })
    };
    for id in [json!(0x2178_694e), json!("0x2178694e"), json!("0x2178694E")] {
        let table = read(&plan(id.clone())).disk.unwrap().table;
        assert_eq!(table, TablePlan::Mbr { id: Some(0x2178_694e) }, "{id}");
    }
    assert_eq!(problems(&plan(json!(u32::MAX))), [""; 0]);
    for id in [json!(1_u64 << 32), json!(-1), json!("2178694e"), json!("0x"), json!("0x100000000")] {
        let found = problems(&plan(id.clone()));
        assert!(matches!(&found[..], [one] if one.contains("is not a number of 32 bits")), "{id}: {found:?}");
    }
}
