//! Reads extended attributes: those in the inode, then those in a block.
//!
//! Source: `fs/ext4/xattr.c` and `fs/ext4/acl.h`.

use ext4_ondisk::xattr::{self, XattrEntry, acl, name_index};
use ext4_ondisk::{Inode, read_padded};

use super::inode::RawInode;
use crate::ReadError;
use crate::bytes::Bytes;
use crate::file_system::Attribute;

/// Size of the part that every inode has, in \[bytes\]. Attributes follow the additional fields, so a shorter inode has none.
const BASE_SIZE: usize = 128;
/// The version at the start of an access control list that the kernel returns (`POSIX_ACL_XATTR_VERSION`).
const RETURNED_ACL: u32 = 2;
/// The id of entries without one in such a list.
const NO_ID: u32 = u32::MAX;

/// The place of the attributes in an inode; `None` if it has none.
fn in_inode(raw: &RawInode) -> Option<&[u8]> {
    let inode: Inode = read_padded(&raw.bytes);
    let start = BASE_SIZE.checked_add(inode.i_extra_isize.get().into())?;
    let (magic, list) = raw.bytes.get(start..)?.split_at_checked(xattr::INODE_HEADER_SIZE)?;
    (magic == xattr::MAGIC.to_le_bytes()).then_some(list)
}

/// The number of the block with attributes, if there is one.
pub(super) fn block_of(raw: &RawInode) -> Option<u64> {
    let inode: Inode = read_padded(&raw.bytes);
    let block = u64::from(inode.i_file_acl_lo.get()) | u64::from(inode.i_file_acl_high.get()) << 32;
    (block > 0).then_some(block)
}

/// The attributes of an inode. `block` has the bytes of the block with the others.
pub(super) fn all(raw: &RawInode, block: Option<&[u8]>) -> Result<Vec<Attribute>, ReadError> {
    let damaged = |what: &str| ReadError::damaged(format!("inode {}", raw.number), what);
    let mut found = Vec::new();
    if let Some(list) = in_inode(raw) {
        let listed = list_of(list, 0, &mut found);
        listed.ok_or_else(|| damaged("its extended attributes are not where they should be"))?;
    }
    if let Some(block) = block {
        if !block.starts_with(&xattr::MAGIC.to_le_bytes()) {
            return Err(damaged("the block of its extended attributes has none"));
        }
        let listed = list_of(block, xattr::HEADER_SIZE, &mut found);
        listed.ok_or_else(|| damaged("the extended attributes in its block are not where they should be"))?;
    }
    Ok(found)
}

/// Adds the attributes of a list whose entries begin at `at`; places of values count from the start of `list`. `None` if something
/// is outside of the list, or if values overlap.
fn list_of(list: &[u8], at: usize, found: &mut Vec<Attribute>) -> Option<()> {
    let mut rest = list.get(at..)?;
    let mut left = list.len();
    loop {
        if rest.iter().take(xattr::END_SIZE).all(|byte| *byte == 0) {
            return Some(());
        }
        let entry: XattrEntry = read_padded(rest.get(..xattr::ENTRY_SIZE)?);
        let after = rest.get(xattr::ENTRY_SIZE..)?;
        let name = after.get(..entry.e_name_len.into())?;
        let value = if entry.e_value_inum.get() == 0 {
            let length = usize::try_from(entry.e_value_size.get()).ok()?;
            left = left.checked_sub(length)?;
            let from = usize::from(entry.e_value_offs.get());
            Some(list.get(from..from.checked_add(length)?)?.to_vec())
        } else {
            None
        };
        let is_acl =
            matches!(entry.e_name_index, name_index::POSIX_ACL_ACCESS | name_index::POSIX_ACL_DEFAULT);
        let value = value.map(|value| if is_acl { returned_acl(&value).unwrap_or(value) } else { value });
        found.push(Attribute { name: full_name(entry.e_name_index, name), value });
        rest = after.get(name.len().checked_next_multiple_of(xattr::ALIGNMENT)?..)?;
    }
}

fn full_name(index: u8, name: &[u8]) -> Vec<u8> {
    let prefix = match index {
        name_index::USER => "user.",
        name_index::POSIX_ACL_ACCESS => "system.posix_acl_access",
        name_index::POSIX_ACL_DEFAULT => "system.posix_acl_default",
        name_index::TRUSTED => "trusted.",
        name_index::SECURITY => "security.",
        // `EXT4_XATTR_INDEX_SYSTEM`
        7 => "system.",
        other => return [format!("{other}.").as_bytes(), name].concat(),
    };
    [prefix.as_bytes(), name].concat()
}

/// An access control list as `getxattr` returns it; `None` if it is not one that Linux stores.
fn returned_acl(stored: &[u8]) -> Option<Vec<u8>> {
    let (version, mut rest) = stored.split_at_checked(4)?;
    if version != acl::VERSION.to_le_bytes() {
        return None;
    }
    let mut list = RETURNED_ACL.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let tag = Bytes(rest).le16(0);
        let (entry, others) = rest.split_at_checked(if acl::TAGS_WITH_ID.contains(&tag) { 8 } else { 4 })?;
        list.extend_from_slice(entry);
        if entry.len() == 4 {
            list.extend_from_slice(&NO_ID.to_le_bytes());
        }
        rest = others;
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry without its value.
    fn entry(index: u8, name: &[u8], at: u16, length: u32) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(name.len()).unwrap(), index];
        bytes.extend(at.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(name);
        bytes.resize(bytes.len().next_multiple_of(xattr::ALIGNMENT), 0);
        bytes
    }

    fn read(list: &[u8]) -> Option<Vec<(String, Option<Vec<u8>>)>> {
        let mut found = Vec::new();
        list_of(list, 0, &mut found)?;
        let shown = |one: Attribute| (String::from_utf8(one.name).unwrap(), one.value);
        Some(found.into_iter().map(shown).collect())
    }

    #[test]
    fn names_have_their_namespace_and_access_control_lists_are_those_of_getxattr() {
        let acl = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0];
        let mut list = [entry(6, b"selinux", 96, 4), entry(2, b"", 100, 20), entry(9, b"c", 96, 0)].concat();
        list.resize(96, 0);
        list.extend(*b"a:b\0");
        list.extend(acl);
        let returned = [
            &[2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255][..],
            &[2, 0, 4, 0, 7, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255],
        ];
        let expected = [
            ("security.selinux", b"a:b\0".to_vec()),
            ("system.posix_acl_access", returned.concat()),
            ("9.c", Vec::new()),
        ];
        assert_eq!(read(&list).unwrap(), expected.map(|(name, value)| (name.to_owned(), Some(value))));
    }

    #[test]
    fn a_list_that_leaves_its_area_is_damaged() {
        let with = |mut entry: Vec<u8>, length| {
            entry.resize(length, 0);
            read(&entry)
        };
        assert_eq!(with(entry(1, b"a", 0, 0), 24), Some(vec![("user.a".to_owned(), Some(Vec::new()))]));
        assert_eq!(with(entry(1, b"a", 0, 24), 24).map(|found| found.len()), Some(1));
        assert_eq!(with(entry(1, b"a", 1, 24), 24), None);
        assert_eq!(with(entry(1, b"a", u16::MAX, 1), 24), None);
        assert_eq!(read(&entry(1, b"abcd", 0, 0)[..17]), None);
        // Values that overlap could take more memory than the area.
        let two = [entry(1, b"a", 0, 40), entry(1, b"b", 0, 40), vec![0; 24]].concat();
        assert_eq!(read(&two), None);
    }

    /// An inode of 256 bytes with additional fields of this length, and bytes after them.
    fn inode(extra: u8, rest: &[u8]) -> RawInode {
        let mut bytes = vec![0; 256];
        bytes[0x80] = extra;
        let at = 128 + usize::from(extra);
        bytes[at..at + rest.len()].copy_from_slice(rest);
        RawInode { offset: 0, bytes, number: 12, seed: None }
    }

    const MAGIC: [u8; 4] = [0, 0, 2, 0xea];

    /// A block of attributes: a header of 32 bytes, and entries.
    fn block(entries: &[u8]) -> Vec<u8> {
        let mut block = [&MAGIC[..], &[0; 28], entries].concat();
        block.resize(1024, 0);
        block
    }

    fn names(raw: &RawInode, block: Option<&[u8]>) -> Result<Vec<String>, String> {
        let found = all(raw, block)
            .map_err(|error| error.to_string().split("; ").next().unwrap_or_default().to_owned())?;
        Ok(found.into_iter().map(|one| String::from_utf8(one.name).unwrap()).collect())
    }

    #[test]
    fn attributes_are_in_the_inode_and_in_a_block() {
        let own = [&MAGIC[..], &entry(1, b"a", 0, 0)].concat();
        let other = block(&entry(4, b"b", 0, 0));
        assert_eq!(names(&inode(32, &own), None).unwrap(), ["user.a"]);
        assert_eq!(names(&inode(28, &own), Some(&other)).unwrap(), ["user.a", "trusted.b"]);
        assert_eq!(names(&inode(32, &own[1..]), Some(&other)).unwrap(), ["trusted.b"]);
        // A short inode has none, nor has one whose fields take all of it.
        let short = RawInode { bytes: vec![0; 128], ..inode(0, &[]) };
        assert_eq!(names(&short, None).unwrap(), [""; 0]);
        assert_eq!(names(&inode(125, &[]), None).unwrap(), [""; 0]);
    }

    #[test]
    fn damaged_attributes_are_named() {
        let bad = entry(1, b"a", 2000, 1);
        let own = inode(32, &[&MAGIC[..], &bad].concat());
        assert_eq!(
            names(&own, None).unwrap_err(),
            "inode 12: its extended attributes are not where they should be"
        );
        let error = |block: &[u8]| names(&inode(32, &[]), Some(block)).unwrap_err();
        assert_eq!(
            error(&block(&bad)),
            "inode 12: the extended attributes in its block are not where they should be"
        );
        assert_eq!(error(&[0; 1024]), "inode 12: the block of its extended attributes has none");
    }

    #[test]
    fn the_number_of_the_block_has_48_bits() {
        let mut raw = inode(32, &[]);
        assert_eq!(block_of(&raw), None);
        raw.bytes[0x68] = 5;
        assert_eq!(block_of(&raw), Some(5));
        raw.bytes[0x76] = 7;
        assert_eq!(block_of(&raw), Some(7 << 32 | 5));
    }

    #[test]
    fn namespaces_have_numbers() {
        let expected = [
            (1, "user.x"),
            (2, "system.posix_acl_accessx"),
            (3, "system.posix_acl_defaultx"),
            (4, "trusted.x"),
            (6, "security.x"),
            (7, "system.x"),
            (8, "8.x"),
        ];
        for (index, name) in expected {
            assert_eq!(full_name(index, b"x"), name.as_bytes());
        }
    }

    #[test]
    fn values_in_inodes_of_their_own_are_not_read() {
        let mut list = entry(1, b"a", 0, 5000);
        list[4] = 13;
        list.resize(64, 0);
        assert_eq!(read(&list), Some(vec![("user.a".to_owned(), None)]));
    }

    #[test]
    fn other_lists_of_access_control_are_as_they_are_stored() {
        // Another version, and a part of an entry.
        for stored in [&[2, 0, 0, 0, 1, 0, 6, 0][..], &[1, 0, 0, 0, 1, 0, 6], &[1, 0]] {
            assert_eq!(returned_acl(stored), None);
        }
        assert_eq!(returned_acl(&[1, 0, 0, 0]).unwrap(), [2, 0, 0, 0]);
    }
}
