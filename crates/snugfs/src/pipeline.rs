//! The whole way: plan → closure → tree → layout → image. Each stage is one crate, each `?` ends at its exit code.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use build_plan::{ClosurePlan, Plan, Verify, VolumePlan};
use closure_registration::{Closure, verify_sizes};
use ext4_layout::Layout;
use fat_layout::FatLayout;
use file_scanner::{InlineFile, Scan, Sources, StoreSource};
use image_assembly::{BlockMap, Joined, KnownZeros, Watch, Witness, Written, write_watched};
use image_tree::{FileTree, NodeKind, Permissions, PieceSource};

use crate::cli::InputArgs;
use crate::deduplicate::{self, Deduplicated};
use crate::disk::{self, Beside, Planned};
use crate::exit::Failure;
use crate::hashed::{ImageDigest, Passing};
use crate::input::ReadPlan;
use crate::output::Output;
use crate::outputs::Outputs;
use crate::progress::{Meter, Stage, Stages, Unit};
use crate::{database, hashed, input};

/// The plan.
pub(crate) fn plan(args: &InputArgs, stages: &mut Stages) -> Result<Plan, Failure> {
    Ok(read_plan(args, stages)?.plan)
}

/// The plan, and the digest of its file.
pub(crate) fn read_plan(args: &InputArgs, stages: &mut Stages) -> Result<ReadPlan, Failure> {
    stages.run(Stage::Plan, Unit::Nothing, 0, |_| input::read_plan(args))
}

/// A file system of a plan, with all that is known of its contents.
#[derive(Debug)]
pub(crate) struct Volume<'p> {
    pub(crate) planned: Planned<'p>,
    pub(crate) closure: Option<Closure>,
    pub(crate) scan: Scan,
    /// What became hard links, where the plan asks for it.
    pub(crate) deduplicated: Option<Deduplicated>,
}

/// What an image is made of: the root first, then what else is on its disk.
#[derive(Debug)]
pub(crate) struct Gathered<'p> {
    pub(crate) root: Volume<'p>,
    pub(crate) others: Vec<Volume<'p>>,
    /// What is neither: firmware folders and single files.
    pub(crate) beside: Beside,
}

impl<'p> Gathered<'p> {
    /// All file systems, the root first.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &Volume<'p>> {
        std::iter::once(&self.root).chain(&self.others)
    }

    /// The same, to be completed.
    pub(crate) fn volumes_mut(&mut self) -> impl Iterator<Item = &mut Volume<'p>> {
        std::iter::once(&mut self.root).chain(&mut self.others)
    }

    /// All trees, in the order in which their files are numbered.
    fn trees(&self) -> impl Iterator<Item = &FileTree> {
        self.volumes().map(|volume| &volume.scan.tree).chain(self.beside.trees())
    }

    /// Regular files of the whole image, each once however many names it has.
    pub(crate) fn files(&self) -> u64 {
        let files = self
            .trees()
            .flat_map(FileTree::iter)
            .filter(|(_, node)| matches!(node.kind(), NodeKind::File { .. }));
        u64::try_from(files.count()).unwrap_or(u64::MAX)
    }

    /// All warnings of the scans.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let of_volume = |volume: &Volume<'_>| -> Vec<String> {
            let place = &volume.planned.place;
            volume.scan.warnings.iter().map(|warning| disk::at_place(&warning.text, place)).collect()
        };
        self.volumes().flat_map(of_volume).chain(self.beside.warnings()).collect()
    }
}

/// Plan → closures → trees. What the run itself writes is in no tree.
pub(crate) fn gather<'p>(
    plan: &'p Plan,
    outputs: &Outputs,
    stages: &mut Stages,
) -> Result<Gathered<'p>, Failure> {
    let (root, others) = disk::file_systems(plan);
    let closures = stages.run(Stage::Closure, Unit::Nothing, 0, |_| {
        let read = |planned: &Planned<'_>| {
            let closure = planned.volume.closure.as_ref().map(input::read_closure).transpose();
            closure.map_err(|failure| failure.within(&planned.place))
        };
        let others: Vec<_> = others.iter().map(read).collect::<Result<_, _>>()?;
        Ok::<_, Failure>((read(&root)?, others))
    })?;
    let mut gathered = stages.run(Stage::Scan, Unit::Entries, 0, |meter| {
        let root = scan(root, closures.0, outputs, meter)?;
        let others = others.into_iter().zip(closures.1);
        let others = others
            .map(|(planned, closure)| scan(planned, closure, outputs, meter))
            .collect::<Result<_, _>>()?;
        let beside = Beside::scan(plan, outputs, meter)?;
        Ok::<_, Failure>(Gathered { root, others, beside })
    })?;
    deduplicate::run(&mut gathered, stages)?;
    Ok(gathered)
}

fn scan<'p>(
    planned: Planned<'p>,
    closure: Option<Closure>,
    outputs: &Outputs,
    meter: &Meter,
) -> Result<Volume<'p>, Failure> {
    let scanned = || {
        let sources = sources(planned.volume, closure.as_ref())?;
        if let (Some(store), Some(closure)) = (&sources.store, &closure) {
            outputs.check_store(&store.source_dir, closure)?;
        }
        let mut scan =
            file_scanner::scan_except(&sources, &outputs.own_files(), &|entries| meter.advance(entries))?;
        let left_out =
            outputs.in_trees(&scan.own, &planned.volume.trees, &|index| format!("plan.trees[{index}]"))?;
        scan.warnings.extend(left_out);
        if let (Some(closure), true) = (&closure, verification(planned.volume) != Verify::None) {
            verify_sizes(closure, &scan.tree)?;
        }
        planned.volume.closure.as_ref().map_or(Ok(()), |plan| database::stands_alone(plan, &scan.tree))?;
        Ok::<_, Failure>(scan)
    };
    let scan = scanned().map_err(|failure| failure.within(&planned.place))?;
    Ok(Volume { planned, closure, scan, deduplicated: None })
}

/// Compares hashes without writing anything, where the plan asks for it.
pub(crate) fn verify(gathered: &Gathered<'_>, stages: &mut Stages) -> Result<(), Failure> {
    verify_all(gathered.volumes(), stages)
}

fn verify_all<'g, 'p: 'g>(
    volumes: impl Iterator<Item = &'g Volume<'p>>,
    stages: &mut Stages,
) -> Result<(), Failure> {
    let hashed: Vec<_> = volumes.filter_map(to_be_hashed).collect();
    if hashed.is_empty() {
        return Ok(());
    }
    let bytes = hashed.iter().map(|(_, closure, tree)| hashed::file_bytes(tree, closure.store_dir())).sum();
    stages.run(Stage::Verify, Unit::Bytes, bytes, |meter| {
        hashed.iter().try_for_each(|(place, closure, tree)| {
            hashed::verify(closure, tree, meter).map_err(|failure| failure.within(place))
        })
    })
}

fn to_be_hashed<'g>(volume: &'g Volume<'_>) -> Option<(&'g str, &'g Closure, &'g FileTree)> {
    let closure = volume.closure.as_ref().filter(|_| verification(volume.planned.volume) == Verify::Hash)?;
    Some((&volume.planned.place, closure, &volume.scan.tree))
}

/// The file systems of an image, laid out.
#[derive(Debug)]
pub(crate) struct Layouts<'g> {
    pub(crate) root: Layout,
    pub(crate) others: Vec<Layout>,
    pub(crate) firmware: Vec<FatLayout>,
}

/// Trees → layouts.
pub(crate) fn layout<'g>(gathered: &'g Gathered<'_>, stages: &mut Stages) -> Result<Layouts<'g>, Failure> {
    stages.run(Stage::Layout, Unit::Nothing, 0, |_| {
        let plan = |volume: &'g Volume<'_>| {
            let options = layout_options(&volume.planned);
            Layout::plan(&volume.scan.tree, &options).map_err(|error| volume.planned.does_not_fit(error))
        };
        Ok(Layouts {
            root: plan(&gathered.root)?,
            others: gathered.others.iter().map(plan).collect::<Result<_, _>>()?,
            firmware: gathered.beside.layouts()?,
        })
    })
}

/// Finds the long runs of zeros in the files of an image, for a form that leaves them out and has its tables in front.
pub(crate) fn find_zeros<'i>(
    gathered: &Gathered<'_>,
    image: &'i dyn PieceSource,
    output: &Output<'_>,
    stages: &mut Stages,
) -> Result<KnownZeros<'i>, Failure> {
    let contents = Joined::new(gathered.trees());
    stages.run(Stage::Zeros, Unit::Bytes, image.len(), |meter| {
        Ok(KnownZeros::find(image, &contents, output.options.threads, &|bytes| meter.advance(bytes))?)
    })
}

/// Layouts → image. Hashes are compared, and a map of its blocks is completed, by the same read that fills it. Only where
/// files became hard links, contents do not come in the order of a NAR: there they are read once more, before.
///
/// With a judge, the image appears only if that finds nothing wrong with what was written.
pub(crate) fn write(
    gathered: &Gathered<'_>,
    image: &dyn PieceSource,
    output: &Output<'_>,
    (map, digest): (Option<&mut BlockMap>, Option<&mut ImageDigest>),
    judge: Option<Judging<'_>>,
    stages: &mut Stages,
) -> Result<Written, Failure> {
    let contents = Joined::new(gathered.trees());
    verify_all(gathered.volumes().filter(|volume| volume.deduplicated.is_some()), stages)?;
    let hashed: Vec<_> = gathered
        .volumes()
        .zip(contents.bases())
        .filter(|(volume, _)| volume.deduplicated.is_none())
        .filter_map(|(volume, base)| to_be_hashed(volume).map(|(_, closure, tree)| (base, closure, tree)))
        .collect();
    stages.run(Stage::Write, Unit::Bytes, image.len(), |meter| {
        let progress = |bytes| meter.advance(bytes);
        let (target, options) = (output.target, &output.options);
        let is_watched = !hashed.is_empty() || map.is_some() || digest.is_some();
        let mut passing = Passing::new(hashed, map, digest);
        let wrong = Mutex::new(None);
        let judged = |file: &File| {
            let compare = |Judging { bytes, judge }| {
                meter.then(Stage::Compare, Unit::Bytes, bytes, |meter| {
                    judge(file, &|bytes| meter.advance(bytes))
                })
            };
            let found = judge.and_then(|judging| compare(judging).err());
            let is_right = found.is_none();
            *wrong.lock().unwrap_or_else(PoisonError::into_inner) = found;
            is_right
        };
        let witness: Option<&mut dyn Witness> = if is_watched { Some(&mut passing) } else { None };
        let watch = Watch { witness, judge: if judge.is_some() { Some(&judged) } else { None } };
        let written = write_watched(watch, image, &contents, target, options, &progress);
        passing.errors.map_or(Ok(()), Err)?;
        wrong.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)?;
        Ok(written?)
    })
}

/// Someone who looks at what was written.
#[derive(Clone, Copy)]
pub(crate) struct Judging<'j> {
    /// How much there is to read, roughly, in \[bytes\].
    pub(crate) bytes: u64,
    pub(crate) judge: &'j Judge<'j>,
}

/// Looks at a file or device that was written, tells how many more \[bytes\] were read, and says what is wrong.
pub(crate) type Judge<'j> = dyn Fn(&File, &(dyn Fn(u64) + Sync)) -> Result<(), Failure> + Sync + 'j;

fn verification(plan: &VolumePlan) -> Verify {
    plan.closure.as_ref().map_or(Verify::None, |closure| closure.verify)
}

/// What the scanner is to look at; the registration and the database are files like others.
fn sources<'p>(plan: &'p VolumePlan, closure: Option<&Closure>) -> Result<Sources<'p>, Failure> {
    let both = plan.closure.as_ref().zip(closure);
    let timestamp = plan.filesystem.timestamp;
    let database = both.map(|(planned, closure)| database::files(planned, closure, timestamp)).transpose()?;
    let registration = both.and_then(|(planned, closure)| registration(planned, closure));
    Ok(Sources {
        store: both.map(|(planned, closure)| StoreSource {
            source_dir: planned.source_dir.clone(),
            store_dir: planned.store_dir.clone(),
            base_names: closure.paths().iter().map(|info| info.path.as_str().as_bytes().to_vec()).collect(),
        }),
        trees: &plan.trees,
        entries: &plan.entries,
        attributes: &plan.attributes,
        inline: registration.into_iter().chain(database.into_iter().flatten()).collect(),
        folders: both
            .and_then(|(planned, _)| planned.database.as_ref())
            .map_or(Vec::new(), |database| database.folders.clone()),
        lost_and_found: true,
        timestamp,
    })
}

fn registration(plan: &ClosurePlan, closure: &Closure) -> Option<InlineFile> {
    Some(InlineFile {
        path: plan.registration_target.clone()?,
        bytes: closure.registration(),
        permissions: Permissions::STORE_FILE,
        what: "plan.closure.registrationTarget".to_owned(),
    })
}

/// What a plan asks of a file system.
pub(crate) fn layout_options(planned: &Planned<'_>) -> ext4_layout::Options {
    let plan = &planned.volume.filesystem;
    let mut label = [0; 16];
    for (to, from) in label.iter_mut().zip(&plan.label) {
        *to = *from;
    }
    ext4_layout::Options {
        sealed: plan.sealed,
        label,
        uuid: plan.uuid,
        free_space: plan.free_space,
        free_inodes: plan.free_inodes,
        size: planned.size(),
        grow_to: plan.grow_to,
        bytes_per_inode: plan.bytes_per_inode,
        journal_size: plan.journal_size,
        reserved: plan.reserved,
        timestamp: plan.timestamp,
    }
}
