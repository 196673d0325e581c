//! Labels for `SELinux`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use file_contexts::{FileContexts, FileKind, Texts};
use image_tree::{FileTree, ImagePath, NodeId, NodeKind, SpecialKind, Xattr, XattrName, io_reason, shown};
use snugfs_plan::{Location, SelinuxPlan};

use crate::closure::{NOT_EXPANDED, is_unexpanded, read_all, too_long};
use crate::failure::{Failure, FailureKind, remedy};
use crate::problem::Problem;

/// The number of files in the warning about hard links.
const NAMED: usize = 3;

/// Labels every file of a tree. `mount` is where the partition is mounted. Returns warnings.
pub(crate) fn label(
    tree: &mut FileTree,
    plan: &SelinuxPlan,
    mount: Option<&ImagePath>,
    volume: &Location,
) -> Result<Option<Problem>, Failure> {
    let at = volume.key("selinux").key("fileContexts");
    let contexts = read(&plan.file_contexts, &at)?;
    let mut labels = Labels::default();
    let mount_point = plan.mount_point.as_ref().or(mount).map_or(&b"/"[..], ImagePath::as_bytes);
    let (nodes, in_doubt) = labels.of(tree, mount_point, &contexts);
    tree.set_xattrs(&labels.xattrs, |node| nodes[node.index()]);
    if in_doubt.is_empty() {
        return Ok(None);
    }
    let first: Vec<_> = in_doubt.iter().take(NAMED).map(|node| tree.path(*node).to_string()).collect();
    let more = match in_doubt.len() - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let what = format!("other names of the same files have other labels than {}{more}", first.join(", "));
    Ok(Some(Problem::new(at, what, "make copies of these files, or give all their names one label")))
}

/// The labels of a tree.
#[derive(Default)]
struct Labels {
    xattrs: Vec<Xattr>,
    positions: HashMap<String, usize>,
}

impl Labels {
    /// The position of each node's label, and hard links whose own label would be another one.
    fn of(
        &mut self,
        tree: &FileTree,
        mount_point: &[u8],
        contexts: &FileContexts,
    ) -> (Vec<Option<usize>>, Vec<NodeId>) {
        let mount_point = if mount_point == b"/" { &[][..] } else { mount_point };
        let mut path = mount_point.to_vec();
        // The ends of the open directories, and the lengths of the paths above them.
        let mut open: Vec<(NodeId, usize)> = Vec::new();
        let (mut nodes, mut in_doubt) = (Vec::with_capacity(tree.len()), Vec::new());
        for (id, node) in tree.iter() {
            while let Some((_, above)) = open.pop_if(|(end, _)| *end <= id) {
                path.truncate(above);
            }
            let above = path.len();
            if id != NodeId::ROOT {
                path.push(b'/');
                path.extend_from_slice(tree.name(id));
            }
            let looked_up = if path.is_empty() { b"/" } else { path.as_slice() };
            let kind = kind(tree.node(tree.resolve(id)).kind());
            let label = contexts.label(looked_up, kind).map(|label| self.position(label));
            if let NodeKind::HardLink { to } = node.kind()
                && nodes.get(to.index()) != Some(&label)
            {
                in_doubt.push(id);
            }
            nodes.push(label);
            match node.kind() {
                NodeKind::Directory { end } => open.push((end, above)),
                _ => path.truncate(above),
            }
        }
        (nodes, in_doubt)
    }

    fn position(&mut self, label: &str) -> usize {
        if let Some(position) = self.positions.get(label) {
            return *position;
        }
        let name =
            XattrName::parse(b"security.selinux").expect("invariant: a name in the namespace `security`");
        // With a NUL at its end, as libselinux writes it.
        self.xattrs.push(Xattr { name, value: [label.as_bytes(), b"\0"].concat() });
        let position = self.xattrs.len() - 1;
        self.positions.insert(label.to_owned(), position);
        position
    }
}

fn kind(kind: NodeKind) -> FileKind {
    match kind {
        NodeKind::Directory { .. } => FileKind::Directory,
        // The caller resolves hard links.
        NodeKind::File { .. } | NodeKind::HardLink { .. } => FileKind::Regular,
        NodeKind::Symlink { .. } => FileKind::Symlink,
        NodeKind::Special(SpecialKind::Character { .. }) => FileKind::Character,
        NodeKind::Special(SpecialKind::Block { .. }) => FileKind::Block,
        NodeKind::Special(SpecialKind::Fifo) => FileKind::Fifo,
        NodeKind::Special(SpecialKind::Socket) => FileKind::Socket,
    }
}

/// Reads the files of a policy.
fn read(path: &Path, at: &Location) -> Result<FileContexts, Failure> {
    let beside = |suffix: &str| {
        let path = with_suffix(path, suffix);
        match File::open(&path).and_then(read_all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(too_long(FailureKind::Source, &shown(&path), "labels"))
            }
            Err(error) => {
                let otherwise = if is_unexpanded(&path) { NOT_EXPANDED } else { "correct the path" };
                let what = format!("{} can't be read: {}", shown(&path), io_reason(&error));
                Err(Failure::new(FailureKind::Source, at, what, remedy(&error, otherwise)))
            }
            Ok(bytes) => Ok(bytes),
        }
    };
    let (base, homedirs, local) = (beside("")?, beside(".homedirs")?, beside(".local")?);
    let (own, of_distribution) = (beside(".subs")?, beside(".subs_dist")?);
    let texts = Texts {
        base: &base,
        homedirs: &homedirs,
        local: &local,
        substitutions: &own,
        substitutions_of_distribution: &of_distribution,
    };
    FileContexts::parse(&texts).map_err(|error| {
        let at = format!("{}:{}", shown(&with_suffix(path, error.part.suffix())), error.line);
        Failure::new(FailureKind::Source, at, error.what, "correct the line")
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let bytes = [path.as_os_str().as_bytes(), suffix.as_bytes()].concat();
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}
