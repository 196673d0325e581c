//! Sets of numbers, a bit each, in pages that exist once something is in them: memory follows what an image holds,
//! not what it says.

use std::ops::Range;

use crate::numbers::{byte, to_u64, to_usize};

/// Numbers in a page: as many as the blocks of a group, so that a page is a block bitmap.
pub(crate) const PAGE: u64 = 32768;
const BYTES: usize = 4096;

#[derive(Debug)]
pub(crate) struct Set {
    pages: Vec<Option<Box<[u8; BYTES]>>>,
}

impl Set {
    /// An empty set of numbers below `end`.
    pub(crate) fn below(end: u64) -> Self {
        let pages = to_usize(end.div_ceil(PAGE));
        Self { pages: std::iter::repeat_with(|| None).take(pages).collect() }
    }

    /// Adds a number; false if it was in the set already or is out of range.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let (page, byte, bit) = place(number);
        let Some(byte) = self.page_mut(page).and_then(|page| page.get_mut(byte)) else { return false };
        let is_new = *byte & bit == 0;
        *byte |= bit;
        is_new
    }

    /// Adds the numbers from `start` to before `end`. The error is the first that was in the set already or is out of range;
    /// only the numbers before it are added.
    #[expect(clippy::arithmetic_side_effects, reason = "numbers between start and end, and bytes of a page")]
    pub(crate) fn insert_range(&mut self, start: u64, end: u64) -> Result<(), u64> {
        let mut at = start;
        while at < end {
            if at.is_multiple_of(8) {
                // Whole bytes at once, as long as none of their numbers is in the set.
                let (page, byte, _) = place(at);
                let bytes = self.page_mut(page).and_then(|page| page.get_mut(byte..)).unwrap_or_default();
                let most = to_usize((end - at) / 8);
                let free = bytes.iter().take(most).take_while(|byte| **byte == 0).count();
                bytes.iter_mut().take(free).for_each(|byte| *byte = 0xff);
                at += 8 * to_u64(free);
            }
            if at < end {
                if !self.insert(at) {
                    return Err(at);
                }
                at += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let (page, byte, bit) = place(number);
        let page = self.pages.get(page).and_then(Option::as_ref);
        page.and_then(|page| page.get(byte)).is_some_and(|byte| byte & bit != 0)
    }

    /// The bits of a page; `None` where nothing is in it.
    pub(crate) fn page(&self, number: u32) -> Option<&[u8; BYTES]> {
        self.pages.get(to_usize(u64::from(number)))?.as_deref()
    }

    /// The numbers of a range as a bitmap, whose first bit is that of its start. Its length is rounded up to whole bytes.
    pub(crate) fn bits(&self, range: Range<u64>) -> Vec<u8> {
        let mut bits = vec![0; to_usize(range.end.saturating_sub(range.start).div_ceil(8))];
        let pages = to_usize(range.start / PAGE)..self.pages.len().min(to_usize(range.end.div_ceil(PAGE)));
        if self.pages.get(pages).is_some_and(|pages| pages.iter().any(Option::is_some)) {
            for (at, _) in (0..).zip(range).filter(|(_, number)| self.contains(*number)) {
                if let Some(byte) = bits.get_mut(at / 8) {
                    *byte |= 1 << (at % 8);
                }
            }
        }
        bits
    }

    fn page_mut(&mut self, page: usize) -> Option<&mut [u8; BYTES]> {
        Some(self.pages.get_mut(page)?.get_or_insert_with(|| Box::new([0; BYTES])))
    }
}

fn place(number: u64) -> (usize, usize, u8) {
    let within = number % PAGE;
    (to_usize(number / PAGE), to_usize(within / 8), 1 << (within % 8))
}

/// The runs of bits below `end` that are set, as (start, length).
#[expect(clippy::arithmetic_side_effects, reason = "numbers up to 8 beyond the bits of a bitmap in memory")]
pub(crate) fn runs(bitmap: &[u8], end: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = end.min(to_u64(bitmap.len()).saturating_mul(8));
    // The first bit from `at` on that is as `wanted` says, or the end; whole bytes of others are skipped.
    let next = move |mut at: u64, wanted: bool| {
        let other = if wanted { 0 } else { 0xff };
        while at < end && bit(bitmap, at) != wanted {
            at += if at.is_multiple_of(8) && byte(bitmap, to_usize(at / 8)) == other { 8 } else { 1 };
        }
        at.min(end)
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = next(at, true);
        at = next(start, false);
        (at > start).then_some((start, at - start))
    })
}

/// Whether a bit of a bitmap is set.
pub(crate) fn bit(bitmap: &[u8], number: u64) -> bool {
    byte(bitmap, to_usize(number / 8)) >> (number % 8) & 1 == 1
}

/// The bits that are set in the first bitmap and not in the second.
pub(crate) fn without(bitmap: &[u8], other: &[u8]) -> Vec<u8> {
    bitmap.iter().zip(other).map(|(byte, other)| byte & !other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_once() {
        let mut set = Set::below(100_000);
        assert!(set.insert(0) && set.insert(99_999) && !set.insert(99_999));
        assert!(set.contains(0) && !set.contains(1) && !set.insert(200_000) && !set.contains(200_000));
        assert!(set.page(1).is_none());
    }

    #[test]
    fn ranges_end_at_the_first_number_that_is_in() {
        let mut set = Set::below(100_000);
        assert_eq!(set.insert_range(3, 40_000), Ok(()));
        assert!((3..40_000).all(|number| set.contains(number)));
        assert!(!set.contains(2) && !set.contains(40_000));
        assert_eq!(set.insert_range(0, 2), Ok(()));
        assert_eq!(set.insert_range(1, 2), Err(1));
        assert!(set.insert(50_004));
        assert_eq!(set.insert_range(49_999, 60_000), Err(50_004));
        assert!(set.contains(50_003) && !set.contains(50_005));
        assert_eq!(set.insert_range(98_304, 131_080), Err(131_072));
    }

    #[test]
    fn ranges_are_bitmaps() {
        let mut set = Set::below(100_000);
        for number in [1, 8, 9, 32_768, 32_770] {
            set.insert(number);
        }
        assert_eq!(set.bits(1..17), [0b1000_0001, 0b0000_0001]);
        assert_eq!(set.bits(32_766..32_774), [0b0001_0100]);
        assert_eq!(set.bits(70_000..70_016), [0, 0]);
        assert_eq!(without(&[0b1100, 0xff], &[0b1010, 0]), [0b0100, 0xff]);
    }

    #[test]
    fn runs_are_those_of_bits_one_by_one() {
        assert_eq!(runs(&[0b1000_0100, 0b11], 10).collect::<Vec<_>>(), [(2, 1), (7, 3)]);
        assert_eq!(runs(&[0, 0xff, 0xff, 1], 24).collect::<Vec<_>>(), [(8, 16)]);
        assert_eq!(runs(&[0, 0xff, 0xff, 1], 32).collect::<Vec<_>>(), [(8, 17)]);
        assert_eq!(runs(&[0xff; 2], 13).collect::<Vec<_>>(), [(0, 13)]);
        assert_eq!(runs(&[0; 2], 16).count(), 0);
    }

    /// Against a list of numbers, at the borders of bytes and pages.
    #[test]
    fn ranges_of_every_kind_are_added_as_their_numbers_are() {
        let borders =
            [0, 1, 7, 8, 9, 15, 16, 17, 32_759, 32_760, 32_767, 32_768, 32_769, 32_776, 65_535, 65_536];
        for (index, &start) in borders.iter().enumerate() {
            for &end in &borders[index..] {
                let mut set = Set::below(65_536);
                assert_eq!(set.insert_range(start, end), Ok(()), "{start}..{end}");
                for border in borders {
                    for number in border.saturating_sub(1)..border + 2 {
                        assert_eq!(
                            set.contains(number),
                            (start..end).contains(&number),
                            "{start}..{end}: {number}"
                        );
                    }
                }
                let count: u32 =
                    (0..2).filter_map(|page| set.page(page)).flatten().map(|byte| byte.count_ones()).sum();
                assert_eq!(u64::from(count), end - start);
                // What is in already is not added again, in whole bytes neither.
                let again = set.insert_range(0, 65_536);
                assert_eq!(again, if start == end { Ok(()) } else { Err(start) });
            }
        }
    }

    #[test]
    fn numbers_behind_the_pages_are_out_of_range() {
        let mut set = Set::below(PAGE);
        assert_eq!(set.insert_range(PAGE - 3, PAGE + 1), Err(PAGE));
        assert!(set.contains(PAGE - 1) && !set.contains(PAGE) && set.page(1).is_none());
        assert!(Set::below(PAGE + 1).insert(PAGE) && !Set::below(0).insert(0));
    }

    #[test]
    fn bitmaps_of_ranges_go_over_pages() {
        let mut set = Set::below(4 * PAGE);
        set.insert_range(2 * PAGE, 2 * PAGE + 3).unwrap();
        for (range, bits) in [
            (PAGE + 32_764..2 * PAGE + 4, 0b0111_0000),
            (2 * PAGE..2 * PAGE + 8, 0b0000_0111),
            (2 * PAGE + 2..2 * PAGE + 10, 0b0000_0001),
            (2 * PAGE - 8..2 * PAGE, 0),
            (3 * PAGE..3 * PAGE + 8, 0),
            (5 * PAGE..5 * PAGE + 8, 0),
        ] {
            assert_eq!(set.bits(range.clone()), [bits], "{range:?}");
        }
        assert_eq!(set.bits(2 * PAGE..2 * PAGE + 9), [0b0000_0111, 0]);
        assert_eq!(set.bits(2 * PAGE..2 * PAGE), [0; 0]);
    }

    #[test]
    fn bits_behind_a_bitmap_are_not_set() {
        assert_eq!(runs(&[0xff], 100).collect::<Vec<_>>(), [(0, 8)]);
        assert_eq!(
            runs(&[0b0101_0101, 0x80], 16).collect::<Vec<_>>(),
            [(0, 1), (2, 1), (4, 1), (6, 1), (15, 1)]
        );
        assert_eq!(runs(&[0xfe, 0xff, 0x01], 24).collect::<Vec<_>>(), [(1, 16)]);
        assert!(bit(&[0, 2], 9) && !bit(&[0, 2], 8) && !bit(&[0xff], 8));
    }
}
