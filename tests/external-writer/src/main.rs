//! Writes an ext4 image of a tree in memory. The bytes of one file come from a stream.

use std::error::Error;
use std::io::{self, Read};
use std::path::PathBuf;

use ext4_layout::{Layout, Options};
use image_assembly::{Target, Writer};
use image_tree::{
    Contents, ContentsError, FileBytes, FileReader, FileRef, Forward, TreeBuilder, TreeContents,
};

const LARGE: u64 = 5 << 20;

struct Files<'c>(&'c TreeContents);

impl Contents for Files<'_> {
    fn reader(&self) -> Box<dyn FileReader + '_> {
        Box::new(Files(self.0))
    }
}

impl FileReader for Files<'_> {
    fn open(&mut self, file: FileRef) -> Result<FileBytes<'_>, ContentsError> {
        let stream = || FileBytes::Reader(Box::new(Forward::new(io::repeat(b'x').take(LARGE))));
        Ok(self.0.bytes(file).map_or_else(stream, FileBytes::Memory))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: external-writer IMAGE")?);
    let mut tree = TreeBuilder::new();
    tree.lost_found()?.symlink("/bin", "usr/bin")?.external("/large", LARGE, 0)?;
    tree.file("/etc/hostname", "snug\n")?.executable("/usr/bin/hello", "#!/bin/sh\necho hello\n")?;
    let layout = Layout::plan(&tree.finish()?, &Options::default().with_label("SNUG")?)?;
    let contents = TreeContents::new(layout.tree());
    Writer::new(&layout, &Files(&contents)).write(Target::File(&path))?;
    Ok(())
}
