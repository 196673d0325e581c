//! Nix's base 32: the digits 0-9 and a-z without e, o, t and u, five bits each, those of the last byte first.

const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// The value of each byte as a digit, or `NOT_A_DIGIT`.
const VALUES: [u8; 256] = values();
const NOT_A_DIGIT: u8 = 0xff;

#[expect(clippy::as_conversions, reason = "const fn; an index holds every u8")]
const fn values() -> [u8; 256] {
    let mut values = [NOT_A_DIGIT; 256];
    let mut digit = 0_u8;
    while digit < 32 {
        values[DIGITS[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
}

/// Whether the byte is one of the 32 digits.
pub(crate) fn is_digit(byte: u8) -> bool {
    VALUES.get(usize::from(byte)).is_some_and(|&value| value != NOT_A_DIGIT)
}

/// Number of digits that encode this many bytes.
pub(crate) const fn len(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Encodes bytes in base 32.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |n: usize| {
        let (at, shift) = (n * 5 / 8, n * 5 % 8);
        let low = bytes.get(at).copied().unwrap_or_default();
        let high = bytes.get(at + 1).copied().unwrap_or_default();
        let value = (u16::from_le_bytes([low, high]) >> shift) & 31;
        DIGITS.get(usize::from(value)).copied().map_or('0', char::from)
    };
    (0..len(bytes.len())).rev().map(digit).collect()
}

/// Decodes exactly `N` bytes; `None` for another length, an invalid character, or bits beyond the last byte.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_into(text, &mut bytes).map(|()| bytes)
}

/// Decodes into `bytes`, which must be zeros; `None` as in [`decode`].
pub(crate) fn decode_into(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if text.len() != len(bytes.len()) {
        return None;
    }
    for (n, &character) in text.iter().rev().enumerate() {
        let value = *VALUES.get(usize::from(character)).filter(|&&value| value != NOT_A_DIGIT)?;
        let (at, shift) = (n * 5 / 8, n * 5 % 8);
        let [low, high] = (u16::from(value) << shift).to_le_bytes();
        *bytes.get_mut(at)? |= low;
        match bytes.get_mut(at + 1) {
            Some(byte) => *byte |= high,
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of the empty string and of "hello\n", as `nix-hash --type sha256 --flat --base32` writes them.
    const VECTORS: [(&str, &str); 2] = [
        (
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
        ),
        (
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
            "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
        ),
    ];

    fn hex(text: &str) -> [u8; 32] {
        std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    #[test]
    fn encodes_and_decodes_the_vectors_of_nix() {
        for (base16, base32) in VECTORS {
            assert_eq!(encode(&hex(base16)), base32);
            assert_eq!(decode(base32.as_bytes()), Some(hex(base16)));
        }
        assert_eq!(encode(&[]), "");
        assert_eq!(encode(&[0xff; 20]), "z".repeat(32));
        assert_eq!(decode::<1>(b"7z"), Some([0xff]));
    }

    #[test]
    fn rejects_wrong_lengths_letters_and_padding() {
        for bad in ["", "7", "07z", "8z", "zz", "ez", "oz", "uz", "tz", "7Z", "7!"] {
            assert_eq!(decode::<1>(bad.as_bytes()), None, "{bad}");
        }
    }
}
