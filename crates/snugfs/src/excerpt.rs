//! Excerpts: a line of a text with marks under the part that a message is about:
//!
//! ```text
//!   --> plan.json:12:5
//!    |
//! 12 |   "lable": "NIXOS_SD"
//!    |   ^^^^^^^
//! ```

use std::fmt::Write;
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

use crate::terminal::{ERROR, HINT, styled};

/// The part of a line that is read on each side of the mark, in \[bytes\]: lines of generated plans have megabytes.
const NEAR: usize = 1000;
/// Replaces a part that was cut.
const CUT: &str = "...";

/// Draws the line in which `marked` begins, with colours and at most `columns` wide. Ends in a line feed.
pub(crate) fn excerpt(name: &str, text: &[u8], marked: &Range<usize>, columns: usize) -> String {
    let start = marked.start.min(text.len());
    let before = text.get(..start).unwrap_or_default();
    let number = before.split(|&byte| byte == b'\n').count();
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let rest = text.get(start..).unwrap_or_default();
    let line_end = start + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let number_text = number.to_string();
    let gutter = number_text.len();
    let room = columns.saturating_sub(gutter + " | ".len()).max(2 * CUT.len() + 4);
    let (line, offset, width) =
        window(text, line_start..line_end, start..marked.end.clamp(start, line_end), room);
    let bar = styled(HINT, "|");
    let arrow = styled(HINT, "-->");
    let number = styled(HINT, &number_text);
    let marks = styled(ERROR, &"^".repeat(width));
    let column = start - line_start + 1;
    format!(
        "{:gutter$}{arrow} {name}:{number_text}:{column}\n{:gutter$} {bar}\n{number} {bar} {line}\n{:gutter$} {bar} \
         {:offset$}{marks}\n",
        "", "", "", ""
    )
}

/// The part of a line around the mark that fits into `room`, the columns before the mark, and the columns of the mark.
fn window(text: &[u8], line: Range<usize>, marked: Range<usize>, room: usize) -> (String, usize, usize) {
    let from = line.start.max(marked.start.saturating_sub(NEAR));
    let to = line.end.min(marked.start.saturating_add(NEAR));
    let before = cells(text.get(from..marked.start).unwrap_or_default());
    let mark_end = marked.end.min(to);
    let inside = cells(text.get(marked.start..mark_end).unwrap_or_default());
    let after = cells(text.get(mark_end..to).unwrap_or_default());
    // If not everything fits, the text before the mark may take a third of the room.
    let indented = before.iter().take_while(|cell| *cell == " ").count();
    let before = if from == line.start { before } else { [vec![CUT.to_owned()], before].concat() };
    let whole = width(&before) + width(&inside) + width(&after) <= room && to == line.end;
    let before = if whole { before } else { last(before.get(indented..).unwrap_or_default(), room / 3) };
    let left = room.saturating_sub(width(&before));
    let inside = if whole { inside } else { first(&inside, left) };
    let left = left.saturating_sub(width(&inside));
    let after = if whole { after } else { first(&after, left) };
    let (offset, marks) = (width(&before), width(&inside).max(1));
    ([before, inside, after].concat().concat(), offset, marks)
}

fn width(cells: &[String]) -> usize {
    cells.iter().map(|cell| cell.chars().filter_map(UnicodeWidthChar::width).sum::<usize>()).sum()
}

/// The first cells that fit, with [`CUT`] if there are more.
fn first(cells: &[String], room: usize) -> Vec<String> {
    if width(cells) <= room {
        return cells.to_vec();
    }
    let mut fitting = Vec::new();
    for cell in cells {
        if width(&fitting) + width(std::slice::from_ref(cell)) + CUT.len() > room {
            break;
        }
        fitting.push(cell.clone());
    }
    if CUT.len() <= room {
        fitting.push(CUT.to_owned());
    }
    fitting
}

/// The last cells that fit, with [`CUT`] if there are more.
fn last(cells: &[String], room: usize) -> Vec<String> {
    let reversed: Vec<String> = cells.iter().rev().cloned().collect();
    first(&reversed, room).into_iter().rev().collect()
}

/// Bytes as terminal cells. Characters that could mislead (control characters, changes of text direction, bytes that are
/// not UTF-8) are shown as numbers.
fn cells(bytes: &[u8]) -> Vec<String> {
    let mut cells = Vec::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            cells.push(match character {
                '\t' => " ".to_owned(),
                '\r' => String::new(),
                _ if is_harmless(character) => character.to_string(),
                _ => format!("\\u{{{:x}}}", u32::from(character)),
            });
        }
        let numbers = chunk.invalid().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string can't fail.
            let _ = write!(text, "\\x{byte:02x}");
            text
        });
        cells.extend((!numbers.is_empty()).then_some(numbers));
    }
    cells
}

/// Whether a character is neither a control character nor an invisible formatting character (Unicode category `Cf`).
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The excerpt without its colours.
    fn drawn(text: &str, marked: &str, columns: usize) -> String {
        let start = text.find(marked).unwrap();
        plain(&excerpt("plan.json", text.as_bytes(), &(start..start + marked.len()), columns))
    }

    fn plain(text: &str) -> String {
        let mut plain = String::new();
        for part in text.split('\x1b') {
            plain.push_str(if plain.is_empty() {
                part
            } else {
                part.split_once('m').map_or(part, |(_, rest)| rest)
            });
        }
        plain
    }

    #[test]
    fn the_mark_is_under_the_value() {
        let text = "{\n  \"version\": 1,\n  \"lable\": \"x\"\n}\n";
        let expected = " --> plan.json:3:3\n  |\n3 |   \"lable\": \"x\"\n  |   ^^^^^^^\n";
        assert_eq!(drawn(text, "\"lable\"", 80), expected);
        let multiline = drawn(text, "{\n  \"version\": 1,\n  \"lable\"", 80);
        assert_eq!(multiline, " --> plan.json:1:1\n  |\n1 | {\n  | ^\n");
        let end = plain(&excerpt("p", b"[1,\n", &(4..4), 80));
        assert_eq!(end, " --> p:2:1\n  |\n2 | \n  | ^\n");
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let text = format!("{{ \"a\": \"{}\", \"lable\": \"{}\" }}", "x".repeat(5000), "y".repeat(5000));
        for columns in [20, 40, 80] {
            for marked in ["\"lable\"", "xx", "yyyy"] {
                let drawn = drawn(&text, marked, columns);
                let lines: Vec<&str> = drawn.lines().collect();
                assert!(lines[2..].iter().all(|line| line.chars().count() <= columns), "{drawn}");
                let at = lines[3].find('^').unwrap();
                let marks = lines[3].matches('^').count();
                assert!(marked.starts_with(lines[2][at..at + marks].trim_end_matches("...")), "{drawn}");
            }
        }
        assert_eq!(
            drawn(&text, "\"lable\"", 40).lines().skip(2).collect::<Vec<_>>(),
            ["1 | ...xxxxxx\", \"lable\": \"yyyyyyyyyyy...", "  |             ^^^^^^^"]
        );
    }

    #[test]
    fn misleading_characters_are_shown_as_numbers() {
        let drawn = drawn("{ \"a\x1b[31m\u{202e}\u{9b}\": 1 }", "1", 80);
        assert!(drawn.contains("\"a\\u{1b}[31m\\u{202e}\\u{9b}\": 1 }"), "{drawn}");
        assert!(drawn.chars().all(|character| character == '\n' || !character.is_control()), "{drawn:?}");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let drawn = drawn("{ \"日本\": 1 }", "1", 80);
        assert!(drawn.ends_with("1 | { \"日本\": 1 }\n  |           ^\n"), "{drawn}");
    }
}
