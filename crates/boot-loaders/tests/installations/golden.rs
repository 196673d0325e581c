//! The files of every kind of boot loader. `UPDATE_EXPECTED=1` writes the files of `tests/golden`; review the difference.

use std::path::Path;

use boot_loaders::{FileSystem, Machine};
use serde_json::{Value, json};

use crate::support::{board, bootspec, installed, listed, machine, store_of};

/// Compares the files of a boot loader with those of a golden file.
fn check(name: &str, boot: Value, machine: &Machine, spec: &Value) {
    let actual = listed(&installed(boot, machine, &store_of(spec)).unwrap());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, &actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    assert!(expected == actual, "{name}\n--- expected\n{expected}+++ actual\n{actual}");
}

fn plain() -> Value {
    bootspec(crate::support::SYSTEM, "NixOS Xantusia 25.11 (Linux 6.12.9)", &["loglevel=4"], &json!({}))
}

#[test]
fn systemd_boot_by_generation() {
    check("systemd-boot.txt", json!({ "kind": "systemd-boot", "generation": 7 }), &machine(), &board());
}

#[test]
fn systemd_boot_by_hash_with_everything() {
    let boot = json!({
        "kind": "systemd-boot",
        "loader": "systemd-bootaa64.efi",
        "timeout": null,
        "editor": false,
        "consoleMode": "max",
        "rebootForBitlocker": true,
        "distroName": "Board OS",
        "entryNames": "hash",
        "bootCountingTries": 3,
        "extraEntries": { "shell.conf": "title Shell\nefi /efi/shell.efi\n" },
        "extraFiles": { "efi/shell.efi": "shell.efi" },
    });
    let mut spec = board();
    spec["org.nixos.systemd-boot"] =
        json!({ "sortKey": "board", "devicetree": format!("{}/board.dtb", crate::support::DTBS) });
    spec["org.nixos.extra-initrd.v1"] = json!({ "paths": ["EFI/extra.img"] });
    check("systemd-boot-hash.txt", boot, &machine(), &spec);
}

#[test]
fn systemd_boot_with_xbootldr() {
    let xbootldr = FileSystem { uuid: "AAAA-BBBB".to_owned(), label: String::new() };
    let machine = Machine { xbootldr: Some(xbootldr), ..machine() };
    check("systemd-boot-xbootldr.txt", json!({ "kind": "systemd-boot" }), &machine, &plain());
}

#[test]
fn grub_in_the_root() {
    let boot = json!({
        "kind": "grub",
        "efi": { "image": "grubx64.efi" },
        "bios": { "boot": "boot.img", "core": "core.img" },
        "files": "modules",
        "font": "unicode.pf2",
        "splashImage": "background.jpg",
        "backgroundColor": "#2F302F",
        "extraConfig": "serial --unit=0\n",
        "extraEntries": "menuentry \"Other\" {\n  chainloader @bootRoot@/other.efi\n}\n",
        "state": { "name": "grub", "version": "2.12", "devices": ["/dev/vda", "/dev/vdb"] },
    });
    check("grub.txt", boot, &machine(), &board());
}

#[test]
fn grub_in_the_esp() {
    let boot = json!({
        "kind": "grub",
        "bootPartition": "esp",
        "efi": { "image": "grubx64.efi", "removable": true },
        "fsIdentifier": "label",
        "default": "saved",
        "timeout": null,
        "extraPerEntryConfig": "insmod part_gpt",
        "extraEntries": "menuentry \"Other\" { }",
        "extraEntriesBeforeNixOS": true,
        "configurationLimit": 0,
    });
    check("grub-esp.txt", boot, &machine(), &plain());
}

#[test]
fn grub_without_searches() {
    let boot = json!({
        "kind": "grub",
        "bios": { "boot": "boot.img", "core": "core.img" },
        "fsIdentifier": "provided",
        "copyKernels": true,
        "state": { "name": "grub", "version": "2.12", "grub": "/nix/store/grub", "grubEfi": "/nix/store/grub-efi" },
    });
    check("grub-provided.txt", boot, &Machine { esp: None, ..machine() }, &plain());
}

#[test]
fn extlinux() {
    check("extlinux.txt", json!({ "kind": "extlinux", "generation": 3 }), &machine(), &board());
}

#[test]
fn extlinux_without_a_menu() {
    let boot = json!({
        "kind": "extlinux",
        "bootPath": "/",
        "timeout": 0,
        "configurationLimit": 0,
        "dtbName": "board.dtb",
    });
    check("extlinux-at-once.txt", boot, &machine(), &plain());
}
