//! Root hashes of a raw file, computed from the bytes that are written. What depends on them is written last.

use std::collections::BTreeMap;
use std::ops::Range;

use dm_verity::TreeHasher;
use image_assembly::{AssemblyError, Patches, Put, UnorderedObserver};
use image_tree::{Content, FileRef, Piece, PieceSource, to_usize};

use super::{Data, LateFile, VerityTree};
use crate::failure::Failure;
use crate::parts::PartContent;
use crate::prepare::Prepared;

/// Computes the root hashes of an image while it is written.
pub(crate) struct OnePass<'p> {
    prepared: &'p Prepared<'p>,
    hashers: Vec<(&'p VerityTree, u64, TreeHasher)>,
}

impl<'p> OnePass<'p> {
    /// `None` if the root hashes are known, or if some must be known before others.
    pub(crate) fn new(prepared: &'p Prepared<'p>) -> Option<Self> {
        let verity = &prepared.verity;
        if verity.is_complete() || verity.is_nested() {
            return None;
        }
        let start = |tree: &'p VerityTree| match &prepared.disk {
            None => Some(0),
            Some(disk) => {
                let is_data = |part: &crate::parts::Part<'_>, index| match part.content {
                    PartContent::Root => tree.of == snugfs_plan::VolumeRef::Root,
                    PartContent::Ext4(_) => tree.of == snugfs_plan::VolumeRef::Partition(index),
                    _ => false,
                };
                let parts = prepared.parts.iter().enumerate();
                let found = parts.zip(disk.partitions()).find(|((index, part), _)| is_data(part, *index));
                found.map(|(_, place)| place.start)
            }
        };
        let hashers = verity.trees.iter().map(|tree| Some((&**tree, start(tree)?, tree.hasher())));
        Some(Self { prepared, hashers: hashers.collect::<Option<_>>()? })
    }

    fn data(&self) -> impl Iterator<Item = Data<'_>> {
        self.hashers.iter().map(|(_, start, hasher)| Data { hasher, start: *start })
    }
}

impl UnorderedObserver for OnePass<'_> {
    fn is_interested(&self, offset: u64, len: u64) -> bool {
        self.data().any(|data| data.is_interested(offset, len))
    }

    fn bytes(&self, offset: u64, bytes: &[u8]) {
        self.data().for_each(|data| data.bytes(offset, bytes));
    }

    fn zeros(&self, offset: u64, len: u64) {
        self.data().for_each(|data| data.zeros(offset, len));
    }
}

/// Where the bytes of a piece that is written last come from.
enum Origin<'p> {
    /// A hash tree, or the partition table.
    Generated,
    /// A file with root hashes, from an offset.
    Text(&'p LateFile, u64),
}

impl<'p> OnePass<'p> {
    /// The trees, the files with root hashes, and the partition table if it gets other GUIDs.
    fn patches(&self) -> impl Iterator<Item = (Piece, Origin<'p>)> {
        let prepared = self.prepared;
        let mut ranges = prepared.tree_ranges();
        if prepared.has_late_guids()
            && let Some(disk) = &prepared.disk
        {
            ranges.extend(disk.table_ranges());
        }
        let late: BTreeMap<FileRef, &LateFile> =
            prepared.verity.late.iter().map(|late| (late.file, late)).collect();
        prepared.image().pieces().filter_map(move |piece| match piece.content {
            Content::Metadata => {
                let is_late = ranges.iter().any(|range| range.contains(&piece.offset));
                is_late.then_some((piece, Origin::Generated))
            }
            Content::File { file, offset } => Some((piece, Origin::Text(late.get(&file)?, offset))),
            _ => None,
        })
    }
}

impl Patches for OnePass<'_> {
    fn ranges(&self) -> Vec<Range<u64>> {
        self.patches().map(|(piece, _)| piece.offset..piece.offset + piece.len).collect()
    }

    fn apply(&self, put: &mut Put<'_>) -> Result<(), AssemblyError> {
        for (tree, _, hasher) in &self.hashers {
            let rejected = |failure: Failure| AssemblyError::Rejected(Box::new(failure));
            self.prepared.verity.finish(tree, hasher).map_err(rejected)?;
        }
        self.prepared.set_guids();
        let image = self.prepared.image();
        let mut buffer = Vec::new();
        for (piece, origin) in self.patches() {
            match origin {
                Origin::Generated => {
                    buffer.clear();
                    buffer.resize(to_usize(piece.len), 0);
                    image.generate(&piece, &mut buffer);
                    put(piece.offset, &buffer)?;
                }
                Origin::Text(late, offset) => {
                    let start = to_usize(offset);
                    put(piece.offset, &late.bytes()[start..start + to_usize(piece.len)])?;
                }
            }
        }
        Ok(())
    }
}

impl Prepared<'_> {
    /// The places of the hash trees in the image, in \[bytes\].
    pub(crate) fn tree_ranges(&self) -> Vec<Range<u64>> {
        let Some(disk) = &self.disk else {
            let start = self.root.layout.len();
            return self.verity.trees.iter().map(|_| start..self.bytes()).collect();
        };
        let places = self.parts.iter().zip(disk.partitions());
        let trees = places.filter(|(part, _)| matches!(part.content, PartContent::Verity(_)));
        trees.map(|(_, place)| place.start..place.start + place.len).collect()
    }
}
