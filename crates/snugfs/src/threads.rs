//! The number of threads. It never changes the image.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use image_assembly::startable_threads;

use snugfs_core::{Failure, FailureKind};

/// The value of `--threads`. By default, the number of CPUs available to this process (the standard library respects
/// cgroup quotas and CPU affinity), but not more than `NIX_BUILD_CORES`, which Nix sets in builds.
pub(crate) fn count(asked: Option<u16>) -> usize {
    let available = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match asked {
        Some(asked) => usize::from(asked),
        None => default_count(available, std::env::var("NIX_BUILD_CORES").ok().as_deref()),
    }
}

/// As in Nix, 0 means all. Anything that is not a number is ignored.
fn default_count(available: usize, nix_build_cores: Option<&str>) -> usize {
    match nix_build_cores.and_then(|text| text.trim().parse().ok()) {
        None | Some(0) => available,
        Some(cores) => available.min(cores),
    }
}

/// Whether threads can be started. If not, for example in a sandbox, the main thread does all work.
pub(crate) fn can_start() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| startable_threads(1) > 0)
}

/// Starts the global thread pool, with fewer threads if the system refuses some. Later calls do nothing.
pub(crate) fn prepare(threads: usize) -> Result<(), Failure> {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let builder = match startable_threads(threads) {
        0 => rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread(),
        startable => rayon::ThreadPoolBuilder::new().num_threads(startable),
    };
    builder.build_global().map_err(|error| {
        let what = format!("{threads} can't be started: {error}");
        Failure::new(FailureKind::Internal, "threads", what, "use a smaller number with --threads")
    })
}

#[cfg(test)]
mod tests {
    use super::default_count;

    #[test]
    fn nix_build_cores_lowers_the_default_and_never_raises_it() {
        for (cores, expected) in [
            (None, 8),
            (Some("0"), 8),
            (Some("3"), 3),
            (Some("64"), 8),
            (Some(" 2\n"), 2),
            (Some("many"), 8),
            (Some("-1"), 8),
        ] {
            assert_eq!(default_count(8, cores), expected, "{cores:?}");
        }
    }
}
