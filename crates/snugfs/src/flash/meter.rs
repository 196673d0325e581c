//! Shows how fast a device is read and written.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use device_flash::Flashed;
use snugfs_core::{Observer, Stage, Unit, human};

use crate::progress::Progress;

/// Shows both rates while the image is written, then the reading back as a stage of its own.
pub(super) struct Meter<'a> {
    progress: &'a Progress,
    /// \[Bytes\] read back that were shown; `None` before that stage.
    checked: Mutex<Option<u64>>,
}

impl<'a> Meter<'a> {
    pub(super) fn new(progress: &'a Progress) -> Self {
        Self { progress, checked: Mutex::new(None) }
    }

    /// Shows what was done.
    pub(super) fn update(&self, done: &Flashed) {
        if done.to_check == 0 {
            self.progress.message(rates(done));
            return;
        }
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = checked.get_or_insert_with(|| {
            self.progress.begin(Stage::Compare, Unit::Bytes, done.to_check);
            0
        });
        self.progress.advance(done.checked.saturating_sub(*shown));
        *shown = done.checked;
    }

    /// Ends the stage of reading back, if there was one.
    pub(super) fn end(&self, is_done: bool) {
        if self.checked.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.progress.end(is_done);
        }
    }
}

/// Bytes per second; `None` without time.
fn rate(bytes: u64, time: Duration) -> Option<String> {
    let nanoseconds = time.as_nanos();
    if nanoseconds == 0 || bytes == 0 {
        return None;
    }
    let rate = u128::from(bytes).saturating_mul(1_000_000_000) / nanoseconds;
    Some(format!("{}/s", human::size(u64::try_from(rate).unwrap_or(u64::MAX))))
}

fn rates(done: &Flashed) -> String {
    let read = rate(done.read, done.reading).map(|rate| format!(", read {rate}"));
    let written = rate(done.written, done.writing).map(|rate| format!(", written {rate}"));
    format!("{}{}", read.unwrap_or_default(), written.unwrap_or_default())
}

/// The summary: `1.6 GiB, 12.3 MiB written at 20.1 MiB/s, the rest was there, 18.2 s`.
pub(super) fn line(done: &Flashed, time: Duration) -> String {
    let whole = human::size(done.compared);
    let seconds = human::seconds(time);
    if done.written == 0 {
        return format!("{whole}, everything was there already, {seconds}");
    }
    let rate = rate(done.written, done.writing).map(|rate| format!(" at {rate}")).unwrap_or_default();
    let rest = if done.skipped() == 0 { "" } else { ", the rest was there already" };
    format!("{whole}, {} written{rate}{rest}, {seconds}", human::size(done.written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_need_bytes_and_time() {
        assert_eq!(rate(3 << 20, Duration::from_secs(2)), Some("1.5 MiB/s".into()));
        assert_eq!(rate(0, Duration::from_secs(2)), None);
        assert_eq!(rate(1, Duration::ZERO), None);
    }
}
