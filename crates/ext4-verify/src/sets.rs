//! Sets of numbers, a bit each, in pages that exist once something is in them: memory follows what an image holds,
//! not what it says.

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
        let pages = crate::numbers::to_usize(end.div_ceil(PAGE));
        Self { pages: std::iter::repeat_with(|| None).take(pages).collect() }
    }

    /// Adds a number; false where it was in already, or can't be.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        let (page, byte, bit) = place(number);
        let Some(page) = self.pages.get_mut(page) else { return false };
        let page = page.get_or_insert_with(|| Box::new([0; BYTES]));
        let Some(byte) = page.get_mut(byte) else { return false };
        let is_new = *byte & bit == 0;
        *byte |= bit;
        is_new
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let (page, byte, bit) = place(number);
        let page = self.pages.get(page).and_then(Option::as_ref);
        page.and_then(|page| page.get(byte)).is_some_and(|byte| byte & bit != 0)
    }

    /// The bits of a page; `None` where nothing is in it.
    pub(crate) fn page(&self, number: u32) -> Option<&[u8; BYTES]> {
        self.pages.get(crate::numbers::to_usize(u64::from(number)))?.as_deref()
    }
}

fn place(number: u64) -> (usize, usize, u8) {
    let within = number % PAGE;
    (crate::numbers::to_usize(number / PAGE), crate::numbers::to_usize(within / 8), 1 << (within % 8))
}

/// The runs of numbers below `end` whose bits are as `wanted` says, as (start, length).
pub(crate) fn runs(end: u64, wanted: impl Fn(u64) -> bool) -> impl Iterator<Item = (u64, u64)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < end && !wanted(at) {
            at += 1;
        }
        let start = at;
        while at < end && wanted(at) {
            at += 1;
        }
        (at > start).then_some((start, at - start))
    })
}

/// Whether a bit of a bitmap is set.
pub(crate) fn bit(bitmap: &[u8], number: u64) -> bool {
    let byte = crate::numbers::byte(bitmap, crate::numbers::to_usize(number / 8));
    byte >> (number % 8) & 1 == 1
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
        assert_eq!(runs(10, |n| n > 6 || n == 2).collect::<Vec<_>>(), [(2, 1), (7, 3)]);
    }
}
