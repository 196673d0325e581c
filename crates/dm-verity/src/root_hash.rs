use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::HASH;

/// The hash of a tree's top block, which authenticates all data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootHash(pub [u8; HASH]);

impl RootHash {
    /// The length of the text form in \[bytes\].
    pub const DIGITS: usize = 2 * HASH;

    /// Reads the text form, with digits of any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The GUIDs of the partitions with the data and with the tree: the first and the second half of the hash
    /// (Discoverable Partitions Specification, "Partition UUIDs"), bytes in the order of the text form.
    #[must_use]
    pub fn guids(&self) -> [[u8; 16]; 2] {
        let half = |start| std::array::from_fn(|index| self.0[start + index]);
        [half(0), half(HASH / 2)]
    }
}

/// The text form: 64 lower-case hexadecimal digits.
impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_and_the_halves() {
        let text = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let hash = RootHash::parse(text).unwrap();
        assert_eq!(hash.to_string(), text);
        assert_eq!(RootHash::parse(&text.to_uppercase()), Some(hash));
        let [data, tree] = hash.guids();
        assert_eq!((data[0], data[15], tree[0], tree[15]), (0, 15, 16, 31));
        for wrong in ["", "00", &text[1..], &format!("{text}0"), &text.replace('f', "g")] {
            assert_eq!(RootHash::parse(wrong), None, "{wrong}");
        }
    }
}
