//! Compares the registered sizes and hashes with a file tree.

use std::fmt;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_tree::{Explain, Explanation, FileTree, ImagePath, NodeId, explained_errors, io_reason};
use rayon::prelude::*;

use crate::{
    Closure, ClosureError, ClosureErrors, NarHash, NarHasher, NarPart, NarParts, NotInNar, PathInfo,
    nar_parts, nar_size,
};

/// The error of [`verify_hashes`].
#[derive(Debug)]
pub enum VerifyError<E> {
    /// Paths that differ from their registration.
    Closure(ClosureErrors),
    /// A file could not be opened.
    Open(E),
    /// A file could not be read.
    Read {
        /// Its path on this machine, or in the image, escaped.
        file: String,
        /// The I/O error.
        reason: io::Error,
    },
    /// A file has another length than when it was scanned.
    Changed(Changed),
}

/// A file has another length than when it was scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path on this machine, or in the image, escaped.
    pub file: String,
    /// Its length in \[bytes\] when it was scanned.
    pub size: u64,
}

impl Explain for Changed {
    fn explain(&self) -> Explanation {
        Explanation::new(
            &self.file,
            format!("changed while it was read (it had {} bytes)", self.size),
            "don't change the sources while an image is built",
        )
    }
}

explained_errors!(Changed);

impl<E: Explain> VerifyError<E> {
    /// The problems, each with its place and help.
    pub fn explanations(&self) -> Vec<Explanation> {
        match self {
            Self::Closure(errors) => errors.iter().map(Explain::explain).collect(),
            Self::Open(error) => vec![error.explain()],
            Self::Read { file, reason } => vec![unread(file, reason)],
            Self::Changed(changed) => vec![changed.explain()],
        }
    }
}

impl<E: fmt::Display> fmt::Display for VerifyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closure(errors) => errors.fmt(f),
            Self::Open(error) => error.fmt(f),
            Self::Read { file, reason } => unread(file, reason).fmt(f),
            Self::Changed(changed) => changed.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for VerifyError<E> {}

impl<E> From<ClosureErrors> for VerifyError<E> {
    fn from(errors: ClosureErrors) -> Self {
        Self::Closure(errors)
    }
}

impl<E> From<Changed> for VerifyError<E> {
    fn from(changed: Changed) -> Self {
        Self::Changed(changed)
    }
}

fn unread(file: &str, reason: &io::Error) -> Explanation {
    Explanation::new(file, format!("can't be read: {}", io_reason(reason)), "check its disk")
}

/// Compares the NAR size of each path with the registered one, and fails with all that differ.
pub fn verify_sizes(closure: &Closure, tree: &FileTree) -> Result<(), ClosureErrors> {
    let (nodes, mut errors) = find(closure, tree);
    let store = closure.place();
    let compare = |&(info, node): &(&PathInfo, NodeId)| match nar_size(tree, node) {
        Ok(size) => info.check_size(store, size).err(),
        Err(NotInNar { path }) => Some(ClosureError::NotInNar { path }),
    };
    errors.par_extend(nodes.par_iter().filter_map(compare));
    ClosureErrors::check(errors)
}

/// Compares the NAR hash of each path with the registered one, in parallel, and fails with all that differ.
///
/// `opener` makes an opener for each thread, which opens a regular file for reading. So an opener may keep directories
/// open; within a path, files are opened in the order of the tree. `progress` is called by any thread with the number of
/// bytes hashed since its last call. If files can't be read or have changed, the error is the first of them by the order
/// of the tree.
pub fn verify_hashes<O, R, E>(
    closure: &Closure,
    tree: &FileTree,
    opener: impl Fn() -> O + Sync,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), VerifyError<E>>
where
    O: FnMut(NodeId) -> Result<R, E>,
    R: Read,
    E: Send,
{
    compare(closure, tree, opener, progress, false)
}

/// Compares sizes first, and hashes only the paths whose size agrees; otherwise like [`verify_hashes`]. For untrusted
/// trees: no more bytes are read than are registered.
pub fn verify_sizes_then_hashes<O, R, E>(
    closure: &Closure,
    tree: &FileTree,
    opener: impl Fn() -> O + Sync,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), VerifyError<E>>
where
    O: FnMut(NodeId) -> Result<R, E>,
    R: Read,
    E: Send,
{
    compare(closure, tree, opener, progress, true)
}

fn compare<O, R, E>(
    closure: &Closure,
    tree: &FileTree,
    opener: impl Fn() -> O + Sync,
    progress: &(dyn Fn(u64) + Sync),
    sizes_first: bool,
) -> Result<(), VerifyError<E>>
where
    O: FnMut(NodeId) -> Result<R, E>,
    R: Read,
    E: Send,
{
    let (mut nodes, absent) = find(closure, tree);
    // Largest first: if a large path came last, only one thread would be busy.
    nodes.sort_by_key(|&(info, _)| std::cmp::Reverse(info.nar_size));
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let work = || {
        let (mut open, mut buffer) = (opener(), vec![0; BUFFER]);
        while let Some(&(info, node)) = nodes.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = check(closure, tree, (info, node), sizes_first, &mut |parts| {
                hash(tree, parts, &mut open, progress, &mut buffer)
            });
            if let (Err(error), Ok(mut failed)) = (outcome, failed.lock()) {
                failed.push((node, error));
            }
        }
    };
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(nodes.len()) {
            scope.spawn(|_| work());
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // In tree order, because the order of threads varies.
    failed.sort_by_key(|&(node, _)| node);
    let mut errors = absent;
    for (_, error) in failed {
        match error {
            VerifyError::Closure(some) => errors.extend(some.iter().cloned()),
            source => return Err(source),
        }
    }
    Ok(ClosureErrors::check(errors)?)
}

/// Read buffer of a thread in \[bytes\]. From 64 KiB to 1 MiB the time is the same (2 GiB in 0.53 s with two threads);
/// this size stays in the cache of a core.
const BUFFER: usize = 256 * 1024;

impl PathInfo {
    /// Compares a NAR's length in \[bytes\] with the registered one.
    pub fn check_size(&self, store: &ImagePath, actual: u64) -> Result<(), ClosureError> {
        if actual == self.nar_size {
            return Ok(());
        }
        Err(ClosureError::SizeDiffers { path: self.path.in_store(store), registered: self.nar_size, actual })
    }

    /// Compares a NAR's hash with the registered one.
    pub fn check_hash(&self, store: &ImagePath, actual: NarHash) -> Result<(), ClosureError> {
        if actual == self.nar_hash {
            return Ok(());
        }
        Err(ClosureError::HashDiffers { path: self.path.in_store(store), registered: self.nar_hash, actual })
    }
}

/// Finds the node of each path; returns an error for each path without one.
pub(crate) fn find<'a>(
    closure: &'a Closure,
    tree: &FileTree,
) -> (Vec<(&'a PathInfo, NodeId)>, Vec<ClosureError>) {
    let mut found = Vec::with_capacity(closure.paths().len());
    let mut errors = Vec::new();
    // Both are sorted by name, so one pass over the directory finds all.
    let mut entries =
        tree.find(closure.place()).into_iter().flat_map(|store| tree.children(store)).peekable();
    for info in closure.paths() {
        let name = info.path.as_str().as_bytes();
        while entries.next_if(|&entry| tree.name(entry) < name).is_some() {}
        match entries.next_if(|&entry| tree.name(entry) == name) {
            Some(entry) => found.push((info, entry)),
            None => errors.push(ClosureError::NotInTree { path: info.path.in_store(closure.place()) }),
        }
    }
    (found, errors)
}

/// Compares the size of a path, if `size_first`, then its hash.
fn check<E>(
    closure: &Closure,
    tree: &FileTree,
    (info, node): (&PathInfo, NodeId),
    size_first: bool,
    hash: &mut dyn FnMut(NarParts<'_>) -> Result<NarHash, VerifyError<E>>,
) -> Result<(), VerifyError<E>> {
    let special = |NotInNar { path }| ClosureErrors::from(ClosureError::NotInNar { path });
    let store = closure.place();
    if size_first {
        info.check_size(store, nar_size(tree, node).map_err(special)?).map_err(ClosureErrors::from)?;
    }
    let hash = hash(nar_parts(tree, node).map_err(special)?)?;
    Ok(info.check_hash(store, hash).map_err(ClosureErrors::from)?)
}

fn hash<R: Read, E>(
    tree: &FileTree,
    parts: NarParts<'_>,
    open: &mut impl FnMut(NodeId) -> Result<R, E>,
    progress: &dyn Fn(u64),
    buffer: &mut [u8],
) -> Result<NarHash, VerifyError<E>> {
    let mut hasher = NarHasher::new();
    for part in parts {
        match part {
            NarPart::Framing(bytes) => hasher.update(&bytes),
            NarPart::File { node, size } => {
                let mut reader = open(node).map_err(VerifyError::Open)?;
                let mut take = |bytes: &[u8]| {
                    hasher.update(bytes);
                    progress(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                };
                match read_exactly(&mut reader, size, buffer, &mut take) {
                    Ok(true) => {}
                    Ok(false) => return Err(Changed { file: shown(tree, node), size }.into()),
                    Err(reason) => return Err(VerifyError::Read { file: shown(tree, node), reason }),
                }
            }
        }
    }
    Ok(hasher.finish())
}

/// Passes all bytes of a file to `take`; false if there are not exactly `size`.
fn read_exactly(
    reader: &mut impl Read,
    size: u64,
    buffer: &mut [u8],
    take: &mut dyn FnMut(&[u8]),
) -> io::Result<bool> {
    let mut remaining = size;
    loop {
        // One byte more than expected detects a file that grew, and the end of a small file without a second read.
        let asked = usize::try_from(remaining.saturating_add(1)).unwrap_or(usize::MAX).min(buffer.len());
        let window = buffer.get_mut(..asked).unwrap_or_default();
        let got = match reader.read(window) {
            Ok(0) => return Ok(remaining == 0),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let Some(rest) = u64::try_from(got).ok().and_then(|got| remaining.checked_sub(got)) else {
            return Ok(false);
        };
        take(window.get(..got).unwrap_or_default());
        remaining = rest;
        if remaining == 0 && got < asked {
            return Ok(true);
        }
    }
}

/// The name of a file in messages: its path on this machine if it has one, else in the image.
fn shown(tree: &FileTree, node: NodeId) -> String {
    match tree.source_path(node) {
        Some(path) => image_tree::shown(&path),
        None => tree.path(node).to_string(),
    }
}
