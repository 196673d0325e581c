//! The number of threads that this process can start. Some sandboxes allow none: with an old container runtime, the system call
//! `clone3` fails with EPERM, and glibc does not try `clone` then.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Stack size in \[bytes\]. The threads of the test do nothing.
const STACK: usize = 64 << 10;

/// The number of threads that can be started now, at most `most`. Starts them all at once and ends them.
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
    fn counts_the_requested_threads() {
        assert_eq!([0, 1, 7].map(startable_threads), [0, 1, 7]);
    }
}
