//! GRUB: what NixOS' `nixos/modules/system/boot/loader/grub/install-grub.pl` writes, and the file that `grub-install` puts into
//! the EFI system partition.

use std::path::Path;

use image_tree::{ImagePath, Timestamp};
use snugfs_plan::{BootDirectory, BootPartition, BootPlan, FsIdentifier, GrubPlan, GrubStatePlan};

use crate::date::date;
use crate::efi;
use crate::error::BootError;
use crate::files::{Contents, Files};
use crate::system::{self, Store, System, Systems};
use crate::{FileSystem, Installation, Machine, append};

pub(crate) fn install(
    boot: &BootPlan,
    plan: &GrubPlan,
    machine: &Machine,
    systems: &Systems,
    store: &dyn Store,
    installation: &mut Installation,
) -> Result<(), BootError> {
    if let Some(planned) = &plan.efi {
        machine.need_esp()?;
        let processor = efi::processor(&planned.image, &["efi", "image"], store)?;
        // `make_install_efi` of grub-install.
        let path = if planned.removable {
            processor.removable()
        } else {
            format!("/EFI/{}/grub{}.efi", planned.bootloader_id, processor.name())
        };
        installation.esp.host(&path, &planned.image, &["efi", "image"])?;
    }
    let (file_system, is_mounted) = mounted(&plan.boot, machine)?;
    let menu = Menu::new(boot, plan, machine, file_system, is_mounted)?;
    let text = menu.text(systems, store)?;
    let (files, prefix) = boot_files(installation, &plan.boot);
    // `make_path("$bootPath/grub", { mode => 0700 })`
    files.directory(&format!("{prefix}/grub"), 0o700)?;
    files.text(&format!("{prefix}/grub/grub.cfg"), text)?;
    if let Some(state) = &plan.state {
        let text = state_file(state, plan);
        files.add(&format!("{prefix}/grub/state"), Contents::Bytes(text.into_bytes()), &["state"])?;
    }
    if let Some(folder) = &plan.files {
        files.add(&format!("{prefix}/grub"), Contents::HostFolder(folder.clone()), &["files"])?;
    }
    if let Some(font) = &plan.font {
        files.host(&format!("{prefix}/{FONT}"), font, &["font"])?;
    }
    if let Some(image) = &plan.splash_image {
        files.host(&format!("{prefix}/background{}", suffix(image)?), image, &["splashImage"])?;
    }
    if menu.store.is_none() {
        files.directory(&format!("{prefix}/kernels"), 0o755)?;
        for file in systems.iter().flat_map(|system| [&system.kernel, &system.initrd]) {
            files.store(&format!("{prefix}/kernels/{}", copied_name(file, machine)), file)?;
        }
    }
    Ok(())
}

/// The file system of the boot directory, and whether it is mounted there.
pub(crate) fn mounted<'m>(
    directory: &BootDirectory,
    machine: &'m Machine,
) -> Result<(&'m FileSystem, bool), BootError> {
    match directory.partition {
        BootPartition::Root => Ok((&machine.root, directory.path.is_root())),
        BootPartition::Esp => Ok((machine.need_esp()?, true)),
        BootPartition::Xbootldr => {
            let found = machine.xbootldr.as_ref().ok_or_else(|| {
                BootError::new(
                    &["bootPartition"],
                    "the disk has no file system in a partition with the type xbootldr",
                    "add one: \"type\": \"xbootldr\", \"content\": { \"kind\": \"fat\" }",
                )
            })?;
            Ok((found, true))
        }
    }
}

/// The files of the boot directory's file system, and the directory in it.
pub(crate) fn boot_files<'i>(
    installation: &'i mut Installation,
    directory: &BootDirectory,
) -> (&'i mut Files, String) {
    match directory.partition {
        BootPartition::Root => {
            let prefix = system::text(&directory.path);
            (&mut installation.root, prefix.trim_end_matches('/').to_owned())
        }
        BootPartition::Esp => (&mut installation.esp, String::new()),
        BootPartition::Xbootldr => (&mut installation.xbootldr, String::new()),
    }
}

/// The path of a file below the store, with `-` for `/` (`copyToKernelsDir`, and `cleanName` of `extlinux-conf-builder.sh`).
pub(crate) fn copied_name(file: &str, machine: &Machine) -> String {
    let store = system::text(&machine.store_dir);
    file.strip_prefix(store.as_str()).unwrap_or(file).trim_start_matches('/').replace('/', "-")
}

/// The file for `boot.loader.grub.font`.
const FONT: &str = "converted-font.pf2";

/// `fileparse($splashImage, qr"\..[^.]*$")`: the ending of the background, which is also the name of GRUB's module. That of
/// jpg is jpeg.
fn suffix(image: &Path) -> Result<String, BootError> {
    let extension = image.extension().and_then(|extension| extension.to_str());
    let extension =
        extension.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    match extension {
        Some("jpg") => Ok(".jpeg".to_owned()),
        Some(extension) => Ok(format!(".{extension}")),
        None => Err(BootError::new(
            &["splashImage"],
            format!("the name {} has no ending", image_tree::shown(image)),
            "name a .png, .tga, .jpg or .jpeg file",
        )),
    }
}

/// `$bootPath/grub/state`
fn state_file(state: &GrubStatePlan, plan: &GrubPlan) -> String {
    // `getEfiTarget`
    let packages = (!state.grub.is_empty(), !state.grub_efi.is_empty());
    let has = if packages == (false, false) { (plan.bios.is_some(), plan.efi.is_some()) } else { packages };
    let target = match has {
        (true, true) => "both",
        (true, false) => "no",
        (false, true) => "only",
        (false, false) => "neither",
    };
    let devices = state.devices.join(",");
    // Since 2026 with the packages. Older versions ignore them.
    let json = serde_json::json!({
        "extraGrubInstallArgs": state.extra_grub_install_args,
        "grub": state.grub,
        "grubEfi": state.grub_efi,
    });
    let json = json.to_string();
    let lines = [&state.name, &state.version, target, &devices, &state.efi_sys_mount_point, &json];
    crate::lines(lines)
}

/// A directory as GRUB finds it (`GrubFs`).
struct Found {
    search: String,
    path: String,
}

impl Found {
    /// `below` is the directory in the file system. Drives are numbered from 1.
    fn new(plan: &GrubPlan, file_system: &FileSystem, below: &str, drive: u32) -> Result<Self, BootError> {
        let by = match plan.fs_identifier {
            FsIdentifier::Provided => return Ok(Self { search: String::new(), path: below.to_owned() }),
            FsIdentifier::Uuid => format!("--fs-uuid {}", file_system.uuid),
            FsIdentifier::Label
                if file_system.label.is_empty() || file_system.label.contains(char::is_whitespace) =>
            {
                return Err(BootError::new(
                    &["fsIdentifier"],
                    format!("the label \"{}\" can't identify a file system", file_system.label),
                    "give the root and the partition of bootPath labels without spaces, or write \"uuid\"",
                ));
            }
            FsIdentifier::Label => format!("--label {}", file_system.label),
        };
        Ok(Self {
            search: format!("search --set=drive{drive} {by}"),
            path: format!("($drive{drive}){below}"),
        })
    }

    /// `($grubBoot->path eq "/" ? "" : $grubBoot->path)`
    fn prefix(&self) -> &str {
        if self.path == "/" { "" } else { &self.path }
    }
}

/// GRUB's configuration.
struct Menu<'p> {
    boot: &'p BootPlan,
    plan: &'p GrubPlan,
    machine: &'p Machine,
    directory: Found,
    /// The store, if kernels are not copied.
    store: Option<Found>,
}

impl<'p> Menu<'p> {
    fn new(
        boot: &'p BootPlan,
        plan: &'p GrubPlan,
        machine: &'p Machine,
        file_system: &FileSystem,
        is_mounted: bool,
    ) -> Result<Self, BootError> {
        let below = |path: &ImagePath| if is_mounted { "/".to_owned() } else { system::text(path) };
        // "If not, then all kernels and initrds must be copied": `stat($bootPath)->dev != stat("/nix/store")->dev`.
        let copies = plan.copy_kernels || plan.boot.partition != BootPartition::Root;
        let directory = Found::new(plan, file_system, &below(&plan.boot.path), 1)?;
        let store = (!copies).then(|| Found::new(plan, &machine.root, &system::text(&machine.store_dir), 2));
        Ok(Self { boot, plan, machine, directory, store: store.transpose()? })
    }

    fn text(&self, systems: &Systems, store: &dyn Store) -> Result<String, BootError> {
        let mut text = self.header()?;
        let extra = format!("{}\n", self.plan.extra_entries);
        if self.plan.extra_entries_before {
            text += &extra;
        }
        let name = &self.boot.distro_name;
        // `addGeneration("@distroName@", "", $defaultConfig, $entryOptions, 1)`
        self.add_generation(&mut text, name, "", &self.plan.entry_options, systems, true, store)?;
        if !self.plan.extra_entries_before {
            text += &extra;
        }
        text = text.replace("@bootRoot@", &self.directory.path);
        // `addProfile "/nix/var/nix/profiles/system", …`
        append(&mut text, format_args!("submenu \"{name} - All configurations\" --class submenu {{\n"));
        let version = systems.main.text("nixos-version", store)?;
        if let (Some(version), 1..) = (version, self.plan.configuration_limit) {
            let suffix = format!(" ({} - {version})", date(self.machine.profile_time));
            let name = format!("{name} - Configuration {}", self.boot.generation);
            self.add_generation(
                &mut text,
                &name,
                &suffix,
                &self.plan.sub_entry_options,
                systems,
                false,
                store,
            )?;
        }
        text += "}\n";
        Ok(text)
    }

    /// Everything before the entries.
    fn header(&self) -> Result<String, BootError> {
        let plan = self.plan;
        let mut text = "# Automatically generated.  DO NOT EDIT THIS FILE!\n".to_owned();
        if let Some(store) = &self.store {
            append(&mut text, format_args!("\n        {}", store.search));
        }
        let default = if plan.default == "saved" { "\"${saved_entry}\"" } else { &plan.default };
        let timeout = self.boot.timeout.map_or_else(|| "-1".to_owned(), |seconds| seconds.to_string());
        text += &HEADER
            .replace("@search@", &self.directory.search)
            .replace("@default@", default)
            .replace("@timeout@", &timeout)
            .replace("@timeoutStyle@", plan.timeout_style);
        if plan.font.is_some() {
            text += &FONT_LINES
                .replace("@font@", &format!("{}/{FONT}", self.directory.prefix()))
                .replace("@gfxmodeEfi@", &plan.gfxmode.efi)
                .replace("@gfxpayloadEfi@", &plan.gfxpayload.efi)
                .replace("@gfxmodeBios@", &plan.gfxmode.bios)
                .replace("@gfxpayloadBios@", &plan.gfxpayload.bios);
        }
        if let Some(image) = &plan.splash_image {
            let suffix = suffix(image)?;
            if let Some(color) = &plan.background_color {
                append(&mut text, format_args!("\n        background_color '{color}'\n        "));
            }
            text += &BACKGROUND_LINES
                .replace("@module@", suffix.trim_start_matches('.'))
                .replace("@mode@", plan.splash_mode)
                .replace("@image@", &format!("{}/background{suffix}", self.directory.prefix()));
        }
        append(&mut text, format_args!("{}\n\n", plan.extra_config));
        Ok(text)
    }

    /// `addGeneration`
    #[expect(clippy::too_many_arguments, reason = "those of the original, and where its results go")]
    fn add_generation(
        &self,
        text: &mut String,
        name: &str,
        suffix: &str,
        options: &str,
        systems: &Systems,
        is_current: bool,
        store: &dyn Store,
    ) -> Result<(), BootError> {
        let has_submenu = !is_current && !systems.specialisations.is_empty();
        if has_submenu {
            append(text, format_args!("submenu \"{name}{suffix}\" --class submenu {{\n"));
        }
        let kind = if systems.specialisations.is_empty() { "" } else { " - Default" };
        self.add_entry(text, &format!("{name}{kind}{suffix}"), &systems.main, options, store)?;
        for system in &systems.specialisations {
            let specialisation = system.specialisation.as_deref().unwrap_or_default();
            let own_name =
                system.text("configuration-name", store)?.filter(|name| !name.is_empty() && name != "0");
            let version = system.text("nixos-version", store)?.unwrap_or_default();
            // Links of the store have its time.
            let entry = own_name
                .unwrap_or_else(|| format!("({specialisation} - {} - {version})", date(Timestamp::STORE)));
            self.add_entry(text, &format!("{name} - {entry}"), system, "", store)?;
        }
        if has_submenu {
            *text += "}\n";
        }
        Ok(())
    }

    /// `addEntry`
    fn add_entry(
        &self,
        text: &mut String,
        name: &str,
        system: &System,
        options: &str,
        store: &dyn Store,
    ) -> Result<(), BootError> {
        let init = system::resolve(&format!("{}/init", system.toplevel), self.machine, store)?;
        // The file `kernel-params` of the system, which NixOS writes from the same list.
        let params = system.spec.kernel_params.join(" ");
        append(text, format_args!("menuentry \"{name}\" {options} {{\n"));
        if self.plan.default == "saved" {
            *text += "  savedefault\n";
        }
        append(text, format_args!("{}\n", self.directory.search));
        if let Some(store) = &self.store {
            append(text, format_args!("{}\n", store.search));
        }
        if !self.plan.extra_per_entry_config.is_empty() {
            append(text, format_args!("  {}\n", self.plan.extra_per_entry_config));
        }
        let (kernel, initrd) = (self.path(&system.kernel), self.path(&system.initrd));
        append(text, format_args!("  linux {kernel} init={init} {params}\n  initrd {initrd}\n}}\n\n"));
        Ok(())
    }

    /// `copyToKernelsDir`
    fn path(&self, file: &str) -> String {
        if let Some(store) = &self.store {
            let prefix = system::text(&self.machine.store_dir);
            return format!("{}{}", store.path, file.strip_prefix(prefix.as_str()).unwrap_or(file));
        }
        format!("{}/kernels/{}", self.directory.prefix(), copied_name(file, self.machine))
    }
}

/// The start of `grub.cfg` after the search for the store.
const HEADER: &str = r#"
    @search@
    if [ -s $prefix/grubenv ]; then
      load_env
    fi

    # ‘grub-reboot’ sets a one-time saved entry, which we process here and
    # then delete.
    if [ "${next_entry}" ]; then
      set default="${next_entry}"
      set next_entry=
      save_env next_entry
      set timeout=1
      set boot_once=true
    else
      set default=@default@
      set timeout=@timeout@
    fi
    set timeout_style=@timeoutStyle@

    function savedefault {
        if [ -z "${boot_once}"]; then
        saved_entry="${chosen}"
        save_env saved_entry
        fi
    }

    # Setup the graphics stack for bios and efi systems
    if [ "${grub_platform}" = "efi" ]; then
      insmod efi_gop
      insmod efi_uga
    else
      insmod vbe
    fi
"#;

/// The lines for a font.
const FONT_LINES: &str = r#"
        insmod font
        if loadfont @font@; then
          insmod gfxterm
          if [ "${grub_platform}" = "efi" ]; then
            set gfxmode=@gfxmodeEfi@
            set gfxpayload=@gfxpayloadEfi@
          else
            set gfxmode=@gfxmodeBios@
            set gfxpayload=@gfxpayloadBios@
          fi
          terminal_output gfxterm
        fi
    "#;

/// The lines for a background.
const BACKGROUND_LINES: &str = r"
        insmod @module@
        if background_image --mode '@mode@' @image@; then
          set color_normal=white/black
          set color_highlight=black/white
        else
          set menu_color_normal=cyan/blue
          set menu_color_highlight=white/blue
        fi
    ";
