//! Systems and disks that no boot loader can boot. Each gives one error, which names the cause.

use boot_loaders::Machine;
use serde_json::{Value, json};

use crate::support::{MemoryStore, SECRETS, SYSTEM, board, installed, machine, store_of};

fn error_of(store: &MemoryStore, boot: Value, machine: &Machine) -> String {
    installed(boot, machine, store).unwrap_err()
}

/// The error of systemd-boot for a bootspec.
fn error(spec: &Value) -> String {
    let mut store = store_of(&board());
    store.file(format!("{SYSTEM}/boot.json"), spec.to_string());
    error_of(&store, json!({ "kind": "systemd-boot" }), &machine())
}

/// The bootspec of the board with a change.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut spec = board();
    change(&mut spec);
    spec
}

const FILE: &str = "system: /nix/store/11111111111111111111111111111111-nixos-system-board-25.11/boot.json: ";

#[test]
fn damaged_bootspecs_are_named() {
    let main = |field: &'static str, value: Value| {
        error(&changed(|spec| spec["org.nixos.bootspec.v1"][field] = value))
    };
    for (error, expected) in [
        (error(&json!([])), "not a bootspec: invalid type: "),
        (error(&json!({})), "has no org.nixos.bootspec.v1; "),
        (error(&json!({ "v1": {} })), "has no org.nixos.bootspec.v1; "),
        (main("kernel", Value::Null), "not a bootspec: invalid type: null"),
        (main("initrd", Value::Null), "has no initial RAM disk; "),
        (main("kernelParams", json!("quiet")), "not a bootspec: invalid type: string"),
        (main("kernelParams", json!(["a\nb"])), "kernelParams has a control character"),
        (main("label", json!("x".repeat(70_000))), "label has a control character, or more than 65536 bytes"),
        (
            main("toplevel", json!("/nix/store/other")),
            "describes /nix/store/other, which is another system; ",
        ),
        (
            error(&changed(|spec| spec["org.xenproject.bootspec.v2"] = json!({}))),
            "has org.xenproject.bootspec.v2; disable Xen",
        ),
        (
            error(&changed(|spec| {
                let one = spec["org.nixos.specialisation.v1"]["gui"].clone();
                spec["org.nixos.specialisation.v1"]["a/b"] = one;
            })),
            "\"a/b\" is no name of a specialisation; ",
        ),
        (
            error(&changed(|spec| spec["org.nixos.specialisation.v1"]["gui"] = json!({}))),
            "specialisation gui: has no org.nixos.bootspec.v1; ",
        ),
    ] {
        assert!(error.starts_with(&format!("{FILE}{expected}")), "{error}\n{expected}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn missing_files_are_named() {
    let mut store = store_of(&board());
    store.files.remove(&format!("{SYSTEM}/boot.json"));
    let error = error_of(&store, json!({ "kind": "extlinux" }), &machine());
    assert!(error.starts_with(&format!("{FILE}does not exist; ")), "{error}");

    let mut store = store_of(&board());
    store.files.remove(&format!("{}/bzImage", crate::support::KERNEL));
    let error = error_of(&store, json!({ "kind": "extlinux" }), &machine());
    let expected = format!("system: {}/bzImage: does not exist; ", crate::support::KERNEL);
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn initrd_secrets_are_refused_unless_they_are_ignored_or_none() {
    let mut store = store_of(&board());
    store.file(SECRETS, "#!/bin/sh\nif true; then\n  exit 0\nfi\ncp /secret x\n");
    for kind in ["systemd-boot", "extlinux"] {
        let error = error_of(&store, json!({ "kind": kind }), &machine());
        let expected = format!("system: {SECRETS}: appends secrets to the initial RAM disk (initrdSecrets)");
        assert!(error.starts_with(&expected), "{error}");
    }
    let ignored = json!({ "kind": "extlinux", "ignoreInitrdSecrets": true });
    let with = installed(ignored, &machine(), &store).unwrap();
    let without = installed(json!({ "kind": "extlinux" }), &machine(), &store_of(&board())).unwrap();
    assert_eq!(with, without);
}

#[test]
fn missing_partitions_are_named() {
    let store = store_of(&board());
    let without = Machine { esp: None, ..machine() };
    let grub = json!({ "kind": "grub", "efi": { "image": "grubx64.efi" } });
    for boot in [json!({ "kind": "systemd-boot" }), grub] {
        let error = error_of(&store, boot, &without);
        assert!(error.starts_with("kind: the disk has no FAT file system"), "{error}");
    }
    let boot = json!({ "kind": "extlinux", "bootPartition": "xbootldr" });
    let error = error_of(&store, boot, &machine());
    assert!(error.starts_with("bootPartition: the disk has no file system"), "{error}");
}

#[test]
fn other_faults_are_named() {
    let store = store_of(&board());
    let grub = |field: &str, value: Value| {
        let mut boot = json!({ "kind": "grub", "efi": { "image": "grubx64.efi" } });
        boot[field] = value;
        boot
    };
    let error = error_of(&store, grub("splashImage", json!("background")), &machine());
    assert!(error.starts_with("splashImage: the name /base/background has no ending"), "{error}");
    let mut unlabelled = machine();
    unlabelled.root.label = String::new();
    let error = error_of(&store, grub("fsIdentifier", json!("label")), &unlabelled);
    assert!(error.starts_with("fsIdentifier: the label \"\" can't identify"), "{error}");
    let boot =
        json!({ "kind": "systemd-boot", "extraFiles": { "efi/SYSTEMD/systemd-bootx64.efi": "other.efi" } });
    let error = error_of(&store, boot, &machine());
    assert!(
        error.ends_with("/efi/SYSTEMD/systemd-bootx64.efi would be two files; rename one of them"),
        "{error}"
    );
    let mut store = store_of(&board());
    store.links.clear();
    let boot = json!({ "kind": "extlinux", "dtbName": "board.dtb" });
    let error = error_of(&store, boot, &machine());
    assert!(error.starts_with("dtbName: the system has no device trees"), "{error}");
}
