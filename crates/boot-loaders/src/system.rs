//! A system and its specialisations, with the files of the store that they boot.

use std::path::Path;

use image_tree::ImagePath;
use snugfs_plan::BootPlan;

use crate::Machine;
use crate::bootspec::Bootspec;
use crate::error::BootError;

/// The error of a [`Store`]: what is wrong with a file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// The store of the image, and files of this machine. Paths of the store are those on the booted machine.
pub trait Store {
    /// The path of a file of the store without symlinks; `None` if there is no such file.
    ///
    /// # Errors
    /// If the file is not in the closure, or can't be read.
    fn resolve(&self, path: &str) -> Result<Option<String>, StoreError>;

    /// The contents of a small file of the store; `None` if there is none at this path.
    ///
    /// # Errors
    /// If the file is too long or can't be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether a path of the store is a directory, without symlinks.
    fn is_directory(&self, path: &str) -> bool;

    /// At most the first [`PROGRAM_HEAD`](crate::PROGRAM_HEAD) \[bytes\] of a file of this machine.
    ///
    /// # Errors
    /// If the file can't be read.
    fn head(&self, file: &Path) -> Result<Vec<u8>, StoreError>;
}

/// A system or a specialisation.
#[derive(Debug)]
pub(crate) struct System {
    /// The name of the specialisation.
    pub(crate) specialisation: Option<String>,
    pub(crate) spec: Bootspec,
    /// The system, without symlinks.
    pub(crate) toplevel: String,
    /// The kernel, without symlinks.
    pub(crate) kernel: String,
    /// The initial RAM disk, without symlinks.
    pub(crate) initrd: String,
}

/// A system and its specialisations.
#[derive(Debug)]
pub(crate) struct Systems {
    pub(crate) main: System,
    /// In the order of their names.
    pub(crate) specialisations: Vec<System>,
}

impl Systems {
    pub(crate) fn read(boot: &BootPlan, machine: &Machine, store: &dyn Store) -> Result<Self, BootError> {
        let toplevel = text(&boot.system);
        let file = format!("{toplevel}/boot.json");
        let json = store.read(&file).map_err(|error| of_store(&file, error))?.ok_or_else(|| {
            let help = "name the system's toplevel, and build it with a recent NixOS";
            BootError::of_system(&file, "does not exist", help)
        })?;
        let spec = Bootspec::parse(&json, &file)?;
        if spec.toplevel != toplevel {
            let what = format!(
                "describes {}, which is another system",
                image_tree::escaped(spec.toplevel.as_bytes())
            );
            return Err(BootError::of_system(&file, what, "name that one"));
        }
        let specialisations = spec.specialisations.iter();
        let specialisations = specialisations
            .map(|(name, spec)| System::new(Some(name.clone()), spec.clone(), boot, machine, store))
            .collect::<Result<_, _>>()?;
        Ok(Self { main: System::new(None, spec, boot, machine, store)?, specialisations })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &System> {
        std::iter::once(&self.main).chain(&self.specialisations)
    }
}

impl System {
    fn new(
        specialisation: Option<String>,
        spec: Bootspec,
        boot: &BootPlan,
        machine: &Machine,
        store: &dyn Store,
    ) -> Result<Self, BootError> {
        let resolve = |path: &str| resolve(path, machine, store);
        if let Some(program) = spec.initrd_secrets.as_deref().filter(|_| !boot.ignore_initrd_secrets) {
            check_secrets(program, store)?;
        }
        Ok(Self {
            specialisation,
            toplevel: resolve(&spec.toplevel)?,
            kernel: resolve(&spec.kernel)?,
            initrd: resolve(&spec.initrd)?,
            spec,
        })
    }

    /// A small text file of the system, without one final line feed (`readFile` of `install-grub.pl`); `None` if there is none.
    pub(crate) fn text(&self, name: &str, store: &dyn Store) -> Result<Option<String>, BootError> {
        let path = format!("{}/{name}", self.toplevel);
        let Some(bytes) = store.read(&path).map_err(|error| of_store(&path, error))? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let text = text.strip_suffix('\n').map_or(text.clone(), str::to_owned);
        if text.contains(char::is_control) {
            return Err(BootError::of_system(&path, "is not one line", "write one line"));
        }
        Ok(Some(text))
    }
}

/// A file of the store without symlinks.
pub(crate) fn resolve(path: &str, machine: &Machine, store: &dyn Store) -> Result<String, BootError> {
    let resolved = find(path, machine, store)?;
    let help = "correct the system, or set plan.closure.sourceDir to the store that contains it";
    resolved.ok_or_else(|| BootError::of_system(path, "does not exist", help))
}

/// The same, or `None` if there is no such file.
pub(crate) fn find(path: &str, machine: &Machine, store: &dyn Store) -> Result<Option<String>, BootError> {
    let Some(resolved) = store.resolve(path).map_err(|error| of_store(path, error))? else { return Ok(None) };
    let below = resolved.strip_prefix(text(&machine.store_dir).as_str());
    if below.and_then(|below| below.strip_prefix('/')).is_none_or(str::is_empty) {
        return Err(BootError::of_system(path, "is not in the store", "correct the bootspec"));
    }
    Ok(Some(resolved))
}

/// Refuses a program that appends secrets. `stage-1.nix` of NixOS writes `append-initrd-secrets`, a shell script, for every
/// system. Without secrets it ends at a line `exit 0`; the other `exit` of the script is indented.
fn check_secrets(program: &str, store: &dyn Store) -> Result<(), BootError> {
    let script = store.read(program).map_err(|error| of_store(program, error))?;
    let is_empty =
        script.is_some_and(|script| script.split(|&byte| byte == b'\n').any(|line| line == b"exit 0"));
    if is_empty {
        return Ok(());
    }
    Err(BootError::of_system(
        program,
        "appends secrets to the initial RAM disk (initrdSecrets), which has no place in an image",
        "empty boot.initrd.secrets, or set plan.boot.ignoreInitrdSecrets to true",
    ))
}

fn of_store(path: &str, error: StoreError) -> BootError {
    BootError::of_system(path, error.what, error.help)
}

pub(crate) fn text(path: &ImagePath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}
