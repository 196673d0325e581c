//! Swap areas of Linux, as mkswap(8) makes them.

use image_tree::{Content, Piece, PieceSource, to_usize};

use crate::identifiers;

/// A swap area with pages of 4096 bytes: a header in the first page, and zeros (Linux, `union swap_header` in
/// `include/linux/swap.h`, version 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwapArea {
    /// Length of its partition in \[bytes\], at least [`SwapArea::MIN`]. Bytes after the last whole page are not used.
    pub len: u64,
    /// UUID, bytes in the order of the text form.
    pub uuid: [u8; 16],
    /// At most [`SwapArea::LABEL`] bytes, no NUL; empty for none.
    pub label: Vec<u8>,
}

/// Length of a page in \[bytes\].
const PAGE: u64 = 4096;
const VERSION: u32 = 1;
const SIGNATURE: &[u8] = b"SWAPSPACE2";
/// Places in the header, in \[bytes\]: of the version, the number of the last page, the UUID, the label and the signature. Between them
/// are a number of bad pages and a list of them, which are 0 and empty.
const VERSION_AT: usize = 1024;
const LAST_PAGE_AT: usize = 1028;
const UUID_AT: usize = 1036;
const LABEL_AT: usize = 1052;
const SIGNATURE_AT: usize = 4086;

impl SwapArea {
    /// The shortest area in \[bytes\]. mkswap refuses fewer than 10 pages.
    pub const MIN: u64 = 10 * PAGE;
    /// The longest label in \[bytes\]. A NUL follows it.
    pub const LABEL: usize = 15;

    /// The default UUID. It is derived from the UUID of the root file system and the number of the partition (from 1).
    #[must_use]
    pub fn default_uuid(root_uuid: &[u8; 16], partition: usize) -> [u8; 16] {
        identifiers::guid(root_uuid, "swap", partition)
    }

    /// The number of the last page, from 0: mkswap uses at most as many pages as 32 bits can count.
    #[must_use]
    pub fn last_page(&self) -> u32 {
        u32::try_from(self.len / PAGE).unwrap_or(u32::MAX).saturating_sub(1)
    }
}

impl PieceSource for SwapArea {
    fn len(&self) -> u64 {
        self.len
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let header = PAGE.min(self.len);
        let first = Piece { offset: 0, len: header, content: Content::Metadata };
        Box::new(std::iter::once(first).chain(Piece::unused(header, self.len, self.len)))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let mut header = vec![0; to_usize(PAGE)];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(VERSION_AT, &VERSION.to_le_bytes());
        put(LAST_PAGE_AT, &self.last_page().to_le_bytes());
        put(UUID_AT, &self.uuid);
        put(LABEL_AT, &self.label[..self.label.len().min(Self::LABEL)]);
        put(SIGNATURE_AT, SIGNATURE);
        let start = to_usize(piece.offset);
        buffer.copy_from_slice(&header[start..start + buffer.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_page(len: u64) -> u32 {
        SwapArea { len, uuid: [0; 16], label: Vec::new() }.last_page()
    }

    #[test]
    fn only_whole_pages_count() {
        assert_eq!(last_page(SwapArea::MIN), 9);
        assert_eq!(last_page(SwapArea::MIN + 4095), 9);
        assert_eq!(last_page(SwapArea::MIN + 4096), 10);
        // As mkswap: it counts 2³² - 1 pages at most.
        assert_eq!(last_page(1 << 50), u32::MAX - 1);
    }

    /// The places are those of `union swap_header`.
    #[test]
    fn the_first_page_is_the_header() {
        let area = SwapArea {
            len: 12 * PAGE + 100,
            uuid: *b"0123456789abcdef",
            label: b"a label, too long".to_vec(),
        };
        assert_eq!(PieceSource::len(&area), 12 * 4096 + 100);
        let Some(header) = area.pieces().next() else { panic!("an area has a header") };
        let mut page = vec![0xaa; 4096];
        area.generate(&header, &mut page);
        let mut expected = vec![0; 4096];
        expected[1024..1032].copy_from_slice(&[1, 0, 0, 0, 11, 0, 0, 0]);
        expected[1036..1052].copy_from_slice(b"0123456789abcdef");
        expected[1052..1067].copy_from_slice(b"a label, too lo");
        expected[4086..].copy_from_slice(b"SWAPSPACE2");
        assert_eq!(page, expected);
        // A part of it.
        let mut part = vec![0; 20];
        area.generate(&Piece { offset: 1036, len: 20, ..header }, &mut part);
        assert_eq!(part, expected[1036..1056]);
    }

    #[test]
    fn pieces_cover_the_area() {
        for len in [SwapArea::MIN, SwapArea::MIN + 512, 3 << 20] {
            let area = SwapArea { len, uuid: [0; 16], label: Vec::new() };
            let mut end = 0;
            for piece in area.pieces() {
                assert_eq!(piece.offset, end);
                end += piece.len;
            }
            assert_eq!(end, len);
        }
    }

    #[test]
    fn default_uuids_differ_by_root_and_by_partition() {
        let one = SwapArea::default_uuid(&[1; 16], 1);
        assert_ne!(one, SwapArea::default_uuid(&[1; 16], 2));
        assert_ne!(one, SwapArea::default_uuid(&[2; 16], 1));
        assert_ne!(one, identifiers::guid(&[1; 16], "partition", 1));
    }
}
