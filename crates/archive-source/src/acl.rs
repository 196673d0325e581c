//! Access control lists as text (`acl(5)`), as GNU tar and star write them, to the form of extended attributes.

use crate::error::Fault;

/// The value of `system.posix_acl_access` or `system.posix_acl_default` (`include/uapi/linux/posix_acl_xattr.h`).
pub(crate) fn from_text(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut entries = Vec::new();
    for entry in text.split(|byte| matches!(byte, b',' | b'\n')) {
        let entry = entry.split(|&byte| byte == b'#').next().unwrap_or(&[]).trim_ascii();
        if !entry.is_empty() {
            entries.push(one(entry).ok_or(Fault::Acl)?);
        }
    }
    entries.sort_unstable();
    let mut value = vec![2, 0, 0, 0];
    for (tag, id, bits) in entries {
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&bits.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    Ok(value)
}

/// Tag, number and permission bits of `TAG:WHO:rwx[:NUMBER]`.
fn one(entry: &[u8]) -> Option<(u16, u32, u16)> {
    const NOBODY: u32 = u32::MAX;
    let mut parts = entry.split(|&byte| byte == b':');
    let (tag, who, bits, last) = (parts.next()?, parts.next()?, parts.next()?, parts.next());
    // star adds the number of a name. `effective` is a comment of getfacl.
    let id = || crate::pax::decimal(last.unwrap_or(who)).and_then(|id| u32::try_from(id).ok());
    let (tag, id) = match (tag, who) {
        (b"user" | b"u", b"") => (0x01, NOBODY),
        (b"user" | b"u", _) => (0x02, id()?),
        (b"group" | b"g", b"") => (0x04, NOBODY),
        (b"group" | b"g", _) => (0x08, id()?),
        (b"mask" | b"m", b"") => (0x10, NOBODY),
        (b"other" | b"o", b"") => (0x20, NOBODY),
        _ => return None,
    };
    let mut value = 0;
    for byte in bits {
        value |= match byte {
            b'r' => 4,
            b'w' => 2,
            b'x' => 1,
            b'-' => 0,
            _ => return None,
        };
    }
    Some((tag, id, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_both_programs_become_the_attribute() {
        let expected = [
            &[2, 0, 0, 0][..],
            &[1, 0, 6, 0, 255, 255, 255, 255],
            &[2, 0, 4, 0, 0xd2, 4, 0, 0],
            &[4, 0, 4, 0, 255, 255, 255, 255],
            &[16, 0, 4, 0, 255, 255, 255, 255],
            &[32, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat();
        for text in [
            "user::rw-,user:1234:r--,group::r--,mask::r--,other::---",
            "user::rw-,user:name:r--:1234,group::r--,mask::r--,other::---\n",
            "u::rw-\ng::r--\nu:1234:r--\nm::r--\no::---",
        ] {
            assert_eq!(from_text(text.as_bytes()), Ok(expected.clone()), "{text}");
        }
        for wrong in ["user:name:r--", "user", "who::rwx", "user::rwz", "user:99999999999:r--"] {
            assert_eq!(from_text(wrong.as_bytes()), Err(Fault::Acl), "{wrong}");
        }
    }
}
