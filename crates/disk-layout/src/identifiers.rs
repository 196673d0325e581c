//! Identifiers that a plan leaves open: from the UUID of its root, so that they are the same in every build and differ
//! between systems.

use sha2::{Digest, Sha256};

/// A GUID of version 8 (RFC 9562, section 5.8: whatever its maker likes), in the order of its text form.
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

/// A number of 32 bits that is not 0, which Windows and Linux take for none.
pub(crate) fn number(seed: &[u8; 16], purpose: &str) -> u32 {
    let digest = digest(seed, purpose, 0);
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
    fn identifiers_differ_by_seed_purpose_and_number_and_stay() {
        let one = guid(&[1; 16], "partition", 1);
        assert_eq!(one, guid(&[1; 16], "partition", 1));
        for other in
            [guid(&[2; 16], "partition", 1), guid(&[1; 16], "disk", 1), guid(&[1; 16], "partition", 2)]
        {
            assert_ne!(one, other);
        }
        assert_eq!((one[6] >> 4, one[8] >> 6), (8, 2));
        assert_ne!(number(&[1; 16], "disk"), number(&[2; 16], "disk"));
    }
}
