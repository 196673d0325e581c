//! The bootspec: the file `boot.json` of a system (RFC 125, "Bootspec"). Its version 1 is the object
//! `org.nixos.bootspec.v1`; specialisations are documents of the same form in `org.nixos.specialisation.v1`.

use std::collections::BTreeMap;

use image_tree::{Name, escaped};
use serde::Deserialize;

use crate::error::BootError;

/// The longest text of a bootspec in \[bytes\]. Linux has at most 2,048 or 4,096 bytes for all parameters together
/// (`COMMAND_LINE_SIZE`), but there is no limit that all processors share.
const MAX_TEXT: usize = 64 << 10;

/// A bootspec, and those of its specialisations.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bootspec {
    /// The kernel.
    pub kernel: String,
    /// The initial RAM disk.
    pub initrd: String,
    /// The program that appends secrets to the initial RAM disk, if there is one.
    pub initrd_secrets: Option<String>,
    /// The first program that runs from the root.
    pub init: String,
    /// The kernel's parameters, without `init`.
    pub kernel_params: Vec<String>,
    /// The description for people.
    pub label: String,
    /// The system.
    pub toplevel: String,
    /// What systemd-boot sorts entries by (`org.nixos.systemd-boot`).
    pub sort_key: String,
    /// The device tree that systemd-boot loads (`org.nixos.systemd-boot`).
    pub devicetree: Option<String>,
    /// More initial RAM disks that systemd-boot loads, by their path in its partition (`org.nixos.extra-initrd.v1`).
    pub extra_initrds: Vec<String>,
    /// The specialisations, by name. Each has none of its own.
    pub specialisations: BTreeMap<String, Bootspec>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "org.nixos.bootspec.v1")]
    spec: Option<Spec>,
    #[serde(rename = "org.nixos.specialisation.v1", default)]
    specialisations: BTreeMap<String, Document>,
    #[serde(rename = "org.nixos.systemd-boot", default)]
    systemd_boot: SystemdBoot,
    #[serde(rename = "org.nixos.extra-initrd.v1", default)]
    extra_initrd: ExtraInitrd,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    kernel: String,
    initrd: Option<String>,
    initrd_secrets: Option<String>,
    init: String,
    kernel_params: Vec<String>,
    label: String,
    toplevel: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SystemdBoot {
    sort_key: Option<String>,
    devicetree: Option<String>,
}

#[derive(Default, Deserialize)]
struct ExtraInitrd {
    #[serde(default)]
    paths: Vec<String>,
}

const REBUILD: &str = "build the system with a recent NixOS, with boot.bootspec.enable";

impl Bootspec {
    /// Reads a bootspec. `file` is its path, for messages.
    ///
    /// # Errors
    /// If it is no bootspec of version 1, or has what can't be booted.
    pub fn parse(json: &[u8], file: &str) -> Result<Self, BootError> {
        let document: Document = serde_json::from_slice(json).map_err(|error| {
            BootError::of_system(
                file,
                format!("not a bootspec: {}", escaped(error.to_string().as_bytes())),
                REBUILD,
            )
        })?;
        Self::of(document, file, None)
    }

    fn of(document: Document, file: &str, specialisation: Option<&str>) -> Result<Self, BootError> {
        let wrong = |what: String, help: &str| {
            let of = specialisation
                .map_or_else(String::new, |name| format!("specialisation {}: ", escaped(name.as_bytes())));
            BootError::of_system(file, format!("{of}{what}"), help)
        };
        let spec = document.spec.ok_or_else(|| wrong("has no org.nixos.bootspec.v1".to_owned(), REBUILD))?;
        let initrd = spec.initrd.ok_or_else(|| {
            wrong(
                "has no initial RAM disk".to_owned(),
                "enable boot.initrd: NixOS has no boot entries without it",
            )
        })?;
        if let Some(xen) = document.others.keys().find(|key| key.starts_with("org.xenproject.bootspec.")) {
            return Err(wrong(
                format!("has {}", escaped(xen.as_bytes())),
                "disable Xen: its boot entries are not supported",
            ));
        }
        let sort_key = document.systemd_boot.sort_key.unwrap_or_else(|| "nixos".to_owned());
        let lines = [
            ("kernel", &spec.kernel),
            ("initrd", &initrd),
            ("init", &spec.init),
            ("label", &spec.label),
            ("toplevel", &spec.toplevel),
            ("sortKey", &sort_key),
        ];
        let optional =
            [("initrdSecrets", &spec.initrd_secrets), ("devicetree", &document.systemd_boot.devicetree)];
        let optional = optional.iter().filter_map(|(name, text)| Some((*name, text.as_ref()?)));
        let params = spec.kernel_params.iter().map(|param| ("kernelParams", param));
        let params =
            params.chain(document.extra_initrd.paths.iter().map(|path| ("org.nixos.extra-initrd.v1", path)));
        for (name, text) in lines.into_iter().chain(optional).chain(params) {
            // A line feed would begin another line of a boot entry.
            if text.len() > MAX_TEXT || text.contains(char::is_control) {
                let what = format!("{name} has a control character, or more than {MAX_TEXT} bytes");
                return Err(wrong(what, "write one line"));
            }
        }
        let mut specialisations = BTreeMap::new();
        for (name, document) in document.specialisations {
            if Name::new(name.as_bytes()).is_err() || name.contains(char::is_control) {
                let what = format!("\"{}\" is no name of a specialisation", escaped(name.as_bytes()));
                return Err(wrong(what, "use the characters of a file name"));
            }
            // Installers look at specialisations of the system alone.
            let spec =
                Self::of(Document { specialisations: BTreeMap::new(), ..document }, file, Some(&name))?;
            specialisations.insert(name, spec);
        }
        Ok(Self {
            kernel: spec.kernel,
            initrd,
            initrd_secrets: spec.initrd_secrets,
            init: spec.init,
            kernel_params: spec.kernel_params,
            label: spec.label,
            toplevel: spec.toplevel,
            sort_key,
            devicetree: document.systemd_boot.devicetree,
            extra_initrds: document.extra_initrd.paths,
            specialisations,
        })
    }
}
