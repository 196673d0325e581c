//! Help: topics, examples, completions and manual pages. All of it is generated from the definition of the command line
//! and from the tables of the plan, so it can't go out of date.

mod examples;
pub(crate) mod manual;
mod plan;
#[cfg(test)]
mod reference;

use crate::cli::{self, CompletionsArgs, HelpArgs, misuse};
use crate::exit;
use crate::output;
use snugfs_core::Failure;
use snugfs_core::human;

/// Topics of `snugfs help` in addition to the commands.
pub(crate) const TOPICS: [&str; 2] = ["plan", "exit-codes"];

/// Environment variables. None of them changes an image.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("NO_COLOR", "if not empty, no colours, and errors on a terminal are plain lines"),
    ("TERM", "if `dumb`, progress is shown as lines instead of a bar"),
    (
        "SNUGFS_CACHE",
        "the folder of `build --cache` if that is not given, for plans with output.compression.frames",
    ),
    ("NIX_BUILD_CORES", "the default of --threads is at most this; Nix sets it in builds"),
    (
        "TMPDIR",
        "the folder into which compressed images and archives are decompressed to be read [default: /tmp]",
    ),
];

/// The text below the options of a command.
pub(crate) fn after(command: &str) -> String {
    examples::text(command)
}

/// The text below the commands of the program, in its long help.
pub(crate) fn after_all() -> String {
    format!(
        "{}\n\nExit codes:\n{}\n\nEnvironment:\n{}\n\n{ERRORS}",
        examples::text(""),
        exit_codes(),
        environment()
    )
}

const ERRORS: &str = "Each error is one line on standard error: `snugfs: WHERE: what is wrong; what to do \
                      (FILE:LINE:COLUMN)`. FILE, LINE and COLUMN are the place in the plan. On a terminal, the line of \
                      the plan is shown below the error instead. With `--message-format json`, each error is a JSON \
                      object.";

fn exit_codes() -> String {
    let codes = all_exit_codes().map(|(number, about)| format!("  {number}  {about}"));
    codes.collect::<Vec<_>>().join("\n")
}

fn all_exit_codes() -> impl Iterator<Item = (u8, &'static str)> {
    std::iter::once((0, "done")).chain(exit::KINDS.map(|kind| (exit::number(kind), exit::about(kind))))
}

fn environment() -> String {
    let lines = ENVIRONMENT.map(|(name, about)| format!("  {name}\n      {about}"));
    lines.join("\n")
}

/// Prints the help of a topic.
pub(crate) fn run(args: &HelpArgs) -> Result<(), Failure> {
    let (topic, part) = (args.topic.as_deref(), args.part.as_deref());
    match (topic, part) {
        (Some("plan"), None) => output::print(&plan::page()),
        (Some("plan"), Some(section)) => {
            let section = section.strip_prefix("plan.").unwrap_or(section);
            let text = plan::section(section).ok_or_else(|| unknown("plan", section, &plan::names()))?;
            output::print(&text)
        }
        (Some("exit-codes"), None) => output::print(&format!("Exit codes:\n{}\n", exit_codes())),
        _ => output::print(&of_command(topic, part)?),
    }
}

/// The long help of a command, or of the program.
fn of_command(command: Option<&str>, part: Option<&str>) -> Result<String, Failure> {
    let mut found = &mut cli::definition();
    found.build();
    for (name, above) in [(command, "snugfs"), (part, command.unwrap_or_default())] {
        let Some(name) = name else { break };
        let known: Vec<String> =
            found.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        found = found.find_subcommand_mut(name).ok_or_else(|| unknown(above, name, &known))?;
    }
    Ok(found.render_long_help().to_string())
}

fn unknown(topic: &str, part: &str, known: &[String]) -> Failure {
    let known =
        if known.is_empty() { "leave it out".to_owned() } else { format!("use one of {}", known.join(", ")) };
    misuse("command line", format!("there is no help about \"{part}\" of {topic}"), known)
}

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::definition(), "snugfs", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Wraps a text at `columns`, and indents every line.
fn wrapped(text: &str, columns: usize, indent: &str) -> String {
    let lines = human::wrapped(text, columns.saturating_sub(indent.len()));
    lines.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}
