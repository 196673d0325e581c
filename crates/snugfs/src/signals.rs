//! Signals that would end the process without a word, or with something left behind.

use std::os::raw::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, exit};

/// What ends a process that has nothing against it.
const ENDING: [c_int; 3] = [SIGHUP, SIGINT, SIGTERM];

/// The thread only waits, removes a few names and ends the process.
const STACK: usize = 128 << 10;

/// Makes a file that becomes longer than `ulimit -f` a failed write, which is told, instead of a silent end.
pub(crate) fn survive_size_limit() {
    // The flag itself is of no interest, and without a handler nothing worse happens.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Lets a signal end the process only when no temporary name is left. Those that are ignored, as under nohup, stay so.
pub(crate) fn tidy_before_the_end() {
    let (ready, wait) = mpsc::channel();
    let guard = move || {
        let signals = Signals::new(ENDING.into_iter().filter(|&signal| !is_ignored(signal)));
        // From here on a signal waits for this thread, so it must not be handled before the thread is there.
        let _ = ready.send(());
        let Ok(mut signals) = signals else { return };
        for signal in signals.forever() {
            end(signal);
        }
    };
    if thread::Builder::new().stack_size(STACK).spawn(guard).is_ok() {
        // Ends with an error if the thread is gone; both are as good.
        let _ = wait.recv();
    } else {
        let flags = ENDING.into_iter().filter(|&signal| !is_ignored(signal)).filter_map(flag).collect();
        // Nobody else sets it.
        let _ = POLLED.set(flags);
    }
}

/// The signals that have come, where no thread can wait for them.
static POLLED: OnceLock<Vec<(c_int, Arc<AtomicBool>)>> = OnceLock::new();

/// A flag that a signal raises. A second signal ends the process at once, in case the first one is never looked at.
fn flag(signal: c_int) -> Option<(c_int, Arc<AtomicBool>)> {
    let raised = Arc::new(AtomicBool::new(false));
    register_conditional_shutdown(signal, 128 + signal, Arc::clone(&raised)).ok()?;
    signal_hook::flag::register(signal, Arc::clone(&raised)).ok()?;
    Some((signal, raised))
}

/// Ends the process if a signal has come. Does nothing where a thread waits for signals; called again and again during the
/// work.
pub(crate) fn poll() {
    let flags = POLLED.get().map(Vec::as_slice).unwrap_or_default();
    if let Some((signal, _)) = flags.iter().find(|(_, raised)| raised.load(Ordering::Relaxed)) {
        end(*signal);
    }
}

/// Ends the process as the signal would have, with no temporary name left.
fn end(signal: c_int) {
    image_assembly::remove_temporaries();
    if std::process::id() == 1 {
        // The first process of a container is spared by its own signals (pid_namespaces(7)).
        exit(128 + signal);
    }
    let _ = emulate_default_handler(signal);
}

/// Whether the process was started to ignore a signal (proc(5), `SigIgn`); the standard library has no question for it.
fn is_ignored(signal: c_int) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal - 1).is_ok_and(|bit| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}
