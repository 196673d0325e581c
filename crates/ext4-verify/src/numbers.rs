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

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 8] = [0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88];

    #[test]
    fn numbers_have_their_lowest_byte_first_except_in_the_journal() {
        assert_eq!((byte(&BYTES, 1), le16(&BYTES, 1), le32(&BYTES, 1)), (0x82, 0x0382, 0x0584_0382));
        assert_eq!(be32(&BYTES, 1), 0x8203_8405);
        assert_eq!((le16_pair(&BYTES, 0, 6), le32_pair(&BYTES, 4, 0)), (0x8807_8201, 0x8403_8201_8807_8605));
        assert_eq!(
            (le(&BYTES, 1, 1), le(&BYTES, 1, 3), le(&BYTES, 0, 8)),
            (0x82, 0x84_0382, 0x8807_8605_8403_8201)
        );
    }

    #[test]
    fn bytes_past_the_end_count_as_zeros() {
        assert_eq!((byte(&BYTES, 8), le16(&BYTES, 6), le16(&BYTES, 7), le32(&BYTES, 5)), (0, 0x8807, 0, 0));
        assert_eq!((be32(&BYTES, 5), le(&BYTES, 7, 4), le16(&BYTES, usize::MAX)), (0, 0x88, 0));
        assert_eq!(
            (part(&BYTES, 6, 5), part(&BYTES, 8, 1), part(&BYTES, 9, 1)),
            (&BYTES[6..], &[][..], &[][..])
        );
        assert_eq!(id(&BYTES, 0), [0; 16]);
        assert_eq!(id(&[7; 17], 1), [7; 16]);
    }

    #[test]
    fn zeros_are_zero_at_every_place() {
        assert!(is_zero(&[]) && is_zero(&[0; 100]));
        for at in 0..100 {
            let mut bytes = [0; 100];
            bytes[at] = 0x80;
            assert!(!is_zero(&bytes), "{at}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_the_largest() {
        assert_eq!((to_u32(7), to_u32(1 << 32), to_usize(7), to_u64(7)), (7, u32::MAX, 7, 7));
    }
}
