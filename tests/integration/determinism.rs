//! The same plan and contents give the same bytes on different machines.

use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Run, Workspace, assert_sound, empty_plan, repository, sorted_names};

/// The properties in which machines differ.
#[expect(clippy::struct_excessive_bools, reason = "each is one difference between two machines")]
struct Machine {
    /// Where its folders are: another file system where possible.
    root: PathBuf,
    /// Names are created in this direction.
    backwards: bool,
    /// Equal files of the store are one inode, as after `nix-store --optimise`.
    optimised: bool,
    /// Zeros in files are holes.
    sparse: bool,
    /// Modes and times of the store as a careless copy leaves them.
    careless: bool,
    umask: &'static str,
    locale: &'static str,
    zone: &'static str,
    threads: &'static str,
}

/// 100 KiB with a long run of zeros, which a file can keep as a hole.
fn contents_with_zeros() -> Vec<u8> {
    let mut bytes = vec![0; 100 << 10];
    bytes[..10].copy_from_slice(b"the start ");
    bytes[99 << 10..].fill(b'e');
    bytes
}

impl Machine {
    /// Creates a copy of the small example with a few more files, with this machine's properties.
    fn lay_out(&self) -> PathBuf {
        let place = self.root.join("place");
        let example = repository().join("examples/small");
        self.copy(&example, &place, false);
        let more = place.join("files/more");
        std::fs::create_dir_all(&more).unwrap();
        std::fs::set_permissions(&more, std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in self.ordered((0..200).map(|i| format!("{i:03}")).collect()) {
            self.file(&more.join(&name), name.repeat(50).as_bytes(), 0o640);
        }
        self.file(&more.join("zeros"), &contents_with_zeros(), 0o644);
        // Which files of a tree are sparse is part of the tree, unless holes are filled.
        let plan = std::fs::read_to_string(place.join("plan.json")).unwrap();
        let mut plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        plan["trees"][0]["holes"] = "fill".into();
        std::fs::write(place.join("plan.json"), plan.to_string()).unwrap();
        if self.optimised {
            let store = place.join("store");
            optimise(&store);
        }
        place
    }

    fn ordered(&self, mut names: Vec<String>) -> Vec<String> {
        if self.backwards {
            names.reverse();
        }
        names
    }

    fn copy(&self, from: &Path, to: &Path, in_store: bool) {
        std::fs::create_dir_all(to).unwrap();
        let mode = if in_store && self.careless { 0o775 } else { 0o755 };
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).unwrap();
        for name in self.ordered(sorted_names(from)) {
            let (source, copy) = (from.join(&name), to.join(&name));
            let metadata = source.symlink_metadata().unwrap();
            if metadata.is_dir() {
                self.copy(&source, &copy, in_store || name == "store");
            } else if metadata.is_symlink() {
                std::os::unix::fs::symlink(source.read_link().unwrap(), &copy).unwrap();
            } else {
                let executable = metadata.mode() & 0o100 != 0;
                let mode = match (executable, in_store && self.careless) {
                    (true, false) => 0o755,
                    (true, true) => 0o700,
                    (false, false) => 0o644,
                    (false, true) => 0o666,
                };
                self.file(&copy, &std::fs::read(&source).unwrap(), mode);
            }
        }
    }

    fn file(&self, path: &Path, bytes: &[u8], mode: u32) {
        let file = std::fs::File::create(path).unwrap();
        if self.sparse {
            file.set_len(u64::try_from(bytes.len()).unwrap()).unwrap();
            for (block, at) in bytes.chunks(4096).zip((0..).step_by(4096)) {
                if block.iter().any(|&byte| byte != 0) {
                    file.write_all_at(block, at).unwrap();
                }
            }
        } else {
            file.write_all_at(bytes, 0).unwrap();
        }
        file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Builds with this machine's environment, from its own folder.
    fn build(&self, place: &Path, image: &str) -> PathBuf {
        let image = self.root.join(image);
        let program = format!(
            "umask {}; exec \"$0\" build \"$1\" -o \"$2\" --threads {} --progress none",
            self.umask, self.threads
        );
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(program)
            .arg(env!("CARGO_BIN_EXE_snugfs"))
            .arg(place.join("plan.json"))
            .arg(&image);
        command.env("LC_ALL", self.locale).env("TZ", self.zone).env("SOURCE_DATE_EPOCH", "1700000000");
        command.current_dir(&self.root);
        Run::of(&mut command).succeeded();
        image
    }
}

/// Makes equal files of a folder one inode.
fn optimise(folder: &Path) {
    let mut seen: Vec<(Vec<u8>, u32, PathBuf)> = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for name in sorted_names(&folder) {
            let path = folder.join(name);
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let equal = seen.iter().find(|(other, mode, _)| *other == bytes && *mode == metadata.mode());
                if let Some((_, _, first)) = equal {
                    std::fs::remove_file(&path).unwrap();
                    std::fs::hard_link(first, &path).unwrap();
                } else {
                    seen.push((bytes, metadata.mode(), path));
                }
            }
        }
    }
}

/// Two machines that have only the contents in common.
fn machines(here: &Workspace, there: &Path) -> [Machine; 2] {
    [
        Machine {
            root: here.path("one"),
            backwards: false,
            optimised: false,
            sparse: false,
            careless: false,
            umask: "022",
            locale: "C",
            zone: "UTC",
            threads: "1",
        },
        Machine {
            root: there.to_path_buf(),
            backwards: true,
            optimised: true,
            sparse: true,
            careless: true,
            umask: "077",
            locale: "tr_TR.UTF-8",
            zone: "Pacific/Kiritimati",
            threads: "5",
        },
    ]
}

#[test]
fn machines_that_differ_in_everything_make_the_same_image() {
    let here = Workspace::new();
    // A file system in memory has another order of directories, other inode numbers and other times.
    let there = tempfile::Builder::new().prefix("snugfs-test-").tempdir_in("/dev/shm").unwrap();
    let [one, two] = machines(&here, there.path());
    std::fs::create_dir_all(&one.root).unwrap();
    let (place_one, place_two) = (one.lay_out(), two.lay_out());
    let zeros = place_two.join("files/more/zeros").metadata().unwrap();
    assert!(zeros.blocks() * 512 < zeros.len(), "the second machine keeps zeros as holes");

    let raw = one.build(&place_one, "a.img");
    assert_sound(&raw);
    let expected = std::fs::read(&raw).unwrap();
    assert!(std::fs::read(two.build(&place_two, "b.img")).unwrap() == expected, "raw images differ");

    let compressed = std::fs::read(one.build(&place_one, "a.img.zst")).unwrap();
    let other = std::fs::read(two.build(&place_two, "b.img.zst")).unwrap();
    assert!(compressed == other, "compressed images differ");
    assert!(zstd::decode_all(&compressed[..]).unwrap() == expected, "the compressed image is another");
}

/// Writes a sparse file whose holes end at multiples of `grain`; what lies between is stored, zeros included.
fn sparse(path: &Path, grain: usize) {
    let mut bytes = vec![0; 3 << 20];
    bytes[500_000..500_010].copy_from_slice(b"in between");
    bytes[2_000_000..2_600_000].fill(b'x');
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    file.set_len(u64::try_from(bytes.len()).unwrap()).unwrap();
    for (block, at) in bytes.chunks(grain).zip((0..).step_by(grain)) {
        if block.iter().any(|&byte| byte != 0) {
            file.write_all_at(block, at).unwrap();
        }
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_sparse_file_is_the_same_on_every_source_file_system() {
    let here = Workspace::with_plan(&empty_plan());
    here.change_plan(|plan| plan["trees"] = serde_json::json!([{ "source": "tree" }]));
    let memory = tempfile::Builder::new().prefix("snugfs-test-").tempdir_in("/dev/shm").unwrap();
    let mut images = Vec::new();
    for (tree, grain) in
        [(here.path("tree"), 4096), (here.path("tree"), 256 << 10), (memory.path().join("tree"), 64 << 10)]
    {
        sparse(&tree.join("log"), grain);
        if tree != here.path("tree") {
            here.change_plan(|plan| plan["trees"][0]["source"] = tree.to_str().unwrap().into());
        }
        images.push(std::fs::read(here.build("a.img", [])).unwrap());
    }
    assert!(images.iter().all(|image| *image == images[0]));
}
