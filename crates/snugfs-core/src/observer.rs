//! Progress: stages of the work, and how far each is.

/// A stage of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Reads the plan.
    Plan,
    /// Reads the closures.
    Closure,
    /// Scans the sources.
    Scan,
    /// Compares files that could be equal.
    Deduplicate,
    /// Compares hashes with the registered ones.
    Verify,
    /// Lays out file systems and the disk.
    Layout,
    /// Searches files for zeros, for containers that omit them.
    Zeros,
    /// Computes root hashes before the image is written.
    Hash,
    /// Writes the image.
    Write,
    /// Writes the variants of the image.
    Variants,
    /// Checks a written or an existing image.
    Compare,
}

impl Stage {
    /// The name in reports and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Closure => "closure",
            Self::Scan => "scan",
            Self::Deduplicate => "deduplicate",
            Self::Verify => "verify",
            Self::Layout => "layout",
            Self::Zeros => "zeros",
            Self::Hash => "hash",
            Self::Write => "write",
            Self::Variants => "variants",
            Self::Compare => "compare",
        }
    }
}

/// The unit of a stage's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The stage is short and has no progress.
    Nothing,
    /// Directory entries.
    Entries,
    /// Bytes.
    Bytes,
    /// Image files.
    Images,
}

/// Receives progress. All methods do nothing by default; `()` ignores everything.
pub trait Observer: Sync {
    /// A stage begins. `total` is 0 if it is not known.
    fn begin(&self, stage: Stage, unit: Unit, total: u64) {
        let _ = (stage, unit, total);
    }

    /// The work advanced by `number` units. Called from any thread.
    fn advance(&self, number: u64) {
        let _ = number;
    }

    /// The stage ended; `is_done` if it succeeded. May be called again for a stage that has ended, without effect.
    fn end(&self, is_done: bool) {
        let _ = is_done;
    }
}

impl Observer for () {}

/// Runs the work of a stage.
pub fn run_stage<T, E>(
    observer: &dyn Observer,
    (stage, unit, total): (Stage, Unit, u64),
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    observer.begin(stage, unit, total);
    let done = work();
    observer.end(done.is_ok());
    done
}
