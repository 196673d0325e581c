//! Default identifiers. They are derived from the UUID of the root file system, so they are the same in every build and
//! differ between systems.

use sha2::{Digest, Sha256};

/// A GUID of version 8 (RFC 9562, section 5.8: vendor-specific), bytes in the order of its text form.
pub(crate) fn guid(seed: &[u8; 16], purpose: &str, number: usize) -> [u8; 16] {
    let mut guid = [0; 16];
    for (to, from) in guid.iter_mut().zip(digest(seed, purpose, number)) {
        *to = from;
    }
    // Version and variant.
    guid[6] = (guid[6] & 0x0f) | 0x80;
    guid[8] = (guid[8] & 0x3f) | 0x80;
    guid
}

/// A number of 32 bits. Never 0, which Windows and Linux treat as missing.
pub(crate) fn number(seed: &[u8; 16], purpose: &str) -> u32 {
    number_of(&digest(seed, purpose, 0))
}

/// The default serial number of a FAT file system. It is derived from the UUID of the root file system and the number of the
/// partition (from 1), so it differs between file systems of one disk and between systems. Never 0.
#[must_use]
pub fn fat_serial_number(root_uuid: &[u8; 16], partition: usize) -> u32 {
    number_of(&digest(root_uuid, "fat", partition))
}

fn number_of(digest: &[u8; 32]) -> u32 {
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]).max(1)
}

fn digest(seed: &[u8; 16], purpose: &str, number: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed);
    hash.update(purpose.as_bytes());
    hash.update(format!(" {number}").as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_depend_on_seed_purpose_and_number() {
        let one = guid(&[1; 16], "partition", 1);
        assert_eq!(one, guid(&[1; 16], "partition", 1));
        for other in
            [guid(&[2; 16], "partition", 1), guid(&[1; 16], "disk", 1), guid(&[1; 16], "partition", 2)]
        {
            assert_ne!(one, other);
        }
        for seed in 0..64 {
            let guid = guid(&[seed; 16], "partition", 1);
            assert_eq!((guid[6] >> 4, guid[8] >> 6), (8, 2), "version and variant");
        }
        assert_ne!(number(&[1; 16], "disk"), number(&[2; 16], "disk"));
        let serial = fat_serial_number(&[1; 16], 1);
        assert_eq!(serial, fat_serial_number(&[1; 16], 1));
        for other in [fat_serial_number(&[1; 16], 2), fat_serial_number(&[2; 16], 1), number(&[1; 16], "fat")]
        {
            assert_ne!(serial, other);
        }
    }
}
