//! Extended attributes: behind the fields of an inode, and in a block. Kernel documentation, "Extended Attributes".

use crate::acl;
use crate::codes::Code;
use crate::context::InodeContext;
use crate::geometry::BLOCK_BYTES;
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

/// A list of attributes: its bytes, where its entries begin, and whether it is in a block, where it is sorted and has hashes.
struct List<'b> {
    bytes: &'b [u8],
    from: usize,
    is_block: bool,
}

/// Checks the attributes of an inode; gives the number of blocks that they take, and the attributes.
pub(crate) fn xattrs(cx: &mut InodeContext<'_>) -> Result<(u64, Vec<Attribute>), Unreadable> {
    let (blocks, found) = all_xattrs(cx)?;
    let mode = le16(&cx.inode.raw, 0) & 0o777;
    let access = found.iter().find(|attribute| attribute.name == b"system.posix_acl_access");
    let agreed = access.and_then(|attribute| acl::mode_bits(&attribute.value));
    if let Some(bits) = agreed.filter(|bits| *bits != mode) {
        let text = format!("has mode {mode:03o}, but its access control list says {bits:03o}");
        cx.problem(Code::XattrAclMode, text);
    }
    Ok((blocks, found))
}

fn all_xattrs(cx: &mut InodeContext<'_>) -> Result<(u64, Vec<Attribute>), Unreadable> {
    let inode = cx.inode;
    let mut found = Vec::new();
    let area = part(&inode.raw, IN_INODE.0, IN_INODE.1);
    if !is_zero(area) {
        if le32(area, 0) == MAGIC {
            let list = List { bytes: part(area, 4, area.len()), from: 0, is_block: false };
            read_list(cx, &list, &mut found);
        } else {
            let text = format!("its attributes begin with {:#010x} and not {MAGIC:#010x}", le32(area, 0));
            cx.problem(Code::XattrMagic, text);
        }
    }
    if inode.xattr_block == 0 {
        return Ok((0, found));
    }
    xattr_block(cx, &mut found)?;
    let mut names: Vec<_> = found.iter().map(|attribute| attribute.name.as_slice()).collect();
    names.sort_unstable();
    if let Some(name) = names.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
        let text = format!("has two attributes {}", image_tree::escaped(name));
        cx.problem(Code::XattrDuplicate, text);
    }
    Ok((1, found))
}

fn xattr_block(cx: &mut InodeContext<'_>, found: &mut Vec<Attribute>) -> Result<(), Unreadable> {
    let at = cx.inode.xattr_block;
    if cx.claims.another_user(at) {
        let block = cx.image.block(at)?;
        read_list(cx, &List { bytes: &block, from: HEADER, is_block: true }, found);
        return Ok(());
    }
    if !cx.claim(at, 1, "attributes") {
        return Ok(());
    }
    let block = cx.image.block(at)?;
    if le32(&block, 0) != MAGIC {
        let text =
            format!("attribute block {at} begins with {:#010x} and not {MAGIC:#010x}", le32(&block, 0));
        cx.problem(Code::XattrMagic, text);
        return Ok(());
    }
    let users = le32(&block, 4);
    cx.claims.first_user(at, users);
    if users > 1 {
        let text = format!("says {users} users of its attributes");
        cx.findings.add(Code::XattrShared, Place::Block(at), text);
    }
    if le32(&block, 8) != 1 || !is_zero(part(&block, 0x14, 12)) {
        let text =
            format!("header of attribute block {at} says {} blocks, or is not zero behind", le32(&block, 8));
        cx.problem(Code::XattrHeader, text);
    }
    let seed = cx.image.seed().over(&at.to_le_bytes());
    let computed =
        seed.over(part(&block, 0, 0x10)).over(&[0; 4]).over(part(&block, 0x14, BLOCK_BYTES)).value();
    if le32(&block, 0x10) != computed {
        let text = format!(
            "checksum of attribute block {at} is {:#010x}, should be {computed:#010x}",
            le32(&block, 0x10)
        );
        cx.problem(Code::XattrChecksum, text);
    }
    let hashes = read_list(cx, &List { bytes: &block, from: HEADER, is_block: true }, found);
    let all = hashes.iter().fold(0_u32, |all, hash| all.rotate_left(16) ^ hash);
    let all = if hashes.contains(&0) { 0 } else { all };
    if le32(&block, 0x0c) != all {
        let text =
            format!("hash of attribute block {at} is {:#010x}, should be {all:#010x}", le32(&block, 0x0c));
        cx.problem(Code::XattrHash, text);
    }
    Ok(())
}

/// Checks a list, adds its attributes to `found`, and gives the hashes of its entries.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "offsets in a structure of at most 4096 bytes, and entries of at most 65,535"
)]
fn read_list(cx: &mut InodeContext<'_>, list: &List<'_>, found: &mut Vec<Attribute>) -> Vec<u32> {
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
            cx.problem(Code::XattrEntry, "its list of attributes does not end");
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
    take(at, 4);
    for (from, len, is_wrong) in values {
        if is_wrong || !take(from, len) {
            let text =
                format!("the value of an attribute is said to be {len} bytes at {from}, which can't be");
            cx.problem(Code::XattrValue, text);
        }
    }
    if bytes.iter().zip(&taken).any(|(&byte, &taken)| byte != 0 && !taken) {
        cx.problem(Code::XattrPadding, "an unused part of its attributes is not zero");
    }
    order_and_hashes(cx, list, &entries);
    for entry in &entries {
        attribute(cx, entry, found);
    }
    entries.iter().map(|entry| entry.hash).collect()
}

/// Checks the order and the hashes of the entries.
fn order_and_hashes(cx: &mut InodeContext<'_>, list: &List<'_>, entries: &[Entry<'_>]) {
    let key = |entry: &Entry<'_>| (entry.index, entry.name.len(), entry.name.to_vec());
    if list.is_block && !entries.is_sorted_by_key(key) {
        cx.problem(Code::XattrOrder, "the attributes in its block are out of order");
    }
    let mut keys: Vec<_> = entries.iter().map(key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        cx.problem(Code::XattrDuplicate, "two attributes of a list have the same name");
    }
    for entry in entries {
        // In inodes it may be 0. Names were hashed as signed characters on most machines until Linux 6.2; both are valid.
        let may_miss = !list.is_block && entry.hash == 0;
        if !may_miss && [true, false].into_iter().all(|signed| hash(entry, signed) != entry.hash) {
            let text = format!(
                "hash of an attribute is {:#010x}, should be {:#010x}",
                entry.hash,
                hash(entry, false)
            );
            cx.problem(Code::XattrHash, text);
        }
    }
}

fn attribute(cx: &mut InodeContext<'_>, entry: &Entry<'_>, found: &mut Vec<Attribute>) {
    let (prefix, is_whole): (&[u8], bool) = match entry.index {
        1 => (b"user.", false),
        2 => (b"system.posix_acl_access", true),
        3 => (b"system.posix_acl_default", true),
        4 => (b"trusted.", false),
        6 => (b"security.", false),
        other => {
            let text = format!("has an attribute of namespace {other}");
            cx.problem(Code::XattrName, text);
            return;
        }
    };
    let name = [prefix, entry.name].concat();
    if is_whole != entry.name.is_empty() || entry.name.contains(&0) {
        let text = format!("has an attribute {}", image_tree::escaped(&name));
        cx.problem(Code::XattrName, text);
        return;
    }
    let value = if is_whole {
        let Some(list) = acl::as_read(entry.value) else {
            let text = format!("the value of {} is no list of access", image_tree::escaped(&name));
            cx.problem(Code::XattrAcl, text);
            return;
        };
        list
    } else {
        entry.value.to_vec()
    };
    found.push(Attribute { name, value });
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

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests;
