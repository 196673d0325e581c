//! The summary line of a build: size, free space, number of files, time.

use std::time::Duration;

use snugfs_core::{Image, Report, human};

use crate::terminal::Terminal;

/// The narrowest width that the line is shortened to. Narrower terminals wrap it.
const COLUMNS: usize = 80;

/// The text after the image's name: `8,392,704 bytes, 4.0 MiB free, 14 files, 0.12 s`, with `verified` if it was verified.
/// Shortened to fit a terminal.
pub(crate) fn built(name: &str, report: &Report, files: u64, is_verified: bool, time: Duration) -> String {
    let free = report.filesystem.free_blocks.saturating_mul(report.filesystem.block_size.into());
    let rest = Rest { free, files, is_verified, time };
    let terminal = Terminal::stderr();
    line(name, &report.image, &rest, terminal.is_tty.then_some(terminal.columns.max(COLUMNS)))
}

/// The parts of the line besides the sizes.
#[derive(Clone, Copy)]
struct Rest {
    /// Free space of the root in \[bytes\].
    free: u64,
    files: u64,
    is_verified: bool,
    time: Duration,
}

/// The longest form of the line that fits into `columns`. Every form begins with the size of the written file.
fn line(name: &str, image: &Image, rest: &Rest, columns: Option<usize>) -> String {
    let form = match (image.format, image.compression.zip(image.compressed_bytes)) {
        (None, None) => None,
        (None, Some((compression, bytes))) => Some((compression.to_owned(), bytes)),
        (Some(format), None) => image.file_bytes.map(|bytes| (format.to_owned(), bytes)),
        (Some(format), Some((compression, bytes))) => Some((format!("{format} and {compression}"), bytes)),
    };
    let (whole, short, shortest) = match form {
        None => {
            let rounded = human::size(image.bytes);
            (human::counted(image.bytes, "byte"), rounded.clone(), rounded)
        }
        Some((form, bytes)) => {
            let (rounded, share) = (human::size(bytes), human::percent(bytes, image.bytes));
            let exact = human::counted(bytes, "byte");
            let whole = format!("{exact} as {form} ({share} of {})", human::size(image.bytes));
            (whole, format!("{rounded} as {form} ({share})"), rounded)
        }
    };
    let free = format!(", {} free", human::size(rest.free));
    let verified = if rest.is_verified { ", verified" } else { "" };
    let end = format!("{}{verified}, {}", human::counted(rest.files, "file"), human::seconds(rest.time));
    let forms = [(&whole, free.as_str()), (&short, &free), (&short, ""), (&shortest, "")];
    let mut last = String::new();
    for (size, free) in forms {
        last = format!("{size}{free}, {end}");
        if columns
            .is_none_or(|columns| "snugfs: : ".len() + name.chars().count() + last.chars().count() <= columns)
        {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(bytes: u64, format: Option<&'static str>, compressed_bytes: Option<u64>) -> Image {
        Image {
            bytes,
            compressed_bytes,
            compression: compressed_bytes.map(|_| "zstd"),
            format,
            file_bytes: format.map(|_| bytes),
            sha256: None,
            raw_sha256: None,
        }
    }

    fn rest(free: u64, files: u64, is_verified: bool) -> Rest {
        Rest { free, files, is_verified, time: Duration::from_millis(120) }
    }

    #[test]
    fn the_line_begins_with_the_size_of_the_file() {
        assert_eq!(
            line("a.img", &image(8_392_704, None, None), &rest(4 << 20, 14, true), Some(80)),
            "8,392,704 bytes, 4.0 MiB free, 14 files, verified, 0.12 s"
        );
        let name = "a-rather-long-name-of-a-root-file-system.img.zst";
        let compressed = image(1600 << 20, None, Some(560 << 20));
        assert_eq!(
            line(name, &compressed, &rest(40 << 20, 47_634, false), None),
            format!("587,202,560 bytes as zstd (35.0 % of 1.6 GiB), 40.0 MiB free, 47,634 files, 0.12 s")
        );
        for (columns, expected) in [
            (90, "587,202,560 bytes as zstd (35.0 % of 1.6 GiB), 40.0 MiB free, 7 files, 0.12 s"),
            (80, "560.0 MiB as zstd (35.0 %), 40.0 MiB free, 7 files, 0.12 s"),
            (70, "560.0 MiB as zstd (35.0 %), 7 files, 0.12 s"),
            (40, "560.0 MiB, 7 files, 0.12 s"),
        ] {
            let columns = columns.max("snugfs: r.zst: ".len() + expected.len());
            assert_eq!(line("r.zst", &compressed, &rest(40 << 20, 7, false), Some(columns)), expected);
        }
    }

    #[test]
    fn the_line_fits_a_terminal_with_any_numbers() {
        let time = Duration::from_secs(86_399);
        for form in [None, Some("qcow2")] {
            for compressed in [None, Some(u64::MAX)] {
                for bytes in [0, 1 << 30, u64::MAX] {
                    for files in [0, u64::from(u32::MAX)] {
                        let rest = Rest { free: bytes, files, is_verified: true, time };
                        let line = line("card.img", &image(bytes, form, compressed), &rest, Some(80));
                        assert!(line.chars().count() <= 72 - "card.img: ".len(), "{line}");
                    }
                }
            }
        }
    }
}
