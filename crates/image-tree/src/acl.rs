//! Access control lists, and how they and the permission bits of a mode agree: as Linux keeps them (`fs/posix_acl.c`).

use crate::Permissions;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The version of the form that `getxattr` gives (`POSIX_ACL_XATTR_VERSION`).
const VERSION: u32 = 2;
/// Bytes of an entry: tag, permissions, id.
const ENTRY: usize = 8;

/// A list that Linux takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: u16,
    permissions: u16,
    id: u32,
}

impl Acl {
    /// Reads a list as `getxattr` gives it; `None` where Linux would refuse it (`posix_acl_valid`): tags in order, the three of
    /// the mode once each, a mask where users or groups are named.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (version, rest) = value.split_first_chunk::<4>()?;
        let (entries, []) = rest.as_chunks::<ENTRY>() else { return None };
        if u32::from_le_bytes(*version) != VERSION {
            return None;
        }
        let entries: Vec<_> = entries
            .iter()
            .map(|&[tag, tag_high, bits, bits_high, a, b, c, d]| Entry {
                tag: u16::from_le_bytes([tag, tag_high]),
                permissions: u16::from_le_bytes([bits, bits_high]),
                id: u32::from_le_bytes([a, b, c, d]),
            })
            .collect();
        let list = Self(entries);
        list.is_valid().then_some(list)
    }

    fn is_valid(&self) -> bool {
        let count = |tag| self.0.iter().filter(|entry| entry.tag == tag).count();
        let named = count(USER) + count(GROUP) > 0;
        let known = [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER];
        self.0.iter().all(|entry| known.contains(&entry.tag) && entry.permissions <= 7)
            && self.0.is_sorted_by_key(|entry| entry.tag)
            && [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(|tag| count(tag) == 1)
            && (count(MASK) == 1 || (count(MASK) == 0 && !named))
    }

    /// The list as `getxattr` gives it.
    #[must_use]
    pub fn to_value(&self) -> Vec<u8> {
        let mut value = VERSION.to_le_bytes().to_vec();
        for entry in &self.0 {
            value.extend(entry.tag.to_le_bytes());
            value.extend(entry.permissions.to_le_bytes());
            value.extend(entry.id.to_le_bytes());
        }
        value
    }

    /// Whether it says no more than a mode: Linux then stores the mode alone.
    #[must_use]
    pub fn is_mode(&self) -> bool {
        self.0.iter().all(|entry| matches!(entry.tag, USER_OBJ | GROUP_OBJ | OTHER))
    }

    /// The mode of a file that gets this access list: its nine bits follow from the list, the group's from the mask where there
    /// is one; the others stay (`posix_acl_update_mode`).
    #[must_use]
    pub fn mode(&self, before: Permissions) -> Permissions {
        let bits = |tag| self.0.iter().find(|entry| entry.tag == tag).map(|entry| entry.permissions);
        let group = bits(MASK).or_else(|| bits(GROUP_OBJ)).unwrap_or(0);
        let nine = bits(USER_OBJ).unwrap_or(0) << 6 | group << 3 | bits(OTHER).unwrap_or(0);
        Permissions::from_mode(before.bits() & !0o777 | nine)
    }

    /// The list of a file whose mode is changed: the group's bits become the mask's where there is one
    /// (`__posix_acl_chmod_masq`).
    #[must_use]
    pub fn changed_mode(mut self, mode: Permissions) -> Self {
        let has_mask = self.0.iter().any(|entry| entry.tag == MASK);
        let mode = mode.bits();
        for entry in &mut self.0 {
            match entry.tag {
                USER_OBJ => entry.permissions = mode >> 6 & 7,
                GROUP_OBJ if !has_mask => entry.permissions = mode >> 3 & 7,
                MASK => entry.permissions = mode >> 3 & 7,
                OTHER => entry.permissions = mode & 7,
                _ => {}
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut value = VERSION.to_le_bytes().to_vec();
        for (tag, permissions) in entries {
            value.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
            value.extend(1234_u32.to_le_bytes());
        }
        value
    }

    const NAMED: [(u16, u16); 5] = [(USER_OBJ, 6), (USER, 4), (GROUP_OBJ, 4), (MASK, 4), (OTHER, 0)];

    #[test]
    fn a_list_and_a_mode_follow_one_another() {
        let acl = Acl::parse(&list(&NAMED)).unwrap();
        assert!(!acl.is_mode());
        assert_eq!(acl.mode(Permissions::from_mode(0o4777)).bits(), 0o4640);
        let closed = acl.changed_mode(Permissions::from_mode(0o610));
        let expected = [(USER_OBJ, 6), (USER, 4), (GROUP_OBJ, 4), (MASK, 1), (OTHER, 0)];
        assert_eq!(closed.to_value(), list(&expected));
        assert_eq!(closed.mode(Permissions::from_mode(0)).bits(), 0o610);
    }

    #[test]
    fn without_a_mask_the_mode_is_the_groups_own() {
        let plain = [(USER_OBJ, 7), (GROUP_OBJ, 5), (OTHER, 1)];
        let acl = Acl::parse(&list(&plain)).unwrap();
        assert!(acl.is_mode());
        assert_eq!(acl.mode(Permissions::from_mode(0o1000)).bits(), 0o1751);
        let changed = [(USER_OBJ, 6), (GROUP_OBJ, 2), (OTHER, 4)];
        assert_eq!(acl.changed_mode(Permissions::from_mode(0o624)).to_value(), list(&changed));
        let with_mask = Acl::parse(&list(&[(USER_OBJ, 7), (GROUP_OBJ, 5), (MASK, 4), (OTHER, 1)])).unwrap();
        assert!(!with_mask.is_mode());
        assert_eq!(with_mask.mode(Permissions::from_mode(0)).bits(), 0o741);
    }

    #[test]
    fn what_linux_refuses_is_no_list() {
        let change = |at: usize, entry: (u16, u16)| {
            let mut entries = NAMED;
            entries[at] = entry;
            Acl::parse(&list(&entries))
        };
        assert_eq!(change(0, (0x77, 6)), None, "an unknown tag");
        assert_eq!(change(0, (USER_OBJ, 8)), None, "more than read, write and execute");
        assert_eq!(change(3, (GROUP, 4)), None, "no mask beside a named user");
        assert_eq!(change(0, (OTHER, 6)), None, "out of order");
        assert_eq!(Acl::parse(&list(&NAMED[..2])), None, "without group and others");
        assert_eq!(Acl::parse(&list(&NAMED)[..20]), None, "cut off");
        assert_eq!(Acl::parse(&[1, 0, 0, 0]), None);
        assert_eq!(Acl::parse(&[]), None);
    }
}
