//! Progress on standard error, and the time that each stage took.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use snugfs_core::{Observer, Stage, Unit, human};

use crate::cli::ProgressMode;
use crate::messages::Messages;
use crate::terminal::Terminal;
use crate::{signals, threads};

/// The time between plain lines within a stage, so that logs stay short.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The longest time until a bar is drawn again.
const TICK: Duration = Duration::from_millis(250);

fn amount(unit: Unit, number: u64) -> String {
    match unit {
        Unit::Nothing => String::new(),
        Unit::Entries if number == 1 => "1 entry".to_owned(),
        Unit::Entries => format!("{} entries", human::grouped(number)),
        Unit::Bytes => human::size(number),
        Unit::Images if number == 1 => "1 image".to_owned(),
        Unit::Images => format!("{} images", human::grouped(number)),
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Bar(Terminal),
    Plain { nix: bool },
    Silent,
}

/// Shows the stages of the work, and keeps their times.
#[derive(Debug)]
pub(crate) struct Progress {
    channel: Channel,
    begun: Instant,
    times: Mutex<Vec<(Stage, Duration)>>,
    current: RwLock<Option<Meter>>,
}

impl Progress {
    pub(crate) fn new(mode: ProgressMode, messages: &Messages) -> Self {
        let terminal = Terminal::stderr();
        let channel = match mode {
            _ if messages.is_json() || messages.is_quiet() => Channel::Silent,
            ProgressMode::Auto if terminal.redraws => Channel::Bar(terminal),
            ProgressMode::Bar => Channel::Bar(terminal),
            ProgressMode::Auto | ProgressMode::Plain => Channel::Plain { nix: false },
            ProgressMode::Nix => Channel::Plain { nix: true },
            ProgressMode::None => Channel::Silent,
        };
        let (times, current) = (Mutex::new(Vec::new()), RwLock::new(None));
        Self { channel, begun: Instant::now(), times, current }
    }

    /// Finished stages and their times, in order.
    pub(crate) fn times(&self) -> Vec<(Stage, Duration)> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows a text after the bar of the current stage, if there is one.
    pub(crate) fn message(&self, text: String) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = current.as_ref().and_then(|meter| meter.bar.as_ref()) {
            bar.set_message(text);
        }
    }

    /// Time since the work began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Observer for Progress {
    fn begin(&self, stage: Stage, unit: Unit, total: u64) {
        signals::poll();
        let meter = Meter::begin(stage, unit, total, self.channel);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(meter);
    }

    fn advance(&self, number: u64) {
        signals::poll();
        if let Some(meter) = &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            meter.advance(number);
        }
    }

    fn end(&self, is_done: bool) {
        let meter = self.current.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(meter) = meter {
            let time = meter.finish(is_done);
            self.times.lock().unwrap_or_else(PoisonError::into_inner).push((meter.stage, time));
        }
    }
}

/// Counts the work of a stage, from any thread.
#[derive(Debug)]
struct Meter {
    stage: Stage,
    unit: Unit,
    total: u64,
    begun: Instant,
    done: AtomicU64,
    bar: Option<ProgressBar>,
    /// Time of the next plain line; `None` without plain lines.
    next_line: Option<Mutex<Instant>>,
}

impl Meter {
    fn begin(stage: Stage, unit: Unit, total: u64, channel: Channel) -> Self {
        if channel == (Channel::Plain { nix: true }) {
            // Nix takes this line out of a builder's log and shows it as the phase (Nix manual, JSON log messages).
            print_line(&format!("@nix {{\"action\":\"setPhase\",\"phase\":\"{}\"}}", stage.name()));
        }
        let shown = unit != Unit::Nothing;
        let bar = match channel {
            Channel::Bar(terminal) if shown => Some(bar(stage, unit, total, terminal)),
            _ => None,
        };
        let lines = shown && matches!(channel, Channel::Plain { .. });
        let next_line = lines.then(|| Mutex::new(Instant::now() + LINE_INTERVAL));
        Self { stage, unit, total, begun: Instant::now(), done: AtomicU64::new(0), bar, next_line }
    }

    /// Adds to the count.
    fn advance(&self, number: u64) {
        let done = self.done.fetch_add(number, Ordering::Relaxed) + number;
        if let Some(bar) = &self.bar {
            bar.inc(number);
        }
        // If the lock is held, another thread is already writing a line.
        if let Some(Ok(mut next)) = self.next_line.as_ref().map(Mutex::try_lock)
            && Instant::now() >= *next
        {
            *next = Instant::now() + LINE_INTERVAL;
            let whole = if self.total == 0 {
                String::new()
            } else {
                format!(" of {}", amount(self.unit, self.total))
            };
            print_line(&format!("snugfs: {}: {}{whole}", self.stage.name(), amount(self.unit, done)));
        }
    }

    /// Ends the stage, and returns its time.
    fn finish(&self, is_done: bool) -> Duration {
        let time = self.begun.elapsed();
        // A visible bar is replaced by the line that plain mode prints.
        let seen = self.bar.as_ref().is_some_and(|bar| !bar.is_hidden());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if is_done && (seen || self.next_line.is_some()) {
            let done = amount(self.unit, self.done.load(Ordering::Relaxed));
            let what = if self.stage == Stage::Verify { " hashed" } else { "" };
            print_line(&format!("snugfs: {}: {done}{what}, {}", self.stage.name(), human::seconds(time)));
        }
        time
    }
}

fn bar(stage: Stage, unit: Unit, total: u64, terminal: Terminal) -> ProgressBar {
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target((total > 0).then_some(total), target).with_prefix(stage.name());
    if let Ok(style) = ProgressStyle::with_template(&template(unit, total, terminal)) {
        bar.set_style(style.progress_chars("=> "));
    }
    // The tick keeps rate and remaining time correct while nothing is done, for example before a compressor's first bytes.
    // It needs a thread; without one, only work moves the bar.
    if threads::can_start() {
        bar.enable_steady_tick(TICK);
    }
    bar
}

/// The template of a bar: stage, bar, percent, amount, rate and remaining time; less on a narrow terminal.
fn template(unit: Unit, total: u64, terminal: Terminal) -> String {
    let (bar, percent, left) = match (unit, total) {
        (Unit::Bytes, 1..) => {
            ("[{wide_bar}]", "{percent:>3} %", "{binary_bytes:>10} of {binary_total_bytes}")
        }
        (Unit::Bytes, 0) => return "{prefix:>7} {spinner} {binary_bytes}".to_owned(),
        _ => return "{prefix:>7} {spinner} {human_pos} entries".to_owned(),
    };
    let bar = if terminal.colours { bar.replace("wide_bar", "wide_bar:.cyan") } else { bar.to_owned() };
    match terminal.columns {
        76.. => format!(
            "{{prefix:>7}} {bar} {percent} {left} {{binary_bytes_per_sec:>12}} {{eta:>4}} left{{msg}}"
        ),
        50.. => format!("{{prefix:>7}} {bar} {percent} {{binary_bytes_per_sec:>12}} {{eta:>4}} left"),
        30.. => format!("{{prefix:>7}} {percent} {{binary_bytes:>10}} {{eta:>4}} left"),
        _ => format!("{{prefix:>7}} {percent}"),
    }
}

/// Prints a line to standard error. Errors are ignored: a closed standard error must not fail a build.
pub(crate) fn print_line(line: &str) {
    // One write, so that lines of several threads do not mix.
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use snugfs_core::run_stage;

    use super::*;
    use crate::cli::{MessageArgs, MessageFormat};

    fn silent() -> Progress {
        let mode = MessageArgs { quiet: true, message_format: MessageFormat::Text };
        Progress::new(ProgressMode::None, &Messages::new(mode))
    }

    #[test]
    fn times_are_kept_in_order_even_of_a_failed_stage() {
        let progress = silent();
        let counted = run_stage(&progress, (Stage::Scan, Unit::Entries, 0), || {
            progress.advance(2);
            progress.advance(3);
            let current = progress.current.read().unwrap();
            Ok::<_, ()>(current.as_ref().unwrap().done.load(Ordering::Relaxed))
        });
        let failed = run_stage(&progress, (Stage::Write, Unit::Bytes, 10), || Err::<(), _>("no space"));
        assert_eq!((counted, failed), (Ok(5), Err("no space")));
        assert_eq!(
            progress.times().iter().map(|(stage, _)| stage.name()).collect::<Vec<_>>(),
            ["scan", "write"]
        );
        assert!(progress.times().iter().all(|(_, time)| *time <= progress.elapsed()));
    }

    #[test]
    fn a_stage_within_another_has_its_own_time() {
        let progress = silent();
        let done = run_stage(&progress, (Stage::Write, Unit::Bytes, 7), || {
            progress.end(true);
            progress.begin(Stage::Compare, Unit::Bytes, 7);
            std::thread::sleep(Duration::from_millis(20));
            progress.end(false);
            Err::<(), _>("differs")
        });
        assert_eq!(done, Err("differs"));
        let times = progress.times();
        let [(Stage::Write, write), (Stage::Compare, compare)] = times[..] else { panic!("{times:?}") };
        assert!(compare >= Duration::from_millis(20) && write + compare <= progress.elapsed());
    }
}
