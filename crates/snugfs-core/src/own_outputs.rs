//! Files that the caller writes while it works: no tree of an image includes them.

use std::path::Path;

use build_plan::{Location, TreePlan};
use closure_registration::Closure;
use file_scanner::{InTree, OwnFile};

use crate::failure::Failure;
use crate::problem::Problem;

/// What the caller writes, to be told apart from what the image is made of. `()` stands for a caller that writes nothing into
/// a source.
pub trait OwnOutputs: Sync {
    /// The files that no tree includes.
    fn own_files(&self) -> Vec<OwnFile> {
        Vec::new()
    }

    /// Judges a file of [`Self::own_files`] that was found in a tree and left out: a warning, or a failure. `at` is the tree's
    /// place in the plan.
    fn in_tree(&self, found: &InTree, tree: &TreePlan, at: &Location) -> Result<Option<Problem>, Failure> {
        let _ = (found, tree, at);
        Ok(None)
    }

    /// Refuses outputs within the store paths of a closure.
    fn check_store(&self, source_dir: &Path, closure: &Closure) -> Result<(), Failure> {
        let _ = (source_dir, closure);
        Ok(())
    }
}

impl OwnOutputs for () {}
