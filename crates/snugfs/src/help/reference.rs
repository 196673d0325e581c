//! Generates `docs/command-line.md` from the definition of the command line, and tests that the page is up to date.

use std::fmt::Write;
use std::path::Path;

use clap::Command;

use super::{ENVIRONMENT, ERRORS, all_exit_codes, of_command};
use crate::cli;

const ABOUT: &str = "# The command line

The help of every command, as `--help`, `snugfs help COMMAND` and the manual pages show it. `snugfs help plan` introduces the plan;
[plan-format.md](plan-format.md) explains all of it.

`-` instead of a file name is standard input or standard output. Results go to standard output; progress, warnings and errors go to
standard error. Programs can rely on exit codes, reports and the form of error lines; other texts may change
([messages.md](messages.md)).

This page is generated: `UPDATE_EXPECTED=1 cargo test -p snugfs reference` writes it, and a test checks that it is up to date.
";

fn page() -> String {
    let mut page = ABOUT.to_owned();
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (number, about) in all_exit_codes() {
        let _ = writeln!(page, "| {number} | {about} |");
    }
    let _ = write!(page, "\n## Errors\n\n{ERRORS}\n\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    for (name, about) in ENVIRONMENT {
        let _ = writeln!(page, "| `{name}` | {about} |");
    }
    page.push_str("\nNone of them changes an image.\n");
    let mut program = cli::definition();
    program.build();
    add(&program, &[], &mut page);
    page
}

fn add(command: &Command, words: &[&str], page: &mut String) {
    let [first, second] = [0, 1].map(|index| words.get(index).copied());
    let help = of_command(first, second).unwrap();
    let title = [&["snugfs"], words].concat().join(" ");
    let _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", help.trim_end());
    for below in command.get_subcommands() {
        add(below, &[words, &[below.get_name()]].concat(), page);
    }
}

#[test]
fn reference_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/command-line.md");
    let page = page();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == page,
        "docs/command-line.md is out of date; run `UPDATE_EXPECTED=1 cargo test -p snugfs reference` and review the \
         difference"
    );
}

#[test]
fn every_command_has_examples() {
    fn check(command: &Command, words: &str) {
        assert!(!super::examples::of(words).is_empty(), "{words:?} has no examples");
        for below in command.get_subcommands() {
            check(below, format!("{words} {}", below.get_name()).trim());
        }
    }
    check(&cli::definition(), "");
}

/// The program accepts each example, up to the first character that is special in the shell.
#[test]
fn examples_are_valid_command_lines() {
    let mut count = 0;
    for (line, _) in super::examples::all() {
        let (_, line) = line.split_once("snugfs ").unwrap();
        let end = line.find([';', '|', '>', '&']).unwrap_or(line.len());
        let words = line[..end].split_whitespace().map(std::ffi::OsString::from);
        cli::parse(std::iter::once("snugfs".into()).chain(words))
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        count += 1;
    }
    assert!(count > 20, "{count}");
}
