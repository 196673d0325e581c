//! The hashes of directory indexes, written down from the kernel's documentation of `dx_hash` and RFC 1320,
//! independently of the code that made the image.

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    /// The first hash of ext2.
    Legacy,
    /// Three rounds of MD4 over half a block.
    HalfMd4,
}

impl Hash {
    /// `hash_version` in the root of an index; others are not known here.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Legacy),
            1 => Some(Self::HalfMd4),
            _ => None,
        }
    }
}

/// A function with its seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    hash: Hash,
    signed: bool,
    seed: [u32; 4],
}

/// The hash that marks the end of a directory when it is read; no name has it.
const END: u32 = 0xffff_fffe;

impl Hasher {
    /// A seed of zeros means the constants of MD4.
    pub(crate) fn new(hash: Hash, signed: bool, seed: [u32; 4]) -> Self {
        let seed = if seed == [0; 4] { [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476] } else { seed };
        Self { hash, signed, seed }
    }

    /// The hash of a name; its lowest bit is always 0.
    pub(crate) fn hash(&self, name: &[u8]) -> u32 {
        let hash = match self.hash {
            Hash::Legacy => self.legacy(name),
            Hash::HalfMd4 => self.half_md4(name),
        } & !1;
        if hash == END { END - 2 } else { hash }
    }

    /// A character as a signed or unsigned number, as the superblock says.
    fn character(&self, byte: u8) -> u32 {
        if self.signed { i32::from(byte.cast_signed()).cast_unsigned() } else { u32::from(byte) }
    }

    fn legacy(&self, name: &[u8]) -> u32 {
        let (mut last, mut before) = (0x12a3_fe2d_u32, 0x37ab_e8f9_u32);
        for &byte in name {
            let mixed = before.wrapping_add(last ^ self.character(byte).wrapping_mul(7_152_373));
            let mixed = if mixed & 0x8000_0000 == 0 { mixed } else { mixed.wrapping_sub(0x7fff_ffff) };
            (before, last) = (last, mixed);
        }
        last << 1
    }

    fn half_md4(&self, name: &[u8]) -> u32 {
        let mut state = self.seed;
        let mut from = 0;
        while from < name.len() {
            md4_rounds(&mut state, &self.words(name.get(from..).unwrap_or_default()));
            from = from.saturating_add(32);
        }
        state[1]
    }

    /// Up to 32 characters as eight words, the first character highest; what is missing is the length of what is there.
    fn words(&self, rest: &[u8]) -> [u32; 8] {
        let length = u32::try_from(rest.len()).unwrap_or(u32::MAX) & 0xff;
        let pad = length.wrapping_mul(0x0101_0101);
        let mut words = [pad; 8];
        for (at, &byte) in rest.iter().take(32).enumerate() {
            let old = if at.is_multiple_of(4) { pad } else { words[at / 4] };
            words[at / 4] = (old << 8).wrapping_add(self.character(byte));
        }
        words
    }
}

/// RFC 1320, with eight words in place of sixteen.
fn md4_rounds(state: &mut [u32; 4], words: &[u32; 8]) {
    const ORDERS: [[usize; 8]; 3] =
        [[0, 1, 2, 3, 4, 5, 6, 7], [1, 3, 5, 7, 0, 2, 4, 6], [3, 7, 2, 6, 1, 5, 0, 4]];
    const SHIFTS: [[u32; 4]; 3] = [[3, 7, 11, 19], [3, 5, 9, 13], [3, 9, 11, 15]];
    const ADDED: [u32; 3] = [0, 0x5a82_7999, 0x6ed9_eba1];
    let begin = *state;
    for round in 0..3 {
        for (step, &word) in ORDERS[round].iter().enumerate() {
            let [first, x, y, z] = *state;
            let mixed = match round {
                0 => (x & y) | (!x & z),
                // The documentation's form of the majority: a sum, whose parts have no bit in common.
                1 => (x & y).wrapping_add((x ^ y) & z),
                _ => x ^ y ^ z,
            };
            let sum = first.wrapping_add(mixed).wrapping_add(words[word]).wrapping_add(ADDED[round]);
            *state = [z, sum.rotate_left(SHIFTS[round][step % 4]), x, y];
        }
    }
    for (word, begin) in state.iter_mut().zip(begin) {
        *word = word.wrapping_add(begin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: [u32; 4] = [0x4444_4444, 0x4444_4444, 0x8888_8888, 0x8888_8888];

    /// What `debugfs -R 'dx_hash -h VERSION -s 44444444-4444-4444-8888-888888888888 NAME'` of e2fsprogs 1.47.0 prints on
    /// x86-64, where characters are signed.
    #[test]
    fn hashes_are_those_of_debugfs() {
        let long = [b'z'; 255];
        let cases: [(&[u8], u32, u32); 7] = [
            (b"hello", 0xc001_ff3e, 0x3225_2546),
            (b"a", 0x9f5f_fe82, 0xe74b_53e2),
            (b"lib.so.6", 0xd152_e16e, 0x027b_aada),
            (&[b'x'; 32], 0x6b6d_10b8, 0xccf8_e87c),
            (&[b'y'; 33], 0x2fc1_5b44, 0x477f_b8ce),
            ("größe".as_bytes(), 0x7463_79ce, 0x9d04_0690),
            (&long, 0x1cd2_46aa, 0xf94f_0890),
        ];
        for (name, half_md4, legacy) in cases {
            for (hash, wanted) in [(Hash::HalfMd4, half_md4), (Hash::Legacy, legacy)] {
                let hasher = Hasher::new(hash, true, SEED);
                assert_eq!(hasher.hash(name), wanted, "{hash:?} of {}", image_tree::escaped(name));
            }
        }
    }

    /// The kernel's functions, computed by hand for machines on which characters are unsigned.
    #[test]
    fn characters_above_127_depend_on_the_flag_of_the_superblock() {
        let name = "größe".as_bytes();
        for (hash, signed, wanted) in [
            (Hash::HalfMd4, true, 0x7463_79ce),
            (Hash::HalfMd4, false, 0x4fdf_3816),
            (Hash::Legacy, true, 0x9d04_0690),
            (Hash::Legacy, false, 0x098d_2490),
        ] {
            assert_eq!(Hasher::new(hash, signed, SEED).hash(name), wanted, "{hash:?} {signed}");
            assert_eq!(
                Hasher::new(hash, signed, SEED).hash(b"hello"),
                Hasher::new(hash, true, SEED).hash(b"hello")
            );
        }
    }

    #[test]
    fn without_a_seed_md4_begins_with_its_constants() {
        assert_eq!(Hasher::new(Hash::HalfMd4, true, [0; 4]).hash(b"hello"), 0x1746_da32);
        assert_eq!(
            Hasher::new(Hash::HalfMd4, true, [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476])
                .hash(b"hello"),
            0x1746_da32
        );
    }

    /// Linux takes 0xfffffffe for the end of a directory, and gives such a name the hash before it.
    #[test]
    fn no_name_has_the_hash_of_the_end() {
        assert_eq!(Hasher::new(Hash::Legacy, true, SEED).hash(b"fuhuyjl"), 0xffff_fffc);
    }

    #[test]
    fn hashes_have_the_numbers_of_the_format() {
        let known: Vec<_> = (0..=u8::MAX).filter_map(Hash::of_number).collect();
        assert_eq!(known, [Hash::Legacy, Hash::HalfMd4]);
    }
}
