//! Sources of several plans that are read once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use closure_registration::Closure;
use file_scanner::{Sources, Walked};
use snugfs_plan::ClosurePlan;

/// What was read for a plan, for other plans with the same trees and closures: variants. The sources must not change meanwhile.
#[derive(Debug, Default)]
pub struct SharedSources(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    walked: Vec<Walked>,
    closures: Vec<(ClosurePlan, Arc<Closure>)>,
}

impl SharedSources {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store and the trees of sources, if they were walked.
    pub(crate) fn walked(&self, sources: &Sources<'_>) -> Option<Walked> {
        self.lock().walked.iter().find(|walked| walked.is_of(sources)).cloned()
    }

    pub(crate) fn keep_walked(&self, walked: Walked) {
        self.lock().walked.push(walked);
    }

    /// A closure that was read.
    pub(crate) fn closure(&self, plan: &ClosurePlan) -> Option<Arc<Closure>> {
        let shared = self.lock();
        shared.closures.iter().find(|(known, _)| known == plan).map(|(_, closure)| Arc::clone(closure))
    }

    pub(crate) fn keep_closure(&self, plan: &ClosurePlan, closure: &Closure) {
        self.lock().closures.push((plan.clone(), Arc::new(closure.clone())));
    }
}
