//! Checks outputs before anything is written: no output may replace the plan, a source or another output, and none
//! becomes part of the image.
//!
//! A new output is one more [`Role`] and one call of [`Outputs::add`].

mod earlier;
mod named;
mod streams;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use closure_registration::Closure;
use file_scanner::{InTree, Inode, OwnFile};
use image_assembly::Identity;
use snugfs_core::{At, Failure, OwnOutputs, Problem, shown};
use snugfs_plan::{Location, Plan, TreePlan};

use crate::cli::{is_dash, misuse};
use crate::output;

/// The purpose of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Image,
    Map,
    Report,
    /// The list of store paths.
    Sbom,
    /// The record of the image's layout.
    Layout,
    /// The root hash.
    RootHash,
    /// The page of `explain`.
    Page,
    /// The printed result of a command.
    Result,
    /// Errors, warnings and progress.
    Messages,
}

/// How an output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// This run replaces it.
    Named,
    /// Only `build` without -o replaces it; this run does not touch it.
    Planned,
    /// It was open when the program started.
    Stream,
    /// The image that `verify` checks; this run only reads it.
    Verified,
}

/// An output.
#[derive(Clone, Debug)]
struct OutputFile {
    role: Role,
    way: Way,
    /// The option or field that names it: `--report`, or `plan.output.path`.
    asked: At,
    /// Its name in messages.
    name: String,
    identity: Identity,
}

/// All outputs of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outputs {
    all: Vec<OutputFile>,
}

impl Role {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Image => "the image",
            Self::Map => "the map of the image",
            Self::Report => "the report",
            Self::Sbom => "the bill of materials",
            Self::Layout => "the record of the layout",
            Self::RootHash => "the root hash",
            Self::Page => "the page",
            Self::Result => "the result",
            Self::Messages => "the messages",
        }
    }
}

impl OutputFile {
    fn remedy(&self) -> String {
        match self.way {
            Way::Stream => "redirect it elsewhere".to_owned(),
            Way::Named | Way::Planned | Way::Verified => {
                format!("choose another name for {}", self.role.noun())
            }
        }
    }

    fn refused(&self, what: &str) -> Failure {
        misuse(self.asked.clone(), format!("{} {what}", self.name), self.remedy())
    }

    /// Whether two streams may share a file: messages may be mixed with anything except an image.
    fn may_share(&self, other: &Self) -> bool {
        let roles = [self.role, other.role];
        self.way == Way::Stream
            && other.way == Way::Stream
            && roles.contains(&Role::Messages)
            && !roles.contains(&Role::Image)
    }
}

impl Outputs {
    /// The outputs of a command that only prints a result about a plan. Includes the planned image, so that trees are read
    /// as by `build`.
    pub(crate) fn of_reading(plan_path: &Path, plan: &Plan) -> Result<Self, Failure> {
        let mut outputs = Self::default();
        outputs.add_result(plan_path, plan)?;
        Ok(outputs)
    }

    /// Adds the printed result about a plan, and checks all outputs.
    pub(crate) fn add_result(&mut self, plan_path: &Path, plan: &Plan) -> Result<(), Failure> {
        self.add_stdout(Role::Result, "standard output");
        self.add_stderr();
        self.add_planned(plan);
        self.check(plan_path, plan)
    }

    /// Adds a file that this run creates or replaces; `asked` is the option or field that names it.
    pub(crate) fn add(&mut self, role: Role, asked: At, path: &Path) {
        self.add_named(role, Way::Named, asked, path);
    }

    /// Adds the image and the map that the plan names, unless they were added as outputs of this run.
    pub(crate) fn add_planned(&mut self, plan: &Plan) {
        let Some(path) = &plan.output.path else { return };
        let field = |key: &str| Location::plan().key("output").key(key).into();
        self.add_named(Role::Image, Way::Planned, field("path"), path);
        if plan.output.bmap {
            self.add_named(Role::Map, Way::Planned, field("bmap"), &output::map_path(path));
        }
        let variants = Location::plan().key("variants");
        for (index, path) in plan.variant_paths().enumerate() {
            let asked = variants.index(index).key("output").into();
            // One with the path of the planned image is an error.
            self.add_unless(Role::Image, Way::Planned, asked, &path, |other| other.way != Way::Planned);
        }
        for path in &plan.siblings {
            self.add_named(Role::Image, Way::Planned, variants.clone().into(), path);
        }
    }

    /// Adds the image that `verify` checks, and its map. Trees skip them, as in `build`.
    pub(crate) fn add_verified(&mut self, path: &Path, plan: &Plan) {
        self.add_named(Role::Image, Way::Verified, "IMAGE".into(), path);
        if plan.output.bmap {
            self.add_named(Role::Map, Way::Verified, "IMAGE".into(), &output::map_path(path));
        }
    }

    fn add_named(&mut self, role: Role, way: Way, asked: At, path: &Path) {
        self.add_unless(role, way, asked, path, |_| way == Way::Planned);
    }

    /// Adds a file, unless `is_enough` holds for an output of the same role and file.
    fn add_unless(
        &mut self,
        role: Role,
        way: Way,
        asked: At,
        path: &Path,
        is_enough: impl Fn(&OutputFile) -> bool,
    ) {
        let (name, identity) = (shown(path), Identity::of_path(path));
        let mut same = self.all.iter().filter(|other| other.role == role && other.identity.is(&identity));
        if !same.any(is_enough) {
            self.all.push(OutputFile { role, way, asked, name, identity });
        }
    }

    /// Fails if an output is the same file as an input; `what` names the input.
    pub(crate) fn check_input(&self, path: &Path, what: &str) -> Result<(), Failure> {
        let file = if is_dash(path) { streams::stdin() } else { Identity::of_path(path) };
        match self.written().find(|output| output.identity.is(&file)) {
            Some(output) => Err(output.refused(&format!("is also {what}"))),
            None => Ok(()),
        }
    }

    /// Fails if two outputs are the same file, or if one is the plan or a file that the plan reads.
    pub(crate) fn check(&self, plan_path: &Path, plan: &Plan) -> Result<(), Failure> {
        self.check_each_other()?;
        self.check_input(plan_path, "the plan")?;
        for (field, path) in named::files(plan) {
            // An output of this run may exist when the source is read: variants are written after the image.
            let (inode, planned) = match std::fs::metadata(path) {
                Ok(found) => (Some(Inode { device: found.dev(), number: found.ino() }), None),
                Err(_) => (None, Some(Identity::of_path(path))),
            };
            let is_source = |output: &OutputFile| match &planned {
                Some(source) => output.identity.is(source),
                None => output.identity.file() == inode,
            };
            if let Some(output) = self.written().find(|output| is_source(output)) {
                return Err(output.refused(&format!("is also {field}")));
            }
        }
        Ok(())
    }

    /// Outputs that must not be sources. If the image is written elsewhere, the planned image is only skipped in trees.
    fn written(&self) -> impl Iterator<Item = &OutputFile> {
        let is_built_elsewhere =
            self.all.iter().any(|output| output.role == Role::Image && output.way != Way::Planned);
        self.all.iter().filter(move |output| match output.way {
            Way::Planned => !is_built_elsewhere,
            Way::Verified => false,
            Way::Named | Way::Stream => true,
        })
    }

    fn check_each_other(&self) -> Result<(), Failure> {
        let all: Vec<&OutputFile> = self.written().collect();
        for (index, output) in all.iter().enumerate() {
            let earlier = all.iter().take(index);
            let same = earlier.filter(|other| !output.may_share(other));
            if let Some(other) = same.into_iter().find(|other| other.identity.is(&output.identity)) {
                return Err(output.refused(&format!("is also {} ({})", other.role.noun(), other.asked)));
            }
        }
        Ok(())
    }
}

impl OwnOutputs for Outputs {
    /// Fails if an output is in a store path of a closure.
    fn check_store(&self, source_dir: &Path, closure: &Closure) -> Result<(), Failure> {
        let Ok(store) = std::fs::canonicalize(source_dir) else { return Ok(()) };
        for output in self.written() {
            let within = output.identity.path().and_then(|path| path.strip_prefix(&store).ok());
            let Some(first) = within.and_then(|within| within.components().next()) else { continue };
            let base_name = first.as_os_str();
            if closure.paths().iter().any(|info| *info.path.as_str() == *base_name) {
                let what = format!("is in a store path of the closure, {}", shown(base_name.as_ref()));
                return Err(output.refused(&what));
            }
        }
        Ok(())
    }

    fn own_files(&self) -> Vec<OwnFile> {
        let nowhere =
            || OwnFile { folder: Inode { device: 0, number: 0 }, name: Vec::new(), temporary_prefix: None };
        // One for each output, so that indices match.
        self.all.iter().map(|output| output.identity.own_file().unwrap_or_else(nowhere)).collect()
    }

    /// A warning for an output that a tree skips, or a failure.
    fn in_tree(&self, found: &InTree, tree: &TreePlan, at: &Location) -> Result<Option<Problem>, Failure> {
        let Some(output) = self.all.get(found.file) else { return Ok(None) };
        let source = shown(&tree.source);
        if output.way == Way::Verified {
            return Ok(None);
        }
        if output.identity.is_behind_device() {
            let file = output.identity.path().map(shown).unwrap_or_default();
            return Err(output.refused(&format!("writes to {file}, which is a file of {at} ({source})")));
        }
        let is_replaced =
            output.way != Way::Stream && self.written().any(|other| std::ptr::eq(other, output));
        if is_replaced && found.is_deep && tree.keep_times == Some(true) {
            return Err(output.refused(&format!(
                "is in a subfolder of {at} ({source}), whose time it would change, and \"times\" is \"keep\""
            )));
        }
        if is_replaced && !earlier::may_be_replaced(output.role, output.identity.path()) {
            return Err(output
                .refused(&format!("is a file of {at} ({source}) and does not look like an earlier output")));
        }
        let verb = if output.role == Role::Messages { "are" } else { "is" };
        let what = format!("{} is skipped, because {} {verb} written there", output.name, output.role.noun());
        Ok(Some(Problem::new(at, what, format!("write it outside of {source} to avoid this warning"))))
    }
}
