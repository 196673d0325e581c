//! File names: long names, and short names of 8 and 3 characters (specification, sections
//! 6.1 and 7).

use std::collections::{BTreeMap, BTreeSet};

/// A short name, padded with spaces.
pub(crate) type ShortName = [u8; 11];

/// The base of a short name is in lower case.
const LOWER_BASE: u8 = 0x08;
/// The extension of a short name is in lower case.
const LOWER_EXTENSION: u8 = 0x10;
/// Characters allowed in short names besides letters and digits.
const SHORT_MARKS: &[u8] = b"!#$%&'()-@^_`{}~";
/// Maximum length of a long name in UTF-16 units.
const MAX_LONG_NAME: usize = 255;

/// The name of a file, as directory entries store it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryName {
    pub(crate) short: ShortName,
    /// Flags for parts of the short name that are displayed in lower case (by Windows NT, Linux and mtools).
    pub(crate) case: u8,
    /// The long name, if the short name is not the exact name.
    pub(crate) long: Option<Vec<u16>>,
}

/// Checks that FAT allows a name. The error is the reason.
pub(crate) fn check(name: &[u8]) -> Result<&str, &'static str> {
    let Ok(name) = std::str::from_utf8(name) else { return Err("it is not UTF-8") };
    if name.chars().any(|c| c.is_control() || "\"*/:<>?\\|".contains(c)) {
        return Err("it has a control character or one of \"*/:<>?\\|");
    }
    if name.ends_with(['.', ' ']) {
        return Err("it ends with a dot or a space");
    }
    if name.encode_utf16().count() > MAX_LONG_NAME {
        return Err("it has more than 255 UTF-16 units");
    }
    Ok(name)
}

/// The key under which FAT compares names, without case: a table has one upper-case character for each, so `ß`, whose upper
/// case has two characters, is only equal to itself.
pub(crate) fn folded(name: &str) -> String {
    let upper = |character: char| {
        let mut upper = character.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(one), None) => one,
            _ => character,
        }
    };
    name.chars().map(upper).collect()
}

/// The names of one directory, with unique short names.
pub(crate) fn in_directory(names: &[&str]) -> Vec<EntryName> {
    let exact: Vec<_> = names.iter().map(|name| exact(name)).collect();
    let mut taken: BTreeSet<ShortName> = exact.iter().flatten().map(|&(short, _)| short).collect();
    let mut tails: BTreeMap<(Vec<u8>, Vec<u8>), u32> = BTreeMap::new();
    let name_of = |(name, exact): (&&str, Option<(ShortName, u8)>)| {
        if let Some((short, case)) = exact {
            return EntryName { short, case, long: None };
        }
        let short = numbered(name, &mut taken, &mut tails);
        EntryName { short, case: 0, long: Some(name.encode_utf16().collect()) }
    };
    names.iter().zip(exact).map(name_of).collect()
}

/// The short name and its case flags, if they represent the name exactly.
fn exact(name: &str) -> Option<(ShortName, u8)> {
    let (base, extension) = match name.rsplit_once('.') {
        Some((base, extension)) if !extension.is_empty() => (base, extension),
        Some(_) => return None,
        None => (name, ""),
    };
    let is_short = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || SHORT_MARKS.contains(&b));
    if base.is_empty() || base.len() > 8 || extension.len() > 3 || !is_short(base) || !is_short(extension) {
        return None;
    }
    let case = |part: &str, bit: u8| {
        let lower = part.bytes().any(|b| b.is_ascii_lowercase());
        let upper = part.bytes().any(|b| b.is_ascii_uppercase());
        (!(lower && upper)).then_some(if lower { bit } else { 0 })
    };
    let case = case(base, LOWER_BASE)? | case(extension, LOWER_EXTENSION)?;
    Some((padded(base.as_bytes(), extension.as_bytes()), case))
}

/// A short name with a number that makes it unique in its directory.
fn numbered(
    name: &str,
    taken: &mut BTreeSet<ShortName>,
    tails: &mut BTreeMap<(Vec<u8>, Vec<u8>), u32>,
) -> ShortName {
    let (base, extension) =
        name.trim_start_matches('.').rsplit_once('.').unwrap_or((name.trim_start_matches('.'), ""));
    let (base, extension) = (plain(base, 6), plain(extension, 3));
    let next = tails.entry((base.clone(), extension.clone())).or_insert(1);
    loop {
        let tail = format!("~{next}");
        *next += 1;
        // A directory has at most 65,536 entries, so the number has at most five digits.
        let kept = base.len().min(8 - tail.len());
        let short = padded(&[&base[..kept], tail.as_bytes()].concat(), &extension);
        if taken.insert(short) {
            return short;
        }
    }
}

/// The start of a base or extension, with only characters of short names.
fn plain(part: &str, most: usize) -> Vec<u8> {
    let kept = part.chars().filter(|c| !matches!(c, ' ' | '.')).map(|c| match u8::try_from(c) {
        Ok(byte) if byte.is_ascii_alphanumeric() || SHORT_MARKS.contains(&byte) => byte.to_ascii_uppercase(),
        _ => b'_',
    });
    kept.take(most).collect()
}

fn padded(base: &[u8], extension: &[u8]) -> ShortName {
    let mut short = [b' '; 11];
    crate::boot::put(&mut short[..8], 0, base);
    crate::boot::put(&mut short[8..], 0, extension);
    short.make_ascii_uppercase();
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_keep_their_case() {
        for (name, short, case) in [
            ("START.ELF", b"START   ELF", 0),
            ("start4.elf", b"START4  ELF", LOWER_BASE | LOWER_EXTENSION),
            ("README.txt", b"README  TXT", LOWER_EXTENSION),
            ("overlays", b"OVERLAYS   ", LOWER_BASE),
            ("a-b_1.c~d", b"A-B_1   C~D", LOWER_BASE | LOWER_EXTENSION),
            ("12345678.123", b"12345678123", 0),
            ("!#$%&'()", b"!#$%&'()   ", 0),
            ("A", b"A          ", 0),
        ] {
            assert_eq!(exact(name), Some((*short, case)), "{name}");
        }
        // Mixed case; longer than 8 and 3 characters; an empty part; characters that only long names have.
        for name in [
            "Readme.txt",
            "README.Txt",
            "config.json",
            "bcm2711-rpi-4-b.dtb",
            "123456789",
            "a.1234",
            ".hidden",
            ".txt",
            "a.",
            "a.b.c",
            "ü",
            "a b",
            "x+y",
            "a.x+y",
            "x+y.a",
        ] {
            assert_eq!(exact(name), None, "{name}");
        }
    }

    #[test]
    fn short_names_of_long_names_are_numbered() {
        let names = ["LONGNA~1.TXT", "Long Name.txt", "Long Names.txt", "ünïcode", ".a.longext", "..."];
        let shorts: Vec<_> = in_directory(&names).into_iter().map(|name| name.short).collect();
        let expected: [&ShortName; 6] =
            [b"LONGNA~1TXT", b"LONGNA~2TXT", b"LONGNA~3TXT", b"_N_COD~1   ", b"A~1     LON", b"~1         "];
        assert_eq!(shorts, expected.map(|short| *short));
        // The number takes the place of the last characters, and skips names that are taken.
        let mut names: Vec<String> = (0..12).map(|number| format!("Long name {number:02}.txt")).collect();
        names.push("LONGN~10.TXT".to_owned());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shorts = in_directory(&names);
        assert_eq!((&shorts[0].short, &shorts[8].short), (b"LONGNA~1TXT", b"LONGNA~9TXT"));
        assert_eq!((&shorts[9].short, &shorts[10].short), (b"LONGN~11TXT", b"LONGN~12TXT"));
        assert_eq!((&shorts[12].short, &shorts[12].long), (b"LONGN~10TXT", &None));
        // Each base and extension counts by itself.
        let names =
            in_directory(&["Long name.a", "Long name.b", "Short name.a", "a,b", "a+b.c", "A.B C.D", "ab.c"]);
        let expected: [&ShortName; 7] = [
            b"LONGNA~1A  ",
            b"LONGNA~1B  ",
            b"SHORTN~1A  ",
            b"A_B~1      ",
            b"A_B~1   C  ",
            b"ABC~1   D  ",
            b"AB      C  ",
        ];
        for (name, short) in names.iter().zip(expected) {
            assert_eq!(&name.short, short);
        }
        assert_eq!(names[0].long, Some("Long name.a".encode_utf16().collect()));
        let many: Vec<String> = (0..20_000).map(|number| format!("Same beginning {number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let shorts: BTreeSet<_> = in_directory(&many).into_iter().map(|name| name.short).collect();
        assert_eq!(shorts.len(), many.len());
    }

    #[test]
    fn rejects_names_that_fat_does_not_allow() {
        let (longest, long) = ("n".repeat(255), "n".repeat(256));
        // This character has two UTF-16 units.
        let (wide, too_wide) = (format!("n{}", "😀".repeat(127)), "😀".repeat(128));
        for name in ["a b", ".a", "a.b.c", "+,;=[]", "ü", &longest, &wide] {
            assert_eq!(check(name.as_bytes()), Ok(name));
        }
        assert_eq!(check(b"a\xff"), Err("it is not UTF-8"));
        for forbidden in "\"*/:<>?\\|\0\n\x7f".chars() {
            let name = format!("a{forbidden}b");
            assert_eq!(
                check(name.as_bytes()),
                Err("it has a control character or one of \"*/:<>?\\|"),
                "{name:?}"
            );
        }
        for name in ["a.", "a ", "."] {
            assert_eq!(check(name.as_bytes()), Err("it ends with a dot or a space"));
        }
        for name in [long, too_wide] {
            assert_eq!(check(name.as_bytes()), Err("it has more than 255 UTF-16 units"));
        }
    }

    #[test]
    fn names_are_compared_without_case() {
        for (one, other) in [("Übung.TXT", "übung.txt"), ("ŸÐŁ", "ÿðł")] {
            assert_eq!((folded(one), folded(other)), (one.to_uppercase(), one.to_uppercase()));
        }
        assert_eq!(
            (folded("ß"), folded("ss"), folded("ŉ")),
            ("ß".to_owned(), "SS".to_owned(), "ŉ".to_owned())
        );
    }
}
