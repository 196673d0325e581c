//! Access control lists and modes in any combination: a mounted image shows the same as a folder in which the same commands
//! were run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::*;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
/// A list without entries, which removes a list.
const NO_ENTRIES: &str = "AgAAAA==";

fn shell(folder: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(folder).env("LC_ALL", "C");
    Run::of(&mut command).succeeded().text().to_owned()
}

/// A list in base64, as getfattr shows it after setfacl with `arguments` on a file or directory of mode 0640.
fn list(arguments: &str, name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "mkdir it; chmod 0640 it; setfacl {arguments} it; getfattr --absolute-names -e base64 -n {name} it"
    );
    let shown = shell(folder.path(), &script);
    let value = shown.lines().find_map(|line| line.strip_prefix(&format!("{name}=0s")));
    value.unwrap_or_else(|| panic!("{shown}")).to_owned()
}

/// Mode, owner and lists of everything below `top`.
fn rights(folder: &Path) -> Vec<String> {
    let lists = shell(folder, "getfacl -nRp top");
    let modes = shell(folder, "find top -printf '%p %m %U:%G %y\n' | sort");
    let mut blocks: Vec<_> = lists.split("\n\n").map(str::to_owned).collect();
    blocks.sort();
    blocks.extend(modes.lines().map(str::to_owned));
    blocks
}

/// A folder with files that have lists, to be a tree of a plan.
fn folder_with_lists(workspace: &Workspace) -> PathBuf {
    let folder = workspace.path("source");
    std::fs::create_dir(&folder).unwrap();
    let script = "
        mkdir -p top/shared/sub top/kept
        for file in key laid both plain removed shared/file shared/sub/file kept/file; do echo x >top/$file; done
        chmod 0640 top/key top/laid top/both top/plain top/removed top/kept/file
        setfacl -m user:1234:r,mask::r top/key top/both top/removed top/kept/file
        setfacl -m user:7:rwx,group:8:rx top/shared top/shared/sub top/shared/sub/file
        setfacl -d -m user:7:rwx,group:8:- top/shared top/kept
        chmod 2770 top/shared
        chmod 4711 top/kept/file
        ln -s key top/link
        mkfifo top/queue; setfacl -m group:9:rw top/queue";
    shell(&folder, script);
    folder
}

#[test]
fn lists_and_modes_of_trees_entries_and_attributes_are_those_of_setfacl_and_chmod() {
    let workspace = Workspace::with_plan(&empty_plan());
    folder_with_lists(&workspace);
    let access = list("-m user:55:rw,group:66:x", ACCESS);
    let default = list("-d -m user:55:rw,group:66:x", DEFAULT);
    // Three entries, as those of a mode.
    let as_mode = "AgAAAAEABwD/////BAADAP////8gAAEA/////w==";
    workspace.change_plan(|plan| {
        plan["trees"] = json!([{ "source": "source", "owner": "keep", "xattrs": ["*"] }]);
        plan["entries"] = json!({
            "/top/text": { "type": "file", "text": "x", "xattrs": { ACCESS: access } },
            "/top/text-with-mode": { "type": "file", "text": "x", "mode": "4751", "xattrs": { ACCESS: access } },
            "/top/folder": { "type": "directory", "uid": 3, "gid": 4, "xattrs": { ACCESS: access, DEFAULT: default } },
            "/top/folder-with-mode": { "type": "directory", "mode": "2705", "xattrs": { ACCESS: access, DEFAULT: default } },
            "/top/as-mode": { "type": "file", "text": "x", "mode": "0600", "xattrs": { ACCESS: as_mode } },
            "/top/fifo": { "type": "fifo", "xattrs": { ACCESS: access } },
            "/top/device": { "type": "character", "major": 1, "minor": 3, "mode": "0666", "xattrs": { ACCESS: access } },
        });
        plan["attributes"] = json!({
            "/top/key": { "mode": "0610" },
            "/top/laid": { "xattrs": { ACCESS: access } },
            "/top/both": { "mode": "0604", "xattrs": { ACCESS: access } },
            "/top/plain": { "xattrs": { ACCESS: as_mode } },
            "/top/removed": { "xattrs": { ACCESS: NO_ENTRIES } },
            "/top/shared": { "mode": "0715", "recursive": true },
            "/top/shared/sub": { "xattrs": { ACCESS: access, DEFAULT: default } },
            "/top/kept": { "xattrs": { DEFAULT: NO_ENTRIES } },
        });
    });
    let image = workspace.build("a.img", []);
    workspace.snugfs(["verify", "a.img", "--against", "plan.json"]).succeeded();

    let real = workspace.path("real");
    let by_hand = format!(
        "cp -a ../source/top .
        access() {{ setfattr -n {ACCESS} -v 0s{access} \"$@\"; }}
        default() {{ setfattr -n {DEFAULT} -v 0s{default} \"$@\"; }}
        for file in text text-with-mode as-mode; do echo x >top/$file; chmod 0644 top/$file; done
        mkfifo -m 0644 top/fifo; mknod -m 0644 top/device c 1 3; mkdir -m 0755 top/folder top/folder-with-mode
        chown 3:4 top/folder
        access top/text top/text-with-mode top/folder top/folder-with-mode top/fifo top/device
        default top/folder top/folder-with-mode
        chmod 4751 top/text-with-mode; chmod 2705 top/folder-with-mode; chmod 0666 top/device
        setfattr -n {ACCESS} -v 0s{as_mode} top/as-mode; chmod 0600 top/as-mode
        chmod 0610 top/key; access top/laid; access top/both; chmod 0604 top/both
        setfattr -n {ACCESS} -v 0s{as_mode} top/plain
        setfattr -n {ACCESS} -v 0s{NO_ENTRIES} top/removed
        chmod 00715 top/shared top/shared/sub; chmod 0715 top/shared/file top/shared/sub/file
        access top/shared/sub; default top/shared/sub
        setfattr -n {DEFAULT} -v 0s{NO_ENTRIES} top/kept"
    );
    std::fs::create_dir(&real).unwrap();
    shell(&real, &by_hand);
    let mounted = Mounted::new(&image);
    assert_eq!(rights(mounted.path()), rights(&real));
}

#[test]
fn a_list_that_linux_refuses_is_an_error_at_its_place_in_the_plan() {
    let workspace = Workspace::with_plan(&empty_plan());
    // Owner, user 55, group, others, and no mask.
    let value = "AgAAAAEABgD/////AgAGADcAAAAEAAQA/////yAAAAD/////";
    workspace.change_plan(|plan| {
        plan["entries"] = json!({ "/x": { "type": "file", "text": "", "xattrs": { ACCESS: value } } });
    });
    workspace.snugfs(["build", "plan.json", "-o", "a.img"]).failed_with(3).says(
        "plan.entries.\"/x\".xattrs.\"system.posix_acl_access\": Linux refuses this access control list: it names users or groups, \
         but has no mask;",
    );
    assert_eq!(workspace.names(), ["plan.json"]);
}

#[test]
fn a_list_of_a_source_that_linux_refuses_is_an_error_that_names_the_file() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.change_plan(|plan| {
        plan["entries"] = json!({ "/x": { "type": "file", "text": "x" } });
    });
    // Owner, user 55, group, others, and no mask. Linux refuses to set such a list; newer versions do not show it either.
    let (no_id, image) = ([0xff; 4], workspace.build("source.img", []));
    let entries =
        [[1, 0, 6, 0], no_id, [2, 0, 6, 0], [55, 0, 0, 0], [4, 0, 4, 0], no_id, [32, 0, 0, 0], no_id];
    let value = workspace.write("value", [&[2, 0, 0, 0], entries.as_flattened()].concat());
    let request = format!("ea_set -f {} /x {ACCESS}", value.display());
    Run::of(Command::new(tool("debugfs")).args(["-w", "-R", &request]).arg(&image)).succeeded();
    let mounted = Mounted::new(&image);
    workspace.change_plan(|plan| {
        plan["entries"] = json!({});
        plan["trees"] = json!([{ "source": mounted.path(), "xattrs": ["*"] }]);
    });
    let place = mounted.path().join("x");
    let run = workspace.snugfs(["build", "plan.json", "-o", "a.img"]).failed_with(5);
    let refused =
        format!("Linux refuses its access control list {ACCESS}: it names users or groups, but has no mask;");
    let unreadable = format!("its extended attribute {ACCESS} can't be read: Invalid argument");
    assert!(
        [refused, unreadable].iter().any(|text| run.stderr.contains(&format!("{}: {text}", place.display()))),
        "{}",
        run.stderr
    );
    run.says("leave it out of the tree's xattrs");
}
