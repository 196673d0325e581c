//! The whole way: plan → closure → tree → layout → image. Each stage is one crate, each `?` ends at its exit code.

use build_plan::{ClosurePlan, FilesystemPlan, Plan, Verify};
use closure_registration::{Closure, verify_sizes};
use ext4_layout::Layout;
use file_scanner::{InlineFile, Scan, Sources, StoreSource};
use image_assembly::{Scanned, Written, write_before};
use image_tree::{FileTree, Permissions, PieceSource};

use crate::cli::InputArgs;
use crate::exit::{Exit, Failure};
use crate::hashed::Passing;
use crate::output::Output;
use crate::progress::{Stage, Stages, Unit};
use crate::{hashed, input};

/// The plan.
pub(crate) fn plan(args: &InputArgs, stages: &mut Stages) -> Result<Plan, Failure> {
    let plan = stages.run(Stage::Plan, Unit::Nothing, 0, |_| input::read_plan(args))?;
    if plan.disk.is_some() {
        let text =
            "plan.disk: disk images are not made by this version; leave it out to get the bare file system";
        return Err(Failure::new(Exit::Plan, text));
    }
    Ok(plan)
}

/// What an image is made of.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) closure: Option<Closure>,
    pub(crate) scan: Scan,
}

/// Plan → closure → tree.
pub(crate) fn gather(plan: &Plan, stages: &mut Stages) -> Result<Gathered, Failure> {
    let closure = stages.run(Stage::Closure, Unit::Nothing, 0, |_| {
        plan.root.closure.as_ref().map(input::read_closure).transpose()
    })?;
    let sources = sources(plan, closure.as_ref());
    let scan = stages.run(Stage::Scan, Unit::Entries, 0, |meter| {
        let scan = file_scanner::scan(&sources, &|entries| meter.advance(entries))?;
        if let (Some(closure), true) = (&closure, verification(plan) != Verify::None) {
            verify_sizes(closure, &scan.tree)?;
        }
        Ok::<_, Failure>(scan)
    })?;
    Ok(Gathered { closure, scan })
}

/// Compares hashes without writing anything, where the plan asks for it.
pub(crate) fn verify(plan: &Plan, gathered: &Gathered, stages: &mut Stages) -> Result<(), Failure> {
    let (Some(closure), Verify::Hash) = (&gathered.closure, verification(plan)) else { return Ok(()) };
    let tree = &gathered.scan.tree;
    let bytes = hashed::file_bytes(tree, closure.store_dir());
    stages.run(Stage::Verify, Unit::Bytes, bytes, |meter| hashed::verify(closure, tree, meter))
}

/// Tree → layout.
pub(crate) fn layout<'t>(
    plan: &Plan,
    tree: &'t FileTree,
    stages: &mut Stages,
) -> Result<Layout<'t>, Failure> {
    let options = layout_options(&plan.root.filesystem);
    stages.run(Stage::Layout, Unit::Nothing, 0, |_| Ok(Layout::plan(tree, &options)?))
}

/// Layout → image. Hashes are compared by the same read that fills it.
pub(crate) fn write(
    plan: &Plan,
    gathered: &Gathered,
    layout: &Layout<'_>,
    output: &Output<'_>,
    stages: &mut Stages,
) -> Result<Written, Failure> {
    let hashed = gathered.closure.as_ref().filter(|_| verification(plan) == Verify::Hash);
    let contents = Scanned::new(layout.tree());
    stages.run(Stage::Write, Unit::Bytes, layout.len(), |meter| {
        let progress = |bytes| meter.advance(bytes);
        let (target, options) = (output.target, &output.options);
        let Some(closure) = hashed else {
            return Ok(image_assembly::write(layout, &contents, target, options, &progress)?);
        };
        let mut passing = Passing::new(closure, layout.tree());
        let written = write_before(&mut passing, layout, &contents, target, options, &progress);
        passing.errors.map_or(Ok(()), Err)?;
        Ok(written?)
    })
}

fn verification(plan: &Plan) -> Verify {
    plan.root.closure.as_ref().map_or(Verify::None, |closure| closure.verify)
}

/// What the scanner is to look at; the registration is one more file.
fn sources<'p>(plan: &'p Plan, closure: Option<&Closure>) -> Sources<'p> {
    let both = plan.root.closure.as_ref().zip(closure);
    Sources {
        store: both.map(|(planned, closure)| StoreSource {
            source_dir: planned.source_dir.clone(),
            store_dir: planned.store_dir.clone(),
            base_names: closure.paths().iter().map(|info| info.path.as_str().as_bytes().to_vec()).collect(),
        }),
        trees: &plan.root.trees,
        entries: &plan.root.entries,
        attributes: &plan.root.attributes,
        inline: both.and_then(|(planned, closure)| registration(planned, closure)).into_iter().collect(),
        lost_and_found: true,
        timestamp: plan.root.filesystem.timestamp,
    }
}

fn registration(plan: &ClosurePlan, closure: &Closure) -> Option<InlineFile> {
    Some(InlineFile {
        path: plan.registration_target.clone()?,
        bytes: closure.registration(),
        permissions: Permissions::STORE_FILE,
        what: "plan.closure.registrationTarget".to_owned(),
    })
}

fn layout_options(plan: &FilesystemPlan) -> ext4_layout::Options {
    let mut label = [0; 16];
    for (to, from) in label.iter_mut().zip(&plan.label) {
        *to = *from;
    }
    ext4_layout::Options {
        label,
        uuid: plan.uuid,
        free_space: plan.free_space,
        free_inodes: plan.free_inodes,
        size: plan.size,
        grow_to: plan.grow_to,
        bytes_per_inode: plan.bytes_per_inode,
        journal_size: plan.journal_size,
        reserved: plan.reserved,
        timestamp: plan.timestamp,
    }
}
