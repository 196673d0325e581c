//! Extended attributes: behind the fields of an inode, and in a block. Kernel documentation, "Extended Attributes".

use crate::acl;
use crate::checker::{Checker, Links};
use crate::codes::Code;
use crate::geometry::BLOCK_BYTES;
use crate::inode::Inode;
use crate::numbers::{byte, is_zero, le16, le32, part, to_usize};
use crate::observer::Attribute;
use crate::problem::Place;
use crate::source::Unreadable;

const MAGIC: u32 = 0xea02_0000;
/// Where the attributes of an inode begin, and how much room there is.
const IN_INODE: (usize, usize) = (0xa0, 96);
const HEADER: usize = 32;
const ENTRY: usize = 16;

/// An entry of a list.
struct Entry<'b> {
    index: u8,
    name: &'b [u8],
    value: &'b [u8],
    hash: u32,
}

/// A list of attributes: bytes, where entries begin, and whether it is a block's, sorted and with hashes.
struct List<'b> {
    bytes: &'b [u8],
    from: usize,
    is_block: bool,
}

impl Checker<'_> {
    /// Judges the attributes of an inode, and gives them and the number of blocks that they take.
    pub(crate) fn xattrs(&mut self, inode: &Inode) -> Result<(u64, Vec<Attribute>), Unreadable> {
        let (blocks, found) = self.all_xattrs(inode)?;
        let mode = le16(&inode.raw, 0) & 0o777;
        let access = found.iter().find(|attribute| attribute.name == b"system.posix_acl_access");
        let agreed = access.and_then(|attribute| acl::mode_bits(&attribute.value));
        if let Some(bits) = agreed.filter(|bits| *bits != mode) {
            let text = format!("has mode {mode:03o}, but its access control list says {bits:03o}");
            self.at_inode(Code::XattrAclMode, inode.number, text);
        }
        Ok((blocks, found))
    }

    fn all_xattrs(&mut self, inode: &Inode) -> Result<(u64, Vec<Attribute>), Unreadable> {
        let mut found = Vec::new();
        let area = part(&inode.raw, IN_INODE.0, IN_INODE.1);
        if !is_zero(area) {
            if le32(area, 0) == MAGIC {
                let list = List { bytes: part(area, 4, area.len()), from: 0, is_block: false };
                self.list(inode.number, &list, &mut found);
            } else {
                let text = format!("its attributes begin with {:#010x} and not {MAGIC:#010x}", le32(area, 0));
                self.at_inode(Code::XattrMagic, inode.number, text);
            }
        }
        if inode.xattr_block == 0 {
            return Ok((0, found));
        }
        self.xattr_block(inode, &mut found)?;
        let mut names: Vec<_> = found.iter().map(|attribute| attribute.name.as_slice()).collect();
        names.sort_unstable();
        if let Some(name) = names.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
            let text = format!("has two attributes {}", image_tree::escaped(name));
            self.at_inode(Code::XattrDuplicate, inode.number, text);
        }
        Ok((1, found))
    }

    fn xattr_block(&mut self, inode: &Inode, found: &mut Vec<Attribute>) -> Result<(), Unreadable> {
        let (number, at) = (inode.number, inode.xattr_block);
        if let Some(users) = self.shared_xattrs.get_mut(&at) {
            users.counted = users.counted.saturating_add(1);
            let block = self.block(at)?;
            self.list(number, &List { bytes: &block, from: HEADER, is_block: true }, found);
            return Ok(());
        }
        if !self.claim(at, 1, &|| format!("attributes of inode {number}")) {
            return Ok(());
        }
        let block = self.block(at)?;
        if le32(&block, 0) != MAGIC {
            let text =
                format!("attribute block {at} begins with {:#010x} and not {MAGIC:#010x}", le32(&block, 0));
            self.at_inode(Code::XattrMagic, number, text);
            return Ok(());
        }
        let users = le32(&block, 4);
        self.shared_xattrs.insert(at, Links { said: users, counted: 1 });
        if users > 1 {
            let text = format!("says {users} users of its attributes");
            self.problem(Code::XattrShared, Place::Block(at), text);
        }
        if le32(&block, 8) != 1 || !is_zero(part(&block, 0x14, 12)) {
            let text = format!(
                "header of attribute block {at} says {} blocks, or is not zero behind",
                le32(&block, 8)
            );
            self.at_inode(Code::XattrHeader, number, text);
        }
        let seed = self.sb.seed.over(&at.to_le_bytes());
        let computed = seed.over(part(&block, 0, 0x10)).over(&[0; 4]).over(part(&block, 0x14, BLOCK_BYTES)).0;
        if le32(&block, 0x10) != computed {
            let text = format!(
                "checksum of attribute block {at} is {:#010x}, should be {computed:#010x}",
                le32(&block, 0x10)
            );
            self.at_inode(Code::XattrChecksum, number, text);
        }
        let hashes = self.list(number, &List { bytes: &block, from: HEADER, is_block: true }, found);
        let all = hashes.iter().fold(0_u32, |all, hash| all.rotate_left(16) ^ hash);
        let all = if hashes.contains(&0) { 0 } else { all };
        if le32(&block, 0x0c) != all {
            let text = format!(
                "hash of attribute block {at} is {:#010x}, should be {all:#010x}",
                le32(&block, 0x0c)
            );
            self.at_inode(Code::XattrHash, number, text);
        }
        Ok(())
    }

    /// Judges a list, adds what it has to `found`, and gives the hashes of its entries.
    fn list(&mut self, number: u32, list: &List<'_>, found: &mut Vec<Attribute>) -> Vec<u32> {
        let bytes = list.bytes;
        let mut taken = vec![false; bytes.len()];
        let mut take = |from: usize, len: usize| {
            let area = taken.get_mut(from..from.saturating_add(len));
            let is_free = area.as_ref().is_some_and(|area| area.iter().all(|taken| !taken));
            if let Some(area) = area.filter(|_| is_free) {
                area.fill(true);
            }
            is_free
        };
        let mut values = Vec::new();
        let mut entries = Vec::new();
        let mut at = list.from;
        take(0, list.from);
        while !is_zero(part(bytes, at, 4)) {
            let name_len = usize::from(byte(bytes, at));
            let length = ENTRY + name_len.next_multiple_of(4);
            if at + length + 4 > bytes.len() {
                self.at_inode(Code::XattrEntry, number, "its list of attributes does not end");
                return Vec::new();
            }
            take(at, ENTRY + name_len);
            let (value_at, value_len) =
                (usize::from(le16(bytes, at + 2)), to_usize(u64::from(le32(bytes, at + 8))));
            let value = bytes.get(value_at..value_at.saturating_add(value_len));
            values.push((value_at, value_len, le32(bytes, at + 4) != 0 || value.is_none()));
            entries.push(Entry {
                index: byte(bytes, at + 1),
                name: part(bytes, at + ENTRY, name_len),
                value: value.unwrap_or_default(),
                hash: le32(bytes, at + 12),
            });
            at += length;
        }
        if part(bytes, at, 4).len() < 4 {
            self.at_inode(Code::XattrEntry, number, "its list of attributes does not end");
            return Vec::new();
        }
        take(at, 4);
        for (from, len, is_wrong) in values {
            if is_wrong || (len > 0 && !take(from, len)) {
                let text =
                    format!("the value of an attribute is said to be {len} bytes at {from}, which can't be");
                self.at_inode(Code::XattrValue, number, text);
            }
        }
        if bytes.iter().zip(&taken).any(|(&byte, &taken)| byte != 0 && !taken) {
            self.at_inode(Code::XattrPadding, number, "an unused part of its attributes is not zero");
        }
        self.entries_of_list(number, list, &entries);
        for entry in &entries {
            self.attribute(number, entry, found);
        }
        entries.iter().map(|entry| entry.hash).collect()
    }

    /// Order and hashes.
    fn entries_of_list(&mut self, number: u32, list: &List<'_>, entries: &[Entry<'_>]) {
        let key = |entry: &Entry<'_>| (entry.index, entry.name.len(), entry.name.to_vec());
        if list.is_block && !entries.is_sorted_by_key(key) {
            self.at_inode(Code::XattrOrder, number, "the attributes in its block are out of order");
        }
        let mut keys: Vec<_> = entries.iter().map(key).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            self.at_inode(Code::XattrDuplicate, number, "two attributes of a list have the same name");
        }
        for entry in entries {
            // In inodes there may be none. Characters were signed on most machines until Linux 6.2, and may still be.
            let may_miss = !list.is_block && entry.hash == 0;
            if !may_miss && [true, false].into_iter().all(|signed| hash(entry, signed) != entry.hash) {
                let text = format!(
                    "hash of an attribute is {:#010x}, should be {:#010x}",
                    entry.hash,
                    hash(entry, false)
                );
                self.at_inode(Code::XattrHash, number, text);
            }
        }
    }

    fn attribute(&mut self, number: u32, entry: &Entry<'_>, found: &mut Vec<Attribute>) {
        let (prefix, is_whole): (&[u8], bool) = match entry.index {
            1 => (b"user.", false),
            2 => (b"system.posix_acl_access", true),
            3 => (b"system.posix_acl_default", true),
            4 => (b"trusted.", false),
            6 => (b"security.", false),
            other => {
                let text = format!("has an attribute of namespace {other}");
                self.at_inode(Code::XattrName, number, text);
                return;
            }
        };
        let name = [prefix, entry.name].concat();
        if is_whole != entry.name.is_empty() || entry.name.contains(&0) {
            let text = format!("has an attribute {}", image_tree::escaped(&name));
            self.at_inode(Code::XattrName, number, text);
            return;
        }
        let value = if is_whole {
            let Some(list) = acl::as_read(entry.value) else {
                let text = format!("the value of {} is no list of access", image_tree::escaped(&name));
                self.at_inode(Code::XattrAcl, number, text);
                return;
            };
            list
        } else {
            entry.value.to_vec()
        };
        found.push(Attribute { name, value });
    }
}

/// `ext4_xattr_hash_entry`: the characters of the name, then the words of the value.
fn hash(entry: &Entry<'_>, signed: bool) -> u32 {
    let character =
        |byte: u8| if signed { i32::from(byte.cast_signed()).cast_unsigned() } else { u32::from(byte) };
    let name = entry.name.iter().fold(0_u32, |hash, &byte| hash.rotate_left(5) ^ character(byte));
    entry.value.chunks(4).fold(name, |hash, word| {
        hash.rotate_left(16) ^ u32::try_from(crate::numbers::le(word, 0, 4)).unwrap_or_default()
    })
}
