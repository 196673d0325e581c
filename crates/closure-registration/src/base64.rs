//! Base 64 with padding (RFC 4648), only what SRI hashes need: decoding exactly 32 bytes.

/// Number of characters that encode 32 bytes, including the final `=`.
pub(crate) const LEN: usize = 44;

/// Decodes 32 bytes; `None` for another length, an invalid character, or bits beyond the last byte.
pub(crate) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    let (digits, padding) = text.split_at_checked(LEN - 1)?;
    if padding != b"=" {
        return None;
    }
    let mut bytes = [0; 32];
    let mut places = bytes.iter_mut();
    let (mut pending, mut bits) = (0_u32, 0_u32);
    for &digit in digits {
        pending = (pending << 6) | u32::from(value(digit)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [low, ..] = (pending >> bits).to_le_bytes();
            *places.next()? = low;
            pending &= (1 << bits) - 1;
        }
    }
    (pending == 0).then_some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_exactly_32_bytes() {
        let zeros = "A".repeat(43);
        assert_eq!(decode(format!("{zeros}=").as_bytes()), Some([0; 32]));
        assert_eq!(decode(format!("{}8=", "/".repeat(42)).as_bytes()), Some([0xff; 32]));
        assert_eq!(
            decode(b"+/abcdefghijklmnopqrstuvwxyz0123456789ABCDE=").map(|b| b[..3].to_vec()),
            Some(vec![0xfb, 0xf6, 0x9b])
        );
        for bad in
            ["", "=", &zeros, &format!("{zeros}A"), &format!("{}B=", "A".repeat(42)), &format!("{zeros}==")]
        {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(decode(format!("-{}=", "A".repeat(42)).as_bytes()), None);
    }
}
