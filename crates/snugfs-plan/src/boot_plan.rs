use std::collections::BTreeMap;
use std::path::PathBuf;

use image_tree::ImagePath;

/// `plan.boot`
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootPlan {
    /// The system: a store path of the root's closure, directly in its store.
    pub system: ImagePath,
    /// The number of the generation, at least 1.
    pub generation: u32,
    /// The name of the distribution in menus.
    pub distro_name: String,
    /// \[Seconds\] until the default entry boots; `None` for no limit.
    pub timeout: Option<u32>,
    /// Whether secrets that the system would append to its initial RAM disk are left out.
    pub ignore_initrd_secrets: bool,
    /// The boot loader.
    pub loader: BootLoaderPlan,
}

/// `plan.boot.kind`, and the fields of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootLoaderPlan {
    /// systemd-boot.
    SystemdBoot(SystemdBootPlan),
    /// GRUB, for EFI, for BIOS or for both.
    Grub(Box<GrubPlan>),
    /// The configuration of extlinux, which U-Boot reads.
    Extlinux(ExtlinuxPlan),
}

/// The fields of systemd-boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemdBootPlan {
    /// The EFI program.
    pub loader: PathBuf,
    /// Whether the menu allows editing of the kernel's parameters.
    pub editor: bool,
    /// The resolution of the console: a word of `loader.conf(5)`.
    pub console_mode: &'static str,
    /// Whether to reboot for `BitLocker`.
    pub reboot_for_bitlocker: bool,
    /// How entries are named.
    pub entry_names: EntryNames,
    /// More entries, by their file names.
    pub extra_entries: BTreeMap<String, String>,
    /// More files, by their path in the partition.
    pub extra_files: BTreeMap<ImagePath, PathBuf>,
}

/// `plan.boot.entryNames`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryNames {
    /// By the number of the generation.
    Generation,
    /// By the SHA-256 of the entry.
    Hash {
        /// The number of tries of a new entry, if boots are counted.
        tries: Option<u32>,
    },
}

/// The partition that is mounted at the boot directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootPartition {
    /// None: the directory is in the root.
    Root,
    /// The EFI system partition.
    Esp,
    /// The extended boot loader partition.
    Xbootldr,
}

/// The boot directory, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootDirectory {
    /// Its path on the running machine.
    pub path: ImagePath,
    /// The partition that is mounted there.
    pub partition: BootPartition,
}

/// The fields of GRUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrubPlan {
    /// The boot directory.
    pub boot: BootDirectory,
    /// A folder for `grub` in the boot directory.
    pub files: Option<PathBuf>,
    /// GRUB for EFI.
    pub efi: Option<GrubEfiPlan>,
    /// GRUB for BIOS.
    pub bios: Option<GrubBiosPlan>,
    /// The contents of the file `state`.
    pub state: Option<GrubStatePlan>,
    /// How GRUB finds file systems.
    pub fs_identifier: FsIdentifier,
    /// Whether kernels are copied even if GRUB can read the store.
    pub copy_kernels: bool,
    /// Number of generations in the menu.
    pub configuration_limit: u32,
    /// The default entry.
    pub default: String,
    /// A word of GRUB's `timeout_style`.
    pub timeout_style: &'static str,
    /// Lines before the entries.
    pub extra_config: String,
    /// Lines at the start of each entry.
    pub extra_per_entry_config: String,
    /// More entries.
    pub extra_entries: String,
    /// Whether these come first.
    pub extra_entries_before: bool,
    /// Options of the default entry.
    pub entry_options: String,
    /// Options of entries for generations.
    pub sub_entry_options: String,
    /// A font in the format `pf2`.
    pub font: Option<PathBuf>,
    /// The background.
    pub splash_image: Option<PathBuf>,
    /// How the background fills the screen: a word of GRUB.
    pub splash_mode: &'static str,
    /// The colour behind the background.
    pub background_color: Option<String>,
    /// The resolution of the menu, on EFI and on BIOS.
    pub gfxmode: Platforms,
    /// The resolution for Linux, on EFI and on BIOS.
    pub gfxpayload: Platforms,
}

/// A value for each platform of GRUB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platforms {
    /// For EFI.
    pub efi: String,
    /// For BIOS.
    pub bios: String,
}

/// `plan.boot.efi`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrubEfiPlan {
    /// The EFI program.
    pub image: PathBuf,
    /// Whether firmware finds it without a boot entry.
    pub removable: bool,
    /// The name of its directory, if it is not removable.
    pub bootloader_id: String,
}

/// `plan.boot.bios`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrubBiosPlan {
    /// The file `boot.img`.
    pub boot: PathBuf,
    /// The file `core.img`.
    pub core: PathBuf,
}

/// `plan.boot.state`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrubStatePlan {
    /// The name of GRUB's package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The store path of GRUB for BIOS; empty if the configuration has none.
    pub grub: String,
    /// The store path of GRUB for EFI, likewise.
    pub grub_efi: String,
    /// The devices on which the configuration installs GRUB.
    pub devices: Vec<String>,
    /// Where the configuration mounts the ESP.
    pub efi_sys_mount_point: String,
    /// More arguments of `grub-install`.
    pub extra_grub_install_args: Vec<String>,
}

/// `plan.boot.fsIdentifier`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsIdentifier {
    /// By UUID.
    Uuid,
    /// By label.
    Label,
    /// By the device that GRUB itself was read from.
    Provided,
}

/// The fields of extlinux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtlinuxPlan {
    /// The boot directory.
    pub boot: BootDirectory,
    /// Number of generations in the menu.
    pub configuration_limit: u32,
    /// Whether entries name the system's device trees.
    pub use_generation_device_tree: bool,
    /// The device tree; `None` if U-Boot chooses it.
    pub dtb_name: Option<String>,
}
