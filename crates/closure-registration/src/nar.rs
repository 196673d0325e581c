//! The NAR (Nix's archive format) of a store path, as framing and references to the files between it.
//!
//! The invariant: sizes and hashes come from one walk ([`Walk::step`]), which either keeps the framing or counts
//! it. The walk follows the order of the tree, which is that of a NAR. So it needs no recursion, and no memory except
//! a stack of open directories.
//!
//! The format (Dolstra, "The Purely Functional Software Deployment Model", there called NAR serialisation): a string is
//! its length as 64 bits, little-endian, then its bytes, padded with zeros to a multiple of 8.

use image_tree::{Explain, Explanation, FileTree, ImagePath, NodeId, NodeKind, explained_errors};

/// Consecutive bytes of a NAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NarPart {
    /// The bytes around and between contents, including padding.
    Framing(Vec<u8>),
    /// The contents of a regular file, exactly `size` bytes, which is not 0.
    File {
        /// The file, with hard links resolved.
        node: NodeId,
        /// Length in \[bytes\].
        size: u64,
    },
}

/// The error for a device, FIFO or socket, which a NAR can't contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInNar {
    /// Its path in the image.
    pub path: ImagePath,
}

impl Explain for NotInNar {
    fn explain(&self) -> Explanation {
        Explanation::new(
            self.path.to_string(),
            "is a device, FIFO or socket, which a NAR can't contain",
            "remove it from the store path",
        )
    }
}

explained_errors!(NotInNar);

/// The parts of one NAR, in order. Made by [`nar_parts`].
#[derive(Clone, Debug)]
pub struct NarParts<'a> {
    walk: Walk<'a>,
    framing: Vec<u8>,
    /// The file after the framing.
    file: Option<NarPart>,
}

/// Returns the parts of the NAR of `node`: a directory, a file, a symlink, or a hard link to a file or symlink.
pub fn nar_parts(tree: &FileTree, node: NodeId) -> Result<NarParts<'_>, NotInNar> {
    Ok(NarParts { walk: Walk::new(tree, node)?, framing: Vec::new(), file: None })
}

/// Computes the NAR size of `node` in \[bytes\], at most 2⁶⁴ − 1.
pub fn nar_size(tree: &FileTree, node: NodeId) -> Result<u64, NotInNar> {
    let mut walk = Walk::new(tree, node)?;
    let mut total = Count(0);
    while let Some(step) = walk.step(&mut total) {
        if let Step::File { size, .. } = step {
            total.0 = total.0.saturating_add(size);
        }
    }
    Ok(total.0)
}

impl NarParts<'_> {
    /// Approximate limit of one part of framing, in \[bytes\]: a directory of many symlinks has much framing and no file.
    const FRAMING_LIMIT: usize = 64 * 1024;
}

impl Iterator for NarParts<'_> {
    type Item = NarPart;

    fn next(&mut self) -> Option<NarPart> {
        if let Some(file) = self.file.take() {
            return Some(file);
        }
        while self.framing.len() < Self::FRAMING_LIMIT {
            match self.walk.step(&mut self.framing) {
                Some(Step::File { node, size }) => {
                    self.file = Some(NarPart::File { node, size });
                    break;
                }
                Some(Step::Framing) => {}
                None => break,
            }
        }
        // A file is always preceded by framing, so framing is empty only at the end.
        (!self.framing.is_empty()).then(|| NarPart::Framing(std::mem::take(&mut self.framing)))
    }
}

/// The sink for a walk's framing.
trait Framing {
    fn string(&mut self, bytes: &[u8]);
    /// Adds the length of a file's contents, which come next.
    fn length(&mut self, bytes: u64);
    /// Adds the padding of the contents to a multiple of 8.
    fn padding(&mut self, contents: u64);
}

impl Framing for Vec<u8> {
    fn string(&mut self, bytes: &[u8]) {
        // A usize always fits a u64 here.
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.length(len);
        self.extend_from_slice(bytes);
        self.padding(len);
    }

    fn length(&mut self, bytes: u64) {
        self.extend_from_slice(&bytes.to_le_bytes());
    }

    fn padding(&mut self, contents: u64) {
        self.extend((0..padding(contents)).map(|_| 0));
    }
}

/// Counts framing, in \[bytes\].
struct Count(u64);

impl Framing for Count {
    fn string(&mut self, bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.length(len);
        self.0 = self.0.saturating_add(len);
        self.padding(len);
    }

    fn length(&mut self, _: u64) {
        self.0 = self.0.saturating_add(8);
    }

    fn padding(&mut self, contents: u64) {
        self.0 = self.0.saturating_add(padding(contents));
    }
}

/// Number of bytes from a length to the next multiple of 8, 0 to 7.
const fn padding(len: u64) -> u64 {
    len.wrapping_neg() % 8
}

/// A walk over the nodes of one NAR.
#[derive(Clone, Debug)]
struct Walk<'a> {
    tree: &'a FileTree,
    top: NodeId,
    /// Position of the next node to visit.
    at: usize,
    /// Position of the first node that is not below `top`.
    end: usize,
    /// The ends of the open directories, outermost first.
    open: Vec<usize>,
    /// The length of the contents that were given last, if their padding and the end of their node are still to come.
    contents: Option<u64>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Inside,
    Done,
}

enum Step {
    Framing,
    File { node: NodeId, size: u64 },
}

impl<'a> Walk<'a> {
    fn new(tree: &'a FileTree, top: NodeId) -> Result<Self, NotInNar> {
        let (at, end) = (top.index(), tree.end(top).index());
        for id in (at..end).filter_map(NodeId::from_index) {
            if let NodeKind::Special(_) = tree.node(tree.resolve(id)).kind() {
                return Err(NotInNar { path: tree.path(id) });
            }
        }
        Ok(Self { tree, top, at, end, open: Vec::new(), contents: None, state: State::Start })
    }

    /// Writes the framing up to the next file, the next node or the end; `None` once all is written.
    fn step(&mut self, out: &mut impl Framing) -> Option<Step> {
        match self.state {
            State::Done => return None,
            State::Start => {
                out.string(b"nix-archive-1");
                self.state = State::Inside;
            }
            State::Inside => {}
        }
        if let Some(size) = self.contents.take() {
            out.padding(size);
            self.end_node(out);
        }
        while self.open.last().is_some_and(|&end| end <= self.at) {
            self.open.pop();
            self.end_node(out);
        }
        let Some(id) = NodeId::from_index(self.at).filter(|_| self.at < self.end) else {
            self.state = State::Done;
            return Some(Step::Framing);
        };
        self.at += 1;
        Some(self.begin_node(id, out))
    }

    fn begin_node(&mut self, id: NodeId, out: &mut impl Framing) -> Step {
        if id != self.top {
            for string in [b"entry", &b"("[..], b"name", self.tree.name(id), b"node"] {
                out.string(string);
            }
        }
        out.string(b"(");
        out.string(b"type");
        let node = self.tree.resolve(id);
        match self.tree.node(node).kind() {
            NodeKind::Directory { end } => {
                out.string(b"directory");
                self.open.push(end.index());
            }
            NodeKind::Symlink { target } => {
                for string in [b"symlink", &b"target"[..], self.tree.symlink_target(target)] {
                    out.string(string);
                }
                self.end_node(out);
            }
            NodeKind::File { size, .. } => return self.file(node, size, out),
            // `new` refuses special nodes, and a tree has no links to links.
            NodeKind::Special(_) | NodeKind::HardLink { .. } => self.end_node(out),
        }
        Step::Framing
    }

    fn file(&mut self, node: NodeId, size: u64, out: &mut impl Framing) -> Step {
        out.string(b"regular");
        let metadata = self.tree.metadata(self.tree.node(node).metadata());
        // As in Nix, the owner's execute bit decides.
        if metadata.permissions.bits() & 0o100 != 0 {
            out.string(b"executable");
            out.string(b"");
        }
        out.string(b"contents");
        out.length(size);
        if size == 0 {
            self.end_node(out);
            return Step::Framing;
        }
        self.contents = Some(size);
        Step::File { node, size }
    }

    /// Ends a node and, except for the top, its directory entry.
    fn end_node(&self, out: &mut impl Framing) {
        out.string(b")");
        let at_top = self.open.is_empty();
        if !at_top {
            out.string(b")");
        }
    }
}

#[cfg(test)]
mod tests {
    use image_tree::{Metadata, Name, Permissions, SpecialKind, Timestamp, TreeWriter};

    use super::*;

    fn name(text: &str) -> Name<'_> {
        Name::new(text.as_bytes()).unwrap()
    }

    fn metadata(permissions: u16) -> Metadata {
        Metadata::root_owned(Permissions::new(permissions).unwrap(), Timestamp::STORE)
    }

    fn writer() -> TreeWriter {
        TreeWriter::new(metadata(0o755), Vec::new())
    }

    fn framing(tree: &FileTree, node: NodeId) -> Vec<u8> {
        nar_parts(tree, node).unwrap().fold(Vec::new(), |mut all, part| {
            match part {
                NarPart::Framing(bytes) => all.extend(bytes),
                NarPart::File { size, .. } => all.extend((0..size).map(|_| b'x')),
            }
            all
        })
    }

    #[test]
    fn executable_bit_is_the_owners_and_hard_links_are_files() {
        let mut w = writer();
        let (plain, executable) = (w.metadata(&metadata(0o077)), w.metadata(&metadata(0o100)));
        let text = w.inline(b"xx".to_vec());
        let a = w.file(name("a"), plain, 2, text).unwrap();
        let b = w.file(name("b"), executable, 2, text).unwrap();
        let c = w.hard_link(name("c"), b).unwrap();
        let tree = w.finish();
        assert_eq!(nar_size(&tree, a), Ok(120));
        assert_eq!(nar_size(&tree, b), Ok(120 + 32));
        assert_eq!(framing(&tree, b), framing(&tree, c));
        assert!(nar_parts(&tree, c).unwrap().any(|part| part == NarPart::File { node: b, size: 2 }));
    }

    #[test]
    fn rejects_devices_fifos_and_sockets() {
        let mut w = writer();
        let meta = w.metadata(&metadata(0o644));
        let top = w.begin_directory(name("top"), meta).unwrap();
        let fifo = w.special(name("fifo"), meta, SpecialKind::Fifo).unwrap();
        w.end_directory();
        let link = w.hard_link(name("x"), fifo).unwrap();
        let tree = w.finish();
        assert_eq!(nar_size(&tree, top).unwrap_err().path.to_string(), "/top/fifo");
        assert_eq!(nar_parts(&tree, link).unwrap_err().path.to_string(), "/x");
    }

    #[test]
    fn walks_a_hundred_thousand_nested_directories() {
        let mut w = writer();
        let meta = w.metadata(&metadata(0o555));
        let top = w.begin_directory(name("d"), meta).unwrap();
        for _ in 1..100_000 {
            w.begin_directory(name("d"), meta).unwrap();
        }
        let tree = w.finish();
        // "(" type directory ")" are 16 + 16 + 24 + 16; entry ( name d node ) 16 + 16 + 16 + 16 + 16 + 16.
        assert_eq!(nar_size(&tree, top), Ok(24 + 100_000 * 72 + 99_999 * 96));
        assert_eq!(u64::try_from(framing(&tree, top).len()).unwrap(), nar_size(&tree, top).unwrap());
    }

    #[test]
    fn sizes_saturate_at_the_largest_u64() {
        let mut w = writer();
        let meta = w.metadata(&metadata(0o444));
        let text = w.inline(Vec::new());
        w.file(name("a"), meta, u64::MAX, text).unwrap();
        w.file(name("b"), meta, u64::MAX, text).unwrap();
        assert_eq!(nar_size(&w.finish(), NodeId::ROOT), Ok(u64::MAX));
    }

    #[test]
    fn framing_without_files_is_split() {
        let mut w = writer();
        let meta = w.metadata(&metadata(0o777));
        for n in 0..10_000 {
            w.symlink(name(&format!("{n:05}")), meta, b"target").unwrap();
        }
        let tree = w.finish();
        let longest = nar_parts(&tree, NodeId::ROOT).unwrap().map(|part| match part {
            NarPart::Framing(bytes) => bytes.len(),
            NarPart::File { .. } => 0,
        });
        assert!(longest.max().unwrap() < 2 * NarParts::FRAMING_LIMIT);
    }
}
