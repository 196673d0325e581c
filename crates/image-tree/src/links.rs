//! Files that become further names of other files.

use std::sync::Arc;

use crate::tree::{FileTree, NodeId, NodeKind};

impl FileTree {
    /// Makes each first file of a pair one more name of the second, an earlier file of the same length and metadata,
    /// whose bytes the caller knows to be the same. Hard links that led to it lead there too.
    ///
    /// Returns how many files are names now; a pair that is not as above is left alone.
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

    /// A link leads to an earlier node, whose own link is short already.
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
    fn one_linked_file_is_enough_for_its_names_to_be_redirected() {
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
    fn a_file_becomes_a_name_and_its_names_go_with_it() {
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
        // Onto a later file, onto itself, onto a link, other metadata, another length: none of these.
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
