//! Reads directories: entries of 32 bytes, with long names before their short names (fatgen103, "FAT
//! Directory Structure" and "Long Directory Entries").

use image_tree::{Name, escaped};

use super::FatEntry;
use super::boot::label_of;
use crate::ReadError;
use crate::bytes::Bytes;
use crate::file_system::{Entry, Target, Time};

const READ_ONLY: u8 = 0x1;
const LABEL: u8 = 0x8;
const DIRECTORY: u8 = 0x10;
const LONG: u8 = 0xf;
/// A long name has at most 255 units in at most 20 entries.
const MAX_PARTS: usize = 20;

/// Offsets of the UTF-16 units of a long name in an entry.
const UNIT_OFFSETS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// A partly read long name: its parts in reverse order, and the checksum of its short name.
#[derive(Default)]
struct LongName {
    units: Vec<[u16; 13]>,
    next: u8,
    checksum: u8,
}

impl LongName {
    fn take(&mut self, entry: Bytes<'_>) {
        let order = entry.byte(0);
        let number = order & 0x3f;
        if order & 0x40 != 0 {
            *self = Self { units: Vec::new(), next: number, checksum: entry.byte(0xd) };
        }
        if number == 0
            || number != self.next
            || entry.byte(0xd) != self.checksum
            || self.units.len() == MAX_PARTS
        {
            *self = Self::default();
            return;
        }
        self.units.push(UNIT_OFFSETS.map(|at| entry.le16(at)));
        self.next = number.saturating_sub(1);
    }

    /// The name, if it is complete and belongs to this short name.
    fn finish(self, short: &[u8]) -> Option<Vec<u8>> {
        let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.units.is_empty() || self.next != 0 || sum != self.checksum {
            return None;
        }
        let units = self.units.iter().rev().flatten().copied().take_while(|unit| *unit != 0);
        let text: String =
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        Some(text.into_bytes())
    }
}

/// Parses the bytes of a directory: entries, and errors.
pub(super) fn entries(bytes: &[u8], bits: u32) -> (Vec<Entry>, Vec<ReadError>) {
    let mut found = (Vec::new(), Vec::new());
    let mut long = LongName::default();
    for (at, raw) in (0_u64..).step_by(32).zip(bytes.chunks_exact(32)) {
        let entry = Bytes(raw);
        let attributes = entry.byte(0xb);
        match (entry.byte(0), attributes & 0x3f) {
            (0, _) => break,
            (0xe5, _) => long = LongName::default(),
            (_, LONG) => long.take(entry),
            _ if attributes & LABEL != 0 => long = LongName::default(),
            _ => {
                let short = entry.slice(0, 11);
                let name = std::mem::take(&mut long).finish(short);
                let name = name.unwrap_or_else(|| short_name(short, entry.byte(0xc)));
                if name == b"." || name == b".." {
                    continue;
                }
                if Name::new(&name).is_err() {
                    let what = format!("the name \"{}\" is not allowed", escaped(&name));
                    found.1.push(ReadError::damaged("directory", what));
                    continue;
                }
                found.0.push(Entry { name, target: Target::Fat(file(entry, attributes, bits, at)) });
            }
        }
    }
    found
}

/// The volume label in the root directory.
pub(super) fn label(bytes: &[u8]) -> Option<Vec<u8>> {
    let entries = bytes.chunks_exact(32).take_while(|entry| entry.first() != Some(&0));
    let mut labels = entries.filter(|entry| {
        let attributes = Bytes(entry).byte(0xb) & 0x3f;
        attributes & LABEL != 0 && attributes != LONG && entry.first() != Some(&0xe5)
    });
    labels.next().map(|entry| label_of(Bytes(entry).slice(0, 11)))
}

fn file(entry: Bytes<'_>, attributes: u8, bits: u32, at: u64) -> FatEntry {
    let directory = attributes & DIRECTORY != 0;
    FatEntry {
        directory,
        read_only: attributes & READ_ONLY != 0,
        // The upper half of the cluster number exists only in FAT32, with 28 bits in all.
        cluster: if bits == 32 { u32::from(entry.le16(0x14) & 0xfff) << 16 } else { 0 }
            | u32::from(entry.le16(0x1a)),
        size: if directory { 0 } else { entry.le32(0x1c).into() },
        modified: time(entry.le16(0x18), entry.le16(0x16)),
        at,
    }
}

/// The short name as `NAME.EXT`, in lower case by the flags of Windows NT.
fn short_name(raw: &[u8], lower: u8) -> Vec<u8> {
    let (base, extension) = raw.split_at_checked(8).unwrap_or((raw, &[]));
    let cased = |part: &[u8], small: bool| {
        let part = part.trim_ascii_end();
        if small { part.to_ascii_lowercase() } else { part.to_vec() }
    };
    let mut name = cased(base, lower & 0x8 != 0);
    // 0xe5 marks a free entry, so it is stored as 5 at the start of a name.
    if name.first() == Some(&5)
        && let Some(first) = name.first_mut()
    {
        *first = 0xe5;
    }
    let extension = cased(extension, lower & 0x10 != 0);
    if !extension.is_empty() {
        name.push(b'.');
        name.extend(extension);
    }
    name
}

#[expect(clippy::arithmetic_side_effects, reason = "fields of at most seven bits can't overflow 64")]
/// Converts local time, of an unknown time zone and in steps of two seconds, as if it were UTC.
fn time(date: u16, time: u16) -> Time {
    let (year, month, day) =
        (1980 + i64::from(date >> 9), i64::from(date >> 5 & 0xf), i64::from(date & 0x1f));
    if !(1..=12).contains(&month) || day == 0 {
        return Time::default();
    }
    // Days since 1970, computed with years that start in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let clock = i64::from(time >> 11) * 3600 + i64::from(time >> 5 & 0x3f) * 60 + i64::from(time & 0x1f) * 2;
    Time { seconds: days * 86_400 + clock, nanoseconds: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_dates() {
        for (date, clock, seconds) in [
            ((20 << 9) | (1 << 5) | 1, 0, 946_684_800),
            (0x585d, 0xbf7d, 1_709_251_198),
            (0, 0, 0),
            // 1980, 1999, 2000, 2001, 2023, 2024.
            (0x0021, 0x0000, 315_532_800),
            (0x279f, 0xbf7d, 946_684_798),
            (0x285d, 0x0000, 951_782_400),
            (0x2861, 0x0000, 951_868_800),
            (0x2a21, 0x0000, 978_307_200),
            (0x56ef, 0x645c, 1_689_424_496),
            (0x5861, 0x0000, 1_709_251_200),
            // 2100 has no leap day.
            (0xef9f, 0x0000, 4_102_358_400),
            (0xf05c, 0x0000, 4_107_456_000),
            (0xf061, 0x0000, 4_107_542_400),
            (0xff9f, 0x0000, 4_354_732_800),
            // Invalid: month 0, month 13, day 0.
            (0x2801, 0x1000, 0),
            (0x29a1, 0x1000, 0),
            (0x2a20, 0x1000, 0),
        ] {
            assert_eq!(time(date, clock), Time { seconds, nanoseconds: 0 }, "{date:#x} {clock:#x}");
        }
    }

    /// An entry with a short name and attributes.
    fn raw(name: &[u8; 11], attributes: u8) -> [u8; 32] {
        let mut raw = [0; 32];
        raw[..11].copy_from_slice(name);
        raw[0xb] = attributes;
        raw
    }

    /// The entries of a long name for this short name, in the order in which they are stored.
    fn long(name: &str, short: &[u8; 11]) -> Vec<[u8; 32]> {
        let mut units: Vec<u16> = name.encode_utf16().collect();
        if !units.len().is_multiple_of(13) {
            units.push(0);
        }
        units.resize(units.len().next_multiple_of(13), 0xffff);
        // fatgen103, "ChkSum".
        let sum = short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let mut entries: Vec<[u8; 32]> = (1..)
            .zip(units.chunks(13))
            .map(|(number, part)| {
                let mut raw = [0; 32];
                (raw[0], raw[0xb], raw[0xd]) = (number, LONG, sum);
                let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain((28..32).step_by(2));
                for (at, unit) in places.zip(part) {
                    raw[at..at + 2].copy_from_slice(&unit.to_le_bytes());
                }
                raw
            })
            .collect();
        if let Some(last) = entries.last_mut() {
            last[0] |= 0x40;
        }
        entries.reverse();
        entries
    }

    /// The names in a directory, and the number of errors.
    fn names(raw: &[[u8; 32]]) -> (Vec<String>, usize) {
        let (found, errors) = entries(&raw.concat(), 16);
        let text = |entry: Entry| String::from_utf8_lossy(&entry.name).into_owned();
        (found.into_iter().map(text).collect(), errors.len())
    }

    const SHORT: &[u8; 11] = b"SHORT~1 TXT";

    #[test]
    fn long_names_replace_short_ones() {
        for name in
            ["a", "thirteen char", "fourteen chars", "grö\u{df}er als vierzehn \u{1f600}", &"n".repeat(255)]
        {
            let stored = [long(name, SHORT), vec![raw(SHORT, 0), raw(b"NEXT       ", 0)]].concat();
            assert_eq!(names(&stored), (vec![name.to_owned(), "NEXT".to_owned()], 0));
        }
        // A half of a pair is no character.
        let mut half = long("ab", SHORT);
        half[0][3..5].copy_from_slice(&0xd83d_u16.to_le_bytes());
        assert_eq!(names(&[half, vec![raw(SHORT, 0)]].concat()).0, ["a\u{fffd}"]);
    }

    #[test]
    fn incomplete_long_names_are_ignored() {
        let long = long("a name of three parts, with numbers", SHORT);
        assert_eq!(long.len(), 3);
        let own = raw(SHORT, 0);
        let [third, second, first] = [long[0], long[1], long[2]];
        let with = |mut entry: [u8; 32], at: usize, value: u8| {
            entry[at] = value;
            entry
        };
        for stored in [
            vec![third, second, own],
            vec![second, first, own],
            vec![third, first, own],
            vec![third, third, second, first, second, own],
            vec![first, second, third, own],
            vec![third, second, with(first, 0xd, 0), own],
            vec![third, second, first, with(own, 0, b'Z')],
            vec![third, second, first, raw(b"LABEL      ", LABEL), own],
            vec![third, second, first, raw(b"\xe5ELETED    ", 0), own],
            vec![with(third, 0, 0x40), own],
            vec![third, second, first, with(first, 0, 0x80), own],
        ] {
            let (names, errors) = names(&stored);
            assert!(names == ["SHORT~1.TXT"] || names == ["ZHORT~1.TXT"], "{names:?}");
            assert_eq!(errors, 0);
        }
        // A name that begins again is complete.
        let again = vec![third, second, third, second, first, own];
        assert_eq!(names(&again).0, ["a name of three parts, with numbers"]);
    }

    #[test]
    fn long_names_have_at_most_twenty_parts() {
        for (parts, is_long) in [(20, true), (21, false)] {
            let mut stored = long(&"n".repeat(13 * parts), SHORT);
            assert_eq!(stored.len(), parts);
            // The name ends in its first part.
            stored.last_mut().unwrap()[3..5].fill(0);
            stored.push(raw(SHORT, 0));
            assert_eq!(names(&stored).0, [if is_long { "n" } else { "SHORT~1.TXT" }]);
        }
    }

    #[test]
    fn entries_end_at_the_first_unused_one() {
        let stored = [
            raw(b".          ", DIRECTORY),
            raw(b"..         ", DIRECTORY),
            raw(b"A LABEL    ", LABEL),
            raw(b"A          ", 0),
            raw(b"\xe5OLD       ", 0),
            raw(b"NOT/VALID  ", 0),
            // The upper two bits of attributes are reserved.
            raw(b"B          ", 0xc0),
            raw(b"C          ", 0xc0 | LABEL),
            [0; 32],
            raw(b"D          ", 0),
        ];
        assert_eq!(names(&stored), (vec!["A".to_owned(), "B".to_owned()], 1));
        // A part of an entry is none.
        assert_eq!(entries(&raw(b"A          ", 0)[..31], 16).0.len(), 0);
    }

    #[test]
    fn entries_have_the_fields_of_their_file() {
        let mut stored = [raw(b"UNUSED     ", 0), raw(b"A          ", READ_ONLY)].concat();
        stored[32 + 0x14..32 + 0x16].copy_from_slice(&0xf001_u16.to_le_bytes());
        stored[32 + 0x16..32 + 0x18].copy_from_slice(&0xbf7d_u16.to_le_bytes());
        stored[32 + 0x18..32 + 0x1a].copy_from_slice(&0x585d_u16.to_le_bytes());
        stored[32 + 0x1a..32 + 0x1c].copy_from_slice(&7_u16.to_le_bytes());
        stored[32 + 0x1c..].copy_from_slice(&9_u32.to_le_bytes());
        let second = |stored: &[u8], bits| {
            let (mut found, _) = entries(stored, bits);
            let Target::Fat(entry) = found.remove(1).target else { panic!("not FAT") };
            entry
        };
        let file = second(&stored, 16);
        assert!(!file.directory && file.read_only);
        assert_eq!((file.cluster, file.size, file.at), (7, 9, 32));
        assert_eq!(file.modified.seconds, 1_709_251_198);
        // FAT32 has cluster numbers of 28 bits.
        assert_eq!(second(&stored, 32).cluster, 1 << 16 | 7);
        stored[32 + 0xb] = DIRECTORY;
        let directory = second(&stored, 16);
        assert!(directory.directory && !directory.read_only);
        assert_eq!(directory.size, 0, "the length of a directory is not stored");
    }

    #[test]
    fn the_label_is_the_first_entry_with_that_attribute() {
        let own = raw(b"A LABEL    ", LABEL | 0xc0);
        let other = raw(b"A          ", 0x20);
        for (stored, expected) in [
            (vec![own], Some(&b"A LABEL"[..])),
            (vec![other, raw(b"x          ", LONG), own, raw(b"B LABEL    ", LABEL)], Some(b"A LABEL")),
            (vec![raw(b"\xe5 LABEL    ", LABEL)], None),
            (vec![[0; 32], own], None),
            (vec![other], None),
            (vec![], None),
        ] {
            assert_eq!(label(&stored.concat()).as_deref(), expected);
        }
    }

    #[test]
    fn short_names_have_a_dot_only_before_an_extension() {
        assert_eq!(short_name(b"KERNEL8 IMG", 0), b"KERNEL8.IMG");
        assert_eq!(short_name(b"KERNEL8 IMG", 0x18), b"kernel8.img");
        assert_eq!(short_name(b"README     ", 0x10), b"README");
        assert_eq!(short_name(b"\x05A         ", 0), b"\xe5A");
        assert_eq!(short_name(b"A       TXT", 0x8), b"a.TXT");
    }
}
