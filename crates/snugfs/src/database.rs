//! Nix's database as a file of the image, where the plan asks for it.

use std::path::Path;

use build_plan::ClosurePlan;
use closure_registration::{Closure, PathInfo};
use file_scanner::InlineFile;
use image_tree::{FileTree, ImagePath, Permissions, Timestamp};
use nix_database::{Deriving, Output};

use crate::exit::{Exit, Failure, io_text, remedy, shown};
use crate::input;

/// As Nix makes these two files: root writes into them.
const PERMISSIONS: u16 = 0o644;

/// The database and the version of its schema; nothing where the plan asks for none.
pub(crate) fn files(
    plan: &ClosurePlan,
    closure: &Closure,
    timestamp: Timestamp,
) -> Result<Vec<InlineFile>, Failure> {
    let Some(database) = &plan.database else { return Ok(Vec::new()) };
    let bytes = nix_database::database(closure, timestamp.seconds(), &deriving(plan, closure)?);
    let bytes =
        bytes.map_err(|error| Failure::new(Exit::Bug, format!("plan.closure.nixDatabase: {error}")))?;
    let file = |path: &ImagePath, bytes| InlineFile {
        path: path.clone(),
        bytes,
        permissions: Permissions::from_mode(PERMISSIONS),
        what: "plan.closure.nixDatabase".to_owned(),
    };
    Ok(vec![file(&database.file, bytes), file(&database.schema, nix_database::VERSION.to_vec())])
}

/// The ends of the names of what SQLite would play back into the database.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// No source has left the log of another database beside this one.
pub(crate) fn stands_alone(plan: &ClosurePlan, tree: &FileTree) -> Result<(), Failure> {
    let Some(database) = &plan.database else { return Ok(()) };
    for log in LOGS {
        let path = ImagePath::parse(&[database.file.as_bytes(), log.as_bytes()].concat());
        if let Some(path) = path.ok().filter(|path| tree.find(path).is_some()) {
            let text = format!(
                "plan.closure.nixDatabase: {path} would be taken for the log of the database; leave that file out"
            );
            return Err(Failure::new(Exit::Plan, text));
        }
    }
    Ok(())
}

/// What the derivations of a closure make. Closures that run somewhere have none.
fn deriving(plan: &ClosurePlan, closure: &Closure) -> Result<Deriving, Failure> {
    let derivations = closure.paths().iter().enumerate();
    let derivations = derivations.filter(|(_, info)| info.path.as_str().as_bytes().ends_with(b".drv"));
    derivations.map(|(index, info)| Ok((index, outputs(&plan.source_dir, info)?))).collect()
}

fn outputs(store: &Path, derivation: &PathInfo) -> Result<Vec<Output>, Failure> {
    let path = store.join(derivation.path.as_str());
    let unread = |error| {
        let remedy = remedy(&error, "realise it, or leave plan.closure.nixDatabase out");
        let text = format!("{}: can't be read: {}; {remedy}", shown(&path), io_text(&error));
        Failure::new(Exit::Source, text)
    };
    // A symlink of that name is no derivation, and must not lead out of the store.
    let file = if path.symlink_metadata().map_err(unread)?.is_file() {
        nix_database::outputs(&input::read_file(&path).map_err(unread)?)
    } else {
        None
    };
    file.ok_or_else(|| {
        let text = "is named like a derivation and is none; leave plan.closure.nixDatabase out";
        Failure::new(Exit::Closure, format!("{}: {text}", shown(&path)))
    })
}
