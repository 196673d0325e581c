//! Trees, entries, closures, and conflicts between their paths.

use serde_json::{Value, json};
use snugfs_plan::{FstabTag, TreeKind, XattrPattern};

use crate::support::{path, problems, read};

fn tree(fields: Value) -> Value {
    let mut tree = fields;
    tree["source"] = json!("a");
    json!({ "trees": [tree] })
}

#[test]
fn container_images_are_chosen_by_name_and_platform() {
    let fields = json!({ "kind": "oci", "image": "app:1.0", "platform": "linux/arm/v7", "ociConfigTarget": "/config.json" });
    let tree = read(&tree(fields)).root.trees.remove(0);
    assert_eq!((tree.kind, tree.image.as_deref()), (Some(TreeKind::Oci), Some("app:1.0")));
    assert_eq!(
        (tree.platform.as_deref(), tree.config_target),
        (Some("linux/arm/v7"), Some(path("/config.json")))
    );
}

#[test]
fn a_platform_is_a_system_an_architecture_and_perhaps_a_variant() {
    let is_good = |platform: &str| problems(&tree(json!({ "kind": "oci", "platform": platform }))).is_empty();
    let good = ["linux/arm64", "linux/arm/v7"];
    let bad = ["", "linux", "linux/", "/arm64", "linux//v7", "linux/arm/v7/x"];
    assert_eq!((good.map(is_good), bad.map(is_good)), ([true; 2], [false; 6]));
}

#[test]
fn patterns_of_exclude_are_kept_and_comments_are_none() {
    let exclude = json!(["*.pyc", "/cache/", "!keep", "\\#x"]);
    assert_eq!(
        read(&tree(json!({ "exclude": exclude }))).root.trees[0].exclude,
        ["*.pyc", "/cache/", "!keep", "\\#x"]
    );
    for nothing in ["", "  ", "# a comment"] {
        let found = problems(&tree(json!({ "exclude": ["*.o", nothing] })));
        let help = "write a pattern of gitignore, such as \"*.pyc\"";
        assert_eq!(found, [format!("plan.trees[0].exclude[1]: \"{nothing}\" is no pattern; {help}")]);
    }
}

#[test]
fn only_folders_have_other_file_systems_below_them() {
    for (kind, is_good) in
        [(json!(null), true), (json!("folder"), true), (json!("tar"), false), (json!("oci"), false)]
    {
        let found = problems(&tree(json!({ "kind": kind, "oneFileSystem": true })));
        let problem =
            "plan.trees[0].oneFileSystem: only a folder can have other file systems below it; leave it out";
        assert_eq!(found, if is_good { vec![] } else { vec![problem] }, "{kind}");
    }
}

#[test]
fn xattr_patterns_are_beginnings_of_names_that_exist() {
    let patterns = ["us*", "user.*", "user.mime*", "security.ima", "system.*", "system.posix_acl_access"];
    let plan = read(&tree(json!({ "xattrs": patterns })));
    let expected = patterns.map(|text| match text.strip_suffix('*') {
        Some(prefix) => XattrPattern { prefix: prefix.to_owned(), wildcard: true },
        None => XattrPattern { prefix: text.to_owned(), wildcard: false },
    });
    assert_eq!(plan.root.trees[0].xattrs.as_deref(), Some(&expected[..]));
    for text in ["usr.*", "u.*", "system.posix_acl_access.*", "system.x*"] {
        assert_eq!(problems(&tree(json!({ "xattrs": [text] }))).len(), 1, "{text}");
    }
}

#[test]
fn fstabs_name_file_systems_as_the_plan_says() {
    let plan = read(&json!({ "entries": {
        "/a": { "type": "fstab" },
        "/b": { "type": "fstab", "by": "uuid" },
        "/c": { "type": "fstab", "by": "label" },
        "/d": { "type": "fstab", "by": "partuuid" },
        "/e": { "type": "file", "text": "fstab" },
    } }));
    let expected =
        [("/a", FstabTag::Uuid), ("/b", FstabTag::Uuid), ("/c", FstabTag::Label), ("/d", FstabTag::PartUuid)];
    assert_eq!(plan.root.fstabs.into_iter().collect::<Vec<_>>(), expected.map(|(at, tag)| (path(at), tag)));
}

/// The variant is as a plan with its entries.
#[test]
fn a_variant_replaces_and_adds_fstabs() {
    let by_uuid = || json!({ "type": "fstab" });
    let plan = |entries: Value, variant: Value| json!({ "entries": entries, "variants": [{ "output": "1.img", "entries": variant }] });
    let of_plan = json!({ "/a": by_uuid(), "/b": by_uuid(), "/c": by_uuid() });
    let by_label = json!({ "type": "fstab", "by": "label" });
    let empty = json!({ "type": "file", "text": "" });
    let plan = read(&plan(of_plan, json!({ "/b": by_label, "/c": empty, "/d": by_label })));
    let variant = plan.with_variant(&plan.variants[0]).root;
    let replaced =
        read(&json!({ "entries": { "/a": by_uuid(), "/b": by_label, "/c": empty, "/d": by_label } })).root;
    assert_eq!((variant.fstabs, variant.entries), (replaced.fstabs, replaced.entries));
}

#[test]
fn the_registration_is_neither_above_nor_below_the_database() {
    let plan = |target: &str| json!({ "closure": { "graph": [], "nixDatabase": true, "registrationTarget": target } });
    let database = "/nix/var/nix/db/db.sqlite";
    let problem = |file: &str, target: &str| {
        format!(
            "plan.closure.nixDatabase: \"{file}\" and \"{target}\" of plan.closure.registrationTarget can't both be files; \
             move the other, or leave the database out"
        )
    };
    assert_eq!(problems(&plan("/nix/var/nix/db/a")), [""; 0]);
    let above =
        ["/nix/var/nix/db/db.sqlite", "/nix/var/nix/db/schema"].map(|file| problem(file, "/nix/var/nix/db"));
    assert_eq!(problems(&plan("/nix/var/nix/db")), above);
    let below = format!("{database}/a");
    assert_eq!(problems(&plan(&below)), [problem(database, &below)]);
}

#[test]
fn eight_graphs_of_the_attributes_are_named() {
    let problem = |number: usize| {
        let mut attributes = json!({ "plan": { "version": 1, "closure": { "graph": "closure" } } });
        for index in 0..number {
            attributes[format!("g{index}")] = json!([{ "path": "/nix/store/a" }]);
        }
        let parsed = snugfs_plan::parse(attributes.to_string().as_bytes(), "/base".as_ref());
        parsed.map(|_| ()).unwrap_err().to_string()
    };
    let eight = "graphs are \"g0\", \"g1\", \"g2\", \"g3\", \"g4\", \"g5\", \"g6\", \"g7\"";
    assert!(problem(8).contains(&format!("{eight};")), "{}", problem(8));
    assert!(problem(9).contains(&format!("{eight}, ...;")), "{}", problem(9));
}
