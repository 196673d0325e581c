//! Texts of a plan that stand for something else: sizes, modes, UUIDs, base 64, percentages. Each function
//! accepts exactly the texts that its comment tells, and nothing for them is rounded or cut.

use image_tree::Permissions;

/// What may follow the digits of a size, and by how many powers of two it multiplies.
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// Why a text is not a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSize {
    /// Not digits with at most one unit after them.
    Form,
    /// 2⁶⁴ bytes or more.
    TooLarge,
}

/// Reads a size in \[bytes\]: digits, and right after them perhaps one of KiB, MiB, GiB, TiB.
pub(crate) fn size(text: &str) -> Result<u64, NoSize> {
    let with_unit = UNITS.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, 1_u64 << shift)));
    let (digits, factor) = with_unit.unwrap_or((text, 1));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NoSize::Form);
    }
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or(NoSize::TooLarge)
}

/// The shortest text of a size with a unit, where it is a whole number of one.
pub(crate) fn with_unit(size: u64) -> Option<String> {
    let (unit, shift) = UNITS.iter().rev().find(|(_, shift)| size > 0 && size.trailing_zeros() >= *shift)?;
    Some(format!("{}{unit}", size >> shift))
}

/// Reads permission bits: one to four octal digits.
pub(crate) fn mode(text: &str) -> Option<Permissions> {
    let form = (1..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    form.then(|| u16::from_str_radix(text, 8).ok().and_then(Permissions::new)).flatten()
}

/// Reads a UUID: 32 hexadecimal digits of any case in groups of 8, 4, 4, 4 and 12.
pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits = groups.concat();
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(u128::to_be_bytes)
}

/// Reads one to eight hexadecimal digits of any case.
pub(crate) fn hexadecimal_u32(digits: &str) -> Option<u32> {
    let form = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    form.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// Reads base 64 (RFC 4648, section 4): the standard alphabet, padded, no other character, and no bits left
/// over, so that equal bytes have one text.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    // A single digit in the last group would hold six bits only; the padding's length must be right as well.
    if !text.len().is_multiple_of(4) || body.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3 + 2);
    let (mut pending, mut bits) = (0_u32, 0_u32);
    for digit in body.bytes() {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        pending = (pending << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [byte, ..] = (pending >> bits).to_le_bytes();
            bytes.push(byte);
            pending &= (1 << bits) - 1;
        }
    }
    (pending == 0).then_some(bytes)
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
    fn uuids_have_five_groups() {
        let bytes =
            [0x7f, 0x1c, 0x6c, 0x3e, 0x52, 0xa5, 0x4f, 0x0e, 0x9a, 0x57, 0x0c, 0x5d, 0x1d, 0x1a, 0x9b, 0x10];
        assert_eq!(uuid("7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10"), Some(bytes));
        assert_eq!(uuid("7F1C6C3E-52A5-4F0E-9A57-0C5D1D1A9B10"), Some(bytes));
        for text in [
            "",
            "7f1c6c3e52a54f0e9a570c5d1d1a9b10",
            "{7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10}",
            "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b1",
            "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b1g",
            "+f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10",
            "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10-",
        ] {
            assert_eq!(uuid(text), None, "{text}");
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
