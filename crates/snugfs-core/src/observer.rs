//! Who watches the work: stages and how far each is.

/// A step on the way from the plan to the image.
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
    /// Decides where everything goes.
    Layout,
    /// Looks for zeros in files, for forms that leave them out.
    Zeros,
    /// Writes the image.
    Write,
    /// Judges what was written, or an image that is there.
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
            Self::Write => "write",
            Self::Compare => "compare",
        }
    }
}

/// What a stage counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Nothing: it is over at once.
    Nothing,
    /// Directory entries.
    Entries,
    /// Bytes.
    Bytes,
}

/// Follows the work. All methods do nothing by default; `()` is an observer that ignores everything.
pub trait Observer: Sync {
    /// A stage begins, which counts up to `total` if that is known (else 0).
    fn begin(&self, stage: Stage, unit: Unit, total: u64) {
        let _ = (stage, unit, total);
    }

    /// So many more are done. Called from any thread.
    fn advance(&self, number: u64) {
        let _ = number;
    }

    /// The stage is over: whether it succeeded. Called again for a stage that is over already, which changes nothing.
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
