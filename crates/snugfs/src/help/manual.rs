//! Manual pages: one for the program, one for each command, and snugfs-plan(5).

use std::fs;
use std::io;
use std::path::Path;

use clap::{Arg, Command};
use clap_mangen::Man;
use image_assembly::Companion;
use roff::{Inline, Roff, bold, italic, roman};
use snugfs_plan::guide;

use super::{ENVIRONMENT, ERRORS, all_exit_codes, examples, plan};
use crate::cli::{self, ManArgs};
use image_tree::io_reason;
use snugfs_core::{Failure, FailureKind, shown};

const MANUAL: &str = "snugfs manual";
const SOURCE: &str = concat!("snugfs ", env!("CARGO_PKG_VERSION"));

/// A manual page.
struct Page {
    name: String,
    section: &'static str,
    text: Vec<u8>,
}

/// Writes all pages into subfolders `man1` and `man5` of a folder.
pub(crate) fn write(args: &ManArgs) -> Result<(), Failure> {
    let failed = |path: &Path, error: &io::Error| {
        let what = format!("can't be written: {}", io_reason(error));
        Failure::new(FailureKind::Output, shown(path), what, "name another folder")
    };
    let pages = pages().map_err(|error| failed(&args.folder, &error))?;
    for page in pages {
        let folder = args.folder.join(format!("man{}", page.section));
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        let path = folder.join(format!("{}.{}", page.name, page.section));
        Companion::open(&path)?.write(&page.text)?;
    }
    Ok(())
}

fn pages() -> io::Result<Vec<Page>> {
    let mut program = cli::definition();
    program.build();
    let mut pages = Vec::new();
    add_commands(&program, "snugfs", "", &mut pages)?;
    pages.push(Page { name: "snugfs-plan".to_owned(), section: "5", text: plan_page().into_bytes() });
    Ok(pages)
}

/// Adds the page of a command and those of its subcommands. `words` is the command as typed after `snugfs`.
fn add_commands(command: &Command, page: &str, words: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    pages.push(Page { name: page.to_owned(), section: "1", text: command_page(command, page, words)? });
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        let name = below.get_name();
        add_commands(below, &format!("{page}-{name}"), format!("{words} {name}").trim(), pages)?;
    }
    Ok(())
}

fn command_page(command: &Command, page: &str, words: &str) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone().display_name(page.to_owned()));
    let mut text = Vec::new();
    text.extend(title(page, "1").into_bytes());
    man.render_name_section(&mut text)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    synopsis.text(self::synopsis(command));
    text.extend(synopsis.to_roff().into_bytes());
    man.render_description_section(&mut text)?;
    if command.get_arguments().next().is_some() {
        let mut options = Vec::new();
        man.render_options_section(&mut options)?;
        // A blank line is already a break; `man` warns about more of them.
        text.extend(String::from_utf8_lossy(&options).replace(".br\n\n.br\n", ".sp\n").into_bytes());
    }
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    rest.control("SH", ["EXAMPLES"]);
    for (line, meaning) in examples::of(words) {
        definition(&mut rest, line, meaning);
    }
    if words.is_empty() {
        rest.control("SH", ["EXIT STATUS"]);
        for (number, about) in all_exit_codes() {
            definition(&mut rest, &number.to_string(), about);
        }
        rest.control("SH", ["ENVIRONMENT"]);
        for (name, about) in ENVIRONMENT {
            definition(&mut rest, name, about);
        }
        rest.control("SH", ["DIAGNOSTICS"]);
        rest.text([roman(ERRORS)]);
    }
    rest.control("SH", ["SEE ALSO"]);
    rest.text(see_also(page));
    text.extend(rest.to_roff().into_bytes());
    Ok(text)
}

/// The usage of a command, with every option and its value.
fn synopsis(command: &Command) -> Vec<Inline> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).replace("[OPTIONS]", &options(command));
    let mut inlines = Vec::new();
    for word in usage.split_whitespace() {
        if !inlines.is_empty() {
            inlines.push(roman(" "));
        }
        let bare = word.trim_start_matches('[');
        inlines.push(roman("[".repeat(word.len() - bare.len())));
        let name = bare.trim_end_matches(['.', ']']);
        let value = name.strip_prefix('<').and_then(|name| name.strip_suffix('>'));
        // `[COMMAND]` is a placeholder, too.
        let is_placeholder = name.bytes().all(|byte| byte.is_ascii_uppercase());
        inlines.push(match value {
            Some(value) => italic(value),
            None if is_placeholder => italic(name),
            None => bold(name),
        });
        inlines.push(roman(bare.strip_prefix(name).unwrap_or_default()));
    }
    inlines
}

/// Optional options, each in brackets.
fn options(command: &Command) -> String {
    let shown = |arg: &&Arg| !arg.is_positional() && !arg.is_required_set() && !arg.is_hide_set();
    let name = |arg: &Arg| match (arg.get_short(), arg.get_long()) {
        (Some(short), _) => format!("-{short}"),
        (None, long) => format!("--{}", long.unwrap_or_default()),
    };
    let value = |arg: &Arg| {
        let names = arg.get_value_names().filter(|_| arg.get_action().takes_values()).unwrap_or_default();
        names.iter().fold(String::new(), |all, name| all + " <" + name + ">")
    };
    let options = command.get_arguments().filter(shown);
    options.map(|arg| format!("[{}{}]", name(arg), value(arg))).collect::<Vec<_>>().join(" ")
}

/// Related pages: that of the program and that of plans.
fn see_also(page: &str) -> Vec<Inline> {
    let mut pages = vec![bold("snugfs-plan"), roman("(5)")];
    if page != "snugfs" {
        pages.splice(0..0, [bold("snugfs"), roman("(1), ")]);
    }
    pages
}

/// Adds a term, and its meaning indented below it.
fn definition(roff: &mut Roff, what: &str, meaning: &str) {
    roff.control("TP", []);
    roff.text([bold(what)]);
    roff.text([roman(meaning)]);
}

fn plan_page() -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman("snugfs-plan - the contents of an image, and how to make it")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman("A plan is a JSON object.")]);
    for rule in plan::RULES {
        roff.control("PP", []);
        roff.text([roman(*rule)]);
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.text([roman("The files of a folder:")]);
    verbatim(&mut roff, plan::SMALL);
    roff.control("PP", []);
    roff.text([roman("An SD card with a Nix closure:")]);
    verbatim(&mut roff, plan::FULL);
    roff.control("SH", ["FIELDS"]);
    for section in guide() {
        roff.control("SS", [section.place.as_str()]);
        roff.text([roman(section.about)]);
        for field in &section.fields {
            roff.control("TP", []);
            roff.text([bold(field.name), roman(format!(": {}", plan::terms(field)))]);
            roff.text([roman(field.about.as_str())]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("snugfs"), roman("(1), "), bold("snugfs-schema"), roman("(1)")]);
    title("snugfs-plan", "5") + &roff.to_roff()
}

/// The first line of a page. It has no date, so that pages are reproducible.
fn title(page: &str, section: &str) -> String {
    format!(".TH \"{page}\" \"{section}\" \"\" \"{SOURCE}\" \"{MANUAL}\"\n")
}

/// Adds lines without filling.
fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}
