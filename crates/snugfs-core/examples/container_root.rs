//! Writes the root of a container image: `cargo run -p snugfs-core --example container_root -- LAYOUT IMAGE [PLATFORM]`.
//! LAYOUT is an OCI image layout, or what `docker save` writes. The root has the container's configuration as a file.

use std::error::Error;
use std::path::Path;

use serde_json::json;
use snugfs_core::{Options, Target, WriteOptions, prepare};

pub(crate) fn write(layout: &Path, image: &Path, platform: Option<&str>) -> Result<u64, Box<dyn Error>> {
    let folder = || json!({ "type": "directory" });
    let plan = json!({
        "version": 1,
        "trees": [{
            "source": std::path::absolute(layout)?,
            "kind": "oci",
            "platform": platform,
            "ociConfigTarget": "/etc/container.json",
        }],
        "entries": { "/dev": folder(), "/proc": folder(), "/sys": folder() },
        "filesystem": { "label": "container", "freeSpace": "64MiB" },
    });
    let plan = snugfs_plan::parse(plan.to_string().as_bytes(), Path::new(""))?;
    let prepared = prepare(&plan, &Options::default())?;
    prepared.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let written = prepared.write(Target::File(image), "the image", &WriteOptions::default(), &())?;
    Ok(written.written.bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [layout, image, platform @ ..] = words.as_slice() else {
        return Err("usage: container_root LAYOUT IMAGE [PLATFORM]".into());
    };
    println!("{} bytes", write(layout.as_ref(), image.as_ref(), platform.first().map(String::as_str))?);
    Ok(())
}
