//! The documentation has every kind of difference, with its meaning.

use image_compare::Kind;

#[test]
fn every_kind_is_documented() {
    let text = include_str!("../../../docs/verify.md");
    for kind in Kind::ALL {
        let line = format!("| `{kind}` | {} |", kind.meaning());
        assert!(text.contains(&line), "docs/verify.md lacks: {line}");
    }
}
