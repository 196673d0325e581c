//! POSIX access control lists, and how Linux keeps them and the mode in agreement (`fs/posix_acl.c`).

use crate::Permissions;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// The version in values of `getxattr` (`POSIX_ACL_XATTR_VERSION`).
const VERSION: u32 = 2;
/// Length of an entry in \[bytes\]: tag, permissions, id.
const ENTRY: usize = 8;
/// The id of an entry without a user or group (`ACL_UNDEFINED_ID`).
const NO_ID: u32 = u32::MAX;

/// A list that Linux accepts: never empty, with entries in the order of their tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    tag: u16,
    permissions: u16,
    /// User or group; [`NO_ID`] except for named users and groups.
    id: u32,
}

/// The error for a value that Linux does not accept as an access control list (`posix_acl_from_xattr`, `posix_acl_valid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidAcl {
    /// Not a header and complete entries.
    Form,
    /// An unknown tag.
    Tag(u16),
    /// Permissions other than read, write and execute.
    Permissions(u16),
    /// A named user or group without an id.
    Id,
    /// Entries in the wrong order.
    Order,
    /// An entry for owner, owning group or others is missing or repeated, or there are several masks.
    Count {
        /// `the owner`, `the owning group`, `others` or `the mask`.
        who: &'static str,
        /// Number of such entries.
        count: usize,
        /// The rule: `there must be one`, for example.
        wanted: &'static str,
    },
    /// Named users or groups without a mask.
    NoMask,
}

impl std::fmt::Display for InvalidAcl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Form => f.write_str(
                "it must be the version 2 in 4 bytes, followed by entries of 8 bytes, all little-endian",
            ),
            Self::Tag(tag) => write!(f, "an entry has the unknown tag {tag:#x}"),
            Self::Permissions(bits) => {
                write!(f, "an entry has the permissions {bits:#o}, but only 0 to 7 are possible")
            }
            Self::Id => f.write_str("an entry names user or group 4294967295, which is not a valid ID"),
            Self::Order => f.write_str(
                "its entries must be in the order owner, users, owning group, groups, mask, others",
            ),
            Self::Count { who, count, wanted } => write!(f, "it has {count} entries for {who}, but {wanted}"),
            Self::NoMask => f.write_str("it names users or groups, but has no mask"),
        }
    }
}

impl std::error::Error for InvalidAcl {}

impl Acl {
    /// Parses a list as `getxattr` returns it. `None` is a list without entries: setting it removes the list. As in Linux,
    /// ids without a meaning, for example that of the owner's entry, are ignored.
    pub fn parse(value: &[u8]) -> Result<Option<Self>, InvalidAcl> {
        let (version, rest) = value.split_first_chunk::<4>().ok_or(InvalidAcl::Form)?;
        let (entries, []) = rest.as_chunks::<ENTRY>() else { return Err(InvalidAcl::Form) };
        if u32::from_le_bytes(*version) != VERSION {
            return Err(InvalidAcl::Form);
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let entries = entries.iter().copied().map(Entry::parse).collect::<Result<Vec<_>, _>>()?;
        let list = Self(entries);
        list.check()?;
        Ok(Some(list))
    }

    /// Checks that valid entries together are a valid list.
    fn check(&self) -> Result<(), InvalidAcl> {
        let count = |tag| self.0.iter().filter(|entry| entry.tag == tag).count();
        let once = [(USER_OBJ, "the owner"), (GROUP_OBJ, "the owning group"), (OTHER, "others")];
        for (tag, who) in once {
            if count(tag) != 1 {
                return Err(InvalidAcl::Count { who, count: count(tag), wanted: "there must be one" });
            }
        }
        match count(MASK) {
            0 if count(USER) + count(GROUP) > 0 => return Err(InvalidAcl::NoMask),
            0 | 1 => {}
            count => {
                return Err(InvalidAcl::Count { who: "the mask", count, wanted: "there may be at most one" });
            }
        }
        if self.0.is_sorted_by_key(|entry| entry.tag) { Ok(()) } else { Err(InvalidAcl::Order) }
    }

    /// The list as `getxattr` returns it.
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

    /// Whether a mode can express the list. Linux then stores only the mode.
    #[must_use]
    pub fn is_mode(&self) -> bool {
        self.0.iter().all(|entry| matches!(entry.tag, USER_OBJ | GROUP_OBJ | OTHER))
    }

    /// The mode of a file after setting this access list. The nine permission bits come from the list (the group's from the
    /// mask, if there is one); the others are kept (`posix_acl_update_mode`).
    #[must_use]
    pub fn mode(&self, before: Permissions) -> Permissions {
        let bits = |tag| self.0.iter().find(|entry| entry.tag == tag).map(|entry| entry.permissions);
        let group = bits(MASK).or_else(|| bits(GROUP_OBJ)).unwrap_or(0);
        let nine = bits(USER_OBJ).unwrap_or(0) << 6 | group << 3 | bits(OTHER).unwrap_or(0);
        Permissions::from_mode(before.bits() & !0o777 | nine)
    }

    /// The list of a file after a change of its mode. The group's bits are set in the mask, if there is one
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

impl Entry {
    /// Parses an entry: tag, permissions and id.
    fn parse([tag, tag_high, bits, bits_high, a, b, c, d]: [u8; ENTRY]) -> Result<Self, InvalidAcl> {
        let tag = u16::from_le_bytes([tag, tag_high]);
        let permissions = u16::from_le_bytes([bits, bits_high]);
        let id = match (tag, u32::from_le_bytes([a, b, c, d])) {
            (USER | GROUP, NO_ID) => return Err(InvalidAcl::Id),
            (USER | GROUP, id) => id,
            (USER_OBJ | GROUP_OBJ | MASK | OTHER, _) => NO_ID,
            _ => return Err(InvalidAcl::Tag(tag)),
        };
        if permissions > 7 {
            return Err(InvalidAcl::Permissions(permissions));
        }
        Ok(Self { tag, permissions, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut value = VERSION.to_le_bytes().to_vec();
        for (tag, permissions) in entries {
            let id = if matches!(*tag, USER | GROUP) { 1234 } else { NO_ID };
            value.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
            value.extend(id.to_le_bytes());
        }
        value
    }

    fn parse(entries: &[(u16, u16)]) -> Acl {
        Acl::parse(&list(entries)).unwrap().unwrap()
    }

    const NAMED: [(u16, u16); 5] = [(USER_OBJ, 6), (USER, 4), (GROUP_OBJ, 4), (MASK, 4), (OTHER, 0)];

    #[test]
    fn list_and_mode_determine_each_other() {
        let acl = parse(&NAMED);
        assert!(!acl.is_mode());
        assert_eq!(acl.mode(Permissions::from_mode(0o4777)).bits(), 0o4640);
        let closed = acl.changed_mode(Permissions::from_mode(0o610));
        let expected = [(USER_OBJ, 6), (USER, 4), (GROUP_OBJ, 4), (MASK, 1), (OTHER, 0)];
        assert_eq!(closed.to_value(), list(&expected));
        assert_eq!(closed.mode(Permissions::from_mode(0)).bits(), 0o610);
    }

    #[test]
    fn without_a_mask_the_group_bits_are_those_of_the_group() {
        let acl = parse(&[(USER_OBJ, 7), (GROUP_OBJ, 5), (OTHER, 1)]);
        assert!(acl.is_mode());
        assert_eq!(acl.mode(Permissions::from_mode(0o1000)).bits(), 0o1751);
        let changed = [(USER_OBJ, 6), (GROUP_OBJ, 2), (OTHER, 4)];
        assert_eq!(acl.changed_mode(Permissions::from_mode(0o624)).to_value(), list(&changed));
        let with_mask = parse(&[(USER_OBJ, 7), (GROUP_OBJ, 5), (MASK, 4), (OTHER, 1)]);
        assert!(!with_mask.is_mode());
        assert_eq!(with_mask.mode(Permissions::from_mode(0)).bits(), 0o741);
    }

    #[test]
    fn ignores_ids_without_a_meaning() {
        let mut value = list(&NAMED);
        value[8..12].copy_from_slice(&7_u32.to_le_bytes());
        assert_eq!(Acl::parse(&value), Ok(Some(parse(&NAMED))));
    }

    #[test]
    fn rejects_what_linux_rejects_with_the_reason() {
        let change = |at: usize, entry: (u16, u16)| {
            let mut entries = NAMED;
            entries[at] = entry;
            Acl::parse(&list(&entries)).unwrap_err()
        };
        assert_eq!(change(0, (0x77, 6)), InvalidAcl::Tag(0x77));
        assert_eq!(change(0, (0x77, 6)).to_string(), "an entry has the unknown tag 0x77");
        assert_eq!(change(0, (USER_OBJ, 8)), InvalidAcl::Permissions(8));
        assert_eq!(change(3, (GROUP, 4)), InvalidAcl::NoMask);
        let count = |who, count, wanted| InvalidAcl::Count { who, count, wanted };
        assert_eq!(change(0, (USER, 6)), count("the owner", 0, "there must be one"));
        assert_eq!(change(3, (OTHER, 0)), count("others", 2, "there must be one"));
        assert_eq!(change(1, (MASK, 0)), count("the mask", 2, "there may be at most one"));
        let mut swapped = NAMED;
        swapped.swap(0, 4);
        assert_eq!(Acl::parse(&list(&swapped)), Err(InvalidAcl::Order));
        let mut nobody = list(&NAMED);
        nobody[16..20].copy_from_slice(&[0xff; 4]);
        assert_eq!(Acl::parse(&nobody), Err(InvalidAcl::Id));
        for cut in [&list(&NAMED)[..21], &[1, 0, 0, 0], &[2, 0, 0], &[]] {
            assert_eq!(Acl::parse(cut), Err(InvalidAcl::Form));
        }
    }

    #[test]
    fn an_empty_list_is_none() {
        assert_eq!(Acl::parse(&[2, 0, 0, 0]), Ok(None));
    }
}
