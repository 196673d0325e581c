//! NAR hashes from contents that pass by on their way into an image: they come in the order of the tree, which is that
//! of a NAR, so one read serves both.

use image_tree::{FileTree, NodeId};

use crate::verify::find;
use crate::{
    Closure, ClosureError, ClosureErrors, NarHasher, NarPart, NarParts, NotInNar, PathInfo, nar_parts,
};

/// Compares the NAR hash of each path with the registered one while the contents pass by.
#[derive(Debug)]
pub struct PassingHashes<'a> {
    closure: &'a Closure,
    tree: &'a FileTree,
    paths: std::vec::IntoIter<(&'a PathInfo, NodeId)>,
    current: Option<Current<'a>>,
    errors: Vec<ClosureError>,
}

/// The path whose contents pass by.
#[derive(Debug)]
struct Current<'a> {
    info: &'a PathInfo,
    node: NodeId,
    parts: NarParts<'a>,
    hasher: NarHasher,
    /// The file whose bytes come now.
    file: Option<NodeId>,
}

impl<'a> PassingHashes<'a> {
    /// Nothing has passed by yet.
    pub fn new(closure: &'a Closure, tree: &'a FileTree) -> Self {
        let (nodes, errors) = find(closure, tree);
        Self { closure, tree, paths: nodes.into_iter(), current: None, errors }
    }

    /// The next bytes of a regular file. Files must come in the order of the tree, each from its start to its end;
    /// those outside the closure are passed over.
    pub fn see(&mut self, file: NodeId, bytes: &[u8]) {
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
                return current.take(file, bytes);
            }
            self.end();
        }
    }

    /// Completes what has begun and compares the rest. All paths that differ are named; after that none is left.
    pub fn finish(&mut self) -> Result<(), ClosureErrors> {
        while self.current.is_some() || self.begin() {
            self.end();
        }
        ClosureErrors::check(std::mem::take(&mut self.errors))
    }

    /// Goes on to the next path; false after the last.
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
        let compared = current.info.check_hash(self.closure.store_dir(), current.hasher.finish());
        self.errors.extend(compared.err());
    }
}

impl Current<'_> {
    fn take(&mut self, file: NodeId, bytes: &[u8]) {
        if self.file != Some(file) {
            self.advance();
        }
        self.hasher.update(bytes);
    }

    /// Hashes what stands before the next file, or up to the end. A file that is not the one that passes by would
    /// make the hash another, so nothing wrong goes unnoticed.
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
