//! Images that users and their tools changed: if e2fsck finds nothing wrong, `verify --used` finds no damage.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Run, Workspace, assert_sound, plan_of_entries};

/// What is done to an image `u.img`. `in_mount` runs in the mounted file system.
struct Case {
    in_mount: &'static str,
    afterwards: &'static str,
}

const fn mounted(in_mount: &'static str) -> Case {
    Case { in_mount, afterwards: "true" }
}

const fn tool(afterwards: &'static str) -> Case {
    Case { in_mount: "", afterwards }
}

/// Changes that e2fsck and Linux accept. Not every kernel and not every root may set every flag; another one is set then.
const CASES: &[Case] = &[
    // The attributes that users set.
    mounted("mkdir -p var/empty && chattr +i var/empty"),
    mounted("touch a b c && chattr +i a && chattr +a b && chattr +AdDsSu c || chattr +AdsSu c"),
    mounted(
        "chattr +A etc && touch etc/new && mkdir etc/d && mkfifo etc/p && mknod etc/n c 1 3 && ln -s x etc/l",
    ),
    mounted("chattr +d etc && touch etc/new && mkfifo etc/p && ln -s x etc/l"),
    mounted("mkdir d && chattr +T d && chattr +D d && chattr +S d"),
    mounted("mkdir d && chattr +P d"),
    mounted("touch f && (chattr +j f || chattr +A f)"),
    mounted("touch f && (chattr +x f || chattr +A f)"),
    mounted("touch f && (chattr +t f || chattr +A f)"),
    mounted("touch f && (chattr +c f || chattr +A f)"),
    // The settings of tune2fs.
    tool("tune2fs -c 20 -i 30d u.img"),
    tool("tune2fs -e remount-ro u.img"),
    tool("tune2fs -e panic u.img"),
    tool(
        "tune2fs -o discard,user_xattr,journal_data_writeback,nobarrier,nodelalloc,block_validity,debug u.img",
    ),
    tool("tune2fs -o ^acl,^user_xattr,bsdgroups,uid16 u.img"),
    tool("tune2fs -E mount_opts=data=ordered,stride=4,stripe_width=8 u.img"),
    tool("tune2fs -E test_fs u.img"),
    tool("tune2fs -E hash_alg=tea u.img"),
    tool("tune2fs -L NEW -m 1 -M /foo -T 20200101 -C 5 u.img"),
    tool("tune2fs -u 7 -g 8 -r 9 u.img"),
    tool("tune2fs -U 7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b12 u.img"),
    tool("tune2fs -O ^has_journal u.img"),
    tool("tune2fs -O ^has_journal u.img && e2fsck -fy u.img"),
    tool("tune2fs -O ^has_journal u.img && e2fsck -fy u.img && tune2fs -j u.img"),
    Case { in_mount: "touch new", afterwards: "tune2fs -c 20 u.img && tune2fs -O ^has_journal u.img" },
    Case { in_mount: "touch new", afterwards: "tune2fs -e panic -E stride=4 u.img" },
    // Other lengths.
    tool("resize2fs -M u.img; truncate -s $(dumpe2fs -h u.img | awk '/Block count/ {print $3*4096}') u.img"),
    tool("e2fsck -fy u.img; resize2fs -M u.img && truncate -s 300M u.img && resize2fs u.img"),
    tool("truncate -s 400M u.img && resize2fs u.img"),
    tool("e2fsck -fyD u.img"),
];

fn shell(folder: &Path, script: &str) -> Run {
    Run::of(Command::new("sh").args(["-c", script]).current_dir(folder).env("LC_ALL", "C"))
}

fn image() -> Workspace {
    let mut plan = plan_of_entries(json!({
        "/etc/hostname": { "type": "file", "text": "board\n" },
        "/var": { "type": "directory" },
    }));
    plan["filesystem"]["freeSpace"] = json!("60MiB");
    plan["filesystem"]["growTo"] = json!("1GiB");
    // Two groups with a copy of the superblock.
    plan["filesystem"]["size"] = json!("200MiB");
    let workspace = Workspace::with_plan(&plan);
    workspace.snugfs(["build", "plan.json", "-o", "plan.img"]).succeeded();
    assert_sound(&workspace.path("plan.img"));
    workspace
}

#[test]
fn what_e2fsck_accepts_after_use_is_no_damage() {
    let workspace = image();
    let mount = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for Case { in_mount, afterwards } in CASES {
        let name = format!("{in_mount} / {afterwards}");
        // A new file each time: the loop device of the last one may be detached late.
        let _ = std::fs::remove_file(workspace.path("u.img"));
        std::fs::copy(workspace.path("plan.img"), workspace.path("u.img")).unwrap();
        if !in_mount.is_empty() {
            let at = mount.path().display();
            shell(workspace.path("").as_path(), &format!("mount -o loop u.img {at}")).succeeded();
            let run = shell(mount.path(), in_mount);
            shell(workspace.path("").as_path(), &format!("umount {at}")).succeeded();
            assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        }
        let run = shell(workspace.path("").as_path(), afterwards);
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        let e2fsck = shell(workspace.path("").as_path(), "e2fsck -fn u.img");
        assert_eq!(e2fsck.code, 0, "{name}: e2fsck: {}", e2fsck.text());
        let run = workspace.snugfs(["verify", "--used", "u.img"]);
        if run.code != 0 {
            wrong.push(format!("{name}:\n{}", run.stderr));
        }
        // The changes are reported, but not as damage.
        let run = workspace.snugfs(["verify", "--json", "u.img"]);
        let json: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert!(run.code != 8 || json["sound"] == json!(true) || !wrong.is_empty(), "{name}: {json}");
        assert!(run.code == 8 || afterwards.contains("-fyD"), "{name}: nothing is reported");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}
