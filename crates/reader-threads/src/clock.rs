//! Whether a thread works or waits.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How much time is judged at once. Less says little. The times of the thread are asked for once in so long, as that is a
/// system call.
const WINDOW: Duration = Duration::from_millis(4);

/// Compares the time that a thread spends, less the time that it waits for a processor, with the time that it has one.
/// Belongs to one thread.
#[derive(Debug)]
pub(crate) struct WaitClock {
    mark: Instant,
    spent: Duration,
    /// The time with a processor, and the time of waiting for one, at the start of the window.
    processor: Duration,
    queued: Duration,
    queue: Queue,
}

/// How long the thread waited for a processor, which is no wait for a disk: the second number of
/// `/proc/thread-self/schedstat`, in nanoseconds.
#[derive(Debug)]
enum Queue {
    /// Opened when the thread seems to wait for the first time.
    Closed,
    Open(File),
    /// Some containers have no /proc, some kernels no such file. A busy machine then looks like a slow disk.
    Missing,
}

impl WaitClock {
    /// Of a thread that probably waits, the first window is judged too.
    pub(crate) fn new(probably_waits: bool) -> Self {
        let (mark, spent, queued) = (Instant::now(), Duration::ZERO, Duration::ZERO);
        let mut clock = Self { mark, spent, processor: processor_time(), queued, queue: Queue::Closed };
        if probably_waits && clock.queue.open() {
            clock.queued = clock.queue.time();
        }
        clock
    }

    /// Leaves out the time since the last call.
    pub(crate) fn resume(&mut self) {
        self.mark = Instant::now();
    }

    /// Counts the time since the last call. At the end of a window, says whether the thread waited for most of it,
    /// unless it waited for a processor.
    pub(crate) fn check(&mut self) -> Option<bool> {
        let now = Instant::now();
        self.spent += now.saturating_duration_since(self.mark);
        self.mark = now;
        if self.spent < WINDOW {
            return None;
        }
        let (processor, queued) = (processor_time(), self.queue.time());
        // What was left out is part of this: so it counts as work, and never as a wait.
        let worked = processor.saturating_sub(self.processor);
        let own = self.spent.saturating_sub(queued.saturating_sub(self.queued));
        let mut has_waited = (own > WINDOW / 2).then_some(worked < own / 2);
        (self.spent, self.processor, self.queued) = (Duration::ZERO, processor, queued);
        if has_waited == Some(true) && self.queue.open() {
            self.queued = self.queue.time();
            has_waited = None;
        }
        has_waited
    }
}

impl Queue {
    /// Whether it has just been opened.
    fn open(&mut self) -> bool {
        if !matches!(self, Self::Closed) {
            return false;
        }
        *self = File::open("/proc/thread-self/schedstat").map_or(Self::Missing, Self::Open);
        matches!(self, Self::Open(_))
    }

    fn time(&self) -> Duration {
        let Self::Open(file) = self else { return Duration::ZERO };
        let mut text = [0; 64];
        let read = file.read_at(&mut text, 0).unwrap_or_default();
        let text = std::str::from_utf8(text.get(..read).unwrap_or_default()).unwrap_or_default();
        let nanoseconds = text.split_ascii_whitespace().nth(1).and_then(|number| number.parse().ok());
        Duration::from_nanos(nanoseconds.unwrap_or_default())
    }
}

fn processor_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_a_wait_and_sleep_that_is_left_out_is_none() {
        let mut clock = WaitClock::new(false);
        assert_eq!(clock.check(), None);
        std::thread::sleep(WINDOW);
        clock.check();
        std::thread::sleep(WINDOW);
        assert_eq!(clock.check(), Some(true));
        std::thread::sleep(WINDOW);
        clock.resume();
        assert_eq!(clock.check(), None);
    }

    #[test]
    fn work_is_no_wait_even_if_others_take_the_processor() {
        let others = 2 * std::thread::available_parallelism().unwrap().get();
        std::thread::scope(|scope| {
            let work = || {
                let mut clock = WaitClock::new(false);
                let begun = processor_time();
                let mut waits = 0;
                while processor_time().saturating_sub(begun) < 10 * WINDOW {
                    waits += usize::from(clock.check() == Some(true));
                }
                waits
            };
            let threads: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
            for thread in threads {
                let waits = thread.join().unwrap();
                // A virtual machine may lose its processor without knowing.
                assert!(waits <= 2, "{waits} windows were waits");
            }
        });
    }
}
