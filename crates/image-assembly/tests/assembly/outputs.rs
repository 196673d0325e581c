//! Outputs that can't be written, that are not files, or that appear complete.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use file_scanner::ScannedFiles;
use image_assembly::{AssemblyError, Companion, ErrorKind, Options, Refusal, Target, Writer};
use image_tree::{Piece, PieceSource};

use crate::support::*;

fn refusal(path: &Path) -> Refusal {
    let files = Files::new(&[10, 10]);
    match Image::of_files(&files).write(&files, Target::File(path), &options(2, None)) {
        Err(error @ AssemblyError::Refused { refusal, .. }) => {
            assert_eq!(error.kind(), ErrorKind::Output);
            refusal
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_outputs_that_are_not_suitable() {
    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| out.path().join(name);
    assert_eq!(refusal(out.path()), Refusal::Directory);
    assert_eq!(refusal(&at("missing/image")), Refusal::NoFolder);
    assert_eq!(refusal(&at("folder/")), Refusal::NoName);
    fs::write(at("file"), "old").unwrap();
    assert_eq!(refusal(&at("file/image")), Refusal::NoFolder);
    let _socket = UnixListener::bind(at("socket")).unwrap();
    assert_eq!(refusal(&at("socket")), Refusal::Socket);
    symlink("circle", at("circle")).unwrap();
    assert_eq!(refusal(&at("circle")), Refusal::SymlinkLoop);
    assert_eq!(fs::read(at("file")).unwrap(), b"old");
    assert_eq!(names(out.path()), ["circle", "file", "socket"]);
}

#[test]
fn a_symlink_stays_and_its_target_is_created_or_replaced() {
    let files = Files::new(&[5000, 10]);
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| out.path().join(name);
    fs::create_dir(at("real")).unwrap();
    fs::write(at("real/old"), "old").unwrap();
    for (link, target) in [("a", "real/old"), ("b", "real/new"), ("c", "b2"), ("b2", "real/third")] {
        symlink(target, at(link)).unwrap();
    }
    for (link, target) in [("a", "real/old"), ("b", "real/new"), ("c", "real/third")] {
        image.write(&files, Target::File(&at(link)), &options(1, None)).unwrap();
        assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink());
        let found = fs::symlink_metadata(at(target)).unwrap();
        assert!(found.is_file() && fs::read(at(target)).unwrap() == image.naive(&files));
    }
    assert_eq!(names(&at("real")), ["new", "old", "third"]);
}

#[test]
fn a_file_has_the_mode_of_any_new_file() {
    let files = Files::new(&[10, 10]);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    fs::write(out.path().join("usual"), "").unwrap();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let options = Options { sync: true, ..options(1, None) };
    Image::of_files(&files).write(&files, Target::File(&path), &options).unwrap();
    let mode = |name: &str| fs::metadata(out.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("image"), mode("usual"));
}

#[test]
fn a_character_device_takes_the_stream_and_a_full_one_is_an_error() {
    let files = Files::new(&[3 * MIB, 9 * MIB, 10]);
    let image = Image::of_files(&files);
    for level in [None, Some(1)] {
        for threads in THREADS {
            image.write(&files, Target::File(Path::new("/dev/null")), &options(threads, level)).unwrap();
            let full = image.write(&files, Target::File(Path::new("/dev/full")), &options(threads, level));
            let text = full.unwrap_err().to_string();
            assert!(text.starts_with("/dev/full: can't be written: no space left"), "{text}");
        }
    }
}

#[test]
fn a_reader_that_ends_early_is_an_error_of_the_output() {
    let files = Files::new(&[20 * MIB, 10]);
    let image = Image::of_files(&files);
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    run("mkfifo", &[pipe.to_str().unwrap()]);
    for threads in THREADS {
        std::thread::scope(|scope| {
            scope.spawn(|| fs::File::open(&pipe).unwrap().read_exact(&mut [0; 100]).unwrap());
            let error = image.write(&files, Target::File(&pipe), &options(threads, None)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Output);
            assert!(error.to_string().contains("broken pipe"), "{error}");
        });
    }
}

#[test]
fn a_full_file_system_is_an_error_without_leftovers() {
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=4m", "none"]);
    let files = Files::new(&[MIB - 1, 3 * MIB, 3 * MIB, 10]);
    let image = Image::of_files(&files);
    let path = small.path().join("image");
    for old in [None, Some("old")] {
        if let Some(old) = old {
            fs::write(&path, old).unwrap();
        }
        for (threads, level) in [(1, None), (8, None), (1, Some(1)), (8, Some(1))] {
            let error = image.write(&files, Target::File(&path), &options(threads, level)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Output);
            let begin = format!("{}: can't be written: no space left on device; free some", path.display());
            assert!(error.to_string().starts_with(&begin), "{error}");
            assert_eq!(fs::read_to_string(&path).ok().as_deref(), old);
            assert_eq!(names(small.path()).len(), usize::from(old.is_some()));
        }
    }
}

#[test]
fn space_for_a_companion_is_reserved_before_it_is_written() {
    let small = Mounted::new(&["-t", "tmpfs", "-o", "size=4m", "none"]);
    let path = small.path().join("report");
    let companion = Companion::open(&path).unwrap();
    companion.reserve(MIB).unwrap();
    let error = companion.reserve(8 * MIB).unwrap_err();
    assert!(error.to_string().contains("no space left on device"), "{error}");
    companion.write(b"short").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"short");
    // A stream has no length.
    Companion::open(Path::new("/dev/null")).unwrap().reserve(8 * MIB).unwrap();
}

/// A file without a name gets one only through /proc.
#[test]
fn an_image_with_a_temporary_name_is_complete_or_absent() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    let test = child_process();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", "mount -t tmpfs none /proc; exec \"$@\"", "sh"]);
    command.arg(test.get_program()).args(test.get_args()).env("IMAGE_ASSEMBLY_OUT", &path);
    for _ in 0..2 {
        let output = command.output().expect("unshare is there");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}; this test needs root, unshare and mount");
        let files = Files::new(&CHILD);
        assert!(fs::read(&path).unwrap() == Image::of_files(&files).naive(&files));
        assert_eq!(names(out.path()), ["image"]);
    }
}

#[test]
fn a_panic_of_the_caller_passes_through_and_leaves_nothing() {
    let files = Files::new(&[9 * MIB, 9 * MIB, 9 * MIB, 10]);
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for level in [None, Some(1)] {
        let scanned = ScannedFiles::new(&files.tree);
        let writer = Writer::new(&image, &scanned).options(options(4, level));
        let attempt = || writer.progress(&|_| panic!("on purpose")).write(Target::File(&path));
        assert!(catch_unwind(AssertUnwindSafe(attempt)).is_err());
        assert!(names(out.path()).is_empty());
    }
}

/// An image that panics at one piece.
struct Broken(Image);

impl PieceSource for Broken {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        self.0.pieces()
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        assert_ne!(piece.offset, 0, "on purpose");
        self.0.generate(piece, buffer);
    }
}

/// A deadlock of the past: the other threads waited for a buffer after the missing chunk, and the writer for them.
#[test]
fn a_panic_of_one_reader_ends_the_others_and_leaves_nothing() {
    let files = Files::new(&[60 * MIB, 10]);
    let image = Broken(Image::of_files(&files));
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("image");
    for level in [None, Some(1)] {
        let scanned = ScannedFiles::new(&files.tree);
        let writer = Writer::new(&image, &scanned).options(options(3, level));
        let attempt = || writer.write(Target::File(&path));
        assert!(catch_unwind(AssertUnwindSafe(attempt)).is_err());
        assert!(names(out.path()).is_empty());
    }
}

/// The contents of the image of the other process.
const CHILD: [u64; 2] = [2 * MIB, 10];

/// Not a test: other tests run it in another process.
#[test]
#[ignore = "run by other tests"]
fn child() {
    let files = Files::new(&CHILD);
    let image = Image::of_files(&files);
    let scanned = ScannedFiles::new(&files.tree);
    let writer = || Writer::new(&image, &scanned).options(options(2, None));
    let path = |variable| std::env::var_os(variable).map(PathBuf::from);
    if let Some(out) = path("IMAGE_ASSEMBLY_HANG") {
        let hang = |_| {
            fs::write(out.with_extension("begun"), "").unwrap();
            std::thread::sleep(Duration::from_secs(600));
        };
        writer().progress(&hang).write(Target::File(&out)).unwrap();
    } else if let Some(out) = path("IMAGE_ASSEMBLY_OUT") {
        assert!(!Path::new("/proc/self").exists());
        let before = names(out.parent().unwrap()).len();
        let named = |_| assert_eq!(names(out.parent().unwrap()).len(), before + 1);
        writer().progress(&named).write(Target::File(&out)).unwrap();
        let before = names(out.parent().unwrap());
        fs::remove_file(files.path(0)).unwrap();
        image.write(&files, Target::File(&out), &options(2, None)).unwrap_err();
        assert_eq!(names(out.parent().unwrap()), before);
    } else {
        image.write(&files, Target::Stdout, &options(2, None)).unwrap();
    }
}

fn child_process() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "outputs::child", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    command
}

#[test]
fn standard_output_takes_the_plain_bytes() {
    let output = child_process().output().unwrap();
    assert!(output.status.success());
    let files = Files::new(&CHILD);
    let expected = Image::of_files(&files).naive(&files);
    // The test harness writes lines before and after it.
    assert!(output.stdout.windows(expected.len()).any(|window| window == expected));
}

#[test]
fn a_killed_process_leaves_nothing_under_any_name() {
    let out = tempfile::tempdir().unwrap();
    let begun = out.path().join("image.begun");
    let temporary = tempfile::tempdir().unwrap();
    let mut command = child_process();
    command.env("IMAGE_ASSEMBLY_HANG", out.path().join("image")).env("TMPDIR", temporary.path());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    while !begun.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the child ended early");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(out.path()), ["image.begun"]);
}
