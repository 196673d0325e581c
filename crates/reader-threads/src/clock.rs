//! Whether a thread works or waits.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How much time is judged at once. Less says little: a thread that only works is interrupted now and then. The time of
/// the processor is asked for once in so long, as that is a system call.
const WINDOW: Duration = Duration::from_millis(4);

/// Compares the time that a thread spends with the time that it has a processor. Belongs to one thread.
#[derive(Debug)]
pub(crate) struct WaitClock {
    mark: Instant,
    spent: Duration,
    /// The time of the processor at the start of the window.
    processor: Duration,
}

impl WaitClock {
    pub(crate) fn new() -> Self {
        Self { mark: Instant::now(), spent: Duration::ZERO, processor: processor_time() }
    }

    /// Leaves out the time since the last call.
    pub(crate) fn resume(&mut self) {
        self.mark = Instant::now();
    }

    /// Counts the time since the last call. At the end of a window, says whether the thread waited for most of it.
    pub(crate) fn check(&mut self) -> Option<bool> {
        let now = Instant::now();
        self.spent += now.saturating_duration_since(self.mark);
        self.mark = now;
        if self.spent < WINDOW {
            return None;
        }
        let processor = processor_time();
        // What was left out is part of this: so it counts as work, and never as a wait.
        let worked = processor.saturating_sub(self.processor);
        let has_waited = worked < self.spent / 2;
        (self.spent, self.processor) = (Duration::ZERO, processor);
        Some(has_waited)
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
        let mut clock = WaitClock::new();
        assert_eq!(clock.check(), None);
        std::thread::sleep(WINDOW);
        assert_eq!(clock.check(), Some(true));
        std::thread::sleep(WINDOW);
        clock.resume();
        assert_eq!(clock.check(), None);
    }

    #[test]
    fn work_is_no_wait() {
        let mut clock = WaitClock::new();
        let begun = processor_time();
        let mut waits = 0;
        while processor_time() - begun < 8 * WINDOW {
            waits += usize::from(clock.check() == Some(true));
        }
        // A busy machine may take the processor away for a while.
        assert!(waits <= 8, "{waits} windows of 8 were waits");
    }
}
