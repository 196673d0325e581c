//! Boot loaders.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use snugfs_plan::{
    BootLoaderPlan, EntryNames, GrubBiosPlan, GrubPlan, GrubStatePlan, Platforms, SystemdBootPlan,
};

use crate::support::{disk, path, problems, read};

/// A plan with a system and this boot loader, which has more fields.
fn plan(disk: Option<&Value>, boot: &Value) -> Value {
    let mut boot = boot.clone();
    boot["system"] = json!("/nix/store/5l448ds6ndqs0ncnpdljmksj740rmwlz-system");
    json!({ "closure": { "registration": "r" }, "disk": disk, "boot": boot })
}

fn loader(boot: &Value) -> BootLoaderPlan {
    let esp = json!({ "type": "esp", "content": { "kind": "fat" } });
    read(&plan(Some(&disk(vec![esp])), boot)).boot.unwrap().loader
}

fn grub(boot: &Value) -> GrubPlan {
    let BootLoaderPlan::Grub(grub) = loader(boot) else { panic!("{boot}") };
    *grub
}

#[test]
fn systemd_boot_has_more_entries_and_files_as_in_nixos() {
    let BootLoaderPlan::SystemdBoot(systemd_boot) = loader(&json!({
        "kind": "systemd-boot", "loader": "boot.efi", "editor": false, "consoleMode": "max", "rebootForBitlocker": true,
        "entryNames": "hash", "bootCountingTries": 3,
        "extraEntries": { "memtest.conf": "title Memtest\nefi /memtest.efi\n" },
        "extraFiles": { "memtest.efi": "memtest", "EFI/shell.efi": "/opt/shell.efi" },
    })) else {
        panic!("another loader")
    };
    let expected = SystemdBootPlan {
        loader: "/base/boot.efi".into(),
        editor: false,
        console_mode: "max",
        reboot_for_bitlocker: true,
        entry_names: EntryNames::Hash { tries: Some(3) },
        extra_entries: BTreeMap::from([("memtest.conf".into(), "title Memtest\nefi /memtest.efi\n".into())]),
        extra_files: BTreeMap::from([
            (path("/memtest.efi"), PathBuf::from("/base/memtest")),
            (path("/EFI/shell.efi"), PathBuf::from("/opt/shell.efi")),
        ]),
    };
    assert_eq!(systemd_boot, expected);
}

#[test]
fn grub_has_the_images_and_the_state_of_the_plan() {
    let plan = grub(&json!({
        "kind": "grub",
        "bios": { "boot": "boot.img", "core": "/opt/core.img" },
        "state": { "name": "grub", "version": "2.12", "grub": "/nix/store/a-grub", "devices": ["/dev/sda", "/dev/sdb"],
                   "efiSysMountPoint": "/efi", "extraGrubInstallArgs": ["--force"] },
        "gfxmodeBios": "640x480",
    }));
    assert_eq!(plan.efi, None);
    let bios = GrubBiosPlan { boot: "/base/boot.img".into(), core: "/opt/core.img".into() };
    assert_eq!(plan.bios, Some(bios));
    let state = GrubStatePlan {
        name: "grub".to_owned(),
        version: "2.12".to_owned(),
        grub: "/nix/store/a-grub".to_owned(),
        grub_efi: String::new(),
        devices: vec!["/dev/sda".to_owned(), "/dev/sdb".to_owned()],
        efi_sys_mount_point: "/efi".to_owned(),
        extra_grub_install_args: vec!["--force".to_owned()],
    };
    assert_eq!(plan.state, Some(state));
    assert_eq!(plan.gfxmode, Platforms { efi: "auto".to_owned(), bios: "640x480".to_owned() });
}

#[test]
fn only_programs_of_firmware_need_a_disk() {
    let problems = |boot: Value| problems(&plan(None, &boot));
    assert_eq!(problems(json!({ "kind": "extlinux" })), [""; 0]);
    assert_eq!(problems(json!({ "kind": "grub" })), [""; 0]);
    let of_grub =
        "plan.boot: GRUB needs a disk; add \"disk\", or leave out \"efi\" and \"bios\" for only grub.cfg";
    assert_eq!(problems(json!({ "kind": "grub", "efi": { "image": "a" } })), [of_grub]);
    assert_eq!(problems(json!({ "kind": "grub", "bios": { "boot": "a", "core": "b" } })), [of_grub]);
    let of_systemd_boot = "plan.boot: systemd-boot needs a disk; add \"disk\", with an EFI system partition";
    assert_eq!(problems(json!({ "kind": "systemd-boot", "loader": "a" })), [of_systemd_boot]);
}
