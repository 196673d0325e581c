//! `plan.boot`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image_tree::{ImagePath, Name};

use super::context::Context;
use crate::boot_plan::{
    BootDirectory, BootLoaderPlan, BootPlan, EntryNames, ExtlinuxPlan, GrubBiosPlan, GrubEfiPlan, GrubPlan,
    GrubStatePlan, Platforms, SystemdBootPlan,
};
use crate::boot_tables::{
    BOOT_KINDS, BOOT_PARTITIONS, BootKind, CONSOLE_MODES, ENTRY_NAMES, FS_IDENTIFIERS, GRUB_BIOS, GRUB_EFI,
    GRUB_STATE, SPLASH_MODES, TIMEOUT_STYLES,
};
use crate::location::quoted;
use crate::object::Object;
use crate::plan::ClosurePlan;
use crate::value::Value;

/// The boot loader. `root` is the closure of the root file system.
pub(super) fn boot(
    value: &Value<'_>,
    root: Option<&ClosurePlan>,
    has_disk: bool,
    context: Context<'_>,
) -> Option<BootPlan> {
    let fields = value.pairs()?;
    // All tables have the kind as their first field.
    let any = value.object_unchecked(fields, BootKind::SystemdBoot.table());
    if any.given("kind").is_none() {
        any.check_missing();
        return None;
    }
    let kind = any.word("kind", &BOOT_KINDS)?;
    let object = value.object_unchecked(fields, kind.table());
    object.check_kind(&BOOT_KINDS, BootKind::table, "kind");
    if !has_disk {
        // The firmware or the host has the loader itself, and reads its configuration in the root.
        let (what, help) = match kind {
            BootKind::SystemdBoot => {
                ("systemd-boot needs a disk", "add \"disk\", with an EFI system partition")
            }
            BootKind::Grub if object.given("efi").is_some() || object.given("bios").is_some() => {
                ("GRUB needs a disk", "add \"disk\", or leave out \"efi\" and \"bios\" for only grub.cfg")
            }
            BootKind::Grub | BootKind::Extlinux => ("", ""),
        };
        if !what.is_empty() {
            value.wrong::<()>(|| what.to_owned(), help);
        }
    }
    let system = object.read("system", |value| system(value, root));
    let loader = match kind {
        BootKind::SystemdBoot => systemd_boot(&object, context).map(BootLoaderPlan::SystemdBoot),
        BootKind::Grub => {
            grub(value, &object, has_disk, context).map(|grub| BootLoaderPlan::Grub(Box::new(grub)))
        }
        BootKind::Extlinux => Some(BootLoaderPlan::Extlinux(ExtlinuxPlan {
            boot: boot_directory(&object)?,
            configuration_limit: object.count_or_default("configurationLimit"),
            use_generation_device_tree: object.flag("useGenerationDeviceTree"),
            dtb_name: object.read("dtbName", line),
        })),
    };
    Some(BootPlan {
        system: system?,
        generation: object.count_or_default("generation"),
        distro_name: object.read_or_default("distroName", line),
        timeout: object.count("timeout"),
        ignore_initrd_secrets: object.flag("ignoreInitrdSecrets"),
        loader: loader?,
    })
}

/// The store path of the system. Whether the closure contains it is known when it is read.
fn system(value: &Value<'_>, root: Option<&ClosurePlan>) -> Option<ImagePath> {
    const HELP: &str = "write the store path of config.system.build.toplevel";
    let path = value.image_path()?;
    let Some(closure) = root else {
        return value.wrong(
            || "the plan has no closure with the system".to_owned(),
            "add \"closure\", with the system in it",
        );
    };
    if closure.place != closure.store_dir {
        return value.wrong(
            || "boot loaders find the system only if the store is in its own directory".to_owned(),
            "leave out \"place\" of the closure",
        );
    }
    if path.split_last().is_none_or(|(above, _)| above != closure.store_dir) {
        let store = String::from_utf8_lossy(closure.store_dir.as_bytes()).into_owned();
        return value.wrong(|| format!("{} is not a path of the store {store}", value.shown()), HELP);
    }
    Some(path)
}

fn boot_directory(object: &Object<'_>) -> Option<BootDirectory> {
    Some(BootDirectory {
        path: object.read("bootPath", |value| value.image_path())?,
        partition: object.word_or_default("bootPartition", &BOOT_PARTITIONS),
    })
}

fn systemd_boot(object: &Object<'_>, context: Context<'_>) -> Option<SystemdBootPlan> {
    let is_hash = object.word_or_default("entryNames", &ENTRY_NAMES);
    let tries = object.count("bootCountingTries");
    if let (false, Some(value)) = (is_hash, object.given("bootCountingTries")) {
        value.wrong::<()>(
            || "boots are counted only for entries that are named by hash".to_owned(),
            "write \"entryNames\": \"hash\", or leave it out",
        );
    }
    let loader = object.read("loader", |value| context.host_path(value));
    Some(SystemdBootPlan {
        editor: object.flag("editor"),
        console_mode: object.word_or_default("consoleMode", &CONSOLE_MODES),
        reboot_for_bitlocker: object.flag("rebootForBitlocker"),
        entry_names: if is_hash { EntryNames::Hash { tries } } else { EntryNames::Generation },
        extra_entries: object.read_or_default("extraEntries", |value| Some(extra_entries(value))),
        extra_files: object.read_or_default("extraFiles", |value| Some(extra_files(value, context))),
        loader: loader?,
    })
}

/// `boot.loader.systemd-boot.extraEntries` has the same rules.
fn extra_entries(value: &Value<'_>) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    for (name, json) in value.pairs().into_iter().flatten() {
        let item = value.child(name, json);
        if name.strip_suffix(".conf").is_none() || Name::new(name.as_bytes()).is_err() {
            let what = || format!("{} is not the name of an entry", quoted(name));
            item.wrong::<()>(what, "write a file name that ends in .conf, without folders");
        }
        if let Some(text) = item.text("a string", "write the entry as a string") {
            entries.insert(name.clone(), text.to_owned());
        }
    }
    entries
}

/// `boot.loader.systemd-boot.extraFiles` has the same rules.
fn extra_files(value: &Value<'_>, context: Context<'_>) -> BTreeMap<ImagePath, PathBuf> {
    let mut files = BTreeMap::new();
    for (name, json) in value.pairs().into_iter().flatten() {
        let item = value.child(name, json);
        let path = if name.starts_with('/') {
            item.wrong(|| format!("the path {} begins with /", quoted(name)), "leave the first / out")
        } else {
            item.parse_image_path(&format!("/{name}"))
        };
        let source = context.host_path(&item);
        if name.is_empty() {
            item.wrong::<()>(|| "the path is empty".to_owned(), "write the path of a file");
        }
        files.extend(path.zip(source));
    }
    files
}

fn grub(value: &Value<'_>, object: &Object<'_>, has_disk: bool, context: Context<'_>) -> Option<GrubPlan> {
    let host_path = |name| object.read(name, |value| context.host_path(value));
    let text = |name| object.read_or_default(name, |value: &Value<'_>| text(value));
    let word = |name| object.read_or_default(name, line);
    let efi = object.read("efi", |value| efi(value, context));
    let bios = object.read("bios", |value| bios(value, context));
    if has_disk && object.given("efi").is_none() && object.given("bios").is_none() {
        value
            .wrong::<()>(|| "GRUB is for neither EFI nor BIOS".to_owned(), "write \"efi\", \"bios\" or both");
    }
    Some(GrubPlan {
        boot: boot_directory(object)?,
        files: host_path("files"),
        efi,
        bios,
        state: object.read("state", state),
        fs_identifier: object.word_or_default("fsIdentifier", &FS_IDENTIFIERS),
        copy_kernels: object.flag("copyKernels"),
        configuration_limit: object.count_or_default("configurationLimit"),
        default: word("default"),
        timeout_style: object.word_or_default("timeoutStyle", &TIMEOUT_STYLES),
        extra_config: text("extraConfig"),
        extra_per_entry_config: text("extraPerEntryConfig"),
        extra_entries: text("extraEntries"),
        extra_entries_before: object.flag("extraEntriesBeforeNixOS"),
        entry_options: word("entryOptions"),
        sub_entry_options: word("subEntryOptions"),
        font: host_path("font"),
        splash_image: host_path("splashImage"),
        splash_mode: object.word_or_default("splashMode", &SPLASH_MODES),
        background_color: object.read("backgroundColor", line),
        gfxmode: Platforms { efi: word("gfxmodeEfi"), bios: word("gfxmodeBios") },
        gfxpayload: Platforms { efi: word("gfxpayloadEfi"), bios: word("gfxpayloadBios") },
    })
}

fn efi(value: &Value<'_>, context: Context<'_>) -> Option<GrubEfiPlan> {
    let object = value.object(&GRUB_EFI)?;
    let image = object.read("image", |value| context.host_path(value));
    let bootloader_id = object.read("bootloaderId", |value| {
        let name = line(value)?;
        if Name::new(name.as_bytes()).is_err() {
            return value.not("the name of a directory", "write a name without /");
        }
        Some(name)
    });
    Some(GrubEfiPlan { image: image?, removable: object.flag("removable"), bootloader_id: bootloader_id? })
}

fn bios(value: &Value<'_>, context: Context<'_>) -> Option<GrubBiosPlan> {
    let object = value.object(&GRUB_BIOS)?;
    let boot = object.read("boot", |value| context.host_path(value));
    let core = object.read("core", |value| context.host_path(value));
    Some(GrubBiosPlan { boot: boot?, core: core? })
}

fn state(value: &Value<'_>) -> Option<GrubStatePlan> {
    let object = value.object(&GRUB_STATE)?;
    let (name, version) = (object.read("name", line), object.read("version", line));
    Some(GrubStatePlan {
        name: name?,
        version: version?,
        grub: object.read_or_default("grub", line),
        grub_efi: object.read_or_default("grubEfi", line),
        devices: object.read_or_default("devices", |value| Some(lines(value))),
        efi_sys_mount_point: object.read_or_default("efiSysMountPoint", line),
        extra_grub_install_args: object.read_or_default("extraGrubInstallArgs", |value| Some(lines(value))),
    })
}

fn lines(value: &Value<'_>) -> Vec<String> {
    value.items("strings").filter_map(|item| line(&item)).collect()
}

fn text(value: &Value<'_>) -> Option<String> {
    value.text("a string", "write a string").map(str::to_owned)
}

/// A text of one line: a line feed would begin another line of a configuration file.
fn line(value: &Value<'_>) -> Option<String> {
    let text = text(value)?;
    if text.contains(char::is_control) {
        return value.wrong(
            || format!("{} has a control character", value.shown()),
            "write one line, without control characters",
        );
    }
    Some(text)
}
