//! Merges all sources in the order of the finished tree: depth first, entries by the bytes of their names.
//!
//! Directories of several sources become one. Anything else at the same path is a conflict. The merge records it and continues,
//! to find all conflicts at once. The stack of directories is on the heap.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use image_tree::{ImagePath, escaped, narrow, to_u64};
use snugfs_plan::AttributesPlan;

use crate::attributes::Attributes;
use crate::error::ScanError;
use crate::found::{DirectoryId, Found, FoundDirectory, Kind};
use crate::plan_tree::{LOST_AND_FOUND, PlanId, PlanItem, PlanTree, SourceRef};
use crate::sources::{Replaced, Sources};

/// The origin of a directory's metadata.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DirectoryOwner<'a> {
    /// No source describes it.
    Implied,
    /// No source describes it, and it is `/lost+found`.
    LostAndFound,
    /// The store.
    Store,
    /// A tree.
    Tree { source: usize, directory: DirectoryId },
    /// An entry of the plan.
    Planned(PlanItem<'a>),
}

/// An entry that is not a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Leaf<'a> {
    Found { source: usize, directory: DirectoryId, index: usize, kind: Kind },
    Planned(PlanItem<'a>),
}

/// The attributes that apply to a path: its own, and the recursive ones of the directories above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathAttributes {
    pub(crate) inherited: Option<usize>,
    /// The rank of the exact path.
    pub(crate) own: Option<usize>,
    /// Patterns that match the path, an index of [`Merge::sets`].
    pub(crate) matched: Option<usize>,
}

impl PathAttributes {
    pub(crate) fn is_empty(self) -> bool {
        self.inherited.is_none() && self.own.is_none() && self.matched.is_none()
    }
}

/// A step of the depth-first order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    Enter { name: &'a [u8], owner: DirectoryOwner<'a>, applied: PathAttributes },
    Leaf { name: &'a [u8], leaf: Leaf<'a>, applied: PathAttributes },
    Leave,
}

/// A source that has a name.
#[derive(Clone, Copy, Debug)]
enum Contributor {
    Found { source: usize, directory: DirectoryId, index: usize },
    Plan(PlanId),
}

#[derive(Debug)]
enum Items<'a> {
    /// A directory of a single source, without entries of the plan below it.
    One { source: usize, id: DirectoryId, directory: &'a FoundDirectory },
    /// Sorted by name. Items with the same name are in the order of the sources, the plan last.
    Many(Vec<(&'a [u8], Contributor)>),
}

#[derive(Debug)]
struct Frame<'a> {
    name: &'a [u8],
    /// Recursive attributes that apply to everything below, an index of [`Merge::chains`].
    chain: Option<usize>,
    items: Items<'a>,
    next: usize,
    /// Length of the path of the directory above in [`Merge::directory`].
    above: usize,
}

/// The merge of all sources.
#[derive(Debug)]
pub(crate) struct Merge<'a> {
    sources: &'a Sources<'a>,
    plan: &'a PlanTree<'a>,
    found: &'a Found,
    stack: Vec<Frame<'a>>,
    /// Recursive attributes, each with the index of those above it.
    chains: Vec<(Option<usize>, usize)>,
    attributes: &'a Attributes<'a>,
    /// The path of the current directory, without a `/` at the end.
    directory: Vec<u8>,
    /// The sets of patterns that match a path, each once.
    sets: Vec<Vec<usize>>,
    set_ids: HashMap<Vec<usize>, usize>,
    pub(crate) errors: Vec<ScanError>,
    pub(crate) replaced: Vec<Replaced>,
}

/// A claim to a path.
struct Claim<'a> {
    source_ref: SourceRef<'a>,
    leaf: Option<Leaf<'a>>,
    store_path: bool,
}

impl<'a> Merge<'a> {
    /// Starts in the root directory. The caller sets its metadata.
    pub(crate) fn new(
        sources: &'a Sources<'a>,
        (plan, attributes): (&'a PlanTree<'a>, &'a Attributes<'a>),
        found: &'a Found,
    ) -> Self {
        let mut merge = Self {
            sources,
            plan,
            found,
            stack: Vec::new(),
            chains: Vec::new(),
            attributes,
            directory: Vec::new(),
            sets: Vec::new(),
            set_ids: HashMap::new(),
            errors: Vec::new(),
            replaced: Vec::new(),
        };
        merge.push(b"", merge.root_attributes(), Vec::new(), Some(PlanId::ROOT));
        merge
    }

    /// The attributes of the root directory. No pattern matches it.
    pub(crate) fn root_attributes(&self) -> PathAttributes {
        PathAttributes { inherited: None, own: self.plan.node(PlanId::ROOT).attributes, matched: None }
    }

    /// The origin of the root directory's metadata.
    pub(crate) fn root_owner(&mut self) -> DirectoryOwner<'a> {
        match self.plan.node(PlanId::ROOT).item {
            Some(item) if item.is_directory() => DirectoryOwner::Planned(item),
            Some(item) => {
                self.errors.push(ScanError::NeedsDirectory {
                    path: "/".to_owned(),
                    one: item.source_ref().id(),
                    other: SourceRef::FileSystem.id(),
                });
                DirectoryOwner::Implied
            }
            None => DirectoryOwner::Implied,
        }
    }

    /// The attributes of a rank, with their path.
    pub(crate) fn attributes(&self, rank: usize) -> (&'a ImagePath, &'a AttributesPlan) {
        let rule = self.attributes.rule(rank);
        (rule.path, rule.plan)
    }

    /// The attributes of an entry of the current directory.
    fn applied(&mut self, name: &[u8], inherited: Option<usize>, own: Option<usize>) -> PathAttributes {
        let matched = if self.attributes.has_patterns() { self.matched(name) } else { None };
        PathAttributes { inherited, own, matched }
    }

    /// The set of patterns that match an entry of the current directory.
    fn matched(&mut self, name: &[u8]) -> Option<usize> {
        let len = self.directory.len();
        self.directory.push(b'/');
        self.directory.extend_from_slice(name);
        let found = self.attributes.matches(&self.directory);
        self.directory.truncate(len);
        if found.is_empty() {
            return None;
        }
        let new = self.sets.len();
        let id = *self.set_ids.entry(found.clone()).or_insert(new);
        if id == new {
            self.sets.push(found);
        }
        Some(id)
    }

    /// Patterns that have matched nothing. To be called after the last step.
    pub(crate) fn unused_patterns(&self) -> Vec<&'a ImagePath> {
        let used: BTreeSet<usize> = self.sets.iter().flatten().copied().collect();
        let patterns = self.attributes.patterns().iter().filter(|rank| !used.contains(rank));
        patterns.map(|rank| self.attributes.rule(*rank).path).collect()
    }

    /// Ranks of the attributes that apply to a path, ascending.
    pub(crate) fn positions(&self, applied: PathAttributes) -> Vec<usize> {
        let mut found: Vec<usize> =
            applied.own.into_iter().chain(self.set(applied).iter().copied()).collect();
        let mut at = applied.inherited;
        while let Some(id) = at {
            let (above, attributes) = self.chains[id];
            found.push(attributes);
            at = above;
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn set(&self, applied: PathAttributes) -> &[usize] {
        applied.matched.map_or(&[], |id| &self.sets[id])
    }

    /// The path of an entry of the current directory, for messages.
    pub(crate) fn path(&self, name: &[u8]) -> String {
        self.path_of(self.stack.len(), name)
    }

    fn path_of(&self, depth: usize, name: &[u8]) -> String {
        let mut path = String::new();
        for part in self.stack.iter().take(depth).skip(1).map(|frame| frame.name).chain([name]) {
            path.push('/');
            path.push_str(&escaped(part).to_string());
        }
        path
    }

    /// The path of the entry of the last step. A directory is on the stack then.
    pub(crate) fn path_above(&self, name: &[u8], directory: bool) -> String {
        if directory { self.path_of(self.stack.len() - 1, name) } else { self.path(name) }
    }

    /// The next step; `None` at the end of the root directory.
    pub(crate) fn step(&mut self) -> Option<Step<'a>> {
        loop {
            let frame = self.stack.last_mut()?;
            match &frame.items {
                Items::One { source, id, directory } => {
                    let (source, id, directory) = (*source, *id, *directory);
                    let index = frame.next;
                    if index < directory.len() {
                        frame.next += 1;
                        let inherited = frame.chain;
                        return Some(self.single(source, id, index, inherited));
                    }
                }
                Items::Many(items) => {
                    let rest = &items[frame.next..];
                    if let Some((name, _)) = rest.first() {
                        let len = rest.iter().take_while(|item| item.0 == *name).count();
                        let (name, inherited) = (*name, frame.chain);
                        let step = if let (1, Some(&(_, alone))) = (len, rest.first()) {
                            frame.next += 1;
                            self.several(name, &[alone], inherited)
                        } else {
                            let run: Vec<Contributor> = rest.iter().take(len).map(|item| item.1).collect();
                            frame.next += len;
                            self.several(name, &run, inherited)
                        };
                        if step.is_some() {
                            return step;
                        }
                        continue;
                    }
                }
            }
            let above = frame.above;
            self.stack.pop();
            self.directory.truncate(above);
            return if self.stack.is_empty() { None } else { Some(Step::Leave) };
        }
    }

    /// A name of only one source.
    fn single(&mut self, source: usize, id: DirectoryId, index: usize, inherited: Option<usize>) -> Step<'a> {
        let directory = self.found.directory(id);
        let (name, kind) = (directory.name(index), directory.kind(index));
        let applied = self.applied(name, inherited, None);
        match kind {
            Kind::Directory(child) => {
                self.push(name, applied, vec![(source, child)], None);
                Step::Enter { name, owner: self.found_owner(source, child), applied }
            }
            _ => Step::Leaf { name, leaf: Leaf::Found { source, directory: id, index, kind }, applied },
        }
    }

    /// A name of the plan or of several sources.
    fn several(&mut self, name: &'a [u8], run: &[Contributor], inherited: Option<usize>) -> Option<Step<'a>> {
        if let [Contributor::Found { source, directory, index }] = *run {
            return Some(self.single(source, directory, index, inherited));
        }
        let planned = run.iter().find_map(|contributor| match contributor {
            Contributor::Plan(id) => Some(*id),
            Contributor::Found { .. } => None,
        });
        let run = &self.without_replaced(name, run);
        let claims = self.claims(run);
        let node = planned.map(|id| self.plan.node(id));
        let own = node.and_then(|node| node.attributes);
        if self.conflicts(name, &claims) {
            return None;
        }
        let is_made = !claims.is_empty() || node.is_some_and(|node| node.wanted);
        let applied = if is_made {
            self.applied(name, inherited, own)
        } else {
            PathAttributes { inherited, own, matched: None }
        };
        match claims.first() {
            None if !node.is_some_and(|node| node.wanted) => {
                self.unused_attributes(planned.into_iter());
                None
            }
            Some(Claim { leaf: Some(leaf), .. }) => {
                self.unused_attributes(node.into_iter().flat_map(|node| node.children.values().copied()));
                Some(Step::Leaf { name, leaf: *leaf, applied })
            }
            _ => {
                let layers = self.layers(run);
                let owner = self.owner(name, run, planned);
                self.push(name, applied, layers, planned);
                Some(Step::Enter { name, owner, applied })
            }
        }
    }

    /// Leaves out files of trees that a later tree replaces.
    fn without_replaced(&mut self, name: &[u8], run: &[Contributor]) -> Vec<Contributor> {
        let mut kept: Vec<Contributor> = Vec::new();
        for &contributor in run {
            if let Some(by) = self.leaf_of_tree(contributor)
                && self.sources.trees[by].later_wins
            {
                let replaced = kept.iter().filter_map(|earlier| self.leaf_of_tree(*earlier));
                let replaced: Vec<usize> = replaced.collect();
                kept.retain(|earlier| self.leaf_of_tree(*earlier).is_none());
                for tree in replaced {
                    self.replaced.push(Replaced { path: self.path(name), tree, by });
                }
            }
            kept.push(contributor);
        }
        kept
    }

    /// The tree of an entry, if it is from a tree and not a directory.
    fn leaf_of_tree(&self, contributor: Contributor) -> Option<usize> {
        let Contributor::Found { source, directory, index } = contributor else { return None };
        let is_directory = matches!(self.found.directory(directory).kind(index), Kind::Directory(_));
        let tree = source.checked_sub(usize::from(self.sources.store.is_some()))?;
        (!is_directory).then_some(tree)
    }

    fn claims(&self, run: &[Contributor]) -> Vec<Claim<'a>> {
        let mut claims = Vec::new();
        for contributor in run {
            match *contributor {
                Contributor::Found { source, directory, index } => {
                    let kind = self.found.directory(directory).kind(index);
                    let leaf = (!matches!(kind, Kind::Directory(_))).then_some(Leaf::Found {
                        source,
                        directory,
                        index,
                        kind,
                    });
                    let store_path = self.is_store(source) && directory.index() == source;
                    claims.push(Claim { source_ref: self.source_ref(source), leaf, store_path });
                }
                Contributor::Plan(id) => {
                    let node = self.plan.node(id);
                    if let Some(item) = node.item {
                        let leaf = (!item.is_directory()).then_some(Leaf::Planned(item));
                        claims.push(Claim { source_ref: item.source_ref(), leaf, store_path: false });
                    }
                    if let Some(source_ref) =
                        node.needed_by.filter(|_| !node.item.is_some_and(PlanItem::is_directory))
                    {
                        claims.push(Claim { source_ref, leaf: None, store_path: false });
                    }
                }
            }
        }
        claims
    }

    /// Records the conflicts between claims. Returns whether there are any.
    fn conflicts(&mut self, name: &[u8], claims: &[Claim<'a>]) -> bool {
        if claims.len() < 2 {
            return false;
        }
        let path = self.path(name);
        if claims.iter().any(|claim| claim.store_path) {
            for claim in claims.iter().filter(|claim| !claim.store_path) {
                self.errors
                    .push(ScanError::InsideStorePath { path: path.clone(), one: claim.source_ref.id() });
            }
            return true;
        }
        let Some(first) = claims.iter().position(|claim| claim.leaf.is_some()) else { return false };
        let one = claims[first].source_ref.id();
        for (_, claim) in claims.iter().enumerate().filter(|(index, _)| *index != first) {
            let (path, one, other) = (path.clone(), one.clone(), claim.source_ref.id());
            self.errors.push(match claim.leaf {
                Some(_) => ScanError::Conflict { path, one, other },
                None => ScanError::NeedsDirectory { path, one, other },
            });
        }
        true
    }

    /// Records attributes that apply to nothing.
    fn unused_attributes(&mut self, nodes: impl Iterator<Item = PlanId>) {
        for index in nodes.flat_map(|id| self.plan.attributes_below(id)) {
            let (path, _) = self.attributes(index);
            self.errors.push(ScanError::MissingPath { path: path.clone() });
        }
    }

    /// The directories of sources that are merged.
    fn layers(&self, run: &[Contributor]) -> Vec<(usize, DirectoryId)> {
        run.iter()
            .filter_map(|contributor| match *contributor {
                Contributor::Found { source, directory, index } => {
                    match self.found.directory(directory).kind(index) {
                        Kind::Directory(child) => Some((source, child)),
                        _ => None,
                    }
                }
                Contributor::Plan(_) => None,
            })
            .collect()
    }

    /// The origin of a directory's metadata: the entry, else the last tree, else implied.
    fn owner(&self, name: &[u8], run: &[Contributor], planned: Option<PlanId>) -> DirectoryOwner<'a> {
        if let Some(item) = planned.and_then(|id| self.plan.node(id).item) {
            return DirectoryOwner::Planned(item);
        }
        if let Some(&(source, child)) = self.layers(run).last() {
            return self.found_owner(source, child);
        }
        if self.stack.len() == 1 && name == LOST_AND_FOUND {
            return DirectoryOwner::LostAndFound;
        }
        DirectoryOwner::Implied
    }

    fn found_owner(&self, source: usize, directory: DirectoryId) -> DirectoryOwner<'a> {
        if self.is_store(source) { DirectoryOwner::Store } else { DirectoryOwner::Tree { source, directory } }
    }

    /// Opens a directory with everything below it: directories of sources, entries of the plan, sources with this target.
    fn push(
        &mut self,
        name: &'a [u8],
        applied: PathAttributes,
        mut layers: Vec<(usize, DirectoryId)>,
        planned: Option<PlanId>,
    ) {
        let mut chain = applied.inherited;
        let own = applied.own.into_iter().chain(self.set(applied).iter().copied());
        let recursive: Vec<usize> = own.filter(|rank| self.attributes(*rank).1.recursive).collect();
        for rank in recursive {
            self.chains.push((chain, rank));
            chain = Some(self.chains.len() - 1);
        }
        let node = planned.map(|id| self.plan.node(id));
        let mounted = node.into_iter().flat_map(|node| &node.mounted);
        let root = |source| DirectoryId(narrow(to_u64(source), "the walk numbers the roots of the sources"));
        layers.extend(mounted.map(|&source| (source, root(source))));
        layers.sort_by_key(|layer| layer.0);
        let children = node.map(|node| &node.children).filter(|children| !children.is_empty());
        let items = match (layers.as_slice(), children) {
            (&[(source, id)], None) => Items::One { source, id, directory: self.found.directory(id) },
            _ => Items::Many(self.gather(&layers, children)),
        };
        let above = self.directory.len();
        if !self.stack.is_empty() {
            self.directory.push(b'/');
            self.directory.extend_from_slice(name);
        }
        self.stack.push(Frame { name, chain, items, next: 0, above });
    }

    /// All items of a directory, sorted by name.
    fn gather(
        &self,
        layers: &[(usize, DirectoryId)],
        children: Option<&'a BTreeMap<&'a [u8], PlanId>>,
    ) -> Vec<(&'a [u8], Contributor)> {
        let mut all = Vec::new();
        for &(source, id) in layers {
            let directory = self.found.directory(id);
            let contributor = |index| Contributor::Found { source, directory: id, index };
            all.extend((0..directory.len()).map(|index| (directory.name(index), contributor(index))));
        }
        all.extend(children.into_iter().flatten().map(|(&name, &id)| (name, Contributor::Plan(id))));
        // The sort is stable, so items with the same name stay in the order of the sources.
        all.sort_by(|a, b| a.0.cmp(b.0));
        all
    }

    fn is_store(&self, source: usize) -> bool {
        source == 0 && self.sources.store.is_some()
    }

    fn source_ref(&self, source: usize) -> SourceRef<'a> {
        match source.checked_sub(usize::from(self.sources.store.is_some())) {
            Some(tree) => SourceRef::Tree(tree),
            None => SourceRef::Closure,
        }
    }
}
