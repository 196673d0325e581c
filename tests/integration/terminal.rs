//! Output on a terminal, which other outputs do not get.

use std::process::Command;

use serde_json::json;

use crate::support::{Run, Workspace, plan_of_entries, tool};

/// The output of a run on a terminal, and its exit code.
struct Seen {
    code: i32,
    raw: String,
}

impl Seen {
    /// The lines without colours and movements of the cursor; a line that was drawn anew is there as often.
    fn lines(&self) -> Vec<String> {
        let mut text = String::new();
        let mut rest = self.raw.as_str();
        while let Some((before, after)) = rest.split_once("\x1b[") {
            text.push_str(before);
            rest = after.split_once(|end: char| end.is_ascii_alphabetic()).map_or("", |(_, rest)| rest);
        }
        (text + rest).split(['\r', '\n']).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// Runs the program on a terminal of so many columns.
fn on_terminal(workspace: &Workspace, columns: usize, environment: &[(&str, &str)], arguments: &str) -> Seen {
    let line = format!("stty rows 24 cols {columns} && exec {} {arguments}", env!("CARGO_BIN_EXE_snugfs"));
    let mut script = Command::new(tool("script"));
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(workspace.path(""));
    script.env_remove("NO_COLOR").env("TERM", "xterm-256color").env("SHELL", "/bin/sh");
    let run = Run::of(script.envs(environment.iter().copied()).stdin(std::process::Stdio::null()));
    Seen { code: run.code, raw: run.text().to_owned() }
}

const WRONG: &str = r#"{
  "version": 1,
  "filesystem": { "lable": "BOARD", "freeSpace": "16 MiB" },
  "entries": {
    "/dev/console": { "type": "character", "minor": 1 }
  }
}
"#;

const TOLD: [&str; 3] = [
    r#"snugfs: plan.filesystem.lable: unknown field; did you mean "label"?"#,
    r#"snugfs: plan.filesystem.freeSpace: "16 MiB" is not a size; write whole bytes, or a string such as "16MiB" with KiB, MiB, GiB or TiB"#,
    r#"snugfs: plan.entries."/dev/console".major: missing; write "major": 5"#,
];

#[test]
fn problems_of_a_plan_are_shown_in_its_text() {
    let workspace = Workspace::new();
    workspace.write("plan.json", WRONG);
    let seen = on_terminal(&workspace, 80, &[], "check plan.json");
    assert_eq!(seen.code, 3, "{}", seen.raw);
    assert!(seen.raw.contains("\x1b[1m\x1b[31msnugfs:"), "{:?}", seen.raw);
    let [unknown, no_size, missing] = TOLD;
    assert_eq!(
        seen.lines(),
        [
            unknown,
            r" --> plan.json:3:19",
            r"  |",
            r#"3 |   "filesystem": { "lable": "BOARD", "freeSpace": "16 MiB" },"#,
            r"  |                   ^^^^^^^",
            no_size,
            r" --> plan.json:3:50",
            r"  |",
            r#"3 |   "filesystem": { "lable": "BOARD", "freeSpace": "16 MiB" },"#,
            r"  |                                                  ^^^^^^^^",
            missing,
            r" --> plan.json:5:21",
            r"  |",
            r#"5 |     "/dev/console": { "type": "character", "minor": 1 }"#,
            r"  |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        ]
    );
}

#[test]
fn invalid_json_is_shown_at_the_place_of_the_error() {
    let workspace = Workspace::new();
    workspace.write("plan.json", "{\n  \"version\": 1,\n}\n");
    let lines = on_terminal(&workspace, 80, &[], "check plan.json").lines();
    assert!(lines[0].starts_with("snugfs: plan.json:3:1: not JSON: "), "{lines:?}");
    assert_eq!(lines[1..], [" --> plan.json:3:1", "  |", "3 | }", "  | ^"]);
}

#[test]
fn problems_of_later_stages_are_also_shown_in_the_plan() {
    let workspace = Workspace::with_plan(&json!(null));
    workspace.write("plan.json", "{ \"version\": 1, \"trees\": [ { \"source\": \"nothing-here\" } ] }");
    let seen = on_terminal(&workspace, 80, &[], "check plan.json");
    assert_eq!(seen.code, 5, "{}", seen.raw);
    let lines = seen.lines();
    // On a busy machine the bar may have been drawn before.
    assert!(lines.iter().any(|line| line.starts_with("snugfs: plan.trees[0]")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("| ") && line.contains("^^^")), "{lines:?}");
    // From standard input as well, which can't be read twice.
    let seen = on_terminal(&workspace, 80, &[], "check - < plan.json");
    assert!(seen.lines().iter().any(|line| line.starts_with(" --> standard input:1:")), "{}", seen.raw);
}

#[test]
fn a_plan_cannot_colour_the_terminal_or_hide_what_is_wrong() {
    let workspace = Workspace::new();
    workspace.write("plan.json", "{ \"version\": 1, \"\u{202e}\u{9b}31mlable\": 1 }");
    let seen = on_terminal(&workspace, 80, &[], "check plan.json");
    assert!(seen.raw.contains("\\u{202e}\\u{9b}31mlable"), "{:?}", seen.raw);
    assert!(!seen.raw.contains('\u{9b}'), "{:?}", seen.raw);
}

#[test]
fn without_colours_errors_are_the_lines_that_programs_get() {
    let workspace = Workspace::new();
    workspace.write("plan.json", WRONG);
    let places = ["3:19", "3:50", "5:21"];
    let lines = TOLD.iter().zip(places).map(|(line, place)| format!("{line} (plan.json:{place})\n"));
    let expected: String = lines.collect();
    assert_eq!(workspace.snugfs(["check", "plan.json"]).failed_with(3).stderr, expected);
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
        let seen = on_terminal(&workspace, 40, &[environment], "check plan.json");
        assert_eq!(seen.raw.replace("\r\n", "\n"), expected, "{environment:?}");
    }
}

/// A plan whose image takes a while.
fn slow() -> Workspace {
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    });
    let bytes: Vec<u8> = noise.take(12 << 20).collect();
    let mut plan = plan_of_entries(json!({ "/noise": { "type": "file", "source": "noise" } }));
    plan["output"] = json!({ "path": "x.img.zst", "compression": { "format": "zstd", "level": 19 } });
    let workspace = Workspace::with_plan(&plan);
    workspace.write("noise", bytes);
    workspace
}

#[test]
fn a_bar_fits_the_terminal_and_leaves_plain_lines() {
    let workspace = slow();
    for (columns, bar) in [(80, "MiB/s"), (40, "left")] {
        let seen = on_terminal(&workspace, columns, &[], "build plan.json");
        assert_eq!(seen.code, 0, "{}", seen.raw);
        let lines = seen.lines();
        let drawn: Vec<_> = lines.iter().filter(|line| line.starts_with("  write ")).collect();
        assert!(drawn.iter().any(|line| line.contains(bar)), "{lines:#?}");
        for line in &drawn {
            assert!(line.chars().count() <= columns, "{columns}: {line:?}");
        }
        let calm: Vec<_> = lines.iter().filter(|line| line.starts_with("snugfs: ")).collect();
        assert_eq!(calm.len(), 3, "{lines:#?}");
        assert!(calm[2].contains(" free, 1 file, "), "{lines:#?}");
    }
    let plain = on_terminal(&workspace, 80, &[("NO_COLOR", "1")], "build plan.json");
    assert!(plain.lines().iter().any(|line| line.starts_with("  write [")), "{}", plain.raw);
    assert!(!plain.raw.contains("\x1b[3") && !plain.raw.contains("\x1b[1m"), "{:?}", plain.raw);
    let dumb = on_terminal(&workspace, 80, &[("TERM", "dumb")], "build plan.json --progress auto");
    assert!(!dumb.raw.contains('\x1b'), "{:?}", dumb.raw);
    assert!(dumb.lines().iter().all(|line| line.starts_with("snugfs: ")), "{}", dumb.raw);
}
