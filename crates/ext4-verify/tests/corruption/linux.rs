//! The same damage before e2fsck and before Linux: everything that either of them rejects is unsound, in images that were in
//! use too.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ext4_layout::Compatibility;
use ext4_verify::{Unused, check};

use crate::image::{BLOCK, Image, full, two_levels};
use crate::kinds::{self, Kind};

/// What e2fsck offers to tidy up is no damage.
const OFFERS: &str = "Optimize? no";

/// Walks a mounted file system and reads all that a user could: fails where Linux reports an error. Large files are read as
/// far as there is data.
const READ_ALL: &str = r#"
import os, sys
def no(error):
    raise error
top = sys.argv[1]
for folder, folders, files in os.walk(top, onerror=no):
    for name in folders + files:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        os.listxattr(path, follow_symlinks=False)
        for attribute in os.listxattr(path, follow_symlinks=False):
            os.getxattr(path, attribute, follow_symlinks=False)
        if mode & 0o170000 == 0o120000:
            os.readlink(path)
        elif mode & 0o170000 == 0o100000 and os.path.getsize(path) < 1 << 20:
            open(path, "rb").read()
"#;

fn run(command: &str, arguments: &[&str]) -> Output {
    let output = Command::new(command).args(arguments).env("LC_ALL", "C").output();
    output.unwrap_or_else(|error| {
        panic!("{command}: {error}; this test needs e2fsprogs, mount, losetup, python3 and root")
    })
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

pub(crate) fn write(image: &Image, path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(image.len).unwrap();
    for block in image.data() {
        file.write_all_at(&image.get(block * BLOCK, 4096), block * BLOCK).unwrap();
    }
}

/// What e2fsck has against an image.
pub(crate) fn e2fsck(path: &Path) -> Option<String> {
    let output = run("e2fsck", &["-fn", path.to_str().unwrap()]);
    let text = said(&output);
    let lines = text.lines().filter(|line| {
        let expected = ["e2fsck 1.", "Pass "].iter().any(|start| line.starts_with(start));
        !expected && !line.contains(" files (") && !line.contains(OFFERS) && !line.is_empty()
    });
    let first = lines.take(2).collect::<Vec<_>>().join("; ");
    (!output.status.success() || !first.is_empty()).then_some(first)
}

/// What Linux has against it: mounting, reading, or what it counts as errors.
pub(crate) fn linux(path: &Path, mount: &Path) -> Option<String> {
    let (path, mount) = (path.to_str().unwrap(), mount.to_str().unwrap());
    let device = said(&run("losetup", &["-f", "--show", path])).trim().to_owned();
    assert!(device.starts_with("/dev/loop"), "losetup: {device}; this test needs root and loop devices");
    let mounted = run("mount", &["-t", "ext4", "-o", "ro,errors=continue", &device, mount]);
    let mut found = (!mounted.status.success()).then(|| format!("mount: {}", said(&mounted)));
    if found.is_none() {
        let read = run("python3", &["-c", READ_ALL, mount]);
        found = (!read.status.success()).then(|| said(&read).lines().last().unwrap_or_default().to_owned());
        let counted = format!("/sys/fs/ext4/{}/errors_count", device.trim_start_matches("/dev/"));
        let errors = std::fs::read_to_string(counted).unwrap_or_default();
        found = found.or((errors.trim() != "0").then(|| format!("{} errors", errors.trim())));
        assert!(run("umount", &[mount]).status.success());
    }
    run("losetup", &["-d", &device]);
    found
}

/// The codes of an image that this crate calls sound and e2fsck or Linux reject.
fn sound_but_rejected(kind: &Kind, good: &Image, folder: &Path) -> Option<String> {
    let mut image = good.clone();
    (kind.damage)(&mut image);
    let findings = check(&image, Unused::Zeros).unwrap();
    if !findings.is_sound() {
        return None;
    }
    let path = folder.join("image");
    write(&image, &path);
    let mount = folder.join("mount");
    let (e2fsck, linux) = (e2fsck(&path), linux(&path, &mount));
    let names: Vec<_> = findings.counts.keys().map(|code| code.name()).collect();
    (e2fsck.is_some() || linux.is_some())
        .then(|| format!("{}: sound with {names:?}; e2fsck: {e2fsck:?}; Linux: {linux:?}", kind.name))
}

/// Damage that both reject: so a test that finds nothing has looked.
const REJECTED: [&str; 2] = ["link: i_size_lo, empty", "sub: ee_block, a hole where . and .. were"];

#[test]
fn e2fsck_and_linux_take_a_good_image_and_reject_damage() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mount) = (folder.path().join("image"), folder.path().join("mount"));
    std::fs::create_dir(&mount).unwrap();
    for compatibility in [Compatibility::Current, Compatibility::Legacy] {
        let (good, names) = full(compatibility);
        write(&good, &path);
        assert_eq!((e2fsck(&path), linux(&path, &mount)), (None, None));
        for name in REJECTED {
            let kinds = kinds::all(&good, &names);
            let kind = kinds.iter().find(|kind| kind.name == name).unwrap();
            let mut image = good.clone();
            (kind.damage)(&mut image);
            write(&image, &path);
            assert!(e2fsck(&path).is_some(), "e2fsck takes {name}");
            assert!(linux(&path, &mount).is_some(), "Linux takes {name}");
        }
    }
}

#[test]
fn what_e2fsck_or_linux_reject_is_unsound_in_use_too() {
    let (good, names) = full(Compatibility::Current);
    assert_rejected_is_unsound(&good, &kinds::all(&good, &names));
    let (good, names) = two_levels(Compatibility::Current);
    assert_rejected_is_unsound(&good, &kinds::two_levels(&good, &names));
}

#[test]
fn what_e2fsck_or_linux_reject_without_checksums_is_unsound_in_use_too() {
    let (good, names) = full(Compatibility::Legacy);
    assert_rejected_is_unsound(&good, &kinds::legacy(&good, &names));
    let (good, names) = two_levels(Compatibility::Legacy);
    assert_rejected_is_unsound(&good, &kinds::two_levels(&good, &names));
}

fn assert_rejected_is_unsound(good: &Image, kinds: &[Kind]) {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("mount")).unwrap();
        while let Some(kind) = kinds.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.lock().unwrap().extend(sound_but_rejected(kind, good, folder.path()));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} kinds:\n{}", wrong.len(), kinds.len(), wrong.join("\n"));
}
