//! Helpers of all tests: a folder per test, running the program in it, and checking images.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The UUID of the plans below.
pub(crate) const UUID: &str = "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10";

/// A folder that is removed with the test, and the working directory of the program that it runs.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("snugfs-test-").tempdir().unwrap() }
    }

    /// A folder with a copy of `examples/small`, with the modes of a checkout under umask 022.
    pub(crate) fn with_small_example() -> Self {
        let workspace = Self::new();
        copy_folder(&repository().join("examples/small"), workspace.folder.path());
        workspace
    }

    /// A folder with `plan.json`.
    pub(crate) fn with_plan(plan: &Value) -> Self {
        let workspace = Self::new();
        workspace.write("plan.json", plan.to_string());
        workspace
    }

    /// The path of a name in this folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders that lead to it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Reads a file as JSON.
    pub(crate) fn read_json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Changes `plan.json`.
    pub(crate) fn change_plan(&self, change: impl FnOnce(&mut Value)) {
        let mut plan = self.read_json("plan.json");
        change(&mut plan);
        self.write("plan.json", plan.to_string());
    }

    /// The names in this folder, including hidden ones, sorted: shows what a run has left.
    pub(crate) fn names(&self) -> Vec<String> {
        sorted_names(self.folder.path())
    }

    /// The program with these arguments, in this folder, without environment variables that change its behaviour.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snugfs"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("NIX_BUILD_CORES").env_remove("SOURCE_DATE_EPOCH").env_remove("RUST_BACKTRACE");
        command
    }

    /// Runs the program.
    pub(crate) fn snugfs<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Runs the program and gives it a standard input.
    pub(crate) fn snugfs_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Run {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Run::from(child.wait_with_output().unwrap())
    }

    /// Builds `plan.json` into an image with this name, with more arguments, and checks the image.
    pub(crate) fn build<'a>(&self, image: &'a str, more: impl IntoIterator<Item = &'a str>) -> PathBuf {
        self.snugfs(["build", "plan.json", "-o", image].into_iter().chain(more)).succeeded();
        let path = self.path(image);
        assert_sound(&path);
        path
    }
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; -1 after a signal.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr }
    }
}

impl Run {
    /// Runs a command to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Fails unless the program ended with 0.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }

    /// Fails unless the program exited with this code, printed only error lines, and printed no result.
    #[track_caller]
    pub(crate) fn failed_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert!(!self.stderr.is_empty(), "exit {code} without a word");
        assert!(
            self.stdout.is_empty(),
            "exit {code}, but a result: {}",
            String::from_utf8_lossy(&self.stdout)
        );
        for line in self.stderr.lines() {
            assert!(line.starts_with("snugfs: "), "not in the form of errors: {line}");
            assert!(!line.contains(char::is_control), "control characters: {line:?}");
        }
        self
    }

    /// Standard error without the places in `plan.json` at the ends of its lines.
    pub(crate) fn without_places(&self) -> String {
        let line = |line: &str| match line.rsplit_once(" (plan.json:") {
            Some((line, place)) if place.ends_with(')') => format!("{line}\n"),
            _ => format!("{line}\n"),
        };
        self.stderr.lines().map(line).collect()
    }

    /// Fails unless standard error has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in: {}", self.stderr);
        self
    }
}

/// The smallest plan: an empty file system.
pub(crate) fn empty_plan() -> Value {
    json!({
        "version": 1,
        "filesystem": { "label": "TEST", "uuid": UUID },
        "output": { "path": "plan.img" }
    })
}

/// A plan with only these entries.
pub(crate) fn plan_of_entries(entries: Value) -> Value {
    let mut plan = empty_plan();
    plan["entries"] = entries;
    plan
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The names in a folder, sorted.
pub(crate) fn sorted_names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Copies folders, files and symlinks; modes become 0755 and 0644, as Git knows no others.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in sorted_names(from) {
        let (source, copy) = (from.join(&name), to.join(&name));
        let metadata = source.symlink_metadata().unwrap();
        if metadata.is_dir() {
            copy_folder(&source, &copy);
        } else if metadata.is_symlink() {
            std::os::unix::fs::symlink(source.read_link().unwrap(), &copy).unwrap();
        } else {
            std::fs::copy(&source, &copy).unwrap();
            let mode = if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// The SHA-256 of bytes in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The path of a tool such as e2fsck. If it is missing, the test fails.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is missing; tests/tools/install-test-tools installs what the tests need")
        })
}

/// Checks an image with e2fsck, with `snugfs verify` and with another reader, and opens it.
pub(crate) fn assert_sound(image: &Path) -> ext4_view::Ext4 {
    assert_fsck_clean(image);
    assert_verified(image);
    ext4_view::Ext4::load_from_path(image).unwrap_or_else(|error| panic!("{}: {error}", image.display()))
}

/// `snugfs verify` finds nothing.
pub(crate) fn assert_verified(image: &Path) {
    let run = Run::of(Command::new(env!("CARGO_BIN_EXE_snugfs")).arg("verify").arg(image));
    assert_eq!(run.code, 0, "{}: {}", image.display(), run.stderr);
    assert!(run.text().ends_with(": every byte is correct\n"), "{}", run.text());
}

/// e2fsck exits with 0 and prints only its usual lines: it prints some complaints without counting them as errors.
pub(crate) fn assert_fsck_clean(image: &Path) {
    let run = Run::of(Command::new(tool("e2fsck")).env("LC_ALL", "C").arg("-fn").arg(image));
    let expected = [
        "Pass 1: Checking inodes, blocks, and sizes",
        "Pass 2: Checking directory structure",
        "Pass 3: Checking directory connectivity",
        "Pass 4: Checking reference counts",
        "Pass 5: Checking group summary information",
    ];
    let lines: Vec<&str> = run.text().lines().collect();
    let is_summary = |line: &&str| line.contains(" files (") && line.ends_with(" blocks");
    let clean = run.code == 0
        && lines.len() == 6
        && lines.starts_with(&expected)
        && lines.last().is_some_and(is_summary)
        && run.stderr.lines().all(|line| line.starts_with("e2fsck 1."));
    assert!(clean, "{}: e2fsck ended with {}:\n{}{}", image.display(), run.code, run.text(), run.stderr);
}

/// The answer of debugfs to a request.
pub(crate) fn debugfs(image: &Path, request: &str) -> String {
    let run = Run::of(Command::new(tool("debugfs")).env("LC_ALL", "C").arg("-R").arg(request).arg(image));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let answer = run.text().to_owned();
    let complaints: Vec<_> = run.stderr.lines().filter(|line| !line.starts_with("debugfs 1.")).collect();
    assert!(complaints.is_empty(), "{request}: {complaints:?}");
    answer
}

/// An image that is mounted read-only until the value is dropped.
pub(crate) struct Mounted(tempfile::TempDir);

impl Mounted {
    pub(crate) fn new(image: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Run::of(Command::new("mount").args(["-o", "loop,ro"]).arg(image).arg(folder.path())).succeeded();
        Self(folder)
    }

    /// An empty file system in memory.
    pub(crate) fn tmpfs() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Run::of(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(folder.path())).succeeded();
        Self(folder)
    }

    /// The mount point.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// A loop device with sectors of this length.
pub(crate) struct LoopDevice {
    /// Its path.
    pub(crate) device: String,
}

impl LoopDevice {
    pub(crate) fn new(file: &Path, sector: &str) -> Self {
        Self::with(&["-P", "-b", sector], file)
    }

    /// A partition as a device of its own. Not every kernel has parsers of partition tables.
    pub(crate) fn of_partition(file: &Path, place: &Value) -> Self {
        let (start, bytes) = (place["start"].to_string(), place["bytes"].to_string());
        Self::with(&["-b", "4096", "-o", &start, "--sizelimit", &bytes], file)
    }

    fn with(options: &[&str], file: &Path) -> Self {
        let run = Run::of(Command::new("losetup").args(["-f", "--show"]).args(options).arg(file)).succeeded();
        Self { device: run.text().trim().to_owned() }
    }

    /// Start and length in bytes of a partition as the kernel reads the table, if it can.
    pub(crate) fn kernel_partition(&self, number: usize) -> Option<(u64, u64)> {
        let folder = format!("/sys/class/block/{}p{number}", self.device.trim_start_matches("/dev/"));
        // In units of 512 bytes, whatever the sectors are.
        let field = |name: &str| {
            let text = std::fs::read_to_string(format!("{folder}/{name}")).ok()?;
            Some(text.trim().parse::<u64>().unwrap() * 512)
        };
        Some((field("start")?, field("size")?))
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}
