//! Slots: what the plan reserves and `snugfs stamp` fills.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    LoopDevice, Mounted, Run, Workspace, assert_fsck_clean, assert_verified, empty_plan, plan_of_entries,
    tool,
};

/// A plan with two slots, one of them in a directory that only root may enter.
fn plan() -> Value {
    plan_of_entries(json!({
        "/etc/hostname": { "type": "file", "slot": "64" },
        "/etc/keys": { "type": "directory", "mode": "0700" },
        "/etc/keys/key": { "type": "file", "slot": "12KiB", "mode": "0600", "uid": 7,
                           "xattrs": { "user.comment": "AAAA" } },
        "/etc/plain": { "type": "file", "text": "plain\n" }
    }))
}

fn slots(workspace: &Workspace, image: &str) -> Vec<(String, u64, u64)> {
    let run = workspace.snugfs(["inspect", image, "slots", "--json"]).succeeded();
    let value: Value = serde_json::from_slice(&run.stdout).unwrap();
    let slot = |slot: &Value| {
        let number = |key: &str| slot[key].as_u64().unwrap();
        (slot["path"].as_str().unwrap().to_owned(), number("bytes"), number("room"))
    };
    value["slots"].as_array().unwrap().iter().map(slot).collect()
}

fn stamp<'a>(workspace: &Workspace, image: &'a str, slots: impl IntoIterator<Item = &'a str>) -> Run {
    workspace.snugfs(["stamp", image].into_iter().chain(slots))
}

/// An empty slot is an empty file; a stamped one has its contents, for snugfs and for Linux.
#[test]
fn a_slot_is_an_empty_file_until_it_is_stamped() {
    let workspace = Workspace::with_plan(&plan());
    let image = workspace.build("a.img", []);
    let of = |path: &str, used, room| (path.to_owned(), used, room);
    assert_eq!(slots(&workspace, "a.img"), [of("/etc/hostname", 0, 64), of("/etc/keys/key", 0, 12288)]);
    {
        let mounted = Mounted::new(&image);
        assert_eq!(std::fs::read(mounted.path().join("etc/keys/key")).unwrap(), b"");
        assert_eq!(std::fs::read(mounted.path().join("etc/hostname")).unwrap(), b"");
    }
    workspace.write("name", "board7\n");
    workspace.write("long", vec![b'k'; 9000]);
    stamp(&workspace, "a.img", ["/etc/hostname=name", "/etc/keys/key=long"]).succeeded();
    assert_fsck_clean(&image);
    assert_verified(&image);
    workspace.snugfs(["verify", "a.img", "--against", "plan.json"]).succeeded();
    assert_eq!(slots(&workspace, "a.img"), [of("/etc/hostname", 7, 64), of("/etc/keys/key", 9000, 12288)]);
    {
        let mounted = Mounted::new(&image);
        assert_eq!(std::fs::read(mounted.path().join("etc/keys/key")).unwrap(), vec![b'k'; 9000]);
        assert_eq!(std::fs::read(mounted.path().join("etc/hostname")).unwrap(), b"board7\n");
    }
    // Shorter, from standard input, then none: nothing of the older contents is left.
    workspace.snugfs_with_input(["stamp", "a.img", "/etc/keys/key=-"], b"short").succeeded();
    stamp(&workspace, "a.img", ["/etc/hostname="]).succeeded();
    assert_verified(&image);
    assert!(!workspace.read("a.img").windows(6).any(|bytes| bytes == b"kkkkkk" || bytes == b"board7"));
    assert_eq!(slots(&workspace, "a.img"), [of("/etc/hostname", 0, 64), of("/etc/keys/key", 5, 12288)]);
    // Emptied again, the image is the one that was built.
    stamp(&workspace, "a.img", ["/etc/keys/key="]).succeeded();
    workspace.build("b.img", []);
    assert_eq!(workspace.read("a.img"), workspace.read("b.img"));
}

#[test]
fn verify_finds_other_changes_next_to_a_stamp() {
    let workspace = Workspace::with_plan(&plan());
    workspace.build("a.img", []);
    workspace.write("name", "board7\n");
    stamp(&workspace, "a.img", ["/etc/hostname=name"]).succeeded();
    let mut bytes = workspace.read("a.img");
    let at = bytes.windows(6).position(|bytes| bytes == b"plain\n").unwrap();
    bytes[at] = b'x';
    workspace.write("b.img", &bytes);
    workspace.snugfs(["verify", "b.img", "--against", "plan.json"]).says("/etc/plain: contents differ");
    // A byte behind the end of the contents of a slot: as an older stamp would leave it.
    let mut bytes = workspace.read("a.img");
    let at = bytes.windows(7).position(|bytes| bytes == b"board7\n").unwrap();
    bytes[at + 100] = b'x';
    workspace.write("c.img", &bytes);
    let run = workspace.snugfs(["verify", "c.img"]);
    assert_eq!(run.code, 8, "{}", run.stderr);
}

#[test]
fn a_disk_has_slots_in_ext4_and_in_fat() {
    for bits in [16, 32] {
        let mut plan = plan();
        plan["disk"] = json!({ "table": "gpt", "partitions": [
            { "type": "esp", "content": { "kind": "fat", "bits": bits, "entries": {
                "/user-data": { "type": "file", "slot": "8KiB" },
                "/etc": { "type": "directory" },
                "/etc/hostname": { "type": "file", "slot": "100" } } } },
            { "type": "root-arm64", "content": { "kind": "root" } } ] });
        let workspace = Workspace::with_plan(&plan);
        workspace.snugfs(["build", "plan.json", "-o", "a.img"]).succeeded();
        workspace.write("data", vec![b'u'; 5000]);
        workspace.write("name", "board7\n");
        let both = "/etc/hostname is a slot of several partitions; put the number of one before it, as in 1:/etc/hostname";
        stamp(&workspace, "a.img", ["/etc/hostname=name"]).failed_with(2).says(both);
        let fills = ["/USER-DATA=data", "1:/etc/hostname=name", "2:/etc/hostname=name", "/etc/keys/key=data"];
        stamp(&workspace, "a.img", fills).succeeded();
        workspace.snugfs(["verify", "a.img", "--against", "plan.json"]).succeeded();
        let cat = |partition: &str, path: &str| {
            let arguments = ["inspect", "a.img", "--partition", partition, "cat", path];
            workspace.snugfs(arguments).succeeded().stdout
        };
        assert_eq!(cat("1", "/user-data"), vec![b'u'; 5000]);
        assert_eq!(cat("1", "/etc/hostname"), b"board7\n");
        assert_eq!(cat("2", "/etc/hostname"), b"board7\n");
        let overview = workspace.snugfs(["inspect", "a.img", "--json"]).succeeded();
        let overview: Value = serde_json::from_slice(&overview.stdout).unwrap();
        let bytes = workspace.read("a.img");
        for (number, name) in ["fat.img", "ext4.img"].into_iter().enumerate() {
            let place = &overview["volumes"][number]["partition"];
            let at = |key: &str| usize::try_from(place[key].as_u64().unwrap()).unwrap();
            workspace.write(name, &bytes[at("start")..at("start") + at("size")]);
        }
        let run =
            Run::of(Command::new(tool("fsck.vfat")).arg("-n").arg(workspace.path("fat.img"))).succeeded();
        assert_eq!(run.text().lines().count(), 2, "{}", run.text());
        assert_fsck_clean(&workspace.path("ext4.img"));
    }
}

#[test]
fn a_device_is_stamped_unless_it_is_mounted() {
    let workspace = Workspace::with_plan(&plan());
    let image = workspace.build("a.img", []);
    workspace.write("name", "board7\n");
    let device = LoopDevice::new(&image, "512");
    stamp(&workspace, &device.device, ["/etc/hostname=name"]).succeeded();
    let folder = workspace.path("mounted");
    std::fs::create_dir(&folder).unwrap();
    Run::of(Command::new("mount").arg(&device.device).arg(&folder)).succeeded();
    let on_device = stamp(&workspace, &device.device, ["/etc/hostname="]);
    let on_file = stamp(&workspace, "a.img", ["/etc/hostname="]);
    // Written while it is mounted, with more blocks than were reserved: an ordinary file then.
    std::fs::write(folder.join("etc/hostname"), vec![b'x'; 5000]).unwrap();
    Run::of(Command::new("umount").arg(&folder)).succeeded();
    on_device.failed_with(7).says("is in use: ").says("unmount it");
    on_file.failed_with(7).says("is in use: ");
    let run = stamp(&workspace, &device.device, ["/etc/hostname=name"]);
    run.failed_with(5).says("/etc/hostname: is no longer a slot");
    // The other slot is not touched, and can be stamped on.
    stamp(&workspace, &device.device, ["/etc/keys/key=name"]).succeeded();
    drop(device);
    assert_fsck_clean(&image);
    let run = workspace.snugfs(["inspect", "a.img", "cat", "/etc/keys/key"]).succeeded();
    assert_eq!(run.stdout, b"board7\n");
}

#[test]
fn what_can_not_be_stamped_is_refused_and_unchanged() {
    let workspace = Workspace::with_plan(&plan());
    workspace.build("a.img", []);
    let before = workspace.read("a.img");
    workspace.write("long", vec![b'x'; 65]);
    workspace.write("name", "n");
    let failed = |slot: &str, code: i32, text: &str| {
        stamp(&workspace, "a.img", ["/etc/keys/key=name", slot]).failed_with(code).says(text);
        assert!(workspace.read("a.img") == before, "{slot}");
    };
    failed(
        "/etc/hostname=long",
        6,
        "a.img: /etc/hostname: the contents have 65 bytes, but the slot has 64; ",
    );
    failed("/etc/plain=name", 5, "a.img: /etc/plain: is not a slot; ");
    failed("/etc/hostnam=name", 5, "/etc/hostname");
    failed("/etc/keys=name", 5, "is not a slot");
    failed("/etc/hostname=gone", 5, "gone: ");
    failed("etc=name", 2, "etc=name does not name a slot and a file; ");
    failed("3:/etc/hostname=name", 5, "partition");
    failed("/etc/../etc/keys/key=name", 2, "/etc/keys/key: is given twice; name each slot once");
    workspace.snugfs(["build", "plan.json", "-o", "a.img.zst"]).succeeded();
    stamp(&workspace, "a.img.zst", ["/etc/hostname=name"])
        .failed_with(5)
        .says("is compressed by zstd, and can't be changed");
    workspace.snugfs(["build", "plan.json", "-o", "a.qcow2"]).succeeded();
    stamp(&workspace, "a.qcow2", ["/etc/hostname=name"]).failed_with(5).says("is a qcow2 image");
}

#[test]
fn a_list_of_devices_makes_an_image_each() {
    let workspace = Workspace::with_plan(&plan());
    workspace.build("a.img", []);
    let base = workspace.read("a.img");
    workspace.write("lists/keys/1", "key one");
    workspace.write("lists/keys/2", "key two");
    workspace.write(
        "lists/all.csv",
        "name,/etc/hostname,file:/etc/keys/key\none,board 1,keys/1\ntwo,\"board, 2\",keys/2\n",
    );
    workspace.write("lists/all.json", json!([
        { "name": "one", "slots": { "/etc/hostname": { "text": "board 1" }, "/etc/keys/key": { "source": "keys/1" } } },
        { "name": "two", "slots": { "/etc/hostname": { "text": "board, 2" }, "/etc/keys/key": { "source": "keys/2" } } },
    ]).to_string());
    for list in ["lists/all.csv", "lists/all.json"] {
        workspace
            .snugfs(["stamp", "a.img", "--devices", list, "-o", "out"])
            .succeeded()
            .says("out: 2 images, ");
        assert_eq!(crate::support::sorted_names(&workspace.path("out")), ["one.img", "two.img"]);
        for (name, host, key) in [("one", "board 1", "key one"), ("two", "board, 2", "key two")] {
            let image = format!("out/{name}.img");
            assert_fsck_clean(&workspace.path(&image));
            assert_verified(&workspace.path(&image));
            let cat = |path: &str| workspace.snugfs(["inspect", &image, "cat", path]).succeeded().stdout;
            assert_eq!(cat("/etc/hostname"), host.as_bytes());
            assert_eq!(cat("/etc/keys/key"), key.as_bytes());
            // Two blocks of contents and two inodes: what else differs would be more blocks.
            let now = workspace.read(&image);
            let blocks = base.chunks(4096).zip(now.chunks(4096)).filter(|(a, b)| a != b).count();
            assert!(base.len() == now.len() && (3..=4).contains(&blocks), "{blocks}");
        }
        std::fs::remove_dir_all(workspace.path("out")).unwrap();
    }
    assert_eq!(workspace.read("a.img"), base);
    // A fill of the command line goes into every image.
    workspace.write("lists/names.csv", "name\none\n");
    let more = ["stamp", "a.img", "/etc/hostname=lists/keys/1", "--devices", "lists/names.csv", "-o", "out"];
    workspace.snugfs(more).succeeded();
    assert_eq!(slots(&workspace, "out/one.img")[0].1, 7);
    workspace.write("lists/long.csv", "name,/etc/hostname\ngood,x\nbad,".to_owned() + &"x".repeat(65) + "\n");
    let run = workspace.snugfs(["stamp", "a.img", "--devices", "lists/long.csv", "-o", "out"]);
    run.failed_with(6).says("bad: a.img: /etc/hostname: the contents have 65 bytes, but the slot has 64");
    assert!(!Path::new(&workspace.path("out/bad.img")).exists());
    workspace.write("lists/twice.csv", "name,/etc/hostname,/etc/../etc/hostname\na,1,2\n");
    let run = workspace.snugfs(["stamp", "a.img", "--devices", "lists/twice.csv", "-o", "out"]);
    run.failed_with(2).says("a: a.img: /etc/hostname: is given twice");
    workspace.write("plain", "");
    let run = workspace.snugfs(["stamp", "a.img", "--devices", "lists/all.csv", "-o", "plain"]);
    run.failed_with(7).says("plain: can't be written: ").says("; name a folder");
    let name = "n".repeat(300);
    workspace.write("lists/name.csv", format!("name,/etc/hostname\n{name},x\n"));
    let run = workspace.snugfs(["stamp", "a.img", "--devices", "lists/name.csv", "-o", "out"]);
    run.failed_with(7).says("; give the device a shorter name");
}

/// The list may begin with a byte order mark, and its name may be in upper case.
#[test]
fn both_forms_of_lists_have_the_same_rules() {
    let workspace = Workspace::with_plan(&plan());
    workspace.build("a.img", []);
    workspace.write("A.CSV", "\u{feff}name,/etc/hostname\none,board 1\n");
    workspace
        .write("A.JSON", "\u{feff}[{\"name\":\"one\",\"slots\":{\"/etc/hostname\":{\"text\":\"board 1\"}}}]");
    for list in ["A.CSV", "A.JSON"] {
        workspace
            .snugfs(["stamp", "a.img", "--devices", list, "-o", list.strip_prefix("A.").unwrap()])
            .succeeded();
    }
    assert_eq!(workspace.read("CSV/one.img"), workspace.read("JSON/one.img"));
    workspace.write("open.csv", "name,/etc/hostname\na,\"1\nb,2\n");
    let run = workspace.snugfs(["stamp", "a.img", "--devices", "open.csv", "-o", "out"]);
    run.failed_with(5).says("open.csv: line 2: the quote at the start of a field has no end; ");
    workspace.write("key.json", r#"[{"name":"a","slots":{},"slots":{"/etc/hostname":{"text":"x"}}}]"#);
    let run = workspace.snugfs(["stamp", "a.img", "--devices", "key.json", "-o", "out"]);
    run.failed_with(5).says("key.json: duplicate field `slots` at line 1 ");
    assert!(!workspace.path("out").exists());
}

/// Images of devices never replace the base, the list or the contents.
#[test]
fn images_of_devices_never_replace_inputs() {
    let workspace = Workspace::with_plan(&plan());
    workspace.build("card.img", []);
    workspace.write("keys/001.img", "one");
    workspace.write("keys/002.img", "two");
    let list = |text: &str| workspace.write("list.csv", text);
    let refused = |output: &str, what: &str| {
        let before = tree_of(&workspace);
        let run = workspace.snugfs(["stamp", "card.img", "--devices", "list.csv", "-o", output]);
        run.failed_with(2).says(what);
        assert!(tree_of(&workspace) == before, "{output}");
    };
    list("name,/etc/hostname\nfirst,1\ncard,2\n");
    refused(".", "--output-dir: ./card.img is also the image that is cloned; ");
    list("name,file:/etc/hostname\n002,keys/001.img\n001,keys/002.img\n");
    refused("keys", "--output-dir: keys/002.img is also the contents of /etc/hostname; ");
    std::os::unix::fs::symlink("keys", workspace.path("other")).unwrap();
    refused("other", "--output-dir: other/002.img is also the contents of /etc/hostname; ");
    workspace.write("list.img", "name,/etc/hostname\nlist,1\n");
    let run = workspace.snugfs(["stamp", "card.img", "--devices", "list.img", "-o", "."]);
    run.failed_with(2).says("--output-dir: ./list.img is also the list of devices; ");
    // A file that does not exist yet is not taken from the image of another device.
    list("name,file:/etc/hostname\n003,keys/001.img\n004,keys/003.img\n");
    let run = workspace.snugfs(["stamp", "card.img", "--devices", "list.csv", "-o", "keys"]);
    run.failed_with(5).says("keys/003.img: no such file or directory");
    assert!(!workspace.path("keys/003.img").exists());
}

/// All files, with their contents.
fn tree_of(workspace: &Workspace) -> Vec<(String, Vec<u8>)> {
    let files = ["card.img", "list.csv", "keys/001.img", "keys/002.img"];
    let mut tree: Vec<_> = files.iter().map(|name| ((*name).to_owned(), workspace.read(name))).collect();
    let folders = [workspace.names(), crate::support::sorted_names(&workspace.path("keys"))];
    tree.extend(folders.concat().into_iter().map(|name| (name, Vec::new())));
    tree
}

/// Another name of the file changes nothing: it is the one that is mounted.
#[test]
fn a_mounted_image_is_not_stamped_by_another_name() {
    let workspace = Workspace::with_plan(&plan());
    let image = workspace.build("a.img", []);
    std::fs::hard_link(&image, workspace.path("b.img")).unwrap();
    workspace.write("name", "board7\n");
    let mounted = Mounted::new(&image);
    stamp(&workspace, "b.img", ["/etc/hostname=name"]).failed_with(7).says("b.img: is in use: ");
    drop(mounted);
    stamp(&workspace, "b.img", ["/etc/hostname=name"]).succeeded();
}

#[test]
fn a_file_has_one_content_whatever_its_names() {
    let workspace = Workspace::with_plan(&plan());
    let image = workspace.build("a.img", []);
    let device = LoopDevice::new(&image, "512");
    let folder = workspace.path("mounted");
    std::fs::create_dir(&folder).unwrap();
    Run::of(Command::new("mount").arg(&device.device).arg(&folder)).succeeded();
    let linked = std::fs::hard_link(folder.join("etc/hostname"), folder.join("other"));
    Run::of(Command::new("umount").arg(&folder)).succeeded();
    drop(device);
    linked.unwrap();
    workspace.write("name", "board7\n");
    workspace.write("name2", "board8\n");
    let before = workspace.read("a.img");
    let run = stamp(&workspace, "a.img", ["/etc/hostname=name", "/other=name2"]);
    run.failed_with(2).says("a.img: /other: is given twice: /etc/hostname is the same file; ");
    assert_eq!(workspace.read("a.img"), before);
}

#[test]
fn what_is_no_image_or_damaged_is_named() {
    let mut plan = plan();
    plan["disk"] = json!({ "table": "gpt", "partitions": [
        { "type": "esp", "content": { "kind": "fat", "entries": { "/a": { "type": "file", "slot": "8" } } } },
        { "type": "root-arm64", "content": { "kind": "root" } } ] });
    let workspace = Workspace::with_plan(&plan);
    workspace.snugfs(["build", "plan.json", "-o", "a.img"]).succeeded();
    let overview = workspace.snugfs(["inspect", "a.img", "--json"]).succeeded();
    let overview: Value = serde_json::from_slice(&overview.stdout).unwrap();
    let start = usize::try_from(overview["volumes"][1]["partition"]["start"].as_u64().unwrap()).unwrap();
    let bytes = workspace.read("a.img");
    workspace.write("cut.img", &bytes[..start + 65_536]);
    workspace.write("name", "board7\n");
    for slot in ["/etc/hostname=name", "2:/etc/hostname=name"] {
        stamp(&workspace, "cut.img", [slot]).failed_with(5).says("is beyond the end of the image; ");
    }
    Run::of(Command::new("mkfifo").arg(workspace.path("pipe"))).succeeded();
    stamp(&workspace, "pipe", ["/a=name"])
        .failed_with(2)
        .says("pipe: is neither a regular file nor a block device; ");
    workspace.write("list.csv", "name,/a\nx,1\n");
    let run = workspace.snugfs(["stamp", "pipe", "--devices", "list.csv", "-o", "out"]);
    run.failed_with(2).says("pipe: is not a regular file");
}

/// A file of a mounted image that was a slot is an ordinary file of another image.
#[test]
fn a_tree_with_a_slot_gives_an_ordinary_file() {
    let workspace = Workspace::with_plan(&plan());
    let image = workspace.build("a.img", []);
    workspace.write("name", "board7\n");
    stamp(&workspace, "a.img", ["/etc/hostname=name"]).succeeded();
    let mounted = Mounted::new(&image);
    let mut plan = empty_plan();
    plan["trees"] = json!([{ "source": mounted.path(), "xattrs": ["*"] }]);
    workspace.write("plan.json", plan.to_string());
    workspace.build("b.img", []);
    assert_eq!(slots(&workspace, "b.img"), []);
    let run = workspace.snugfs(["inspect", "b.img", "cat", "/etc/hostname"]).succeeded();
    assert_eq!(run.stdout, b"board7\n");
}
