//! Labels for `SELinux`. `tests/oracles/selinux` compares them with those of setfiles.

use std::path::Path;

use serde_json::json;

use crate::support::*;

const CONTEXTS: &str = "/.* any:t\n/etc(/.*)? etc:t\n/etc/passwd -- passwd:t\n/etc/link -l link:t\n/nix/store(/.*)? store:t\n\
                        /keep <<none>>\n/data(/.*)? data:t\n/data/one(/.*)? one:t\n/lost\\+found -d lost:t\n";

/// What debugfs prints for a label.
fn shown(label: &str) -> String {
    let bytes = [label.as_bytes(), b"\0"].concat();
    let hexadecimal: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("security.selinux ({}) = {}", bytes.len(), hexadecimal.join(" "))
}

/// The label of a path as debugfs prints it.
fn label(image: &Path, path: &str) -> String {
    debugfs(image, &format!("ea_get -x {path} security.selinux")).trim().to_owned()
}

#[test]
fn every_file_has_the_label_of_the_policy() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.write("policy/file_contexts", CONTEXTS);
    workspace.write("policy/file_contexts.subs_dist", "/lib /etc\n");
    workspace.write("policy/file_contexts.local", "/etc/new.* local:t\n");
    workspace.write("tree/etc/passwd", "x");
    workspace.write("tree/etc/newer", "x");
    std::fs::hard_link(workspace.path("tree/etc/passwd"), workspace.path("tree/zzz")).unwrap();
    workspace.change_plan(|plan| {
        plan["trees"] = json!([{ "source": "tree" }]);
        let old = json!({ "security.selinux": "b2xkOnQA" });
        plan["entries"] = json!({
            "/etc/link": { "type": "symlink", "target": "x", "xattrs": old },
            "/lib/x": { "type": "fifo" },
            "/keep": { "type": "file", "text": "", "xattrs": old },
        });
        plan["selinux"] = json!({ "fileContexts": "policy/file_contexts" });
    });
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img"]).succeeded();
    let warning = "plan.selinux.fileContexts: other names of the same files have other labels than /zzz; ";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    let image = workspace.path("x.img");
    assert_sound(&image);
    for (path, expected) in [
        ("/", "any:t"),
        ("/etc", "etc:t"),
        ("/etc/passwd", "passwd:t"),
        ("/zzz", "passwd:t"),
        ("/etc/newer", "local:t"),
        ("/etc/link", "link:t"),
        ("/lib", "etc:t"),
        ("/lib/x", "etc:t"),
        ("/keep", "old:t"),
        ("/lost+found", "lost:t"),
    ] {
        assert_eq!(label(&image, path), shown(expected), "{path}");
    }
    workspace.snugfs(["verify", "x.img", "--against", "plan.json"]).succeeded();
}

#[test]
fn labels_of_a_mounted_file_system_and_of_equal_store_files() {
    let workspace = Workspace::with_small_example();
    workspace.write("file_contexts", CONTEXTS);
    workspace.change_plan(|plan| {
        plan["selinux"] = json!({ "fileContexts": "file_contexts" });
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "linux", "content": { "kind": "root" } },
            { "type": "linux", "content": {
                "kind": "ext4",
                "entries": { "/one/x": { "type": "file", "text": "" }, "/two": { "type": "fifo" } },
                "selinux": { "fileContexts": "file_contexts", "mountPoint": "/data" }
            } },
            // By default, the mount of the partition.
            { "type": "linux", "mount": "/data", "content": {
                "kind": "ext4", "entries": { "/one": { "type": "fifo" } },
                "selinux": { "fileContexts": "file_contexts" }
            } }
        ] });
    });
    workspace.snugfs(["build", "plan.json", "-o", "x.img", "--report", "x.json"]).succeeded();
    workspace.snugfs(["verify", "x.img", "--against", "plan.json"]).succeeded();
    let places = &workspace.read_json("x.json")["disk"]["partitions"];
    let data = LoopDevice::of_partition(&workspace.path("x.img"), &places[1]);
    for (path, expected) in [("/", "data:t"), ("/one", "one:t"), ("/one/x", "one:t"), ("/two", "data:t")] {
        assert_eq!(label(Path::new(&data.device), path), shown(expected), "{path}");
    }
    let mounted = LoopDevice::of_partition(&workspace.path("x.img"), &places[2]);
    for (path, expected) in [("/", "data:t"), ("/one", "one:t")] {
        assert_eq!(label(Path::new(&mounted.device), path), shown(expected), "{path}");
    }
}

#[test]
fn what_is_wrong_with_a_policy_is_told_with_its_line() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.change_plan(|plan| plan["selinux"] = json!({ "fileContexts": "contexts" }));
    workspace
        .snugfs(["size", "plan.json"])
        .failed_with(5)
        .says("plan.selinux.fileContexts: contexts can't be read");
    workspace.write("contexts", "# fine\n/x( y\n");
    let run = workspace.snugfs(["size", "plan.json"]).failed_with(5);
    run.says("contexts:2: the regular expression is not valid: unclosed group; correct the line");
    workspace.write("contexts", "/x y\n");
    workspace.write("contexts.homedirs", "/x -q y\n");
    workspace.snugfs(["size", "plan.json"]).failed_with(5).says("contexts.homedirs:1: -q is not a file type");
    workspace.change_plan(|plan| plan["selinux"] = json!({}));
    workspace.snugfs(["size", "plan.json"]).failed_with(3).says("plan.selinux.fileContexts: missing");
}
