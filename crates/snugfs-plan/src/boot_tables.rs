//! The fields of `plan.boot`. The other fields are in [`crate::tables`].

use crate::boot_plan::{BootPartition, FsIdentifier};
use crate::choices::{Choices, Words};
use crate::shapes::{CountRule, Field, Shape, Table};

/// Generations have 32 bits, and start at 1.
const GENERATION: CountRule = CountRule { min: 1, max: (1 << 32) - 1 };
/// U-Boot counts tenths of seconds in 32 bits, signed.
const TIMEOUT: CountRule = CountRule { min: 0, max: 214_748_364 };
const LIMIT: CountRule = CountRule { min: 0, max: (1 << 32) - 1 };

/// `plan.boot.kind`
pub(crate) static BOOT_KINDS: Words<BootKind> = Choices(&[
    ("systemd-boot", BootKind::SystemdBoot),
    ("grub", BootKind::Grub),
    ("extlinux", BootKind::Extlinux),
]);

/// See [`BOOT_KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BootKind {
    SystemdBoot,
    Grub,
    Extlinux,
}

impl BootKind {
    /// The fields of such a boot loader.
    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::SystemdBoot => &SYSTEMD_BOOT,
            Self::Grub => &GRUB,
            Self::Extlinux => &EXTLINUX,
        }
    }
}

/// `plan.boot.consoleMode` (`loader.conf(5)`)
pub(crate) static CONSOLE_MODES: Words<&'static str> = Choices(&[
    ("0", "0"),
    ("1", "1"),
    ("2", "2"),
    ("5", "5"),
    ("auto", "auto"),
    ("max", "max"),
    ("keep", "keep"),
]);

/// `plan.boot.entryNames`: whether they are hashes.
pub(crate) static ENTRY_NAMES: Words<bool> = Choices(&[("generation", false), ("hash", true)]);

/// `plan.boot.bootPartition`
pub(crate) static BOOT_PARTITIONS: Words<BootPartition> = Choices(&[
    ("root", BootPartition::Root),
    ("esp", BootPartition::Esp),
    ("xbootldr", BootPartition::Xbootldr),
]);

/// `plan.boot.fsIdentifier`
pub(crate) static FS_IDENTIFIERS: Words<FsIdentifier> = Choices(&[
    ("uuid", FsIdentifier::Uuid),
    ("label", FsIdentifier::Label),
    ("provided", FsIdentifier::Provided),
]);

/// `plan.boot.timeoutStyle`
pub(crate) static TIMEOUT_STYLES: Words<&'static str> =
    Choices(&[("menu", "menu"), ("countdown", "countdown"), ("hidden", "hidden")]);

/// `plan.boot.splashMode`
pub(crate) static SPLASH_MODES: Words<&'static str> =
    Choices(&[("normal", "normal"), ("stretch", "stretch")]);

const fn kind_of(about: &'static str) -> Field {
    Field::required(
        "kind",
        Shape::Word(&BOOT_KINDS),
        "\"kind\": \"systemd-boot\", or another of the kinds",
        about,
    )
}

const SYSTEM: Field = Field::required(
    "system",
    Shape::ImagePath,
    "\"system\": the store path of the system",
    "The store path of the NixOS system, from the plan's closure. Its file boot.json describes the kernel.",
);
const GENERATION_NUMBER: Field =
    Field::default("generation", Shape::Count(GENERATION), "1", "The number of the system's generation.");
const DISTRO_NAME: Field =
    Field::default("distroName", Shape::Text, "\"NixOS\"", "The name of the distribution in menus.");
const TIMEOUT_SECONDS: Field = Field::default(
    "timeout",
    Shape::Count(TIMEOUT),
    "5",
    "Seconds until the default entry boots; null for no limit.",
)
.or_null();
const IGNORE_SECRETS: Field = Field::default(
    "ignoreInitrdSecrets",
    Shape::Flag,
    "false",
    "Whether to leave out the secrets that the system would append to its initial RAM disk. Otherwise such a system is \
     an error.",
);
const BOOT_PATH: Field =
    Field::default("bootPath", Shape::ImagePath, "\"/boot\"", "The boot directory on the running machine.");
const BOOT_PARTITION: Field = Field::default(
    "bootPartition",
    Shape::Word(&BOOT_PARTITIONS),
    "\"root\"",
    "The partition that is mounted at bootPath; root if none is.",
);

static SYSTEMD_BOOT: Table = Table {
    what: "systemd-boot",
    one_of: "",
    fields: &[
        kind_of("systemd-boot, for EFI."),
        SYSTEM,
        GENERATION_NUMBER,
        DISTRO_NAME,
        TIMEOUT_SECONDS,
        IGNORE_SECRETS,
        Field::required(
            "loader",
            Shape::HostPath,
            "\"loader\": \"systemd/lib/systemd/boot/efi/systemd-bootx64.efi\"",
            "The EFI program, from the configuration's systemd.",
        ),
        Field::default(
            "editor",
            Shape::Flag,
            "true",
            "Whether the menu allows editing of the kernel's parameters.",
        ),
        Field::default(
            "consoleMode",
            Shape::Word(&CONSOLE_MODES),
            "\"keep\"",
            "The resolution of the console.",
        ),
        Field::default("rebootForBitlocker", Shape::Flag, "false", "Whether to reboot for BitLocker."),
        Field::default(
            "entryNames",
            Shape::Word(&ENTRY_NAMES),
            "\"generation\"",
            "The names of entries: by the number of the generation, or by the SHA-256 of the entry, as recent versions of \
             NixOS do.",
        ),
        Field::optional(
            "bootCountingTries",
            Shape::Count(LIMIT),
            "The number of tries of a new entry, if boots are counted. Only if entryNames is hash.",
        )
        .or_null(),
        Field::default(
            "extraEntries",
            Shape::Texts,
            "{}",
            "More entries, by their file names, which end in .conf.",
        ),
        Field::default(
            "extraFiles",
            Shape::HostPaths,
            "{}",
            "Files of this machine to add, by their path in the partition.",
        ),
    ],
};

static GRUB: Table = Table {
    what: "GRUB",
    one_of: "",
    fields: &[
        kind_of("GRUB, for EFI, for BIOS or for both."),
        SYSTEM,
        GENERATION_NUMBER,
        DISTRO_NAME,
        TIMEOUT_SECONDS,
        IGNORE_SECRETS,
        BOOT_PATH,
        BOOT_PARTITION,
        Field::optional(
            "files",
            Shape::HostPath,
            "A folder with files for grub in bootPath, such as modules.",
        )
        .or_null(),
        Field::optional("efi", Shape::Object(&GRUB_EFI), "GRUB for EFI.").or_null(),
        Field::optional("bios", Shape::Object(&GRUB_BIOS), "GRUB for BIOS.").or_null(),
        Field::optional(
            "state",
            Shape::Object(&GRUB_STATE),
            "The file grub/state, so that the first switch does not install GRUB again.",
        )
        .or_null(),
        Field::default(
            "fsIdentifier",
            Shape::Word(&FS_IDENTIFIERS),
            "\"uuid\"",
            "How GRUB finds file systems.",
        ),
        Field::default(
            "copyKernels",
            Shape::Flag,
            "false",
            "Whether kernels are copied to bootPath. They always are with a bootPartition.",
        ),
        Field::default(
            "configurationLimit",
            Shape::Count(LIMIT),
            "100",
            "Number of generations in the menu.",
        ),
        Field::default("default", Shape::Text, "\"0\"", "The default entry."),
        Field::default(
            "timeoutStyle",
            Shape::Word(&TIMEOUT_STYLES),
            "\"menu\"",
            "What is shown until the timeout.",
        ),
        Field::default("extraConfig", Shape::Text, "\"\"", "Lines of the configuration before the entries."),
        Field::default("extraPerEntryConfig", Shape::Text, "\"\"", "Lines at the start of each entry."),
        Field::default("extraEntries", Shape::Text, "\"\"", "More entries."),
        Field::default("extraEntriesBeforeNixOS", Shape::Flag, "false", "Whether extraEntries come first."),
        Field::default(
            "entryOptions",
            Shape::Text,
            "\"--class nixos --unrestricted\"",
            "Options of the default entry.",
        ),
        Field::default(
            "subEntryOptions",
            Shape::Text,
            "\"--class nixos\"",
            "Options of entries for generations.",
        ),
        Field::optional("font", Shape::HostPath, "A font in GRUB's format, pf2.").or_null(),
        Field::optional("splashImage", Shape::HostPath, "The background.").or_null(),
        Field::default(
            "splashMode",
            Shape::Word(&SPLASH_MODES),
            "\"stretch\"",
            "How the background fills the screen.",
        ),
        Field::optional(
            "backgroundColor",
            Shape::Text,
            "The colour where the background does not fill the screen.",
        )
        .or_null(),
        Field::default("gfxmodeEfi", Shape::Text, "\"auto\"", "The resolution of the menu on EFI."),
        Field::default("gfxmodeBios", Shape::Text, "\"1024x768\"", "The resolution of the menu on BIOS."),
        Field::default("gfxpayloadEfi", Shape::Text, "\"keep\"", "The resolution for Linux on EFI."),
        Field::default("gfxpayloadBios", Shape::Text, "\"text\"", "The resolution for Linux on BIOS."),
    ],
};

/// `plan.boot.efi`
pub(crate) static GRUB_EFI: Table = Table {
    what: "GRUB for EFI",
    one_of: "",
    fields: &[
        Field::required("image", Shape::HostPath, "\"image\": \"grubx64.efi\"", "The EFI program."),
        Field::default(
            "removable",
            Shape::Flag,
            "false",
            "Whether it is the program that firmware starts without a boot entry.",
        ),
        Field::default(
            "bootloaderId",
            Shape::Text,
            "\"NixOS-boot\"",
            "The name of its directory, if it is not removable.",
        ),
    ],
};

/// `plan.boot.bios`
pub(crate) static GRUB_BIOS: Table = Table {
    what: "GRUB for BIOS",
    one_of: "",
    fields: &[
        Field::required("boot", Shape::HostPath, "\"boot\": \"boot.img\"", "GRUB's boot.img."),
        Field::required(
            "core",
            Shape::HostPath,
            "\"core\": \"core.img\"",
            "GRUB's core.img, as grub-mkimage writes it.",
        ),
    ],
};

/// `plan.boot.state`
pub(crate) static GRUB_STATE: Table = Table {
    what: "GRUB's state",
    one_of: "",
    fields: &[
        Field::required("name", Shape::Text, "\"name\": \"grub\"", "The name of GRUB's package."),
        Field::required("version", Shape::Text, "\"version\": \"2.12\"", "The version of GRUB's package."),
        Field::default(
            "grub",
            Shape::Text,
            "\"\"",
            "The store path of GRUB for BIOS, if the configuration has it.",
        ),
        Field::default(
            "grubEfi",
            Shape::Text,
            "\"\"",
            "The store path of GRUB for EFI, if the configuration has it.",
        ),
        Field::default(
            "devices",
            Shape::TextList,
            "[]",
            "The devices on which the configuration installs GRUB.",
        ),
        Field::default(
            "efiSysMountPoint",
            Shape::Text,
            "\"/boot\"",
            "Where the configuration mounts the EFI system partition.",
        ),
        Field::default("extraGrubInstallArgs", Shape::TextList, "[]", "More arguments of grub-install."),
    ],
};

static EXTLINUX: Table = Table {
    what: "extlinux",
    one_of: "",
    fields: &[
        kind_of("The configuration of extlinux, which U-Boot reads."),
        SYSTEM,
        GENERATION_NUMBER,
        DISTRO_NAME,
        TIMEOUT_SECONDS,
        IGNORE_SECRETS,
        BOOT_PATH,
        BOOT_PARTITION,
        Field::default("configurationLimit", Shape::Count(LIMIT), "20", "Number of generations in the menu."),
        Field::default(
            "useGenerationDeviceTree",
            Shape::Flag,
            "true",
            "Whether entries name the system's device trees.",
        ),
        Field::optional("dtbName", Shape::Text, "The device tree. Without it, U-Boot chooses it.").or_null(),
    ],
};
