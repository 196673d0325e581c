//! Reads numbers from bytes, with arithmetic that can't overflow. Callers check that a structure is complete; bytes
//! after its end read as zeros.

/// The bytes of a structure in an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        if let Some(found) = at.checked_add(N).and_then(|end| self.0.get(at..end)) {
            array.copy_from_slice(found);
        }
        array
    }

    pub(crate) fn byte(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn le16(self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(crate) fn le32(self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(crate) fn le64(self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    /// At most `len` bytes from an offset, fewer at the end.
    pub(crate) fn slice(self, at: usize, length: usize) -> &'a [u8] {
        let end = at.saturating_add(length).min(self.0.len());
        self.0.get(at..end).unwrap_or_default()
    }

    pub(crate) fn id(self, at: usize) -> [u8; 16] {
        self.array(at)
    }
}

/// Checked arithmetic with numbers from an image. There is no result if a step did not fit 64 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked(Option<u64>);

impl Checked {
    pub(crate) fn of(number: impl Into<u64>) -> Self {
        Self(Some(number.into()))
    }

    pub(crate) fn plus(self, number: impl Into<u64>) -> Self {
        Self(self.0.and_then(|sum| sum.checked_add(number.into())))
    }

    pub(crate) fn times(self, number: impl Into<u64>) -> Self {
        Self(self.0.and_then(|product| product.checked_mul(number.into())))
    }

    /// The result, if there is one.
    pub(crate) fn get(self) -> Option<u64> {
        self.0
    }

    /// The result, if there is one and it is at most `end`.
    pub(crate) fn at_most(self, end: u64) -> Option<u64> {
        self.0.filter(|result| *result <= end)
    }
}

/// The text before the first zero.
pub(crate) fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}
