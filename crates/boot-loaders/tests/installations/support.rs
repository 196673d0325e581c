//! A store in memory, systems in it, and the files of boot loaders as text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use boot_loaders::{Contents, FileSystem, Files, Installation, Machine, Store, StoreError, install};
use image_tree::{ImagePath, Timestamp};
use serde_json::{Value, json};
use snugfs_plan::BootPlan;

pub(crate) const SYSTEM: &str = "/nix/store/11111111111111111111111111111111-nixos-system-board-25.11";
pub(crate) const KERNEL: &str = "/nix/store/22222222222222222222222222222222-linux-6.12.9";
pub(crate) const INITRD: &str = "/nix/store/33333333333333333333333333333333-initrd-linux-6.12.9";
pub(crate) const SECRETS: &str =
    "/nix/store/44444444444444444444444444444444-append-initrd-secrets/bin/append-initrd-secrets";
pub(crate) const DTBS: &str = "/nix/store/55555555555555555555555555555555-device-tree-overlays";

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

/// A store: files, and symlinks with absolute targets.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) links: BTreeMap<String, String>,
}

impl MemoryStore {
    pub(crate) fn file(&mut self, path: impl Into<String>, contents: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), contents.into());
    }

    /// A system, whose bootspec this is.
    pub(crate) fn system(&mut self, spec: &Value) {
        let main = &spec["org.nixos.bootspec.v1"];
        let toplevel = main["toplevel"].as_str().unwrap();
        self.file(format!("{toplevel}/boot.json"), spec.to_string());
        self.file(format!("{toplevel}/nixos-version"), "25.11.20260101.abcdef0\n");
        self.file(format!("{toplevel}/init"), "");
        self.links.insert(format!("{toplevel}/dtbs"), DTBS.to_owned());
        for file in ["kernel", "initrd", "initrdSecrets"] {
            let contents = if file == "initrdSecrets" { "#!/bin/sh\nexit 0\n" } else { "" };
            self.files.entry(main[file].as_str().unwrap().to_owned()).or_insert(contents.into());
        }
        let specialisations = spec["org.nixos.specialisation.v1"].as_object();
        specialisations.into_iter().flatten().for_each(|(_, spec)| self.system(spec));
    }
}

impl Store for MemoryStore {
    fn resolve(&self, path: &str) -> Result<Option<String>, StoreError> {
        let path = self.links.get(path).map_or(path, String::as_str);
        let exists = self.files.contains_key(path) || self.is_directory(path);
        Ok(exists.then(|| path.to_owned()))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.files.get(path).cloned())
    }

    fn is_directory(&self, path: &str) -> bool {
        self.files.keys().any(|file| file.strip_prefix(path).is_some_and(|below| below.starts_with('/')))
    }

    fn head(&self, file: &Path) -> Result<Vec<u8>, StoreError> {
        let mut head = vec![0; 512];
        head[..2].copy_from_slice(b"MZ");
        head[0x3c] = 0x80;
        head[0x80..0x84].copy_from_slice(b"PE\0\0");
        let machine: u16 = if file.to_string_lossy().ends_with("aa64.efi") { 0xaa64 } else { 0x8664 };
        head[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
        Ok(head)
    }
}

/// The bootspec of a system or a specialisation.
pub(crate) fn bootspec(toplevel: &str, label: &str, params: &[&str], specialisations: &Value) -> Value {
    json!({
        "org.nixos.bootspec.v1": {
            "init": format!("{toplevel}/init"),
            "initrd": format!("{INITRD}/initrd"),
            "initrdSecrets": SECRETS,
            "kernel": format!("{KERNEL}/bzImage"),
            "kernelParams": params,
            "label": label,
            "system": "x86_64-linux",
            "toplevel": toplevel,
        },
        "org.nixos.specialisation.v1": specialisations,
        "org.nixos.systemd-boot": { "sortKey": "nixos" },
    })
}

/// A system with two specialisations.
pub(crate) fn board() -> Value {
    let specialisation = |name: &str, letter: &str| {
        let toplevel = format!("/nix/store/{}-nixos-system-board-{name}", letter.repeat(32));
        bootspec(&toplevel, &format!("NixOS Xantusia 25.11 {name}"), &["loglevel=4", "debug"], &json!({}))
    };
    let specialisations =
        json!({ "rescue": specialisation("rescue", "r"), "gui": specialisation("gui", "g") });
    bootspec(
        SYSTEM,
        "NixOS Xantusia 25.11 (Linux 6.12.9)",
        &["console=ttyS0", "loglevel=4"],
        &specialisations,
    )
}

pub(crate) fn store_of(spec: &Value) -> MemoryStore {
    let mut store = MemoryStore::default();
    store.system(spec);
    store.file(format!("{DTBS}/board.dtb"), "");
    store
}

pub(crate) fn machine() -> Machine {
    let system = |uuid: &str, label: &str| FileSystem { uuid: uuid.to_owned(), label: label.to_owned() };
    Machine {
        store_dir: path("/nix/store"),
        root: system("44444444-4444-4444-8888-888888888888", "nixos"),
        esp: Some(system("12AB-34CD", "ESP")),
        xbootldr: None,
        profile_time: Timestamp::new(1_767_225_600, 0).unwrap(),
    }
}

/// The boot loader of a plan.
pub(crate) fn plan(boot: &Value) -> BootPlan {
    let plan = json!({
        "version": 1,
        "closure": { "registration": "r" },
        "disk": { "table": "gpt", "partitions": [{ "type": "linux", "content": { "kind": "root" } }] },
        "boot": boot,
    });
    let plan = snugfs_plan::parse(plan.to_string().as_bytes(), Path::new("/base"));
    plan.unwrap_or_else(|problems| panic!("{problems}")).boot.unwrap()
}

/// Installs a boot loader; fields that all kinds need are added.
pub(crate) fn installed(boot: Value, machine: &Machine, store: &MemoryStore) -> Result<Installation, String> {
    let mut boot = boot;
    boot["system"] = json!(SYSTEM);
    if boot["kind"] == "systemd-boot" && boot["loader"].is_null() {
        boot["loader"] = json!("systemd-bootx64.efi");
    }
    install(&plan(&boot), machine, store).map_err(|error| error.to_string())
}

/// All files of an installation, with their contents.
pub(crate) fn listed(installation: &Installation) -> String {
    let mut text = String::new();
    for (name, files) in
        [("root", &installation.root), ("esp", &installation.esp), ("xbootldr", &installation.xbootldr)]
    {
        list(name, files, &mut text);
    }
    text
}

fn list(name: &str, files: &Files, text: &mut String) {
    let all = files.iter().chain(files.folders());
    for (path, file) in all {
        let mode = file.permissions.map_or_else(String::new, |mode| format!(" {:04o}", mode.bits()));
        let _ = match &file.contents {
            Contents::Bytes(bytes) => {
                writeln!(text, "{name}:{path}: {} bytes\n{}", bytes.len(), String::from_utf8_lossy(bytes))
            }
            Contents::Directory => writeln!(text, "{name}:{path}/{mode}"),
            Contents::Store(store) => writeln!(text, "{name}:{path} = {store}"),
            Contents::Host(source) => writeln!(text, "{name}:{path} = {}", source.display()),
            Contents::StoreFolder(store) => writeln!(text, "{name}:{path}/ = {store}/"),
            Contents::HostFolder(source) => writeln!(text, "{name}:{path}/ = {}/", source.display()),
        };
    }
}
