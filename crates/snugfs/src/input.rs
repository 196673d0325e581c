//! Reads the plan and the files of its closure: all that is known before a source is scanned.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use build_plan::{ClosurePlan, ClosureSource, Plan};
use closure_registration::{Closure, Source};
use sha2::{Digest, Sha256};

use crate::cli::{InputArgs, is_dash};
use crate::exit::{Exit, Failure, io_text, remedy, shown};
use crate::told;

/// The most that a plan or a file of a closure may have, in \[bytes\]: what never ends must not fill the memory. A graph of
/// 400,000 store paths has about as many.
const MOST: u64 = 512 << 20;

/// All that comes, if it ends in time.
fn read_all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= MOST) {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

/// Reads a file, unless it goes on and on.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_all(File::open(path)?)
}

/// Of a file that is no plan or no part of a closure, but something that goes on and on.
fn too_long(exit: Exit, name: &str, what: &str) -> Failure {
    Failure::new(exit, format!("{name}: has more than {MOST} bytes, too many for {what}; name another file"))
}

/// A plan, and the digest of the file that it was read from.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) plan: Plan,
    pub(crate) sha256: [u8; 32],
}

/// Reads PLAN. That it can't be read is an unreadable source (5), that it is not JSON a wrong plan (3).
pub(crate) fn read_plan(args: &InputArgs) -> Result<ReadPlan, Failure> {
    let unreadable = |name: &str, error: &io::Error| {
        Failure::new(
            Exit::Source,
            format!(
                "{name}: can't be read: {}; {}",
                io_text(error),
                remedy(error, "name a plan, or - for standard input")
            ),
        )
    };
    let (name, json) = if is_dash(&args.plan) {
        ("standard input".to_owned(), read_all(io::stdin().lock()))
    } else {
        (shown(&args.plan), read_file(&args.plan))
    };
    let json = json.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => too_long(Exit::Plan, &name, "a plan"),
        _ => unreadable(&name, &error),
    })?;
    told::remember(&name, &json);
    let plan = build_plan::parse(&json, &base_dir(args)).map_err(|problems| problems.in_file(&name))?;
    Ok(ReadPlan { plan, sha256: Sha256::digest(&json).into() })
}

/// The folder that relative paths of the plan are taken from; empty for the current one, so that messages name files
/// as the plan does.
fn base_dir(args: &InputArgs) -> PathBuf {
    let beside = args.plan.parent().filter(|_| !is_dash(&args.plan));
    args.base_dir.as_deref().or(beside).unwrap_or(Path::new("")).to_owned()
}

/// Reads the files that `plan.closure` names.
pub(crate) fn read_closure(plan: &ClosurePlan) -> Result<Closure, Failure> {
    match &plan.source {
        ClosureSource::Registration { registration, store_paths } => {
            let records = read_field("registration", registration)?;
            let list = store_paths.as_deref().map(|path| read_field("storePaths", path)).transpose()?;
            let list = list.as_ref().map(NamedBytes::source);
            Ok(Closure::from_registration(records.source(), list, &plan.store_dir)?)
        }
        ClosureSource::GraphFile(path) => {
            let file = read_field("graph", path)?;
            let graph =
                build_plan::parse_document(&file.bytes).map_err(|error| not_json(&file.name, &error))?;
            Ok(Closure::from_graph(&file.name, &graph, &plan.store_dir)?)
        }
        ClosureSource::Graph(graph) => Ok(Closure::from_graph("plan.closure.graph", graph, &plan.store_dir)?),
    }
}

/// `graph.json:7:13: not JSON: trailing comma; write the graph anew`
fn not_json(name: &str, error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    Failure::new(Exit::Closure, format!("{name}:{line}:{column}: not JSON: {text}; write the graph anew"))
}

/// What a plan says in vain.
pub(crate) const NOT_EXPANDED: &str = "~ and $NAME are not expanded in a plan, write the whole path";

/// Whether a path has something that a shell would have expanded.
pub(crate) fn is_unexpanded(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains('$') || text.split('/').any(|name| name.starts_with('~'))
}

/// A file as messages name it.
struct NamedBytes {
    name: String,
    bytes: Vec<u8>,
}

impl NamedBytes {
    fn source(&self) -> Source<'_> {
        Source { name: &self.name, bytes: &self.bytes }
    }
}

fn read_field(field: &str, path: &Path) -> Result<NamedBytes, Failure> {
    let name = shown(path);
    match read_file(path) {
        Ok(bytes) => Ok(NamedBytes { name, bytes }),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(too_long(Exit::Closure, &name, "a closure"))
        }
        Err(error) => Err(Failure::new(
            Exit::Source,
            format!(
                "plan.closure.{field}: {name} can't be read: {}; {}",
                io_text(&error),
                remedy(
                    &error,
                    if is_unexpanded(path) { NOT_EXPANDED } else { "create it or correct the path" }
                )
            ),
        )),
    }
}
