//! Records of PAX headers (POSIX.1-2001, "pax Interchange Format"): `LENGTH KEY=VALUE\n`.

use data_encoding::BASE64_NOPAD;

use crate::acl;
use crate::error::Fault;
use crate::limits;

/// What PAX headers say about an entry, instead of its header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<i64>,
    pub(crate) gid: Option<i64>,
    /// Seconds and nanoseconds.
    pub(crate) mtime: Option<(i64, u32)>,
    pub(crate) major: Option<i64>,
    pub(crate) minor: Option<i64>,
    /// By name, each once.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: PaxSparse,
}

/// The sparse formats of GNU tar in PAX headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct PaxSparse {
    /// 1 for a map in front of the data.
    pub(crate) major: Option<u64>,
    pub(crate) minor: Option<u64>,
    pub(crate) path: Option<Vec<u8>>,
    /// The length of the file.
    pub(crate) size: Option<u64>,
    /// Offsets and lengths in turn.
    pub(crate) map: Option<Vec<u64>>,
}

/// Applies all records of a header in order.
pub(crate) fn apply(to: &mut Overrides, mut records: &[u8]) -> Result<(), Fault> {
    while let [first, ..] = records {
        if *first == 0 {
            // Some programs fill up with NUL.
            return Ok(());
        }
        let (key, value, rest) = record(records)?;
        one(to, key, value)?;
        records = rest;
    }
    Ok(())
}

/// The key and the value of a record, and the records after it.
type Record<'r> = (&'r [u8], &'r [u8], &'r [u8]);

/// Splits the first record off.
fn record(records: &[u8]) -> Result<Record<'_>, Fault> {
    let wrong = || Fault::Pax { what: "a record without its length, its key or its end" };
    let space = records.iter().take(20).position(|&byte| byte == b' ').ok_or_else(wrong)?;
    let (length, _) = records.split_at(space);
    let length = usize::try_from(decimal(length).ok_or_else(wrong)?).map_err(|_| wrong())?;
    let (record, rest) = records.split_at_checked(length).ok_or_else(wrong)?;
    let body = record.get(space + 1..).and_then(|body| body.strip_suffix(b"\n")).ok_or_else(wrong)?;
    let equals = body.iter().position(|&byte| byte == b'=').ok_or_else(wrong)?;
    let (key, value) = body.split_at(equals);
    Ok((key, &value[1..], rest))
}

fn one(to: &mut Overrides, key: &[u8], value: &[u8]) -> Result<(), Fault> {
    // An empty value takes back what an earlier header says. Extended attributes can be empty.
    let bytes = || (!value.is_empty()).then(|| value.to_vec());
    let number = |what| match value {
        [] => Ok(None),
        digits => decimal(digits).map(Some).ok_or(Fault::Pax { what }),
    };
    let signed = |what| match value {
        [] => Ok(None),
        [b'-', digits @ ..] => {
            let value = decimal(digits).and_then(|value| i64::try_from(value).ok());
            value.map(|value| Some(-value)).ok_or(Fault::Pax { what })
        }
        digits => {
            let value = decimal(digits).and_then(|value| i64::try_from(value).ok());
            value.map(Some).ok_or(Fault::Pax { what })
        }
    };
    match key {
        b"path" => to.path = bytes(),
        b"linkpath" => to.link = bytes(),
        b"size" => to.size = number("a wrong size")?,
        b"uid" => to.uid = signed("a wrong uid")?,
        b"gid" => to.gid = signed("a wrong gid")?,
        b"mtime" => {
            to.mtime = match value {
                [] => None,
                value => Some(time(value).ok_or(Fault::Pax { what: "a wrong mtime" })?),
            }
        }
        b"SCHILY.devmajor" => to.major = signed("a wrong SCHILY.devmajor")?,
        b"SCHILY.devminor" => to.minor = signed("a wrong SCHILY.devminor")?,
        b"SCHILY.acl.access" => set(to, b"system.posix_acl_access", acl::from_text(value)?)?,
        b"SCHILY.acl.default" => set(to, b"system.posix_acl_default", acl::from_text(value)?)?,
        b"GNU.sparse.major" => to.sparse.major = number("a wrong GNU.sparse.major")?,
        b"GNU.sparse.minor" => to.sparse.minor = number("a wrong GNU.sparse.minor")?,
        b"GNU.sparse.name" => to.sparse.path = bytes(),
        b"GNU.sparse.size" | b"GNU.sparse.realsize" => to.sparse.size = number("a wrong GNU.sparse.size")?,
        b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
            let map = to.sparse.map.get_or_insert_default();
            let is_offset = key == b"GNU.sparse.offset";
            if is_offset != map.len().is_multiple_of(2) {
                return Err(Fault::Sparse);
            }
            map.push(decimal(value).ok_or(Fault::Sparse)?);
        }
        b"GNU.sparse.map" => {
            let numbers =
                value.split(|&byte| byte == b',').map(|digits| decimal(digits).ok_or(Fault::Sparse));
            to.sparse.map = match value {
                [] => Some(Vec::new()),
                _ => Some(numbers.collect::<Result<_, _>>()?),
            };
        }
        _ => {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                set(to, name, value.to_vec())?;
            } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                let wrong = || Fault::Pax { what: "a wrong LIBARCHIVE.xattr" };
                let value = value.trim_ascii_end();
                let value = value.strip_suffix(b"=").unwrap_or(value);
                let value = value.strip_suffix(b"=").unwrap_or(value);
                let value = BASE64_NOPAD.decode(value).map_err(|_| wrong())?;
                let name = percent_decoded(name).ok_or_else(wrong)?;
                // bsdtar writes both; the other one needs no decoding.
                if !to.xattrs.iter().any(|(known, _)| *known == name) {
                    set(to, &name, value)?;
                }
            }
        }
    }
    Ok(())
}

fn set(to: &mut Overrides, name: &[u8], value: Vec<u8>) -> Result<(), Fault> {
    let bytes = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len();
    let known: usize = to.xattrs.iter().map(bytes).sum();
    if known + name.len() + value.len() > limits::XATTR_BYTES {
        return Err(Fault::Limit { what: "more than 256 KiB of extended attributes" });
    }
    match to.xattrs.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => *known = value,
        None => to.xattrs.push((name.to_vec(), value)),
    }
    Ok(())
}

/// A whole number in decimal digits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Seconds with a fraction, rounded down to nanoseconds.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let (is_negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or(&[]);
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| u32::from(fraction.get(at).map_or(0, |byte| byte - b'0'));
    let mut nanoseconds = (0..9).fold(0, |value, at| value * 10 + digit(at));
    if !is_negative {
        return Some((seconds, nanoseconds));
    }
    // Away from zero if digits are left out.
    if fraction.iter().skip(9).any(|&byte| byte != b'0') {
        nanoseconds += 1;
    }
    match nanoseconds {
        0 => Some((-seconds, 0)),
        some => Some(((-seconds).checked_sub(1)?, 1_000_000_000 - some)),
    }
}

fn percent_decoded(name: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let text = std::str::from_utf8(digits).ok()?;
            decoded.push(u8::from_str_radix(text, 16).ok()?);
            rest = after;
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records with their lengths.
    fn records(all: &[&[u8]]) -> Vec<u8> {
        let one = |record: &&[u8]| {
            let length =
                (0..1000).find(|length: &usize| length.to_string().len() + record.len() + 2 == *length);
            [length.unwrap().to_string().as_bytes(), b" ", record, b"\n"].concat()
        };
        all.iter().flat_map(one).collect()
    }

    fn read(records: &[u8]) -> Result<Overrides, Fault> {
        let mut overrides = Overrides::default();
        apply(&mut overrides, records).map(|()| overrides)
    }

    #[test]
    fn records_are_read_in_order_and_empty_ones_take_back() {
        let read = read(&records(&[b"path=abc", b"linkpath=", b"uid=4000000000", b"path="])).unwrap();
        assert_eq!((read.path, read.link, read.uid), (None, None, Some(4_000_000_000)));
    }

    #[test]
    fn times_have_nanoseconds_also_before_1970() {
        for (text, expected) in [
            ("1", Some((1, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("1.1234567899", Some((1, 123_456_789))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-1", Some((-1, 0))),
            ("-0.0000000001", Some((-1, 999_999_999))),
            ("", None),
            ("1e9", None),
            ("1.x", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn wrong_records_are_refused() {
        for wrong in [
            &b"12 path=abc"[..],
            b"path=abc\n",
            b"0 \n",
            b"3 \n",
            b"99999999999999999999999 a=b\n",
            b"12 pathabcd\n",
            b"4 a\n",
            b"10 size=x\n",
            b"9 uid=--\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn attributes_of_both_programs_are_read() {
        let both = [&b"SCHILY.xattr.user.a=b\n=c\0"[..], b"LIBARCHIVE.xattr.user.x%3Dy=AAEC"];
        let read = read(&records(&both)).unwrap();
        assert_eq!(
            read.xattrs,
            [(b"user.a".to_vec(), b"b\n=c\0".to_vec()), (b"user.x=y".to_vec(), vec![0, 1, 2])]
        );
    }
}
