//! Tasks that make more tasks, done by several threads, the youngest first.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use reader_threads::Member;

/// The tasks that are still to do.
pub(crate) struct Tasks<T> {
    state: Mutex<State<T>>,
    /// There is a task, or none will come.
    changed: Condvar,
}

struct State<T> {
    /// The youngest last.
    stack: Vec<T>,
    /// Threads that do a task, which may make more.
    working: usize,
    /// Threads that wait for one.
    idle: usize,
    /// A thread panicked: nothing that follows from its task will come.
    ended: bool,
}

impl<T: Send> Tasks<T> {
    pub(crate) fn new(stack: Vec<T>) -> Self {
        let state = State { stack, working: 0, idle: 0, ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Does tasks on this thread until there are none and no other thread can make more. `work` does one and adds those
    /// that follow from it, the one to do first last.
    pub(crate) fn work(&self, member: &mut Member<'_>, work: impl Fn(T, &mut Vec<T>, &mut Member<'_>)) {
        let mut more = Vec::new();
        while let Some(task) = self.take() {
            let working = Working(self);
            let mut next = Some(task);
            while let Some(task) = next {
                member.begin();
                work(task, &mut more, member);
                // The thread goes on with the youngest by itself, the others are for all.
                next = if member.is_spare() { None } else { more.pop() };
                self.add(&mut more);
            }
            drop(working);
            if member.is_spare() {
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<T> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if let Some(task) = state.stack.pop() {
                state.working += 1;
                return Some(task);
            }
            if state.working == 0 {
                return None;
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn add(&self, more: &mut Vec<T>) {
        if more.is_empty() {
            return;
        }
        let mut state = self.state();
        let wanted = state.idle.min(more.len());
        state.stack.append(more);
        drop(state);
        (0..wanted).for_each(|_| self.changed.notify_one());
    }
}

/// A thread that does tasks.
struct Working<'t, T: Send>(&'t Tasks<T>);

impl<T: Send> Drop for Working<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.working -= 1;
        state.ended |= std::thread::panicking();
        let is_last = state.working == 0 && state.stack.is_empty();
        if is_last || state.ended {
            self.0.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A tree of numbers: each has two below it, up to a depth.
    fn count(threads: usize, readers: usize, depth: u32, pause: &(dyn Fn() + Sync)) -> u64 {
        let done = AtomicU64::new(0);
        let tasks = Tasks::new(vec![depth]);
        reader_threads::run(threads, readers, &|member| {
            tasks.work(member, |depth, more, member| {
                pause();
                member.check();
                done.fetch_add(1, Ordering::Relaxed);
                more.extend(depth.checked_sub(1).into_iter().flat_map(|below| [below; 2]));
            });
        });
        done.into_inner()
    }

    #[test]
    fn all_tasks_are_done_by_any_number_of_threads() {
        for (threads, readers) in [(1, 1), (2, 2), (7, 32)] {
            assert_eq!(count(threads, readers, 12, &|| {}), (1 << 13) - 1);
        }
        let wait = || std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(count(1, 32, 9, &wait), (1 << 10) - 1);
    }

    #[test]
    fn a_thread_that_panics_keeps_no_other_waiting() {
        let tasks = Tasks::new(vec![8_u32]);
        let run = || {
            reader_threads::run(4, 4, &|member| {
                tasks.work(member, |depth, more, _| {
                    assert_ne!(depth, 0, "the test's panic");
                    more.push(depth - 1);
                });
            });
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    }

    #[test]
    fn a_waiting_thread_does_a_task_that_another_one_makes() {
        let tasks = Tasks::new(vec![1]);
        let counts = || {
            let state = tasks.state();
            (state.working, state.idle, state.stack.len())
        };
        assert_eq!((tasks.take(), counts()), (Some(1), (1, 0, 0)));
        std::thread::scope(|scope| {
            let waiting = [(); 2].map(|()| scope.spawn(|| tasks.take()));
            while counts().1 < 2 {
                std::thread::yield_now();
            }
            tasks.add(&mut vec![2, 3]);
            let mut done = waiting.map(|thread| thread.join().unwrap());
            done.sort_unstable();
            assert_eq!(done, [Some(2), Some(3)]);
        });
        assert_eq!(counts(), (3, 0, 0));
        for left in [2, 1, 0] {
            drop(Working(&tasks));
            assert_eq!(counts(), (left, 0, 0));
        }
        assert_eq!(tasks.take(), None);
    }

    #[test]
    fn nothing_is_done_after_a_thread_panicked() {
        let take = |panics: bool| {
            let tasks = Tasks::new(vec![1, 2]);
            let work = || {
                assert_eq!(tasks.take(), Some(2));
                let _working = Working(&tasks);
                assert!(!panics, "the test's panic");
            };
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            assert_eq!(result.is_err(), panics);
            tasks.take()
        };
        assert_eq!((take(false), take(true)), (Some(1), None));
    }
}
