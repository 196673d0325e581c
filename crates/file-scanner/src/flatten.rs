//! Builds the tree from the merged sources in one pass. A pass before it is needed only if attributes can apply to a file by a
//! later one of its names.

use std::collections::{BTreeSet, HashMap};

use image_tree::{
    FileSource, Inode, Metadata, MetadataId, Name, NodeId, Permissions, SpecialKind, Timestamp, TreeWriter,
    shown, to_u64, to_usize,
};
use snugfs_plan::{EntryKind, TreeKind};

use crate::attributes::Attributes;
use crate::error::ScanError;
use crate::errors::Located;
use crate::found::{DirectoryId, Found, HostMetadata, Kind, Place};
use crate::merge::{DirectoryOwner, Leaf, Merge, PathAttributes, Step};
use crate::metadata::{self, InodeKind};
use crate::plan_tree::{PlanItem, PlanTree};
use crate::scan::EntryFiles;
use crate::sources::{Scan, Sources};
use crate::warnings::{self, Warnings};
use crate::{
    mounts,
    owners::{Namespace, Shown},
};

/// An inode with several names, and its source.
type LinkedInode = (usize, Inode);

/// Number of errors after which the scan stops, far more than are shown.
const ENOUGH: usize = 10_000;

struct Flatten<'a> {
    sources: &'a Sources<'a>,
    found: &'a Found,
    files: &'a EntryFiles,
    merge: Merge<'a>,
    writer: TreeWriter,
    /// The nodes of inodes with several names. Never iterated, because the order is random.
    links: HashMap<LinkedInode, NodeId>,
    /// Attributes that apply to an inode by any of its names. Never iterated.
    link_attributes: HashMap<LinkedInode, BTreeSet<usize>>,
    /// Metadata by permissions. A store has only few, so this list is faster than a map.
    store: Vec<(Permissions, MetadataId)>,
    warnings: Warnings,
    namespace: Namespace,
    /// Ranks of attributes that set modes in store paths.
    store_modes: BTreeSet<usize>,
}

/// Merges all sources into one tree, or returns all errors. `namespace` is that of this process.
pub(crate) fn flatten<'a>(
    sources: &'a Sources<'a>,
    plan: (&'a PlanTree<'a>, &'a Attributes<'a>),
    found: &'a Found,
    files: &'a EntryFiles,
    namespace: Namespace,
) -> Result<Scan, Vec<Located>> {
    let link_attributes = if !plan.1.is_empty() && found.has_links() {
        link_attributes(Merge::new(sources, plan, found), found)
    } else {
        HashMap::new()
    };
    let mut merge = Merge::new(sources, plan, found);
    let mut root = match merge.root_owner() {
        DirectoryOwner::Planned(PlanItem::Entry(_, _, entry)) => {
            metadata::of_entry(entry, Permissions::DIRECTORY, sources.timestamp)
        }
        _ => Metadata::root_owned(Permissions::DIRECTORY, sources.timestamp),
    };
    for position in merge.positions(merge.root_attributes()) {
        metadata::apply(&mut root, merge.attributes(position).1, InodeKind::Directory);
    }
    let mut writer = TreeWriter::new(root, files.origins.clone());
    let ((found_nodes, found_bytes), (plan_nodes, plan_bytes)) = (found.totals(), plan.0.totals());
    writer.reserve(found_nodes + plan_nodes, found_bytes + plan_bytes);
    let mut flatten = Flatten {
        sources,
        found,
        files,
        merge,
        writer,
        links: HashMap::new(),
        link_attributes,
        store: Vec::new(),
        warnings: Warnings::new(sources.trees.len()),
        namespace,
        store_modes: BTreeSet::new(),
    };
    let errors = flatten.run();
    if errors.is_empty() {
        let mut warnings = flatten.warnings.finish();
        warnings.extend(mounts::warnings(found, usize::from(sources.store.is_some())));
        warnings.extend(warnings::inflated(found, files));
        let own = found.own_in_trees(usize::from(sources.store.is_some()));
        let replaced = std::mem::take(&mut flatten.merge.replaced);
        Ok(Scan { tree: flatten.writer.finish(), warnings, replaced, own })
    } else {
        Err(errors)
    }
}

/// The attributes that apply to each inode with several names, by any of them.
fn link_attributes(mut merge: Merge<'_>, found: &Found) -> HashMap<LinkedInode, BTreeSet<usize>> {
    let mut reached: HashMap<LinkedInode, BTreeSet<usize>> = HashMap::new();
    while let Some(step) = merge.step() {
        let Step::Leaf { leaf: Leaf::Found { source, directory, index, .. }, applied, .. } = step else {
            continue;
        };
        if applied.is_empty() {
            continue;
        }
        if let Some(inode) = found.directory(directory).inode(index) {
            reached.entry((source, inode)).or_default().extend(merge.positions(applied));
        }
    }
    reached
}

impl<'a> Flatten<'a> {
    fn run(&mut self) -> Vec<Located> {
        let mut errors = Vec::new();
        while let Some(step) = self.merge.step() {
            let source = match step {
                Step::Enter { owner: DirectoryOwner::Tree { source, .. }, .. }
                | Step::Leaf { leaf: Leaf::Found { source, .. }, .. } => Some(source),
                _ => None,
            };
            if let Err(error) = self.write(step) {
                let hopeless = matches!(error, ScanError::TooMany | ScanError::Internal(_));
                errors.push(Located { source, error });
                if hopeless || errors.len() > ENOUGH {
                    break;
                }
            }
        }
        let mut all: Vec<Located> =
            std::mem::take(&mut self.merge.errors).into_iter().map(Located::from).collect();
        all.append(&mut errors);
        all.extend(self.store_modes().into_iter().map(Located::from));
        // Other errors can hide what a pattern would match.
        if all.is_empty() {
            let unused = self.merge.unused_patterns().into_iter();
            all.extend(unused.map(|path| ScanError::UnusedAttributes { path: path.clone() }.into()));
        }
        all
    }

    /// Errors of patterns that would set modes in store paths.
    fn store_modes(&self) -> Vec<ScanError> {
        let Some(store) = &self.sources.store else { return Vec::new() };
        let error = |rank: &usize| ScanError::StoreMode {
            path: self.merge.attributes(*rank).0.clone(),
            store_dir: store.store_dir.to_string(),
        };
        self.store_modes.iter().map(error).collect()
    }

    fn write(&mut self, step: Step<'a>) -> Result<(), ScanError> {
        match step {
            Step::Enter { name, owner, applied } => {
                // The directory is opened even if its metadata is wrong, to find errors of its entries.
                let metadata = self.directory(name, owner, applied);
                let (metadata, error) = match metadata {
                    Ok(metadata) => (metadata, None),
                    Err(error) => (self.store_metadata(Permissions::STORE_EXECUTABLE), Some(error)),
                };
                self.writer.begin_directory(valid(name)?, metadata).map_err(ScanError::of_tree)?;
                error.map_or(Ok(()), Err)
            }
            Step::Leave => {
                self.writer.end_directory();
                Ok(())
            }
            Step::Leaf { name, leaf: Leaf::Found { source, directory, index, kind }, applied } => {
                self.found_leaf(valid(name)?, FoundLeaf { source, directory, index, kind }, applied)
            }
            Step::Leaf { name, leaf: Leaf::Planned(item), applied } => {
                self.planned_leaf(valid(name)?, item, applied)
            }
        }
    }

    fn directory(
        &mut self,
        name: &[u8],
        owner: DirectoryOwner<'a>,
        applied: PathAttributes,
    ) -> Result<MetadataId, ScanError> {
        let time = self.sources.timestamp;
        let base = match owner {
            DirectoryOwner::Store if applied.is_empty() => {
                return Ok(self.store_metadata(Permissions::STORE_EXECUTABLE));
            }
            DirectoryOwner::Store => {
                self.refuse_store_mode(applied);
                Metadata::root_owned(Permissions::STORE_EXECUTABLE, Timestamp::STORE)
            }
            DirectoryOwner::LostAndFound => Metadata::root_owned(Permissions::from_mode(0o700), time),
            DirectoryOwner::Planned(PlanItem::Entry(_, _, entry)) => {
                metadata::of_entry(entry, Permissions::DIRECTORY, time)
            }
            DirectoryOwner::Implied | DirectoryOwner::Planned(PlanItem::Inline(_)) => {
                Metadata::root_owned(Permissions::DIRECTORY, time)
            }
            DirectoryOwner::Tree { source, directory } => {
                let own = self.found.directory(directory).own.as_deref();
                let (host, xattrs) = own.expect("invariant: the walk stores what a tree's directory has");
                let at = (directory, None);
                self.of_tree((name, source, (applied, None)), at, *host, InodeKind::Directory, xattrs)?
            }
        };
        Ok(self.with_attributes(base, applied, InodeKind::Directory, None))
    }

    fn found_leaf(
        &mut self,
        name: Name<'_>,
        leaf: FoundLeaf,
        applied: PathAttributes,
    ) -> Result<(), ScanError> {
        let FoundLeaf { source, directory, index, kind } = leaf;
        let found = self.found.directory(directory);
        let linked = found.inode(index).map(|inode| (source, inode));
        if let Some(&first) = linked.and_then(|linked| self.links.get(&linked)) {
            return self.writer.hard_link(name, first).map(drop).map_err(ScanError::of_tree);
        }
        let metadata = self.leaf_metadata(name.as_bytes(), leaf, linked, applied)?;
        let node = match kind {
            Kind::File { size, stamp, .. } => {
                let origin = |position| {
                    let origin = self.writer.origin(position);
                    origin.ok_or_else(|| ScanError::Internal("a source without an origin".to_owned()))
                };
                let bytes = match found.place(index) {
                    None => FileSource::Scanned { origin: origin(source)?, stamp },
                    Some(Place::Range { origin: of, offset }) => {
                        FileSource::Range { origin: origin(to_usize(of.into()))?, offset }
                    }
                    Some(Place::Segments { origin: of, index }) => {
                        FileSource::Segments { origin: origin(to_usize(of.into()))?, index }
                    }
                    Some(Place::Nowhere) => {
                        return Err(ScanError::Internal("a file without contents".to_owned()));
                    }
                };
                let node = self.writer.file(name, metadata, size, bytes);
                if let (Ok(_), Some(runs)) = (&node, found.data_runs(index)) {
                    self.writer.data_runs(runs.to_vec()).map_err(ScanError::of_tree)?;
                }
                node
            }
            Kind::Symlink { start, len } => {
                self.writer.symlink(name, metadata, found.target(index, start, len))
            }
            Kind::Special(special) => self.writer.special(name, metadata, special),
            Kind::Directory(_) => return Err(ScanError::Internal("a directory as an entry".to_owned())),
        };
        let node = node.map_err(ScanError::of_tree)?;
        if let Some(linked) = linked {
            self.links.insert(linked, node);
        }
        Ok(())
    }

    fn leaf_metadata(
        &mut self,
        name: &[u8],
        leaf: FoundLeaf,
        linked: Option<LinkedInode>,
        applied: PathAttributes,
    ) -> Result<MetadataId, ScanError> {
        let FoundLeaf { source, directory, index, kind } = leaf;
        let (inode_kind, canonical) = match kind {
            Kind::File { executable: true, .. } => (InodeKind::File, Permissions::STORE_EXECUTABLE),
            Kind::File { .. } => (InodeKind::File, Permissions::STORE_FILE),
            Kind::Symlink { .. } => (InodeKind::Symlink, Permissions::SYMLINK),
            Kind::Special(_) | Kind::Directory(_) => (InodeKind::Special, Permissions::STORE_FILE),
        };
        let found = self.found.directory(directory);
        if let Some(host) = found.metadata(index) {
            let at = (directory, Some(index));
            let base =
                self.of_tree((name, source, (applied, linked)), at, host, inode_kind, found.xattrs(index))?;
            return Ok(self.with_attributes(base, applied, inode_kind, linked));
        }
        if applied.is_empty() {
            return Ok(self.store_metadata(canonical));
        }
        self.refuse_store_mode(applied);
        Ok(self.with_attributes(Metadata::root_owned(canonical, Timestamp::STORE), applied, inode_kind, None))
    }

    fn planned_leaf(
        &mut self,
        name: Name<'_>,
        item: PlanItem<'a>,
        applied: PathAttributes,
    ) -> Result<(), ScanError> {
        let time = self.sources.timestamp;
        let (index, entry) = match item {
            PlanItem::Inline(file) => {
                let base = Metadata::root_owned(file.permissions, time);
                let metadata = self.with_attributes(base, applied, InodeKind::File, None);
                return self.inline(name, metadata, &file.bytes);
            }
            PlanItem::Entry(index, _, entry) => (index, entry),
        };
        let file = self.files.files.get(&index);
        let default = file.map_or(Permissions::from_mode(0o644), |file| file.permissions);
        let mut base = metadata::of_entry(entry, default, time);
        let inode_kind = match entry.kind {
            EntryKind::Text(_) | EntryKind::Source(_) | EntryKind::Slot(_) => InodeKind::File,
            EntryKind::Symlink(_) => {
                base.permissions = Permissions::SYMLINK;
                InodeKind::Symlink
            }
            _ => InodeKind::Special,
        };
        let metadata = self.with_attributes(base, applied, inode_kind, None);
        let special = match &entry.kind {
            EntryKind::Text(bytes) => return self.inline(name, metadata, bytes),
            EntryKind::Slot(bytes) => {
                let metadata = self.writer.metadata_of(metadata).clone();
                return self.writer.slot(name, &metadata, *bytes).map(drop).map_err(ScanError::of_tree);
            }
            EntryKind::Symlink(target) => {
                return self.writer.symlink(name, metadata, target).map(drop).map_err(ScanError::of_tree);
            }
            EntryKind::Source(_) => {
                let Some((file, origin)) =
                    file.and_then(|file| Some((file, self.writer.origin(file.origin)?)))
                else {
                    return Err(ScanError::Internal("a file without an origin".to_owned()));
                };
                let source = FileSource::Scanned { origin, stamp: file.stamp };
                self.writer.file(name, metadata, file.size, source).map_err(ScanError::of_tree)?;
                let runs = file.runs.clone().map_or(Ok(()), |runs| self.writer.data_runs(runs));
                return runs.map_err(ScanError::of_tree);
            }
            EntryKind::Directory => return Err(ScanError::Internal("a directory as an entry".to_owned())),
            EntryKind::Character { major, minor } => SpecialKind::Character { major: *major, minor: *minor },
            EntryKind::Block { major, minor } => SpecialKind::Block { major: *major, minor: *minor },
            EntryKind::Fifo => SpecialKind::Fifo,
        };
        self.writer.special(name, metadata, special).map(drop).map_err(ScanError::of_tree)
    }

    fn inline(&mut self, name: Name<'_>, metadata: MetadataId, bytes: &[u8]) -> Result<(), ScanError> {
        let source = self.writer.inline(bytes.to_vec());
        self.writer.file(name, metadata, to_u64(bytes.len()), source).map(drop).map_err(ScanError::of_tree)
    }

    /// The metadata of an entry of a tree.
    fn of_tree(
        &mut self,
        (name, source, reach): (&[u8], usize, (PathAttributes, Option<LinkedInode>)),
        at: (DirectoryId, Option<usize>),
        host: HostMetadata,
        inode_kind: InodeKind,
        xattrs: &[image_tree::Xattr],
    ) -> Result<Metadata, ScanError> {
        let tree = source - usize::from(self.sources.store.is_some());
        let plan = &self.sources.trees[tree];
        // The owners in an archive are numbers that no namespace changes.
        if plan.keep_owner == Some(true) && plan.kind == Some(TreeKind::Folder) {
            self.check_owner(tree, at, host)?;
        }
        match metadata::of_tree(plan, host, inode_kind, xattrs, self.sources.timestamp) {
            Ok((metadata, dropped)) => {
                if dropped && !self.sets_mode(reach) {
                    let merge = &self.merge;
                    self.warnings
                        .set_id_dropped(tree, || merge.path_above(name, inode_kind == InodeKind::Directory));
                }
                Ok(metadata)
            }
            Err(metadata::TimeOutOfRange) => {
                Err(ScanError::Time { path: shown(&self.found.host_path(at.0, at.1)) })
            }
        }
    }

    /// Fails if the owner is not mapped in the user namespace. Adds a warning if it may not be.
    fn check_owner(
        &mut self,
        tree: usize,
        at: (DirectoryId, Option<usize>),
        host: HostMetadata,
    ) -> Result<(), ScanError> {
        let namespace = self.namespace;
        let path = || shown(&self.found.host_path(at.0, at.1));
        let shown_as = [("owner", namespace.users, host.uid), ("group", namespace.groups, host.gid)]
            .map(|(whose, overflow, id)| (whose, id, overflow.shown(id)));
        if let Some(&(whose, id, _)) = shown_as.iter().find(|(.., shown)| *shown == Shown::Unmapped) {
            return Err(ScanError::UnmappedOwner { path: path(), whose, id });
        }
        if let Some(&(_, id, _)) = shown_as.iter().find(|(.., shown)| *shown == Shown::Ambiguous) {
            self.warnings.owner_in_doubt(tree, id, path);
        }
        Ok(())
    }

    /// The ranks of all attributes that apply to a path, or to an inode by any of its names.
    fn positions(&self, applied: PathAttributes, linked: Option<LinkedInode>) -> Vec<usize> {
        match linked.and_then(|linked| self.link_attributes.get(&linked)) {
            Some(reached) => reached.iter().copied().collect(),
            None => self.merge.positions(applied),
        }
    }

    /// Whether attributes set the permissions of a path.
    fn sets_mode(&self, (applied, linked): (PathAttributes, Option<LinkedInode>)) -> bool {
        let mut attributes = self.positions(applied, linked).into_iter();
        attributes.any(|at| self.merge.attributes(at).1.permissions.is_some())
    }

    /// Applies all attributes of a path, or of an inode by any of its names.
    fn with_attributes(
        &mut self,
        mut base: Metadata,
        applied: PathAttributes,
        inode_kind: InodeKind,
        linked: Option<LinkedInode>,
    ) -> MetadataId {
        for position in self.positions(applied, linked) {
            let (path, attributes) = self.merge.attributes(position);
            let all = metadata::apply(&mut base, attributes, inode_kind);
            if !all && applied.own == Some(position) {
                self.warnings.xattrs_left_out(path);
            }
        }
        self.writer.metadata(&base)
    }

    /// Records attributes that would set a mode in a store path. Those of exact paths are refused before the scan.
    fn refuse_store_mode(&mut self, applied: PathAttributes) {
        let positions = self.merge.positions(applied).into_iter();
        self.store_modes
            .extend(positions.filter(|&rank| self.merge.attributes(rank).1.permissions.is_some()));
    }

    fn store_metadata(&mut self, permissions: Permissions) -> MetadataId {
        if let Some(known) = self.store.iter().find(|known| known.0 == permissions) {
            return known.1;
        }
        let id = self.writer.metadata(&Metadata::root_owned(permissions, Timestamp::STORE));
        self.store.push((permissions, id));
        id
    }
}

/// An entry of a source that is not a directory.
#[derive(Clone, Copy)]
struct FoundLeaf {
    source: usize,
    directory: DirectoryId,
    index: usize,
    kind: Kind,
}

fn valid(name: &[u8]) -> Result<Name<'_>, ScanError> {
    // Linux has no other names, and those of the plan were checked.
    Name::new(name).map_err(|invalid| ScanError::Internal(invalid.to_string()))
}

#[cfg(test)]
mod tests;
