//! A body for bootspecs.

use std::path::Path;
use std::sync::LazyLock;

use boot_loaders::{Bootspec, Contents, FileSystem, Machine, Store, StoreError, install};
use image_tree::{ImagePath, Timestamp};
use serde_json::json;
use snugfs_plan::BootPlan;

use crate::{Outcome, assert_one_line};

const SYSTEM: &str = "/nix/store/11111111111111111111111111111111-system";

/// A store with every file. Its bootspec has these bytes.
struct AnyStore<'b>(&'b [u8]);

impl Store for AnyStore<'_> {
    fn resolve(&self, path: &str) -> Result<Option<String>, StoreError> {
        Ok(Some(path.to_owned()))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(Some(if path.ends_with("/boot.json") { self.0.to_vec() } else { b"exit 0\n".to_vec() }))
    }

    fn is_directory(&self, path: &str) -> bool {
        path.ends_with("/dtbs")
    }

    fn head(&self, _: &Path) -> Result<Vec<u8>, StoreError> {
        let mut head = vec![0; 128];
        head[..2].copy_from_slice(b"MZ");
        head[0x3c] = 0x40;
        head[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x86");
        Ok(head)
    }
}

static BOOT_LOADERS: LazyLock<Vec<BootPlan>> = LazyLock::new(|| {
    let kinds = [
        json!({ "kind": "systemd-boot", "loader": "boot.efi" }),
        json!({ "kind": "systemd-boot", "loader": "boot.efi", "entryNames": "hash" }),
        json!({ "kind": "grub", "efi": { "image": "grub.efi" }, "bootPartition": "esp" }),
        json!({ "kind": "extlinux" }),
    ];
    let plan = |mut boot: serde_json::Value| {
        boot["system"] = json!(SYSTEM);
        let plan = json!({
            "version": 1,
            "closure": { "graph": [] },
            "disk": { "table": "gpt", "partitions": [{ "type": "linux", "content": { "kind": "root" } }] },
            "boot": boot,
        });
        snugfs_plan::parse(plan.to_string().as_bytes(), Path::new("")).ok().and_then(|plan| plan.boot)
    };
    kinds.into_iter().filter_map(plan).collect()
});

fn machine() -> Machine {
    let system = || FileSystem { uuid: "12AB-34CD".to_owned(), label: "ESP".to_owned() };
    Machine {
        store_dir: ImagePath::parse(b"/nix/store").expect("invariant: it is a path"),
        root: system(),
        esp: Some(system()),
        xbootldr: None,
        profile_time: Timestamp::STORE,
    }
}

/// Reads a bootspec, and installs every boot loader from it. Each gives the same files twice, or an error of one line. An entry has
/// as many lines as it has fields: no text of the bootspec begins a line of its own.
pub fn bootspec(bytes: &[u8]) -> Outcome {
    let spec = match Bootspec::parse(bytes, "boot.json") {
        Ok(spec) => spec,
        Err(error) => {
            assert_one_line(&error.to_string());
            return Outcome::Refused;
        }
    };
    let lines =
        6 + usize::from(spec.devicetree.is_some_and(|path| !path.is_empty())) + spec.extra_initrds.len();
    for boot in BOOT_LOADERS.iter() {
        let (machine, store) = (machine(), AnyStore(bytes));
        let one = install(boot, &machine, &store);
        assert_eq!(one, install(boot, &machine, &store));
        match one {
            Ok(installation) => {
                let path = ImagePath::parse(b"/loader/entries/nixos-generation-1.conf");
                let entry = path.ok().and_then(|path| installation.esp.get(&path).cloned());
                if let Some(Contents::Bytes(entry)) = entry.map(|entry| entry.contents) {
                    assert_eq!(entry.split(|&byte| byte == b'\n').count(), lines + 1);
                }
            }
            Err(error) => assert_one_line(&error.to_string()),
        }
    }
    Outcome::Accepted
}

/// Bootspecs of a system with and without a specialisation.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let spec = |toplevel: &str| {
        json!({
            "org.nixos.bootspec.v1": {
                "init": format!("{toplevel}/init"), "initrd": "/nix/store/i/initrd", "initrdSecrets": "/nix/store/s/s",
                "kernel": "/nix/store/k/bzImage", "kernelParams": ["console=ttyS0", "quiet"], "label": "NixOS",
                "system": "x86_64-linux", "toplevel": toplevel,
            },
            "org.nixos.specialisation.v1": {},
            "org.nixos.systemd-boot": { "sortKey": "nixos", "devicetree": "/nix/store/d/board.dtb" },
            "org.nixos.extra-initrd.v1": { "paths": ["a.img"] },
        })
    };
    let mut with = spec(SYSTEM);
    with["org.nixos.specialisation.v1"]["rescue"] = spec("/nix/store/rescue");
    [spec(SYSTEM), with].iter().map(|spec| spec.to_string().into_bytes()).collect()
}
