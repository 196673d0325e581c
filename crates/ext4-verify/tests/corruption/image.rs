//! Good images in memory, and hands to damage them: fields by place, and checksums made right again.

use std::collections::BTreeMap;
use std::io;

use ext4_layout::{Compatibility, Layout, Options};
use ext4_verify::Source;
use image_tree::{
    Content, FileSource, FileTree, Metadata, MetadataId, Name, NodeKind, Permissions, PieceSource,
    SpecialKind, Timestamp, TreeWriter, Xattr, XattrName,
};

pub(crate) const BLOCK: u64 = 4096;

/// An image of which only the blocks that are not zero are kept.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Source for Image {
    fn length(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if offset + wide(buffer.len()) > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + wide(done);
            let from = narrow(at % BLOCK);
            let len = (buffer.len() - done).min(4096 - from);
            match self.blocks.get(&(at / BLOCK)) {
                Some(block) => buffer[done..done + len].copy_from_slice(&block[from..from + len]),
                None => buffer[done..done + len].fill(0),
            }
            done += len;
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> u64 {
        self.blocks
            .range(offset / BLOCK..)
            .next()
            .map_or(self.len, |(number, _)| (number * BLOCK).max(offset))
    }
}

pub(crate) fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}

pub(crate) fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn raw_crc(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

impl Image {
    /// Numbers of the blocks that are not zero.
    pub(crate) fn data(&self) -> Vec<u64> {
        self.blocks.keys().copied().collect()
    }

    pub(crate) fn get(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read(at, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (at, &byte) in (at..).zip(bytes) {
            self.blocks.entry(at / BLOCK).or_insert_with(|| vec![0; 4096])[narrow(at % BLOCK)] = byte;
        }
    }

    /// Adds to the little-endian number of some bytes.
    pub(crate) fn add(&mut self, at: u64, len: usize, more: u64) {
        let mut wide = [0; 8];
        wide[..len].copy_from_slice(&self.get(at, len));
        let sum = u64::from_le_bytes(wide).wrapping_add(more).to_le_bytes();
        self.put(at, &sum[..len]);
    }

    pub(crate) fn n(&self, at: u64, len: usize) -> u64 {
        let mut wide = [0; 8];
        wide[..len].copy_from_slice(&self.get(at, len));
        u64::from_le_bytes(wide)
    }

    fn seed(&self) -> u32 {
        raw_crc(!0, &self.get(1024 + 0x68, 16))
    }

    /// Whether there are no checksums, so that none is made right.
    pub(crate) fn is_legacy(&self) -> bool {
        self.n(1024 + 0x175, 1) == 0
    }

    /// Makes the checksum of a superblock right.
    pub(crate) fn fix_super(&mut self, at: u64) {
        if self.is_legacy() {
            return;
        }
        let crc = raw_crc(!0, &self.get(at, 0x3fc));
        self.put(at + 0x3fc, &crc.to_le_bytes());
    }

    /// Where a group's descriptor is.
    pub(crate) fn desc(&self, group: u64) -> u64 {
        BLOCK + if self.is_legacy() { 32 } else { 64 } * group
    }

    pub(crate) fn fix_desc(&mut self, group: u64) {
        if self.is_legacy() {
            return;
        }
        let at = self.desc(group);
        let number = u32::try_from(group).unwrap().to_le_bytes();
        self.put(at + 0x1e, &[0; 2]);
        let crc = raw_crc(raw_crc(self.seed(), &number), &self.get(at, 64));
        self.put(at + 0x1e, &crc.to_le_bytes()[..2]);
    }

    pub(crate) fn bitmap(&self, group: u64, field: u64) -> u64 {
        let low = self.n(self.desc(group) + field, 4);
        let high = if self.is_legacy() { 0 } else { self.n(self.desc(group) + 0x20 + field, 4) };
        (low | high << 32) * BLOCK
    }

    pub(crate) fn fix_block_bitmap(&mut self, group: u64) {
        if self.is_legacy() {
            return;
        }
        let crc = raw_crc(self.seed(), &self.get(self.bitmap(group, 0), 4096)).to_le_bytes();
        self.put(self.desc(group) + 0x18, &crc[..2]);
        self.put(self.desc(group) + 0x38, &crc[2..]);
        self.fix_desc(group);
    }

    pub(crate) fn fix_inode_bitmap(&mut self, group: u64) {
        if self.is_legacy() {
            return;
        }
        let len = narrow(self.n(1024 + 0x28, 4) / 8);
        let crc = raw_crc(self.seed(), &self.get(self.bitmap(group, 4), len)).to_le_bytes();
        self.put(self.desc(group) + 0x1a, &crc[..2]);
        self.put(self.desc(group) + 0x3a, &crc[2..]);
        self.fix_desc(group);
    }

    /// Where an inode is.
    pub(crate) fn inode(&self, number: u64) -> u64 {
        let per_group = self.n(1024 + 0x28, 4);
        let (group, index) = ((number - 1) / per_group, (number - 1) % per_group);
        self.bitmap(group, 8) + 256 * index
    }

    fn inode_seed(&self, number: u64) -> u32 {
        let generation = self.get(self.inode(number) + 0x64, 4);
        raw_crc(raw_crc(self.seed(), &u32::try_from(number).unwrap().to_le_bytes()), &generation)
    }

    pub(crate) fn fix_inode(&mut self, number: u64) {
        if self.is_legacy() {
            return;
        }
        let at = self.inode(number);
        let mut bytes = self.get(at, 256);
        let has_high = u16::from_le_bytes([bytes[0x80], bytes[0x81]]) >= 4;
        bytes[0x7c..0x7e].fill(0);
        if has_high {
            bytes[0x82..0x84].fill(0);
        }
        let crc = raw_crc(self.inode_seed(number), &bytes).to_le_bytes();
        self.put(at + 0x7c, &crc[..2]);
        if has_high {
            self.put(at + 0x82, &crc[2..]);
        }
    }

    /// Where the first block is that the root of an inode's extent tree names.
    pub(crate) fn first(&self, number: u64) -> u64 {
        let at = self.inode(number) + 0x28;
        let is_leaf = self.n(at + 6, 2) == 0;
        (if is_leaf { self.n(at + 20, 4) } else { self.n(at + 16, 4) }) * BLOCK
    }

    pub(crate) fn fix_directory(&mut self, number: u64, at: u64) {
        if self.is_legacy() {
            return;
        }
        let crc = raw_crc(self.inode_seed(number), &self.get(at, 4084));
        self.put(at + 4092, &crc.to_le_bytes());
    }

    /// Makes the checksum of a block of an index right; its entries begin at `from`.
    pub(crate) fn fix_index(&mut self, number: u64, at: u64, from: u64) {
        if self.is_legacy() {
            return;
        }
        let count = narrow(self.n(at + from + 2, 2));
        let room = if from == 0x20 { 507 } else { 510 };
        let crc = raw_crc(self.inode_seed(number), &self.get(at, narrow(from) + 8 * count));
        let tail = at + from + 8 * room;
        let crc = raw_crc(raw_crc(crc, &self.get(tail, 4)), &[0; 4]);
        self.put(tail + 4, &crc.to_le_bytes());
    }

    pub(crate) fn fix_extents(&mut self, number: u64, at: u64) {
        if self.is_legacy() {
            return;
        }
        let crc = raw_crc(self.inode_seed(number), &self.get(at, 4092));
        self.put(at + 4092, &crc.to_le_bytes());
    }

    pub(crate) fn fix_xattrs(&mut self, at: u64) {
        if self.is_legacy() {
            return;
        }
        self.put(at + 0x10, &[0; 4]);
        let crc = raw_crc(raw_crc(self.seed(), &(at / BLOCK).to_le_bytes()), &self.get(at, 4096));
        self.put(at + 0x10, &crc.to_le_bytes());
    }
}

/// Inodes of the image below, which follow the order of its names.
pub(crate) struct Names(BTreeMap<&'static str, u64>);

impl Names {
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0[name]
    }
}

fn options(compatibility: Compatibility) -> Options {
    Options::default()
        .with_compatibility(compatibility)
        .with_sealed(false)
        .with_label_bytes(*b"TEST\0\0\0\0\0\0\0\0\0\0\0\0")
        .with_uuid(*b"snugfs test uuid")
        .with_free_space(64 << 20)
        .with_free_inodes(1000)
        .with_size(None)
        .with_grow_to(None)
        .with_bytes_per_inode(16384)
        .with_journal_size(None)
        .with_reserved(None)
        .with_timestamp(Timestamp::STORE)
}

pub(crate) struct Tree {
    pub(crate) writer: TreeWriter,
    /// Of root, without attributes.
    pub(crate) plain: MetadataId,
}

pub(crate) fn name(text: &str) -> Name<'_> {
    Name::new(text.as_bytes()).unwrap()
}

impl Tree {
    fn new() -> Self {
        let metadata = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
        let mut writer = TreeWriter::new(metadata.clone(), Vec::new());
        let plain = writer.metadata(&metadata);
        Self { writer, plain }
    }

    pub(crate) fn directory(&mut self, text: &str, fill: impl FnOnce(&mut Self)) {
        self.writer.begin_directory(name(text), self.plain).unwrap();
        fill(self);
        self.writer.end_directory();
    }
}

/// A small file system without journal and reserve, for trees of a few entries. Inodes are numbered from 12 on, in the order of
/// the tree; lost+found has 11.
pub(crate) fn small(change: impl FnOnce(Options) -> Options, fill: impl FnOnce(&mut Tree)) -> Image {
    let mut tree = Tree::new();
    fill(&mut tree);
    let options = options(Compatibility::Current).with_free_space(0).with_free_inodes(0);
    assemble(&tree.writer.finish(), &change(options))
}

/// A file system with nothing in it, without journal and reserve.
pub(crate) fn tiny(compatibility: Compatibility) -> Image {
    small(|options| options.with_compatibility(compatibility), |tree| tree.directory("lost+found", |_| {}))
}

/// A small file system with a file of each kind, an index, attributes in an inode and in a block, and a journal.
pub(crate) fn middle(compatibility: Compatibility) -> (Image, Names) {
    let mut tree = Tree::new();
    let mut names = BTreeMap::new();
    let plain = tree.plain;
    tree.writer.special(name("console"), plain, SpecialKind::Character { major: 5, minor: 1 }).unwrap();
    let source = tree.writer.inline(vec![b'x'; 5000]);
    let file = tree.writer.file(name("file"), plain, 5000, source).unwrap();
    tree.writer.hard_link(name("hard"), file).unwrap();
    tree.directory("index", |tree| {
        for index in 0..100 {
            let text = format!("{index:080}");
            tree.writer.file(name(&text), plain, 0, FileSource::Inline(0)).unwrap();
        }
    });
    tree.writer.symlink(name("link"), plain, b"file").unwrap();
    tree.writer.symlink(name("longlink"), plain, &[b'l'; 100]).unwrap();
    tree.directory("lost+found", |_| {});
    tree.directory("sub", |tree| tree.directory("below", |_| {}));
    let mut metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
    let xattr = |name: &str, value: &[u8]| Xattr {
        name: XattrName::parse(name.as_bytes()).unwrap(),
        value: value.to_vec(),
    };
    metadata.xattrs = vec![xattr("user.a", b"inner"), xattr("user.bb", &[b'v'; 200])];
    let metadata = tree.writer.metadata(&metadata);
    let source = tree.writer.inline(b"text".to_vec());
    tree.writer.file(name("xattr"), metadata, 4, source).unwrap();
    for (name, inode) in ["console", "file", "index"].into_iter().zip(12..) {
        names.insert(name, inode);
    }
    for (name, inode) in ["link", "longlink", "sub", "below", "xattr"].into_iter().zip(115..) {
        names.insert(name, inode);
    }
    let options = options(compatibility).with_free_space(8 << 20).with_free_inodes(100);
    (assemble(&tree.writer.finish(), &options), Names(names))
}

/// All that there can be, except what [`two_levels`] has: 13 groups or so with copies in 1, 3, 5, 7, 9, a reserve, a journal, an
/// index, an extent tree of two levels, attributes in the inode and in a block, links, a device, a FIFO.
pub(crate) fn full(compatibility: Compatibility) -> (Image, Names) {
    let mut tree = Tree::new();
    let mut names = BTreeMap::new();
    let plain = tree.plain;
    let device = SpecialKind::Character { major: 5, minor: 1 };
    tree.writer.special(name("console"), plain, device).unwrap();
    names.insert("console", 12);
    tree.writer.file(name("deep"), plain, (700 << 20) + 5, FileSource::Inline(0)).unwrap();
    names.insert("deep", 13);
    tree.writer.special(name("fifo"), plain, SpecialKind::Fifo).unwrap();
    names.insert("fifo", 14);
    let source = tree.writer.inline(vec![b'x'; 5000]);
    let file = tree.writer.file(name("file"), plain, 5000, source).unwrap();
    names.insert("file", 15);
    tree.writer.hard_link(name("hard"), file).unwrap();
    let mut next = 16;
    tree.directory("index", |tree| {
        for index in 0..700 {
            let text = format!("name-{index:05}");
            tree.writer.file(name(&text), plain, 0, FileSource::Inline(0)).unwrap();
        }
    });
    names.insert("index", next);
    next += 701;
    tree.writer.symlink(name("link"), plain, b"file").unwrap();
    names.insert("link", next);
    tree.writer.symlink(name("longlink"), plain, &[b'l'; 100]).unwrap();
    names.insert("longlink", next + 1);
    tree.directory("lost+found", |_| {});
    tree.directory("sub", |tree| tree.directory("below", |_| {}));
    names.insert("sub", next + 2);
    names.insert("below", next + 3);
    let mut metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
    let xattr = |name: &str, value: &[u8]| Xattr {
        name: XattrName::parse(name.as_bytes()).unwrap(),
        value: value.to_vec(),
    };
    metadata.xattrs =
        vec![xattr("user.a", b"inner"), xattr("user.bb", &[b'v'; 200]), xattr("user.ccc", &[b'w'; 300])];
    let metadata = tree.writer.metadata(&metadata);
    let source = tree.writer.inline(b"text".to_vec());
    tree.writer.file(name("xattr"), metadata, 4, source).unwrap();
    names.insert("xattr", next + 4);
    // User 1234 may read, the mask says no more than that.
    let entry = |tag: u16, bits: u16| [tag.to_le_bytes(), bits.to_le_bytes(), [0xd2, 4], [0, 0]].concat();
    let entries = [entry(1, 6), entry(2, 4), entry(4, 4), entry(0x10, 4), entry(0x20, 0)];
    let mut metadata = Metadata::root_owned(Permissions::from_mode(0o640), Timestamp::STORE);
    metadata.xattrs = vec![xattr("system.posix_acl_access", &[vec![2, 0, 0, 0], entries.concat()].concat())];
    let metadata = tree.writer.metadata(&metadata);
    let source = tree.writer.inline(b"key".to_vec());
    tree.writer.file(name("zacl"), metadata, 3, source).unwrap();
    names.insert("zacl", next + 5);
    let options = options(compatibility)
        .with_free_space(1 << 30)
        .with_grow_to(Some(64 << 30))
        .with_bytes_per_inode(1 << 17)
        .with_free_inodes(1000);
    (assemble(&tree.writer.finish(), &options), Names(names))
}

/// A directory with an index of two levels. Its check takes longer than that of [`full`].
pub(crate) fn two_levels(compatibility: Compatibility) -> (Image, Names) {
    let mut tree = Tree::new();
    let plain = tree.plain;
    tree.directory("huge", |tree| {
        for index in 0..8200 {
            let text = format!("{index:0240}");
            tree.writer.file(name(&text), plain, 0, FileSource::Inline(0)).unwrap();
        }
    });
    tree.directory("lost+found", |_| {});
    let options = options(compatibility).with_free_space(0).with_free_inodes(0);
    (assemble(&tree.writer.finish(), &options), Names(BTreeMap::from([("huge", 12)])))
}

fn assemble(tree: &FileTree, options: &Options) -> Image {
    let layout = Layout::plan(tree, options).unwrap();
    let mut image = Image { len: layout.len(), blocks: BTreeMap::new() };
    for piece in layout.pieces() {
        let bytes = match piece.content {
            Content::Zeros | Content::Unused | Content::FileZeros { .. } => continue,
            Content::Metadata => {
                let mut bytes = vec![0; narrow(piece.len)];
                layout.generate(&piece, &mut bytes);
                bytes
            }
            Content::File { file, offset } => match tree.node(file.node).kind() {
                NodeKind::File { source: FileSource::Inline(index), size } if size < 10_000 => {
                    tree.inline(index)[narrow(offset)..narrow(offset + piece.len)].to_vec()
                }
                _ => continue,
            },
        };
        for (index, chunk) in bytes.chunks(4096).enumerate() {
            if chunk.iter().any(|&byte| byte != 0) {
                image.put(piece.offset + wide(index) * BLOCK, chunk);
            }
        }
    }
    image
}
