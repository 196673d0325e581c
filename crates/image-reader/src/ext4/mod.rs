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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::file_system::Run;
    use std::sync::Arc;

    /// The first block that has no structures in an [`Image`].
    pub(crate) const DATA: u32 = 10;

    /// A file system in memory: blocks of 1,024 bytes, 32 inodes of 128 in blocks 5 to 8, no checksums.
    pub(crate) struct Image {
        pub(crate) bytes: Vec<u8>,
    }

    impl Image {
        pub(crate) fn of_blocks(number: u32) -> Self {
            let mut image = Self { bytes: vec![0; usize::try_from(number).unwrap() * 1024] };
            for (field, value) in [
                (0, 32),
                (4, number),
                (0xc, 5),
                (0x10, 7),
                (0x14, 1),
                (0x20, 8192),
                (0x28, 32),
                (0x4c, 1),
                (0x54, 11),
                (0x58, 128),
                // Entries with types, and extents.
                (0x60, 0x42),
            ] {
                image.put(1024 + field, value);
            }
            image.bytes[1024 + 0x38..][..2].copy_from_slice(&[0x53, 0xef]);
            // The inode table, in the first group descriptor.
            image.put(2048 + 8, 5);
            image.extents(2, 0o040_755, 0, &[]);
            image
        }

        pub(crate) fn new() -> Self {
            Self::of_blocks(64)
        }

        pub(crate) fn put(&mut self, at: usize, value: u32) {
            self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }

        /// Sets 32 bits of the superblock.
        pub(crate) fn field(mut self, at: usize, value: u32) -> Self {
            self.put(1024 + at, value);
            self
        }

        pub(crate) fn block(&mut self, number: u32, bytes: &[u8]) {
            self.bytes[usize::try_from(number).unwrap() * 1024..][..bytes.len()].copy_from_slice(bytes);
        }

        /// Writes an inode.
        pub(crate) fn inode(&mut self, number: u32, mode: u16, size: u64, flags: u32, block: &[u8]) {
            let at = 5 * 1024 + usize::try_from(number - 1).unwrap() * 128;
            let mut raw = [0; 128];
            raw[..2].copy_from_slice(&mode.to_le_bytes());
            let size = size.to_le_bytes();
            raw[4..8].copy_from_slice(&size[..4]);
            raw[0x6c..0x70].copy_from_slice(&size[4..]);
            raw[0x1a] = 1;
            raw[0x20..0x24].copy_from_slice(&flags.to_le_bytes());
            raw[0x28..0x28 + block.len()].copy_from_slice(block);
            self.bytes[at..at + 128].copy_from_slice(&raw);
        }

        /// Writes an inode with extents: first block in the file, number, first block in the file system.
        pub(crate) fn extents(&mut self, number: u32, mode: u16, size: u64, extents: &[(u32, u32, u32)]) {
            self.inode(number, mode, size, FLAG_EXTENTS, &leaf(extents));
        }

        pub(crate) fn window(self) -> Window {
            Window::whole(Arc::new(self.bytes))
        }

        pub(crate) fn open(self) -> Ext4 {
            Ext4::open(self.window()).unwrap()
        }
    }

    /// The header of a node of an extent tree.
    pub(crate) fn header(entries: u16, depth: u16) -> Vec<u8> {
        [0xf30a, entries, 84, depth, 0, 0].map(u16::to_le_bytes).concat()
    }

    /// A leaf of an extent tree.
    pub(crate) fn leaf(extents: &[(u32, u32, u32)]) -> Vec<u8> {
        let mut node = header(u16::try_from(extents.len()).unwrap(), 0);
        for (logical, length, physical) in extents {
            node.extend(logical.to_le_bytes());
            node.extend(u16::try_from(*length).unwrap().to_le_bytes());
            node.extend([0; 2]);
            node.extend(physical.to_le_bytes());
        }
        node
    }

    /// A block of a directory: names, each with its inode.
    fn block(entries: &[(&str, u32)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, inode) in entries {
            let length = (8 + name.len()).next_multiple_of(4);
            let start = block.len();
            block.extend(inode.to_le_bytes());
            block.extend([u8::try_from(length).unwrap(), 0, u8::try_from(name.len()).unwrap(), 0]);
            block.extend(name.as_bytes());
            block.resize(start + length, 0);
        }
        if block.len() < 1024 {
            block.extend([0; 4]);
            block.extend(u16::try_from(1028 - block.len()).unwrap().to_le_bytes());
            block.resize(1024, 0);
        }
        block
    }

    /// Writes a directory into blocks from `at`.
    pub(crate) fn directory(image: &mut Image, inode: u32, at: u32, entries: &[(&str, u32)]) {
        // So that every block has whole entries.
        let blocks: Vec<_> = entries.chunks(60).map(block).collect();
        let number = u32::try_from(blocks.len()).unwrap();
        image.extents(inode, DIRECTORY, u64::from(number) * 1024, &[(0, number, at)]);
        for (at, block) in (at..).zip(&blocks) {
            image.block(at, block);
        }
    }

    pub(crate) const DIRECTORY: u16 = 0o040_755;
    pub(crate) const FILE: u16 = 0o100_644;
    const LINK: u16 = 0o120_777;

    #[test]
    fn a_file_system_has_the_fields_of_its_superblock() {
        let mut image = Image::new();
        image.bytes[1024 + 0x68..][..16].fill(7);
        image.bytes[1024 + 0x78..][..6].copy_from_slice(b"data\0x");
        let ext4 = image.open();
        assert_eq!((ext4.label(), ext4.uuid(), ext4.block_size()), (&b"data"[..], Uuid([7; 16]), 1024));
        assert_eq!((ext4.generation(), ext4.needs_recovery()), ("ext4", false));
        assert_eq!(ext4.warnings(), [""; 0]);
        assert_eq!(ext4.usage(), Usage { bytes: 65_536, free: 5 * 1024, inodes: Some((32, 7)) });
        assert_eq!((ext4.offset_of(10, 2), ext4.offset_of(63, 2)), (Some(10_240), None));
        assert_eq!(ext4.volume().length(), 65_536);
        let recovering = Image::new().field(0x60, 0x46).open();
        assert!(recovering.needs_recovery());
        assert_eq!(
            recovering.warnings(),
            ["the journal has changes that are not applied; files are shown without them"]
        );
    }

    #[test]
    fn the_root_is_a_directory() {
        assert!(Image::new().open().root().is_ok());
        let mut image = Image::new();
        image.extents(2, FILE, 0, &[]);
        let error = image.open().root().unwrap_err().to_string();
        assert!(error.starts_with("inode 2: is not a directory"), "{error}");
    }

    #[test]
    fn contents_are_where_the_flags_say() {
        let mut image = Image::new();
        image.extents(12, FILE, 2000, &[(0, 2, 20)]);
        // A map of blocks.
        image.inode(13, FILE, 2000, 0, &[20, 0, 0, 0, 22, 0, 0, 0]);
        image.inode(14, FILE, 4, FLAG_INLINE_DATA, b"text and more");
        image.inode(15, FILE, 61, FLAG_INLINE_DATA, b"text");
        image.inode(16, FILE, 4, FLAG_ENCRYPT, b"text");
        image.inode(17, FILE, 60, FLAG_INLINE_DATA, &[7; 60]);
        let ext4 = image.open();
        let contents = |number| {
            let node = ext4.node(number).unwrap();
            ext4.contents(&node)
                .map_err(|error| error.to_string().split("; ").next().unwrap_or_default().to_owned())
        };
        let runs = |number| match contents(number) {
            Ok(Contents::Runs(runs)) => runs,
            other => panic!("{other:?}"),
        };
        let inline = |number| match contents(number) {
            Ok(Contents::Inline(bytes)) => bytes,
            other => panic!("{other:?}"),
        };
        assert_eq!(runs(12), [Run { at: 0, length: 2048, from: 20_480 }]);
        let second = Run { at: 1024, length: 1024, from: 22_528 };
        assert_eq!(runs(13), [Run { at: 0, length: 1024, from: 20_480 }, second]);
        assert_eq!((inline(14), inline(17)), (b"text".to_vec(), vec![7; 60]));
        let place = "inode 15: is stored in extended attributes of its inode (inline_data)";
        assert_eq!(contents(15).unwrap_err(), place);
        assert_eq!(contents(16).unwrap_err(), "inode 16: is encrypted, which can't be read");
    }

    #[test]
    fn targets_of_symlinks_are_in_the_inode_or_in_blocks() {
        let mut image = Image::new();
        let text = vec![b't'; 4096];
        image.block(20, &text);
        image.block(30, &vec![b'l'; 5000]);
        image.inode(12, LINK, 59, 0, &text[..60]);
        // More than 59 bytes are in blocks.
        image.inode(13, LINK, 60, 0, &[20, 0, 0, 0]);
        image.extents(14, LINK, 4096, &[(0, 4, 20)]);
        image.extents(15, LINK, 4097, &[(0, 5, 30)]);
        image.extents(16, LINK, 0, &[(0, 1, 20)]);
        image.extents(17, FILE, 10, &[(0, 1, 20)]);
        // A short target may be in a block, too.
        image.extents(18, LINK, 10, &[(0, 1, 20)]);
        image.inode(19, LINK, 10, FLAG_INLINE_DATA, b"inode text");
        image.inode(20, LINK, 10, FLAG_ENCRYPT, b"inode text");
        image.extents(21, LINK, 2000, &[(1, 1, 20)]);
        image.extents(22, LINK, 2000, &[(0, 1, 20)]);
        let ext4 = image.open();
        let target =
            |number| ext4.link_target(&ext4.node(number).unwrap()).map_err(|error| error.to_string());
        assert_eq!(target(12).unwrap(), text[..59]);
        assert_eq!(target(13).unwrap(), text[..60]);
        assert_eq!(target(14).unwrap(), text);
        assert_eq!((target(18).unwrap(), target(19).unwrap()), (text[..10].to_vec(), b"inode text".to_vec()));
        for (number, error) in [
            (15, "inode 15: is not a symlink of 4097 bytes"),
            (16, "inode 16: is not a symlink of 0 bytes"),
            (17, "inode 17: is not a symlink of 10 bytes"),
            (20, "inode 20: is encrypted"),
            (21, "inode 21: has a hole, which is not allowed here"),
            (22, "inode 22: is shorter than its size"),
        ] {
            let found = target(number).unwrap_err();
            assert!(found.starts_with(error), "{found}");
        }
    }

    #[test]
    fn a_directory_is_not_larger_than_the_file_system() {
        let mut image = Image::new();
        image.extents(12, 0o040_755, 65_536, &[]);
        image.extents(13, 0o040_755, 65_537, &[]);
        let ext4 = image.open();
        let entries = |number| ext4.entries(&ext4.node(number).unwrap());
        assert_eq!(entries(12).unwrap().1.len(), 1, "it has only holes");
        let error = entries(13).unwrap_err().to_string();
        assert!(
            error.starts_with("inode 13: the directory has 65537 bytes, more than the file system"),
            "{error}"
        );
    }

    #[test]
    fn raw_inodes_have_their_place() {
        let ext4 = Image::new().open();
        let raw = ext4.raw_inode(&ext4.root().unwrap()).unwrap();
        assert_eq!((raw.offset, raw.bytes.len(), raw.number, raw.seed), (5 * 1024 + 128, 128, 2, None));
    }
}
