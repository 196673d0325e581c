use std::io::Write;

use image_tree::{FileTree, ImagePath, NodeId};
use serde_json::Value;

use crate::verify::find;
use crate::{ClosureErrors, NarHash, Origin, StorePath, closed, draft::Draft, graph, registration};

/// The store paths of an image and what is registered of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    store: ImagePath,
    /// Sorted by base name, each path once.
    paths: Vec<PathInfo>,
    /// Positions in `paths`, in the order in which the records were given.
    given: Vec<usize>,
}

/// What is registered of one store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The path itself.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Length of its NAR in \[bytes\].
    pub nar_size: u64,
    /// The paths that it refers to, itself among them if it does; in the order given, each once.
    pub references: Vec<StorePath>,
    /// Who made it, and why it can be trusted.
    pub origin: Origin,
}

/// An input and its name in messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// All bytes of the file.
    pub bytes: &'a [u8],
}

impl Closure {
    /// Reads what `nix-store --load-db` reads, and a list of paths to which the closure is restricted.
    ///
    /// ```
    /// use closure_registration::{Closure, Source};
    /// let path = "/nix/store/00000000000000000000000000000000-hello";
    /// let text = format!("{path}\nsha256:{}\n120\n\n1\n{path}\n", "0".repeat(52));
    /// let registration = Source { name: "registration", bytes: text.as_bytes() };
    /// let store = image_tree::ImagePath::parse(b"/nix/store")?;
    /// let closure = Closure::from_registration(registration, None, &store)?;
    /// assert_eq!(closure.paths()[0].nar_size, 120);
    /// assert_eq!(closure.registration(), text.as_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_registration(
        registration: Source<'_>,
        store_paths: Option<Source<'_>>,
        store_dir: &ImagePath,
    ) -> Result<Self, ClosureErrors> {
        let mut draft = Draft::new(registration.name, store_dir);
        let mut problems = registration::read(registration, &mut draft);
        let listed = store_paths.map(|source| registration::read_list(source, &mut draft, &mut problems));
        ClosureErrors::check(problems)?;
        closed::close(&draft, listed.as_ref())
    }

    /// Reads a reference graph: a list of `{path, narHash, narSize, references}`, as structured attributes and
    /// `nix path-info --json` have it, or an object of these by path, as newer Nix prints it. Of other keys, those of
    /// an [`Origin`] are read where they are there (`ca`, `deriver`, `signatures`, `ultimate`), and the rest is
    /// ignored. `name` is what messages call the graph.
    pub fn from_graph(name: &str, graph: &Value, store_dir: &ImagePath) -> Result<Self, ClosureErrors> {
        let mut draft = Draft::new(name, store_dir);
        ClosureErrors::check(graph::read(graph, &mut draft))?;
        closed::close(&draft, None)
    }

    /// Takes closed records, each path once, in the order given.
    pub(crate) fn new(store: ImagePath, records: Vec<PathInfo>) -> Self {
        let mut sorted: Vec<(usize, PathInfo)> = records.into_iter().enumerate().collect();
        sorted.sort_unstable_by(|(_, a), (_, b)| a.path.cmp(&b.path));
        let mut given: Vec<(usize, usize)> = sorted.iter().map(|&(position, _)| position).zip(0..).collect();
        given.sort_unstable();
        let given = given.into_iter().map(|(_, index)| index).collect();
        Self { store, paths: sorted.into_iter().map(|(_, info)| info).collect(), given }
    }

    /// The directory in the image that holds the paths.
    pub fn store_dir(&self) -> &ImagePath {
        &self.store
    }

    /// The nodes of a tree that are its paths, in the order of the tree; those that it has not are left out.
    pub fn nodes(&self, tree: &FileTree) -> Vec<NodeId> {
        find(self, tree).0.into_iter().map(|(_, node)| node).collect()
    }

    /// All paths, sorted by base name, each once.
    pub fn paths(&self) -> &[PathInfo] {
        &self.paths
    }

    /// The text for `nix-store --load-db`: the records of [`Self::paths`] in the order in which they were given.
    pub fn registration(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let store = self.store.as_bytes();
        let store = store.strip_suffix(b"/").unwrap_or(store);
        let path_line = |text: &mut Vec<u8>, path: &StorePath| {
            text.extend_from_slice(store);
            text.push(b'/');
            text.extend_from_slice(path.as_str().as_bytes());
            text.push(b'\n');
        };
        for info in self.given.iter().filter_map(|&index| self.paths.get(index)) {
            path_line(&mut text, &info.path);
            // Writing to memory does not fail.
            let _ = writeln!(text, "{}\n{}", info.nar_hash, info.nar_size);
            match &info.origin.deriver {
                Some(deriver) => path_line(&mut text, deriver),
                None => text.push(b'\n'),
            }
            let _ = writeln!(text, "{}", info.references.len());
            for reference in &info.references {
                path_line(&mut text, reference);
            }
        }
        text
    }
}
