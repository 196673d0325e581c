//! The longest and the shortest values.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::support::{disk, problems};

/// A plan with a text of this length.
type Plan<'a> = &'a dyn Fn(usize) -> Value;

/// A path of this number of bytes.
fn path_of(len: usize) -> String {
    let mut path = "/aaaaaaaaa".repeat(len / 10);
    path.push_str(&"/bbbbbbbbb"[..len % 10]);
    path
}

#[test]
fn the_longest_text_is_accepted_and_a_longer_one_is_not() {
    let partition = |field: &str, value: String| json!({ "type": "linux", "size": "1MiB", field: value });
    let content = |kind: &str, label: String| {
        let content = json!({ "kind": kind, "label": label });
        json!({ "disk": disk(vec![json!({ "type": "linux", "size": "1MiB", "content": content })]) })
    };
    let link = |target: String| json!({ "entries": { "/a": { "type": "symlink", "target": target } } });
    let xattr = |len: usize| {
        let xattrs = json!({ "user.a": BASE64.encode(&vec![0; len]) });
        json!({ "entries": { "/a": { "type": "fifo", "xattrs": xattrs } } })
    };
    let verity = |salt: String| json!({ "filesystem": { "seal": true, "verity": { "salt": salt } } });
    let tar = |member: String| json!({ "output": { "format": "tar", "member": member } });
    let limits: [(Plan<'_>, usize, &str); 10] = [
        (&|len| json!({ "trees": [{ "source": "a", "target": path_of(len) }] }), 4095, " has 4096 bytes"),
        (&|len| link("a".repeat(len)), 4095, " the target has 4096 bytes"),
        (&|len| json!({ "variants": [{ "output": "a".repeat(len) }] }), 255, " the name has 256 bytes"),
        (&|len| tar("a".repeat(len)), 100, " the name has 101 bytes"),
        (&|len| json!({ "filesystem": { "label": "a".repeat(len) } }), 16, " has 17 bytes"),
        (
            &|len| json!({ "disk": disk(vec![partition("name", "a".repeat(len))]) }),
            36,
            " has 37 UTF-16 units",
        ),
        (&|len| content("fat", "A".repeat(len)), 11, " has 12 bytes"),
        (&|len| content("swap", "a".repeat(len)), 15, " has 16 bytes"),
        (&|len| verity("ab".repeat(len)), 256, " the salt has 514 digits"),
        (&xattr, 65536, " the value has 65537 bytes"),
    ];
    for (plan, longest, problem) in limits {
        assert_eq!(problems(&plan(longest)), [""; 0], "{problem}");
        let found = problems(&plan(longest + 1));
        assert!(matches!(&found[..], [one] if one.contains(problem)), "{problem}: {found:?}");
    }
}

/// Characters outside of the basic plane have two units.
#[test]
fn names_of_partitions_are_counted_in_units_of_utf16() {
    let plan =
        |name: String| json!({ "disk": disk(vec![json!({ "type": "linux", "size": 512, "name": name })]) });
    assert_eq!(problems(&plan("😀".repeat(18))), [""; 0]);
    let found = problems(&plan("😀".repeat(18) + "a"));
    assert!(found[0].contains("the name has 37 UTF-16 units"), "{found:?}");
}

#[test]
fn a_partition_with_a_file_system_has_at_least_a_block() {
    let plan = |size: u64, content: Value| {
        json!({ "disk": { "table": "gpt", "partitions": [
        { "type": "linux", "size": size, "content": content },
        { "type": "linux", "content": { "kind": if content["kind"] == "root" { "fat" } else { "root" } } },
    ] } })
    };
    for kind in ["root", "ext4"] {
        let found = [3584, 4096, 4608].map(|size| problems(&plan(size, json!({ "kind": kind }))));
        let too_small = "plan.disk.partitions[0]: a partition of 3584 bytes has no room for a file system; \
                         write a larger \"size\", or none for as much as it needs";
        assert_eq!(found, [vec![too_small.to_owned()], Vec::new(), Vec::new()], "{kind}");
    }
    let found = problems(&plan(512, json!({ "kind": "raw", "source": "a" })));
    assert_eq!(found, [""; 0]);
}
