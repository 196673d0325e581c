//! Access control lists, as ext4 stores them: version 1, an id only with named users and groups (`fs/ext4/acl.h` of Linux).

use crate::numbers::{le16, le32, part};

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The list as `getxattr` gives it (version 2, an id with every entry); `None` where Linux would not take it
/// (`posix_acl_valid`).
pub(crate) fn as_read(stored: &[u8]) -> Option<Vec<u8>> {
    if le32(stored, 0) != 1 || stored.len() < 4 {
        return None;
    }
    let mut read = 2_u32.to_le_bytes().to_vec();
    let mut tags = Vec::new();
    let mut at = 4;
    while at < stored.len() {
        let (tag, permissions) = (le16(stored, at), le16(stored, at.saturating_add(2)));
        let has_id = matches!(tag, USER | GROUP);
        let length = if has_id { 8 } else { 4 };
        let entry = part(stored, at, length);
        if entry.len() < length
            || permissions > 7
            || !matches!(tag, USER_OBJ | USER | GROUP_OBJ | GROUP | MASK | OTHER)
        {
            return None;
        }
        read.extend_from_slice(part(entry, 0, 4));
        read.extend_from_slice(if has_id { part(entry, 4, 4) } else { &[0xff; 4] });
        tags.push(tag);
        at = at.saturating_add(length);
    }
    let count = |tag| tags.iter().filter(|&&other| other == tag).count();
    let named = tags.iter().any(|tag| matches!(*tag, USER | GROUP));
    let valid = tags.is_sorted()
        && [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(|tag| count(tag) == 1)
        && (count(MASK) == 1 || (count(MASK) == 0 && !named));
    valid.then_some(read)
}

/// The nine permission bits that Linux keeps in the mode of a file with this list, as [`as_read`] gives it: the group's are
/// those of the mask where there is one (`posix_acl_equiv_mode`).
pub(crate) fn mode_bits(read: &[u8]) -> Option<u16> {
    let permissions = |tag: u16| {
        read.get(4..)?.chunks_exact(8).find(|entry| le16(entry, 0) == tag).map(|entry| le16(entry, 2))
    };
    let group = permissions(MASK).or_else(|| permissions(GROUP_OBJ))?;
    Some(permissions(USER_OBJ)? << 6 | group << 3 | permissions(OTHER)?)
}
