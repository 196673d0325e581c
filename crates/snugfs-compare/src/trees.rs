//! Compares two trees in one walk, because both are sorted. Contents of files are left to the caller.

use std::collections::{HashMap, HashSet};

use image_tree::{FileSource, FileTree, Metadata, NodeId, NodeKind, SpecialKind, escaped};

use crate::{Differences, FoundTree, Kind};

/// The rules of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Compares owners, permissions, times, attributes and links, which FAT does not have.
    pub metadata: bool,
    /// Compares times of directories, which use changes.
    pub directory_times: bool,
    /// Compares the contents and time of /lost+found, which e2fsck changes.
    pub lost_found: bool,
}

/// Two files of the same path whose contents are still to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Node in the expected tree.
    pub expected: NodeId,
    /// Node in the image's tree.
    pub found: NodeId,
}

/// Compares all except contents, and returns the files of equal lengths in tree order. `inode` returns the inode of a name in
/// the expected tree; names of one file have the same.
pub fn compare_trees(
    expected: &FileTree,
    inode: &dyn Fn(NodeId) -> u32,
    found: &FoundTree,
    rules: Rules,
    differences: &mut Differences,
) -> Vec<Pair> {
    let mut walk = Walk {
        expected,
        found,
        inode,
        rules,
        differences,
        links: Links::of(expected, &found.tree),
        pairs: Vec::new(),
    };
    if let Some(why) = &found.cut_short {
        walk.differences.add(Kind::TreeExtra, || ("/".to_owned(), why.clone()));
    }
    walk.node(NodeId::ROOT, NodeId::ROOT);
    walk.directories();
    walk.pairs
}

/// The hard links of both trees, and the pairs of inodes found so far.
struct Links {
    expected: HashSet<NodeId>,
    found: HashSet<NodeId>,
    /// From each expected inode to the one in the image, and back; each with the first expected name.
    to_found: HashMap<u32, (u32, NodeId)>,
    to_expected: HashMap<u32, (u32, NodeId)>,
}

impl Links {
    fn of(expected: &FileTree, found: &FileTree) -> Self {
        let several = |tree: &FileTree| {
            let links = tree.iter().filter_map(|(id, node)| match node.kind() {
                NodeKind::HardLink { to } => Some([id, to]),
                _ => None,
            });
            links.flatten().collect()
        };
        Self {
            expected: several(expected),
            found: several(found),
            to_found: HashMap::new(),
            to_expected: HashMap::new(),
        }
    }
}

struct Walk<'w> {
    expected: &'w FileTree,
    found: &'w FoundTree,
    inode: &'w dyn Fn(NodeId) -> u32,
    rules: Rules,
    differences: &'w mut Differences,
    links: Links,
    pairs: Vec<Pair>,
}

impl Walk<'_> {
    /// Compares everything below the roots. Directories of both trees are entered together, each once.
    fn directories(&mut self) {
        let (expected, found) = (self.expected, &self.found.tree);
        let mut open =
            vec![(expected.children(NodeId::ROOT).peekable(), found.children(NodeId::ROOT).peekable())];
        while let Some((ours, theirs)) = open.last_mut() {
            let order = match (ours.peek(), theirs.peek()) {
                (None, None) => {
                    open.pop();
                    continue;
                }
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(&our), Some(&their)) => expected.name(our).cmp(found.name(their)),
            };
            match order {
                std::cmp::Ordering::Less => {
                    if let Some(our) = ours.next() {
                        self.missing(our);
                    }
                }
                std::cmp::Ordering::Greater => {
                    if let Some(their) = theirs.next() {
                        self.extra(their);
                    }
                }
                std::cmp::Ordering::Equal => {
                    if let (Some(our), Some(their)) = (ours.next(), theirs.next())
                        && self.node(our, their)
                    {
                        open.push((expected.children(our).peekable(), found.children(their).peekable()));
                    }
                }
            }
        }
    }

    fn missing(&mut self, our: NodeId) {
        let tree = self.expected;
        self.differences.add(Kind::TreeMissing, || {
            let what = kind_name(tree.node(tree.resolve(our)).kind());
            (shown_path(tree, our), format!("is not in the image, should be {what}{}", below(tree, our)))
        });
    }

    fn extra(&mut self, their: NodeId) {
        let tree = &self.found.tree;
        if self.rules.lost_found || !is_lost_found(tree, tree.node(their).parent()) {
            self.differences.add(Kind::TreeExtra, || {
                let what = kind_name(tree.node(tree.resolve(their)).kind());
                (shown_path(tree, their), format!("is {what}{}, but is not in the plan", below(tree, their)))
            });
        }
    }

    /// Compares two nodes of one path. Returns true if both are directories.
    fn node(&mut self, our: NodeId, their: NodeId) -> bool {
        let (expected, found) = (self.expected, &self.found.tree);
        let (ours, theirs) = (expected.resolve(our), found.resolve(their));
        let (should, is) = (expected.node(ours).kind(), found.node(theirs).kind());
        let is_directory = matches!(should, NodeKind::Directory { .. });
        if kind_name(should) != kind_name(is) {
            let below = below(expected, our);
            self.differ(our, Kind::TreeKind, || {
                format!("is {}, should be {}{below}", kind_name(is), kind_name(should))
            });
            return false;
        }
        match (should, is) {
            (NodeKind::File { source: FileSource::Slot(room), .. }, NodeKind::File { size: is, .. })
                if is > room =>
            {
                self.differ(our, Kind::TreeSize, || format!("has {is} bytes, but is a slot of {room}"));
            }
            // A stamp may have filled it.
            (NodeKind::File { source: FileSource::Slot(_), .. }, NodeKind::File { .. }) => {}
            (NodeKind::File { size: should, .. }, NodeKind::File { size: is, .. }) if should != is => {
                self.differ(our, Kind::TreeSize, || format!("has {is} bytes, should have {should}"));
            }
            // The file of two hard links was compared before.
            (NodeKind::File { .. }, NodeKind::File { .. }) if our == ours || their == theirs => {
                self.pairs.push(Pair { expected: our, found: their });
            }
            (NodeKind::Symlink { target: should }, NodeKind::Symlink { target: is }) => {
                let (should, is) = (expected.symlink_target(should), found.symlink_target(is));
                if should != is {
                    self.differ(our, Kind::TreeTarget, || {
                        format!("target is \"{}\", should be \"{}\"", shortened(is), shortened(should))
                    });
                }
            }
            (NodeKind::Special(should), NodeKind::Special(is)) if should != is => {
                let number = |kind: SpecialKind| match kind {
                    SpecialKind::Character { major, minor } | SpecialKind::Block { major, minor } => {
                        format!("{major}:{minor}")
                    }
                    SpecialKind::Fifo | SpecialKind::Socket => String::new(),
                };
                self.differ(our, Kind::TreeDevice, || {
                    format!("is device {}, should be {}", number(is), number(should))
                });
            }
            _ => {}
        }
        if self.rules.metadata {
            self.metadata(our, (ours, theirs), is_directory);
            self.link(our, their);
        }
        is_directory
    }

    fn metadata(&mut self, our: NodeId, (ours, theirs): (NodeId, NodeId), is_directory: bool) {
        let should = self.expected.metadata(self.expected.node(ours).metadata());
        let is = self.found.tree.metadata(self.found.tree.node(theirs).metadata());
        if should == is {
            return;
        }
        if should.permissions != is.permissions {
            self.differ(our, Kind::TreeMode, || {
                format!("mode is {:04o}, should be {:04o}", is.permissions.bits(), should.permissions.bits())
            });
        }
        if should.uid != is.uid {
            self.differ(our, Kind::TreeOwner, || format!("owner is {}, should be {}", is.uid, should.uid));
        }
        if should.gid != is.gid {
            self.differ(our, Kind::TreeGroup, || format!("group is {}, should be {}", is.gid, should.gid));
        }
        let is_timed = if is_lost_found(self.expected, ours) { self.rules.lost_found } else { true };
        if should.mtime != is.mtime && is_timed && (self.rules.directory_times || !is_directory) {
            let time = |time: image_tree::Timestamp| match time.nanoseconds() {
                0 => time.seconds().to_string(),
                nanoseconds => format!("{}.{nanoseconds:09}", time.seconds()),
            };
            self.differ(our, Kind::TreeTime, || {
                format!("time is {}, should be {}", time(is.mtime), time(should.mtime))
            });
        }
        self.xattrs(our, should, is);
    }

    fn xattrs(&mut self, our: NodeId, should: &Metadata, is: &Metadata) {
        for xattr in &should.xattrs {
            match is.xattrs.iter().find(|found| found.name == xattr.name) {
                None => self.differ(our, Kind::TreeXattr, || format!("lacks the attribute {}", xattr.name)),
                Some(found) if found.value != xattr.value => self.differ(our, Kind::TreeXattr, || {
                    format!("attribute {} has another value, of {} bytes", xattr.name, found.value.len())
                }),
                Some(_) => {}
            }
        }
        for found in &is.xattrs {
            if !should.xattrs.iter().any(|xattr| xattr.name == found.name) {
                self.differ(our, Kind::TreeXattr, || {
                    format!("has the attribute {}, which is not in the plan", found.name)
                });
            }
        }
    }

    /// Compares which names are hard links of one file.
    fn link(&mut self, our: NodeId, their: NodeId) {
        if !self.links.expected.contains(&our) && !self.links.found.contains(&their) {
            return;
        }
        let (should, is) = ((self.inode)(our), self.found.inode(their));
        let (forth, first) = *self.links.to_found.entry(should).or_insert((is, our));
        let (back, other) = *self.links.to_expected.entry(is).or_insert((should, our));
        let tree = self.expected;
        if forth != is {
            self.differ(our, Kind::TreeLinks, || {
                format!("is a separate file, should be a hard link to {}", shown_path(tree, first))
            });
        } else if back != should {
            self.differ(our, Kind::TreeLinks, || {
                format!("is a hard link to {}, should be a separate file", shown_path(tree, other))
            });
        }
    }

    fn differ(&mut self, our: NodeId, kind: Kind, text: impl FnOnce() -> String) {
        let tree = self.expected;
        self.differences.add(kind, || (shown_path(tree, our), text()));
    }
}

fn kind_name(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Directory { .. } => "a directory",
        NodeKind::File { .. } | NodeKind::HardLink { .. } => "a file",
        NodeKind::Symlink { .. } => "a symlink",
        NodeKind::Special(SpecialKind::Character { .. }) => "a character device",
        NodeKind::Special(SpecialKind::Block { .. }) => "a block device",
        NodeKind::Special(SpecialKind::Fifo) => "a FIFO",
        NodeKind::Special(SpecialKind::Socket) => "a socket",
    }
}

/// The number of entries of a directory, for messages; empty without entries.
fn below(tree: &FileTree, node: NodeId) -> String {
    match tree.end(node).index().saturating_sub(node.index() + 1) {
        0 => String::new(),
        1 => " with 1 entry below it".to_owned(),
        number => format!(" with {number} entries below it"),
    }
}

fn is_lost_found(tree: &FileTree, node: NodeId) -> bool {
    tree.node(node).parent() == NodeId::ROOT && tree.name(node) == b"lost+found"
}

/// Maximum length of a path or target in messages, in \[bytes\].
const MAX_SHOWN: usize = 1024;

fn shortened(text: &[u8]) -> String {
    match text.split_at_checked(MAX_SHOWN) {
        Some((begin, [_, ..])) => format!("{}...", escaped(begin)),
        _ => escaped(text).to_string(),
    }
}

/// The path of a node for messages: escaped, and without its first directories if it is very long.
pub fn shown_path(tree: &FileTree, node: NodeId) -> String {
    let mut parts: Vec<&[u8]> = Vec::new();
    let (mut at, mut length) = (node, 0);
    while at != NodeId::ROOT {
        length += 1 + tree.name(at).len();
        if length > MAX_SHOWN {
            parts.push(b"...");
            break;
        }
        parts.push(tree.name(at));
        at = tree.node(at).parent();
    }
    if parts.is_empty() {
        return "/".to_owned();
    }
    parts.iter().rev().fold(String::new(), |path, part| format!("{path}/{}", escaped(part)))
}
