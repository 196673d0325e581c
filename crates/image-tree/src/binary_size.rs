use std::fmt;

/// A number of bytes for people: the largest of KiB, MiB, GiB and TiB that leaves at least 1 (else KiB), with one digit
/// after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinarySize {
    tenths: u128,
    unit: &'static str,
}

impl BinarySize {
    /// Rounded to the nearest tenth.
    #[must_use]
    pub fn nearest(bytes: u64) -> Self {
        Self::of(bytes, |tenths, unit| (tenths + unit / 2) / unit)
    }

    /// Rounded down, for what is there.
    #[must_use]
    pub fn down(bytes: u64) -> Self {
        Self::of(bytes, |tenths, unit| tenths / unit)
    }

    /// Rounded up, for what is needed: so that what is there and too small never looks the same.
    #[must_use]
    pub fn up(bytes: u64) -> Self {
        Self::of(bytes, u128::div_ceil)
    }

    fn of(bytes: u64, divide: impl Fn(u128, u128) -> u128) -> Self {
        let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")];
        let (size, unit) = units.into_iter().find(|(size, _)| bytes >= *size).unwrap_or((1 << 10, "KiB"));
        Self { tenths: divide(u128::from(bytes) * 10, size.into()), unit }
    }
}

impl fmt::Display for BinarySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {}", self.tenths / 10, self.tenths % 10, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_rounded_down_and_what_is_needed_up() {
        let (less, whole) = ((8 << 30) - 4096, 8 << 30);
        assert_eq!(BinarySize::down(less).to_string(), "7.9 GiB");
        assert_eq!(BinarySize::nearest(less).to_string(), "8.0 GiB");
        assert_eq!(BinarySize::up(less).to_string(), "8.0 GiB");
        assert_eq!([BinarySize::down(whole), BinarySize::up(whole)], [BinarySize::nearest(whole); 2]);
        assert_eq!(BinarySize::down(100).to_string(), "0.0 KiB");
        assert_eq!(BinarySize::nearest(u64::MAX).to_string(), "16777216.0 TiB");
    }
}
