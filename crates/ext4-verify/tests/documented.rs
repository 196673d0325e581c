//! Every kind of problem is in docs/verify.md, in the table of its severity, with its meaning.

use ext4_verify::{Code, Severity};

#[test]
fn every_kind_of_problem_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, tables) = text.split_once("### Unsound").unwrap();
    let (unsound, foreign) = tables.split_once("### Allowed").unwrap();
    for code in Code::ALL {
        let table = if code.severity() == Severity::Unsound { unsound } else { foreign };
        let line = format!("| `{code}` | {} |", code.meaning());
        assert!(table.contains(&line), "docs/verify.md lacks: {line}");
    }
    let documented = tables.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(documented, Code::ALL.len(), "docs/verify.md has kinds that do not exist");
}
