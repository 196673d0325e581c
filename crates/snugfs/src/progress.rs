//! Stages of the work: how long each took, and what is told of it on standard error meanwhile.
//! Nothing here reaches the image or standard output.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::ProgressMode;
use crate::people;
use crate::signals;
use crate::terminal::Terminal;
use crate::{threads, told};

/// How long plain lines are silent within a stage: a log of a long build shows life, and a short one stays short.
const QUIET: Duration = Duration::from_secs(5);

/// How often a bar is drawn anew at least.
const TICK: Duration = Duration::from_millis(250);

/// A step on the way from the plan to the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Plan,
    Closure,
    Scan,
    Deduplicate,
    Verify,
    Layout,
    /// Looking for zeros in files, for forms that leave them out.
    Zeros,
    Write,
    /// Judging what was written, or an image that is there.
    Compare,
}

impl Stage {
    /// The name in reports, lines and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Closure => "closure",
            Self::Scan => "scan",
            Self::Deduplicate => "deduplicate",
            Self::Verify => "verify",
            Self::Layout => "layout",
            Self::Zeros => "zeros",
            Self::Write => "write",
            Self::Compare => "compare",
        }
    }
}

/// What a stage counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nothing: it is over at once.
    Nothing,
    /// Directory entries.
    Entries,
    /// Bytes.
    Bytes,
}

impl Unit {
    fn show(self, number: u64) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Entries if number == 1 => "1 entry".to_owned(),
            Self::Entries => format!("{} entries", people::grouped(number)),
            Self::Bytes => people::size(number),
        }
    }
}

/// Where news of the work goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Bar(Terminal),
    Plain { nix: bool },
    Silent,
}

/// Runs the stages one after another, and keeps their times.
#[derive(Debug)]
pub(crate) struct Stages {
    channel: Channel,
    begun: Instant,
    times: Vec<(Stage, Duration)>,
}

impl Stages {
    pub(crate) fn new(mode: ProgressMode) -> Self {
        let terminal = Terminal::stderr();
        let channel = match mode {
            _ if told::is_json() || told::is_quiet() => Channel::Silent,
            ProgressMode::Auto if terminal.redraws => Channel::Bar(terminal),
            ProgressMode::Bar => Channel::Bar(terminal),
            ProgressMode::Auto | ProgressMode::Plain => Channel::Plain { nix: false },
            ProgressMode::Nix => Channel::Plain { nix: true },
            ProgressMode::None => Channel::Silent,
        };
        Self { channel, begun: Instant::now(), times: Vec::new() }
    }

    /// Does the work of a stage, which counts up to `total` if that is known (else 0).
    pub(crate) fn run<T, E>(
        &mut self,
        stage: Stage,
        unit: Unit,
        total: u64,
        work: impl FnOnce(&Meter) -> Result<T, E>,
    ) -> Result<T, E> {
        signals::poll();
        let meter = Meter::begin(stage, unit, total, self.channel);
        let done = work(&meter);
        let time = meter.finish(done.is_ok());
        self.times.push((stage, time));
        self.times.extend(meter.next.into_inner().unwrap_or_else(PoisonError::into_inner));
        done
    }

    /// The stages that were run, in their order, with their times.
    pub(crate) fn times(&self) -> &[(Stage, Duration)] {
        &self.times
    }

    /// How long ago the first stage could begin.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Counts what a stage has done, from any thread.
#[derive(Debug)]
pub(crate) struct Meter {
    stage: Stage,
    unit: Unit,
    total: u64,
    channel: Channel,
    begun: Instant,
    done: AtomicU64,
    /// How long it took, once it is over.
    time: OnceLock<Duration>,
    /// The stage that followed within this one's work.
    next: Mutex<Option<(Stage, Duration)>>,
    bar: Option<ProgressBar>,
    /// When the next plain line may come; `None` where there are none.
    next_line: Option<Mutex<Instant>>,
}

impl Meter {
    fn begin(stage: Stage, unit: Unit, total: u64, channel: Channel) -> Self {
        if channel == (Channel::Plain { nix: true }) {
            // A line that Nix takes out of a builder's log and shows as the phase (Nix manual, JSON log messages).
            say(&format!("@nix {{\"action\":\"setPhase\",\"phase\":\"{}\"}}", stage.name()));
        }
        let shown = unit != Unit::Nothing;
        let bar = match channel {
            Channel::Bar(terminal) if shown => Some(bar(stage, unit, total, terminal)),
            _ => None,
        };
        let lines = shown && matches!(channel, Channel::Plain { .. });
        let next_line = lines.then(|| Mutex::new(Instant::now() + QUIET));
        Self {
            stage,
            unit,
            total,
            channel,
            begun: Instant::now(),
            done: AtomicU64::new(0),
            time: OnceLock::new(),
            next: Mutex::new(None),
            bar,
            next_line,
        }
    }

    /// Ends this stage, whose own work is done, and does that of the one that follows from within it.
    pub(crate) fn then<T, E>(
        &self,
        stage: Stage,
        unit: Unit,
        total: u64,
        work: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.finish(true);
        let meter = Self::begin(stage, unit, total, self.channel);
        let done = work(&meter);
        let time = meter.finish(done.is_ok());
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some((stage, time));
        done
    }

    /// Counts so many more.
    pub(crate) fn advance(&self, number: u64) {
        signals::poll();
        let done = self.done.fetch_add(number, Ordering::Relaxed) + number;
        if let Some(bar) = &self.bar {
            bar.inc(number);
        }
        // Whoever finds the lock taken leaves the line to the other.
        if let Some(Ok(mut next)) = self.next_line.as_ref().map(Mutex::try_lock)
            && Instant::now() >= *next
        {
            *next = Instant::now() + QUIET;
            let whole =
                if self.total == 0 { String::new() } else { format!(" of {}", self.unit.show(self.total)) };
            say(&format!("snugfs: {}: {}{whole}", self.stage.name(), self.unit.show(done)));
        }
    }

    /// Ends the stage, if it is not over yet; how long it took.
    fn finish(&self, is_done: bool) -> Duration {
        if let Some(time) = self.time.get() {
            return *time;
        }
        let time = *self.time.get_or_init(|| self.begun.elapsed());
        // A bar that was seen leaves the line that stands where there is none.
        let seen = self.bar.as_ref().is_some_and(|bar| !bar.is_hidden());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if is_done && (seen || self.next_line.is_some()) {
            let done = self.unit.show(self.done.load(Ordering::Relaxed));
            let what = if self.stage == Stage::Verify { " hashed" } else { "" };
            say(&format!("snugfs: {}: {done}{what}, {}", self.stage.name(), people::seconds(time)));
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
    // Rate and time left are right also while nothing is done, as before a compressor gives its first bytes.
    // The bar's own clock is a thread; where none can be started, only work moves it.
    if threads::can_start() {
        bar.enable_steady_tick(TICK);
    }
    bar
}

/// What a bar shows: its stage, how much is done, how fast, and how long it will take; on a narrow terminal less.
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
        76.. => format!("{{prefix:>7}} {bar} {percent} {left} {{binary_bytes_per_sec:>12}} {{eta:>4}} left"),
        50.. => format!("{{prefix:>7}} {bar} {percent} {{binary_bytes_per_sec:>12}} {{eta:>4}} left"),
        30.. => format!("{{prefix:>7}} {percent} {{binary_bytes:>10}} {{eta:>4}} left"),
        _ => format!("{{prefix:>7}} {percent}"),
    }
}

/// A line on standard error; whether someone reads it must not decide over the image.
pub(crate) fn say(line: &str) {
    // Written at once, so that lines of several threads do not mix.
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_in_the_order_of_the_stages_also_of_one_that_failed() {
        let mut stages = Stages::new(ProgressMode::None);
        let counted = stages.run(Stage::Scan, Unit::Entries, 0, |meter| {
            meter.advance(2);
            meter.advance(3);
            Ok::<_, ()>(meter.done.load(Ordering::Relaxed))
        });
        let failed = stages.run(Stage::Write, Unit::Bytes, 10, |_| Err::<(), _>("no space"));
        assert_eq!((counted, failed), (Ok(5), Err("no space")));
        assert_eq!(
            stages.times().iter().map(|(stage, _)| stage.name()).collect::<Vec<_>>(),
            ["scan", "write"]
        );
        assert!(stages.times().iter().all(|(_, time)| *time <= stages.elapsed()));
    }

    #[test]
    fn a_stage_that_follows_within_another_has_a_time_of_its_own() {
        let mut stages = Stages::new(ProgressMode::None);
        let compare = |meter: &Meter| {
            meter.advance(7);
            std::thread::sleep(Duration::from_millis(20));
            Err::<(), _>("differs")
        };
        let done = stages
            .run(Stage::Write, Unit::Bytes, 7, |meter| meter.then(Stage::Compare, Unit::Bytes, 7, compare));
        assert_eq!(done, Err("differs"));
        let [(Stage::Write, write), (Stage::Compare, compare)] = stages.times() else {
            panic!("{:?}", stages.times())
        };
        assert!(*compare >= Duration::from_millis(20) && *write + *compare <= stages.elapsed());
    }
}
