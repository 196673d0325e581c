//! Writes an ext4 image of a tree in memory: `cargo run -p snugfs-core --example memory_image -- IMAGE`.

use std::error::Error;
use std::path::Path;

use ext4_layout::{Layout, Options};
use image_assembly::Writer;
use image_tree::{Metadata, Permissions, Timestamp, TreeBuilder, TreeContents};

/// The image, in memory too.
pub(crate) fn image() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut tree = TreeBuilder::new();
    tree.lost_found()?;
    tree.file("/etc/hostname", "snug\n")?;
    tree.executable("/usr/bin/hello", "#!/bin/sh\necho hello\n")?;
    tree.symlink("/bin", "usr/bin")?;
    let everyone = Permissions::from_mode(0o1777);
    tree.directory("/tmp")?.metadata("/tmp", Metadata::root_owned(everyone, Timestamp::STORE))?;
    let options = Options::default().with_grow_to(None).with_free_space(1 << 20);
    let layout = Layout::plan(&tree.finish()?, &options.with_label("SNUG")?)?;
    let mut image = Vec::new();
    Writer::new(&layout, &TreeContents::new(layout.tree())).write_to(&mut image)?;
    Ok(image)
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: memory_image IMAGE")?;
    std::fs::write(Path::new(&path), image()?)?;
    Ok(())
}
