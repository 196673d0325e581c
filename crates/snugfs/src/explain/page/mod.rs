//! `explain --html FILE`: the explanation as one self-contained page.
//!
//! A content security policy only allows the script and the style with these digests. Text from the image is data: JSON
//! that can't end its element, shown as text.

mod before;
mod data;
mod nodes;

use sha2::{Digest, Sha256};

use super::Explained;
use snugfs_core::Failure;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// In a function, so that its names are not global.
const SCRIPT: &str = concat!(
    "(() => {\n",
    include_str!("model.js"),
    include_str!("treemap.js"),
    include_str!("view.js"),
    include_str!("search.js"),
    include_str!("lists.js"),
    "})();\n",
);

/// The whole page.
pub(super) fn page(image: &Explained<'_>) -> Result<String, Failure> {
    let title = data::title(image);
    let data = serde_json::to_string(&data::data(image, &title));
    let data = data.map_err(|error| Failure::internal("page", error))?;
    Ok(filled(&[
        ("TITLE", &escaped_text(&title)),
        ("STYLE", STYLE),
        ("STYLE_HASH", &digest(STYLE)),
        ("SCRIPT", SCRIPT),
        ("SCRIPT_HASH", &digest(SCRIPT)),
        ("DATA", &escaped_json(&data)),
    ]))
}

/// The page with every `@NAME@` replaced once: inserted text is not searched again.
fn filled(values: &[(&str, &str)]) -> String {
    let mut page = String::new();
    for (index, part) in PAGE.split('@').enumerate() {
        match values.iter().find(|(name, _)| index % 2 == 1 && *name == part) {
            Some((_, value)) => page.push_str(value),
            None => page.push_str(part),
        }
    }
    page
}

/// JSON without characters that could be markup.
fn escaped_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            // These only occur in strings, where an escape is equivalent.
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text
}

fn escaped_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// SHA-256 in base64, for a content security policy.
fn digest(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(text.as_bytes());
    let mut encoded = String::new();
    for three in digest.chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, &byte| (bits << 8) | u32::from(byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let index = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or_default();
            encoded.push(if place <= three.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_in_base_64() {
        // `printf '' | openssl dgst -sha256 -binary | base64`
        assert_eq!(digest(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn data_can_not_end_its_element() {
        let json = serde_json::to_string("</script><!--\u{2028}&").unwrap();
        let escaped = escaped_json(&json);
        assert!(!escaped.contains(['<', '>', '&', '\u{2028}']), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), "</script><!--\u{2028}&");
    }

    #[test]
    fn every_placeholder_of_the_page_is_replaced_once() {
        let page = filled(&[("TITLE", "@DATA@"), ("DATA", "1")]);
        assert!(page.contains("<title>@DATA@</title>"), "{page}");
        let places = ["TITLE", "STYLE", "STYLE_HASH", "SCRIPT", "SCRIPT_HASH", "DATA"];
        let filled = filled(&places.map(|place| (place, "")));
        assert!(!filled.contains('@'), "{filled}");
    }

    #[test]
    fn scripts_and_styles_have_no_end_tag_in_them() {
        for text in [SCRIPT, STYLE] {
            assert!(!text.contains("</") && !text.contains("<!--"), "would end its element");
        }
    }
}
