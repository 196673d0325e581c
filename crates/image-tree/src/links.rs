//! Turns equal files into hard links.

use std::sync::Arc;

use crate::NodeId;
use crate::tree::{FileTree, NodeKind};

impl FileTree {
    /// Replaces the first file of each pair by a hard link to the second, an earlier file with the same length and metadata,
    /// whose bytes the caller has found to be the same. Hard links to the first file are redirected too.
    ///
    /// Returns the number of replaced files. Pairs that don't meet these conditions are skipped.
    pub fn link(&mut self, pairs: &[(NodeId, NodeId)]) -> usize {
        let mut linked = 0;
        for &(file, to) in pairs {
            if self.can_link(file, to)
                && let Some(node) = Arc::make_mut(&mut self.0).nodes.get_mut(file.index())
            {
                node.kind = NodeKind::HardLink { to };
                linked += 1;
            }
        }
        if linked > 0 {
            self.shorten_links();
        }
        linked
    }

    fn can_link(&self, file: NodeId, to: NodeId) -> bool {
        let size = |id: NodeId| match self.0.nodes.get(id.index())?.kind {
            NodeKind::File { size, .. } => Some((size, self.node(id).metadata)),
            _ => None,
        };
        to < file && size(file).is_some() && size(file) == size(to)
    }

    /// Redirects links to links. Links point to earlier nodes, which are redirected before.
    fn shorten_links(&mut self) {
        let nodes = &mut Arc::make_mut(&mut self.0).nodes;
        for index in 0..nodes.len() {
            let NodeKind::HardLink { to } = nodes[index].kind else { continue };
            if let NodeKind::HardLink { to } = nodes[to.index()].kind {
                nodes[index].kind = NodeKind::HardLink { to };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Metadata, Name, NodeId, NodeKind, Permissions, Timestamp, TreeWriter};

    #[test]
    fn redirects_the_names_of_a_replaced_file() {
        let metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
        let meta = writer.metadata(&metadata);
        let bytes = writer.inline(b"x".to_vec());
        let name = |text: &'static str| Name::new(text.as_bytes()).unwrap();
        let first = writer.file(name("a"), meta, 1, bytes).unwrap();
        let second = writer.file(name("b"), meta, 1, bytes).unwrap();
        let link = writer.hard_link(name("c"), second).unwrap();
        let mut tree = writer.finish();
        assert_eq!(tree.link(&[(second, first)]), 1);
        for node in [second, link] {
            assert_eq!(tree.node(node).kind(), NodeKind::HardLink { to: first });
            assert_eq!(tree.resolve(node), first);
        }
    }

    #[test]
    fn replaces_files_and_redirects_their_links() {
        let metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
        let (meta, other) = (writer.metadata(&metadata), Metadata { uid: 1, ..metadata });
        let other = writer.metadata(&other);
        let bytes = writer.inline(b"x".to_vec());
        let name = |text: &'static str| Name::new(text.as_bytes()).unwrap();
        let [first, second, linked, third] = [
            writer.file(name("a"), meta, 1, bytes).unwrap(),
            writer.file(name("b"), meta, 1, bytes).unwrap(),
            writer.hard_link(name("c"), NodeId::from_index(2).unwrap()).unwrap(),
            writer.file(name("d"), meta, 1, bytes).unwrap(),
        ];
        let foreign = writer.file(name("e"), other, 1, bytes).unwrap();
        let longer = writer.file(name("f"), meta, 2, bytes).unwrap();
        let mut tree = writer.finish();
        // Skipped: to a later file, to itself, to a link, with other metadata, with another length.
        let wrong = [
            (first, second),
            (first, first),
            (third, linked),
            (linked, first),
            (foreign, first),
            (longer, first),
        ];
        assert_eq!(tree.link(&wrong), 0);
        assert_eq!(tree.link(&[(third, second), (second, first)]), 2);
        let resolved = [first, second, linked, third, foreign, longer].map(|node| tree.resolve(node));
        assert_eq!(resolved, [first, first, first, first, foreign, longer]);
    }
}
