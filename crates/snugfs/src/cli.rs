//! The words of the command line, and the help that teaches them. What they do is in [`crate::commands`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};

use crate::{help, output, progress};
use snugfs_core::{At, Failure, FailureKind};

/// Builds ext4 images from a JSON plan: exactly as large as needed, the same bytes on every machine.
///
/// A plan names a Nix closure, folders and single files; the image holds them, with nothing mounted, no root
/// rights and no temporary copy.
#[derive(Debug, Parser)]
#[command(name = "snugfs", version, after_help = help::after_all(), arg_required_else_help = true)]
#[command(max_term_width = 80, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) messages: MessageArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How messages are written, by any command.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MessageArgs {
    /// Print only errors, warnings and results
    ///
    /// There is no progress, no line at the end of a build, and `check` and `verify` print nothing if all is well.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// How to write errors, warnings and notes to standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = MessageFormat::Text, global = true)]
    pub(crate) message_format: MessageFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// Lines for people
    Text,
    /// A JSON object a line, without progress
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the image that a plan describes
    ///
    /// Everything is decided before the first byte is written. Only a finished image gets the output's name, and only a
    /// finished image replaces what is there. If the report can't be written after that, the exit code is 7.
    #[command(after_help = help::after("build"))]
    Build(BuildArgs),
    /// Tell what `build` would make, to the byte, without writing it
    ///
    /// Sources are scanned, contents are not read: so hashes are not compared, whatever the plan says.
    #[command(after_help = help::after("size"))]
    Size(SizeArgs),
    /// Tell where the bytes of an image go, and why they are there
    ///
    /// Of every store path: what it takes itself, what would leave the image with it, who refers to it. Of the rest:
    /// directories, files, kinds of metadata, journal, what is kept for growth, what is free. And what would make the
    /// image smaller, by how much. Sizes are whole blocks, as in the image, and add up to its length; nothing is written.
    #[command(after_help = help::after("explain"))]
    Explain(ExplainArgs),
    /// Tell whether a plan can be built, without writing anything
    ///
    /// Lists all problems of the plan; if there are none, of the closure; then of the sources; then whether it
    /// fits the size that the plan fixes and the limits of ext4. With `"verify": "hash"` the contents of every
    /// store path are hashed, too.
    #[command(after_help = help::after("check"))]
    Check(CheckArgs),
    /// Look into an image without mounting it: partitions, file systems, files
    ///
    /// IMAGE is a file or a device with a file system (ext2, ext3, ext4, FAT) or a disk with partitions (MBR, GPT),
    /// plain or compressed by zstd. It is only read; whatever is in it, nothing of it is trusted. Without a
    /// command, tells what the image is.
    #[command(after_help = help::after("inspect"))]
    Inspect(InspectArgs),
    /// Tell whether an image is sound, to the last byte
    ///
    /// IMAGE is a file or a device with an ext4 file system, or a disk with partitions (MBR, GPT), plain or compressed by
    /// zstd. Every checksum, copy, count and index is judged, and whether all that has no use is zero: more than e2fsck
    /// looks at. The image is only read; whatever is in it, nothing of it is trusted.
    #[command(after_help = help::after("verify"))]
    Verify(VerifyArgs),
    /// Print the JSON Schema of plans
    ///
    /// An editor that knows it completes and checks a plan while it is written.
    #[command(after_help = help::after("schema"))]
    Schema,
    /// Explain a command, the plan, or the exit codes
    ///
    /// Without a topic, tells what `snugfs --help` tells.
    #[command(after_help = help::after("help"))]
    Help(HelpArgs),
    /// Print a script that completes commands and options in a shell
    #[command(after_help = help::after("completions"))]
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder
    ///
    /// DIR gets man1 and man5, as `share/man` has them. Existing pages are replaced.
    #[command(after_help = help::after("man"))]
    Man(ManArgs),
}

/// What every command that reads a plan asks for.
#[derive(Clone, Debug, Args)]
pub(crate) struct InputArgs {
    /// The plan, a JSON file; `-` for standard input
    ///
    /// Structured attributes of a Nix build (.attrs.json), with the plan under the key "plan", are understood too.
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,

    /// Folder that relative paths in the plan are taken from [default: the plan's own]
    ///
    /// For a plan from standard input the default is the current folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) base_dir: Option<PathBuf>,

    /// How many threads to use; never changes the output [default: what this process may use]
    ///
    /// The default respects the limits of cgroups and, in a Nix build, those of its `cores` setting.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,

    /// How to tell on standard error how far the work is
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressMode::Auto)]
    pub(crate) progress: ProgressMode,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Where the image goes; `-` for standard output [default: plan.output.path]
    ///
    /// Taken from the current folder. A name that ends in .zst asks for zstd compression, .qcow2 or .simg for that format;
    /// so do plan.output.compression and plan.output.format. It can't be a file that the plan reads. In a folder of plan.trees, it is left out of the
    /// image.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// The output is a block device; overwrite what is on it
    ///
    /// It must not be mounted, nor any of its partitions, and the image can't be compressed. What was written is read
    /// back and compared.
    #[arg(long)]
    pub(crate) device: bool,

    /// Do not read a block device back to compare it with what was written
    #[arg(long, requires = "device")]
    pub(crate) no_read_back: bool,

    /// Read what was written again, judge it and compare it with the plan before it gets its name
    ///
    /// As `verify --against` does; what is wrong is told, and no image appears. A device has been overwritten by then. A
    /// compressed image is decompressed into the folder for temporary files (TMPDIR). Not for standard output and containers.
    #[arg(long)]
    pub(crate) verify_output: bool,

    /// Write a JSON report of the image to this file; `-` for standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,

    /// Write a list of the image's store paths to this file, a bill of materials (`CycloneDX` 1.5); `-` for standard output
    ///
    /// Name, version, NAR hash and references of every path of every closure. It has no time and no serial number, so the
    /// same closures give the same bytes.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sbom: Option<PathBuf>,

    /// Add the SHA-256 of the image before compression to the report
    ///
    /// The report always has the SHA-256 of the file that is written. Not for containers (plan.output.format).
    #[arg(long, requires = "report")]
    pub(crate) raw_digest: bool,

    /// Wait until the image is on the disk, safe from a loss of power
    #[arg(long)]
    pub(crate) sync: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SizeArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Print the report of `build` as JSON, but for what only writing tells (compressedBytes, sha256, seconds)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Tell why a store path is there: the way from a root, who refers to it, what it refers to
    ///
    /// NAME is a whole path, its hash or the first digits of it, or its name with or without the version. Can be given
    /// several times.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["json", "compare"])]
    pub(crate) why: Vec<String>,

    /// Tell what grew and shrank since another plan, or since the image of a report
    ///
    /// Store paths are matched by their names without hashes, in one version or another. PLAN may be a report, too:
    /// what `build --report` wrote, or `size --json` printed.
    #[arg(long, value_name = "PLAN|REPORT", value_hint = ValueHint::FilePath)]
    pub(crate) compare: Option<PathBuf>,

    /// Write one page for a browser instead: a map to click into, search, the layout to scale
    ///
    /// The page needs no network and no other file. It appears whole, or not at all; `-` is standard output. With --compare,
    /// it shows in colours and with signs what grew and shrank.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["json", "why"])]
    pub(crate) html: Option<PathBuf>,

    /// How many rows each table or list has at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) limit: u16,

    /// Print it as JSON, with all store paths
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Print the result as JSON, with all problems and warnings
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A command, `plan` or `exit-codes`
    #[arg(value_name = "TOPIC", index = 1)]
    pub(crate) topic: Option<String>,

    /// A command of `inspect`, or a section of the plan such as `filesystem`
    #[arg(value_name = "PART", index = 2)]
    pub(crate) part: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; made if it does not exist
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct InspectArgs {
    /// The image: a file or a block device
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub(crate) image: PathBuf,

    /// Whose files are meant [default: the only partition with a file system, or the likeliest root]
    ///
    /// Where several have one, the root's is the one whose type says so, else the largest with ext4.
    #[arg(long, value_name = "N", global = true)]
    pub(crate) partition: Option<u32>,

    /// Print what the image is as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Option<InspectCommand>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The image: a file or a block device
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub(crate) image: PathBuf,

    /// Compare it with what this plan makes, to the last byte; `-` for a plan from standard input
    ///
    /// Every entry, the promises, the table and all partitions are compared with the plan and its sources; store paths by
    /// the registered hash of their NAR, computed from the image's bytes, whatever plan.closure.verify says.
    #[arg(long, value_name = "PLAN")]
    pub(crate) against: Option<PathBuf>,

    /// Folder that relative paths in the plan are taken from [default: the plan's own]
    #[arg(long, value_name = "DIR", requires = "against")]
    pub(crate) base_dir: Option<PathBuf>,

    /// How many threads to use [default: what this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), requires = "against")]
    pub(crate) threads: Option<u16>,

    /// How to tell on standard error how far the work is
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressMode::None)]
    pub(crate) progress: ProgressMode,

    /// Accept what the format allows, although snugfs does not write it so
    ///
    /// For images that were mounted since they were made, or that another program made: what makes a file system
    /// unsound is a problem, the rest is told and counted.
    #[arg(long)]
    pub(crate) used: bool,

    /// Do not look at space that nothing uses
    ///
    /// For devices that held something else and got the image by its map (bmap) or as an Android sparse image: free blocks
    /// and gaps keep old bytes there, and no reader looks at them.
    #[arg(long)]
    pub(crate) ignore_unused: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// List a directory, sorted by the bytes of the names
    #[command(after_help = help::after("inspect ls"))]
    Ls {
        /// What to list
        #[arg(value_name = "PATH", default_value = "/")]
        path: PathBuf,
        /// With kind and mode, names, owner, group, size, time (UTC)
        #[arg(short)]
        long: bool,
        /// With all directories below
        #[arg(short = 'R')]
        recursive: bool,
    },
    /// Write the contents of a file to standard output
    #[command(after_help = help::after("inspect cat"))]
    Cat {
        /// The file; links are followed within the image
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// Tell what is known of a file; a link is not followed
    #[command(after_help = help::after("inspect stat"))]
    Stat {
        /// The file
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy a file, or a directory with all below it, into a folder of this machine
    ///
    /// Contents, holes, permissions, times and hard links are kept; sockets, extended attributes and (but for the
    /// options below) owners, set-user-ID bits and devices are not. Nothing is replaced, and nothing is written
    /// outside DIR.
    #[command(after_help = help::after("inspect extract"))]
    Extract {
        /// What to copy; `/` for all, which goes into DIR itself
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// The folder; made if it does not exist
        #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        output: PathBuf,
        /// Whose the files shall be
        #[arg(long, value_name = "WHOSE", value_enum, default_value_t = Owner::Mine)]
        owner: Owner,
        /// Make device nodes too; for root alone
        #[arg(long)]
        devices: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Owner {
    /// Of whoever runs this
    Mine,
    /// As in the image, with set-user-ID bits; for root alone
    Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, else plain lines
    Auto,
    /// A bar that is drawn anew
    Bar,
    /// A line a stage
    Plain,
    /// Plain lines, and the name of each stage for the log of `nix build`
    Nix,
    /// Nothing but warnings, errors and the line at the end of a build
    None,
}

/// The whole command line: also what only its parts together tell, the topics of help.
pub(crate) fn definition() -> clap::Command {
    let command = Cli::command();
    let commands = command.get_subcommands().map(|command| command.get_name().to_owned());
    let topics: Vec<String> = commands.chain(help::TOPICS.map(str::to_owned)).collect();
    command.mut_subcommand("help", |help| {
        help.mut_arg("topic", |topic| {
            topic.value_parser(PossibleValuesParser::new(topics)).hide_possible_values(true)
        })
    })
}

/// Reads a command line, whose first word is the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = definition().try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut definition()))
}

/// How messages are wanted by a command line that can't be read.
pub(crate) fn messages_of(words: impl IntoIterator<Item = OsString>) -> MessageArgs {
    let words: Vec<OsString> = words.into_iter().collect();
    let pair = words.windows(2).any(|pair| pair == ["--message-format", "json"]);
    let is_json = pair || words.iter().any(|word| word == "--message-format=json");
    let message_format = if is_json { MessageFormat::Json } else { MessageFormat::Text };
    MessageArgs { quiet: false, message_format }
}

/// Whether a path stands for standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A command line that makes no sense.
pub(crate) fn misuse(at: impl Into<At>, what: impl Into<String>, help: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Usage, at, what, help)
}

/// Shows what clap makes of a command line that is no command: help and version are results, the rest is misuse.
pub(crate) fn show(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => output::print(&error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            progress::say(error.to_string().trim_end());
            Err(Failure::all(FailureKind::Usage, []))
        }
        _ => {
            let (what, help) = complaint(error);
            Err(misuse("command line", what, help))
        }
    }
}

/// What clap has to say of a wrong command line, and what to do.
fn complaint(error: &clap::Error) -> (String, String) {
    let text = error.to_string();
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with("Usage:"))
        .filter(|paragraph| !paragraph.starts_with("For more information"))
        .collect();
    let what = paragraphs.join("; ");
    let help = hint(error).unwrap_or_else(|| format!("see {} --help", command_of(&text)));
    (what.trim_start_matches("error: ").to_owned(), help)
}

/// What other programs call something that this one has, too.
const KNOWN_ELSEWHERE: [(&str, &str); 10] = [
    ("--verbose", "use --progress plain for a line a stage"),
    ("-v", "use --progress plain for a line a stage"),
    ("--silent", "use --quiet"),
    ("--dry-run", "use `snugfs check` or `snugfs size`, which write nothing"),
    ("-n", "use `snugfs check` or `snugfs size`, which write nothing"),
    ("--force", "leave it out: an earlier image is replaced"),
    ("-f", "leave it out: an earlier image is replaced"),
    ("-j", "use --threads N"),
    ("--jobs", "use --threads N"),
    ("--level", "set plan.output.compression.level"),
];

/// What was probably meant by a word that is unknown here.
fn hint(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let word = text(ContextKind::InvalidArg)?;
            // `-j4` is given as `-j`, `--jobs=4` as `--jobs`.
            let known = KNOWN_ELSEWHERE.iter().find(|(known, _)| *known == word);
            known.map(|(_, hint)| (*hint).to_owned())
        }
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand)?;
            let is_file =
                word.contains('/') || Path::new(word).is_file() || word.to_lowercase().ends_with(".json");
            is_file.then(|| format!("say what to do with the plan: snugfs build {word} -o rootfs.img"))
        }
        _ => None,
    }
}

/// `snugfs build`, where clap tells how that is used; the program where it does not tell.
fn command_of(text: &str) -> String {
    let usage = text.rsplit_once("\nUsage: ").map_or("snugfs", |(_, usage)| usage);
    let is_name = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    usage.split_whitespace().take_while(is_name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        let all = std::iter::once("snugfs").chain(arguments.iter().copied()).map(OsString::from);
        let (what, help) = complaint(&parse(all).unwrap_err());
        misuse("command line", what, help).to_string()
    }

    #[test]
    fn definition_of_the_command_line_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        assert_eq!(
            line(&["build", "p.json", "--treads", "2"]),
            "command line: unexpected argument '--treads' found; tip: a similar argument exists: '--threads'; see snugfs build --help"
        );
        assert_eq!(
            line(&["build"]),
            "command line: the following required arguments were not provided: <PLAN>; see snugfs build --help"
        );
        assert_eq!(
            line(&["biuld"]),
            "command line: unrecognized subcommand 'biuld'; tip: a similar subcommand exists: 'build'; see snugfs --help"
        );
        for (words, hint) in [
            (&["p.json"][..], "; say what to do with the plan: snugfs build p.json -o rootfs.img"),
            (&["build", "p.json", "--verbose"], "; use --progress plain for a line a stage"),
            (&["build", "p.json", "-j4"], "; use --threads N"),
            (&["build", "p.json", "--dry-run"], "; use `snugfs check` or `snugfs size`, which write nothing"),
            (&["build", "p.json", "--force"], "; leave it out: an earlier image is replaced"),
        ] {
            assert!(line(words).ends_with(hint), "{}", line(words));
        }
        assert_eq!(
            line(&["size", "p.json", "--threads", "0"]),
            "command line: invalid value '0' for '--threads <N>': 0 is not in 1..=1024; see snugfs --help"
        );
    }
}
