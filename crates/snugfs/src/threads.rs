//! How many threads to use. The number never reaches the image.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use image_assembly::startable_threads;

use snugfs_core::{Failure, FailureKind};

/// What `--threads` says; without it the cores that this process may use (the standard library respects cgroup
/// quotas and CPU affinity), but no more than `NIX_BUILD_CORES` where a Nix build sets it.
pub(crate) fn count(asked: Option<u16>) -> usize {
    let available = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match asked {
        Some(asked) => usize::from(asked),
        None => default_count(available, std::env::var("NIX_BUILD_CORES").ok().as_deref()),
    }
}

/// 0 means all, as in Nix; what is not a number is as if it were not there.
fn default_count(available: usize, nix_build_cores: Option<&str>) -> usize {
    match nix_build_cores.and_then(|text| text.trim().parse().ok()) {
        None | Some(0) => available,
        Some(cores) => available.min(cores),
    }
}

/// Whether any thread can be started. Where none can, as in a sandbox that denies it, all work is done by this one.
pub(crate) fn can_start() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| startable_threads(1) > 0)
}

/// Starts so many threads, or as many as can be had. The first call decides.
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
        Failure::new(FailureKind::Internal, "threads", what, "ask for fewer by --threads")
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
