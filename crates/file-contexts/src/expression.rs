//! Regular expressions of PCRE2 for the crate `regex`, whose syntax differs in details.

/// An expression in the syntax of the crate `regex` for bytes, with the same meaning. Fails with the reason if there is none.
/// Expressions are ASCII.
pub(crate) fn translated(pattern: &str) -> Result<String, String> {
    let bytes = pattern.as_bytes();
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut at = 0;
    let mut after_quantifier = false;
    while let Some(&byte) = bytes.get(at) {
        let was_quantifier = std::mem::take(&mut after_quantifier);
        let next = bytes.get(at + 1).copied();
        match byte {
            b'\\' => {
                out.push_str(&escape(next, "dDwWsSbBntrf")?);
                at += 1;
            }
            b'[' => {
                at = class(bytes, at, &mut out)?;
                continue;
            }
            b'{' if !is_count(&bytes[at..]) => out.push_str("\\{"),
            b'+' if was_quantifier => {
                return Err("has a possessive quantifier, which is not supported".to_owned());
            }
            b'*' | b'+' | b'?' => {
                // In `(?:`, it is no quantifier.
                after_quantifier = at == 0 || bytes[at - 1] != b'(';
                out.push(char::from(byte));
            }
            b'}' => {
                after_quantifier = true;
                out.push('}');
            }
            _ => out.push(char::from(byte)),
        }
        at += 1;
    }
    Ok(out)
}

/// Whether `{` begins a quantifier such as `{2}`, `{2,}` or `{2,3}`. Otherwise PCRE2 takes it for itself.
fn is_count(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|byte| *byte == b'}') else { return false };
    let inner = &rest[1..end];
    let mut numbers = inner.splitn(2, |byte| *byte == b',');
    let is_number = |number: &[u8]| number.iter().all(u8::is_ascii_digit);
    numbers.next().is_some_and(|first| !first.is_empty() && is_number(first))
        && numbers.next().is_none_or(is_number)
}

fn escape(escaped: Option<u8>, letters: &str) -> Result<String, String> {
    match escaped {
        None => Err("ends in a backslash".to_owned()),
        // These have a meaning of their own in the crate.
        Some(b @ (b'<' | b'>')) => Ok(char::from(b).to_string()),
        Some(b) if b.is_ascii_alphanumeric() && !letters.contains(char::from(b)) => {
            Err(format!("has \\{}, which is not supported", char::from(b)))
        }
        Some(b) => Ok(format!("\\{}", char::from(b))),
    }
}

/// Translates a class of characters that begins at `start`. Returns where it ends.
fn class(bytes: &[u8], start: usize, out: &mut String) -> Result<usize, String> {
    let open = || "has a [ without ]".to_owned();
    out.push('[');
    let mut at = start + 1;
    if bytes.get(at) == Some(&b'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        let byte = *bytes.get(at).ok_or_else(open)?;
        match byte {
            b']' if at > first => {
                out.push(']');
                return Ok(at + 1);
            }
            b'[' if bytes.get(at + 1) == Some(&b':') => {
                let len = bytes[at..].windows(2).position(|pair| pair == b":]").ok_or_else(open)? + 2;
                out.extend(bytes[at..at + len].iter().map(|byte| char::from(*byte)));
                at += len;
                continue;
            }
            // Operators and nested classes of the crate.
            b'[' | b']' | b'&' | b'~' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                return Err("has -- in a class, which is not supported".to_owned());
            }
            b'\\' => {
                out.push_str(&escape(bytes.get(at + 1).copied(), "dDwWsSntrf")?);
                at += 1;
            }
            _ => out.push(char::from(byte)),
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax_of_pcre_is_translated() {
        for (pattern, expected) in [
            ("/etc(/.*)?", "/etc(/.*)?"),
            ("/a{2,3}b{c}", "/a{2,3}b\\{c}"),
            ("/a{,3}", "/a\\{,3}"),
            ("/[[:alpha:]_]+", "/[[:alpha:]_]+"),
            ("/[]a[&~-]", "/[\\]a\\[\\&\\~-]"),
            ("/[^]]", "/[^\\]]"),
            ("/\\<x\\>\\.", "/<x>\\."),
            ("/(?:a|b)+?", "/(?:a|b)+?"),
            ("/\\d+[\\d]", "/\\d+[\\d]"),
        ] {
            assert_eq!(translated(pattern).as_deref(), Ok(expected), "{pattern}");
        }
        for pattern in ["/a++", "/a{2}+", "/[a", "/\\Qx\\E", "/\\1", "/a\\", "/[+--]", "/[[:alpha]"] {
            assert!(translated(pattern).is_err(), "{pattern}");
        }
    }
}
