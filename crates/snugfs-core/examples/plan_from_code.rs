//! Makes a plan in code and writes its image: `cargo run -p snugfs-core --example plan_from_code -- FOLDER IMAGE`.

use std::error::Error;
use std::path::Path;

use serde_json::json;
use snugfs_core::{Options, Target, WriteOptions, prepare};

/// Writes an image of a folder with ten more files, and returns how long it is, in bytes.
pub(crate) fn write(folder: &Path, image: &Path) -> Result<u64, Box<dyn Error>> {
    let mut plan = json!({
        "version": 1,
        "filesystem": { "label": "CODE", "freeSpace": "1MiB", "growTo": null },
        "trees": [{ "source": folder, "target": "/srv" }],
        "entries": {},
    });
    for unit in 0..10 {
        plan["entries"][format!("/etc/units/{unit}")] =
            json!({ "type": "file", "text": format!("unit {unit}\n") });
    }
    let plan = snugfs_plan::parse(plan.to_string().as_bytes(), Path::new(""))?;
    let prepared = prepare(&plan, &Options::default())?;
    let written = prepared.write(Target::File(image), "the image", &WriteOptions::default(), &())?;
    Ok(written.written.bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = "usage: plan_from_code FOLDER IMAGE";
    let (folder, image) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    println!("{} bytes", write(Path::new(&folder), Path::new(&image))?);
    Ok(())
}
