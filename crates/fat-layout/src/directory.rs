//! Directory entries (specification, sections 6 and 7).

use image_tree::{narrow, to_u64};

use crate::NO_LABEL;
use crate::boot::put;
use crate::names::{EntryName, ShortName};

/// The length of an entry in \[bytes\].
pub(crate) const ENTRY: usize = 32;
/// The date of all files, 1 January 2000: years since 1980, month, day.
const DATE: u16 = (20 << 9) | (1 << 5) | 1;
/// UTF-16 units of a long name in one entry.
const UNITS: usize = 13;

const VOLUME: u8 = 0x08;
pub(crate) const DIRECTORY: u8 = 0x10;
pub(crate) const ARCHIVE: u8 = 0x20;
/// Attributes of long-name entries, which old readers skip.
const LONG: u8 = 0x0f;
/// Flag of the first long-name entry, which has the end of the name.
const LAST_LONG: u8 = 0x40;

/// Number of entries of a name.
pub(crate) fn entries_of(name: &EntryName) -> usize {
    1 + name.long.as_ref().map_or(0, |long| long.len().div_ceil(UNITS))
}

/// The volume label's entry; empty without a label.
pub(crate) fn label(label: &[u8; 11]) -> Vec<u8> {
    if *label == NO_LABEL { Vec::new() } else { entry(label, 0, VOLUME, 0, 0).to_vec() }
}

/// The entries `.` and `..`, which start every directory except the root. `parent` is 0 for the root.
pub(crate) fn dots(own: u32, parent: u32) -> Vec<u8> {
    let one = entry(b".          ", 0, DIRECTORY, own, 0);
    let two = entry(b"..         ", 0, DIRECTORY, parent, 0);
    [one, two].concat()
}

/// All entries of one name: those of the long name, from its end to its start, then that of the short name.
pub(crate) fn named(name: &EntryName, attributes: u8, cluster: u32, size: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries_of(name) * ENTRY);
    if let Some(long) = &name.long {
        let checksum = checksum(&name.short);
        for (index, units) in long.chunks(UNITS).enumerate().rev() {
            let is_last = (index + 1) * UNITS >= long.len();
            bytes.extend(long_entry(index, is_last, units, checksum));
        }
    }
    bytes.extend(entry(&name.short, name.case, attributes, cluster, size));
    bytes
}

fn entry(short: &ShortName, case: u8, attributes: u8, cluster: u32, size: u32) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let [low_0, low_1, high_0, high_1] = cluster.to_le_bytes();
    put(&mut bytes, 0, short);
    put(&mut bytes, 11, &[attributes, case]);
    // Creation time (midnight) and date, access date, then modification time (midnight) and date.
    for at in [16, 18, 24] {
        put(&mut bytes, at, &DATE.to_le_bytes());
    }
    put(&mut bytes, 20, &[high_0, high_1]);
    put(&mut bytes, 26, &[low_0, low_1]);
    put(&mut bytes, 28, &size.to_le_bytes());
    bytes
}

fn long_entry(index: usize, is_last: bool, units: &[u16], checksum: u8) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    let number: u8 = narrow(to_u64(index + 1), "a long name has at most 20 entries");
    put(&mut bytes, 0, &[if is_last { number | LAST_LONG } else { number }]);
    put(&mut bytes, 11, &[LONG, 0, checksum]);
    // If there is room, a NUL ends the name, and 0xFFFF fills the rest.
    let padded = units.iter().copied().chain([0]).chain(std::iter::repeat(u16::MAX));
    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
    for (at, unit) in places.zip(padded) {
        put(&mut bytes, at, &unit.to_le_bytes());
    }
    bytes
}

/// The checksum of the short name, stored with the long name (specification, section 7.2).
fn checksum(short: &ShortName) -> u8 {
    short.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// The checks that other readers don't make.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_start_with_their_end_and_have_the_checksum_of_the_short_name() {
        let long: Vec<u16> = "The quick brown.fox".encode_utf16().collect();
        let name = EntryName { short: *b"THEQUI~1FOX", case: 0, long: Some(long) };
        let bytes = named(&name, ARCHIVE, 0x0012_3456, 7);
        assert_eq!((bytes.len(), entries_of(&name)), (3 * ENTRY, 3));
        // Name and checksum of the specification's example.
        assert_eq!((bytes[0], bytes[13], bytes[32], bytes[45]), (0x42, 0x07, 0x01, 0x07));
        assert_eq!(&bytes[1..11], b"w\0n\0.\0f\0o\0");
        assert_eq!((&bytes[84..86], &bytes[90..96]), (&[0x12, 0][..], &[0x56, 0x34, 7, 0, 0, 0][..]));
        assert_eq!(DATE, 0x2821);
    }

    #[test]
    fn an_entry_has_all_fields() {
        let name = EntryName { short: *b"README  TXT", case: 0x18, long: None };
        let bytes = named(&name, ARCHIVE, 0x0123_4567, 0x89ab_cdef);
        let expected =
            b"README  TXT\x20\x18\0\0\0\x21\x28\x21\x28\x23\x01\0\0\x21\x28\x67\x45\xef\xcd\xab\x89";
        assert_eq!((&bytes[..], entries_of(&name)), (&expected[..], 1));
        assert_eq!(label(b"FIRMWARE   ")[..16], *b"FIRMWARE   \x08\0\0\0\0");
        assert_eq!((label(b"FIRMWARE   ").len(), label(&NO_LABEL).len()), (ENTRY, 0));
        let both = dots(0x0123_4567, 0x89ab_cdef);
        assert_eq!(both.len(), 2 * ENTRY);
        for (bytes, name, cluster) in [
            (&both[..32], b".          ", [0x23, 1, 0x67, 0x45]),
            (&both[32..], b"..         ", [0xab, 0x89, 0xef, 0xcd]),
        ] {
            assert_eq!((&bytes[..11], bytes[11], &bytes[28..]), (&name[..], DIRECTORY, &[0; 4][..]));
            assert_eq!([&bytes[20..22], &bytes[26..28]].concat(), cluster);
        }
    }

    /// The last entry ends with a NUL and 0xffff, unless the name fills it.
    #[test]
    fn long_names_fill_entries_of_13_units() {
        let name_of = |len: usize| {
            let long: Vec<u16> = (0..len).map(|unit| u16::try_from(0x100 + unit).unwrap()).collect();
            EntryName { short: *b"A          ", case: 0, long: Some(long) }
        };
        for (len, expected) in [(1, 1), (12, 1), (13, 1), (14, 2), (26, 2), (27, 3), (255, 20)] {
            let name = name_of(len);
            let bytes = named(&name, 0, 0, 0);
            assert_eq!((entries_of(&name), bytes.len()), (expected + 1, (expected + 1) * ENTRY));
            let mut units = Vec::new();
            for (number, entry) in (1..).zip(bytes.chunks(ENTRY).rev().skip(1)) {
                assert_eq!(entry[0], if usize::from(number) == expected { number | 0x40 } else { number });
                assert_eq!((entry[11], entry[12], &entry[26..28]), (0x0f, 0, &[0, 0][..]));
                units.extend([&entry[1..11], &entry[14..26], &entry[28..]].concat());
            }
            let units: Vec<u16> =
                units.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
            let mut padded = name.long.unwrap();
            if !padded.len().is_multiple_of(UNITS) {
                padded.push(0);
            }
            padded.resize(expected * UNITS, 0xffff);
            assert_eq!(units, padded, "{len}");
        }
    }
}
