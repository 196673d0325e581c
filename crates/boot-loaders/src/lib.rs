//! The files of a NixOS system's boot loader: what NixOS' own installers (`systemd-boot-builder.py`, `install-grub.pl`,
//! `extlinux-conf-builder.sh`) would write for the first generation, from the system's bootspec (RFC 125).
//!
//! The invariant: [`install`] depends only on the bootspec, the plan and what [`Store`] says. Kernels and initial RAM disks are
//! references to files of the store; nothing here reads them. The crate does no I/O itself.
//!
//! A switch on the running machine calls the installer of its own NixOS. That must find what it would have written: kernels
//! with the same names, so that it does not copy them again, and entries with names that it removes with their generation. Doc
//! comments name the file and function of each rule. They follow nixpkgs of July 2026; "before 2026" is its text until then, for
//! entries that are named by generation.
//!
//! | module | contents |
//! |---|---|
//! | `bootspec` | the JSON document of RFC 125 |
//! | `system` | a system and its specialisations, with the files of the store that they boot |
//! | `files` | the files of each partition |
//! | `efi` | EFI programs, and the names that firmware expects |
//! | `systemd_boot`, `grub`, `extlinux` | the boot loaders |
//! | `grub_bios` | GRUB's boot code and core, with the places of each other |
//! | `date` | dates in titles |

mod bootspec;
mod date;
mod efi;
mod error;
mod extlinux;
mod files;
mod grub;
mod grub_bios;
mod system;
mod systemd_boot;

use std::fmt::{self, Write};

use image_tree::{ImagePath, Timestamp};
use snugfs_plan::{BootLoaderPlan, BootPlan};

pub use bootspec::Bootspec;
pub use efi::{PROGRAM_HEAD, Processor};
pub use error::BootError;
pub use files::{Contents, File, Files};
pub use grub_bios::{BOOT_CODE, GrubImages, SECTOR};
pub use system::{Store, StoreError};

/// A file system of the disk, as boot loaders identify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// The UUID as blkid prints it: of ext4 in lower case, of FAT as `AB12-CD34`.
    pub uuid: String,
    /// The label, empty if there is none.
    pub label: String,
}

/// The parts of the disk that concern boot loaders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The directory of the store on the machine.
    pub store_dir: ImagePath,
    /// The root.
    pub root: FileSystem,
    /// The EFI system partition.
    pub esp: Option<FileSystem>,
    /// The extended boot loader partition.
    pub xbootldr: Option<FileSystem>,
    /// The time of the system profile's link.
    pub profile_time: Timestamp,
}

/// What a boot loader consists of, except code outside of file systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installation {
    /// Files of the root.
    pub root: Files,
    /// Files of the EFI system partition.
    pub esp: Files,
    /// Files of the extended boot loader partition.
    pub xbootldr: Files,
}

/// The files of a plan's boot loader.
///
/// # Errors
/// If the bootspec is damaged or describes what can't be booted, or if the disk lacks a partition.
pub fn install(boot: &BootPlan, machine: &Machine, store: &dyn Store) -> Result<Installation, BootError> {
    let systems = system::Systems::read(boot, machine, store)?;
    let mut installation = Installation::default();
    installation.esp.ignore_case();
    installation.xbootldr.ignore_case();
    match &boot.loader {
        BootLoaderPlan::SystemdBoot(plan) => {
            systemd_boot::install(boot, plan, machine, &systems, store, &mut installation)?;
        }
        BootLoaderPlan::Grub(plan) => {
            grub::install(boot, plan, machine, &systems, store, &mut installation)?;
        }
        BootLoaderPlan::Extlinux(plan) => {
            extlinux::install(boot, plan, machine, &systems, store, &mut installation)?;
        }
    }
    Ok(installation)
}

impl Machine {
    fn need_esp(&self) -> Result<&FileSystem, BootError> {
        self.esp.as_ref().ok_or_else(|| {
            BootError::new(
                &["kind"],
                "the disk has no FAT file system in a partition with the type esp",
                "add one: \"type\": \"esp\", \"content\": { \"kind\": \"fat\" }",
            )
        })
    }
}

/// Appends formatted text.
fn append(text: &mut String, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("invariant: a string takes any text");
}

/// Lines with a line feed after each.
fn lines<'t>(lines: impl IntoIterator<Item = &'t str>) -> String {
    lines.into_iter().flat_map(|line| [line, "\n"]).collect()
}
