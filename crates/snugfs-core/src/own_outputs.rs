//! Files that the caller writes. Trees skip them.

use std::path::Path;

use closure_registration::Closure;
use file_scanner::{InTree, OwnFile};
use snugfs_plan::{Location, TreePlan};

use crate::failure::Failure;
use crate::problem::Problem;

/// The files that the caller writes, so that they do not become part of the image. `()` is a caller that writes nothing
/// into a source.
pub trait OwnOutputs: Sync {
    /// The files that trees skip.
    fn own_files(&self) -> Vec<OwnFile> {
        Vec::new()
    }

    /// Called for each file of [`Self::own_files`] that a tree skipped. Returns a warning or a failure. `at` is the tree's place
    /// in the plan.
    fn in_tree(&self, found: &InTree, tree: &TreePlan, at: &Location) -> Result<Option<Problem>, Failure> {
        let _ = (found, tree, at);
        Ok(None)
    }

    /// Fails if an output is in a store path of a closure.
    fn check_store(&self, source_dir: &Path, closure: &Closure) -> Result<(), Failure> {
        let _ = (source_dir, closure);
        Ok(())
    }
}

impl OwnOutputs for () {}
