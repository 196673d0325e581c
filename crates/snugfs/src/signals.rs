//! Handles signals that would end the process without a message or leave temporary files behind.

use std::os::raw::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, exit};

/// Signals that end a process by default.
const ENDING: [c_int; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Stack of the thread that waits for signals, in \[bytes\].
const STACK: usize = 128 << 10;

/// Makes writes beyond `ulimit -f` fail with an error that is reported, instead of ending the process.
pub(crate) fn survive_size_limit() {
    // The flag is not used. If the handler can't be installed, the default remains.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Removes temporary files before a signal ends the process. Ignored signals, as under nohup, stay ignored.
pub(crate) fn remove_temporaries_on_signals() {
    let (ready, wait) = mpsc::channel();
    let guard = move || {
        let signals = Signals::new(ENDING.into_iter().filter(|&signal| !is_ignored(signal)));
        // From here on, signals wait for this thread.
        let _ = ready.send(());
        let Ok(mut signals) = signals else { return };
        for signal in signals.forever() {
            end(signal);
        }
    };
    if thread::Builder::new().stack_size(STACK).spawn(guard).is_ok() {
        // An error means that the thread has ended; nothing to do then.
        let _ = wait.recv();
    } else {
        let flags = ENDING.into_iter().filter(|&signal| !is_ignored(signal)).filter_map(flag).collect();
        // Set only here.
        let _ = POLLED.set(flags);
    }
}

/// Flags of received signals, used if no thread can be started.
static POLLED: OnceLock<Vec<(c_int, Arc<AtomicBool>)>> = OnceLock::new();

/// A flag that a signal sets. A second signal ends the process at once, in case nothing polls.
fn flag(signal: c_int) -> Option<(c_int, Arc<AtomicBool>)> {
    let raised = Arc::new(AtomicBool::new(false));
    register_conditional_shutdown(signal, 128 + signal, Arc::clone(&raised)).ok()?;
    signal_hook::flag::register(signal, Arc::clone(&raised)).ok()?;
    Some((signal, raised))
}

/// Ends the process if a signal was received. Called often during the work; does nothing if a thread waits for signals.
pub(crate) fn poll() {
    let flags = POLLED.get().map(Vec::as_slice).unwrap_or_default();
    if let Some((signal, _)) = flags.iter().find(|(_, raised)| raised.load(Ordering::Relaxed)) {
        end(*signal);
    }
}

/// Removes temporary files, then ends the process as the signal would have.
fn end(signal: c_int) {
    image_assembly::remove_temporaries();
    snugfs_core::remove_temporary_frames();
    if std::process::id() == 1 {
        // Signals that process 1 of a container sends to itself have no effect (pid_namespaces(7)).
        exit(128 + signal);
    }
    let _ = emulate_default_handler(signal);
}

/// Whether the process was started with a signal ignored (proc(5), `SigIgn`).
fn is_ignored(signal: c_int) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal - 1).is_ok_and(|bit| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}
