//! Variants of an image: other images of the same sources, written from the first one.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use file_scanner::ScannedFiles;
use image_assembly::{Base, Derived, Rejection, Variant};
use image_tree::{FileRef, FileSource, FileTree, NodeId, NodeKind};
use rayon::prelude::*;
use snugfs_plan::{Location, Plan, VariantPlan};

use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::prepare::{Options, Prepared, prepare};
use crate::problem::{At, Problem};
use crate::shared::SharedSources;
use crate::{Failure, FailureKind, verify};

/// Options of [`Prepared::write_variants`].
#[derive(Clone, Copy)]
pub struct VariantOptions<'o> {
    /// What was read when the image was prepared.
    pub sources: &'o SharedSources,
    /// Flush each file and its name to the disk.
    pub sync: bool,
    /// Check each file and compare it with its plan before it gets its name.
    pub verify: bool,
}

impl std::fmt::Debug for VariantOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sync, verify, .. } = self;
        f.debug_struct("VariantOptions").field("sync", sync).field("verify", verify).finish_non_exhaustive()
    }
}

/// What the variants of a plan are together.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VariantsSummary {
    /// How many.
    pub images: u64,
    /// How many of them share blocks with the image. 0 if they were not written.
    pub cloned: u64,
    /// Their length together in \[bytes\].
    pub bytes: u64,
    /// Warnings that the image itself does not have, each once.
    pub warnings: Vec<Problem>,
}

/// How many variants one thread writes together in memory, so that it reads what they share once.
const TOGETHER: usize = 8;

/// A variant that was laid out, and perhaps written.
struct Done {
    bytes: u64,
    is_cloned: bool,
    warnings: Vec<Problem>,
}

impl Prepared<'_> {
    /// Lays out all variants of the plan without writing them. `sources` has what was read when the image was prepared.
    ///
    /// # Errors
    /// The failure of the first variant that can't be laid out.
    pub fn check_variants(
        &self,
        sources: &SharedSources,
        observer: &dyn Observer,
    ) -> Result<VariantsSummary, Failure> {
        let check = |variant: &VariantPlan| {
            let plan = self.plan.with_variant(variant);
            let prepared = prepare_variant(&plan, sources)?;
            Ok(Done { bytes: prepared.bytes(), is_cloned: false, warnings: prepared.warnings })
        };
        self.each_group(1, observer, |variants| variants.iter().map(check).collect())
    }

    /// Writes all variants of the plan to the folder of `image`, the file that this image was written to without a container or
    /// compression. Several are written at once. Each appears complete or not at all.
    ///
    /// # Errors
    /// Of several failures, that of the first variant. The other variants are written, except that none is begun after an output
    /// could not be written.
    pub fn write_variants(
        &self,
        image: &Path,
        options: VariantOptions<'_>,
        observer: &dyn Observer,
    ) -> Result<VariantsSummary, Failure> {
        if self.plan.variants.is_empty() {
            return Ok(VariantsSummary::default());
        }
        let base = Base::open(image, self.image())?;
        // Verification needs the layout until the file is complete: then each is written alone.
        let most = if base.is_in_memory() && !options.verify { TOGETHER } else { 1 };
        // Groups of one size, as many for each thread.
        let (count, threads) = (self.plan.variants.len(), rayon::current_num_threads());
        let group = count.div_ceil(threads * count.div_ceil(threads * most));
        self.each_group(group, observer, |variants| match variants {
            [variant] => vec![self.write_variant(&base, variant, &variant.path(image), options)],
            variants => self.write_together(&base, variants, image, options),
        })
    }

    /// Does work on groups of variants, on all threads.
    fn each_group(
        &self,
        group: usize,
        observer: &dyn Observer,
        work: impl Fn(&[VariantPlan]) -> Vec<Result<Done, Failure>> + Sync,
    ) -> Result<VariantsSummary, Failure> {
        let variants = &self.plan.variants;
        let total = image_tree::to_u64(variants.len());
        run_stage(observer, (Stage::Variants, Unit::Images, total), || {
            let is_full = AtomicBool::new(false);
            let one = |(number, variants): (usize, &[VariantPlan])| {
                if is_full.load(Ordering::Relaxed) {
                    return Vec::new();
                }
                let done = work(variants);
                observer.advance(image_tree::to_u64(variants.len()));
                let fails = |done: &Result<Done, Failure>| {
                    done.as_ref().is_err_and(|failure| failure.kind == FailureKind::Output)
                };
                if done.iter().any(fails) {
                    is_full.store(true, Ordering::Relaxed);
                }
                let indices = number * group..;
                let located = |((done, variant), index): ((Result<Done, Failure>, &VariantPlan), usize)| {
                    done.map_err(|failure| located(failure, index, variant))
                };
                done.into_iter().zip(variants).zip(indices).map(located).collect()
            };
            let all: Vec<Vec<Result<Done, Failure>>> =
                variants.par_chunks(group).enumerate().with_max_len(1).map(one).collect();
            let mut sum = VariantsSummary::default();
            for done in all.into_iter().flatten() {
                let Done { bytes, is_cloned, warnings } = done?;
                sum.images += 1;
                sum.cloned += u64::from(is_cloned);
                sum.bytes += bytes;
                for warning in warnings {
                    if !self.warnings.contains(&warning) && !sum.warnings.contains(&warning) {
                        sum.warnings.push(warning);
                    }
                }
            }
            Ok(sum)
        })
    }

    fn write_variant(
        &self,
        base: &Base,
        variant: &VariantPlan,
        path: &Path,
        options: VariantOptions<'_>,
    ) -> Result<Done, Failure> {
        self.with_variant(variant, options.sources, |prepared, image| {
            let validate = |file: &File| {
                if options.verify {
                    verify::output(prepared, file, &image_tree::shown(path), &()).map_err(Rejection::from)?;
                }
                Ok(())
            };
            Ok(base.write(image, path, options.sync, &validate)?)
        })
        .map(Done::of)
    }

    /// Writes several variants, without verification.
    fn write_together(
        &self,
        base: &Base,
        variants: &[VariantPlan],
        image: &Path,
        options: VariantOptions<'_>,
    ) -> Vec<Result<Done, Failure>> {
        let begin = |variant: &VariantPlan| {
            let path = variant.path(image);
            self.with_variant(variant, options.sources, |_, image| Ok(base.begin(image, &path)?))
        };
        let mut done: Vec<Result<Done, Failure>> = Vec::new();
        let (mut files, mut places) = (Vec::new(), Vec::new());
        for (index, variant) in variants.iter().enumerate() {
            done.push(begin(variant).map(|(file, warnings)| {
                files.push(file);
                places.push(index);
                Done { bytes: 0, is_cloned: false, warnings }
            }));
        }
        for (file, index) in base.complete(files).into_iter().zip(places) {
            let derived = file.and_then(|file| file.publish(options.sync, &|_| Ok(())));
            let Some(slot) = done.get_mut(index) else { continue };
            match (derived, slot) {
                (Ok(derived), Ok(done)) => (done.bytes, done.is_cloned) = (derived.bytes, derived.is_cloned),
                (Err(error), slot) => *slot = Err(error.into()),
                (Ok(_), Err(_)) => {}
            }
        }
        done
    }

    /// Lays out a variant and writes it. Returns the result and the layout's warnings.
    fn with_variant<T>(
        &self,
        variant: &VariantPlan,
        sources: &SharedSources,
        write: impl FnOnce(&Prepared<'_>, Variant<'_>) -> Result<T, Failure>,
    ) -> Result<(T, Vec<Problem>), Failure> {
        let plan = self.plan.with_variant(variant);
        let prepared = prepare_variant(&plan, sources)?;
        let same: Vec<Vec<Option<NodeId>>> = self
            .trees()
            .iter()
            .zip(prepared.trees())
            .map(|(ours, theirs)| same_files(ours, theirs))
            .collect();
        let same = |file: FileRef| {
            let node = same.get(file.tree.index())?.get(file.node.index()).copied().flatten()?;
            Some(FileRef { node, ..file })
        };
        let contents = ScannedFiles::of(prepared.trees());
        let image = Variant { image: prepared.image(), contents: &contents, same: &same };
        let written = write(&prepared, image)?;
        Ok((written, prepared.warnings))
    }
}

impl Done {
    fn of((Derived { bytes, is_cloned, .. }, warnings): (Derived, Vec<Problem>)) -> Self {
        Self { bytes, is_cloned, warnings }
    }
}

fn prepare_variant<'p>(plan: &'p Plan, sources: &SharedSources) -> Result<Prepared<'p>, Failure> {
    prepare(plan, &Options { sources: Some(sources), ..Options::default() })
}

/// Names the variant's own field instead of the plan's.
fn located(failure: Failure, index: usize, variant: &VariantPlan) -> Failure {
    let entries = Location::plan().key("entries");
    let own = Location::plan().key("variants").index(index).key("entries");
    let places: Vec<(Location, Location)> = variant
        .entries
        .keys()
        .map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned())
        .map(|path| (entries.key(path.as_str()), own.key(path.as_str())))
        .flat_map(|(plan, own)| [(plan.key("source"), own.key("source")), (plan, own)])
        .collect();
    let problems = failure.problems.into_iter().map(|mut problem| {
        let place = places.iter().find(|(plan, _)| problem.at == At::Plan(plan.clone()));
        match place {
            Some((_, own)) => problem.at = At::Plan(own.clone()),
            None => problem.what = format!("{} (of the variant {})", problem.what, variant.output),
        }
        problem
    });
    Failure::all(failure.kind, problems)
}

/// For each node of `other`, the file of `base` with the same path and the same source.
fn same_files(base: &FileTree, other: &FileTree) -> Vec<Option<NodeId>> {
    let mut same = vec![None; other.len()];
    let mut directories = vec![(NodeId::ROOT, NodeId::ROOT)];
    while let Some((ours, theirs)) = directories.pop() {
        let mut candidates = base.children(ours).peekable();
        for node in other.children(theirs) {
            let name = other.name(node);
            while candidates.next_if(|&candidate| base.name(candidate) < name).is_some() {}
            let Some(found) = candidates.next_if(|&candidate| base.name(candidate) == name) else { continue };
            match (base.node(found).kind(), other.node(node).kind()) {
                (NodeKind::Directory { .. }, NodeKind::Directory { .. }) => directories.push((found, node)),
                (NodeKind::File { .. }, NodeKind::File { .. })
                    if has_same_bytes(base, found, other, node) =>
                {
                    if let Some(slot) = same.get_mut(node.index()) {
                        *slot = Some(found);
                    }
                }
                _ => {}
            }
        }
    }
    same
}

fn has_same_bytes(base: &FileTree, ours: NodeId, other: &FileTree, theirs: NodeId) -> bool {
    let (NodeKind::File { size, source }, NodeKind::File { size: other_size, source: other_source }) =
        (base.node(ours).kind(), other.node(theirs).kind())
    else {
        return false;
    };
    let containers = |a, b| match (&base.origin(a).container, &other.origin(b).container) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    let is_source = match (source, other_source) {
        (FileSource::Scanned { origin: a, stamp }, FileSource::Scanned { origin: b, stamp: other_stamp }) => {
            let (a, b) = (base.origin(a), other.origin(b));
            stamp == other_stamp && a.source == b.source && a.target == b.target
        }
        (FileSource::Range { origin: a, offset }, FileSource::Range { origin: b, offset: other_offset }) => {
            offset == other_offset && containers(a, b)
        }
        (
            FileSource::Segments { origin: a, index },
            FileSource::Segments { origin: b, index: other_index },
        ) => index == other_index && containers(a, b),
        (FileSource::Inline(a), FileSource::Inline(b)) => base.inline(a) == other.inline(b),
        _ => false,
    };
    size == other_size && is_source && base.data_runs(ours) == other.data_runs(theirs)
}
