use crate::units::{BLOCK_SIZE, narrow};
use crate::{Layout, LayoutWarning};

/// The key figures of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Size in \[bytes\].
    pub block_size: u32,
    /// Size of the file system in \[blocks\].
    pub blocks: u64,
    /// Number of free blocks, including those reserved for root.
    pub free_blocks: u64,
    /// Number of blocks reserved for root.
    pub reserved_blocks: u64,
    /// Number of inodes.
    pub inodes: u64,
    /// Number of free inodes.
    pub free_inodes: u64,
    /// Number of block groups.
    pub groups: u32,
    /// Number of inodes per group.
    pub inodes_per_group: u32,
    /// Number of reserved descriptor blocks.
    pub reserved_gdt_blocks: u64,
    /// Length of the journal in \[blocks\], without its extent tree.
    pub journal_blocks: u64,
    /// Features, with the names and order of dumpe2fs.
    pub features: Vec<&'static str>,
    /// Kinds of metadata, with their sizes in \[blocks\]. Together with the contents of files and the free blocks
    /// this is the whole file system.
    pub overhead: Vec<(&'static str, u64)>,
    /// Size of the contents of regular files in \[blocks\].
    pub file_blocks: u64,
    /// Number of names of inodes that already have another name.
    pub hard_links: u64,
    /// Warnings.
    pub warnings: Vec<LayoutWarning>,
}

impl Layout {
    /// The key figures of the layout.
    pub fn summary(&self) -> Summary {
        let geometry = &self.geometry;
        let counts = self.counts();
        let used = self.used_blocks();
        let copies = 1 + u64::from(crate::geometry::backup_count(geometry.groups));
        let groups = u64::from(geometry.groups);
        Summary {
            block_size: narrow(BLOCK_SIZE, "a block has 4096 bytes"),
            blocks: geometry.blocks,
            free_blocks: counts.free_blocks,
            reserved_blocks: counts.reserved,
            inodes: geometry.inodes(),
            free_inodes: counts.free_inodes,
            groups: geometry.groups,
            inodes_per_group: geometry.inodes_per_group,
            reserved_gdt_blocks: geometry.reserved_gdt,
            journal_blocks: geometry.journal,
            features: self.feature_names(),
            overhead: vec![
                ("superblocks", copies),
                ("groupDescriptors", copies * geometry.gdt),
                (
                    "growthReserve",
                    copies * geometry.reserved_gdt + u64::from(self.placement.resize.is_some()),
                ),
                ("bitmaps", 2 * groups),
                ("inodeTables", groups * geometry.itable_blocks()),
                ("journal", self.placement.journal.map_or(0, |journal| journal.blocks())),
                ("directories", used.directories),
                ("symlinks", used.symlinks),
                ("extendedAttributes", used.xattrs),
                ("extentTrees", used.extent_trees),
            ],
            file_blocks: used.files,
            hard_links: self.inventory.numbering.hard_links(),
            warnings: self.warnings.clone(),
        }
    }

    fn used_blocks(&self) -> UsedBlocks {
        let mut used = UsedBlocks::default();
        for (slot, node) in self.inventory.numbering.slots() {
            let object = self.placement.object(&self.inventory, &self.space, slot, node);
            used.xattrs += object.xattr_blocks;
            used.extent_trees += object.contents.nodes;
            match self.inventory.tree.node(node).kind() {
                image_tree::NodeKind::Directory { .. } => used.directories += object.contents.len,
                image_tree::NodeKind::Symlink { .. } => used.symlinks += object.contents.len,
                _ => used.files += object.contents.len,
            }
        }
        used
    }
}

/// Size of objects in data space in \[blocks\].
#[derive(Default)]
struct UsedBlocks {
    files: u64,
    directories: u64,
    symlinks: u64,
    xattrs: u64,
    extent_trees: u64,
}
