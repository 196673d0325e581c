//! Inode numbers: 12 and up in the order of the tree, the root 2 and lost+found 11.

use std::collections::{BTreeMap, HashMap};

use ext4_ondisk::inode;
use image_tree::{FileTree, ImagePath, Name, NodeId, NodeKind};

use crate::LayoutError;
use crate::units::{InodeNr, index, wide};

pub use ext4_ondisk::inode::MAX_LINKS;

/// Inodes 1 to 10 have a fixed meaning, 11 is lost+found.
pub(crate) const RESERVED_INODES: u32 = inode::FIRST;
/// The root directory.
pub(crate) const ROOT: InodeNr = InodeNr(inode::ROOT);
/// The inode that keeps blocks for more group descriptors.
pub(crate) const RESIZE: InodeNr = InodeNr(inode::RESIZE);
/// The journal.
pub(crate) const JOURNAL: InodeNr = InodeNr(inode::JOURNAL);
/// The directory for what e2fsck finds.
pub(crate) const LOST_FOUND: InodeNr = InodeNr(inode::FIRST);

/// Which node has which inode.
#[derive(Debug)]
pub(crate) struct Numbering {
    /// By node.
    inodes: Vec<InodeNr>,
    /// By slot: the root, lost+found, then inodes 12 and up. The node that describes the inode.
    owners: Vec<NodeId>,
    /// Only inodes with more than one name.
    links: BTreeMap<u32, u32>,
    /// The files that go on as another inode, once for each.
    continued: Vec<NodeId>,
}

/// An inode of the tree, as a position in tables: 0 is the root, 1 lost+found, 2 inode 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    pub(crate) const ROOT: Self = Self(0);

    /// The inode of the slot.
    pub(crate) fn inode(self) -> InodeNr {
        if self == Self::ROOT { ROOT } else { InodeNr(self.0 + RESERVED_INODES - 1) }
    }

    /// The slot of an inode: none for the others with a fixed meaning.
    pub(crate) fn of(inode: InodeNr) -> Option<Self> {
        if inode == ROOT {
            Some(Self::ROOT)
        } else {
            inode.0.checked_sub(RESERVED_INODES - 1).filter(|&s| s > 0).map(Self)
        }
    }

    pub(crate) fn index(self) -> usize {
        index(u64::from(self.0))
    }
}

impl Numbering {
    /// Numbers every node. A file with more than 65,000 names goes on as another inode of the same contents.
    pub(crate) fn of(tree: &FileTree) -> Result<Self, LayoutError> {
        let lost_found = lost_found(tree)?;
        let mut numbering = Self {
            inodes: Vec::with_capacity(tree.len()),
            owners: Vec::with_capacity(tree.len()),
            links: BTreeMap::new(),
            continued: Vec::new(),
        };
        numbering.owners.extend([NodeId::ROOT, lost_found]);
        // Looked up by node, never iterated: the latest inode of a file with several names.
        let mut latest: HashMap<NodeId, InodeNr> = HashMap::new();
        for (id, node) in tree.iter() {
            let inode = match node.kind() {
                _ if id == NodeId::ROOT => ROOT,
                _ if id == lost_found => LOST_FOUND,
                NodeKind::HardLink { to } => {
                    let inode = latest.get(&to).copied().unwrap_or_else(|| numbering.inode(to));
                    let links = numbering.links.entry(inode.0).or_insert(1);
                    if *links < MAX_LINKS {
                        *links += 1;
                        inode
                    } else {
                        let inode = numbering.next(to)?;
                        numbering.continued.push(to);
                        latest.insert(to, inode);
                        inode
                    }
                }
                _ => numbering.next(id)?,
            };
            numbering.inodes.push(inode);
        }
        Ok(numbering)
    }

    fn next(&mut self, owner: NodeId) -> Result<InodeNr, LayoutError> {
        let wanted = wide(self.owners.len());
        let slot = u32::try_from(wanted).ok().filter(|&slot| slot < u32::MAX - RESERVED_INODES);
        let slot = slot.ok_or(LayoutError::TooManyInodes { wanted })?;
        self.owners.push(owner);
        Ok(Slot(slot).inode())
    }

    /// The inode of a node.
    pub(crate) fn inode(&self, node: NodeId) -> InodeNr {
        *self
            .inodes
            .get(node.index())
            .expect("invariant: nodes are numbered in their order, a hard link after its file")
    }

    /// The node that describes an inode.
    pub(crate) fn owner(&self, slot: Slot) -> NodeId {
        *self.owners.get(slot.index()).expect("invariant: a slot is that of an inode that has an owner")
    }

    /// All inodes of the tree in the order of their slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, NodeId)> + Clone + '_ {
        self.owners.iter().zip(0_u32..).map(|(&node, slot)| (Slot(slot), node))
    }

    /// How many inodes are used, those with a fixed meaning included.
    pub(crate) fn used(&self) -> u64 {
        wide(self.owners.len()) + u64::from(RESERVED_INODES) - 2
    }

    /// How many names an inode that is no directory has.
    pub(crate) fn links(&self, inode: InodeNr) -> u32 {
        self.links.get(&inode.0).copied().unwrap_or(1)
    }

    /// The files with more names than an inode can have, once for each inode beyond the first.
    pub(crate) fn continued(&self) -> &[NodeId] {
        &self.continued
    }

    /// How many names lead to an inode that has another name already.
    pub(crate) fn hard_links(&self) -> u64 {
        self.links.values().map(|&links| u64::from(links) - 1).sum()
    }
}

fn lost_found(tree: &FileTree) -> Result<NodeId, LayoutError> {
    let name = Name::new(b"lost+found").expect("invariant: lost+found is a name");
    tree.find(&ImagePath::root().join(name))
        .filter(|&id| matches!(tree.node(id).kind(), NodeKind::Directory { .. }))
        .ok_or(LayoutError::NoLostFound)
}
