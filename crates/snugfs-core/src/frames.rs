//! Frames of an image that can be kept: what identifies the files in them, and where they are kept.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use closure_registration::PathInfo;
use frame_cache::{CacheError, FrameCache, Layer, Statistics};
use image_assembly::{FrameKey, FrameSource, FrameStore, StoredFrame, Unit};
use image_tree::{FileRef, FileSource, FileTree, NodeId, NodeKind};

use crate::parts::is_hashed;
use crate::prepare::Prepared;

/// Where compressed frames are kept and found.
#[derive(Debug, Default)]
pub struct FrameStores {
    cache: Option<FrameCache>,
    layers: Vec<Layer>,
    /// Frames that were found in a layer.
    from_layers: AtomicU64,
}

impl FrameStores {
    /// Finds frames in `layers`, which are only read, then in the folder `cache`, which gets new frames up to a limit in
    /// \[bytes\].
    ///
    /// # Errors
    /// If a folder can't be used.
    pub fn open<'l>(
        cache: Option<(&Path, u64)>,
        layers: impl IntoIterator<Item = &'l Path>,
    ) -> Result<Self, CacheError> {
        let cache = cache.map(|(path, limit)| FrameCache::open(path, limit)).transpose()?;
        let layers = layers.into_iter().map(Layer::open).collect::<Result<_, _>>()?;
        Ok(Self { cache, layers, from_layers: AtomicU64::new(0) })
    }

    /// Keeps frames for a layer.
    pub(crate) fn of_layer(cache: FrameCache) -> Self {
        Self { cache: Some(cache), ..Self::default() }
    }

    /// Whether there is neither a cache nor a layer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cache.is_none() && self.layers.is_empty()
    }

    /// The number of frames that were found in a layer.
    #[must_use]
    pub fn from_layers(&self) -> u64 {
        self.from_layers.load(Ordering::Relaxed)
    }

    /// Keeps new frames back until [`Self::publish`].
    pub(crate) fn hold(&self) {
        self.cache.iter().for_each(FrameCache::hold);
    }

    /// Publishes the frames that were kept back.
    pub(crate) fn publish(&self) {
        self.cache.iter().for_each(FrameCache::publish);
    }

    /// Ends the use of the cache, and keeps it within its limit.
    #[must_use]
    pub fn finish(self) -> Option<Statistics> {
        self.cache.map(FrameCache::finish)
    }
}

impl FrameStore for FrameStores {
    fn get(&self, key: &FrameKey) -> Option<StoredFrame> {
        let key = key.as_bytes();
        let found = self.layers.iter().find_map(|layer| layer.get(key));
        self.from_layers.fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        let found = found.or_else(|| self.cache.as_ref()?.get(key))?;
        Some(StoredFrame { file: found.file, frame: found.frame, len: found.len })
    }

    fn put(&self, key: &FrameKey, len: u64, frame: &[u8]) {
        if let Some(cache) = &self.cache {
            cache.put(key.as_bytes(), len, frame);
        }
    }
}

/// Units of an image: the store paths of closures, and the files outside of them.
#[derive(Debug, Default)]
pub(crate) struct Units<'p> {
    /// By [`image_tree::TreeId`].
    trees: Vec<Tree<'p>>,
}

#[derive(Debug)]
struct Tree<'p> {
    nodes: &'p FileTree,
    /// The store paths of its closure, ascending by node.
    paths: Vec<(NodeId, &'p PathInfo)>,
    /// By the index of an origin: whether it is the store. Entries of the plan may be in a store path, too.
    is_store: Vec<bool>,
    /// Whether the NAR hashes are compared with the contents.
    is_hashed: bool,
}

impl<'p> Units<'p> {
    pub(crate) fn of(prepared: &'p Prepared<'_>) -> Self {
        let mut trees: Vec<_> = prepared.trees().iter().map(Tree::without_store).collect();
        for volume in prepared.volumes() {
            let Some(closure) = &volume.scanned.closure else { continue };
            let Some(planned) = &volume.scanned.planned.plan.closure else { continue };
            let Some(tree) = trees.get_mut(volume.tree.index()) else { continue };
            tree.paths = closure.nodes_of_paths(tree.nodes);
            tree.paths.sort_by_key(|(node, _)| *node);
            tree.is_hashed = is_hashed(&volume.scanned);
            let origins = tree.nodes.origins().iter();
            let is_store =
                origins.map(|origin| origin.source == planned.source_dir && origin.target == planned.place);
            tree.is_store = is_store.collect();
        }
        Self { trees }
    }

    fn path(&self, file: FileRef) -> Option<(&Tree<'p>, NodeId, &'p PathInfo)> {
        let tree = self.trees.get(file.tree.index())?;
        let (top, info) = tree.path(file.node)?;
        Some((tree, top, info))
    }
}

impl<'p> Tree<'p> {
    fn without_store(tree: &'p FileTree) -> Self {
        Self { nodes: tree, paths: Vec::new(), is_store: Vec::new(), is_hashed: false }
    }

    fn path(&self, node: NodeId) -> Option<(NodeId, &'p PathInfo)> {
        let at = self.paths.partition_point(|(top, _)| *top <= node).checked_sub(1)?;
        let (top, info) = *self.paths.get(at)?;
        (node < self.nodes.end(top)).then_some((top, info))
    }

    fn is_of_store(&self, node: NodeId) -> bool {
        match self.nodes.node(node).kind() {
            NodeKind::File { source: FileSource::Scanned { origin, .. }, .. } => {
                self.is_store.get(origin.index()).is_some_and(|is_store| *is_store)
            }
            _ => false,
        }
    }
}

impl FrameSource for Units<'_> {
    fn unit(&self, file: FileRef) -> Unit {
        if let Some((_, top, info)) = self.path(file) {
            let hash = info.nar_hash.as_bytes().first_chunk();
            let hash = u64::from_le_bytes(*hash.expect("invariant: a SHA-256 has 32 bytes"));
            return Unit { first: FileRef { node: top, ..file }, hash };
        }
        let name = self.trees.get(file.tree.index()).map(|tree| tree.nodes.name(file.node));
        Unit { first: file, hash: hash_of_name(name.unwrap_or_default()) }
    }

    /// The NAR hash of the store path, and the names from there to the file. Frames whose hashes were compared are kept
    /// apart from others, which could have been made from a damaged store.
    fn identify(&self, file: FileRef, identity: &mut Vec<u8>) -> bool {
        let Some((tree, top, info)) = self.path(file).filter(|(tree, ..)| tree.is_of_store(file.node)) else {
            return false;
        };
        identity.push(u8::from(tree.is_hashed));
        identity.extend(info.nar_hash.as_bytes());
        let mut at = file.node;
        while at != top {
            // From the file up: unambiguous, as no name contains a slash.
            identity.extend(tree.nodes.name(at));
            identity.push(b'/');
            at = tree.nodes.node(at).parent();
        }
        true
    }
}

/// FNV-1a with 64 bits. Where frames begin follows from it, so it never changes.
fn hash_of_name(name: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    name.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
