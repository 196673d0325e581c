//! Gives nodes of a finished tree extended attributes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{FileTree, Metadata, MetadataId, NodeId, NodeKind, Xattr};

impl FileTree {
    /// Gives each node the extended attribute that `of` returns for it, by its position in `xattrs`. An attribute of the same
    /// name is replaced. Hard links have the attributes of their target, so `of` is not called for them.
    ///
    /// # Panics
    /// If `of` returns a position outside of `xattrs`.
    pub fn set_xattrs(&mut self, xattrs: &[Xattr], mut of: impl FnMut(NodeId) -> Option<usize>) {
        let tree = Arc::make_mut(&mut self.0);
        let mut ids: HashMap<Metadata, MetadataId> = HashMap::new();
        let mut known: HashMap<(MetadataId, usize), MetadataId> = HashMap::new();
        for index in 0..tree.nodes.len() {
            if let NodeKind::HardLink { to } = tree.nodes[index].kind {
                tree.nodes[index].metadata = tree.nodes[to.index()].metadata;
                continue;
            }
            let id = NodeId::from_index(index).expect("invariant: the writer refuses more than 2³² nodes");
            let Some(position) = of(id) else { continue };
            let before = tree.nodes[index].metadata;
            let after = *known.entry((before, position)).or_insert_with(|| {
                let mut metadata = tree.metadata[before.index()].clone();
                metadata.set_xattr(&xattrs[position]);
                *ids.entry(metadata).or_insert_with_key(|metadata| {
                    tree.metadata.push(metadata.clone());
                    MetadataId::of_position(tree.metadata.len() - 1)
                })
            });
            tree.nodes[index].metadata = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Metadata, Permissions, Timestamp, TreeBuilder, Xattr, XattrName};

    #[test]
    fn nodes_get_an_attribute_and_hard_links_that_of_their_target() {
        let xattr = |value: &str| Xattr {
            name: XattrName::parse(b"security.selinux").unwrap(),
            value: value.as_bytes().to_vec(),
        };
        let mut tree = TreeBuilder::new();
        tree.file("/a", "").unwrap().file("/b", "").unwrap().file("/c", "").unwrap();
        tree.hard_link("/d", "/b").unwrap();
        let mut labelled = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        labelled.set_xattr(&xattr("old"));
        tree.metadata("/b", labelled.clone()).unwrap().metadata("/c", labelled).unwrap();
        let mut tree = tree.finish().unwrap();
        let before = tree.clone();
        tree.set_xattrs(&[xattr("one"), xattr("two")], |node| match before.name(node) {
            b"a" => Some(0),
            b"b" => Some(1),
            b"d" => panic!("a hard link"),
            _ => None,
        });
        let labels: Vec<(String, String)> = tree
            .iter()
            .map(|(id, node)| {
                let xattrs = &tree.metadata(node.metadata()).xattrs;
                let values = xattrs.iter().map(|xattr| String::from_utf8_lossy(&xattr.value).into_owned());
                (tree.path(id).to_string(), values.collect())
            })
            .collect();
        let expected = [("/", ""), ("/a", "one"), ("/b", "two"), ("/c", "old"), ("/d", "two")];
        assert_eq!(labels, expected.map(|(path, label)| (path.to_owned(), label.to_owned())));
        // The other tree has not changed.
        assert!(before.iter().all(|(_, node)| before.metadata(node.metadata()).xattrs.len() <= 1));
        assert_eq!(tree.all_metadata().len(), before.all_metadata().len() + 2);
    }
}
