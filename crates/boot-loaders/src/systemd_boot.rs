//! systemd-boot: what `bootctl install` (systemd, `src/bootctl/bootctl-install.c`) and NixOS'
//! `nixos/modules/system/boot/loader/systemd-boot/systemd-boot-builder.py` write.

use data_encoding::HEXLOWER;
use image_tree::Timestamp;
use sha2::{Digest, Sha256};
use snugfs_plan::{BootPlan, EntryNames, SystemdBootPlan};

use crate::date::date;
use crate::efi;
use crate::error::BootError;
use crate::files::{Contents, Files};
use crate::system::{self, Store, System, Systems};
use crate::{Installation, Machine};

/// The directory of kernels, initial RAM disks and device trees (`nixosDir` of `systemd-boot.nix`).
const NIXOS: &str = "/EFI/nixos";
const ENTRIES: &str = "/loader/entries";

pub(crate) fn install(
    boot: &BootPlan,
    plan: &SystemdBootPlan,
    machine: &Machine,
    systems: &Systems,
    store: &dyn Store,
    installation: &mut Installation,
) -> Result<(), BootError> {
    machine.need_esp()?;
    let esp = &mut installation.esp;
    // `esp_subdirs`, `install_binaries` and `copy_one_file` of bootctl.
    let processor = efi::processor(&plan.loader, &["loader"], store)?;
    for directory in ["/EFI/systemd", "/EFI/BOOT", "/loader/keys"] {
        esp.directory(directory, 0o700)?;
    }
    esp.host(&format!("/EFI/systemd/systemd-boot{}.efi", processor.name()), &plan.loader, &["loader"])?;
    esp.host(&processor.removable(), &plan.loader, &["loader"])?;

    let entry_of = |system: &System| Entry::new(boot, plan, machine, system, store);
    let main = entry_of(&systems.main)?;
    // "Always stored on the ESP".
    esp.text("/loader/loader.conf", loader_conf(boot, plan, &main.id))?;

    // $BOOT of the Boot Loader Specification.
    let files = if machine.xbootldr.is_some() { &mut installation.xbootldr } else { esp };
    // `dollar_boot_subdirs` and `install_loader_specification` of bootctl.
    files.directory(ENTRIES, 0o700)?;
    files.directory("/EFI/Linux", 0o700)?;
    files.text("/loader/entries.srel", "type1\n")?;
    main.add(files)?;
    for system in &systems.specialisations {
        entry_of(system)?.add(files)?;
    }
    extra_files(plan, files)
}

/// `write_loader_conf`. Without a timeout, versions before the middle of 2025 leave the line out, newer ones force the menu.
fn loader_conf(boot: &BootPlan, plan: &SystemdBootPlan, default: &str) -> String {
    let timeout = boot.timeout.map_or_else(|| "menu-force".to_owned(), |seconds| seconds.to_string());
    let mut lines = vec![format!("timeout {timeout}")];
    match plan.entry_names {
        EntryNames::Hash { tries: Some(_) } => {
            lines.push(format!("preferred {default}"));
            lines.push("default nixos-*".to_owned());
        }
        EntryNames::Generation | EntryNames::Hash { tries: None } => lines.push(format!("default {default}")),
    }
    if !plan.editor {
        lines.push("editor 0".to_owned());
    }
    if plan.reboot_for_bitlocker {
        lines.push("reboot-for-bitlocker yes".to_owned());
    }
    lines.push(format!("console-mode {}", plan.console_mode));
    crate::lines(lines.iter().map(String::as_str))
}

/// An entry of the menu, and the files that it boots.
struct Entry {
    /// The file name that `loader.conf` has.
    id: String,
    /// The file name.
    name: String,
    text: String,
    /// Paths in the partition and in the store.
    files: Vec<(String, String)>,
}

impl Entry {
    fn new(
        boot: &BootPlan,
        plan: &SystemdBootPlan,
        machine: &Machine,
        system: &System,
        store: &dyn Store,
    ) -> Result<Self, BootError> {
        let spec = &system.spec;
        let copied = |file: &str| (copied_path(file, machine), file.to_owned());
        let kernel = copied(&system.kernel);
        let mut initrd = copied(&system.initrd);
        if let (EntryNames::Hash { .. }, Some(program)) = (plan.entry_names, &spec.initrd_secrets) {
            // `from_initrd`, which expects secrets.
            let program = copied_path(&system::resolve(program, machine, store)?, machine);
            let both = format!("{}\n{}", initrd.0.trim_start_matches('/'), program.trim_start_matches('/'));
            initrd.0 = format!("{NIXOS}/{}-initrd.efi", HEXLOWER.encode(&Sha256::digest(both.as_bytes())));
        }
        let devicetree = spec.devicetree.as_deref().filter(|path| !path.is_empty());
        let devicetree = devicetree.map(|path| system::resolve(path, machine, store)).transpose()?;
        let devicetree = devicetree.map(|file| copied(&file));
        let name = &boot.distro_name;
        let title = match &system.specialisation {
            Some(specialisation) => format!("title {name} ({specialisation})"),
            None => format!("title {name}"),
        };
        // The change time of the system, which is that of the whole store.
        let built = date(Timestamp::STORE);
        let version = format!("version Generation {} {}, built on {built}", boot.generation, spec.label);
        let linux = format!("linux {}", kernel.0);
        let extra_initrds = spec.extra_initrds.iter().map(|path| format!("initrd /{path}"));
        let initrd_lines = std::iter::once(format!("initrd {}", initrd.0)).chain(extra_initrds);
        let params = spec.kernel_params.join(" ");
        let sort_key = format!("sort-key {}", spec.sort_key);
        let devicetree_line = devicetree.as_ref().map(|(path, _)| format!("devicetree {path}"));
        // An image has no machine ID, and so no line machine-id. The first switch adds it.
        let (id, entry_name, text) = match plan.entry_names {
            EntryNames::Generation => {
                // `BOOT_ENTRY`, `write_entry` and `generation_conf_filename` before 2026.
                let options = format!("options init={} {params}", spec.init);
                let start = [title, sort_key, version, linux].into_iter().chain(initrd_lines);
                let lines: Vec<String> = start.chain([options]).chain(devicetree_line).collect();
                let text = crate::lines(lines.iter().map(String::as_str));
                let specialisation = system.specialisation.as_ref();
                let specialisation =
                    specialisation.map_or_else(String::new, |name| format!("-specialisation-{name}"));
                let id = format!("nixos-generation-{}{specialisation}.conf", boot.generation);
                (id.clone(), id, text)
            }
            EntryNames::Hash { tries } => {
                // `boot_file` and `from_entry`. There is no line feed at the end.
                let options =
                    std::iter::once(format!("init={}", spec.init)).chain(spec.kernel_params.iter().cloned());
                let options = format!("options {}", options.collect::<Vec<_>>().join(" "));
                let start = [title, version, linux].into_iter().chain(initrd_lines).chain([options]);
                let lines: Vec<String> = start.chain(devicetree_line).chain([sort_key]).collect();
                let text = lines.join("\n");
                let hash = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
                let tries = tries.map_or_else(String::new, |tries| format!("+{tries}"));
                (format!("nixos-{hash}.conf"), format!("nixos-{hash}{tries}.conf"), text)
            }
        };
        let files = [Some(kernel), Some(initrd), devicetree].into_iter().flatten().collect();
        Ok(Self { id, name: entry_name, text, files })
    }

    fn add(self, files: &mut Files) -> Result<(), BootError> {
        for (path, file) in &self.files {
            files.store(path, file)?;
        }
        files.text(&format!("{ENTRIES}/{}", self.name), self.text)
    }
}

/// `boot_path`, before 2026 `copy_from_file`: the store path and the last name of a file, `HASH-linux-6.12-bzImage.efi`.
fn copied_path(file: &str, machine: &Machine) -> String {
    let below = file.strip_prefix(system::text(&machine.store_dir).as_str()).unwrap_or(file);
    let mut names = below.trim_start_matches('/').split('/');
    let store_path = names.next().unwrap_or_default();
    match names.next_back() {
        Some(name) => format!("{NIXOS}/{store_path}-{name}.efi"),
        None => format!("{NIXOS}/{store_path}.efi"),
    }
}

/// `copyExtraFiles` of `systemd-boot.nix`. Empty files in `.extra-files` name what the next switch removes.
fn extra_files(plan: &SystemdBootPlan, files: &mut Files) -> Result<(), BootError> {
    files.directory(&format!("{NIXOS}/.extra-files"), 0o755)?;
    let marker = |path: &str| format!("{NIXOS}/.extra-files{path}");
    for (path, source) in &plan.extra_files {
        let path = system::text(path);
        let field = ["extraFiles", path.trim_start_matches('/')];
        files.host(&path, source, &field)?;
        files.add(&marker(&path), Contents::Bytes(Vec::new()), &field)?;
    }
    for (name, text) in &plan.extra_entries {
        let path = format!("{ENTRIES}/{name}");
        let field = ["extraEntries", name];
        // `pkgs.writeText`
        files.add(&path, Contents::Bytes(text.clone().into_bytes()), &field)?;
        files.add(&marker(&path), Contents::Bytes(Vec::new()), &field)?;
    }
    Ok(())
}
