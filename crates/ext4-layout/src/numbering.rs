//! Assigns inode numbers: 2 to the root, 11 to lost+found, and from 12 in the order of the tree.

use std::collections::{BTreeMap, HashMap};

use ext4_ondisk::inode;
use image_tree::{FileTree, ImagePath, Name, NodeId, NodeKind};

use crate::LayoutError;
use crate::previous::Previous;
use crate::units::{InodeNr, index, wide};

pub use ext4_ondisk::inode::MAX_LINKS;

/// The first inode after the reserved ones (1 to 10) and lost+found (11).
pub(crate) const RESERVED_INODES: u32 = inode::FIRST;
/// The root directory.
pub(crate) const ROOT: InodeNr = InodeNr(inode::ROOT);
/// The resize inode, which reserves blocks for more group descriptors.
pub(crate) const RESIZE: InodeNr = InodeNr(inode::RESIZE);
/// The journal.
pub(crate) const JOURNAL: InodeNr = InodeNr(inode::JOURNAL);
/// The directory lost+found.
pub(crate) const LOST_FOUND: InodeNr = InodeNr(inode::FIRST);

/// The inode of each node, and the reverse.
#[derive(Debug)]
pub(crate) struct Numbering {
    /// Inodes, by node.
    inodes: Vec<InodeNr>,
    /// The node that describes each inode, by slot: the root, lost+found, then inodes from 12. `None`: the inode is free.
    owners: Vec<Option<NodeId>>,
    /// Number of slots that are not free.
    count: u64,
    /// The first slot that may be free.
    next: usize,
    /// Link counts, only of inodes with more than one name.
    links: BTreeMap<u32, u32>,
    /// The files with too many names, once for each additional inode.
    continued: Vec<NodeId>,
}

/// The index of an inode of the tree in tables: 0 is the root, 1 lost+found, 2 inode 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    pub(crate) const ROOT: Self = Self(0);

    /// The inode of the slot.
    pub(crate) fn inode(self) -> InodeNr {
        if self == Self::ROOT { ROOT } else { InodeNr(self.0 + RESERVED_INODES - 1) }
    }

    /// The slot of an inode; `None` for other reserved inodes.
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
    /// Numbers all nodes. A file with more than 65,000 names gets additional inodes with the same contents.
    pub(crate) fn of(tree: &FileTree, previous: Option<&Previous>) -> Result<Self, LayoutError> {
        let lost_found = lost_found(tree)?;
        let mut numbering = Self {
            inodes: Vec::with_capacity(tree.len()),
            owners: Vec::with_capacity(tree.len()),
            count: 2,
            next: 2,
            links: BTreeMap::new(),
            continued: Vec::new(),
        };
        numbering.owners.extend([Some(NodeId::ROOT), Some(lost_found)]);
        let kept = previous.map(|previous| numbering.keep(tree, lost_found, previous)).unwrap_or_default();
        // The last inode of a file with several names. Only looked up, never iterated: the order of a HashMap is random.
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
                _ => match kept.get(id.index()).copied().flatten() {
                    Some(slot) => slot.inode(),
                    None => numbering.next(id)?,
                },
            };
            numbering.inodes.push(inode);
        }
        Ok(numbering)
    }

    /// Gives nodes the inodes that they had, as far as no other node has them. Returns the slots, by node.
    fn keep(&mut self, tree: &FileTree, lost_found: NodeId, previous: &Previous) -> Vec<Option<Slot>> {
        let mut kept = vec![None; tree.len()];
        for (id, node) in tree.iter() {
            let Some(place) = previous.place(id) else { continue };
            let is_reserved = id == NodeId::ROOT || id == lost_found;
            let is_own = !is_reserved && !matches!(node.kind(), NodeKind::HardLink { .. });
            let Some(slot) = Slot::of(InodeNr(place.inode)).filter(|_| is_own) else { continue };
            // The root and lost+found have theirs already.
            if u64::from(place.inode) > previous.most_inodes()
                || self.owners.get(slot.index()).is_some_and(Option::is_some)
            {
                continue;
            }
            if self.owners.len() <= slot.index() {
                self.owners.resize(slot.index() + 1, None);
            }
            self.owners[slot.index()] = Some(id);
            self.count += 1;
            kept[id.index()] = Some(slot);
        }
        kept
    }

    /// The first free inode.
    fn next(&mut self, owner: NodeId) -> Result<InodeNr, LayoutError> {
        while self.owners.get(self.next).is_some_and(Option::is_some) {
            self.next += 1;
        }
        let wanted = wide(self.next);
        let slot = u32::try_from(wanted).ok().filter(|&slot| slot < u32::MAX - RESERVED_INODES);
        let slot = slot.ok_or(LayoutError::TooManyInodes { wanted })?;
        match self.owners.get_mut(self.next) {
            Some(free) => *free = Some(owner),
            None => self.owners.push(Some(owner)),
        }
        self.count += 1;
        self.next += 1;
        Ok(Slot(slot).inode())
    }

    /// The inode of a node.
    pub(crate) fn inode(&self, node: NodeId) -> InodeNr {
        *self
            .inodes
            .get(node.index())
            .expect("invariant: nodes are numbered in their order, a hard link after its file")
    }

    /// The node that describes an inode; `None` if the inode is free.
    pub(crate) fn owner(&self, slot: Slot) -> Option<NodeId> {
        self.owners.get(slot.index()).copied().flatten()
    }

    /// All inodes of the tree in the order of their slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (Slot, NodeId)> + Clone + '_ {
        self.owners.iter().zip(0_u32..).filter_map(|(&node, slot)| Some((Slot(slot), node?)))
    }

    /// Number of slots, free ones included.
    pub(crate) fn slot_count(&self) -> usize {
        self.owners.len()
    }

    /// Number of used inodes, including reserved ones.
    pub(crate) fn used(&self) -> u64 {
        self.count + u64::from(RESERVED_INODES) - 2
    }

    /// Whether an inode is used or reserved.
    pub(crate) fn is_used(&self, inode: InodeNr) -> bool {
        Slot::of(inode).is_none_or(|slot| self.owner(slot).is_some())
    }

    /// The last used inode.
    pub(crate) fn last(&self) -> u64 {
        wide(self.owners.len()) + u64::from(RESERVED_INODES) - 2
    }

    /// Link count of an inode that is not a directory.
    pub(crate) fn links(&self, inode: InodeNr) -> u32 {
        self.links.get(&inode.0).copied().unwrap_or(1)
    }

    /// The files with too many names for an inode, once for each inode after the first.
    pub(crate) fn continued(&self) -> &[NodeId] {
        &self.continued
    }

    /// Number of names of inodes that already have another name.
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

#[cfg(test)]
mod tests;
