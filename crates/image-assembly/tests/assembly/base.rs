//! Images that are written from another one have the bytes of a naive assembler.

use std::fs;
use std::path::Path;

use file_scanner::ScannedFiles;
use image_assembly::{AssemblyError, Base, Begun, Derived, ErrorKind, Rejection, Target, Variant};
use image_tree::{FileRef, PieceSource};

use crate::support::*;

const LENS: [u64; 5] = [5000, 300 * KIB, 3 * MIB, 9000, 10];

/// Writes an image of these files with [`Image::of_files`], and returns what it is written from.
fn base(files: &Files, path: &Path) -> Base {
    let image = Image::of_files(files);
    image.write(files, Target::File(path), &options(2, None)).unwrap();
    Base::open(path, &image).unwrap()
}

/// Writes another image of the same files. All of them have the bytes of the base's files, except those in `others`.
fn write(
    base: &Base,
    image: &Image,
    files: &Files,
    others: &[usize],
    path: &Path,
) -> Result<Derived, AssemblyError> {
    let contents = ScannedFiles::new(&files.tree);
    let same = |file: FileRef| (!others.iter().any(|&other| Files::node(other) == file.node)).then_some(file);
    let variant = Variant { image, contents: &contents, same: &same };
    base.write(variant, path, false, &|_| Ok(()))
}

fn file(index: usize, from: u64, len: u64) -> Part {
    Part::File { index, from, len }
}

/// Writes images that differ from a base in what stays where, in a folder. `is_cloned` is whether they share its blocks.
fn stay_move_vanish(folder: &Path, is_cloned: bool) {
    let files = Files::new(&LENS);
    let base = base(&files, &folder.join("base"));
    let whole = Image::of_files(&files).0;
    let gap = Part::Zeros(3192);
    let mut images = Vec::new();
    for (name, parts) in [
        ("same", whole.clone()),
        ("shorter", whole.iter().copied().take(4).collect()),
        ("longer", whole.iter().copied().chain([Part::Zeros(MIB), Part::Metadata(8 * KIB)]).collect()),
        ("without the first", whole.iter().copied().skip(3).collect()),
        ("zeros where data was", [vec![Part::Zeros(64 * KIB)], whole.clone()].concat()),
        ("data where zeros were", vec![Part::Metadata(8 * KIB), file(0, 0, 5000), Part::Metadata(9 * KIB)]),
        ("parts of files", vec![file(2, 4096, 2 * MIB), file(1, 1, 8191), Part::Zeros(1), file(2, 0, 4096)]),
        (
            "in another order",
            vec![file(3, 0, 9000), gap, gap, file(4, 0, 10), file(0, 0, 5000), file(2, 5, 5)],
        ),
        ("empty", vec![]),
    ] {
        let (image, path) = (Image(parts), folder.join("variant"));
        let derived = write(&base, &image, &files, &[], &path).unwrap();
        assert_eq!((derived.bytes, derived.is_cloned), (image.len(), is_cloned), "{name}");
        assert!(fs::read(&path).unwrap() == image.naive(&files), "{name}");
        images.push((name, image));
    }
    // All of them together.
    let contents = ScannedFiles::new(&files.tree);
    let start = |(name, image): &(&str, Image)| {
        let variant = Variant { image, contents: &contents, same: &Some };
        base.begin(variant, &folder.join(name)).unwrap()
    };
    let begun: Vec<Begun> = images.iter().map(start).collect();
    for ((name, image), done) in images.iter().zip(base.complete(begun)) {
        assert!(!folder.join(name).exists());
        let derived = done.unwrap().publish(false, &|_| Ok(())).unwrap();
        assert_eq!((derived.bytes, derived.is_cloned), (image.len(), is_cloned), "{name}");
        assert!(fs::read(folder.join(name)).unwrap() == image.naive(&files), "{name}");
    }
}

#[test]
fn of_files_without_room_the_others_are_complete() {
    let mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=11m", "tmpfs"]);
    let files = Files::new(&LENS);
    let base = base(&files, &mounted.path().join("base"));
    assert!(base.is_in_memory());
    let image = Image::of_files(&files);
    let contents = ScannedFiles::new(&files.tree);
    let variant = Variant { image: &image, contents: &contents, same: &Some };
    let paths: Vec<_> = (0..3).map(|number| mounted.path().join(format!("{number}"))).collect();
    let begun = paths.iter().map(|path| base.begin(variant, path).unwrap()).collect();
    let mut written = 0;
    for (done, path) in base.complete(begun).into_iter().zip(&paths) {
        match done {
            Ok(begun) => {
                begun.publish(false, &|_| Ok(())).unwrap();
                assert!(fs::read(path).unwrap() == image.naive(&files));
                written += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Output),
        }
    }
    // Each has 3.3 MiB, and all are written together, so up to two fit. What failed leaves nothing.
    assert!(written <= 2);
    assert_eq!(names(mounted.path()).len(), 1 + written);
}

#[test]
fn files_may_stay_move_vanish_and_be_cut() {
    // tmpfs shares no blocks.
    stay_move_vanish(Mounted::new(&["-t", "tmpfs", "tmpfs"]).path(), false);
}

#[test]
fn the_same_with_shared_blocks() {
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(320 * MIB).unwrap();
    let path = disk.path().to_str().unwrap();
    run("mkfs.xfs", &["-q", "-m", "reflink=1", path]);
    stay_move_vanish(Mounted::new(&["-o", "loop", path]).path(), true);
}

#[test]
fn files_that_differ_are_read_from_their_sources() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(&LENS);
    let base = base(&files, &folder.path().join("base"));
    let mut contents = files.bytes.clone();
    contents[1] = noise(77, LENS[1]);
    contents[4] = noise(78, LENS[4]);
    let changed = Files::of(&std::env::temp_dir(), contents);
    let (image, path) = (Image::of_files(&changed), folder.path().join("variant"));
    write(&base, &image, &changed, &[1, 4], &path).unwrap();
    assert!(fs::read(&path).unwrap() == image.naive(&changed));
    // What the base has is not read again, and what it lacks is checked as always.
    fs::remove_file(changed.path(2)).unwrap();
    write(&base, &image, &changed, &[1, 4], &path).unwrap();
    fs::write(changed.path(1), "shorter").unwrap();
    let error = write(&base, &image, &changed, &[1, 4], &folder.path().join("none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(names(folder.path()), ["base", "variant"]);
}

#[test]
fn a_rejected_image_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(&LENS);
    let base = base(&files, &folder.path().join("base"));
    let (image, path) = (Image::of_files(&files), folder.path().join("variant"));
    fs::write(&path, "old").unwrap();
    let contents = ScannedFiles::new(&files.tree);
    let variant = Variant { image: &image, contents: &contents, same: &Some };
    let reject = |_: &fs::File| Err(Rejection::from("unsound"));
    let error = base.write(variant, &path, false, &reject).unwrap_err();
    assert!(matches!(error, AssemblyError::Rejected(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["base", "variant"]);
}
