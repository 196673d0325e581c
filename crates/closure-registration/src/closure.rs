use std::io::Write;

use image_tree::{FileTree, ImagePath, NodeId};
use serde_json::Value;

use crate::verify::find;
use crate::{ClosureErrors, NarHash, Origin, StorePath, closed, draft::Draft, graph, registration};

/// The store paths of an image, and the registration of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closure {
    store: ImagePath,
    /// The directory in the image with the store paths.
    place: ImagePath,
    /// Sorted by base name, each path once.
    paths: Vec<PathInfo>,
    /// Indexes into `paths`, in the order of the input's records.
    given: Vec<usize>,
}

/// The registration of one store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The store path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Length of its NAR in \[bytes\].
    pub nar_size: u64,
    /// The paths that it refers to, which may include itself; in the order of the input, each once.
    pub references: Vec<StorePath>,
    /// Deriver, content address and signatures.
    pub origin: Origin,
}

/// An input, with its name for messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Name of the input in messages.
    pub name: &'a str,
    /// All bytes of the file.
    pub bytes: &'a [u8],
}

impl Closure {
    /// Reads a registration as `nix-store --load-db` does. `store_paths` is a list of paths, one a line, that restricts
    /// the closure.
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

    /// Reads a reference graph. It is a list of `{path, narHash, narSize, references}`, as in structured attributes and
    /// `nix path-info --json`, or an object of these by path, as newer Nix prints it. The keys of an [`Origin`] (`ca`,
    /// `deriver`, `signatures`, `ultimate`) are optional. Other keys are ignored.
    ///
    /// `name` is the graph's name in messages.
    pub fn from_graph(name: &str, graph: &Value, store_dir: &ImagePath) -> Result<Self, ClosureErrors> {
        let mut draft = Draft::new(name, store_dir);
        ClosureErrors::check(graph::read(graph, &mut draft))?;
        closed::close(&draft, None)
    }

    /// A closure of these records, which must be closed and have each path once.
    pub(crate) fn new(store: ImagePath, records: Vec<PathInfo>) -> Self {
        let mut sorted: Vec<(usize, PathInfo)> = records.into_iter().enumerate().collect();
        sorted.sort_unstable_by(|(_, a), (_, b)| a.path.cmp(&b.path));
        let mut given: Vec<(usize, usize)> = sorted.iter().map(|&(position, _)| position).zip(0..).collect();
        given.sort_unstable();
        let given = given.into_iter().map(|(_, index)| index).collect();
        Self { place: store.clone(), store, paths: sorted.into_iter().map(|(_, info)| info).collect(), given }
    }

    /// The same closure, whose paths are in another directory of the image than their prefix says.
    #[must_use]
    pub fn placed(self, place: ImagePath) -> Self {
        Self { place, ..self }
    }

    /// The prefix of all store paths.
    pub fn store_dir(&self) -> &ImagePath {
        &self.store
    }

    /// The directory in the image with the store paths; by default, their prefix.
    pub fn place(&self) -> &ImagePath {
        &self.place
    }

    /// The nodes of the tree that are paths of the closure, in tree order. Paths missing from the tree are left out.
    pub fn nodes(&self, tree: &FileTree) -> Vec<NodeId> {
        find(self, tree).0.into_iter().map(|(_, node)| node).collect()
    }

    /// The paths that a tree has, with their nodes, in the order of [`Self::paths`].
    pub fn nodes_of_paths<'c>(&'c self, tree: &FileTree) -> Vec<(NodeId, &'c PathInfo)> {
        find(self, tree).0.into_iter().map(|(info, node)| (node, info)).collect()
    }

    /// All paths, sorted by base name, each once.
    pub fn paths(&self) -> &[PathInfo] {
        &self.paths
    }

    /// The text for `nix-store --load-db`: a record for each of [`Self::paths`], in the order of the input.
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
            // Writing to a Vec does not fail.
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
