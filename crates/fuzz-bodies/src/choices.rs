//! Interprets bytes as a sequence of choices. After the end of the bytes, every choice is the first one.

/// A sequence of choices.
#[derive(Clone, Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// The choices in some bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all bytes are used.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next eight bytes as a number.
    pub fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number below `end`, from one byte.
    pub fn below(&mut self, end: u8) -> u8 {
        self.byte() % end.max(1)
    }

    /// A boolean.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Some of the next bytes, at most `most`.
    pub fn bytes(&mut self, most: u8) -> &'a [u8] {
        let len = usize::from(self.byte() % most.max(1)).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    /// A number that is likely an edge case: small, at a power of two, at a limit, or any.
    pub fn size(&mut self) -> u64 {
        let (kind, low) = (self.byte(), u64::from(self.byte()));
        match kind % 8 {
            0 => low,
            1 | 2 => low << 12,
            3 => (low << 8) | u64::from(self.byte()),
            4 => (1_u64 << (low % 64)).wrapping_sub(u64::from(self.below(3))),
            5 => (1_u64 << (low % 64)).wrapping_add(u64::from(self.below(3))),
            6 => u64::MAX - low,
            _ => self.number(),
        }
    }
}
