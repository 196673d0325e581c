//! Help topics, completions in real shells, manual pages in two viewers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Run, Workspace, sorted_names, tool};

#[test]
fn help_plan_is_plain_text_with_examples() {
    let workspace = Workspace::new();
    let page = workspace.snugfs(["help", "plan"]).succeeded();
    for word in [
        "\"version\": 1",
        "plan.filesystem",
        "plan.disk.partitions[]",
        "version*",
        "freeSpace",
        "man snugfs-plan",
    ] {
        assert!(page.text().replace('\n', " ").contains(word), "{word} is not in {}", page.text());
    }
    let section = workspace.snugfs(["help", "plan", "filesystem"]).succeeded();
    assert!(
        section.text().contains("\n  label: string of at most 16 bytes; default \"\"\n"),
        "{}",
        section.text()
    );
    assert_eq!(workspace.snugfs(["help", "plan", "plan.filesystem"]).succeeded().stdout, section.stdout);
    for text in [page.text(), section.text()] {
        assert!(!text.contains('\x1b'), "{text}");
    }
    let codes = workspace.snugfs(["help", "exit-codes"]).succeeded();
    assert_eq!(codes.text().lines().count(), 10, "{}", codes.text());
    assert_eq!(
        workspace.snugfs(["help", "build"]).succeeded().stdout,
        workspace.snugfs(["build", "--help"]).succeeded().stdout
    );
    assert_eq!(
        workspace.snugfs(["help"]).succeeded().stdout,
        workspace.snugfs(["--help"]).succeeded().stdout
    );
}

/// The completion script of a shell, in a file.
fn completions(workspace: &Workspace, shell: &str) -> PathBuf {
    let script = workspace.snugfs(["completions", shell]).succeeded();
    workspace.write(&format!("snugfs.{shell}"), script.stdout)
}

/// The arguments that an interactive bash completes in lines with tabs.
fn typed_into_bash(workspace: &Workspace, lines: &[&str]) -> Vec<String> {
    let mut input = ". ./snugfs.bash; snugfs() { echo \"RAN $*.\"; }\n".to_owned();
    for line in lines {
        input.extend(["snugfs ", line, "\n"]);
    }
    input.push_str("exit\n");
    completions(workspace, "bash");
    let mut terminal = Command::new(tool("script"));
    terminal.args(["--quiet", "--return", "--command", "bash --norc --noprofile -i", "/dev/null"]);
    terminal.current_dir(workspace.path("")).env("TERM", "xterm").env("HOME", workspace.path(""));
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    terminal.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let run = Run::from(terminal.wait_with_output().unwrap()).succeeded();
    let ran = run.text().lines().filter_map(|line| line.split_once("RAN ")?.1.trim_end().strip_suffix('.'));
    ran.map(|arguments| arguments.trim_end().to_owned())
        .filter(|arguments| !arguments.contains('$'))
        .collect()
}

#[test]
fn bash_completes_commands_options_words_and_files() {
    let workspace = Workspace::new();
    workspace.write("plan.json", "{}");
    let cases = [
        ("bu\t", "build"),
        ("build --thr\t", "build --threads"),
        ("build --progress pl\t", "build --progress plain"),
        ("build pla\t", "build plan.json"),
        ("build -o pla\t", "build -o plan.json"),
        ("help pl\t", "help plan"),
        ("completions z\t", "completions zsh"),
        ("inspect x.img ex\t", "inspect x.img extract"),
    ];
    assert_eq!(typed_into_bash(&workspace, &cases.map(|case| case.0)), cases.map(|case| case.1));
}

#[test]
fn fish_completes_commands_and_options() {
    let workspace = Workspace::new();
    let script = completions(&workspace, "fish");
    let complete = |line: &str| {
        let mut fish = Command::new(tool("fish"));
        fish.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]).arg(&script).arg(line);
        let run = Run::of(fish.env("HOME", workspace.path(""))).succeeded();
        let first = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
        run.text().lines().map(first).collect::<Vec<_>>()
    };
    assert_eq!(complete("snugfs bu"), ["build"]);
    assert_eq!(complete("snugfs build --thr"), ["--threads"]);
    assert_eq!(complete("snugfs build --progress pl"), ["plain"]);
}

#[test]
fn zsh_reads_its_script() {
    let workspace = Workspace::new();
    let script = completions(&workspace, "zsh");
    let load = r#"
        autoload -U compinit && compinit -D -u
        . "$1"
        print -r -- "$_comps[snugfs]"
    "#;
    let mut zsh = Command::new(tool("zsh"));
    zsh.args(["-f", "-c", load, "zsh"]).arg(&script).env("HOME", workspace.path(""));
    let run = Run::of(&mut zsh).succeeded();
    assert_eq!((run.text(), run.stderr.as_str()), ("_snugfs\n", ""));
    let text = String::from_utf8(workspace.read("snugfs.zsh")).unwrap();
    assert!(text.contains("'--threads=["), "no description of --threads");
}

/// Fails if a viewer of manual pages prints a warning.
fn assert_readable(page: &Path) -> String {
    let lint = Run::of(Command::new(tool("mandoc")).args(["-T", "lint", "-W", "warning"]).arg(page));
    // Pages have no date: they are the same whenever they are made.
    let complaints: Vec<_> = lint.text().lines().filter(|line| !line.contains("missing date")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let mut man = Command::new(tool("man"));
    man.args(["--warnings", "--encoding=UTF-8", "-Tutf8", "--local-file"]).arg(page);
    let run = Run::of(man.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80")).succeeded();
    assert_eq!(run.stderr, "", "{}", page.display());
    // Bold letters may come struck twice, as for a printer.
    let mut letters: Vec<char> = Vec::new();
    for letter in run.text().chars() {
        if letter == '\u{8}' {
            letters.pop();
        } else {
            letters.push(letter);
        }
    }
    let plain: String = letters.into_iter().collect();
    assert!(plain.contains("NAME"), "{plain}");
    plain
}

#[test]
fn manual_pages_are_complete_and_valid() {
    let workspace = Workspace::new();
    workspace.snugfs(["man", "share/man"]).succeeded();
    let folder = workspace.path("share/man");
    assert_eq!(sorted_names(&folder), ["man1", "man5"]);
    let pages = sorted_names(&folder.join("man1"));
    for page in ["snugfs.1", "snugfs-build.1", "snugfs-help.1", "snugfs-inspect-extract.1", "snugfs-verify.1"]
    {
        assert!(pages.contains(&page.to_owned()), "{page}: {pages:?}");
    }
    assert_eq!(sorted_names(&folder.join("man5")), ["snugfs-plan.5"]);
    for page in pages {
        let text = assert_readable(&folder.join("man1").join(&page));
        let words: Vec<_> = text.split_whitespace().collect();
        let synopsis = words.join(" ");
        if page == "snugfs-inspect-extract.1" {
            assert!(synopsis.contains("SYNOPSIS snugfs inspect IMAGE extract ["), "{text}");
            assert!(
                synopsis.contains("-o DIR PATH DESCRIPTION")
                    || synopsis.contains("--output DIR PATH DESCRIPTION"),
                "{text}"
            );
            assert!(synopsis.contains(" [--partition N] ") && synopsis.contains(" [--devices] "), "{text}");
        }
    }
    assert_readable(&folder.join("man5/snugfs-plan.5"));
    let text = |name: &str| String::from_utf8(workspace.read(name)).unwrap();
    assert!(text("share/man/man5/snugfs-plan.5").contains("freeSpace"));
    assert!(text("share/man/man1/snugfs-build.1").contains("EXAMPLES"));
    workspace.write("file", "");
    workspace.snugfs(["man", "file"]).failed_with(7);
}
