//! The 512 bytes in front of an entry: ustar (POSIX.1-1988), the GNU format, star's, and the old one before them
//! (`tar(5)` of libarchive, "Basic Tar Format" of the GNU tar manual).

use crate::error::Fault;

/// The unit of an archive in \[bytes\].
pub(crate) const BLOCK: u64 = 512;

/// A header or a block of zeros.
#[derive(Clone)]
pub(crate) struct Header(pub(crate) [u8; 512]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Old,
    Ustar,
    Star,
    Gnu,
}

impl Header {
    pub(crate) fn is_zero(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    /// Whether the checksum is right. Some old programs summed signed bytes.
    pub(crate) fn has_checksum(&self) -> bool {
        let Ok(Some(expected)) = number(&self.0[148..156], "checksum") else { return false };
        let summed = |byte: &dyn Fn(u8) -> i64| {
            let sum = |bytes: &[u8]| bytes.iter().map(|&one| byte(one)).sum::<i64>();
            sum(&self.0[..148]) + 8 * i64::from(b' ') + sum(&self.0[156..])
        };
        expected == summed(&i64::from) || expected == summed(&|one| i64::from(one.cast_signed()))
    }

    fn format(&self) -> Format {
        match (&self.0[257..265], &self.0[508..512]) {
            (magic, b"tar\0") if magic.starts_with(b"ustar\0") => Format::Star,
            (b"ustar  \0", _) => Format::Gnu,
            (magic, _) if magic.starts_with(b"ustar\0") => Format::Ustar,
            _ => Format::Old,
        }
    }

    pub(crate) fn type_byte(&self) -> u8 {
        self.0[156]
    }

    /// The name, with the prefix of formats that have one.
    pub(crate) fn path(&self) -> Vec<u8> {
        let prefix = match self.format() {
            Format::Ustar => text(&self.0[345..500]),
            Format::Star => text(&self.0[345..476]),
            Format::Gnu | Format::Old => &[],
        };
        let name = text(&self.0[..100]);
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub(crate) fn mode(&self) -> Result<u16, Fault> {
        let mode = number(&self.0[100..108], "mode")?.unwrap_or(0);
        u16::try_from(mode & 0o7777).map_err(|_| Fault::Number { field: "mode" })
    }

    pub(crate) fn uid(&self) -> Result<Option<i64>, Fault> {
        number(&self.0[108..116], "owner")
    }

    pub(crate) fn gid(&self) -> Result<Option<i64>, Fault> {
        number(&self.0[116..124], "group")
    }

    pub(crate) fn size(&self) -> Result<u64, Fault> {
        unsigned(&self.0[124..136], "size")
    }

    pub(crate) fn mtime(&self) -> Result<i64, Fault> {
        Ok(number(&self.0[136..148], "time")?.unwrap_or(0))
    }

    /// Major and minor number of a device.
    pub(crate) fn device(&self) -> Result<(i64, i64), Fault> {
        let field = "device number";
        Ok((number(&self.0[329..337], field)?.unwrap_or(0), number(&self.0[337..345], field)?.unwrap_or(0)))
    }

    /// The data runs in the header of a sparse file of the old GNU format, and whether more follow.
    pub(crate) fn sparse_map(&self) -> (&[u8], bool) {
        (&self.0[386..482], self.0[482] != 0)
    }

    /// The length of a sparse file of the old GNU format.
    pub(crate) fn sparse_size(&self) -> Result<u64, Fault> {
        unsigned(&self.0[483..495], "size")
    }
}

/// The bytes up to the first NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(&[])
}

/// A number in octal digits, or in base 256 if its first bit is set; `None` if the field is empty.
pub(crate) fn number(field: &[u8], name: &'static str) -> Result<Option<i64>, Fault> {
    let wrong = || Fault::Number { field: name };
    let (Some(&first), Some(rest)) = (field.first(), field.get(1..)) else { return Ok(None) };
    if first & 0x80 != 0 {
        // The second bit is the sign, in two's complement.
        let start = if first & 0x40 == 0 { i128::from(first & 0x3f) } else { i128::from(first) - 256 };
        let value = rest.iter().try_fold(start, |value, &byte| {
            value.checked_mul(256).and_then(|value| value.checked_add(byte.into()))
        });
        return value.and_then(|value| i64::try_from(value).ok()).map(Some).ok_or_else(wrong);
    }
    let digits = text(field).trim_ascii();
    if digits.is_empty() {
        return Ok(None);
    }
    let digit = |value: i64, &byte: &u8| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit.into())
    };
    digits.iter().try_fold(0, digit).map(Some).ok_or_else(wrong)
}

pub(crate) fn unsigned(field: &[u8], name: &'static str) -> Result<u64, Fault> {
    u64::try_from(number(field, name)?.unwrap_or(0)).map_err(|_| Fault::Number { field: name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        let read = |field: &[u8]| number(field, "size");
        assert_eq!(read(b"0000644\0"), Ok(Some(0o644)));
        assert_eq!(read(b"   644 \0"), Ok(Some(0o644)));
        assert_eq!(read(b"\0\0\0\0"), Ok(None));
        assert_eq!(read(b"        "), Ok(None));
        assert_eq!(read(b"\x80\0\0\0\0\0\0\x01\0\0\0\0"), Ok(Some(1 << 32)));
        assert_eq!(read(b"\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(Some(-1)));
        assert_eq!(read(b"\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff"), Ok(Some(-(1 << 32) - 1)));
        assert_eq!(read(b"77777777777\0"), Ok(Some(0o77_777_777_777)));
        for wrong in [
            &b"8"[..],
            b"12x",
            b"-1",
            b"\x80\x80\0\0\0\0\0\0\0\0\0\0",
            b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(read(wrong), Err(Fault::Number { field: "size" }), "{wrong:?}");
        }
    }
}
