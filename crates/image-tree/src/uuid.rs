use std::fmt;

/// A UUID or GUID, its bytes in the order of its text form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

/// How many digits each group of the text form has.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Uuid {
    /// Reads the text form: 32 hexadecimal digits of any case in groups of 8, 4, 4, 4 and 12, joined by hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|group| group.len()).ne(GROUPS) {
            return None;
        }
        let digits = groups.concat();
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(|number| Self(number.to_be_bytes()))
    }

    /// From the order of a GUID on a disk, where the first three numbers are little-endian (UEFI specification,
    /// appendix A).
    #[must_use]
    pub fn from_disk(mut bytes: [u8; 16]) -> Self {
        bytes[0..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        Self(bytes)
    }

    /// In the order of a GUID on a disk: the inverse of [`Uuid::from_disk`].
    #[must_use]
    pub fn on_disk(self) -> [u8; 16] {
        Self::from_disk(self.0).0
    }
}

/// The text form, in lower case.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", u128::from_be_bytes(self.0));
        let mut rest = digits.as_str();
        for (index, len) in GROUPS.into_iter().enumerate() {
            let (group, after) = rest.split_at(len);
            let hyphen = if index == 0 { "" } else { "-" };
            write!(f, "{hyphen}{group}")?;
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] =
        [0x0f, 0xc6, 0x3d, 0xaf, 0x84, 0x83, 0x47, 0x72, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

    #[test]
    fn the_text_form_has_five_groups() {
        let uuid = Uuid(BYTES);
        assert_eq!(uuid.to_string(), "0fc63daf-8483-4772-8e79-3d69d8477de4");
        assert_eq!(Uuid::parse(&uuid.to_string()), Some(uuid));
        assert_eq!(Uuid::parse("0FC63DAF-8483-4772-8E79-3D69D8477DE4"), Some(uuid));
        assert_eq!(Uuid::default().to_string(), "00000000-0000-0000-0000-000000000000");
        for text in [
            "",
            "0fc63daf848347728e793d69d8477de4",
            "{0fc63daf-8483-4772-8e79-3d69d8477de4}",
            "0fc63daf-8483-4772-8e79-3d69d8477de",
            "0fc63daf-8483-4772-8e79-3d69d8477deg",
            "+fc63daf-8483-4772-8e79-3d69d8477de4",
            "0fc63daf-8483-4772-8e79-3d69d8477de4-",
        ] {
            assert_eq!(Uuid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_three_numbers_are_little_endian_on_a_disk() {
        // The type of Linux file systems as `xxd` shows it in a GPT that sfdisk made.
        let raw = *b"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4";
        assert_eq!(Uuid::from_disk(raw), Uuid(BYTES));
        assert_eq!(Uuid(BYTES).on_disk(), raw);
    }
}
