//! Parses texts of a plan: sizes, modes, UUIDs, base 64, percentages. Each function
//! accepts exactly the texts in its comment, and never rounds or truncates.

use image_tree::Permissions;

/// The units of sizes, as powers of two.
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// The error for a text that is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSize {
    /// Not digits with at most one unit after them.
    Form,
    /// 2⁶⁴ bytes or more.
    TooLarge,
}

/// Parses a size in \[bytes\] as a plan has it: digits, optionally followed directly by KiB, MiB, GiB or TiB.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    size(text).ok()
}

/// Parses a size in \[bytes\], or says what is wrong.
pub(crate) fn size(text: &str) -> Result<u64, NoSize> {
    let with_unit = UNITS.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, 1_u64 << shift)));
    let (digits, factor) = with_unit.unwrap_or((text, 1));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NoSize::Form);
    }
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or(NoSize::TooLarge)
}

/// The shortest text of a size with a unit, if it is a multiple of one.
pub(crate) fn with_unit(size: u64) -> Option<String> {
    let (unit, shift) = UNITS.iter().rev().find(|(_, shift)| size > 0 && size.trailing_zeros() >= *shift)?;
    Some(format!("{}{unit}", size >> shift))
}

/// Parses permission bits: one to four octal digits.
pub(crate) fn mode(text: &str) -> Option<Permissions> {
    let form = (1..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    form.then(|| u16::from_str_radix(text, 8).ok().and_then(Permissions::new)).flatten()
}

/// Parses one to eight hexadecimal digits of any case.
pub(crate) fn hexadecimal_u32(digits: &str) -> Option<u32> {
    let form = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    form.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// Decodes base 64 (RFC 4648, section 4): the standard alphabet, padded, no other character, and no bits left
/// over, so that equal bytes have one text.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    // The library would accept several concatenated texts, each with padding.
    text.len().is_multiple_of(4).then(|| data_encoding::BASE64_NOPAD.decode(digits.as_bytes()).ok())?
}

/// Turns a number of percent as Rust shows it (`5`, `2.125`) into thousandths; `None` with more than three
/// decimals, a sign, or beyond 32 bits.
pub(crate) fn thousandths(shown: &str) -> Option<u32> {
    let (whole, fraction) = shown.split_once('.').unwrap_or((shown, ""));
    if fraction.len() > 3 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{fraction:0<3}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_digits_with_at_most_one_unit() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("16777215TiB"), Ok(16_777_215 << 40));
        assert_eq!(size("18446744073709551615"), Ok(u64::MAX));
        for text in
            ["", "MiB", "16 MiB", " 16MiB", "16MB", "16mib", "-1", "+1", "1.5GiB", "1e3", "16MiBMiB", "٣"]
        {
            assert_eq!(size(text), Err(NoSize::Form), "{text}");
        }
        for text in ["16777216TiB", "18446744073709551616", "99999999999999999999999KiB"] {
            assert_eq!(size(text), Err(NoSize::TooLarge), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_with_the_largest_unit_that_fits() {
        let shown = [4096, 4 << 20, 1 << 40, 5 << 39].map(|size| with_unit(size).unwrap());
        assert_eq!(shown, ["4KiB", "4MiB", "1TiB", "2560GiB"]);
        assert!([0, 1, 1023, 1025].iter().all(|&size| with_unit(size).is_none()));
    }

    #[test]
    fn modes_are_one_to_four_octal_digits() {
        assert_eq!(mode("0644"), Permissions::new(0o644));
        assert_eq!(mode("7"), Permissions::new(0o7));
        assert_eq!(mode("7777"), Permissions::new(0o7777));
        for text in ["", "999", "00644", "+644", "0o644", "u+x", "-1"] {
            assert_eq!(mode(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_of_32_bits_are_one_to_eight_hexadecimal_digits() {
        assert_eq!(hexadecimal_u32("0"), Some(0));
        assert_eq!(hexadecimal_u32("2178694E"), Some(0x2178_694e));
        assert_eq!(hexadecimal_u32("ffffffff"), Some(u32::MAX));
        for text in ["", "000000001", "100000000", "+1", "0x1", "1g"] {
            assert_eq!(hexadecimal_u32(text), None, "{text}");
        }
    }

    #[test]
    fn base64_has_one_text_for_equal_bytes() {
        // RFC 4648, section 10.
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64(text), Some(bytes.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(base64("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for text in [
            "Zg", "Zg=", "Zg===", "Z===", "=", "==", "====", "Zh==", "Zm9=", "Zm-v", "Zm9v\n", "Zg==Zg==",
            "Z=g=",
        ] {
            assert_eq!(base64(text), None, "{text}");
        }
    }

    #[test]
    fn percentages_are_exact_to_a_thousandth() {
        for (shown, value) in [("0", Some(0)), ("5", Some(5000)), ("2.125", Some(2125)), ("0.5", Some(500))] {
            assert_eq!(thousandths(shown), value, "{shown}");
        }
        for shown in ["-1", "-0", "1.0005", "NaN", "inf", "9999999999"] {
            assert_eq!(thousandths(shown), None, "{shown}");
        }
    }
}
