//! Threads that do the same work until there is none left.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, Scope};

use crate::clock::WaitClock;

/// How many threads read at once while they wait for a disk, if nobody says otherwise. With 64, a closure took 0.9 times as
/// long, and 1.6 times the memory.
pub const READERS: usize = 32;

/// After so many windows of 4 ms without a wait, a thread is taken to find everything in memory.
const CALM: u8 = 8;

/// One thread of a crew.
pub struct Member<'m> {
    clock: WaitClock,
    /// Starts another thread, if there may be one.
    grow: &'m dyn Fn(),
    is_extra: bool,
    may_grow: bool,
    /// How many windows ago it last waited for most of the time, at most [`CALM`].
    calm: u8,
}

impl Member<'_> {
    /// Begins a part of the work that may have to wait for a disk. Other waits, as for a lock, must be outside of such parts.
    pub fn begin(&mut self) {
        if self.may_grow {
            self.clock.resume();
        }
    }

    /// Ends a part of the work, or a step of it. Costs some 50 ns, so that it can follow every file.
    pub fn check(&mut self) {
        if !self.may_grow {
            return;
        }
        let Some(waits) = self.clock.check() else { return };
        if waits {
            self.calm = 0;
            (self.grow)();
        } else {
            self.calm = self.calm.saturating_add(1).min(CALM);
        }
    }

    /// Whether the thread waits for most of its time and is worth some effort to make it wait less: such as to open many
    /// files before the first one is read. Never where fewer readers are allowed than there are threads.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.calm < CALM && self.may_grow
    }

    /// Whether the thread is here only because others waited.
    #[must_use]
    pub fn is_extra(&self) -> bool {
        self.is_extra
    }

    /// Whether the thread is no longer needed, as it does not wait any more.
    #[must_use]
    pub fn is_spare(&self) -> bool {
        self.is_extra && self.calm == CALM
    }
}

impl std::fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("is_extra", &self.is_extra)
            .field("calm", &self.calm)
            .finish_non_exhaustive()
    }
}

struct Crew<'c> {
    work: &'c (dyn Fn(&mut Member<'_>) + Sync),
    /// Threads that were started because others waited, and how many there may be.
    extra: AtomicUsize,
    /// 0 as soon as the system refuses a thread: to ask again and again would only cost time.
    most_extra: AtomicUsize,
    may_grow: bool,
}

/// Does work on this thread and on others, `threads` in all, and on up to `readers` while they wait for a disk. Returns
/// when `work` has returned on each. Where the system starts fewer threads, fewer do the work.
pub fn run(threads: usize, readers: usize, work: &(dyn Fn(&mut Member<'_>) + Sync)) {
    run_beside(threads.saturating_sub(1), readers.saturating_sub(1), work, |_, member| work(member));
}

/// Does work on `threads` other threads, and on up to `readers` while they wait for a disk; this thread does something else
/// at the same time. That is given the number of threads that were started, and what it needs to do the work itself if
/// there are none. Returns when all have returned.
pub fn run_beside<R>(
    threads: usize,
    readers: usize,
    work: &(dyn Fn(&mut Member<'_>) + Sync),
    beside: impl FnOnce(usize, &mut Member<'_>) -> R,
) -> R {
    let most_extra = AtomicUsize::new(readers.saturating_sub(threads));
    let crew = Crew { work, extra: AtomicUsize::new(0), most_extra, may_grow: readers >= threads.max(1) };
    std::thread::scope(|scope| {
        let started = (0..threads).take_while(|_| crew.start(scope, false)).count();
        if started < threads {
            crew.most_extra.store(0, Ordering::Relaxed);
        }
        crew.with_member(scope, false, |member| beside(started, member))
    })
}

impl Crew<'_> {
    fn start<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>, is_extra: bool) -> bool {
        let body = move || {
            let _leave = is_extra.then(|| OnDrop(|| _ = self.extra.fetch_sub(1, Ordering::Relaxed)));
            self.with_member(scope, is_extra, |member| (self.work)(member));
        };
        Builder::new().spawn_scoped(scope, body).is_ok()
    }

    fn with_member<'scope, 'env, R>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        is_extra: bool,
        body: impl FnOnce(&mut Member<'_>) -> R,
    ) -> R {
        let grow = || self.grow(scope);
        // An extra thread is here because others wait: so it is taken to wait until it is known.
        let may_grow = self.may_grow;
        body(&mut Member {
            clock: WaitClock::new(is_extra),
            grow: &grow,
            is_extra,
            may_grow,
            calm: if is_extra { 0 } else { CALM },
        })
    }

    fn grow<'scope, 'env>(&'env self, scope: &'scope Scope<'scope, 'env>) {
        let most = self.most_extra.load(Ordering::Relaxed);
        let one_more = |extra| (extra < most).then_some(extra + 1);
        if self.extra.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return;
        }
        if !self.start(scope, true) {
            self.extra.fetch_sub(1, Ordering::Relaxed);
            self.most_extra.store(0, Ordering::Relaxed);
        }
    }
}

/// Does something at the end of a block, also when that is left by a panic.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// The most threads that did work at once, where each part of it takes 5 ms.
    fn most_at_once(threads: usize, readers: usize, pause: &(dyn Fn() + Sync)) -> usize {
        let (left, now, most) = (AtomicUsize::new(300), AtomicUsize::new(0), AtomicUsize::new(0));
        let take =
            || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        run(threads, readers, &|member| {
            while !member.is_spare() && take() {
                most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                member.begin();
                pause();
                member.check();
                now.fetch_sub(1, Ordering::Relaxed);
            }
        });
        assert_eq!(left.into_inner(), 0, "all work is done");
        most.into_inner()
    }

    #[test]
    fn threads_that_wait_become_more_up_to_the_limit() {
        let wait = || std::thread::sleep(Duration::from_millis(5));
        for (threads, readers) in [(1, 1), (1, 7), (2, 32), (4, 2)] {
            assert_eq!(most_at_once(threads, readers, &wait), threads.max(readers), "{threads} of {readers}");
        }
    }

    #[test]
    fn threads_that_work_stay_as_many_as_they_are() {
        let work = || {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(50) {
                std::hint::spin_loop();
            }
        };
        assert_eq!(most_at_once(1, 1, &work), 1);
        // A busy machine looks like a disk now and then; what was started then soon ends.
        assert!(most_at_once(2, 32, &work) <= 8);
    }

    #[test]
    fn the_caller_does_something_else_beside_the_threads() {
        let done = AtomicUsize::new(0);
        let work = |_: &mut Member<'_>| _ = done.fetch_add(1, Ordering::Relaxed);
        assert_eq!(run_beside(3, 3, &work, |started, _| started), 3);
        assert_eq!(done.into_inner(), 3);
    }
}
