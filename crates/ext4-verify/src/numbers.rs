//! Numbers from bytes, and conversions between types of numbers. Bytes past the end of a structure count as zeros.

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    if let Some(found) = at.checked_add(N).and_then(|end| bytes.get(at..end)) {
        array.copy_from_slice(found);
    }
    array
}

pub(crate) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

/// A number of 1 to 8 bytes.
pub(crate) fn le(bytes: &[u8], at: usize, len: usize) -> u64 {
    part(bytes, at, len).iter().rev().fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

/// Two halves of 32 bits.
pub(crate) fn le32_pair(bytes: &[u8], low: usize, high: usize) -> u64 {
    (u64::from(le32(bytes, high)) << 32) | u64::from(le32(bytes, low))
}

/// Two halves of 16 bits.
pub(crate) fn le16_pair(bytes: &[u8], low: usize, high: usize) -> u32 {
    (u32::from(le16(bytes, high)) << 16) | u32::from(le16(bytes, low))
}

/// So many bytes, or as many as there are.
pub(crate) fn part(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    bytes.get(at..at.saturating_add(len).min(bytes.len())).unwrap_or_default()
}

pub(crate) fn id(bytes: &[u8], at: usize) -> [u8; 16] {
    array(bytes, at)
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    // Words first: most of what is looked at is zero, and there is much of it.
    let (words, rest) = bytes.as_chunks::<32>();
    words.iter().all(|word| *word == [0; 32]) && rest.iter().all(|&byte| byte == 0)
}

/// A length in memory; what does not fit there is as long as anything can be.
pub(crate) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A length of something in memory.
pub(crate) fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A number that callers have kept below 2^32.
pub(crate) fn to_u32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
