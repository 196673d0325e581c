//! How many threads the system lets this process start. Some sandboxes allow none: an old container runtime answers the system
//! call `clone3` with EPERM, which glibc does not take for a reason to try `clone`.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// The threads of the trial do nothing.
const STACK: usize = 64 << 10;

/// How many threads could be started just now beside those that run, at most `most`. Starts them all at once and ends them.
pub fn startable_threads(most: usize) -> usize {
    let gate = Mutex::new(());
    thread::scope(|scope| {
        let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = || drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
        let start = || thread::Builder::new().stack_size(STACK).spawn_scoped(scope, wait).is_ok();
        let started = (0..most).take_while(|_| start()).count();
        drop(closed);
        started
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_counted_as_are_asked_for() {
        assert_eq!([0, 1, 7].map(startable_threads), [0, 1, 7]);
    }
}
