//! The contents of the plan by path: single entries, the directories that they need, the targets of trees and of the store, and
//! attributes. A node with only attributes creates nothing.

use std::collections::BTreeMap;

use image_tree::ImagePath;
use snugfs_plan::{Entry, EntryKind};

use crate::attributes::Attributes;
use crate::error::ScanError;
use crate::source_id::SourceId;
use crate::sources::{InlineFile, Sources};

/// A source of the image, by reference.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SourceRef<'a> {
    Closure,
    Tree(usize),
    Entry(&'a ImagePath),
    Inline(&'a ImagePath),
    FileSystem,
}

impl SourceRef<'_> {
    /// The source by value.
    pub(crate) fn id(&self) -> SourceId {
        match *self {
            Self::Closure => SourceId::Store,
            Self::Tree(index) => SourceId::Tree(index),
            Self::Entry(path) => SourceId::Entry(path.clone()),
            Self::Inline(path) => SourceId::Inline(path.clone()),
            Self::FileSystem => SourceId::FileSystem,
        }
    }
}

/// A file, directory or other item of the plan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlanItem<'a> {
    /// An entry, with its position among the entries.
    Entry(usize, &'a ImagePath, &'a Entry),
    Inline(&'a InlineFile),
}

impl<'a> PlanItem<'a> {
    pub(crate) fn source_ref(self) -> SourceRef<'a> {
        match self {
            Self::Entry(_, path, _) => SourceRef::Entry(path),
            Self::Inline(file) => SourceRef::Inline(&file.path),
        }
    }

    pub(crate) fn is_directory(self) -> bool {
        matches!(self, Self::Entry(_, _, Entry { kind: EntryKind::Directory, .. }))
    }
}

/// The index of a node in its [`PlanTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlanId(usize);

impl PlanId {
    pub(crate) const ROOT: Self = Self(0);
}

/// The contents of the plan for a path.
#[derive(Debug, Default)]
pub(crate) struct PlanNode<'a> {
    pub(crate) children: BTreeMap<&'a [u8], PlanId>,
    pub(crate) item: Option<PlanItem<'a>>,
    /// The first source that needs a directory here.
    pub(crate) needed_by: Option<SourceRef<'a>>,
    /// Whether a directory is created here if there is nothing else.
    pub(crate) wanted: bool,
    /// The rank of its exact path in [`Attributes`].
    pub(crate) attributes: Option<usize>,
    /// Sources with this target, by their positions among the scanned sources.
    pub(crate) mounted: Vec<usize>,
}

/// The contents of the plan. The first node is the root.
#[derive(Debug)]
pub(crate) struct PlanTree<'a> {
    nodes: Vec<PlanNode<'a>>,
}

/// A directory of every ext4 file system. e2fsck moves files without a name to it.
pub(crate) const LOST_AND_FOUND: &[u8] = b"lost+found";

impl<'a> PlanTree<'a> {
    /// Sorts the plan by path. Two items with the same path are a conflict.
    pub(crate) fn new(
        sources: &'a Sources<'a>,
        attributes: &Attributes<'a>,
        errors: &mut Vec<ScanError>,
    ) -> Self {
        let mut tree = Self { nodes: vec![PlanNode::default()] };
        let stores = sources.store.iter().map(|store| (SourceRef::Closure, &store.store_dir));
        let trees =
            sources.trees.iter().enumerate().map(|(index, plan)| (SourceRef::Tree(index), &plan.target));
        for (source, (source_ref, target)) in stores.chain(trees).enumerate() {
            let id = tree.descend(target.parts(), source_ref);
            tree.change(id, |node| node.mounted.push(source));
        }
        for (index, (path, entry)) in sources.entries.iter().enumerate() {
            tree.make(path, PlanItem::Entry(index, path, entry), errors);
        }
        for file in &sources.inline {
            tree.make(&file.path, PlanItem::Inline(file), errors);
        }
        if sources.lost_and_found {
            let id = tree.child(PlanId::ROOT, LOST_AND_FOUND);
            tree.need(id, SourceRef::FileSystem);
        }
        for path in &sources.folders {
            let mut at = PlanId::ROOT;
            for name in path.parts() {
                at = tree.child(at, name.as_bytes());
                tree.change(at, |node| node.wanted = true);
            }
        }
        for (rank, path) in attributes.exact() {
            let id = path.parts().fold(PlanId::ROOT, |at, name| tree.child(at, name.as_bytes()));
            tree.change(id, |node| node.attributes = Some(rank));
        }
        tree
    }

    pub(crate) fn node(&self, id: PlanId) -> &PlanNode<'a> {
        &self.nodes[id.0]
    }

    /// Ranks of the attributes at or below a node, in the order of the paths.
    pub(crate) fn attributes_below(&self, id: PlanId) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let node = self.node(id);
            found.extend(node.attributes);
            open.extend(node.children.values().rev());
        }
        found
    }

    /// The number of nodes, and the length of their names and targets in \[bytes\].
    pub(crate) fn totals(&self) -> (usize, usize) {
        let bytes = self.nodes.iter().map(|node| {
            let target = match node.item {
                Some(PlanItem::Entry(_, _, Entry { kind: EntryKind::Symlink(target), .. })) => target.len(),
                _ => 0,
            };
            node.children.keys().map(|name| name.len()).sum::<usize>() + target
        });
        (self.nodes.len(), bytes.sum())
    }

    fn make(&mut self, path: &'a ImagePath, item: PlanItem<'a>, errors: &mut Vec<ScanError>) {
        let mut above = path.parts();
        let id = match above.next_back() {
            Some(name) => {
                let parent = self.descend(above, item.source_ref());
                self.child(parent, name.as_bytes())
            }
            None => PlanId::ROOT,
        };
        match self.node(id).item {
            Some(earlier) => errors.push(ScanError::Conflict {
                path: path.to_string(),
                one: earlier.source_ref().id(),
                other: item.source_ref().id(),
            }),
            None => self.change(id, |node| node.item = Some(item)),
        }
    }

    /// The node of a path from the root. Marks every directory on the way as needed.
    fn descend(
        &mut self,
        parts: impl Iterator<Item = image_tree::Name<'a>>,
        source_ref: SourceRef<'a>,
    ) -> PlanId {
        self.need(PlanId::ROOT, source_ref);
        let mut at = PlanId::ROOT;
        for name in parts {
            at = self.child(at, name.as_bytes());
            self.need(at, source_ref);
        }
        at
    }

    fn need(&mut self, id: PlanId, source_ref: SourceRef<'a>) {
        self.change(id, |node| {
            node.needed_by.get_or_insert(source_ref);
        });
    }

    fn child(&mut self, parent: PlanId, name: &'a [u8]) -> PlanId {
        let new = PlanId(self.nodes.len());
        let id = *self.nodes[parent.0].children.entry(name).or_insert(new);
        if id == new {
            self.nodes.push(PlanNode::default());
        }
        id
    }

    fn change(&mut self, id: PlanId, with: impl FnOnce(&mut PlanNode<'a>)) {
        with(&mut self.nodes[id.0]);
    }
}

#[cfg(test)]
mod tests {
    use image_tree::{Permissions, Timestamp};

    use super::*;

    #[test]
    fn nodes_names_and_targets_are_counted() {
        let entry =
            |kind| Entry { kind, permissions: None, uid: 0, gid: 0, xattrs: Vec::new(), keep_holes: true };
        let path = |text: &str| ImagePath::parse(text.as_bytes()).unwrap();
        let entries = BTreeMap::from([
            (path("/etc/link"), entry(EntryKind::Symlink(b"target".to_vec()))),
            (path("/etc/text"), entry(EntryKind::Text(b"a long text".to_vec()))),
        ]);
        let permissions = Permissions::STORE_FILE;
        let inline = InlineFile { path: path("/in"), bytes: b"bytes".to_vec(), permissions };
        let attributes = BTreeMap::new();
        let mut sources = Sources {
            store: None,
            trees: &[],
            entries: &entries,
            attributes: &attributes,
            inline: vec![inline],
            folders: vec![path("/etc/abcdef")],
            lost_and_found: true,
            timestamp: Timestamp::STORE,
        };
        let totals = |sources: &Sources<'_>| {
            let attributes = Attributes::new(sources.attributes, &mut Vec::new());
            PlanTree::new(sources, &attributes, &mut Vec::new()).totals()
        };
        // The root, etc, link, text, in, abcdef, lost+found.
        assert_eq!(totals(&sources), (7, 3 + 4 + 4 + 2 + 6 + 10 + "target".len()));
        let none = BTreeMap::new();
        (sources.entries, sources.lost_and_found) = (&none, false);
        (sources.inline, sources.folders) = (Vec::new(), Vec::new());
        assert_eq!(totals(&sources), (1, 0));
    }
}
