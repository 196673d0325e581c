//! `snugfs inspect`: images of this program and of others, plain and compressed, valid and hostile.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Run, UUID, Workspace, plan_of_entries, tool};

/// An image with a file of each kind.
fn with_image() -> Workspace {
    let workspace = Workspace::with_plan(&plan_of_entries(json!({
        "/etc/hostname": { "type": "file", "text": "board\n", "mode": "0640", "uid": 7, "gid": 8 },
        "/etc/link": { "type": "symlink", "target": "/etc/hostname" },
        "/etc/set": { "type": "file", "text": "x", "mode": "4755" },
        "/dev/console": { "type": "character", "major": 5, "minor": 1, "mode": "0600" },
        "/dev/fifo": { "type": "fifo" },
        "/big": { "type": "file", "source": "big" },
    })));
    workspace.write("big", vec![9; 300_000]);
    workspace.build("plan.img", []);
    workspace
}

fn run(program: &str, arguments: &[&str], input: &str) {
    let mut command = Command::new(tool(program));
    command.args(arguments).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{program} {arguments:?}");
}

/// Puts a file's bytes at an offset of another.
fn put(disk: &Path, offset: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(disk).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

fn make_fat(workspace: &Workspace, name: &str, size: u64) -> Vec<u8> {
    let path = workspace.path(name);
    std::fs::File::create(&path).unwrap().set_len(size).unwrap();
    run("mkfs.vfat", &["-n", "FIRMWARE", "-i", "2178694e", path.to_str().unwrap()], "");
    workspace.write("config.txt", "arm_64bit=1\n");
    let file = workspace.path("config.txt");
    run("mcopy", &["-i", path.to_str().unwrap(), file.to_str().unwrap(), "::"], "");
    workspace.read(name)
}

#[test]
fn a_bare_image_is_shown_and_its_files_are_found() {
    let workspace = with_image();
    let shown = workspace.snugfs(["inspect", "plan.img"]).succeeded();
    assert!(shown.text().contains(&format!("ext4, TEST, {UUID}")), "{}", shown.text());
    let json = workspace.snugfs(["inspect", "plan.img", "--json"]).succeeded();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let report = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let (filesystem, expected) = (&json["volumes"][0]["filesystem"], &report["filesystem"]);
    assert_eq!(filesystem["uuid"], UUID);
    assert_eq!(filesystem["label"], "TEST");
    assert_eq!(filesystem["bytes"], report["image"]["bytes"]);
    assert_eq!(filesystem["freeBytes"], expected["freeBlocks"].as_u64().unwrap() * 4096);
    assert_eq!(
        (&filesystem["inodes"], &filesystem["freeInodes"]),
        (&expected["inodes"], &expected["freeInodes"])
    );
    assert_eq!(json["table"], serde_json::Value::Null);

    let listed = workspace.snugfs(["inspect", "plan.img", "ls"]).succeeded();
    assert_eq!(listed.text(), "big\ndev\netc\nlost+found\n");
    let listed = workspace.snugfs(["inspect", "plan.img", "ls", "-R", "/dev"]).succeeded();
    assert_eq!(listed.text(), "/dev:\nconsole\nfifo\n");
    let listed = workspace.snugfs(["inspect", "plan.img", "ls", "-l", "etc"]).succeeded();
    let lines = [
        "-rw-r-----   1     7     8           6 1970-01-01 00:00 hostname",
        "lrwxrwxrwx   1     0     0          13 1970-01-01 00:00 link -> /etc/hostname",
        "-rwsr-xr-x   1     0     0           1 1970-01-01 00:00 set",
    ];
    assert_eq!(listed.text().lines().collect::<Vec<_>>(), lines);
    assert_eq!(workspace.snugfs(["inspect", "plan.img", "cat", "/etc/link"]).succeeded().text(), "board\n");
    assert_eq!(workspace.snugfs(["inspect", "plan.img", "cat", "/big"]).succeeded().stdout, vec![9; 300_000]);
    let stat = workspace.snugfs(["inspect", "plan.img", "stat", "/dev/console", "--json"]).succeeded();
    let stat: serde_json::Value = serde_json::from_slice(&stat.stdout).unwrap();
    assert_eq!((&stat["type"], &stat["major"], &stat["minor"]), (&json!("character"), &json!(5), &json!(1)));
    assert_eq!((&stat["mode"], &stat["path"]), (&json!("0600"), &json!("/dev/console")));
    let stat = workspace.snugfs(["inspect", "plan.img", "stat", "/etc/link"]).succeeded();
    assert!(stat.text().contains("target    /etc/hostname\n"), "{}", stat.text());
}

#[test]
fn errors_are_one_line_with_an_exit_code() {
    let workspace = with_image();
    workspace.write("text", "no image");
    workspace.write("empty", "");
    workspace.write("qcow", b"QFI\xfb\0\0\0\x03");
    workspace.write("simg", b"\x3a\xff\x26\xed\x01\0\0\0");
    let image = workspace.read("plan.img");
    workspace.write("short", &image[..3000]);
    workspace.write("zst", [&0xfd2f_b528_u32.to_le_bytes()[..], b"garbage"].concat());
    for (arguments, code, shown) in [
        (&["absent"][..], 5, "absent: no such file or directory; name an image that exists"),
        (&["."], 5, "is a folder"),
        (&["/dev/null"], 5, "neither a file nor a block device"),
        (&["empty"], 5, "is empty"),
        (&["text", "ls"], 5, "no file system that snugfs knows"),
        (&["qcow"], 5, "qemu-img convert -O raw"),
        (&["simg"], 5, "simg2img"),
        (&["zst"], 5, "zstd: "),
        (&["short", "ls"], 5, "short: "),
        (&["plan.img", "cat", "/etc/hostnam"], 5, "did you mean /etc/hostname?"),
        (&["plan.img", "cat", "/etc"], 5, "is a directory"),
        (&["plan.img", "cat", "/dev/fifo"], 5, "is not a regular file"),
        (&["plan.img", "ls", "/big/x"], 5, "is not a directory"),
        (&["plan.img", "ls", "--partition", "2"], 5, "no partitions"),
        (&["plan.img", "--json", "ls"], 2, "--json"),
        (&["plan.img", "--partition", "1"], 2, "--partition"),
        (&["plan.img", "peek"], 2, "peek"),
        (&["plan.img", "extract", "/etc"], 2, "--output"),
        (&["plan.img", "extract", "/etc", "-o", "absent/out"], 7, "absent/out: no such file"),
    ] {
        workspace.snugfs([&["inspect"], arguments].concat()).failed_with(code).says(shown);
    }
}

fn packed_by(program: &str, workspace: &Workspace, bytes: &[u8]) -> Vec<u8> {
    let path = workspace.write("part", bytes);
    Run::of(Command::new(program).arg("-c").arg(path)).succeeded().stdout
}

#[test]
fn compressed_images_are_the_same_images() {
    let workspace = with_image();
    let plain = workspace.snugfs(["inspect", "plan.img", "ls", "-lR"]).succeeded();
    workspace.snugfs(["build", "plan.json", "-o", "plan.img.zst"]).succeeded();
    std::fs::create_dir(workspace.path("tmp")).unwrap();
    let mut command = workspace.command(["inspect", "plan.img.zst", "ls", "-lR"]);
    let compressed = Run::of(command.env("TMPDIR", workspace.path("tmp"))).succeeded();
    assert_eq!(compressed.stdout, plain.stdout);
    assert!(workspace.path("tmp").read_dir().unwrap().next().is_none(), "something is left");
    let shown = workspace.snugfs(["inspect", "plan.img.zst"]).succeeded();
    assert!(shown.text().contains(", as zstd "), "{}", shown.text());
    for (name, format) in [("plan.img.gz", "gzip"), ("plan.img.xz", "xz")] {
        workspace.snugfs(["build", "plan.json", "-o", name]).succeeded();
        assert_eq!(workspace.snugfs(["inspect", name, "ls", "-lR"]).succeeded().stdout, plain.stdout);
        let shown = workspace.snugfs(["inspect", name]).succeeded();
        assert!(shown.text().contains(&format!(", as {format} ")), "{}", shown.text());
        let json: serde_json::Value =
            serde_json::from_str(workspace.snugfs(["inspect", name, "--json"]).succeeded().text()).unwrap();
        assert_eq!(json["image"]["format"], format);
        assert_eq!(json["image"]["compressedBytes"], workspace.read(name).len());
        assert_eq!(json["image"]["bytes"], workspace.read("plan.img").len());
        workspace.snugfs(["verify", name]).succeeded();
        workspace.snugfs(["verify", name, "--against", "plan.json"]).succeeded();
        workspace.snugfs(["build", "plan.json", "-o", name, "--verify-output"]).succeeded();
        // Several members or streams in one file, as other tools make them.
        let image = workspace.read("plan.img");
        let (first, second) = image.split_at(image.len() / 3);
        let parts = [first, second].map(|part| packed_by(format, &workspace, part));
        workspace.write("parts", parts.concat());
        assert_eq!(workspace.snugfs(["inspect", "parts", "ls", "-lR"]).succeeded().stdout, plain.stdout);
        // Damage anywhere is an error.
        let whole = workspace.read(name);
        let truncated = format!("{format}: the compressed image is truncated");
        for end in [20, whole.len() / 2, whole.len() - 1] {
            workspace.write("short", &whole[..end]);
            workspace.snugfs(["inspect", "short"]).failed_with(5).says(&truncated);
        }
        // The middle is a run of zeros, in which other codes can stand for the same zeros.
        for (at, len) in [(100, 40), (whole.len() - 7, 1)] {
            let mut damaged = whole.clone();
            damaged[at..at + len].iter_mut().for_each(|byte| *byte ^= 0x55);
            workspace.write("damaged", &damaged);
            workspace.snugfs(["verify", "damaged"]).failed_with(5).says(&format!("{format}: "));
        }
        workspace.write("more", [&whole[..], b"garbage"].concat());
        workspace.snugfs(["inspect", "more"]).failed_with(5).says(&format!("{format}: "));
    }

    // The seekable form, written as its specification says: frames, then a table of their lengths.
    let image = workspace.read("plan.img");
    let (mut bytes, mut table) = (Vec::new(), Vec::new());
    for part in image.chunks(1 << 18) {
        let frame = zstd::bulk::compress(part, 1).unwrap();
        for length in [frame.len(), part.len()] {
            table.extend(u32::try_from(length).unwrap().to_le_bytes());
        }
        bytes.extend(frame);
    }
    let frames = u32::try_from(table.len() / 8).unwrap();
    bytes.extend(0x184d_2a5e_u32.to_le_bytes());
    bytes.extend(u32::try_from(table.len() + 9).unwrap().to_le_bytes());
    bytes.extend(table);
    bytes.extend(frames.to_le_bytes());
    bytes.push(0);
    bytes.extend(0x8f92_eab1_u32.to_le_bytes());
    workspace.write("seekable.zst", &bytes);
    // Nothing is decompressed into a file: there is no folder for one.
    let mut command = workspace.command(["inspect", "seekable.zst", "ls", "-lR"]);
    let seekable = Run::of(command.env("TMPDIR", "/absent")).succeeded();
    assert_eq!(seekable.stdout, plain.stdout);
    let shown = workspace.snugfs(["inspect", "seekable.zst"]).succeeded();
    assert!(shown.text().contains(", as seekable zstd "), "{}", shown.text());
    // One frame is broken; the others can still be read.
    let middle = bytes.len() / 2;
    for byte in &mut bytes[middle..middle + 40] {
        *byte ^= 0x55;
    }
    workspace.write("broken.zst", &bytes);
    let broken = workspace.snugfs(["inspect", "broken.zst", "ls", "-lR"]);
    assert!(matches!(broken.code, 0 | 5), "{}", broken.stderr);
}

#[test]
fn an_mbr_disk_of_sfdisk_is_shown_by_partition() {
    let workspace = with_image();
    let (fat, root) = (make_fat(&workspace, "fat.img", 4 << 20), workspace.read("plan.img"));
    let disk = workspace.path("disk.img");
    std::fs::File::create(&disk).unwrap().set_len(128 << 20).unwrap();
    let script = "label: dos\nlabel-id: 0x2178694e\n\
        start=8192, size=8192, type=b, bootable\nstart=16384, size=114688, type=83\n\
        start=140000, size=40000, type=5\nstart=142048, size=2048, type=82\nstart=146144, size=2048, type=83\n";
    run("sfdisk", &["-q", disk.to_str().unwrap()], script);
    put(&disk, 8192 * 512, &fat);
    put(&disk, 16384 * 512, &root);
    let json = workspace.snugfs(["inspect", "disk.img", "--json"]).succeeded();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["table"]["type"], "mbr");
    assert_eq!(json["table"]["id"], "0x2178694e");
    let parts: Vec<_> = json["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| {
            let partition = &volume["partition"];
            let place = partition["start"].as_u64().unwrap() / 512;
            (partition["number"].as_u64().unwrap(), place, partition["type"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected =
        [(1, 8192, "0b"), (2, 16384, "83"), (3, 140_000, "05"), (5, 142_048, "82"), (6, 146_144, "83")];
    assert_eq!(parts, expected.map(|(number, start, kind)| (number, start, kind.to_owned())));
    assert_eq!(json["volumes"][0]["filesystem"]["uuid"], "2178-694E");
    assert_eq!(json["volumes"][0]["partition"]["bootable"], true);
    assert_eq!(json["unallocated"][0], json!({ "start": 512, "size": 8191 * 512 }));
    assert_eq!(json["table"]["warnings"], json!([]));
    let shown = workspace.snugfs(["inspect", "disk.img"]).succeeded();
    assert!(shown.text().lines().all(|line| line.chars().count() <= 80), "{}", shown.text());

    let root = workspace.snugfs(["inspect", "disk.img", "cat", "/etc/hostname"]).succeeded();
    assert_eq!(root.text(), "board\n");
    root.says("partition 2");
    let firmware = ["inspect", "disk.img", "--partition", "1", "cat", "CONFIG.TXT"];
    assert_eq!(workspace.snugfs(firmware).succeeded().text(), "arm_64bit=1\n");
    let wrong = ["inspect", "disk.img", "ls", "--partition", "4"];
    workspace.snugfs(wrong).failed_with(5).says("choose one of 1, 2, 3, 5, 6");
}

#[test]
fn a_gpt_disk_of_sgdisk_is_also_read_from_its_backup() {
    let workspace = with_image();
    let (fat, root) = (make_fat(&workspace, "fat.img", 4 << 20), workspace.read("plan.img"));
    let disk = workspace.path("disk.img");
    std::fs::File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    let guid = "11111111-2222-4333-8444-555555555555";
    let arguments = [
        "-U",
        guid,
        "-n",
        "1:2048:10239",
        "-t",
        "1:ef00",
        "-c",
        "1:boot\u{1b}[31m",
        "-n",
        "2:16384:0",
        "-t",
        "2:8305",
    ];
    run("sgdisk", &[&arguments[..], &[disk.to_str().unwrap()]].concat(), "");
    put(&disk, 2048 * 512, &fat);
    put(&disk, 16384 * 512, &root);
    let whole = workspace.snugfs(["inspect", "disk.img", "--json"]).succeeded();
    let json: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!((&json["table"]["type"], &json["table"]["guid"]), (&json!("gpt"), &json!(guid)));
    assert_eq!(json["table"]["warnings"], json!([]));
    assert_eq!(json["volumes"][0]["partition"]["typeName"], "esp");
    assert_eq!(json["volumes"][1]["partition"]["typeName"], "root-arm64");
    let shown = workspace.snugfs(["inspect", "disk.img"]).succeeded();
    assert!(shown.text().lines().all(|line| line.chars().count() <= 80), "{}", shown.text());
    assert!(!shown.text().contains('\u{1b}'), "{}", shown.text());
    let cat = workspace.snugfs(["inspect", "disk.img", "cat", "/etc/hostname"]).succeeded();
    assert_eq!(cat.text(), "board\n");

    put(&disk, 512, &[0; 512]);
    let backup = workspace.snugfs(["inspect", "disk.img", "--json"]).succeeded();
    let json: serde_json::Value = serde_json::from_slice(&backup.stdout).unwrap();
    assert_eq!(json["volumes"][1]["partition"]["typeName"], "root-arm64");
    assert!(json["table"]["warnings"][0].as_str().unwrap().contains("backup"));
}

#[test]
fn extraction_keeps_what_it_says_and_replaces_nothing() {
    let workspace = with_image();
    workspace.snugfs(["inspect", "plan.img", "extract", "/", "-o", "out"]).succeeded();
    let mode = |name: &str| {
        let found = workspace.path(name).symlink_metadata().unwrap();
        (found.mode(), found.mtime())
    };
    assert_eq!(workspace.read("out/etc/hostname"), b"board\n");
    assert_eq!(workspace.read("out/big"), vec![9; 300_000]);
    assert_eq!((mode("out/etc/hostname"), mode("out/etc/set")), ((0o100_640, 1), (0o100_755, 1)));
    assert_eq!(std::fs::read_link(workspace.path("out/etc/link")).unwrap(), Path::new("/etc/hostname"));
    assert!(workspace.path("out/dev/console").symlink_metadata().is_err(), "a device that nobody asked for");
    let again = workspace.snugfs(["inspect", "plan.img", "extract", "/etc", "-o", "out"]);
    again.failed_with(7).says("out/etc: already exists");
    let again = workspace.snugfs(["inspect", "plan.img", "extract", "/big", "-o", "out"]);
    again.failed_with(7).says("out/big: already exists");
    workspace.snugfs(["inspect", "plan.img", "extract", "/etc/hostname", "-o", "one"]).succeeded();
    assert_eq!(workspace.read("one/hostname"), b"board\n");
    let keep = ["inspect", "plan.img", "extract", "/", "-o", "root", "--owner", "keep", "--devices"];
    workspace.snugfs(keep).succeeded();
    let owned = workspace.path("root/etc/hostname").metadata().unwrap();
    assert_eq!((owned.uid(), owned.gid(), mode("root/etc/set").0), (7, 8, 0o104_755));
    let device = workspace.path("root/dev/console").symlink_metadata().unwrap();
    assert_eq!((device.mode(), device.rdev()), (0o20_600, 0x501));
}

#[test]
fn no_image_can_write_outside_the_folder() {
    let workspace = Workspace::new();
    let outside = workspace.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let tree = workspace.path("tree");
    std::fs::create_dir_all(tree.join("zzzz")).unwrap();
    std::fs::write(tree.join("zzzz/prey"), "written").unwrap();
    std::os::unix::fs::symlink(&outside, tree.join("aaaa")).unwrap();
    std::fs::write(tree.join("qqqq"), "climbs").unwrap();
    let image = workspace.path("evil.img");
    let arguments = ["-q", "-t", "ext4", "-O", "^metadata_csum,^dir_index", "-d"];
    run("mke2fs", &[&arguments[..], &[tree.to_str().unwrap(), image.to_str().unwrap(), "2M"]].concat(), "");
    // The directory gets the name of the link, and the file one that leads upwards.
    let mut bytes = std::fs::read(&image).unwrap();
    let mut replaced = 0;
    for at in 0..bytes.len() - 4 {
        let new: &[u8] = match &bytes[at..at + 4] {
            b"zzzz" => b"aaaa",
            b"qqqq" => b"../q",
            _ => continue,
        };
        bytes[at..at + 4].copy_from_slice(new);
        replaced += 1;
    }
    assert_eq!(replaced, 2);
    std::fs::write(&image, bytes).unwrap();
    let run = workspace.snugfs(["inspect", "evil.img", "extract", "/", "-o", "out"]);
    run.failed_with(7).says("already exists").says("\"../q\" is not allowed");
    assert!(outside.read_dir().unwrap().next().is_none(), "written through a link");
    let left: Vec<_> = workspace.names();
    assert_eq!(left, ["evil.img", "out", "outside", "tree"]);
    // A listing reports what it can't read, shows the rest, and exits with 5.
    let listed = workspace.snugfs(["inspect", "evil.img", "ls"]);
    assert_eq!((listed.code, listed.text()), (5, "aaaa\naaaa\nlost+found\n"));
}

#[test]
fn names_can_neither_add_lines_nor_colours() {
    let workspace = Workspace::new();
    let tree = workspace.path("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("a\nb\u{1b}[31m"), "").unwrap();
    let image = workspace.path("x.img");
    run("mke2fs", &["-q", "-t", "ext4", "-d", tree.to_str().unwrap(), image.to_str().unwrap(), "2M"], "");
    for arguments in [&["ls"][..], &["ls", "-l"], &["ls", "-R"], &["stat", "/a\nb\u{1b}[31m"]] {
        let shown = workspace.snugfs([&["inspect", "x.img"], arguments].concat()).succeeded();
        assert!(shown.text().contains("a\\x0ab\\x1b[31m"), "{}", shown.text());
        assert!(!shown.text().contains('\u{1b}'));
    }
}

#[test]
fn a_cycle_of_directories_is_read_once() {
    let workspace = Workspace::new();
    let mut fat = make_fat(&workspace, "fat.img", 4 << 20);
    let path = workspace.path("fat.img");
    run("mmd", &["-i", path.to_str().unwrap(), "::outer", "::outer/inner"], "");
    fat.clone_from(&workspace.read("fat.img"));
    let entry = |name: &[u8; 11]| fat.windows(11).position(|bytes| bytes == name).unwrap();
    let (outer, inner) = (entry(b"OUTER      "), entry(b"INNER      "));
    // The cluster of the inner directory becomes that of the outer one.
    let cluster = fat[outer + 26..outer + 28].to_vec();
    fat[inner + 26..inner + 28].copy_from_slice(&cluster);
    workspace.write("ring.img", fat);
    let listed = workspace.snugfs(["inspect", "ring.img", "ls", "-R"]).says("has a second name");
    assert_eq!(listed.code, 5);
    assert_eq!(listed.text(), "/:\nconfig.txt\nouter\n\n/outer:\ninner\n");
    let extracted = workspace.snugfs(["inspect", "ring.img", "extract", "/", "-o", "out"]);
    extracted.failed_with(5).says("/outer/inner: the directory: has a second name");
}

#[test]
fn the_first_of_two_roots_is_taken() {
    let file = |text: &str| json!({ "/f": { "type": "file", "text": text } });
    let mut plan = json!({
        "version": 1,
        "entries": file("first"),
        "disk": { "table": "gpt", "partitions": [
            { "type": "linux", "content": { "kind": "ext4", "filesystem": { "freeSpace": "48MiB" } } },
            { "type": "root-x86-64", "content": { "kind": "root" } },
            { "type": "root-x86-64-verity", "size": "4KiB" },
            { "type": "root-x86-64", "content": { "kind": "ext4", "entries": file("second") } },
        ] },
    });
    for free_space in ["32MiB", "40MiB"] {
        plan["disk"]["partitions"][3]["content"]["filesystem"] = json!({ "freeSpace": free_space });
        let workspace = Workspace::with_plan(&plan);
        workspace.snugfs(["build", "plan.json", "-o", "x.img"]).succeeded();
        let run = workspace.snugfs(["inspect", "x.img", "cat", "/f"]).succeeded();
        assert_eq!(run.text(), "first");
        run.says("partition 2");
    }
}

#[test]
fn stat_shows_extended_attributes() {
    // The list of a user with the id 7, as getxattr returns it.
    let acl = "AgAAAAEABgD/////AgAEAAcAAAAEAAQA/////xAABAD/////IAAEAP////8=";
    let xattrs = json!({
        "security.selinux": "c3lzdGVtX3U6b2JqZWN0X3I6ZXRjX3Q6czAA", "user.bytes": "AQL/", "system.posix_acl_access": acl,
    });
    let workspace = Workspace::with_plan(&json!({
        "version": 1,
        "entries": { "/f": { "type": "file", "text": "", "xattrs": xattrs }, "/g": { "type": "fifo" } },
    }));
    workspace.build("x.img", []);
    let text = workspace.snugfs(["inspect", "x.img", "stat", "/f"]).succeeded();
    for line in [
        "xattr     security.selinux = \"system_u:object_r:etc_t:s0\"",
        "xattr     user.bytes = 0x0102ff",
        "xattr     system.posix_acl_access = 0x0200000001000600ffffffff02000400",
    ] {
        assert!(text.text().lines().any(|shown| shown.starts_with(line)), "{}", text.text());
    }
    let json = |path: &str| {
        let run = workspace.snugfs(["inspect", "x.img", "stat", path, "--json"]).succeeded();
        serde_json::from_slice::<serde_json::Value>(&run.stdout).unwrap()["xattrs"].clone()
    };
    assert_eq!((json("/f"), json("/g")), (xattrs, json!({})));
}
