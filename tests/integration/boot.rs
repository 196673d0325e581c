//! Boot loaders of NixOS systems on disks, read with mtools, debugfs and sfdisk.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::disks::{cut, sfdisk};
use crate::support::{Run, Workspace, assert_sound, debugfs, empty_plan, sha256};

const SYSTEM: &str = "11111111111111111111111111111111-nixos-system-board-25.11";
const RESCUE: &str = "22222222222222222222222222222222-nixos-system-board-rescue-25.11";
const KERNEL: &str = "33333333333333333333333333333333-linux-6.12.9";
const INITRD: &str = "44444444444444444444444444444444-initrd-linux-6.12.9";
const SECRETS: &str = "55555555555555555555555555555555-append-initrd-secrets";
const STORE_PATHS: [&str; 5] = [SYSTEM, RESCUE, KERNEL, INITRD, SECRETS];

/// A bootspec as NixOS writes it.
fn bootspec(system: &str, specialisations: &Value) -> Value {
    json!({
        "org.nixos.bootspec.v1": {
            "init": format!("/nix/store/{system}/init"),
            "initrd": format!("/nix/store/{INITRD}/initrd"),
            "initrdSecrets": format!("/nix/store/{SECRETS}/bin/append-initrd-secrets"),
            "kernel": format!("/nix/store/{KERNEL}/bzImage"),
            "kernelParams": ["console=ttyS0"],
            "label": "NixOS Xantusia 25.11 (Linux 6.12.9)",
            "system": "x86_64-linux",
            "toplevel": format!("/nix/store/{system}"),
        },
        "org.nixos.specialisation.v1": specialisations,
        "org.nixos.systemd-boot": { "sortKey": "nixos" },
    })
}

/// The start of an EFI program for x64.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; 70_000];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[0x3c] = 0x40;
    bytes[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x86");
    bytes
}

/// GRUB's boot.img and core.img, as far as their places matter.
fn grub_images() -> (Vec<u8>, Vec<u8>) {
    let mut boot = vec![0x11; 512];
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    let mut core: Vec<u8> = (0..80_000_u32).map(|at| at.to_le_bytes()[1]).collect();
    core[0x1e8..0x1f4].fill(0);
    core[0x1f4..0x200].copy_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 156, 0, 0x20, 8]);
    (boot, core)
}

/// A system in a store, the files of boot loaders, and a plan for them.
fn workspace(disk: Value, boot: Value) -> Workspace {
    let mut plan = empty_plan();
    // What is known of the store paths only matters to `built`.
    let unknown = |name| {
        json!({ "path": format!("/nix/store/{name}"), "narHash": format!("sha256:{}", "0".repeat(52)),
                                 "narSize": 1, "references": [] })
    };
    plan["closure"] = json!({ "graph": STORE_PATHS.map(unknown), "sourceDir": "store", "verify": "none" });
    plan["disk"] = disk;
    plan["boot"] = boot;
    plan["boot"]["system"] = json!(format!("/nix/store/{SYSTEM}"));
    let workspace = Workspace::with_plan(&plan);
    workspace.write(&format!("store/{KERNEL}/bzImage"), vec![7; 300_000]);
    workspace.write(&format!("store/{INITRD}/initrd"), vec![9; 500_000]);
    workspace.write(&format!("store/{SECRETS}/bin/append-initrd-secrets"), "#!/bin/sh\nexit 0\n");
    let rescue = bootspec(RESCUE, &json!({}));
    let main = bootspec(SYSTEM, &json!({ "rescue": rescue }));
    for (system, spec) in [(SYSTEM, main), (RESCUE, rescue)] {
        workspace.write(&format!("store/{system}/boot.json"), spec.to_string());
        workspace.write(&format!("store/{system}/nixos-version"), "25.11.20260101.abcdef0\n");
        workspace.write(&format!("store/{system}/init"), "#!/bin/sh\n");
        let link = workspace.path(&format!("store/{system}/kernel"));
        symlink(format!("/nix/store/{KERNEL}/bzImage"), link).unwrap();
    }
    workspace.write("systemd-bootx64.efi", program());
    workspace.write("grubx64.efi", program());
    let (boot, core) = grub_images();
    workspace.write("boot.img", boot);
    workspace.write("core.img", core);
    workspace.write("modules/x86_64-efi/normal.mod", "module");
    workspace
}

/// The closure of the system. Its store paths refer to nothing, as far as Nix knows.
fn closure(workspace: &Workspace) -> Value {
    let path = |name: &str| {
        let source = workspace.path(&format!("store/{name}"));
        let nar = Run::of(Command::new("nix-store").arg("--dump").arg(source)).succeeded().stdout;
        json!({ "path": format!("/nix/store/{name}"), "narHash": format!("sha256:{}", sha256(&nar)),
                "narSize": nar.len(), "references": [] })
    };
    json!({ "graph": STORE_PATHS.map(path), "sourceDir": "store" })
}

/// Builds the plan, compares the image with it, and returns the image and its partitions.
fn built(workspace: &Workspace) -> (Vec<u8>, Vec<(u64, u64, String)>) {
    workspace.change_plan(|plan| plan["closure"] = closure(workspace));
    workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--report", "report.json"]).succeeded();
    workspace.snugfs(["verify", "disk.img", "--against", "plan.json"]).succeeded();
    let (_, partitions) = sfdisk(&workspace.path("disk.img"));
    (workspace.read("disk.img"), partitions)
}

/// A FAT partition as a file of its own, which fsck.vfat has checked.
fn fat(workspace: &Workspace, image: &[u8], (start, len, _): &(u64, u64, String)) -> std::path::PathBuf {
    let path = workspace.write("fat.img", cut(image, *start, *len));
    Run::of(Command::new("fsck.vfat").arg("-n").arg(&path)).succeeded();
    path
}

fn root(workspace: &Workspace, image: &[u8], (start, len, _): &(u64, u64, String)) -> std::path::PathBuf {
    let path = workspace.write("root.img", cut(image, *start, *len));
    assert_sound(&path);
    path
}

fn names(fat: &Path) -> Vec<String> {
    let listed = Run::of(Command::new("mdir").args(["-/", "-a", "-b", "-i"]).arg(fat)).succeeded();
    listed
        .text()
        .lines()
        .map(|line| line.trim_start_matches("::").to_owned())
        .filter(|name| !name.ends_with('/'))
        .collect()
}

fn read(fat: &Path, name: &str) -> Vec<u8> {
    Run::of(Command::new("mtype").arg("-i").arg(fat).arg(format!("::{name}"))).succeeded().stdout
}

fn esp(size: &str) -> Value {
    json!({ "type": "esp", "size": size, "content": { "kind": "fat", "label": "ESP" } })
}

fn gpt(before: &[Value]) -> Value {
    let root = json!({ "type": "root-x86-64", "content": { "kind": "root" } });
    json!({ "table": "gpt", "partitions": before.iter().cloned().chain([root]).collect::<Vec<_>>() })
}

fn systemd_boot() -> Value {
    json!({ "kind": "systemd-boot", "loader": "systemd-bootx64.efi" })
}

const ENTRY: &str = "\
title NixOS
sort-key nixos
version Generation 1 NixOS Xantusia 25.11 (Linux 6.12.9), built on 1970-01-01
linux /EFI/nixos/33333333333333333333333333333333-linux-6.12.9-bzImage.efi
initrd /EFI/nixos/44444444444444444444444444444444-initrd-linux-6.12.9-initrd.efi
options init=/nix/store/11111111111111111111111111111111-nixos-system-board-25.11/init console=ttyS0
";

#[test]
fn systemd_boot_is_in_the_esp() {
    let mut boot = systemd_boot();
    boot["extraFiles"] = json!({ "efi/shell.efi": "grubx64.efi" });
    let workspace = workspace(gpt(&[esp("64MiB")]), boot);
    // Files of the plan are next to those of the boot loader.
    workspace.write("firmware/EFI/vendor/a.txt", "folder");
    workspace.change_plan(|plan| {
        let content = &mut plan["disk"]["partitions"][0]["content"];
        content["source"] = json!("firmware");
        content["entries"] = json!({
            "/EFI/vendor/b.txt": { "type": "file", "text": "entry" },
            "/loader": { "type": "directory" },
        });
    });
    let (image, partitions) = built(&workspace);
    let fat = fat(&workspace, &image, &partitions[0]);
    let kernel = format!("/EFI/nixos/{KERNEL}-bzImage.efi");
    let initrd = format!("/EFI/nixos/{INITRD}-initrd.efi");
    let mut expected = vec![
        "/EFI/BOOT/BOOTX64.EFI",
        "/EFI/nixos/.extra-files/efi/shell.efi",
        &kernel,
        &initrd,
        "/EFI/shell.efi",
        "/EFI/systemd/systemd-bootx64.efi",
        "/EFI/vendor/a.txt",
        "/EFI/vendor/b.txt",
        "/loader/entries.srel",
        "/loader/entries/nixos-generation-1-specialisation-rescue.conf",
        "/loader/entries/nixos-generation-1.conf",
        "/loader/loader.conf",
    ];
    let mut found = names(&fat);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(read(&fat, "/loader/entries/nixos-generation-1.conf"), ENTRY.as_bytes());
    let conf = "timeout 5\ndefault nixos-generation-1.conf\nconsole-mode keep\n";
    assert_eq!(read(&fat, "/loader/loader.conf"), conf.as_bytes());
    assert_eq!(read(&fat, &kernel), vec![7; 300_000]);
    assert_eq!(read(&fat, &initrd), vec![9; 500_000]);
    assert_eq!(read(&fat, "/EFI/BOOT/BOOTX64.EFI"), program());
    assert_eq!(read(&fat, "/EFI/vendor/b.txt"), b"entry");
    root(&workspace, &image, &partitions[1]);
}

#[test]
fn kernels_and_entries_of_systemd_boot_are_in_xbootldr_if_there_is_one() {
    let xbootldr = json!({ "type": "xbootldr", "size": "64MiB", "content": { "kind": "fat" } });
    let workspace = workspace(gpt(&[esp("34MiB"), xbootldr]), systemd_boot());
    let (image, partitions) = built(&workspace);
    let found = names(&fat(&workspace, &image, &partitions[0]));
    assert_eq!(found, ["/EFI/BOOT/BOOTX64.EFI", "/EFI/systemd/systemd-bootx64.efi", "/loader/loader.conf"]);
    let fat = fat(&workspace, &image, &partitions[1]);
    assert_eq!(read(&fat, "/loader/entries/nixos-generation-1.conf"), ENTRY.as_bytes());
    assert_eq!(names(&fat).len(), 5);
}

#[test]
fn entries_have_the_root_hash_that_the_bootspec_asks_for() {
    let tree = json!({ "type": "root-x86-64-verity", "content": { "kind": "verity", "of": "root" } });
    let workspace = workspace(gpt(&[esp("64MiB"), tree]), systemd_boot());
    let mut spec = bootspec(SYSTEM, &json!({}));
    spec["org.nixos.bootspec.v1"]["kernelParams"] = json!(["quiet", "roothash=${rootHash:root}"]);
    workspace.write(&format!("store/{SYSTEM}/boot.json"), spec.to_string());
    workspace.change_plan(|plan| plan["filesystem"] = json!({ "seal": true, "verity": true }));
    let (image, partitions) = built(&workspace);
    let report = workspace.read_json("report.json");
    let root_hash = report["rootHash"].as_str().unwrap();
    assert_eq!(workspace.snugfs(["roothash", "plan.json"]).succeeded().text().trim_end(), root_hash);
    let entry = read(&fat(&workspace, &image, &partitions[0]), "/loader/entries/nixos-generation-1.conf");
    let options = format!("init=/nix/store/{SYSTEM}/init quiet roothash={root_hash}\n");
    assert_eq!(String::from_utf8(entry).unwrap().split_once("options ").unwrap().1, options);
    let streamed = workspace.snugfs(["build", "plan.json", "-o", "-"]).succeeded();
    assert!(streamed.stdout == image);
    // A loader in the root would need the hash of the file system that it is in.
    workspace.change_plan(|plan| {
        plan["boot"] = json!({ "kind": "extlinux", "system": format!("/nix/store/{SYSTEM}") });
    });
    let run = workspace.snugfs(["build", "plan.json", "-o", "x.img"]).failed_with(3);
    run.says("the root hash of root can't be inside of root: it would need itself");
}

#[test]
fn an_ext4_xbootldr_is_refused_for_systemd_boot() {
    let xbootldr = json!({ "type": "xbootldr", "content": { "kind": "ext4" } });
    let workspace = workspace(gpt(&[esp("64MiB"), xbootldr]), systemd_boot());
    let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(3);
    run.says("plan.boot.kind: systemd-boot does not read ext4");
}

/// Checks that the boot code and the core at a sector know each other's place.
fn assert_code(image: &[u8], sector: u64) {
    let (boot, core) = grub_images();
    assert_eq!(image[0x5c..0x64], sector.to_le_bytes());
    assert_eq!(image[0x64..0x68], [0xff, 0x11, 0x90, 0x90]);
    assert!(image[0x68..440] == boot[0x68..440] && image[..0x5c] == boot[..0x5c]);
    let placed = cut(image, sector * 512, 157 * 512);
    assert_eq!(placed[0x1f4..0x1fc], (sector + 1).to_le_bytes());
    assert!(placed[0x1fc..core.len()] == core[0x1fc..] && placed[..0x1f4] == core[..0x1f4]);
    assert!(placed[core.len()..].iter().all(|&byte| byte == 0));
}

fn grub(more: &[(&str, Value)]) -> Value {
    let mut boot = json!({ "kind": "grub", "files": "modules" });
    for (field, value) in more {
        boot[*field] = value.clone();
    }
    boot
}

fn bios() -> Value {
    json!({ "boot": "boot.img", "core": "core.img" })
}

#[test]
fn grub_for_bios_is_after_an_mbr() {
    let disk = json!({ "table": "mbr", "partitions": [
        { "type": "83", "bootable": true, "content": { "kind": "root" } },
    ] });
    let workspace = workspace(disk, grub(&[("bios", bios())]));
    let (image, partitions) = built(&workspace);
    assert_code(&image, 1);
    let root = root(&workspace, &image, &partitions[0]);
    let config = debugfs(&root, "cat /boot/grub/grub.cfg");
    let linux =
        format!("  linux ($drive2)/nix/store/{KERNEL}/bzImage init=/nix/store/{SYSTEM}/init console=ttyS0\n");
    assert!(config.contains(&linux), "{config}");
    assert!(
        config.contains("search --set=drive1 --fs-uuid 7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10\n"),
        "{config}"
    );
    assert_eq!(debugfs(&root, "cat /boot/grub/x86_64-efi/normal.mod"), "module");
    assert!(debugfs(&root, "stat /boot/grub").contains("Mode:  0700"));
    let report = workspace.read_json("report.json");
    assert_eq!(
        report["disk"]["blobs"],
        json!([{ "offset": 0, "bytes": 440 }, { "offset": 512, "bytes": 157 * 512 }])
    );
}

#[test]
fn the_core_of_grub_must_fit_before_the_first_partition() {
    let disk = json!({ "table": "mbr", "partitions": [
        { "type": "83", "start": "64KiB", "content": { "kind": "root" } },
    ] });
    let workspace = workspace(disk, grub(&[("bios", bios())]));
    let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(3);
    run.says("plan.boot.bios.core");
}

#[test]
fn grub_for_bios_is_in_its_partition_of_a_gpt() {
    let bios_boot = json!({ "type": "bios-boot", "size": "1MiB" });
    let boot = grub(&[
        ("bios", bios()),
        ("efi", json!({ "image": "grubx64.efi" })),
        ("bootPartition", json!("esp")),
    ]);
    // The place of the core depends on a partition before it.
    let workspace = workspace(gpt(&[esp("64MiB"), bios_boot]), boot);
    let (image, partitions) = built(&workspace);
    assert_eq!(partitions[1].0, 65 << 20);
    assert_code(&image, partitions[1].0 / 512);
    let fat = fat(&workspace, &image, &partitions[0]);
    let mut found = names(&fat);
    found.sort_unstable();
    let kernel = format!("/kernels/{KERNEL}-bzImage");
    let initrd = format!("/kernels/{INITRD}-initrd");
    assert_eq!(
        found,
        ["/EFI/NixOS-boot/grubx64.efi", "/grub/grub.cfg", "/grub/x86_64-efi/normal.mod", &kernel, &initrd]
    );
    let config = String::from_utf8(read(&fat, "/grub/grub.cfg")).unwrap();
    let expected = format!("  initrd ($drive1)//kernels/{INITRD}-initrd\n");
    assert!(config.contains(&expected) && !config.contains("drive2"), "{config}");
    assert_eq!(workspace.read_json("report.json")["disk"]["partitions"][1]["content"], "boot-code");
    workspace.change_plan(|plan| plan["disk"]["partitions"][1]["size"] = json!("64KiB"));
    let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(6);
    run.says("plan.disk.partitions[1]: ");
}

#[test]
fn grub_for_bios_needs_its_partition_and_short_sectors() {
    let workspace = workspace(gpt(&[]), grub(&[("bios", bios())]));
    let build = || workspace.snugfs(["build", "plan.json", "-o", "disk.img"]).failed_with(3);
    build().says("plan.boot.bios: the disk has no partition with the type bios-boot");
    workspace.change_plan(|plan| plan["disk"]["sectorSize"] = json!(4096));
    build().says("plan.boot.bios: GRUB's code for BIOS needs sectors of 512 bytes");
    workspace.change_plan(|plan| {
        plan["disk"]["table"] = json!("mbr");
        plan["disk"]["sectorSize"] = json!(512);
        plan["disk"]["partitions"][0]["type"] = json!("83");
    });
    workspace.write("core.img", vec![0; 40_000]);
    build().says("plan.boot.bios.core: is not GRUB's core.img");
}

#[test]
fn extlinux_and_its_kernels_are_in_the_root() {
    let disk = json!({ "table": "mbr", "partitions": [{ "type": "83", "content": { "kind": "root" } }] });
    let workspace = workspace(disk, json!({ "kind": "extlinux", "configurationLimit": 0 }));
    let (image, partitions) = built(&workspace);
    let root = root(&workspace, &image, &partitions[0]);
    let config = debugfs(&root, "cat /boot/extlinux/extlinux.conf");
    assert!(
        config.ends_with(&format!(
            "\nLABEL nixos-default\n  MENU LABEL NixOS - Default\n  LINUX ../nixos/{KERNEL}-bzImage\n  \
         INITRD ../nixos/{INITRD}-initrd\n  APPEND init=/nix/store/{SYSTEM}/init console=ttyS0\n"
        )),
        "{config}"
    );
    let kernel = debugfs(&root, &format!("stat /boot/nixos/{KERNEL}-bzImage"));
    assert!(kernel.contains("Size: 300000"), "{kernel}");
}

/// A change of the workspace, and a part of the error.
type Case<'c> = (&'c dyn Fn(&Workspace), String);

#[test]
fn faults_of_boot_loaders_are_named() {
    let build = |change: &dyn Fn(&Workspace)| {
        let workspace = workspace(gpt(&[esp("64MiB")]), systemd_boot());
        change(&workspace);
        let run = workspace.snugfs(["build", "plan.json", "-o", "disk.img"]);
        assert!(!workspace.path("disk.img").exists());
        assert_eq!(run.stderr.trim_end().lines().count(), 1, "{}", run.stderr);
        (run.code, run.stderr)
    };
    let boot_json = format!("store/{SYSTEM}/boot.json");
    let system = format!("plan.boot.system: /nix/store/{SYSTEM}");
    let cases: [Case<'_>; 10] = [
        (
            &|at| drop(at.write(&boot_json, "{")),
            format!("{system}/boot.json: not a bootspec: EOF while parsing"),
        ),
        (
            &|at| std::fs::remove_file(at.path(&boot_json)).unwrap(),
            format!("{system}/boot.json: does not exist"),
        ),
        (
            &|at| std::fs::remove_dir_all(at.path(&format!("store/{KERNEL}"))).unwrap(),
            format!("plan.boot.system: /nix/store/{KERNEL}/bzImage: does not exist"),
        ),
        (
            &|at| {
                let link = at.path(&format!("store/{KERNEL}/bzImage"));
                std::fs::remove_file(&link).unwrap();
                symlink("/etc/passwd", link).unwrap();
            },
            format!("plan.boot.system: /nix/store/{KERNEL}/bzImage: is not in the store /nix/store"),
        ),
        (
            &|at| {
                let link = at.path(&format!("store/{KERNEL}/bzImage"));
                std::fs::remove_file(&link).unwrap();
                symlink("bzImage", link).unwrap();
            },
            format!("plan.boot.system: /nix/store/{KERNEL}/bzImage: is a loop of symlinks"),
        ),
        (
            &|at| at.change_plan(|plan| drop(plan["closure"]["graph"].as_array_mut().unwrap().remove(2))),
            format!(
                "plan.boot.system: /nix/store/{KERNEL}/bzImage: /nix/store/{KERNEL} is not in the closure"
            ),
        ),
        (
            &|at| at.change_plan(|plan| plan["boot"]["loader"] = json!("missing.efi")),
            "plan.boot.loader: missing.efi: can't be read: ".to_owned(),
        ),
        (
            &|at| at.change_plan(|plan| plan["boot"]["extraFiles"] = json!({ "a.efi": "missing.efi" })),
            "plan.boot.extraFiles.\"a.efi\": ".to_owned(),
        ),
        (
            &|at| {
                at.change_plan(|plan| {
                    let file = json!({ "/loader/loader.conf": { "type": "file", "text": "" } });
                    plan["disk"]["partitions"][0]["content"]["entries"] = file;
                });
            },
            "plan.disk.partitions[0].content.entries.\"/loader/loader.conf\": is also a file of plan.boot"
                .to_owned(),
        ),
        (
            &|at| {
                at.change_plan(|plan| {
                    let esp = plan["disk"]["partitions"][0].clone();
                    plan["disk"]["partitions"].as_array_mut().unwrap().push(esp);
                });
            },
            "plan.boot: the disk has two partitions with the type esp".to_owned(),
        ),
    ];
    for (change, expected) in cases {
        let (code, error) = build(change);
        assert!(error.contains(&expected), "{error}{expected}");
        assert!([3, 5].contains(&code), "{code}: {error}");
    }
}

#[test]
fn an_output_never_replaces_a_file_of_the_boot_loader() {
    let workspace = workspace(gpt(&[esp("64MiB")]), systemd_boot());
    workspace.change_plan(|plan| {
        plan["disk"]["partitions"][0]["content"]["entries"] =
            json!({ "/a": { "type": "file", "source": "boot.img" } });
    });
    for (output, field) in [
        ("systemd-bootx64.efi", "plan.boot.loader"),
        ("boot.img", "plan.disk.partitions[0].content.entries.\"/a\".source"),
    ] {
        let before = workspace.read(output);
        let run = workspace.snugfs(["build", "plan.json", "-o", output]).failed_with(2);
        run.says(field);
        assert!(workspace.read(output) == before);
    }
}

#[test]
fn a_fat_file_system_without_a_size_has_room_for_what_the_boot_loader_adds() {
    let mut partition = esp("64MiB");
    partition.as_object_mut().unwrap().remove("size");
    let workspace = workspace(gpt(&[partition]), systemd_boot());
    workspace.write(&format!("store/{KERNEL}/bzImage"), vec![7; 30 << 20]);
    let build = || workspace.snugfs(["build", "plan.json", "-o", "disk.img", "--report", "report.json"]);
    build().succeeded();
    let least = workspace.read_json("report.json")["disk"]["partitions"][0]["bytes"].as_u64().unwrap();
    assert!((30 << 20..34 << 20).contains(&least), "{least}");
    let with = |bytes: u64| {
        workspace.change_plan(|plan| plan["disk"]["partitions"][0]["size"] = json!(bytes));
        build()
    };
    with(least).succeeded();
    with(least - 512).failed_with(6);
}
