//! The disks of this machine, as text and JSON.

use std::fmt::Write;
use std::path::Path;

use device_flash::{BlockDevice, System};
use image_reader::{FileSystem, Image, Overview, VolumeContent};
use image_tree::escaped;
use serde_json::json;
use snugfs_core::{Failure, human, shown};

/// The most partitions that are named.
const MOST_NAMED: usize = 8;

/// All disks, for `--list`.
pub(super) fn list(system: &System, as_json: bool) -> Result<String, Failure> {
    let disks = system.disks();
    // Loop devices without a file have no length, so they are not among them.
    if as_json {
        let disks: Vec<_> = disks
            .iter()
            .map(|disk| {
                json!({
                    "device": shown(&disk.path()),
                    "bytes": disk.bytes,
                    "model": disk.model,
                    "connection": disk.connection,
                    "removable": disk.removable,
                    "readOnly": disk.read_only,
                    "uses": disk.uses.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "contents": contents(&disk.path()),
                })
            })
            .collect();
        let text = serde_json::to_string_pretty(&json!({ "version": 1, "devices": disks }));
        return Ok(text.map_err(|error| Failure::internal("--list", error))? + "\n");
    }
    let mut text = String::new();
    for disk in &disks {
        let how = match () {
            () if !disk.uses.is_empty() => "in use",
            () if disk.read_only => "write-protected",
            () if !disk.removable => "fixed",
            () => "",
        };
        let _ = writeln!(
            text,
            "{:<16}{:>10}  {:<15} {}",
            shown(&disk.path()),
            human::size(disk.bytes),
            how,
            said(disk)
        );
        for used in &disk.uses {
            let _ = writeln!(text, "{:>28}{used}", "");
        }
        let contents = contents(&disk.path());
        if !contents.is_empty() {
            let _ = writeln!(text, "{:>28}{contents}", "");
        }
    }
    if text.is_empty() {
        "no disks found\n".clone_into(&mut text);
    }
    Ok(text)
}

/// Model and connection.
fn said(disk: &BlockDevice) -> String {
    let parts = [escaped(disk.model.as_bytes()).to_string(), disk.connection.to_owned()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// Model, connection and size, for a question.
pub(super) fn description(disk: &BlockDevice) -> String {
    let parts = [said(disk), human::size(disk.bytes)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The file systems on a device; empty if nothing is known of it, or it can't be read.
pub(super) fn contents(device: &Path) -> String {
    let Ok(overview) = Image::open(device).and_then(|image| Overview::read(&image)) else {
        return String::new();
    };
    let volumes = overview.volumes.iter();
    let mut names: Vec<_> = volumes
        .filter_map(|volume| {
            let name = match &volume.content {
                VolumeContent::FileSystem(FileSystem::Ext4(fs)) => labelled(fs.generation(), fs.label()),
                VolumeContent::FileSystem(FileSystem::Fat(fs)) => labelled("fat", &fs.label()),
                VolumeContent::Unreadable(_) => "damaged".to_owned(),
                VolumeContent::Other(name) => (*name).to_owned(),
                VolumeContent::Unknown => return None,
            };
            Some(match &volume.partition {
                Some(partition) => format!("partition {}: {name}", partition.number),
                None => name,
            })
        })
        .collect();
    if names.len() > MOST_NAMED {
        let more = names.len() - MOST_NAMED;
        names.truncate(MOST_NAMED);
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

fn labelled(kind: &str, label: &[u8]) -> String {
    if label.is_empty() { kind.to_owned() } else { format!("{kind} \"{}\"", escaped(label.trim_ascii_end())) }
}
