//! The line that a build ends with, for people: how large, how much room is in it, of how many files, how long it took.

use std::time::Duration;

use crate::people;
use crate::report::{Image, Report};

/// How wide a terminal is at least.
const COLUMNS: usize = 80;

/// `snugfs: a.img: 8,392,704 bytes, 4.0 MiB free, 14 files, 0.12 s`; `verified` too, if it was judged.
pub(crate) fn built(name: &str, report: &Report, files: u64, is_judged: bool, time: Duration) -> String {
    let free = report.filesystem.free_blocks.saturating_mul(report.filesystem.block_size.into());
    line(name, &report.image, free, files, is_judged, time)
}

/// The most telling form that fits: sizes to the byte where nothing is compressed, then rounded, then without what is
/// missed least.
fn line(name: &str, image: &Image, free: u64, files: u64, is_judged: bool, time: Duration) -> String {
    let form = match (image.format, image.compressed_bytes) {
        (None, None) => None,
        (None, Some(compressed)) => Some(("zstd".to_owned(), compressed)),
        (Some(format), None) => image.file_bytes.map(|bytes| (format.to_owned(), bytes)),
        (Some(format), Some(compressed)) => Some((format!("{format} and zstd"), compressed)),
    };
    let rounded = people::size(image.bytes);
    let (exact, short) = match form {
        None => (people::counted(image.bytes, "byte"), rounded.clone()),
        Some((form, bytes)) => {
            let share = people::percent(bytes, image.bytes);
            let whole = format!("{rounded}, as {form} {} ({share})", people::size(bytes));
            (whole, format!("{rounded} ({form} {share})"))
        }
    };
    let free = format!(", {} free", people::size(free));
    let judged = if is_judged { ", verified" } else { "" };
    let rest = format!("{}{judged}, {}", people::counted(files, "file"), people::seconds(time));
    let forms = [(&exact, free.as_str()), (&short, &free), (&short, ""), (&rounded, "")];
    let mut last = String::new();
    for (size, free) in forms {
        last = format!("snugfs: {name}: {size}{free}, {rest}");
        if last.chars().count() <= COLUMNS {
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
            format,
            file_bytes: format.map(|_| bytes),
            sha256: None,
            raw_sha256: None,
        }
    }

    #[test]
    fn the_line_has_what_people_ask_for() {
        let time = Duration::from_millis(120);
        assert_eq!(
            line("a.img", &image(8_392_704, None, None), 4 << 20, 14, false, time),
            "snugfs: a.img: 8,392,704 bytes, 4.0 MiB free, 14 files, 0.12 s"
        );
        assert_eq!(
            line("a.img", &image(8_392_704, None, None), 4 << 20, 14, true, time),
            "snugfs: a.img: 8,392,704 bytes, 4.0 MiB free, 14 files, verified, 0.12 s"
        );
        assert_eq!(
            line("a.zst", &image(8 << 20, None, Some(2 << 20)), 4 << 20, 1, false, time),
            "snugfs: a.zst: 8.0 MiB, as zstd 2.0 MiB (25.0 %), 4.0 MiB free, 1 file, 0.12 s"
        );
        assert_eq!(
            line(
                "root.img.zst",
                &image(1600 << 20, None, Some(560 << 20)),
                40 << 20,
                47_634,
                false,
                time * 100
            ),
            "snugfs: root.img.zst: 1.6 GiB (zstd 35.0 %), 40.0 MiB free, 47,634 files, 12.0 s"
        );
    }

    #[test]
    fn the_line_fits_a_terminal_whatever_the_numbers() {
        let time = Duration::from_secs(86_399);
        for form in [None, Some("qcow2")] {
            for compressed in [None, Some(u64::MAX)] {
                for bytes in [0, 1 << 30, u64::MAX] {
                    for files in [0, u64::from(u32::MAX)] {
                        let line =
                            line("card.img", &image(bytes, form, compressed), bytes, files, true, time);
                        assert!(line.chars().count() <= COLUMNS, "{line}");
                    }
                }
            }
        }
    }
}
