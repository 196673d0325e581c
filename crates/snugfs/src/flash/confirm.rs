//! Asks before a device is overwritten.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use device_flash::BlockDevice;
use snugfs_core::{Failure, FailureKind, shown};

use super::devices;
use crate::cli::{FlashArgs, misuse};

/// Asks on the terminal, unless `--yes` is given. Without a terminal, nobody can answer.
pub(super) fn ask(args: &FlashArgs, device: &Path, disk: Option<&BlockDevice>) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(misuse("DEVICE", "cannot ask for confirmation without a terminal", "add --yes"));
    }
    let disk = disk.map(|disk| format!(" ({})", devices::description(disk))).unwrap_or_default();
    let name = shown(device);
    let contents = devices::contents(device);
    let contents = if contents.is_empty() { String::new() } else { format!(": {contents}") };
    let question = format!("This overwrites everything on {name}{disk}{contents}\nContinue? [y/N] ");
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush());
    drop(stderr);
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    if matches!(&*answer.trim().to_lowercase(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Usage, shown(device), "was not overwritten", "answer y to overwrite it"))
}
