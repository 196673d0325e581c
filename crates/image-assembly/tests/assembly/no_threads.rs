//! Where no thread can be started, images are the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use file_scanner::ScannedFiles;
use image_assembly::{AssemblyError, Compression, Framing, Options, Target, Writer};
use image_containers::{BlockCompression, PackedQcow2};
use image_tree::{PackedFormat, PieceSource};

use crate::support::*;

const FOLDER: &str = "IMAGE_ASSEMBLY_NO_THREADS";

fn files() -> Files {
    Files::new(&[5000, 3 * MIB + 5, 300 * KIB, 9])
}

fn image(files: &Files) -> Image {
    let mut image = Image::of_files(files);
    image.0.insert(2, Part::Zeros(2 * MIB + 512));
    let len: u64 = image.len();
    image.0.push(Part::Zeros(len.next_multiple_of(512) - len + 512));
    image
}

/// The options for each output, by its name.
fn outputs() -> Vec<(&'static str, Options)> {
    let zstd = |framing| compressed(2, Compression::Zstd { level: 1, framing });
    vec![
        ("hashed", options(2, None)),
        ("raw", Options { digest: false, ..options(2, None) }),
        ("seekable", zstd(Framing::Seekable)),
        ("units", zstd(Framing::Units { seekable: true })),
        ("gzip", compressed(2, Compression::Gzip { level: 1 })),
    ]
}

/// Writes all outputs into a folder, and one that fails.
fn write(folder: &Path) {
    let files = files();
    let image = image(&files);
    for (name, options) in outputs() {
        image.write(&files, Target::File(&folder.join(name)), &options).unwrap();
    }
    let format: Arc<dyn PackedFormat> =
        Arc::new(PackedQcow2::new(image.len(), BlockCompression::Deflate { level: 6 }).unwrap());
    let contents = ScannedFiles::new(&files.tree);
    let writer = Writer::new(&image, &contents).options(options(2, None)).packed(format);
    writer.write(Target::File(&folder.join("packed"))).unwrap();
    fs::remove_file(files.path(1)).unwrap();
    for (_, options) in outputs() {
        let error = image.write(&files, Target::File(&folder.join("none")), &options).unwrap_err();
        assert!(matches!(error, AssemblyError::Source(_)), "{error}");
    }
}

#[test]
fn the_bytes_are_the_same_without_threads() {
    let [with, without] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    write(with.path());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "no_threads::child", "--ignored", "--test-threads=1"]);
    // No thread gets a stack of this length.
    child.env("RUST_MIN_STACK", (1_u64 << 50).to_string()).env(FOLDER, without.path());
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(names(with.path()), names(without.path()));
    for name in names(with.path()) {
        let [with, without] = [&with, &without].map(|folder| fs::read(folder.path().join(&name)).unwrap());
        assert!(with == without, "{name}");
    }
    assert_eq!(names(with.path()).len(), outputs().len() + 1);
}

/// Not a test: another one runs it in a process that can start no thread.
#[test]
#[ignore = "run by another test"]
fn child() {
    assert!(std::thread::Builder::new().spawn(|| ()).is_err());
    write(&PathBuf::from(std::env::var_os(FOLDER).unwrap()));
}
