//! A store path as a NAR, Nix's archive format, without its bytes: framing, and which file stands where.
//!
//! The invariant is that sizes and hashes come from one walk ([`Walk::step`]), which only differs in what it does
//! with the framing: keep it or count it. The walk follows the order of the tree, which is that of a NAR, so it
//! needs no recursion and no memory but a stack of open directories.
//!
//! The format (Dolstra, "The Purely Functional Software Deployment Model", there called NAR serialisation): strings are their length
//! as 64 bits, little-endian, and their bytes, filled up with zeros to a multiple of 8.

use image_tree::{Explain, Explanation, FileTree, ImagePath, NodeId, NodeKind, explained_errors};

/// A run of a NAR's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NarPart {
    /// What stands around and between contents, padding included.
    Framing(Vec<u8>),
    /// The contents of a regular file, exactly `size` bytes; never of no bytes.
    File {
        /// The file, with hard links resolved.
        node: NodeId,
        /// Length in \[bytes\].
        size: u64,
    },
}

/// A device, FIFO or socket, which a NAR can't hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInNar {
    /// Its path in the image.
    pub path: ImagePath,
}

impl Explain for NotInNar {
    fn explain(&self) -> Explanation {
        Explanation::new(
            self.path.to_string(),
            "is neither file, directory nor symlink, which a NAR can't hold",
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
    /// A file that comes after the framing.
    file: Option<NarPart>,
}

/// The parts of the NAR of `node`, which may be a directory, a file, a symlink or a hard link to one of these.
pub fn nar_parts(tree: &FileTree, node: NodeId) -> Result<NarParts<'_>, NotInNar> {
    Ok(NarParts { walk: Walk::new(tree, node)?, framing: Vec::new(), file: None })
}

/// How many \[bytes\] the NAR of `node` has. Sizes beyond 2⁶⁴ − 1 count as that.
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
    /// A directory of many symlinks has much framing and no file: it is given in pieces of about this, in \[bytes\].
    const ENOUGH: usize = 64 * 1024;
}

impl Iterator for NarParts<'_> {
    type Item = NarPart;

    fn next(&mut self) -> Option<NarPart> {
        if let Some(file) = self.file.take() {
            return Some(file);
        }
        while self.framing.len() < Self::ENOUGH {
            match self.walk.step(&mut self.framing) {
                Some(Step::File { node, size }) => {
                    self.file = Some(NarPart::File { node, size });
                    break;
                }
                Some(Step::Framing) => {}
                None => break,
            }
        }
        // A file is always preceded by framing, so framing is empty at the end alone.
        (!self.framing.is_empty()).then(|| NarPart::Framing(std::mem::take(&mut self.framing)))
    }
}

/// What a walk does with framing.
trait Framing {
    fn string(&mut self, bytes: &[u8]);
    /// The length of a file's contents, before they come.
    fn length(&mut self, bytes: u64);
    /// What fills the contents up to a multiple of 8.
    fn padding(&mut self, contents: u64);
}

impl Framing for Vec<u8> {
    fn string(&mut self, bytes: &[u8]) {
        // No machine has a string of more than 2^64 bytes.
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

/// From a length to the next multiple of 8, 0 to 7.
const fn padding(len: u64) -> u64 {
    len.wrapping_neg() % 8
}

/// Where a walk stands.
#[derive(Clone, Debug)]
struct Walk<'a> {
    tree: &'a FileTree,
    top: NodeId,
    /// Position of the next node to visit.
    at: usize,
    /// Position of the first node that is not below `top`.
    end: usize,
    /// Where the open directories end, from the top down.
    open: Vec<usize>,
    /// The length of the contents that were just given: their padding and what ends the file's node are due.
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
            // Special nodes were refused by `new`, and the tree's writer makes no link to a link.
            NodeKind::Special(_) | NodeKind::HardLink { .. } => self.end_node(out),
        }
        Step::Framing
    }

    fn file(&mut self, node: NodeId, size: u64, out: &mut impl Framing) -> Step {
        out.string(b"regular");
        let metadata = self.tree.metadata(self.tree.node(node).metadata());
        // As Nix: the owner's right decides.
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

    /// Closes a node, and the entry that it is unless it is the top.
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
    fn the_owners_right_makes_an_executable_and_a_link_is_its_file() {
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
    fn what_is_no_file_directory_or_symlink_is_refused() {
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
    fn a_hundred_thousand_nested_directories_need_no_stack() {
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
    fn sizes_that_no_number_holds_count_as_the_largest() {
        let mut w = writer();
        let meta = w.metadata(&metadata(0o444));
        let text = w.inline(Vec::new());
        w.file(name("a"), meta, u64::MAX, text).unwrap();
        w.file(name("b"), meta, u64::MAX, text).unwrap();
        assert_eq!(nar_size(&w.finish(), NodeId::ROOT), Ok(u64::MAX));
    }

    #[test]
    fn framing_without_files_comes_in_pieces() {
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
        assert!(longest.max().unwrap() < 2 * NarParts::ENOUGH);
    }
}
