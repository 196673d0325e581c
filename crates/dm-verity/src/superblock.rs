use image_tree::to_usize;

use sha2::{Digest, Sha256};

use crate::{BLOCK, MOST_SALT, RootHash};

/// The parameters of a tree that a user chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    uuid: [u8; 16],
    salt: Vec<u8>,
}

impl Parameters {
    /// `uuid` is that of the hash device, in the order of its text form. `None` if the salt is longer than [`MOST_SALT`].
    #[must_use]
    pub fn new(uuid: [u8; 16], salt: Vec<u8>) -> Option<Self> {
        (salt.len() <= MOST_SALT).then_some(Self { uuid, salt })
    }

    /// The UUID of the hash device, in the order of its text form.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.uuid
    }

    /// The salt, which is hashed before each block.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }
}

/// The superblock of a hash device (`struct verity_sb` in cryptsetup's `lib/verity/verity.c`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// UUID and salt.
    pub parameters: Parameters,
    /// The number of blocks of data.
    pub data_blocks: u64,
}

/// The reason why a superblock describes no tree of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported(pub &'static str);

const SIGNATURE: &[u8; 8] = b"verity\0\0";
const SHA256: &[u8; 6] = b"sha256";
const UUID: usize = 16;
const ALGORITHM: usize = 32;
const SALT: usize = 88;

impl Superblock {
    /// The length on the disk in \[bytes\]. Zeros follow up to the first level.
    pub const LEN: usize = 512;

    /// The bytes on the disk. Numbers are little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let salt = self.parameters.salt();
        let salt_len = u16::try_from(salt.len()).expect("invariant: a salt has at most 256 bytes");
        let block = u32::try_from(BLOCK).expect("invariant: a block has 4,096 bytes");
        let mut put = |offset: usize, field: &[u8]| {
            bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, SIGNATURE);
        put(8, &1_u32.to_le_bytes());
        put(12, &1_u32.to_le_bytes());
        put(UUID, &self.parameters.uuid);
        put(ALGORITHM, SHA256);
        put(64, &block.to_le_bytes());
        put(68, &block.to_le_bytes());
        put(72, &self.data_blocks.to_le_bytes());
        put(80, &salt_len.to_le_bytes());
        put(SALT, salt);
        bytes
    }

    /// Reads a superblock. `None` if the bytes have no signature or are too short.
    ///
    /// # Errors
    /// If it describes a tree that this crate does not make.
    pub fn parse(bytes: &[u8]) -> Option<Result<Self, Unsupported>> {
        let bytes: &[u8; Self::LEN] = bytes.get(..Self::LEN)?.try_into().ok()?;
        bytes.starts_with(SIGNATURE).then(|| Self::parse_fields(bytes))
    }

    /// Whether bytes are a superblock of this crate in everything but the signature.
    #[must_use]
    pub fn has_damaged_signature(bytes: &[u8; Self::LEN]) -> bool {
        !bytes.starts_with(SIGNATURE) && Self::parse_fields(bytes).is_ok()
    }

    fn parse_fields(bytes: &[u8; Self::LEN]) -> Result<Self, Unsupported> {
        let u32_at = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        if (u32_at(8), u32_at(12)) != (1, 1) {
            return Err(Unsupported("the version is not 1"));
        }
        let algorithm = &bytes[ALGORITHM..64];
        if !algorithm.starts_with(SHA256) || algorithm[SHA256.len()] != 0 {
            return Err(Unsupported("the hash is not sha256"));
        }
        if (u64::from(u32_at(64)), u64::from(u32_at(68))) != (BLOCK, BLOCK) {
            return Err(Unsupported("the blocks have not 4096 bytes"));
        }
        let salt_len = usize::from(u16::from_le_bytes([bytes[80], bytes[81]]));
        let salt = bytes.get(SALT..SALT + salt_len).filter(|salt| salt.len() <= MOST_SALT);
        let salt = salt.ok_or(Unsupported("the salt is longer than 256 bytes"))?;
        let uuid = std::array::from_fn(|index| bytes[UUID + index]);
        let data_blocks = u64_at(72);
        if data_blocks == 0 || data_blocks > u64::MAX / BLOCK {
            return Err(Unsupported("the number of blocks is out of range"));
        }
        Ok(Self { parameters: Parameters { uuid, salt: salt.to_vec() }, data_blocks })
    }

    /// The root hash of a tree with this top block; of data of one block, with that block.
    #[must_use]
    pub fn root_hash(&self, top: &[u8; 4096]) -> RootHash {
        let mut hash = Sha256::new();
        hash.update(self.parameters.salt());
        hash.update(top);
        RootHash(hash.finalize().into())
    }

    /// The superblock's whole block.
    pub(crate) fn write_block(&self, block: &mut [u8]) {
        block[..to_usize(BLOCK)].fill(0);
        block[..Self::LEN].copy_from_slice(&self.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> Superblock {
        Superblock {
            parameters: Parameters::new(*b"0123456789abcdef", vec![9; 256]).unwrap(),
            data_blocks: 77,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = superblock().to_bytes();
        assert_eq!(Superblock::parse(&bytes), Some(Ok(superblock())));
        assert_eq!(Superblock::parse(&bytes[..511]), None);
        assert_eq!(Superblock::parse(&[0; 512]), None);
        assert_eq!(Parameters::new([0; 16], vec![0; 257]), None);
    }

    #[test]
    fn a_damaged_signature_is_recognised() {
        let good = superblock().to_bytes();
        assert!(!Superblock::has_damaged_signature(&good));
        let with = |offset: usize| {
            let mut bytes = good;
            bytes[0] ^= 1;
            bytes[offset] ^= 4;
            Superblock::has_damaged_signature(&bytes)
        };
        assert!(with(0) && with(7) && with(UUID));
        assert!(!with(8) && !with(ALGORITHM) && !with(69));
        assert!(!Superblock::has_damaged_signature(&[0; Superblock::LEN]));
    }

    #[test]
    fn other_trees_are_named() {
        for (offset, what) in [
            (8, "the version is not 1"),
            (12, "the version is not 1"),
            (33, "the hash is not sha256"),
            (38, "the hash is not sha256"),
            (64, "the blocks have not 4096 bytes"),
            (69, "the blocks have not 4096 bytes"),
            (79, "the number of blocks is out of range"),
            (81, "the salt is longer than 256 bytes"),
        ] {
            let mut bytes = superblock().to_bytes();
            bytes[offset] ^= 0x82;
            assert_eq!(Superblock::parse(&bytes), Some(Err(Unsupported(what))), "{offset}");
        }
    }
}
