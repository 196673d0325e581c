//! Real sources: owners that a library shows, users without rights, namespaces, sparse files.

use std::fs::{File, Permissions, set_permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::*;

/// An ordinary user.
const USER: u32 = 1000;

/// A folder in which an ordinary user may run the program, which is there as `snugfs`.
pub(crate) fn users_workspace() -> Workspace {
    let workspace = Workspace::with_plan(&empty_plan());
    let folder = workspace.path("");
    // Not by this process: a child that another test starts meanwhile would hold the copy open for writing (ETXTBSY).
    let copy = workspace.path("snugfs");
    Run::of(Command::new("cp").arg(env!("CARGO_BIN_EXE_snugfs")).arg(copy)).succeeded();
    chown(&folder, Some(USER), Some(USER)).unwrap();
    set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    workspace
}

/// A command that an ordinary user runs in the workspace.
pub(crate) fn as_user(workspace: &Workspace, command: &[&str]) -> Command {
    let mut run = Command::new(tool("setpriv"));
    let user = [format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".to_owned()];
    run.args(user).arg("--inh-caps=-all").args(command).current_dir(workspace.path(""));
    run.env("HOME", workspace.path("")).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("LC_ALL", "C");
    run
}

/// Files of a root file system that only root can make, and a plan of them.
const MAKE_ROOT: &str = r#"
set -eu
mkdir -p root/dev root/home
echo x >root/shadow; chown 0:42 root/shadow; chmod 0640 root/shadow
cp /bin/true root/su; chown 0:0 root/su; chmod 4755 root/su; ln root/su root/also-su
mknod root/dev/null c 1 3; mknod root/dev/sda b 8 0; chown 0:6 root/dev/sda; chmod 0660 root/dev/sda
mkfifo root/queue; chown 7:8 root/queue; chmod 0620 root/queue
ln -s su root/link; chown -h 5:6 root/link
chown 1000:1000 root/home; chmod 2700 root/home
mkdir -p root/a/b/c/d; echo deep >root/a/b/c/d/file; chown 3:4 root/a/b/c/d/file root/a/b/c
for ping in root/ping root/a/b/c/d/ping; do cp /bin/true $ping; setcap cap_net_raw+ep $ping; done
cat >plan.json <<'P'
{ "version": 1, "trees": [{ "source": "root", "owner": "keep", "xattrs": ["*"] }] }
P
./snugfs build plan.json -o root.img
"#;

/// Builds that root under a library which shows its owners, and checks every one of them.
fn assert_owners_are_honoured(library: &[&str]) {
    let workspace = users_workspace();
    std::fs::remove_file(workspace.path("plan.json")).unwrap();
    let state = format!("PSEUDO_LOCALSTATEDIR={}", workspace.path("pseudo").display());
    let environment = ["env", "PSEUDO_PREFIX=/usr", state.as_str()];
    let command = [&environment[..], library, &["sh", "-c", MAKE_ROOT]].concat();
    Run::of(&mut as_user(&workspace, &command)).succeeded();
    let image = workspace.path("root.img");
    assert_sound(&image);
    // Mode, user, group; pseudo and fakeroot do not agree on who made `ping`.
    let expected = [
        ("/shadow", 0o100_640, 0, 42),
        ("/su", 0o104_755, 0, 0),
        ("/also-su", 0o104_755, 0, 0),
        ("/dev/null", 0o020_644, 0, 0),
        ("/dev/sda", 0o060_660, 0, 6),
        ("/queue", 0o010_620, 7, 8),
        ("/link", 0o120_777, 5, 6),
        ("/home", 0o042_700, USER, USER),
        ("/a/b/c/d/file", 0o100_644, 3, 4),
        ("/a/b/c", 0o040_755, 3, 4),
    ];
    for (path, mode, uid, gid) in expected {
        let stat = workspace.snugfs(["inspect", "root.img", "stat", "--json", path]).succeeded();
        let stat: serde_json::Value = serde_json::from_slice(&stat.stdout).unwrap();
        let found = (stat["mode"].clone(), stat["uid"].clone(), stat["gid"].clone());
        let wanted = (json!(format!("{:04o}", mode & 0o7777)), json!(uid), json!(gid));
        assert_eq!(found, wanted, "{path} under {library:?}: {stat}");
        let kind = match mode >> 12 {
            1 => "FIFO",
            2 => "character special",
            4 => "directory",
            6 => "block special",
            8 => "regular",
            _ => "symlink",
        };
        assert!(debugfs(&image, &format!("stat {path}")).contains(&format!("Type: {kind}")), "{path}");
    }
    assert!(debugfs(&image, "stat /dev/null").contains("major/minor number: 01:03"));
    assert!(debugfs(&image, "stat /dev/sda").contains("major/minor number: 08:00"));
    assert!(debugfs(&image, "stat /su").contains("Links: 2"));
    for ping in ["/ping", "/a/b/c/d/ping"] {
        let attributes = debugfs(&image, &format!("ea_list {ping}"));
        assert!(attributes.contains("security.capability (20) = 01 00 00 02 00 20"), "{ping}: {attributes}");
    }
    assert_eq!(debugfs(&image, "cat /a/b/c/d/file"), "deep\n");
}

#[test]
fn owners_modes_devices_and_capabilities_are_those_that_fakeroot_shows() {
    assert_owners_are_honoured(&["fakeroot"]);
}

#[test]
fn owners_modes_devices_and_capabilities_are_those_that_pseudo_shows() {
    assert_owners_are_honoured(&["pseudo"]);
}

#[test]
fn a_library_that_is_preloaded_without_effect_is_an_error_that_names_it() {
    let workspace = Workspace::with_plan(&empty_plan());
    workspace.write("tree/file", "x");
    let with_library = |library: &str| {
        let mut command = workspace.command(["build", "plan.json", "-o", "a.img"]);
        Run::of(command.env("LD_PRELOAD", format!("/nowhere/lib{library}.so")))
    };
    // Entries that are not from a tree have the owners of the plan.
    with_library("fakeroot").succeeded();
    std::fs::remove_file(workspace.path("a.img")).unwrap();
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree" }]));
    for library in ["fakeroot", "pseudo"] {
        let run = with_library(library);
        assert_eq!(run.code, 5, "{}", run.stderr);
        run.says(&format!(
            "plan.trees[0]: {library} is in LD_PRELOAD but is not loaded, so its owners, modes and devices can't be seen;"
        ));
    }
    assert_eq!(workspace.names(), ["plan.json", "tree"]);
}

#[test]
fn an_owner_that_the_user_namespace_does_not_know_is_an_error_that_names_the_file() {
    let workspace = Workspace::with_plan(&empty_plan());
    let file = workspace.write("tree/theirs", "x");
    chown(&file, Some(1234), Some(0)).unwrap();
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree", "owner": "keep" }]));
    let in_namespace = |workspace: &Workspace| {
        let mut command = Command::new("unshare");
        command.args([
            "--user",
            "--map-root-user",
            env!("CARGO_BIN_EXE_snugfs"),
            "build",
            "plan.json",
            "-o",
            "a.img",
        ]);
        Run::of(command.current_dir(workspace.path("")))
    };
    in_namespace(&workspace)
        .failed_with(5)
        .says("tree/theirs: its owner is not mapped into this user namespace, so it shows as 65534;")
        .says("podman unshare");
    assert_eq!(workspace.names(), ["plan.json", "tree"]);
    // Nobody's own files are nobody's where the system knows every owner.
    chown(&file, Some(65534), Some(65534)).unwrap();
    workspace.build("b.img", []);
    workspace.change_plan(|plan| plan["trees"][0]["owner"] = json!("root"));
    in_namespace(&workspace).succeeded();
}

/// Runs the program in a user namespace that knows the users and groups 0 to 65535, as those of rootless containers do.
fn in_namespace_of_65536(workspace: &Workspace, arguments: &[&str]) -> Run {
    let mut command = Command::new(tool("unshare"));
    command.args(["--user", "sh", "-c", "read ready; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_snugfs")]);
    command.args(arguments).current_dir(workspace.path(""));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    while std::fs::read_link(format!("/proc/{}/ns/user", child.id())).is_ok_and(|found| found == own) {
        std::thread::sleep(Duration::from_millis(2));
    }
    for map in ["gid_map", "uid_map"] {
        std::fs::write(format!("/proc/{}/{map}", child.id()), "0 0 65536").unwrap();
    }
    child.stdin.take().unwrap().write_all(b"ready\n").unwrap();
    Run::from(child.wait_with_output().unwrap())
}

#[test]
fn an_owner_that_may_be_nobody_or_unknown_is_a_warning_that_names_the_files() {
    let workspace = Workspace::with_plan(&empty_plan());
    let owners = [("nobody", 65534, 65534), ("unknown", 100_000, 0), ("theirs", 0, 100_000), ("known", 7, 8)];
    for (name, uid, gid) in owners {
        chown(workspace.write(&format!("tree/{name}"), "x"), Some(uid), Some(gid)).unwrap();
    }
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree", "owner": "keep" }]));
    in_namespace_of_65536(&workspace, &["build", "plan.json", "-o", "a.img"]).succeeded().says(
        "plan.trees[0]: tree/nobody, tree/theirs, tree/unknown show owner or group 65534, which may be one that is not mapped \
         into this user namespace;",
    );
    let run = workspace.snugfs(["build", "plan.json", "-o", "b.img"]).succeeded();
    assert!(!run.stderr.contains("65534"), "{}", run.stderr);
    let stat = debugfs(&workspace.path("b.img"), "stat /unknown");
    assert!(stat.contains("User: 100000"), "{stat}");
}

#[test]
fn check_names_every_file_that_build_could_not_read() {
    let workspace = users_workspace();
    for name in ["tree/a", "tree/open", "tree/sub/b", "one"] {
        let path = workspace.write(name, "x");
        set_permissions(&path, Permissions::from_mode(if name == "tree/open" { 0o644 } else { 0o640 }))
            .unwrap();
    }
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree" }]));
    for command in ["check", "size"] {
        let run = Run::of(&mut as_user(&workspace, &["./snugfs", command, "plan.json"])).failed_with(5);
        for name in ["a", "sub/b"] {
            let line = format!(
                "snugfs: tree/{name}: can't be read: permission denied; run snugfs as a user who may read it (its owner, a member of its group, root), or with \"podman unshare\" if a rootless container made it"
            );
            assert!(run.stderr.lines().any(|found| found == line), "{line}\nis not in\n{}", run.stderr);
        }
        assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
    }
    workspace.change_plan(|plan| {
        plan["trees"] = json!([]);
        plan["entries"] = json!({ "/one": { "type": "file", "source": "one" } });
    });
    Run::of(&mut as_user(&workspace, &["./snugfs", "check", "plan.json"]))
        .failed_with(5)
        .says("one: can't be read: permission denied; run snugfs as a user who may read it");
    // Its owner may.
    chown(workspace.path("one"), Some(USER), Some(USER)).unwrap();
    Run::of(&mut as_user(&workspace, &["./snugfs", "check", "plan.json"])).succeeded();
}

/// A file of 534 GB with a few bytes at its end, as `/var/log/lastlog` is on a machine with large user ids.
fn lastlog(workspace: &Workspace, name: &str) {
    let path = workspace.write(name, "");
    let file = File::create(&path).unwrap();
    file.set_len(534_000_000_000).unwrap();
    file.write_all_at(b"login", 533_999_000_000).unwrap();
    file.write_all_at(b"first", 5000).unwrap();
}

#[test]
fn a_sparse_file_stays_sparse_in_every_form() {
    let workspace = Workspace::with_plan(&empty_plan());
    lastlog(&workspace, "tree/lastlog");
    workspace.write("tree/z", "dense");
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree" }]));
    let image = workspace.build("raw.img", []);
    assert!(std::fs::metadata(&image).unwrap().len() < 50 << 20);
    let stat = debugfs(&image, "stat /lastlog");
    assert!(stat.contains("Size: 534000000000") && stat.contains("Blockcount: 16"), "{stat}");
    let extents = debugfs(&image, "ex /lastlog");
    assert!(extents.contains("     1 -      1") || extents.contains(" 1 - "), "{extents}");
    workspace.snugfs(["verify", "raw.img", "--against", "plan.json"]).succeeded();
    // Its bytes are the source's.
    let found = debugfs(&image, "cat /z");
    assert_eq!(found, "dense");
    let mut size = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
    let size: serde_json::Value = serde_json::from_slice(&std::mem::take(&mut size.stdout)).unwrap();
    assert_eq!(size["image"]["bytes"], json!(std::fs::metadata(&image).unwrap().len()));
    workspace.change_plan(|plan| plan["output"] = json!({ "format": "qcow2" }));
    workspace.snugfs(["build", "plan.json", "-o", "image.qcow2"]).succeeded();
    let compare = ["compare", "-f", "raw", "-F", "qcow2"];
    Run::of(Command::new("qemu-img").args(compare).arg(&image).arg(workspace.path("image.qcow2")))
        .succeeded();
}

#[test]
fn verify_against_finds_lost_and_damaged_holes() {
    let workspace = Workspace::with_plan(&empty_plan());
    let path = workspace.write("tree/sparse", "");
    let file = File::create(path).unwrap();
    file.set_len(10 << 20).unwrap();
    file.write_all_at(b"data", 5 << 20).unwrap();
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree" }]));
    let image = workspace.build("a.img", []);
    // Another byte where the data are, found by the extent.
    let at = debugfs(&image, "bmap /sparse 1280").trim().parse::<u64>().unwrap() * 4096;
    let damaged = File::options().write(true).open(&image).unwrap();
    damaged.write_all_at(b"d", at + 1).unwrap();
    workspace.snugfs(["verify", "a.img", "--against", "plan.json"]).failed_with(8).says("/sparse");
    // The same file, filled.
    workspace.build("b.img", []);
    workspace.change_plan(|plan| plan["trees"][0]["holes"] = json!("fill"));
    workspace.snugfs(["verify", "b.img", "--against", "plan.json"]).failed_with(8);
    workspace.build("c.img", []);
    assert!(std::fs::metadata(workspace.path("c.img")).unwrap().len() > (10 << 20));
}

#[test]
fn files_that_grow_in_the_image_give_one_warning_with_names() {
    let workspace = Workspace::with_plan(&empty_plan());
    lastlog(&workspace, "tree/lastlog");
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree", "holes": "fill" }]));
    let run = workspace.snugfs(["check", "plan.json"]).succeeded();
    let expected = "the largest are tree/lastlog;";
    let lines: Vec<_> = run.stderr.lines().filter(|line| line.contains(expected)).collect();
    assert_eq!(lines.len(), 1, "{}", run.stderr);
}

/// A tmpfs that is mounted until the test ends.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn new(at: PathBuf, options: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        Run::of(Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&at)).succeeded();
        Self(at)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_skipped_mount_point_is_not_opened() {
    let workspace = users_workspace();
    workspace.write("tree/file", "x");
    let _mount = Tmpfs::new(workspace.path("tree/closed"), "mode=0700");
    workspace.change_plan(|plan| plan["trees"] = json!([{ "source": "tree" }]));
    let build = ["./snugfs", "build", "plan.json", "-o", "a.img"];
    Run::of(&mut as_user(&workspace, &build))
        .failed_with(5)
        .says("tree/closed: can't be read: permission denied;");
    workspace.change_plan(|plan| plan["trees"][0]["oneFileSystem"] = json!(true));
    Run::of(&mut as_user(&workspace, &build)).succeeded();
    assert!(debugfs(&workspace.path("a.img"), "stat /closed").contains("Mode:  0700"));
}

#[test]
fn check_looks_at_every_kind_of_input_with_the_rights_of_build() {
    let remedy = "run snugfs as a user who may read it (its owner, a member of its group, root), or with \"podman unshare\"";
    let workspace = users_workspace();
    let plan = workspace.read_json("plan.json");
    let closed = |name: &str, contents: &str| {
        let path = workspace.write(name, contents);
        set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    };
    let base_name = "00000000000000000000000000000000-a";
    let check = |change: &dyn Fn(&mut serde_json::Value), message: &str| {
        let mut plan = plan.clone();
        change(&mut plan);
        workspace.write("plan.json", plan.to_string());
        for command in ["check", "size", "build"] {
            let arguments = ["./snugfs", command, "plan.json"];
            let output: &[&str] = if command == "build" { &["-o", "a.img"] } else { &[] };
            let run = Run::of(&mut as_user(&workspace, &[&arguments[..], output].concat())).failed_with(5);
            run.says(&format!("{message}: permission denied; {remedy}"));
        }
    };
    closed("raw.bin", "raw");
    check(
        &|plan| {
            plan["disk"] = json!({ "table": "gpt", "partitions": [
                { "type": "linux", "content": { "kind": "raw", "source": "raw.bin" } },
                { "type": "linux", "content": { "kind": "root" } },
            ] });
        },
        "raw.bin: can't be read",
    );
    closed("graph.json", "[]");
    check(
        &|plan| plan["closure"] = json!({ "graph": "graph.json", "sourceDir": "store" }),
        "graph.json can't be read",
    );
    closed(&format!("store/{base_name}"), "x");
    let graph = json!([{ "path": format!("/nix/store/{base_name}"), "references": [], "narSize": 120,
        "narHash": format!("sha256:{}", "0".repeat(52)) }]);
    workspace.write("open.json", graph.to_string());
    check(
        &|plan| {
            plan["closure"] = json!({ "graph": "open.json", "sourceDir": "store", "verify": "none" });
        },
        &format!("store/{base_name}: can't be read"),
    );
    set_permissions(workspace.path("plan.json"), Permissions::from_mode(0o600)).unwrap();
    Run::of(&mut as_user(&workspace, &["./snugfs", "check", "plan.json"]))
        .failed_with(5)
        .says(&format!("plan.json: can't be read: permission denied; {remedy}"));
}

#[test]
fn each_problem_of_a_tree_names_twenty_files_and_counts_the_rest() {
    let workspace = users_workspace();
    for (tree, files) in [("one", 25), ("two", 21)] {
        for index in 0..files {
            let path = workspace.write(&format!("{tree}/{index:02}"), "x");
            set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        }
    }
    workspace.change_plan(|plan| {
        plan["trees"] = json!([{ "source": "one", "target": "/a" }, { "source": "two", "target": "/b" }]);
    });
    let run = Run::of(&mut as_user(&workspace, &["./snugfs", "check", "plan.json"])).failed_with(5);
    let shown = run.without_places();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 42, "{}", run.stderr);
    let more = |tree: usize, count: usize| {
        format!(
            "snugfs: plan.trees[{tree}]: {count} more files have the problem of the lines above; the same helps"
        )
    };
    assert!(lines[0].contains(" one/00: ") && lines[19].contains(" one/19: "), "{}", run.stderr);
    assert_eq!((lines[20], lines[41]), (more(0, 5).as_str(), more(1, 1).as_str()));
}

#[test]
fn warnings_of_other_partitions_name_their_place() {
    let workspace = Workspace::with_plan(&empty_plan());
    let _mounts = ["data/mnt", "boot/mnt"].map(|at| Tmpfs::new(workspace.path(at), "mode=0755"));
    for name in ["data/program", "boot/program"] {
        let path = workspace.write(name, "x");
        set_permissions(&path, Permissions::from_mode(0o4755)).unwrap();
    }
    workspace.change_plan(|plan| {
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "esp", "size": "64MiB", "content": { "kind": "fat", "source": "boot" } },
            { "type": "linux", "content": {
                "kind": "ext4",
                "trees": [{ "source": "data" }],
                "filesystem": { "bytesPerInode": 1024 },
            } },
            { "type": "linux", "content": { "kind": "root" } },
        ] });
    });
    let run = workspace.snugfs(["check", "plan.json"]).succeeded();
    let expected = [
        "snugfs: warning: plan.disk.partitions[0].content: takes in what is mounted at boot/mnt; unmount it, or name a copy of \
         the folder",
        "snugfs: warning: plan.disk.partitions[1].content.filesystem.bytesPerInode: 1024 needs more inodes than a block \
         group can have; 4113 is used instead",
        "snugfs: warning: plan.disk.partitions[1].content.trees[0]: setuid and setgid bits are dropped from /program; set \
         \"owner\" to \"keep\" to keep them",
        "snugfs: warning: plan.disk.partitions[1].content.trees[0]: takes in what is mounted at data/mnt; set \
         \"oneFileSystem\" to true to skip it, or to false to copy it without this warning",
    ];
    let shown = run.without_places();
    let mut lines: Vec<_> = shown.lines().filter(|line| line.contains("warning")).collect();
    lines.sort_unstable();
    assert_eq!(lines, expected, "{}", run.stderr);
}

#[test]
fn a_conflict_of_sources_has_a_remedy_that_works() {
    let workspace = Workspace::new();
    for tree in ["one", "two"] {
        workspace.write(&format!("{tree}/etc/fstab"), tree);
    }
    let mut plan = json!({
        "version": 1,
        "trees": [{ "source": "one" }, { "source": "two" }],
        "entries": { "/a/etc/fstab": { "type": "file", "text": "" } },
    });
    workspace.write("plan.json", plan.to_string());
    let overlap = "plan.trees[1]: plan.trees[0] makes /etc/fstab too; write \"overlap\": \"later-wins\" in plan.trees[1], \
                   or leave the file out with \"exclude\"";
    workspace.snugfs(["check", "plan.json"]).failed_with(3).says(overlap);
    plan["trees"][1]["overlap"] = json!("later-wins");
    workspace.write("plan.json", plan.to_string());
    workspace.snugfs(["check", "plan.json"]).succeeded();
    // A pattern starts at the source, a path in the image at the target.
    plan["trees"][0]["target"] = json!("/a");
    workspace.write("plan.json", plan.to_string());
    let exclude = "plan.entries.\"/a/etc/fstab\": plan.trees[0] makes /a/etc/fstab too; \
                   add \"exclude\": [\"/etc/fstab\"] to plan.trees[0]";
    workspace.snugfs(["check", "plan.json"]).failed_with(3).says(exclude);
    plan["trees"][0]["exclude"] = json!(["/etc/fstab"]);
    workspace.write("plan.json", plan.to_string());
    workspace.snugfs(["check", "plan.json"]).succeeded();
    // Where a directory is needed, the file can be left out, too.
    plan["entries"] = json!({});
    plan["trees"] = json!([{ "source": "one" }, { "source": "two", "target": "/etc/fstab" }]);
    workspace.write("plan.json", plan.to_string());
    let run = workspace.snugfs(["check", "plan.json"]).failed_with(3);
    run.says("needs there; add \"exclude\": [\"/etc/fstab\"] to plan.trees[0]");
}
