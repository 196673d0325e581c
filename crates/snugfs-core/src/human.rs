//! Human-readable numbers and sizes.

use std::time::Duration;

use image_tree::BinarySize;

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`: a number and a noun whose plural ends in s.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Bytes in the largest binary unit that leaves at least 1, one digit after the point, rounded to the nearest.
#[must_use]
pub fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { BinarySize::nearest(bytes).to_string() }
}

/// A part of a whole in percent with one decimal, rounded to the nearest. Only 0 is `0.0 %`, and only the whole is
/// `100.0 %`.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    let twice = u128::from(whole) * 2;
    // Of nothing, it is 0 %.
    let tenths = (u128::from(part) * 2000 + u128::from(whole)).checked_div(twice).unwrap_or(0);
    match tenths {
        0 if part > 0 && whole > 0 => "<0.1 %".to_owned(),
        1000 if part < whole => ">99.9 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// Seconds with two decimals below ten, otherwise with one.
#[must_use]
pub fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

/// Wraps a text at spaces into lines of at most `width` characters.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 2].map(|n| counted(n, "file")), ["0 files", "1 file", "2 files"]);
        assert_eq!(
            [0, 1023, 1024, 1_587_544_064, u64::MAX].map(size),
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 GiB", "16777216.0 TiB"]
        );
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(1, 0), "0.0 %");
        assert_eq!(
            [(0, 9), (2, 3), (9, 9), (3, 2)].map(|(part, whole)| percent(part, whole)),
            ["0.0 %", "66.7 %", "100.0 %", "150.0 %"]
        );
        assert_eq!(
            [(1, 9999), (1, 1999), (1999, 2000), (2001, 2000)].map(|(part, whole)| percent(part, whole)),
            ["<0.1 %", "0.1 %", ">99.9 %", "100.1 %"]
        );
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0 %");
        assert_eq!(seconds(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
    }

    #[test]
    fn texts_are_cut_into_lines_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a-very-long-word and", 5), ["a-very-long-word", "and"]);
    }
}
