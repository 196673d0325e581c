//! NAR hashes of contents while they are written to an image. Contents are written in the order of the tree, which is
//! that of a NAR, so each file is read only once.

use image_tree::{FileTree, NodeId};

use crate::verify::find;
use crate::{
    Closure, ClosureError, ClosureErrors, NarHasher, NarPart, NarParts, NotInNar, PathInfo, nar_parts,
};

/// Computes the NAR hash of each path from a stream of file contents, and compares it with the registered one.
#[derive(Debug)]
pub struct StreamingHashes<'a> {
    closure: &'a Closure,
    tree: &'a FileTree,
    paths: std::vec::IntoIter<(&'a PathInfo, NodeId)>,
    current: Option<Current<'a>>,
    errors: Vec<ClosureError>,
}

/// The path that is being hashed.
#[derive(Debug)]
struct Current<'a> {
    info: &'a PathInfo,
    node: NodeId,
    parts: NarParts<'a>,
    hasher: NarHasher,
    /// The file that is being hashed.
    file: Option<NodeId>,
}

impl<'a> StreamingHashes<'a> {
    /// Hashes at the start of the stream.
    pub fn new(closure: &'a Closure, tree: &'a FileTree) -> Self {
        let (nodes, errors) = find(closure, tree);
        Self { closure, tree, paths: nodes.into_iter(), current: None, errors }
    }

    /// Adds the next bytes of a regular file. Files must come in the order of the tree, each from its start to its end;
    /// files outside the closure are ignored.
    pub fn update(&mut self, file: NodeId, bytes: &[u8]) {
        loop {
            let Some(current) = &mut self.current else {
                if !self.begin() {
                    return;
                }
                continue;
            };
            if file < current.node {
                return;
            }
            if file < self.tree.end(current.node) {
                return current.update(file, bytes);
            }
            self.end();
        }
    }

    /// Compares the remaining paths and fails with all that differ.
    pub fn finish(&mut self) -> Result<(), ClosureErrors> {
        while self.current.is_some() || self.begin() {
            self.end();
        }
        ClosureErrors::check(std::mem::take(&mut self.errors))
    }

    /// Begins the next path; false after the last.
    fn begin(&mut self) -> bool {
        for (info, node) in self.paths.by_ref() {
            match nar_parts(self.tree, node) {
                Ok(parts) => {
                    self.current = Some(Current { info, node, parts, hasher: NarHasher::new(), file: None });
                    return true;
                }
                Err(NotInNar { path }) => self.errors.push(ClosureError::NotInNar { path }),
            }
        }
        false
    }

    /// Completes the current path.
    fn end(&mut self) {
        let Some(mut current) = self.current.take() else { return };
        current.advance();
        let compared = current.info.check_hash(self.closure.place(), current.hasher.finish());
        self.errors.extend(compared.err());
    }
}

impl Current<'_> {
    fn update(&mut self, file: NodeId, bytes: &[u8]) {
        if self.file != Some(file) {
            self.advance();
        }
        self.hasher.update(bytes);
    }

    /// Hashes the framing up to the next file or the end. If that is not the file that is given, the hash differs, so the
    /// mistake is reported.
    fn advance(&mut self) {
        self.file = None;
        for part in self.parts.by_ref() {
            match part {
                NarPart::Framing(bytes) => self.hasher.update(&bytes),
                NarPart::File { node, .. } => {
                    self.file = Some(node);
                    return;
                }
            }
        }
    }
}
