use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use file_scanner::{InlineFile, OwnFile, Scan, ScanErrors, ScanOptions, Sources, StoreSource, scan_with};
use image_tree::{
    FileSource, FileTree, ImagePath, NodeKind, Permissions, Timestamp, Xattr, XattrName, escaped,
};
use snugfs_plan::{AttributesPlan, Entry, EntryKind, TreePlan, XattrPattern};
use tempfile::TempDir;

/// A temporary folder, and a plan for it.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) store: Option<StoreSource>,
    pub(crate) trees: Vec<TreePlan>,
    pub(crate) entries: BTreeMap<ImagePath, Entry>,
    pub(crate) attributes: BTreeMap<ImagePath, AttributesPlan>,
    pub(crate) inline: Vec<InlineFile>,
    pub(crate) folders: Vec<ImagePath>,
}

pub(crate) fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

pub(crate) fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: XattrName::parse(name.as_bytes()).unwrap(), value: value.to_vec() }
}

pub(crate) fn entry(kind: EntryKind) -> Entry {
    Entry { kind, permissions: None, uid: 0, gid: 0, xattrs: Vec::new(), keep_holes: true }
}

pub(crate) fn text(bytes: &str) -> Entry {
    entry(EntryKind::Text(bytes.as_bytes().to_vec()))
}

pub(crate) fn attributes(uid: Option<u32>, mode: Option<u16>, recursive: bool) -> AttributesPlan {
    AttributesPlan {
        uid,
        gid: None,
        permissions: mode.and_then(Permissions::new),
        xattrs: Vec::new(),
        recursive,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            store: None,
            trees: Vec::new(),
            entries: BTreeMap::new(),
            attributes: BTreeMap::new(),
            inline: Vec::new(),
            folders: Vec::new(),
        }
    }

    /// On a tmpfs: times of any year, and no journal to wait for.
    pub(crate) fn in_memory() -> Self {
        Self { folder: tempfile::tempdir_in("/dev/shm").unwrap(), ..Self::new() }
    }

    pub(crate) fn at(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file, and creates the folders above it.
    pub(crate) fn write(&self, relative: &str, contents: &str) -> PathBuf {
        self.write_bytes(relative.as_bytes(), contents)
    }

    pub(crate) fn write_bytes(&self, relative: &[u8], contents: &str) -> PathBuf {
        let path = self.folder.path().join(OsStr::from_bytes(relative));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        chmod(&path, 0o644);
        path
    }

    pub(crate) fn mkdir(&self, relative: &str, mode: u32) -> PathBuf {
        let path = self.at(relative);
        fs::create_dir_all(&path).unwrap();
        chmod(&path, mode);
        path
    }

    pub(crate) fn symlink(&self, relative: &str, target: &str) {
        fs::create_dir_all(self.at(relative).parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, self.at(relative)).unwrap();
    }

    /// Adds a folder of this world to the image.
    pub(crate) fn tree(&mut self, source: &str, target: &str) -> &mut TreePlan {
        self.trees.push(TreePlan::new(self.at(source), path(target)));
        self.trees.last_mut().unwrap()
    }

    pub(crate) fn store(&mut self, source: &str, base_names: &[&str]) {
        let base_names = base_names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let source_dir = self.at(source);
        self.store = Some(StoreSource { source_dir, store_dir: path("/nix/store"), base_names });
    }

    pub(crate) fn entry(&mut self, at: &str, entry: Entry) {
        self.entries.insert(path(at), entry);
    }

    pub(crate) fn scan(&self) -> Result<Scan, ScanErrors> {
        self.scan_except(&[])
    }

    pub(crate) fn scan_except(&self, own: &[OwnFile]) -> Result<Scan, ScanErrors> {
        self.scan_with(&ScanOptions { own, ..ScanOptions::default() })
    }

    pub(crate) fn scan_with(&self, options: &ScanOptions<'_>) -> Result<Scan, ScanErrors> {
        scan_with(&self.sources(), options)
    }

    pub(crate) fn sources(&self) -> Sources<'_> {
        Sources {
            store: self.store.clone(),
            trees: &self.trees,
            entries: &self.entries,
            attributes: &self.attributes,
            inline: self.inline.clone(),
            folders: self.folders.clone(),
            lost_and_found: true,
            timestamp: Timestamp::new(42, 0).unwrap(),
        }
    }

    /// The errors of a failing scan, without the path of this world's folder.
    pub(crate) fn errors(&self) -> Vec<String> {
        let errors = self.scan().err().map(|errors| errors.to_string()).unwrap_or_default();
        let folder = self.folder.path().to_str().unwrap();
        errors.lines().map(|line| line.replace(folder, "FOLDER")).collect()
    }

    pub(crate) fn dump(&self) -> String {
        dump(&self.scan().unwrap().tree)
    }
}

pub(crate) fn wildcard(prefix: &str) -> XattrPattern {
    XattrPattern { prefix: prefix.to_owned(), wildcard: true }
}

/// Archives a folder of the world with GNU tar.
pub(crate) fn tar(world: &World, folder: &str, archive: &str, options: &[&str]) {
    let done = Command::new("tar")
        .args(["--format=posix", "--mtime=@77", "--owner=5", "--group=6", "--numeric-owner"])
        .args(options)
        .arg("-C")
        .arg(world.at(folder))
        .arg("-cf")
        .args([world.at(archive).as_os_str(), ".".as_ref()])
        .status()
        .unwrap();
    assert!(done.success());
}

/// Sets permission bits. A sandbox may forbid the set-id bits.
pub(crate) fn chmod(path: &Path, mode: u32) {
    let set = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(mode).or_else(|_| set(mode & 0o1777)).unwrap();
}

/// Changes the owner of a file, if allowed.
pub(crate) fn chown(path: &Path, uid: u32, gid: u32) {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Whether a test that needs root can run; a build that requires all oracles fails without.
pub(crate) fn skipped_without_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("SNUGFS_REQUIRE_ORACLES").is_none(), "this test needs root");
        eprintln!("skipped: needs root");
    }
    !root
}

/// A tree as text, one line per node: everything that the image shows, and nothing of the host.
pub(crate) fn dump(tree: &FileTree) -> String {
    let mut lines = String::new();
    for (id, node) in tree.iter() {
        let metadata = tree.metadata(node.metadata());
        let what = match node.kind() {
            NodeKind::Directory { .. } => "directory".to_owned(),
            NodeKind::File { size, source: FileSource::Scanned { .. } } => format!("file {size}"),
            NodeKind::File { size, source: FileSource::External(number) } => {
                format!("external {size} {number}")
            }
            NodeKind::File { size, source: FileSource::Inline(index) } => {
                format!("text {size} {}", escaped(tree.inline(index)))
            }
            NodeKind::File { size, source: FileSource::Range { .. } } => format!("range {size}"),
            NodeKind::File { size, source: FileSource::Segments { .. } } => {
                format!("segments {size} {:?}", tree.data_runs(id))
            }
            NodeKind::File { source: FileSource::Slot(room), .. } => format!("slot {room:?}"),
            NodeKind::HardLink { to } => format!("link {}", tree.path(to)),
            NodeKind::Symlink { target } => format!("symlink {}", escaped(tree.symlink_target(target))),
            NodeKind::Special(kind) => format!("{kind:?}"),
        };
        let (bits, time) = (metadata.permissions.bits(), metadata.mtime);
        write!(lines, "{} {bits:04o} {}:{}", tree.path(id), metadata.uid, metadata.gid).unwrap();
        write!(lines, " {}.{} {what}", time.seconds(), time.nanoseconds()).unwrap();
        for xattr in &metadata.xattrs {
            write!(lines, " {}={}", xattr.name, escaped(&xattr.value)).unwrap();
        }
        lines.push('\n');
    }
    lines
}

/// The lines of a dump, without those that every image has.
pub(crate) fn own_lines(dump: &str) -> Vec<&str> {
    dump.lines().filter(|line| !line.starts_with("/ ") && !line.starts_with("/lost+found ")).collect()
}
