//! Runs work on as many threads as there are processors, and on more of them while they wait for a disk.
//!
//! A thread that waits for a disk takes no processor, so a disk is busy only if many threads wait for it. A thread that
//! finds everything in memory needs a processor, so more threads than processors only cost memory. Which of the two is the
//! case is known when the work is done: so a thread that waits for most of its time starts another one, up to a limit, and
//! a thread that was started in this way ends when it no longer waits.
//!
//! ```
//! use std::sync::atomic::{AtomicUsize, Ordering};
//!
//! let next = AtomicUsize::new(0);
//! let work = |member: &mut reader_threads::Member<'_>| {
//!     while next.fetch_add(1, Ordering::Relaxed) < 100 && !member.is_spare() {
//!         member.begin();
//!         // Reads something here.
//!         member.check();
//!     }
//! };
//! reader_threads::run(2, 32, &work);
//! assert!(next.into_inner() >= 100);
//! ```

mod clock;
mod crew;

pub use crew::{Member, READERS, run, run_beside};
