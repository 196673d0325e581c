//! The hash that orders the names of an indexed directory: half MD4 over signed characters.
//!
//! Sources: kernel documentation, "Hash Tree Directories"; `fs/ext4/hash.c`. Whether characters are signed is a flag of the
//! superblock ([`FLAG_SIGNED_HASH`](crate::superblock::FLAG_SIGNED_HASH)), so the hash is the same on every machine.

/// The seed of the hash, `s_hash_seed` as four little-endian words.
#[derive(Clone, Copy, Debug)]
pub struct HashSeed([u32; 4]);

/// The hash of a name, in the order of an indexed directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirHash {
    /// The major hash, always even; the index is sorted by it.
    pub major: u32,
    /// The minor hash, which orders names of one major hash.
    pub minor: u32,
}

/// The major hash that no name gets, because it marks the end of a directory (`EXT4_HTREE_EOF_32BIT << 1`).
const END_OF_DIRECTORY: u32 = 0x7fff_ffff << 1;

impl HashSeed {
    /// Reads `s_hash_seed`. If it is all zero, the seed is MD4's initial state (`__ext4fs_dirhash`).
    pub fn new(s_hash_seed: &[u8; 16]) -> Self {
        let mut words = [0_u32; 4];
        for (word, bytes) in words.iter_mut().zip(s_hash_seed.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        if words == [0; 4] {
            words = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        }
        Self(words)
    }

    /// Hashes a name.
    pub fn hash(self, name: &[u8]) -> DirHash {
        let mut state = self.0;
        let mut rest = name;
        // Chunks of 32 bytes; the last is padded with its own length.
        while !rest.is_empty() {
            let words = words_of(rest);
            half_md4(&mut state, &words);
            rest = rest.get(32..).unwrap_or_default();
        }
        let major = state[1] & !1;
        let major = if major == END_OF_DIRECTORY { END_OF_DIRECTORY - 2 } else { major };
        DirHash { major, minor: state[2] }
    }
}

/// Packs up to 32 bytes into eight words, each byte sign-extended, the rest filled with the length (`str2hashbuf_signed`).
fn words_of(bytes: &[u8]) -> [u32; 8] {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let two = length | (length << 8);
    let pad = two | (two << 16);
    let bytes = bytes.get(..32).unwrap_or(bytes);
    let mut words = [pad; 8];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(4)) {
        *word = chunk.iter().fold(pad, |value, &byte| {
            let signed = i32::from(byte.cast_signed());
            signed.cast_unsigned().wrapping_add(value << 8)
        });
    }
    words
}

/// Runs three rounds of MD4 over eight words (`half_md4_transform`).
#[expect(clippy::many_single_char_names, reason = "the names of RFC 1320")]
fn half_md4(state: &mut [u32; 4], words: &[u32; 8]) {
    const K2: u32 = 0x5a82_7999;
    const K3: u32 = 0x6ed9_eba1;
    let f = |x: u32, y: u32, z: u32| z ^ (x & (y ^ z));
    let g = |x: u32, y: u32, z: u32| (x & y).wrapping_add((x ^ y) & z);
    let h = |x: u32, y: u32, z: u32| x ^ y ^ z;
    let [mut a, mut b, mut c, mut d] = *state;
    let mut step = |function: &dyn Fn(u32, u32, u32) -> u32, add: u32, shift: u32| {
        let mixed = a.wrapping_add(function(b, c, d)).wrapping_add(add).rotate_left(shift);
        (a, b, c, d) = (d, mixed, b, c);
    };
    for (i, shift) in [3, 7, 11, 19, 3, 7, 11, 19].into_iter().enumerate() {
        step(&f, words[i], shift);
    }
    for (i, shift) in [1, 3, 5, 7, 0, 2, 4, 6].into_iter().zip([3, 5, 9, 13, 3, 5, 9, 13]) {
        step(&g, words[i].wrapping_add(K2), shift);
    }
    for (i, shift) in [3, 7, 2, 6, 1, 5, 0, 4].into_iter().zip([3, 9, 11, 15, 3, 9, 11, 15]) {
        step(&h, words[i].wrapping_add(K3), shift);
    }
    for (word, mixed) in state.iter_mut().zip([a, b, c, d]) {
        *word = word.wrapping_add(mixed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `debugfs -R 'dx_hash -h half_md4 -s SEED NAME'` of e2fsprogs 1.47.0 on x86-64, where `char` is signed.
    #[test]
    fn hashes_agree_with_debugfs() {
        let seed = HashSeed::new(&[
            0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88,
        ]);
        let cases: [(&[u8], u32, u32); 8] = [
            (b"hello", 0xc001_ff3e, 0x6a5d_2633),
            (b"a", 0x9f5f_fe82, 0x6c63_e5c5),
            (b"lib.so.6", 0xd152_e16e, 0xd012_a1d4),
            (&[b'x'; 31], 0xdf42_8bce, 0xd75a_f942),
            (&[b'x'; 32], 0x6b6d_10b8, 0x673b_acbc),
            (&[b'y'; 33], 0x2fc1_5b44, 0x6e0b_dacf),
            ("größe".as_bytes(), 0x7463_79ce, 0x43be_c019),
            (&[b'z'; 255], 0x1cd2_46aa, 0x31ae_83f5),
        ];
        for (name, major, minor) in cases {
            assert_eq!(seed.hash(name), DirHash { major, minor }, "{}", name.escape_ascii());
        }
    }
}
