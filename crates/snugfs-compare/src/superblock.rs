//! Compares the fields of superblocks that a plan determines.

use ext4_ondisk::feature::{self, Word};
use ext4_ondisk::{Superblock, read_padded};
use image_tree::{Uuid, escaped};

use crate::{Differences, Kind};

/// How an image was used since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Not at all.
    None,
    /// It was mounted: it may have less free space, and may have grown.
    Mounted,
}

/// A numeric field of the superblock.
struct Field {
    kind: Kind,
    /// Name of the field in messages.
    name: &'static str,
    read: fn(&Superblock) -> u64,
    /// Factor for messages: the unit of the field in \[bytes\] if the name says bytes.
    factor: u64,
    used: Used,
}

/// How use may change a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    /// Not at all.
    Keeps,
    /// Sets the feature "needs recovery", as a crash while mounted does.
    Recovers,
    /// Becomes larger by growth.
    Grows,
    /// Changes in any way.
    Changes,
}

const BLOCK: u64 = 4096;

const fn field(
    kind: Kind,
    name: &'static str,
    read: fn(&Superblock) -> u64,
    factor: u64,
    used: Used,
) -> Field {
    Field { kind, name, read, factor, used }
}

const FIELDS: [Field; 10] = [
    field(Kind::FilesystemSize, "bytes", Superblock::blocks_count, BLOCK, Used::Grows),
    field(Kind::FilesystemInodes, "inodes", |s| s.s_inodes_count.get().into(), 1, Used::Grows),
    field(Kind::FilesystemInodes, "inodes per group", |s| s.s_inodes_per_group.get().into(), 1, Used::Keeps),
    field(Kind::FilesystemFreeSpace, "free bytes", Superblock::free_blocks_count, BLOCK, Used::Changes),
    field(
        Kind::FilesystemFreeInodes,
        "free inodes",
        |s| s.s_free_inodes_count.get().into(),
        1,
        Used::Changes,
    ),
    field(
        Kind::FilesystemReserved,
        "bytes reserved for root",
        Superblock::reserved_blocks_count,
        BLOCK,
        Used::Changes,
    ),
    field(Kind::FilesystemJournal, "bytes of journal", Superblock::journal_size, 1, Used::Keeps),
    field(
        Kind::FilesystemFeatures,
        "compatible features",
        |s| s.features(Word::Compat).into(),
        1,
        Used::Keeps,
    ),
    field(
        Kind::FilesystemFeatures,
        "incompatible features",
        |s| s.features(Word::Incompat).into(),
        1,
        Used::Recovers,
    ),
    field(
        Kind::FilesystemFeatures,
        "read-only compatible features",
        |s| s.features(Word::RoCompat).into(),
        1,
        Used::Keeps,
    ),
];

/// Compares two superblocks (1,024 bytes each) by the fields that a plan determines.
pub fn compare_superblocks(expected: &[u8], found: &[u8], used: Use, differences: &mut Differences) {
    let (expected, found): (Superblock, Superblock) = (read_padded(expected), read_padded(found));
    let mut differ = |kind, text: String| differences.add(kind, || ("file system".to_owned(), text));
    for field in &FIELDS {
        let (should, is) = ((field.read)(&expected), (field.read)(&found));
        let is_used = used == Use::Mounted;
        let is_right = match field.used {
            _ if should == is => true,
            Used::Keeps => false,
            Used::Recovers => is_used && should == is & !u64::from(feature::RECOVER.bit),
            Used::Grows => is_used && is > should,
            Used::Changes => is_used,
        };
        if !is_right {
            let (should, is) = (should.saturating_mul(field.factor), is.saturating_mul(field.factor));
            differ(
                field.kind,
                if field.kind == Kind::FilesystemFeatures {
                    format!("{} are {is:#x}, should be {should:#x}", field.name)
                } else {
                    format!("has {is} {}, should have {should}", field.name)
                },
            );
        }
    }
    let has_grown = used == Use::Mounted && expected.blocks_count() != found.blocks_count();
    let reserve = |s: &Superblock| s.s_reserved_gdt_blocks.get();
    if reserve(&expected) != reserve(&found) && !has_grown {
        let text =
            format!("reserves {} blocks for growth, should reserve {}", reserve(&found), reserve(&expected));
        differ(Kind::FilesystemGrowth, text);
    }
    let (should, is) = (label(&expected), label(&found));
    if should != is {
        let text = format!("label is \"{}\", should be \"{}\"", escaped(is), escaped(should));
        differ(Kind::FilesystemLabel, text);
    }
    if expected.s_uuid != found.s_uuid {
        let text = format!("UUID is {}, should be {}", Uuid(found.s_uuid), Uuid(expected.s_uuid));
        differ(Kind::FilesystemUuid, text);
    }
    let (should, is) = (expected.mkfs_time(), found.mkfs_time());
    if should != is {
        differ(Kind::FilesystemTime, format!("creation time is {is}, should be {should}"));
    }
}

/// The label up to the first NUL.
fn label(superblock: &Superblock) -> &[u8] {
    superblock.s_volume_name.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ext4_ondisk::Feature;
    use zerocopy::IntoBytes;

    /// The kinds of differences after a change of a superblock, for an unused image and for one that was mounted.
    fn kinds(change: impl Fn(&mut Superblock)) -> [Vec<Kind>; 2] {
        let mut expected: Superblock = read_padded(&[]);
        expected.set(feature::BIT64);
        expected.set_blocks_count(32_768);
        let mut found = expected;
        change(&mut found);
        [Use::None, Use::Mounted].map(|used| {
            let mut differences = Differences::default();
            compare_superblocks(expected.as_bytes(), found.as_bytes(), used, &mut differences);
            differences.counts.into_keys().collect()
        })
    }

    fn set(feature: Feature) -> impl Fn(&mut Superblock) {
        move |s| s.set(feature)
    }

    #[test]
    fn use_may_change_only_some_fields() {
        let ever = |kind| [vec![kind], vec![kind]];
        let until_used = |kind| [vec![kind], vec![]];
        assert_eq!(kinds(|_| ()), [vec![], vec![]]);
        assert_eq!(kinds(|s| s.set_blocks_count(32_769)), until_used(Kind::FilesystemSize));
        assert_eq!(kinds(|s| s.set_blocks_count(1 << 32 | 32_768)), until_used(Kind::FilesystemSize));
        assert_eq!(kinds(|s| s.set_blocks_count(32_767)), ever(Kind::FilesystemSize));
        assert_eq!(kinds(|s| s.s_inodes_count = 1.into()), until_used(Kind::FilesystemInodes));
        assert_eq!(kinds(|s| s.s_inodes_per_group = 1.into()), ever(Kind::FilesystemInodes));
        assert_eq!(kinds(|s| s.set_free_blocks_count(1)), until_used(Kind::FilesystemFreeSpace));
        assert_eq!(kinds(|s| s.s_free_inodes_count = 1.into()), until_used(Kind::FilesystemFreeInodes));
        assert_eq!(kinds(|s| s.set_reserved_blocks_count(1)), until_used(Kind::FilesystemReserved));
        assert_eq!(kinds(|s| s.set_journal_backup(&[0; 60], 4096)), ever(Kind::FilesystemJournal));
        assert_eq!(kinds(set(feature::RECOVER)), until_used(Kind::FilesystemFeatures));
        assert_eq!(kinds(set(feature::CASEFOLD)), ever(Kind::FilesystemFeatures));
        assert_eq!(kinds(set(feature::HAS_JOURNAL)), ever(Kind::FilesystemFeatures));
        assert_eq!(kinds(set(feature::READONLY)), ever(Kind::FilesystemFeatures));
        assert_eq!(kinds(|s| s.s_volume_name[0] = b'x'), ever(Kind::FilesystemLabel));
        assert_eq!(kinds(|s| s.s_uuid[15] = 1), ever(Kind::FilesystemUuid));
        assert_eq!(kinds(|s| s.s_mkfs_time = 1.into()), ever(Kind::FilesystemTime));
        assert_eq!(kinds(|s| s.s_mkfs_time_hi = 1), ever(Kind::FilesystemTime));
        // Growth uses the blocks that are reserved for it.
        assert_eq!(kinds(|s| s.s_reserved_gdt_blocks = 1.into()), ever(Kind::FilesystemGrowth));
        let grown = |s: &mut Superblock| {
            s.set_blocks_count(65_536);
            s.s_reserved_gdt_blocks = 1.into();
        };
        assert_eq!(kinds(grown), [vec![Kind::FilesystemSize, Kind::FilesystemGrowth], vec![]]);
    }

    #[test]
    fn compares_labels_up_to_the_first_nul() {
        assert_eq!(kinds(|s| s.s_volume_name[1] = b'x'), [vec![], vec![]]);
    }
}
