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
    if le32(stored, 0) != 1 {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A list as it is stored: entries as (tag, permissions, id of a named one).
    fn stored(entries: &[(u16, u16, Option<u32>)]) -> Vec<u8> {
        let mut bytes = 1_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            bytes.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
            bytes.extend(id.iter().flat_map(|id| id.to_le_bytes()));
        }
        bytes
    }

    const OWNER: (u16, u16, Option<u32>) = (USER_OBJ, 6, None);
    const NAMED: (u16, u16, Option<u32>) = (USER, 7, Some(1234));
    const OWNERS: (u16, u16, Option<u32>) = (GROUP_OBJ, 5, None);
    const GROUPS: (u16, u16, Option<u32>) = (GROUP, 1, Some(0x0102_0304));
    const LIMIT: (u16, u16, Option<u32>) = (MASK, 4, None);
    const OTHERS: (u16, u16, Option<u32>) = (OTHER, 2, None);

    #[test]
    fn every_entry_is_read_with_an_id() {
        let all = [OWNER, NAMED, OWNERS, GROUPS, LIMIT, OTHERS];
        let read = as_read(&stored(&all)).unwrap();
        let expected: Vec<u8> = all
            .iter()
            .flat_map(|(tag, permissions, id)| {
                let id = id.unwrap_or(u32::MAX).to_le_bytes().to_vec();
                [tag.to_le_bytes().to_vec(), permissions.to_le_bytes().to_vec(), id].concat()
            })
            .collect();
        assert_eq!(read, [vec![2, 0, 0, 0], expected].concat());
    }

    #[test]
    fn the_mode_has_the_mask_in_place_of_the_groups_permissions() {
        let bits = |entries: &[_]| as_read(&stored(entries)).map(|read| mode_bits(&read));
        assert_eq!(bits(&[OWNER, NAMED, OWNERS, LIMIT, OTHERS]), Some(Some(0o642)));
        assert_eq!(bits(&[OWNER, OWNERS, OTHERS]), Some(Some(0o652)));
        assert_eq!((mode_bits(&[2, 0, 0, 0]), mode_bits(&[2, 0])), (None, None));
    }

    /// The rules of `posix_acl_valid`.
    #[test]
    fn only_lists_that_linux_takes_are_read() {
        for good in [
            vec![OWNER, OWNERS, OTHERS],
            vec![OWNER, OWNERS, LIMIT, OTHERS],
            vec![OWNER, NAMED, NAMED, OWNERS, LIMIT, OTHERS],
            vec![OWNER, OWNERS, GROUPS, LIMIT, OTHERS],
        ] {
            assert!(as_read(&stored(&good)).is_some(), "{good:?}");
        }
        for bad in [
            vec![],
            vec![OWNERS, OTHERS],
            vec![OWNER, OTHERS],
            vec![OWNER, OWNERS],
            vec![OWNER, OWNER, OWNERS, OTHERS],
            vec![OWNER, OWNERS, LIMIT, LIMIT, OTHERS],
            vec![OWNER, NAMED, OWNERS, OTHERS],
            vec![OWNER, OWNERS, GROUPS, OTHERS],
            vec![OWNER, OTHERS, OWNERS],
            vec![(USER_OBJ, 8, None), OWNERS, OTHERS],
            vec![OWNER, OWNERS, OTHERS, (0x40, 0, None)],
        ] {
            assert!(as_read(&stored(&bad)).is_none(), "{bad:?}");
        }
        let list = stored(&[OWNER, OWNERS, OTHERS]);
        assert!(as_read(&list[..list.len() - 1]).is_none(), "an entry is cut off");
        let named = stored(&[OWNER, NAMED]);
        assert!(as_read(&named[..named.len() - 1]).is_none(), "an id is cut off");
        for length in 0..4 {
            assert!(as_read(&list[..length]).is_none(), "{length} bytes");
        }
        assert!(as_read(&[vec![2], list[1..].to_vec()].concat()).is_none(), "another version");
    }
}
