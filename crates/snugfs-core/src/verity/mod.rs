//! Hash trees of dm-verity: their place in the image, and the parts of an image that depend on root hashes.
//!
//! The lengths of all parts are known before anything is read. The root hashes are known once the file systems were read: before the
//! image is written ([`Prepared::compute_root_hashes`]), or, for a raw file, while it is written ([`OnePass`]).

mod one_pass;
mod texts;

use std::sync::{Arc, OnceLock};

use dm_verity::{BLOCK, Geometry, HashTree, Parameters, RootHash, TreeHasher};
use file_scanner::ScannedFiles;
use image_assembly::{UnorderedObserver, read_image};
use image_tree::{Content, Piece, PieceSource, TreeId, to_u64, to_usize};
use sha2::{Digest, Sha256};
use snugfs_plan::{FilesystemPlan, Location, PartitionContent, PartitionPlan, Plan, VerityPlan, VolumeRef};

use crate::failure::{Failure, FailureKind};
use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::parts::{PartContent, Volume};
use crate::prepare::Prepared;

pub(crate) use self::one_pass::OnePass;
pub(crate) use self::texts::{HashText, LateContents, LateFile, expand, volume};

/// The longest piece of a tree, in \[bytes\].
const PIECE: u64 = 1 << 20;

/// A reference to a file system by its only name: the root is never named by its partition.
pub(crate) fn canonical(plan: &Plan, of: VolumeRef) -> VolumeRef {
    let VolumeRef::Partition(index) = of else { return of };
    let content = plan.disk.as_ref().and_then(|disk| disk.partitions.get(index)).map(|part| &part.content);
    if content == Some(&PartitionContent::Root) { VolumeRef::Root } else { of }
}

/// The file systems of a plan with a hash tree.
pub(crate) fn volumes(plan: &Plan) -> impl Iterator<Item = VolumeRef> {
    let count = plan.disk.as_ref().map_or(0, |disk| disk.partitions.len());
    let all = std::iter::once(VolumeRef::Root).chain((0..count).map(VolumeRef::Partition));
    all.filter(|of| {
        canonical(plan, *of) == *of && plan.filesystem(*of).is_some_and(|plan| plan.verity.is_some())
    })
}

/// Whether a partition has a file system with a hash tree.
pub(crate) fn has_tree(plan: &Plan, partition: &PartitionPlan) -> bool {
    let filesystem = match &partition.content {
        PartitionContent::Root => &plan.root.filesystem,
        PartitionContent::Ext4(volume) => &volume.filesystem,
        _ => return false,
    };
    filesystem.verity.is_some()
}

/// Whether the GUID of a partition with a file system depends on the root hash.
pub(crate) fn has_late_guid(plan: &Plan, partition: &PartitionPlan) -> bool {
    has_tree(plan, partition) && is_found_by_root_hash(partition)
}

fn is_found_by_root_hash(partition: &PartitionPlan) -> bool {
    partition.guid.is_none() && partition.kind.is_found_by_root_hash()
}

/// A hash tree whose length is known, and its bytes once the data was read. As pieces, it is zeros until then.
#[derive(Debug)]
pub struct VerityTree {
    of: VolumeRef,
    parameters: Parameters,
    geometry: Geometry,
    finished: OnceLock<HashTree>,
}

impl VerityTree {
    /// The tree of a file system of a length in \[bytes\].
    pub(crate) fn new(of: VolumeRef, plan: &FilesystemPlan, len: u64) -> Result<Option<Arc<Self>>, Failure> {
        let Some(verity) = &plan.verity else { return Ok(None) };
        let at = Location::plan();
        let parameters = parameters(plan.uuid, verity);
        let parameters = parameters.ok_or_else(|| Failure::internal(&at, "a salt is too long"))?;
        let geometry = Geometry::new(len);
        let geometry = geometry.ok_or_else(|| Failure::internal(&at, "a file system has half a block"))?;
        Ok(Some(Arc::new(Self { of, parameters, geometry, finished: OnceLock::new() })))
    }

    /// The length in \[bytes\] of the tree of a file system of a length in \[bytes\].
    pub(crate) fn len_for(len: u64) -> Option<u64> {
        Geometry::new(len).map(|geometry| geometry.hash_device_len())
    }

    /// The file system.
    #[must_use]
    pub fn of(&self) -> VolumeRef {
        self.of
    }

    /// Salt and UUID.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The root hash, once it is known.
    #[must_use]
    pub fn root_hash(&self) -> Option<RootHash> {
        self.finished.get().map(HashTree::root)
    }

    fn hasher(&self) -> TreeHasher {
        TreeHasher::new(self.parameters.clone(), self.geometry.data_blocks() * BLOCK)
            .expect("invariant: the geometry is that of whole blocks")
    }
}

/// Salt and UUID of a tree: given, or derived from the UUID of its file system. `None` if the salt is too long.
fn parameters(uuid: [u8; 16], plan: &VerityPlan) -> Option<Parameters> {
    let derive = |purpose: &[u8]| -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(uuid);
        hash.update(purpose);
        hash.finalize().into()
    };
    let salt = plan.salt.clone().unwrap_or_else(|| derive(b"verity salt").to_vec());
    let tree_uuid = plan.uuid.unwrap_or_else(|| {
        let digest = derive(b"verity uuid");
        let mut uuid: [u8; 16] = std::array::from_fn(|index| digest[index]);
        // Version 8 and the variant (RFC 9562, section 5.8).
        uuid[6] = (uuid[6] & 0x0f) | 0x80;
        uuid[8] = (uuid[8] & 0x3f) | 0x80;
        uuid
    });
    Parameters::new(tree_uuid, salt)
}

impl PieceSource for VerityTree {
    fn len(&self) -> u64 {
        self.geometry.hash_device_len()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let len = self.len();
        let starts = (0..len.div_ceil(PIECE)).map(|index| index * PIECE);
        Box::new(starts.map(move |offset| {
            let len = PIECE.min(len - offset);
            Piece { offset, len, content: Content::Metadata }
        }))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        if let Some(tree) = self.finished.get() {
            let start = to_usize(piece.offset);
            buffer.copy_from_slice(&tree.bytes()[start..start + buffer.len()]);
        }
    }
}

/// A file system, and its hash tree after it: an image without a partition table.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) layout: Arc<ext4_layout::Layout>,
    pub(crate) tree: Arc<VerityTree>,
}

impl PieceSource for Appended {
    fn len(&self) -> u64 {
        self.layout.len() + self.tree.len()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let start = self.layout.len();
        let tree = self.tree.pieces().map(move |piece| Piece { offset: start + piece.offset, ..piece });
        Box::new(self.layout.pieces().chain(tree))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        match piece.offset.checked_sub(self.layout.len()) {
            Some(offset) => self.tree.generate(&Piece { offset, ..*piece }, buffer),
            None => self.layout.generate(piece, buffer),
        }
    }
}

/// A file system as an image of its own, with its files in their tree.
struct OfTree<'l> {
    layout: &'l ext4_layout::Layout,
    tree: TreeId,
}

impl PieceSource for OfTree<'_> {
    fn len(&self) -> u64 {
        self.layout.len()
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let tree = self.tree;
        Box::new(
            self.layout.pieces().map(move |piece| Piece { content: piece.content.in_tree(tree), ..piece }),
        )
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        self.layout.generate(piece, buffer);
    }
}

/// Passes bytes of an image to a hasher of data that begins at an offset.
struct Data<'h> {
    hasher: &'h TreeHasher,
    start: u64,
}

impl UnorderedObserver for Data<'_> {
    fn is_interested(&self, offset: u64, len: u64) -> bool {
        offset < self.start + self.hasher.data_len() && offset + len > self.start
    }

    fn bytes(&self, offset: u64, bytes: &[u8]) {
        let skipped = self.start.saturating_sub(offset);
        if self.is_interested(offset, to_u64(bytes.len())) {
            self.hasher.bytes(offset + skipped - self.start, &bytes[to_usize(skipped)..]);
        }
    }

    fn zeros(&self, offset: u64, len: u64) {
        let skipped = self.start.saturating_sub(offset);
        if self.is_interested(offset, len) {
            self.hasher.zeros(offset + skipped - self.start, len - skipped);
        }
    }
}

/// The hash trees of an image, and the files that have root hashes.
#[derive(Debug, Default)]
pub(crate) struct Verity {
    pub(crate) trees: Vec<Arc<VerityTree>>,
    /// Ascending by file.
    pub(crate) late: Vec<LateFile>,
}

impl Verity {
    /// Checks that the root hashes can be computed one after another.
    pub(crate) fn new(trees: Vec<Arc<VerityTree>>, mut late: Vec<LateFile>) -> Result<Self, Failure> {
        late.sort_by_key(|late| late.file);
        let verity = Self { trees, late };
        let mut done: Vec<VolumeRef> = Vec::new();
        while let Some(next) = verity.next(&done) {
            done.push(next.of);
        }
        let is_stuck = |late: &&LateFile| late.inside.is_some_and(|inside| !done.contains(&inside));
        match verity.late.iter().find(is_stuck) {
            None => Ok(verity),
            Some(late) => Err(Failure::new(
                FailureKind::Plan,
                late.at.key("text"),
                "two file systems have the root hash of each other",
                "leave one of the two out",
            )),
        }
    }

    /// A tree that is not among `done`, and whose file system has only root hashes of these.
    fn next(&self, done: &[VolumeRef]) -> Option<&VerityTree> {
        let is_ready = |tree: &&Arc<VerityTree>| {
            let mut inside = self.late.iter().filter(|late| late.inside == Some(tree.of));
            !done.contains(&tree.of) && inside.all(|late| late.needs().all(|of| done.contains(&of)))
        };
        self.trees.iter().find(is_ready).map(|tree| &**tree)
    }

    pub(crate) fn root_hash(&self, of: VolumeRef) -> Option<RootHash> {
        self.trees.iter().find(|tree| tree.of == of)?.root_hash()
    }

    /// Whether all root hashes are known.
    pub(crate) fn is_complete(&self) -> bool {
        self.trees.iter().all(|tree| tree.root_hash().is_some())
            && self.late.iter().all(LateFile::is_complete)
    }

    /// Whether a file system with a tree has root hashes of others. Then those must be known before it is read.
    fn is_nested(&self) -> bool {
        self.late.iter().any(|late| late.inside.is_some())
    }

    fn finish(&self, tree: &VerityTree, hasher: &TreeHasher) -> Result<(), Failure> {
        let finished = hasher.finish().map_err(|error| Failure::internal("plan.filesystem.verity", error))?;
        // Another thread would come to the same tree.
        let _ = tree.finished.set(finished);
        self.late.iter().for_each(|late| late.complete(|of| self.root_hash(of)));
        Ok(())
    }
}

impl Prepared<'_> {
    /// The file system of a reference.
    fn volume_of(&self, of: VolumeRef) -> Option<&Volume<'_>> {
        let VolumeRef::Partition(index) = of else { return Some(&self.root) };
        match &self.parts.get(index)?.content {
            PartContent::Root => Some(&self.root),
            PartContent::Ext4(volume) => Some(volume),
            _ => None,
        }
    }

    /// The hash trees of the image: the root's first, the others in the order of their file systems.
    #[must_use]
    pub fn verity_trees(&self) -> &[Arc<VerityTree>] {
        &self.verity.trees
    }

    /// Whether a file system has a hash tree, by its name as in [`Self::root_hash`].
    #[must_use]
    pub fn has_root_hash(&self, name: &str) -> bool {
        volume(name, self.plan).is_some()
    }

    /// The root hash of a file system, as `plan.disk.partitions[].content.of` names it, once it is known. `None` also if the file
    /// system has no hash tree.
    #[must_use]
    pub fn root_hash(&self, name: &str) -> Option<RootHash> {
        self.verity.root_hash(volume(name, self.plan)?)
    }

    /// The root hash of the file system in a partition, or of the one whose hash tree the partition has.
    pub(crate) fn root_hash_of(&self, index: usize) -> Option<RootHash> {
        let of = match &self.parts.get(index)?.content {
            PartContent::Root => VolumeRef::Root,
            PartContent::Ext4(_) => VolumeRef::Partition(index),
            PartContent::Verity(tree) => tree.of,
            _ => return None,
        };
        self.verity.root_hash(of)
    }

    /// Computes the root hashes of all hash trees, and everything that depends on them. Reads the contents of their file systems,
    /// which [`Self::write`] then reads again. Does nothing if they are known.
    ///
    /// # Errors
    /// If a source can't be read, or changed.
    pub fn compute_root_hashes(
        &self,
        options: &image_assembly::Options,
        observer: &dyn Observer,
    ) -> Result<(), Failure> {
        if self.verity.is_complete() {
            return Ok(());
        }
        let bytes = self.verity.trees.iter().map(|tree| tree.geometry.data_blocks() * BLOCK).sum();
        run_stage(observer, (Stage::Hash, Unit::Bytes, bytes), || {
            let files = ScannedFiles::of(self.trees());
            let contents = LateContents { files: &files, late: &self.verity.late };
            let mut done = Vec::new();
            while let Some(tree) = self.verity.next(&done) {
                let volume = self.volume_of(tree.of);
                let volume =
                    volume.ok_or_else(|| Failure::internal("plan.disk", "a file system is missing"))?;
                let image = OfTree { layout: &volume.layout, tree: volume.tree };
                let hasher = tree.hasher();
                let data = Data { hasher: &hasher, start: 0 };
                read_image(&image, &contents, options, &data, &|bytes| observer.advance(bytes))?;
                self.verity.finish(tree, &hasher)?;
                done.push(tree.of);
            }
            self.set_guids();
            Ok(())
        })
    }

    /// The partitions whose GUID is half of a root hash.
    fn late_guids(&self) -> impl Iterator<Item = usize> {
        let parts = self.parts.iter().enumerate();
        parts.filter_map(|(index, part)| {
            let has_hash = match &part.content {
                PartContent::Verity(_) => true,
                _ => has_tree(self.plan, part.plan),
            };
            (has_hash && is_found_by_root_hash(part.plan)).then_some(index)
        })
    }

    /// Whether the partition table depends on root hashes.
    pub(crate) fn has_late_guids(&self) -> bool {
        self.late_guids().next().is_some()
    }

    /// Sets the GUIDs of partitions that are found by the root hash.
    fn set_guids(&self) {
        let guid = |index: usize| {
            let [data, tree] = self.root_hash_of(index)?.guids();
            let is_tree = matches!(self.parts.get(index)?.content, PartContent::Verity(_));
            Some((index, if is_tree { tree } else { data }))
        };
        let guids: Vec<_> = self.late_guids().filter_map(guid).collect();
        if let Some(disk) = self.disk.as_ref().filter(|_| !guids.is_empty()) {
            disk.set_partition_guids(&guids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salt_and_uuid_are_derived_from_the_file_system() {
        let derived = |uuid| parameters(uuid, &VerityPlan::default()).unwrap();
        let one = derived([1; 16]);
        assert_eq!(one, derived([1; 16]));
        assert_eq!(one.salt().len(), 32);
        assert_eq!((one.uuid()[6] >> 4, one.uuid()[8] >> 6), (8, 2));
        assert_ne!(one.salt(), derived([2; 16]).salt());
        assert_ne!(one.uuid(), derived([2; 16]).uuid());
        let given = VerityPlan { salt: Some(Vec::new()), uuid: Some([3; 16]) };
        assert_eq!(parameters([1; 16], &given), Parameters::new([3; 16], Vec::new()));
    }
}
