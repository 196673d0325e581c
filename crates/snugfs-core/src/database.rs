//! Nix's database as a file of the image.

use std::io;
use std::path::Path;

use closure_registration::{Closure, PathInfo};
use file_scanner::InlineFile;
use image_tree::{FileTree, ImagePath, Permissions, Timestamp, io_reason, shown};
use nix_database::{DerivationOutputs, Output};
use snugfs_plan::{ClosurePlan, Location};

use crate::closure::read_file;
use crate::failure::{Failure, FailureKind, remedy};
use crate::problem::Problem;

/// The mode of both files, as Nix creates them.
const PERMISSIONS: u16 = 0o644;

/// The database and the file `schema`; empty if the plan does not ask for them.
pub(crate) fn files(
    plan: &ClosurePlan,
    closure: &Closure,
    timestamp: Timestamp,
    volume: &Location,
) -> Result<Vec<InlineFile>, Failure> {
    let Some(database) = &plan.database else { return Ok(Vec::new()) };
    let field = field(volume);
    let bytes = nix_database::database(closure, timestamp.seconds(), &deriving(plan, closure, &field)?);
    let bytes = bytes.map_err(|error| {
        Failure::of(FailureKind::Internal, Problem { at: (&field).into(), ..Problem::from(&error) })
    })?;
    let file = |path: &ImagePath, bytes| InlineFile {
        path: path.clone(),
        bytes,
        permissions: Permissions::from_mode(PERMISSIONS),
    };
    Ok(vec![file(&database.file, bytes), file(&database.schema, nix_database::VERSION.to_vec())])
}

/// The field that asks for the database of a file system.
fn field(volume: &Location) -> Location {
    volume.key("closure").key("nixDatabase")
}

/// Suffixes of SQLite's journal and WAL files. SQLite replays them into the database next to them.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Fails if a source contains a journal file next to the database.
pub(crate) fn check_logs(plan: &ClosurePlan, tree: &FileTree, volume: &Location) -> Result<(), Failure> {
    let Some(database) = &plan.database else { return Ok(()) };
    for log in LOGS {
        let path = ImagePath::parse(&[database.file.as_bytes(), log.as_bytes()].concat());
        if let Some(path) = path.ok().filter(|path| tree.find(path).is_some()) {
            let what = format!("SQLite would replay {path} into the database");
            return Err(Failure::new(FailureKind::Plan, field(volume), what, "leave out that file"));
        }
    }
    Ok(())
}

/// What the derivations of a closure make. Closures that run somewhere have none.
fn deriving(plan: &ClosurePlan, closure: &Closure, field: &Location) -> Result<DerivationOutputs, Failure> {
    let derivations = closure.paths().iter().enumerate();
    let derivations = derivations.filter(|(_, info)| info.path.as_str().as_bytes().ends_with(b".drv"));
    derivations.map(|(index, info)| Ok((index, outputs(&plan.source_dir, info, field)?))).collect()
}

fn outputs(store: &Path, derivation: &PathInfo, field: &Location) -> Result<Vec<Output>, Failure> {
    let path = store.join(derivation.path.as_str());
    let unread = |error: io::Error| {
        let remedy = match remedy(&error, "") {
            "" => format!("realise it, or leave out {field}"),
            remedy => remedy.to_owned(),
        };
        let what = format!("can't be read: {}", io_reason(&error));
        Failure::new(FailureKind::Source, shown(&path), what, remedy)
    };
    // A symlink with such a name is not a derivation, and must not lead out of the store.
    let file = if path.symlink_metadata().map_err(unread)?.is_file() {
        nix_database::outputs(&read_file(&path).map_err(unread)?)
    } else {
        None
    };
    file.ok_or_else(|| {
        let what = "has the name of a derivation, but is none";
        Failure::new(FailureKind::Closure, shown(&path), what, format!("leave out {field}"))
    })
}
