//! Generates `docs/reference/verify-codes.md`, the list of codes that `snugfs verify` prints.

use std::fmt::Write;
use std::path::Path;

use ext4_verify::{Code, Severity};
use snugfs_compare::{Kind, PartCode};

const ABOUT: &str = "# Codes of `snugfs verify`

`snugfs verify` prints a code at the end of each problem, in parentheses; `--json` has it as `code`. Codes keep their meaning
in all versions. For what `verify` checks, see [verify.md](../verify.md).

This page is generated: `UPDATE_EXPECTED=1 cargo test -p snugfs-compare --test verify_codes` writes it.
";

const UNSOUND: &str = "
## Damage

The file system is damaged, or not of the form that snugfs writes. The exit code is 8.
";

const PARTS: &str = "
## Damage outside of ext4

The partition table, a swap area or a hash tree of dm-verity is damaged. The exit code is 8.
";

const FOREIGN: &str = "
## Valid, but not written by snugfs

Another program made the file system or changed it. The exit code is 8; with `--used` these are notes.
";

const DIFFERENCES: &str = "
## Differences from the plan

Only with `--against PLAN`, and in `build --verify-output`. The exit code is 8.
";

/// A section with a row for each code.
fn section(page: &mut String, about: &str, rows: impl Iterator<Item = (&'static str, &'static str)>) {
    let _ = write!(page, "{about}\n| code | meaning |\n|---|---|\n");
    for (name, meaning) in rows {
        let _ = writeln!(page, "| `{name}` | {meaning} |");
    }
}

fn page() -> String {
    let of = |severity| {
        let codes = Code::ALL.iter().filter(move |code| code.severity() == severity);
        codes.map(|code| (code.name(), code.meaning()))
    };
    let mut page = ABOUT.to_owned();
    section(&mut page, UNSOUND, of(Severity::Unsound));
    section(&mut page, PARTS, PartCode::ALL.iter().map(|code| (code.name(), code.meaning())));
    section(&mut page, FOREIGN, of(Severity::Foreign));
    section(&mut page, DIFFERENCES, Kind::ALL.iter().map(|kind| (kind.name(), kind.meaning())));
    page
}

#[test]
fn the_page_has_every_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/verify-codes.md");
    let page = page();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/reference/verify-codes.md is out of date; run `UPDATE_EXPECTED=1 cargo test -p snugfs-compare --test \
         verify_codes` and review the difference"
    );
}
