//! Encodes extended attributes: as many as fit into the inode, and the others into one block.

use ext4_ondisk::Checksum;
use ext4_ondisk::inode::XATTR_SIZE;
use ext4_ondisk::xattr::{
    self, ALIGNMENT, CHECKSUM_OFFSET, END_SIZE, ENTRY_SIZE, HEADER_SIZE, INODE_HEADER_SIZE, MAGIC,
    XattrEntry, XattrHeader, acl, name_index,
};
use image_tree::{Acl, InvalidAcl, Metadata, NodeKind, Permissions, Xattr, XattrName, XattrNamespace};
use zerocopy::IntoBytes;

use crate::directory::{put, put_bytes};
use crate::units::{BLOCK_BYTES, BlockNr, narrow, wide};

/// The encoded attributes of one metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    /// The area at the end of the inode.
    pub(crate) in_inode: Option<Box<[u8; XATTR_SIZE]>>,
    /// The block, without its checksum, which depends on its number.
    block: Option<Box<[u8]>>,
}

/// The error for attributes that can't be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unstorable {
    /// Two attributes have this name.
    Twice(XattrName),
    /// This number of bytes does not fit.
    TooLarge { by: usize },
    /// An access control list that Linux would reject.
    BadAcl(InvalidAcl),
    /// An access control list with other permissions than the mode.
    AclMode { mode: Permissions, list: Permissions },
}

/// An attribute in the format on disk.
struct Item {
    index: u8,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Item {
    /// Encodes an attribute; `None` for an access control list without entries, which is not stored.
    fn of(xattr: &Xattr) -> Result<Option<Self>, Unstorable> {
        let index = match xattr.name.namespace() {
            XattrNamespace::User => name_index::USER,
            XattrNamespace::PosixAclAccess => name_index::POSIX_ACL_ACCESS,
            XattrNamespace::PosixAclDefault => name_index::POSIX_ACL_DEFAULT,
            XattrNamespace::Trusted => name_index::TRUSTED,
            XattrNamespace::Security => name_index::SECURITY,
        };
        let value = if matches!(index, name_index::POSIX_ACL_ACCESS | name_index::POSIX_ACL_DEFAULT) {
            acl_on_disk(&xattr.value).map_err(Unstorable::BadAcl)?
        } else {
            Some(xattr.value.clone())
        };
        Ok(value.map(|value| Self { index, name: xattr.name.suffix().to_vec(), value }))
    }

    fn bytes(&self) -> usize {
        ENTRY_SIZE
            + self.name.len().next_multiple_of(ALIGNMENT)
            + self.value.len().next_multiple_of(ALIGNMENT)
    }
}

impl Encoded {
    /// Encodes all attributes of a metadata.
    pub(crate) fn of(metadata: &Metadata) -> Result<Self, Unstorable> {
        if metadata.xattrs.is_empty() {
            return Ok(Self::default());
        }
        check_mode(metadata)?;
        let mut names: Vec<_> = metadata.xattrs.iter().map(|xattr| &xattr.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]) {
            return Err(Unstorable::Twice(twice.clone()));
        }
        let mut inner = Vec::new();
        let mut outer = Vec::new();
        let mut room = XATTR_SIZE - INODE_HEADER_SIZE - END_SIZE;
        for xattr in &metadata.xattrs {
            let Some(item) = Item::of(xattr)? else { continue };
            if item.bytes() <= room {
                room -= item.bytes();
                inner.push(item);
            } else {
                outer.push(item);
            }
        }
        let needed = HEADER_SIZE + END_SIZE + outer.iter().map(Item::bytes).sum::<usize>();
        if needed > BLOCK_BYTES {
            return Err(Unstorable::TooLarge { by: needed - BLOCK_BYTES });
        }
        Ok(Self { in_inode: encode_inner(&inner), block: encode_outer(outer) })
    }

    /// Number of blocks of the attributes, besides the inode: 0 or 1.
    pub(crate) fn blocks(&self) -> u64 {
        u64::from(self.block.is_some())
    }

    /// Generates the block. Its checksum covers its number.
    pub(crate) fn write_block(&self, at: BlockNr, filesystem: Option<Checksum>, out: &mut [u8]) {
        if let Some(block) = &self.block {
            put_bytes(out, 0, block);
            if let Some(filesystem) = filesystem {
                let checksum = xattr::computed_checksum(filesystem, at.0, out);
                put_bytes(out, CHECKSUM_OFFSET, &checksum.to_le_bytes());
            }
        }
    }
}

/// Whether Linux returns an attribute for a file of this type (`xattr_permission` and `set_posix_acl` of Linux).
pub(crate) fn is_possible(namespace: XattrNamespace, kind: NodeKind) -> bool {
    match namespace {
        XattrNamespace::User => matches!(kind, NodeKind::File { .. } | NodeKind::Directory { .. }),
        XattrNamespace::PosixAclDefault => matches!(kind, NodeKind::Directory { .. }),
        XattrNamespace::PosixAclAccess => !matches!(kind, NodeKind::Symlink { .. }),
        XattrNamespace::Trusted | XattrNamespace::Security => true,
    }
}

/// Checks that mode and access list agree. Linux keeps them in agreement, and reads either.
fn check_mode(metadata: &Metadata) -> Result<(), Unstorable> {
    let is_access = |xattr: &&Xattr| xattr.name.namespace() == XattrNamespace::PosixAclAccess;
    let Some(access) = metadata.xattrs.iter().find(is_access) else { return Ok(()) };
    let Some(acl) = Acl::parse(&access.value).map_err(Unstorable::BadAcl)? else { return Ok(()) };
    let (mode, list) = (metadata.permissions, acl.mode(metadata.permissions));
    if mode == list { Ok(()) } else { Err(Unstorable::AclMode { mode, list }) }
}

/// Encodes the area in the inode: magic number, entries upwards, values downwards from the end, with offsets from the
/// first entry. As with mke2fs, hashes are 0 there.
fn encode_inner(items: &[Item]) -> Option<Box<[u8; XATTR_SIZE]>> {
    if items.is_empty() {
        return None;
    }
    let mut area = Box::new([0; XATTR_SIZE]);
    put_bytes(&mut area[..], 0, &MAGIC.to_le_bytes());
    encode(&mut area[INODE_HEADER_SIZE..], 0, items, false);
    Some(area)
}

/// Encodes the block: header, entries upwards, values downwards from the end, with offsets from the start of the block.
/// Entries are sorted by namespace, length of name, and name, because the kernel's search relies on this order.
fn encode_outer(mut items: Vec<Item>) -> Option<Box<[u8]>> {
    if items.is_empty() {
        return None;
    }
    items.sort_by(|a, b| (a.index, a.name.len(), &a.name).cmp(&(b.index, b.name.len(), &b.name)));
    let mut block = vec![0; BLOCK_BYTES].into_boxed_slice();
    let hashes = encode(&mut block, HEADER_SIZE, &items, true);
    let header = XattrHeader {
        h_magic: MAGIC.into(),
        h_refcount: 1.into(),
        h_blocks: 1.into(),
        h_hash: xattr::block_hash(&hashes).into(),
        h_checksum: 0.into(),
        h_reserved: [0.into(); 3],
    };
    put(&mut block, 0, &header);
    Some(block)
}

fn encode(area: &mut [u8], start: usize, items: &[Item], with_hashes: bool) -> Vec<u32> {
    let mut at = start;
    let mut value_at = area.len();
    let mut hashes = Vec::with_capacity(items.len());
    for item in items {
        value_at -= item.value.len().next_multiple_of(ALIGNMENT);
        let hash = if with_hashes { xattr::entry_hash(&item.name, &item.value) } else { 0 };
        hashes.push(hash);
        let entry = XattrEntry {
            e_name_len: narrow(wide(item.name.len()), "`XattrName` has at most 255 bytes"),
            e_name_index: item.index,
            // An empty value has no offset.
            e_value_offs: if item.value.is_empty() {
                0
            } else {
                narrow::<u16>(wide(value_at), "an area of attributes has at most 4096 bytes")
            }
            .into(),
            e_value_inum: 0.into(),
            e_value_size: narrow::<u32>(wide(item.value.len()), "what does not fit into a block is refused")
                .into(),
            e_hash: hash.into(),
        };
        put_bytes(area, at, entry.as_bytes());
        put_bytes(area, at + ENTRY_SIZE, &item.name);
        put_bytes(area, value_at, &item.value);
        at += ENTRY_SIZE + item.name.len().next_multiple_of(ALIGNMENT);
    }
    hashes
}

/// Converts an access control list of `getxattr` (version 2, always tag, permissions and id) into that of ext4
/// (version 1, ids only with named users and groups; `fs/ext4/acl.c` of Linux).
fn acl_on_disk(value: &[u8]) -> Result<Option<Vec<u8>>, InvalidAcl> {
    // With a list that Linux rejects, nobody could open the file.
    let Some(acl) = Acl::parse(value)? else { return Ok(None) };
    let value = acl.to_value();
    let (_version, entries) = value.split_at(4);
    let mut disk = acl::VERSION.to_le_bytes().to_vec();
    for entry in entries.chunks_exact(8) {
        let (short, id) = entry.split_at(4);
        disk.extend_from_slice(short);
        if acl::TAGS_WITH_ID.contains(&u16::from_le_bytes([short[0], short[1]])) {
            disk.extend_from_slice(id);
        }
    }
    Ok(Some(disk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_tree::{Permissions, Timestamp, XattrName};

    fn metadata(xattrs: &[(&str, usize)]) -> Metadata {
        let mut metadata = Metadata::root_owned(Permissions::STORE_FILE, Timestamp::STORE);
        metadata.xattrs = xattrs
            .iter()
            .map(|&(name, len)| Xattr {
                name: XattrName::parse(name.as_bytes()).unwrap(),
                value: vec![b'v'; len],
            })
            .collect();
        metadata
    }

    #[test]
    fn small_attributes_stay_in_the_inode() {
        let encoded = Encoded::of(&metadata(&[("user.a", 10), ("security.capability", 20)])).unwrap();
        assert_eq!(encoded.blocks(), 0);
        let area = encoded.in_inode.unwrap();
        assert_eq!(area[..4], MAGIC.to_le_bytes());
        assert_eq!((area[4], area[5]), (1, 1));
        assert_eq!(usize::from(u16::from_le_bytes([area[6], area[7]])), XATTR_SIZE - INODE_HEADER_SIZE - 12);
    }

    #[test]
    fn attributes_that_do_not_fit_use_a_block_and_then_fail() {
        let encoded = Encoded::of(&metadata(&[("user.a", 10), ("user.large", 1000)])).unwrap();
        assert!(encoded.in_inode.is_some());
        assert_eq!(encoded.blocks(), 1);
        let exact = BLOCK_BYTES - HEADER_SIZE - END_SIZE - 16 - 4;
        assert_eq!(Encoded::of(&metadata(&[("user.a", exact)])).unwrap().blocks(), 1);
        assert_eq!(
            Encoded::of(&metadata(&[("user.a", exact + 1)])).unwrap_err(),
            Unstorable::TooLarge { by: 4 }
        );
        // Two entries of 16 bytes, names of 4 and 8, values of 2,000 and 2,020.
        let two = |len| Encoded::of(&metadata(&[("user.a", 2000), ("user.bcdef", len)])).map(|e| e.blocks());
        assert_eq!(two(2016), Ok(1));
        assert_eq!(two(2017), Err(Unstorable::TooLarge { by: 4 }));
        assert_eq!(two(2100), Err(Unstorable::TooLarge { by: 84 }));
    }

    /// The attributes of an area, as Linux reads them: namespace, name, value. In an inode, hashes are 0.
    fn decode(area: &[u8], entries: usize, with_hashes: bool) -> Vec<(u8, Vec<u8>, Vec<u8>)> {
        let mut at = entries;
        let mut found = Vec::new();
        let number = |at: usize| usize::from(u16::from_le_bytes([area[at], area[at + 1]]));
        while area[at..at + 4] != [0; 4] {
            let (name_len, value_at, value_len) = (usize::from(area[at]), number(at + 2), number(at + 8));
            let name = &area[at + ENTRY_SIZE..at + ENTRY_SIZE + name_len];
            let value = &area[value_at..value_at + value_len];
            let hash = if with_hashes { xattr::entry_hash(name, value) } else { 0 };
            assert_eq!(area[at + 12..at + 16], hash.to_le_bytes());
            assert_eq!(area[at + 4..at + 8], [0; 4], "no inode has the value");
            assert_eq!(area[at + 10..at + 12], [0; 2]);
            found.push((area[at + 1], name.to_vec(), value.to_vec()));
            at += ENTRY_SIZE + name_len.next_multiple_of(4);
        }
        found
    }

    #[test]
    fn the_inode_has_what_fits_and_the_block_the_rest() {
        /// Names and lengths of attributes, and which of them are in the inode and in the block.
        type Case<'c> = (&'c [(&'c str, usize)], &'c [usize], &'c [usize]);
        let cases: [Case<'_>; 6] = [
            // 88 bytes: an entry has 16, name and value are padded to four.
            (&[("user.a", 68)], &[0], &[]),
            (&[("user.a", 69)], &[], &[0]),
            (&[("user.abcd", 66), ("user.b", 1)], &[0], &[1]),
            (&[("user.abcde", 3), ("trusted.b", 40)], &[0, 1], &[]),
            (&[("user.abcde", 3), ("trusted.b", 45), ("user.c", 0), ("user.d", 9)], &[0, 2, 3], &[1]),
            (&[("user.long", 300), ("security.b", 90), ("user.it", 70), ("user.d", 7)], &[3], &[2, 0, 1]),
        ];
        for (xattrs, inner, outer) in cases {
            let encoded = Encoded::of(&metadata(xattrs)).unwrap();
            let expected = |order: &[usize]| -> Vec<_> {
                let item = |&at: &usize| {
                    let item = Item::of(&metadata(xattrs).xattrs[at]).unwrap().unwrap();
                    (item.index, item.name, item.value)
                };
                order.iter().map(item).collect()
            };
            let in_inode = encoded.in_inode.as_ref().map(|area| {
                assert_eq!(area[..4], MAGIC.to_le_bytes());
                decode(&area[INODE_HEADER_SIZE..], 0, false)
            });
            assert_eq!(in_inode.unwrap_or_default(), expected(inner), "{xattrs:?}");
            assert_eq!(encoded.in_inode.is_some(), !inner.is_empty());
            assert_eq!(encoded.blocks(), u64::from(!outer.is_empty()));
            let in_block = encoded.block.as_ref().map(|block| {
                assert_eq!(block.len(), BLOCK_BYTES);
                decode(block, HEADER_SIZE, true)
            });
            assert_eq!(in_block.unwrap_or_default(), expected(outer), "{xattrs:?}");
        }
    }

    #[test]
    fn the_checksum_of_a_block_covers_its_number() {
        let encoded = Encoded::of(&metadata(&[("user.a", 300)])).unwrap();
        let written = |number, filesystem| {
            let mut out = vec![0; BLOCK_BYTES];
            encoded.write_block(BlockNr(number), filesystem, &mut out);
            out
        };
        let filesystem = Checksum::of_filesystem(b"snugfs test uuid");
        let plain = written(7, None);
        assert_eq!(plain, encoded.block.clone().unwrap().into_vec());
        for number in [7, 8] {
            let mut expected = plain.clone();
            let checksum = xattr::computed_checksum(filesystem, number, &plain);
            put_bytes(&mut expected, CHECKSUM_OFFSET, &checksum.to_le_bytes());
            assert_eq!(written(number, Some(filesystem)), expected);
        }
    }

    #[test]
    fn entries_of_a_block_are_sorted_by_length_before_bytes() {
        let encoded =
            Encoded::of(&metadata(&[("user.aaaaaaaa", 200), ("user.b", 200), ("user.cc", 200)])).unwrap();
        let block = encoded.block.unwrap();
        assert_eq!((block[32], block[48]), (1, b'b'));
    }

    #[test]
    fn access_lists_lose_ids_without_a_meaning() {
        let list = [
            &2_u32.to_le_bytes()[..],
            &[1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff],
            &[2, 0, 4, 0, 0xe8, 3, 0, 0],
            &[4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff],
            &[16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff],
            &[32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
        ]
        .concat();
        assert_eq!(
            acl_on_disk(&list).unwrap().unwrap(),
            [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xe8, 3, 0, 0, 4, 0, 4, 0, 16, 0, 4, 0, 32, 0, 0, 0]
        );
        assert_eq!(acl_on_disk(&list[..4]), Ok(None));
        assert_eq!(acl_on_disk(&[1, 0, 0, 0]), Err(InvalidAcl::Form));
    }

    #[test]
    fn rejects_an_access_list_that_disagrees_with_the_mode() {
        let name = XattrName::parse(b"system.posix_acl_access").unwrap();
        let entry = |tag: u8, bits: u8| [tag, 0, bits, 0, 1, 0, 0, 0];
        let entries = [entry(1, 6), entry(2, 4), entry(4, 4), entry(16, 1), entry(32, 0)].concat();
        let value = [&[2, 0, 0, 0][..], &entries].concat();
        let mut metadata = Metadata::root_owned(Permissions::from_mode(0o4610), Timestamp::STORE);
        metadata.xattrs = vec![Xattr { name, value }];
        assert!(Encoded::of(&metadata).is_ok());
        metadata.permissions = Permissions::from_mode(0o4640);
        let (mode, list) = (metadata.permissions, Permissions::from_mode(0o4610));
        assert_eq!(Encoded::of(&metadata).unwrap_err(), Unstorable::AclMode { mode, list });
        metadata.xattrs[0].value.truncate(20);
        assert!(matches!(Encoded::of(&metadata), Err(Unstorable::BadAcl(InvalidAcl::Count { .. }))));
    }
}
