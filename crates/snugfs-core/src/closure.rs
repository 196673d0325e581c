//! Reads the files of a closure.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use closure_registration::{Closure, ClosureErrors, Source};
use image_tree::{io_reason, shown};
use snugfs_plan::{ClosurePlan, ClosureSource, Location};

use crate::failure::{Failure, FailureKind, remedy};
use crate::fields;

/// The longest plan or file of a closure, in \[bytes\]. An endless file must not fill the memory; a graph of 400,000 store
/// paths has about this length.
pub const MOST_BYTES: u64 = 512 << 20;

/// Reads all of a stream. Fails with the kind `FileTooLarge` if it has more than [`MOST_BYTES`].
pub fn read_all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= MOST_BYTES) {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

/// Reads a file of at most [`MOST_BYTES`].
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_all(File::open(path)?)
}

/// The failure for a file with more than [`MOST_BYTES`].
#[must_use]
pub fn too_long(kind: FailureKind, name: &str, what: &str) -> Failure {
    Failure::new(
        kind,
        name,
        format!("has more than {MOST_BYTES} bytes, too many for {what}"),
        "name another file",
    )
}

/// Help for a path with `~` or `$NAME`.
pub const NOT_EXPANDED: &str = "~ and $NAME are not expanded in a plan, write the whole path";

/// Whether a path contains something that a shell would expand.
#[must_use]
pub fn is_unexpanded(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.contains('$') || text.split('/').any(|name| name.starts_with('~'))
}

/// Reads the closure of a file system.
pub(crate) fn read(plan: &ClosurePlan, volume: &Location) -> Result<Closure, Failure> {
    let invalid = |errors: ClosureErrors| fields::closure_failure(&errors, volume);
    let closure = volume.key("closure");
    let read = match &plan.source {
        ClosureSource::Registration { registration, store_paths } => {
            let records = read_field(&closure.key("registration"), registration)?;
            let list = store_paths.as_deref();
            let list = list.map(|path| read_field(&closure.key("storePaths"), path)).transpose()?;
            let list = list.as_ref().map(NamedBytes::source);
            Closure::from_registration(records.source(), list, &plan.store_dir).map_err(invalid)
        }
        ClosureSource::GraphFile(path) => {
            let file = read_field(&closure.key("graph"), path)?;
            let graph =
                snugfs_plan::parse_document(&file.bytes).map_err(|error| not_json(&file.name, &error))?;
            Closure::from_graph(&file.name, &graph, &plan.store_dir).map_err(invalid)
        }
        ClosureSource::Graph(graph) => {
            Closure::from_graph(&fields::graph_name(volume), graph, &plan.store_dir).map_err(invalid)
        }
    };
    read.map(|closure| closure.placed(plan.place.clone()))
}

/// `graph.json:7:13: not JSON: trailing comma; write the graph again`
fn not_json(name: &str, error: &serde_json::Error) -> Failure {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let at = format!("{name}:{line}:{column}");
    Failure::new(FailureKind::Closure, at, format!("not JSON: {text}"), "write the graph again")
}

/// A file's bytes, and its name in messages.
struct NamedBytes {
    name: String,
    bytes: Vec<u8>,
}

impl NamedBytes {
    fn source(&self) -> Source<'_> {
        Source { name: &self.name, bytes: &self.bytes }
    }
}

fn read_field(at: &Location, path: &Path) -> Result<NamedBytes, Failure> {
    let name = shown(path);
    match read_file(path) {
        Ok(bytes) => Ok(NamedBytes { name, bytes }),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(too_long(FailureKind::Closure, &name, "a closure"))
        }
        Err(error) => {
            let otherwise = if is_unexpanded(path) { NOT_EXPANDED } else { "create it or correct the path" };
            let what = format!("{name} can't be read: {}", io_reason(&error));
            Err(Failure::new(FailureKind::Source, at, what, remedy(&error, otherwise)))
        }
    }
}
