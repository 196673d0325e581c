//! Device numbers in `i_block`.
//!
//! Source: `ext4_iget` and `ext4_do_update_inode` in `fs/ext4/inode.c`; the encodings are in `include/linux/kdev_t.h`.

/// Encodes a device number as the first two words of `i_block`: the old form in the first word if both numbers are below
/// 256, otherwise the new form in the second. A major number has 12 bits and a minor number 20.
pub(crate) const fn encode(major: u32, minor: u32) -> [u32; 2] {
    if major < 256 && minor < 256 {
        [major << 8 | minor, 0]
    } else {
        [0, minor & 0xff | major << 8 | (minor & !0xff) << 12]
    }
}

/// Decodes the first two words of `i_block` as major and minor number: the old form unless the first word is 0.
pub(crate) const fn decode(words: [u32; 2]) -> (u32, u32) {
    match words {
        [0, new] => ((new >> 8) & 0xfff, (new & 0xff) | ((new >> 12) & 0xf_ff00)),
        [old, _] => ((old >> 8) & 0xff, old & 0xff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_an_old_and_a_new_form() {
        for (major, minor, words) in [
            (5, 1, [0x0501, 0]),
            (255, 255, [0xffff, 0]),
            (8, 256, [0, 0x0010_0800]),
            (259, 300, [0, 0x2c | 259 << 8 | 1 << 20]),
            (0xfff, 0xf_ffff, [0, 0xffff_ffff]),
            (0, 0, [0, 0]),
        ] {
            assert_eq!(encode(major, minor), words, "{major}:{minor}");
            assert_eq!(decode(words), (major, minor));
        }
    }
}
