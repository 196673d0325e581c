//! `inspect ls` and `inspect stat` as text. Names are escaped, so that they can't add lines or change a terminal.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;

use image_reader::{Attribute, FileSystem, Found, Kind, Node, ReadError, Time};
use image_stamp::Slot;
use image_tree::{Explain, Explanation, escaped};

use snugfs_core::human::grouped;

/// The most problems that a listing reports.
const MOST_PROBLEMS: usize = 1000;
/// The longest path of a directory in a recursive listing, in \[bytes\] (`PATH_MAX`).
const LONGEST_PATH: usize = 4096;

/// A directory still to be listed. Directories with the same parent share its path.
struct Pending {
    above: Rc<[u8]>,
    name: Vec<u8>,
    node: Node,
}

impl Pending {
    fn path(&self) -> Vec<u8> {
        below(&self.above, &self.name)
    }
}

fn below(above: &[u8], name: &[u8]) -> Vec<u8> {
    match (above, name) {
        (above, b"") => above.to_vec(),
        (b"/", name) => [b"/", name].concat(),
        (above, name) => [above, b"/", name].concat(),
    }
}

/// The slots of a file system: length, room, path.
pub(super) fn slots(slots: &[Slot]) -> String {
    let mut text = String::new();
    for slot in slots {
        let (used, room) = (grouped(slot.used()), grouped(slot.room));
        let _ = writeln!(text, "{used:>10} of {room:>10}  {}", escaped(&slot.path));
    }
    text
}

/// Lists a file or a directory, recursively if asked. Returns problems: parts that could not be read.
pub(super) fn list(
    fs: &FileSystem,
    found: &Found,
    long: bool,
    recursive: bool,
    out: &mut impl Write,
) -> io::Result<Vec<Explanation>> {
    let mut problems = Vec::new();
    if !found.node.is_directory() {
        line(fs, &found.path, &found.node, long, out, &mut problems)?;
        return Ok(problems);
    }
    let mut visits = fs.visits();
    if let Err(error) = visits.enter(&found.node) {
        report(&mut problems, &found.path, &error);
        return Ok(problems);
    }
    let mut open =
        vec![Pending { above: found.path.as_slice().into(), name: Vec::new(), node: found.node.clone() }];
    let mut first = true;
    while let Some(next) = open.pop() {
        let (path, directory): (Rc<[u8]>, _) = (next.path().into(), next.node);
        let mut report_here = |error: &ReadError| report(&mut problems, &path, error);
        if recursive {
            writeln!(out, "{}{}:", if first { "" } else { "\n" }, escaped(&path))?;
            first = false;
        }
        let entries = match visits.read(fs, &directory) {
            Ok((entries, errors)) => {
                errors.iter().for_each(&mut report_here);
                entries
            }
            Err(error) => {
                report_here(&error);
                if error.ends_all() {
                    break;
                }
                continue;
            }
        };
        let mut deeper = Vec::new();
        for entry in entries {
            if !long && !recursive {
                writeln!(out, "{}", escaped(&entry.name))?;
                continue;
            }
            let whole = || below(&path, &entry.name);
            match fs.node(&entry) {
                Ok(node) => {
                    line(fs, &entry.name, &node, long, out, &mut problems)?;
                    if !recursive || !node.is_directory() {
                        continue;
                    }
                    if whole().len() > LONGEST_PATH {
                        report(&mut problems, &whole(), &too_deep());
                    } else if let Err(error) = visits.enter(&node) {
                        report(&mut problems, &whole(), &error);
                    } else {
                        deeper.push(Pending { above: Rc::clone(&path), name: entry.name, node });
                    }
                }
                Err(error) => {
                    // The entry exists, even if its inode can't be read.
                    let unknown = if long { "?????????? " } else { "" };
                    writeln!(out, "{unknown}{}", escaped(&entry.name))?;
                    report(&mut problems, &whole(), &error);
                }
            }
        }
        open.extend(deeper.into_iter().rev());
    }
    Ok(problems)
}

fn too_deep() -> ReadError {
    let help = "list it by its own path";
    ReadError::Unsupported(Explanation::new("the directory", "has too long a path", help))
}

fn report(problems: &mut Vec<Explanation>, path: &[u8], error: &ReadError) {
    if problems.len() < MOST_PROBLEMS || error.ends_all() {
        problems.push(error.explain().within(&escaped(path).to_string()));
    }
}

fn line(
    fs: &FileSystem,
    name: &[u8],
    node: &Node,
    long: bool,
    out: &mut impl Write,
    problems: &mut Vec<Explanation>,
) -> io::Result<()> {
    if !long {
        return writeln!(out, "{}", escaped(name));
    }
    let size = match node.kind {
        Kind::Character(major, minor) | Kind::Block(major, minor) => format!("{major}, {minor}"),
        _ => node.size.to_string(),
    };
    write!(
        out,
        "{} {:>3} {:>5} {:>5} {size:>11} {} {}",
        mode_text(node),
        node.links,
        node.uid,
        node.gid,
        time_text(node.modified),
        escaped(name)
    )?;
    if node.kind == Kind::Symlink {
        match fs.link_target(node) {
            Ok(target) => write!(out, " -> {}", escaped(&target))?,
            Err(error) => report(problems, name, &error),
        }
    }
    writeln!(out)
}

/// The metadata of a file.
pub(super) fn stat(found: &Found, target: Option<&[u8]>, attributes: &[Attribute]) -> String {
    let node = &found.node;
    let mut text = String::new();
    let mut row = |what: &str, value: String| {
        let _ = writeln!(text, "{what:<10}{value}");
    };
    row("path", escaped(&found.path).to_string());
    row("type", kind_name(node.kind).to_owned());
    if let Some(target) = target {
        row("target", escaped(target).to_string());
    }
    match node.kind {
        Kind::Character(major, minor) | Kind::Block(major, minor) => {
            row("device", format!("{major}, {minor}"));
        }
        _ => row("size", grouped(node.size)),
    }
    row("mode", format!("{:04o} ({})", node.mode, mode_text(node)));
    row("owner", format!("{}:{}", node.uid, node.gid));
    row("links", node.links.to_string());
    row("modified", format!("{}.{:09} UTC", time_with_seconds(node.modified), node.modified.nanoseconds));
    if let Some(inode) = node.inode {
        row("inode", inode.to_string());
    }
    for Attribute { name, value } in attributes {
        let value = value.as_deref().map_or_else(|| "in another inode".to_owned(), value_text);
        row("xattr", format!("{} = {value}", escaped(name)));
    }
    text
}

/// The value of an extended attribute: as text, without the NUL at the end of labels, or in hexadecimal.
fn value_text(value: &[u8]) -> String {
    let text = value.strip_suffix(b"\0").unwrap_or(value);
    match std::str::from_utf8(text) {
        Ok(text) if !text.chars().any(char::is_control) => format!("\"{}\"", escaped(text.as_bytes())),
        _ => value.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Character(..) => "character",
        Kind::Block(..) => "block",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    }
}

/// The mode as `ls -l` shows it: `drwxr-sr-t`.
fn mode_text(node: &Node) -> String {
    let kind = match node.kind {
        Kind::File => '-',
        Kind::Directory => 'd',
        Kind::Symlink => 'l',
        Kind::Character(..) => 'c',
        Kind::Block(..) => 'b',
        Kind::Fifo => 'p',
        Kind::Socket => 's',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = node.mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (node.mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn time_text(time: Time) -> String {
    let text = time_with_seconds(time);
    text.rsplit_once(':').map_or(text.clone(), |(minutes, _)| minutes.to_owned())
}

/// `2026-11-24 07:16:00`, in UTC and the Gregorian calendar.
fn time_with_seconds(time: Time) -> String {
    let (days, clock) = (time.seconds.div_euclid(86_400), time.seconds.rem_euclid(86_400));
    // Years that begin in March put the leap day at their end; 400 of them have 146,097 days.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", clock / 3600, clock / 60 % 60, clock % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_or_hexadecimal() {
        assert_eq!(value_text(b"system_u:object_r:etc_t:s0\0"), "\"system_u:object_r:etc_t:s0\"");
        assert_eq!(value_text(b""), "\"\"");
        assert_eq!(value_text(&[1, 0, 0, 2, 0xff]), "0x01000002ff");
        assert_eq!(value_text(b"a\x1b[31m"), "0x611b5b33316d");
    }

    #[test]
    fn times_are_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_709_251_199, "2024-02-29 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (-2_147_483_648, "1901-12-13 20:45:52"),
            (15_032_385_535, "2446-05-10 22:38:55"),
        ] {
            assert_eq!(time_with_seconds(Time { seconds, nanoseconds: 0 }), text);
        }
    }
}
