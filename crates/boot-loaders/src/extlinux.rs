//! extlinux, which U-Boot reads: what NixOS'
//! `nixos/modules/system/boot/loader/generic-extlinux-compatible/extlinux-conf-builder.sh` writes.

use image_tree::Timestamp;
use snugfs_plan::{BootPlan, ExtlinuxPlan};

use crate::date::date;
use crate::error::BootError;
use crate::files::Contents;
use crate::grub::{boot_files, copied_name, mounted};
use crate::system::{self, Store, System, Systems};
use crate::{Installation, Machine, append};

pub(crate) fn install(
    boot: &BootPlan,
    plan: &ExtlinuxPlan,
    machine: &Machine,
    systems: &Systems,
    store: &dyn Store,
    installation: &mut Installation,
) -> Result<(), BootError> {
    mounted(&plan.boot, machine)?;
    let (files, prefix) = boot_files(installation, &plan.boot);
    let mut text = header(boot);
    // `addEntry $default default`
    let mut entries = vec![("default".to_owned(), &systems.main)];
    if plan.configuration_limit > 0 {
        entries.push((format!("{}-default", boot.generation), &systems.main));
        // `sort -n -r`: names that are no numbers are equal, so their bytes decide.
        let mut specialisations: Vec<&System> = systems.specialisations.iter().collect();
        specialisations.sort_by_key(|system| std::cmp::Reverse((number(system), &system.specialisation)));
        for system in specialisations {
            let name = system.specialisation.as_deref().unwrap_or_default();
            entries.push((format!("{}-{name}", boot.generation), system));
        }
    }
    files.directory(&format!("{prefix}/extlinux"), 0o755)?;
    files.directory(&format!("{prefix}/nixos"), 0o755)?;
    for (tag, system) in entries {
        // `readlink -m "$path/dtbs"`
        let dtbs = system::find(&format!("{}/dtbs", system.toplevel), machine, store)?;
        for file in [&system.kernel, &system.initrd] {
            files.store(&format!("{prefix}/nixos/{}", copied_name(file, machine)), file)?;
        }
        if let Some(dtbs) = &dtbs {
            let path = format!("{prefix}/nixos/{}", copied_name(dtbs, machine));
            if store.is_directory(dtbs) {
                files.add(&path, Contents::StoreFolder(dtbs.clone()), &["system"])?;
            } else {
                files.store(&path, dtbs)?;
            }
        }
        let dtbs = dtbs.filter(|dtbs| store.is_directory(dtbs)).map(|dtbs| copied_name(&dtbs, machine));
        text += &entry(boot, plan, machine, &tag, system, dtbs.as_deref(), store)?;
    }
    files.text(&format!("{prefix}/extlinux/extlinux.conf"), text)
}

/// The number at the start of a specialisation's name.
fn number(system: &System) -> u64 {
    let name = system.specialisation.as_deref().unwrap_or_default();
    let end = name.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(name.len());
    name.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// U-Boot counts tenths of seconds, and 0 means no limit. Without a menu it boots the default entry at once.
fn header(boot: &BootPlan) -> String {
    let (timeout, has_menu) = match boot.timeout {
        None => (0, true),
        Some(0) => (1, false),
        Some(seconds) => (u64::from(seconds) * 10, true),
    };
    let menu = "MENU TITLE ------------------------------------------------------------\n";
    format!(
        "# Generated file, all changes will be lost on nixos-rebuild!\n\n\
         # Change this to e.g. nixos-42 to temporarily boot to an older configuration.\n\
         DEFAULT nixos-default\n\nTIMEOUT {timeout}\n{}",
        if has_menu { menu } else { "" }
    )
}

/// `addEntry`
fn entry(
    boot: &BootPlan,
    plan: &ExtlinuxPlan,
    machine: &Machine,
    tag: &str,
    system: &System,
    dtbs: Option<&str>,
    store: &dyn Store,
) -> Result<String, BootError> {
    let copied = |file: &str| format!("../nixos/{}", copied_name(file, machine));
    let name = &boot.distro_name;
    let label = if tag == "default" {
        format!("{name} - Default")
    } else {
        // The change time of the system, which is that of the whole store.
        let time = date(Timestamp::STORE);
        let version = system.text("nixos-version", store)?.unwrap_or_default();
        format!("{name} - Configuration {tag} ({time} 00:00 - {version})")
    };
    let params = system.spec.kernel_params.join(" ");
    let mut text = format!(
        "\nLABEL nixos-{tag}\n  MENU LABEL {label}\n  LINUX {}\n  INITRD {}\n  APPEND init={}/init {params}\n",
        copied(&system.kernel),
        copied(&system.initrd),
        system.toplevel,
    );
    if !plan.use_generation_device_tree {
        return Ok(text);
    }
    match (dtbs, &plan.dtb_name) {
        (Some(dtbs), Some(name)) => append(&mut text, format_args!("  FDT ../nixos/{dtbs}/{name}\n")),
        (Some(dtbs), None) => append(&mut text, format_args!("  FDTDIR ../nixos/{dtbs}\n")),
        (None, Some(name)) => {
            return Err(BootError::new(
                &["dtbName"],
                format!("the system has no device trees, so not {name}"),
                "set hardware.deviceTree.enable, or leave it out",
            ));
        }
        (None, None) => {}
    }
    Ok(text)
}
