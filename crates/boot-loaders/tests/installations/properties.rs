//! Any bootspec gives valid names without collisions, the same each time, or an error.

use std::collections::BTreeSet;

use boot_loaders::{Contents, FileSystem, Files, Machine};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{MemoryStore, installed, machine, store_of};

/// The last part of a store path, a specialisation, or a file name.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-zA-Z0-9+._?=-]{1,12}", 1 => ".{1,8}", 1 => "[aA][bB]?"]
}

fn spec(letter: char, names: (String, String, String), params: &[String]) -> Value {
    let (system, kernel, file) = names;
    let toplevel = if letter == '1' {
        crate::support::SYSTEM.to_owned()
    } else {
        format!("/nix/store/{}-nixos-system-{system}", letter.to_string().repeat(32))
    };
    let hash = "k".repeat(32);
    json!({
        "org.nixos.bootspec.v1": {
            "init": format!("{toplevel}/init"),
            "initrd": format!("/nix/store/{}-initrd-{kernel}/{file}", "i".repeat(32)),
            "initrdSecrets": crate::support::SECRETS,
            "kernel": format!("/nix/store/{hash}-linux-{kernel}/{file}"),
            "kernelParams": params,
            "label": format!("NixOS {system}"),
            "toplevel": toplevel,
        },
        "org.nixos.specialisation.v1": {},
    })
}

fn system() -> impl Strategy<Value = Value> {
    let one = || ((name(), name(), name()), prop::collection::vec("[ -~]{0,12}", 0..4));
    (one(), prop::collection::vec((name(), one()), 0..4)).prop_map(|((names, params), others)| {
        let mut main = spec('1', names, &params);
        for (index, (name, (names, params))) in others.into_iter().enumerate() {
            let letter = char::from(b'a' + u8::try_from(index).unwrap());
            main["org.nixos.specialisation.v1"][name] = spec(letter, names, &params);
        }
        main
    })
}

fn boot() -> impl Strategy<Value = Value> {
    let partition = prop::sample::select(vec!["root", "esp", "xbootldr"]);
    (0..4, partition, 1_u32.., any::<bool>()).prop_map(|(kind, partition, generation, flag)| match kind {
        0 => json!({ "kind": "systemd-boot", "generation": generation }),
        1 => json!({ "kind": "systemd-boot", "entryNames": "hash", "timeout": null }),
        2 => json!({
            "kind": "grub", "bootPartition": partition, "generation": generation, "copyKernels": flag,
            "efi": { "image": "grubx64.efi", "removable": flag },
        }),
        _ => json!({ "kind": "extlinux", "bootPartition": partition, "generation": generation }),
    })
}

fn disk() -> impl Strategy<Value = Machine> {
    any::<bool>().prop_map(|has_xbootldr| {
        let xbootldr = FileSystem { uuid: "AAAA-BBBB".to_owned(), label: String::new() };
        Machine { xbootldr: has_xbootldr.then_some(xbootldr), ..machine() }
    })
}

/// Texts have whole lines, files are below no other file, and on FAT no two differ only in case.
fn check(files: &Files, is_fat: bool, store: &MemoryStore) {
    let mut seen = BTreeSet::new();
    let mut above = None;
    for (path, file) in files.iter() {
        let text = path.to_string();
        assert!(seen.insert(if is_fat { text.to_uppercase() } else { text.clone() }), "{text}");
        if let Some(above) = above {
            assert!(!path.starts_with(above), "{path} is below {above}");
        }
        match &file.contents {
            Contents::Directory => {}
            Contents::Store(source) => {
                assert!(store.files.contains_key(source), "{source}");
                above = Some(path);
            }
            Contents::Bytes(bytes) => {
                assert!(bytes.is_ascii() || std::str::from_utf8(bytes).is_ok());
                above = Some(path);
            }
            _ => above = Some(path),
        }
    }
}

proptest! {
    #[test]
    fn any_bootspec_gives_valid_names_or_an_error(spec in system(), boot in boot(), machine in disk()) {
        let store = store_of(&spec);
        let one = installed(boot.clone(), &machine, &store);
        prop_assert_eq!(&one, &installed(boot.clone(), &machine, &store));
        match one {
            Ok(installation) => {
                check(&installation.root, false, &store);
                check(&installation.esp, true, &store);
                check(&installation.xbootldr, true, &store);
                let all = [&installation.root, &installation.esp, &installation.xbootldr];
                // Kernel and initial RAM disk are copied, except by a GRUB that reads the store.
                let copies = all.iter().flat_map(|files| files.iter());
                let copies = copies.filter(|(_, file)| matches!(file.contents, Contents::Store(_))).count();
                let reads_store = boot["kind"] == "grub" && boot["bootPartition"] == "root" && boot["copyKernels"] == false;
                prop_assert_eq!(copies == 0, reads_store);
            }
            Err(error) => {
                prop_assert!(error.contains(": "), "{}", error);
                prop_assert!(!error.contains(char::is_control), "{:?}", error);
            }
        }
    }
}
