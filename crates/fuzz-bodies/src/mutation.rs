//! Changes inputs. The same number gives the same input on all machines.

use image_tree::{to_u64, to_usize};

use crate::Target;

/// A generator of numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// A generator with this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        to_usize(self.any().checked_rem(to_u64(end)).unwrap_or(0))
    }

    fn byte(&mut self) -> u8 {
        self.any().to_le_bytes()[0]
    }

    fn some<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

/// The input with this number. Most are valid inputs with some changes; some are random bytes.
#[must_use]
pub fn input(target: &Target, seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut numbers = Numbers::new(number);
    let Some(seed) = numbers.some(seeds).filter(|_| !number.is_multiple_of(16)) else {
        return (0..numbers.below(300)).map(|_| numbers.byte()).collect();
    };
    let mut bytes = seed.clone();
    for _ in 0..=numbers.below(6) / 2 {
        change(&mut bytes, target, seeds, &mut numbers);
    }
    bytes
}

/// Separators of values in JSON and in lines.
const SEPARATORS: &[u8] = b":,{}[]\n\0";

fn change(bytes: &mut Vec<u8>, target: &Target, seeds: &[Vec<u8>], numbers: &mut Numbers) {
    let at = place(bytes, numbers);
    let end = bytes.len().min(at + numbers.below(64));
    let token = numbers.some(target.tokens).copied().unwrap_or_default();
    match numbers.below(10) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = numbers.byte();
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << numbers.below(8);
            }
        }
        2 => {
            bytes.splice(at..at, token.iter().copied());
        }
        3 | 4 => {
            for (to, from) in bytes.iter_mut().skip(at).zip(token) {
                *to = *from;
            }
        }
        5 => {
            bytes.drain(at..end);
        }
        6 => {
            let run = bytes.get(at..end).unwrap_or_default().to_vec();
            bytes.splice(at..at, run);
        }
        7 => {
            // Continues like another input.
            let rest = numbers.some(seeds).and_then(|other| other.get(at..)).unwrap_or_default();
            if numbers.below(4) == 0 {
                bytes.truncate(at);
                bytes.extend_from_slice(rest);
            }
        }
        _ => {
            // Changes a whole value.
            let is_end = |byte: &u8| SEPARATORS.contains(byte);
            let head = bytes.get(..at).unwrap_or_default();
            let from = head.iter().rposition(is_end).map_or(0, |separator| separator + 1);
            let rest = bytes.get(at..).unwrap_or_default();
            let to = rest.iter().position(is_end).map_or(bytes.len(), |separator| at + separator);
            bytes.splice(from..to.min(from + 4096), token.iter().copied());
        }
    }
}

/// A random offset; in images, which are mostly empty, one with a byte that is not zero.
fn place(bytes: &[u8], numbers: &mut Numbers) -> usize {
    let at = numbers.below(bytes.len());
    if bytes.len() < 4096 {
        return at;
    }
    bytes.iter().skip(at).position(|&byte| byte != 0).map_or(at, |further| at + further)
}
