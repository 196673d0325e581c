//! Reads ext2, ext3 and ext4. The structures are those of [`ext4_ondisk`]; this module checks them.

mod directory;
mod extents;
mod inode;
mod superblock;
mod xattrs;

pub use inode::RawInode;
pub(crate) use superblock::is_there;

use ext4_ondisk::inode::{FAST_SYMLINK_MAX, FLAG_ENCRYPT, FLAG_EXTENTS, FLAG_INLINE_DATA, ROOT};

use image_tree::{Uuid, to_u64};

use crate::file_system::{Attribute, Contents, Entry, Kind, Node, Place, Usage};
use crate::work::Work;
use crate::{ReadError, Window};
use extents::Volume;
use superblock::Superblock;

/// Maximum length of a symlink's target in \[bytes\] (`PATH_MAX`).
const MAX_TARGET: u64 = 4096;

/// An ext2, ext3 or ext4 file system.
#[derive(Debug)]
pub struct Ext4 {
    window: Window,
    superblock: Superblock,
    /// Limit for reading extents and directories.
    work: Work,
}

impl Ext4 {
    /// Reads the superblock.
    pub fn open(window: Window) -> Result<Self, ReadError> {
        let superblock = Superblock::read(&window)?;
        let work = Work::of(superblock.bytes().min(window.stored()));
        Ok(Self { window, superblock, work })
    }

    /// Volume label, up to 16 bytes.
    pub fn label(&self) -> &[u8] {
        &self.superblock.label
    }

    /// The UUID.
    pub fn uuid(&self) -> Uuid {
        Uuid(self.superblock.uuid)
    }

    /// Block size in \[bytes\].
    pub fn block_size(&self) -> u64 {
        self.superblock.block_size
    }

    /// `ext2`, `ext3` or `ext4`, by its features.
    pub fn generation(&self) -> &'static str {
        self.superblock.generation
    }

    /// Warnings for readers of the files.
    pub fn warnings(&self) -> &[String] {
        &self.superblock.warnings
    }

    /// The bytes of the file system.
    pub fn volume(&self) -> &Window {
        &self.window
    }

    /// Whether the journal has changes that are not applied.
    pub fn needs_recovery(&self) -> bool {
        self.superblock.needs_recovery
    }

    /// Reads the inode of a node as it is stored.
    pub fn raw_inode(&self, node: &Node) -> Result<RawInode, ReadError> {
        let number =
            node.inode.ok_or_else(|| ReadError::damaged("inode", "belongs to another file system"))?;
        inode::read_raw(&self.window, &self.superblock, number)
    }

    /// The extended attributes of a node, in the order in which they are stored.
    pub(crate) fn attributes(&self, node: &Node) -> Result<Vec<Attribute>, ReadError> {
        let raw = self.raw_inode(node)?;
        let block = xattrs::block_of(&raw).map(|block| {
            let offset = self.offset_of(block, 1);
            let what = "the block of its extended attributes is not in the file system";
            let offset = offset.ok_or_else(|| ReadError::damaged(named(node), what))?;
            let bytes = self.window.bytes(offset, self.block_size());
            bytes.map_err(|error| ReadError::io(named(node), error))
        });
        xattrs::all(&raw, block.transpose()?.as_deref())
    }

    /// Offset of consecutive blocks in the volume in \[bytes\]; `None` if they are not all in the file system.
    pub fn offset_of(&self, block: u64, blocks: u64) -> Option<u64> {
        self.superblock.offset_of(block, blocks)
    }

    pub(crate) fn window(&self) -> &Window {
        &self.window
    }

    pub(crate) fn usage(&self) -> Usage {
        let superblock = &self.superblock;
        Usage {
            bytes: superblock.bytes(),
            free: superblock.free_blocks.saturating_mul(superblock.block_size),
            inodes: Some((superblock.inodes, superblock.free_inodes)),
        }
    }

    pub(crate) fn root(&self) -> Result<Node, ReadError> {
        let root = self.node(ROOT)?;
        if root.is_directory() { Ok(root) } else { Err(ReadError::damaged("inode 2", "is not a directory")) }
    }

    pub(crate) fn node(&self, number: u32) -> Result<Node, ReadError> {
        inode::read(&self.window, &self.superblock, number)
    }

    pub(crate) fn contents(&self, node: &Node) -> Result<Contents, ReadError> {
        let Place::Inode { flags, block } = &node.place else {
            return Err(ReadError::damaged("inode", "belongs to another file system"));
        };
        let place = named(node);
        if *flags & FLAG_ENCRYPT != 0 {
            return Err(ReadError::unsupported(
                place,
                "is encrypted, which can't be read",
                "mount it with its key",
            ));
        }
        if *flags & FLAG_INLINE_DATA != 0 {
            let bytes = usize::try_from(node.size).ok().and_then(|size| block.get(..size));
            return bytes.map(|bytes| Contents::Inline(bytes.to_vec())).ok_or_else(|| {
                ReadError::unsupported(
                    place,
                    "is stored in extended attributes of its inode (inline_data)",
                    "mount it instead",
                )
            });
        }
        let blocks = node.size.div_ceil(self.superblock.block_size.max(1));
        let volume = Volume { window: &self.window, superblock: &self.superblock, work: &self.work };
        let runs = if *flags & FLAG_EXTENTS != 0 {
            extents::from_tree(volume, &place, block)?
        } else {
            extents::from_map(volume, &place, block, blocks)?
        };
        Ok(Contents::Runs(runs))
    }

    pub(crate) fn link_target(&self, node: &Node) -> Result<Vec<u8>, ReadError> {
        let Place::Inode { flags, block } = &node.place else {
            return Err(ReadError::damaged("inode", "belongs to another file system"));
        };
        if node.kind != Kind::Symlink || node.size == 0 || node.size > MAX_TARGET {
            return Err(ReadError::damaged(named(node), format!("is not a symlink of {} bytes", node.size)));
        }
        // Short targets are in the place of the extents.
        let is_short = node.size <= to_u64(FAST_SYMLINK_MAX);
        if is_short && *flags & (FLAG_EXTENTS | FLAG_INLINE_DATA | FLAG_ENCRYPT) == 0 {
            let bytes = usize::try_from(node.size).ok().and_then(|size| block.get(..size));
            return Ok(bytes.unwrap_or_default().to_vec());
        }
        self.bytes(node)
    }

    pub(crate) fn entries(&self, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
        if directory.size > self.superblock.bytes() {
            let what = format!("the directory has {} bytes, more than the file system", directory.size);
            return Err(ReadError::damaged(named(directory), what));
        }
        directory::entries(self, directory)
    }

    /// Reads a small file into memory.
    fn bytes(&self, node: &Node) -> Result<Vec<u8>, ReadError> {
        let runs = match self.contents(node)? {
            Contents::Inline(bytes) => return Ok(bytes),
            Contents::Runs(runs) => runs,
        };
        let mut bytes = Vec::new();
        for run in runs {
            if run.at != to_u64(bytes.len()) {
                return Err(ReadError::damaged(named(node), "has a hole, which is not allowed here"));
            }
            let part = run.length.min(node.size.saturating_sub(run.at));
            let found = self.window.bytes(run.from, part);
            bytes.extend(found.map_err(|error| ReadError::io(named(node), error))?);
        }
        if to_u64(bytes.len()) == node.size {
            Ok(bytes)
        } else {
            Err(ReadError::damaged(named(node), "is shorter than its size"))
        }
    }
}

fn named(node: &Node) -> String {
    format!("inode {}", node.identity())
}
