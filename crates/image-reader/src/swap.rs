//! The header of a swap area of Linux (`union swap_header` in `include/linux/swap.h`).

use image_tree::Uuid;

use crate::Window;
use crate::bytes::Bytes;

/// Length of a page in \[bytes\]. Areas with longer pages are not recognised.
const PAGE: u32 = 4096;
/// The signature is at the end of the first page: that of an area, or that of a suspended system in an area.
const SIGNATURE_AT: usize = 4086;
const SIGNATURES: [&[u8]; 2] = [b"SWAPSPACE2", b"S1SUSPEND\0"];
/// Linux reads no more than this number of bad pages (`MAX_SWAP_BADPAGES`).
const MOST_BAD: u32 = 637;

/// The header of a swap area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swap {
    /// The version, 1 for all areas that Linux uses.
    pub version: u32,
    /// The number of the last page, from 0. The first page is the header.
    pub last_page: u32,
    /// The number of pages that are not used.
    pub bad_pages: u32,
    /// The UUID.
    pub uuid: Uuid,
    /// The label, without NUL bytes at its end.
    pub label: Vec<u8>,
}

impl Swap {
    /// Reads the header of a swap area; `None` if there is none.
    pub fn read(window: &Window) -> Option<Self> {
        let header = window.bytes(0, PAGE.into()).ok()?;
        let header = Bytes(&header);
        if !SIGNATURES.contains(&header.slice(SIGNATURE_AT, 10)) {
            return None;
        }
        // A machine of the other byte order wrote it, which Linux accepts.
        let swapped = header.le32(1024) == 1_u32.swap_bytes();
        let number = |at| if swapped { header.le32(at).swap_bytes() } else { header.le32(at) };
        let label = header.slice(1052, 16).split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Self {
            version: number(1024),
            last_page: number(1028),
            bad_pages: number(1032),
            uuid: Uuid(header.id(1036)),
            label: label.to_vec(),
        })
    }

    /// The length that can be used, in \[bytes\]: all pages except the header.
    pub fn bytes(&self) -> u64 {
        u64::from(self.last_page).saturating_mul(PAGE.into())
    }

    /// The reasons why Linux would refuse the area in a partition of `length` \[bytes\].
    pub fn problems(&self, length: u64) -> Vec<String> {
        let mut problems = Vec::new();
        if self.version != 1 {
            problems.push(format!("the swap area has version {}, which Linux does not know", self.version));
            return problems;
        }
        if self.last_page == 0 {
            problems.push("the swap area has no pages".to_owned());
        }
        let end = self.bytes().saturating_add(PAGE.into());
        if end > length {
            problems.push(format!("the swap area ends at byte {end}, but there are only {length}"));
        }
        if self.bad_pages > MOST_BAD {
            problems.push(format!("the swap area has {} bad pages, more than {MOST_BAD}", self.bad_pages));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A header: places and values.
    fn swap(fields: &[(usize, &[u8])]) -> Option<Swap> {
        let mut page = vec![0; 4096];
        for (at, bytes) in fields {
            page[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        Swap::read(&Window::whole(Arc::new(page)))
    }

    #[test]
    fn both_byte_orders_are_read() {
        let of = |version: [u8; 4], last: [u8; 4]| {
            swap(&[(1024, &version), (1028, &last), (1052, b"a label of 16 by"), (4086, b"SWAPSPACE2")])
        };
        let little = of(1_u32.to_le_bytes(), 9_u32.to_le_bytes()).unwrap();
        assert_eq!(Some(&little), of(1_u32.to_be_bytes(), 9_u32.to_be_bytes()).as_ref());
        assert_eq!((little.bytes(), little.label.as_slice()), (36_864, &b"a label of 16 by"[..]));
        assert_eq!(little.problems(40_960), Vec::<String>::new());
        assert_eq!(little.problems(40_959).len(), 1);
    }

    #[test]
    fn what_linux_refuses_is_a_problem() {
        assert_eq!(swap(&[(4086, b"SWAP-SPACE")]), None);
        assert_eq!(swap(&[(4086, b"SWAPSPACE2")]).unwrap().problems(4096).len(), 1);
        let last = swap(&[(1024, &[1]), (4086, b"S1SUSPEND")]).unwrap();
        assert_eq!(last.problems(4096), ["the swap area has no pages"]);
        let most = swap(&[(1024, &[1]), (1028, &[0xff; 8]), (4086, b"SWAPSPACE2")]).unwrap();
        assert_eq!(most.problems(4096).len(), 2);
        for (bad, problems) in [(637_u32, 0), (638, 1)] {
            let area = swap(&[(1024, &[1]), (1028, &[9]), (1032, &bad.to_le_bytes()), (4086, b"SWAPSPACE2")]);
            assert_eq!(area.unwrap().problems(40_960).len(), problems, "{bad}");
        }
    }
}
