//! A source that changed since its scan is an error that names it, without leftovers.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use image_assembly::{AssemblyError, ErrorKind, Target};

use crate::support::*;

/// Small, split in streams, and copied by the kernel to files.
const LENS: [u64; 5] = [5000, 300 * KIB, 3 * MIB, 9 * MIB + 3, 10];

/// Checks that every way to write an image fails with the path of the file at `index` after `change` was called with it.
fn fails(index: usize, change: impl Fn(&Path)) {
    let files = Files::new(&LENS);
    change(&files.path(index));
    let image = Image::of_files(&files);
    for (threads, level) in [(1, None), (2, None), (8, None), (1, Some(1)), (4, Some(1))] {
        for old in [None, Some("old")] {
            let out = tempfile::tempdir().unwrap();
            let path = out.path().join("image");
            if let Some(old) = old {
                fs::write(&path, old).unwrap();
            }
            let error = image.write(&files, Target::File(&path), &options(threads, level)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Source, "{error}");
            let text = error.to_string();
            assert!(text.starts_with(&format!("{}: ", files.path(index).display())), "{text}");
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), old);
            assert_eq!(names(out.path()).len(), usize::from(old.is_some()));
        }
    }
}

#[test]
fn a_file_that_shrank_is_named() {
    for (index, &len) in LENS.iter().enumerate().take(4) {
        fails(index, |path| OpenOptions::new().write(true).open(path).unwrap().set_len(len - 1).unwrap());
        fails(index, |path| OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap());
    }
}

#[test]
fn a_file_that_grew_is_named() {
    for index in 0..4 {
        fails(index, |path| OpenOptions::new().append(true).open(path).unwrap().write_all(b"x").unwrap());
    }
}

#[test]
fn a_file_that_was_rewritten_with_the_same_length_is_named() {
    for (index, &len) in LENS.iter().enumerate().take(4) {
        fails(index, |path| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            fs::write(path, vec![7; usize::try_from(len).unwrap()]).unwrap();
        });
    }
}

#[test]
fn a_file_that_vanished_or_became_something_else_is_named() {
    for index in 0..4 {
        fails(index, |path| fs::remove_file(path).unwrap());
        fails(index, |path| {
            fs::remove_file(path).unwrap();
            symlink("/dev/zero", path).unwrap();
        });
        fails(index, |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        });
        fails(index, |path| {
            fs::remove_file(path).unwrap();
            run("mkfifo", &[path.to_str().unwrap()]);
        });
    }
}

#[test]
fn returns_the_first_of_several_errors_in_the_image() {
    let files = Files::new(&[MIB - 1; 60]);
    for index in [20, 21, 40, 58] {
        fs::remove_file(files.path(index)).unwrap();
    }
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for round in 0..5 {
        for threads in THREADS {
            for level in [None, Some(1)] {
                let error = image.write(&files, Target::File(&path), &options(threads, level)).unwrap_err();
                let first = files.path(20);
                assert!(error.to_string().starts_with(first.to_str().unwrap()), "{round}: {error}");
            }
        }
    }
    assert!(names(out.path()).is_empty());
}

#[test]
fn pieces_that_do_not_form_an_image_are_a_bug_without_leftovers() {
    let files = Files::new(&[10, 10]);
    // Longer than the file. The inline file is not on the disk.
    let image = Image(vec![Part::File { index: 1, from: 5, len: 6 }]);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for level in [None, Some(1)] {
        let error = image.write(&files, Target::File(&path), &options(2, level)).unwrap_err();
        assert!(matches!(&error, AssemblyError::Ended { path } if path == "/file0001"), "{error}");
        let image = Image(vec![Part::Metadata(4096), Part::Metadata(0), Part::Metadata(4096)]);
        let error = image.write(&files, Target::File(&path), &options(2, level)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(matches!(error, AssemblyError::Pieces(_)), "{error}");
    }
    assert!(names(out.path()).is_empty());
}
