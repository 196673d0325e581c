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
        for (date, clock, seconds) in
            [((20 << 9) | (1 << 5) | 1, 0, 946_684_800), (0x585d, 0xbf7d, 1_709_251_198), (0, 0, 0)]
        {
            assert_eq!(time(date, clock).seconds, seconds);
        }
    }

    #[test]
    fn short_names_have_a_dot_only_before_an_extension() {
        assert_eq!(short_name(b"KERNEL8 IMG", 0), b"KERNEL8.IMG");
        assert_eq!(short_name(b"KERNEL8 IMG", 0x18), b"kernel8.img");
        assert_eq!(short_name(b"README     ", 0x10), b"README");
        assert_eq!(short_name(b"\x05A         ", 0), b"\xe5A");
    }
}
