//! What a file system promises, by the fields of its superblock. Kernel documentation, "The Super Block".

use image_tree::escaped;

use crate::{Differences, Kind};

/// What an image went through since it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nothing.
    None,
    /// It was mounted: it may be fuller, and may have grown.
    Mounted,
}

/// A number of the superblock: halves and their places, kind, name, how one of it is called.
struct Field {
    low: usize,
    high: Option<usize>,
    kind: Kind,
    name: &'static str,
    /// How much each of it is, in \[bytes\] where the unit is that.
    factor: u64,
    used: Used,
}

/// What use may do to a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    /// Nothing.
    Keeps,
    /// Growth makes it larger.
    Grows,
    /// Anything.
    Changes,
}

const BLOCK: u64 = 4096;

const fn field(
    low: usize,
    high: Option<usize>,
    kind: Kind,
    name: &'static str,
    factor: u64,
    used: Used,
) -> Field {
    Field { low, high, kind, name, factor, used }
}

const FIELDS: [Field; 10] = [
    field(0x04, Some(0x150), Kind::FilesystemSize, "bytes", BLOCK, Used::Grows),
    field(0x00, None, Kind::FilesystemInodes, "inodes", 1, Used::Grows),
    field(0x28, None, Kind::FilesystemInodes, "inodes a group", 1, Used::Keeps),
    field(0x0c, Some(0x158), Kind::FilesystemFreeSpace, "free bytes", BLOCK, Used::Changes),
    field(0x10, None, Kind::FilesystemFreeInodes, "free inodes", 1, Used::Changes),
    field(0x08, Some(0x154), Kind::FilesystemReserved, "bytes kept for root", BLOCK, Used::Changes),
    field(0x14c, Some(0x148), Kind::FilesystemJournal, "bytes of journal", 1, Used::Keeps),
    field(0x5c, None, Kind::FilesystemFeatures, "compatible features", 1, Used::Keeps),
    field(0x60, None, Kind::FilesystemFeatures, "incompatible features", 1, Used::Keeps),
    field(0x64, None, Kind::FilesystemFeatures, "features to write", 1, Used::Keeps),
];
/// Blocks kept for more descriptors, 16 bits.
const GROWTH: usize = 0xce;
/// The time of making.
const MADE: usize = 0x108;
/// A mounted file system has to be replayed after a crash.
const RECOVER: u64 = 0x4;

/// Compares the 1,024 bytes of two superblocks, field by field that a plan decides.
pub fn compare_superblocks(expected: &[u8], found: &[u8], used: Use, differences: &mut Differences) {
    let mut differ = |kind, text: String| differences.add(kind, || ("file system".to_owned(), text));
    for field in &FIELDS {
        let number = |raw: &[u8]| le32(raw, field.low) | field.high.map_or(0, |high| le32(raw, high) << 32);
        let (should, is) = (number(expected), number(found));
        let is_used = used == Use::Mounted;
        let is_right = match field.used {
            _ if should == is => true,
            Used::Keeps if field.low == 0x60 => is_used && should == is & !RECOVER,
            Used::Keeps => false,
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
    let has_grown = used == Use::Mounted && le32(expected, 0x04) != le32(found, 0x04);
    let growth = |raw: &[u8]| le32(raw, GROWTH) & 0xffff;
    if growth(expected) != growth(found) && !has_grown {
        let text = format!("keeps {} blocks for growth, should keep {}", growth(found), growth(expected));
        differ(Kind::FilesystemGrowth, text);
    }
    let label = |raw: &[u8]| {
        let label = raw.get(0x78..0x88).unwrap_or_default();
        label.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
    };
    if label(expected) != label(found) {
        let (is, should) = (label(found), label(expected));
        differ(
            Kind::FilesystemLabel,
            format!("label is \"{}\", should be \"{}\"", escaped(&is), escaped(&should)),
        );
    }
    let uuid = |raw: &[u8]| raw.get(0x68..0x78).map(<[u8]>::to_vec).unwrap_or_default();
    if uuid(expected) != uuid(found) {
        let text = format!("UUID is {}, should be {}", uuid_text(&uuid(found)), uuid_text(&uuid(expected)));
        differ(Kind::FilesystemUuid, text);
    }
    let made = |raw: &[u8]| le32(raw, MADE) | (u64::from(raw.get(0x276).copied().unwrap_or(0)) << 32);
    if made(expected) != made(found) {
        differ(Kind::FilesystemTime, format!("was made at {}, should be {}", made(found), made(expected)));
    }
}

fn uuid_text(uuid: &[u8]) -> String {
    uuid.iter().enumerate().fold(String::new(), |text, (index, byte)| {
        let dash = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
        format!("{text}{dash}{byte:02x}")
    })
}

fn le32(raw: &[u8], at: usize) -> u64 {
    let bytes = raw.get(at..at.saturating_add(4)).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
    bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)))
}
