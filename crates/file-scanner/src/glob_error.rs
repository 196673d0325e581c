//! What is wrong with a pattern, and what to do, in the terms of a plan.

use globset::ErrorKind;

/// Explains an error of a glob: what is wrong, and what to do. Strings are those of JSON.
pub(crate) fn explain(kind: &ErrorKind) -> (String, String) {
    let unpaired = |one: char, other: char| {
        let help = format!("add it, or write \"\\\\{one}\" for the character itself");
        (format!("\"{one}\" has no \"{other}\""), help)
    };
    match kind {
        ErrorKind::UnclosedClass => unpaired('[', ']'),
        ErrorKind::UnclosedAlternates => unpaired('{', '}'),
        ErrorKind::UnopenedAlternates => unpaired('}', '{'),
        ErrorKind::InvalidRange(first, last) => {
            let what = format!("the range {first}-{last} ends before it begins");
            (what, format!("write {last}-{first}"))
        }
        ErrorKind::DanglingEscape => {
            let what = "it ends with a backslash, which needs a character after it".to_owned();
            (what, "write \"\\\\\\\\\" for the character itself".to_owned())
        }
        other => (other.to_string(), "correct it".to_owned()),
    }
}
