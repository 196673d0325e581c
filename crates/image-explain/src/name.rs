//! Names of store paths, without the hash.

use closure_registration::StorePath;

/// The name of a store path in parts: `glibc-2.38-44-dev` has `glibc`, `2.38-44` and `dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreName<'a> {
    /// The whole name after the hash.
    pub full: &'a str,
    /// The part before the version.
    pub name: &'a str,
    /// Version; empty if there is none.
    pub version: &'a str,
    /// The last word after the version if it has only letters, usually the output; empty if there is none.
    pub output: &'a str,
}

impl<'a> StoreName<'a> {
    /// Splits the name in the base name of a store path.
    pub fn of(base_name: &'a str) -> Self {
        let full = base_name.get(StorePath::HASH_LEN + 1..).unwrap_or(base_name);
        // As in Nix, the version starts after the first dash that is not followed by a letter.
        let begins = |(at, _): &(usize, &str)| full[at + 1..].starts_with(|c: char| !c.is_ascii_alphabetic());
        let Some((dash, _)) = full.match_indices('-').find(begins) else {
            return Self { full, name: full, version: "", output: "" };
        };
        let (name, version) = (&full[..dash], &full[dash + 1..]);
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
        let (version, output) =
            version.rsplit_once('-').filter(|(_, last)| is_word(last)).unwrap_or((version, ""));
        Self { full, name, version, output }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_names_like_nix_and_separates_outputs() {
        for (full, parts) in [
            ("firefox-1.2", ["firefox", "1.2", ""]),
            ("glibc-2.38-44-dev", ["glibc", "2.38-44", "dev"]),
            ("python3.11-requests-2.31.0", ["python3.11-requests", "2.31.0", ""]),
            ("linux-firmware-20240101-zstd", ["linux-firmware", "20240101", "zstd"]),
            ("unit-dbus.service", ["unit-dbus.service", "", ""]),
            ("source", ["source", "", ""]),
            ("a-", ["a-", "", ""]),
            ("a--b", ["a", "", "b"]),
        ] {
            let base = format!("{}-{full}", "0".repeat(32));
            let name = StoreName::of(&base);
            assert_eq!(name.full, full);
            assert_eq!([name.name, name.version, name.output], parts, "{full}");
        }
        assert_eq!(StoreName::of("short").full, "short");
        assert_eq!(StoreName::of("größe").name, "größe");
    }
}
