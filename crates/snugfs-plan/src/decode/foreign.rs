//! Guesses what a text is that is not JSON, by its start and by the place where it stops being JSON.

/// Starts of files in other encodings and formats, with their names and help.
const BEGINNINGS: [(&[u8], &str, &str); 10] = [
    (&[0xef, 0xbb, 0xbf], "begins with a byte order mark", "save it as UTF-8 without one"),
    (&[0xff, 0xfe, 0, 0], "is UTF-32, not UTF-8", "save it as UTF-8"),
    (&[0, 0, 0xfe, 0xff], "is UTF-32, not UTF-8", "save it as UTF-8"),
    (&[0xff, 0xfe], "is UTF-16, not UTF-8", "save it as UTF-8"),
    (&[0xfe, 0xff], "is UTF-16, not UTF-8", "save it as UTF-8"),
    (&[0x1f, 0x8b], "is compressed by gzip", "decompress it: gzip -dc FILE | snugfs build -"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "is compressed by zstd", "decompress it: zstd -dc FILE | snugfs build -"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "is compressed by xz", "decompress it: xz -dc FILE | snugfs build -"),
    (b"PK\x03\x04", "is a zip archive", "unpack it"),
    (b"\x7fELF", "is a program", "name a plan"),
];

const YAML: (&str, &str) = ("is YAML, not JSON", "convert it: yq -o json FILE | snugfs build -");
const TOML: (&str, &str) = ("is TOML, not JSON", "convert it to JSON");
const NIX: (&str, &str) =
    ("is Nix, not JSON", "evaluate it: nix-instantiate --eval --strict --json FILE | snugfs build -");
const COMMENT: (&str, &str) = ("has a comment, which JSON does not know", "remove it");

/// Explains a text that stops being JSON at a line and column (both from 1): what is wrong, and what to do.
pub(super) fn form(text: &[u8], line: usize, column: usize) -> Option<(&'static str, &'static str)> {
    if let Some((_, what, help)) = BEGINNINGS.iter().find(|(mark, ..)| text.starts_with(mark)) {
        return Some((what, help));
    }
    // Without a byte order mark, every second byte of ASCII in UTF-16 is NUL, and three of four in UTF-32.
    let begin = text.get(..4)?;
    match [0, 1, 2, 3].map(|at| begin.get(at) == Some(&0)) {
        [true, true, true, false] | [false, true, true, true] => {
            return Some(("is UTF-32, not UTF-8", "save it as UTF-8"));
        }
        [true, false, true, false] | [false, true, false, true] => {
            return Some(("is UTF-16, not UTF-8", "save it as UTF-8"));
        }
        _ => {}
    }
    let text = std::str::from_utf8(text).ok()?;
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines().next().unwrap_or_default();
    let is_key = |key: &str| {
        let key = key.trim().trim_matches('"');
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./$".contains(&byte))
    };
    let is_key_before = |line: &str, mark: char| line.split_once(mark).is_some_and(|(key, _)| is_key(key));
    if first.starts_with("---") || (first.ends_with(':') || first.contains(": ")) && is_key_before(first, ':')
    {
        return Some(YAML);
    }
    let is_nix = |line: &str| line.ends_with(';') && is_key_before(line, '=');
    let is_function = first.starts_with('{') && first.contains("}:") && !first.contains('"');
    if first == "let" || first.starts_with("let ") || first.starts_with("rec ") || is_function {
        return Some(NIX);
    }
    if first.starts_with('{')
        && lines().any(|line| is_nix(line.trim_start_matches(['{', ' ']).trim_end_matches([' ', '}'])))
    {
        return Some(NIX);
    }
    let is_section = |line: &str| {
        line.strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
            .is_some_and(|name| is_key(name.trim_matches(['[', ']'])))
    };
    if !first.starts_with('{')
        && (is_key_before(first, '=') || (is_section(first) && lines().any(|line| is_key_before(line, '='))))
    {
        return Some(TOML);
    }
    let here = text.lines().nth(line.checked_sub(1)?)?.get(column.checked_sub(1)?..)?;
    ["//", "/*", "#"].iter().any(|mark| here.starts_with(mark)).then_some(COMMENT)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The only problem of a text.
    fn message(text: &[u8]) -> String {
        crate::parse(text, Path::new("")).unwrap_err().to_string()
    }

    #[test]
    fn other_formats_are_named() {
        let plan = "{ \"version\": 1 }";
        let wide = |bytes: fn(u16) -> [u8; 2]| plan.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        for (text, what) in [
            (["\u{feff}".as_bytes(), plan.as_bytes()].concat(), "begins with a byte order mark"),
            (wide(u16::to_le_bytes), "is UTF-16"),
            (wide(u16::to_be_bytes), "is UTF-16"),
            ([&[0xff, 0xfe], &*wide(u16::to_le_bytes)].concat(), "is UTF-16"),
            (plan.chars().flat_map(|character| u32::from(character).to_le_bytes()).collect(), "is UTF-32"),
            (b"\x1f\x8b\x08\0\0".to_vec(), "is compressed by gzip"),
            (b"\x28\xb5\x2f\xfd\0".to_vec(), "is compressed by zstd"),
            (b"version: 1\ntrees: []\n".to_vec(), "is YAML"),
            (b"---\nversion: 1\n".to_vec(), "is YAML"),
            (b"# a plan\nfilesystem:\n  label: x\n".to_vec(), "is YAML"),
            (b"version = 1\n".to_vec(), "is TOML"),
            (b"[filesystem]\nlabel = \"x\"\n".to_vec(), "is TOML"),
            (b"{ pkgs ? import <nixpkgs> {} }:\n{ version = 1; }\n".to_vec(), "is Nix"),
            (b"{\n  version = 1;\n}\n".to_vec(), "is Nix"),
            (b"{ version = 1; }".to_vec(), "is Nix"),
            (b"let x = 1; in { }".to_vec(), "is Nix"),
            (b"{ pkgs }: pkgs.hello".to_vec(), "is Nix"),
            (b"{\n  // why\n  \"version\": 1\n}".to_vec(), "has a comment"),
            (b"{ \"version\": 1, /* x */ \"trees\": [] }".to_vec(), "has a comment"),
            (b"# why\n{ \"version\": 1 }".to_vec(), "has a comment"),
        ] {
            let message = message(&text);
            assert!(
                message.contains(what) && !message.contains('\n'),
                "{message} for {:?}",
                String::from_utf8_lossy(&text)
            );
        }
    }

    #[test]
    fn json_with_a_mistake_is_told_as_such() {
        for text in [
            "{ \"version\": 1, }",
            "{ \"version\" 1 }",
            "[1, 2",
            "{ \"a\": \"# = ;\", }",
            "{\"url\": \"http://x\",}",
            "nonsense",
            "{ \"a\": {}: 1 }",
            "{\n  \"version\": 1;\n}",
            "{\n  version = 1\n}",
            "[1]\n[2]",
        ] {
            assert!(message(text.as_bytes()).contains("not JSON: "), "{}", message(text.as_bytes()));
        }
    }
}
