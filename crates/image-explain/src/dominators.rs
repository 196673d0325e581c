//! The dominator tree of the references. A path dominates another if all chains of references to the other lead through
//!
//! it. So without it, the other would not be in the image.
//!
//! Lengauer and Tarjan, "A fast algorithm for finding dominators in a flowgraph" (1979), in its simple form: m log n steps for
//! m references of n paths, for any graph. A flowgraph needs one start node; here it is the image, which refers to
//! all roots.

use crate::References;

/// The dominator tree. Paths are numbered by a depth-first walk; number 0 is the image.
#[derive(Debug)]
pub(crate) struct Dominators {
    /// By number: the path's index; `None` for the image.
    paths: Vec<Option<usize>>,
    /// By path index: the path's number.
    numbers: Vec<usize>,
    /// By number: the immediate dominator, a smaller number; 0 for the image.
    immediate: Vec<usize>,
}

impl Dominators {
    pub(crate) fn of(references: &References) -> Self {
        Walk::of(references).dominators(references)
    }

    /// The immediate dominator of a path; `None` if that is the image.
    pub(crate) fn dominator(&self, path: usize) -> Option<usize> {
        self.paths[self.immediate[self.numbers[path]]]
    }

    /// The nearest path that dominates all of these paths, possibly one of them; `None` if that is the image.
    pub(crate) fn common_dominator(&self, paths: impl IntoIterator<Item = usize>) -> Option<usize> {
        let numbers = paths.into_iter().map(|path| self.numbers[path]);
        let common = numbers.reduce(|mut one, mut other| {
            while one != other {
                if one > other {
                    one = self.immediate[one];
                } else {
                    other = self.immediate[other];
                }
            }
            one
        });
        self.paths[common.unwrap_or(0)]
    }

    /// For each path, the sum of its own value and of those of all paths that it dominates.
    pub(crate) fn sums(&self, values: &[u64]) -> Vec<u64> {
        let mut sums = values.to_vec();
        for (&path, &dominator) in self.paths.iter().zip(&self.immediate).rev() {
            if let (Some(path), Some(dominator)) = (path, self.paths[dominator]) {
                sums[dominator] += sums[path];
            }
        }
        sums
    }
}

/// The result of a depth-first walk from the image.
struct Walk {
    paths: Vec<Option<usize>>,
    numbers: Vec<usize>,
    /// By number: the parent in the walk's tree.
    parents: Vec<usize>,
}

impl Walk {
    fn of(references: &References) -> Self {
        let mut walk = Self { paths: vec![None], numbers: vec![0; references.len()], parents: vec![0] };
        let mut open = vec![(0, references.roots().iter())];
        while let Some((number, rest)) = open.last_mut() {
            let Some(&path) = rest.next() else {
                open.pop();
                continue;
            };
            if walk.numbers[path] == 0 {
                let next = walk.paths.len();
                walk.numbers[path] = next;
                walk.paths.push(Some(path));
                walk.parents.push(*number);
                open.push((next, references.references(path).iter()));
            }
        }
        walk
    }

    fn dominators(self, references: &References) -> Dominators {
        let count = self.paths.len();
        let mut forest = Forest::new(count);
        let mut dominators = vec![0; count];
        // By number: the nodes with this semidominator that are still to be processed.
        let mut buckets: Vec<Vec<usize>> = vec![Vec::new(); count];
        let mut is_root = vec![false; count];
        for &root in references.roots() {
            is_root[self.numbers[root]] = true;
        }
        for number in (1..count).rev() {
            let referrers = self.paths[number].map_or(&[][..], |path| references.referrers(path));
            let from_image = is_root[number].then_some(0);
            for before in referrers.iter().map(|&path| self.numbers[path]).chain(from_image) {
                let least = forest.least(before);
                forest.semi[number] = forest.semi[number].min(forest.semi[least]);
            }
            buckets[forest.semi[number]].push(number);
            let parent = self.parents[number];
            forest.link(parent, number);
            for other in std::mem::take(&mut buckets[parent]) {
                let least = forest.least(other);
                dominators[other] = if forest.semi[least] < forest.semi[other] { least } else { parent };
            }
        }
        for number in 1..count {
            if dominators[number] != forest.semi[number] {
                dominators[number] = dominators[dominators[number]];
            }
        }
        Dominators { paths: self.paths, numbers: self.numbers, immediate: dominators }
    }
}

/// The processed part of the walk's tree, with path compression.
struct Forest {
    /// By number: the semidominator as known so far.
    semi: Vec<usize>,
    /// By number: the ancestor in the forest; `None` for a root.
    ancestor: Vec<Option<usize>>,
    /// By number: the node with the least semidominator on the path to the root.
    label: Vec<usize>,
}

impl Forest {
    fn new(count: usize) -> Self {
        Self { semi: (0..count).collect(), ancestor: vec![None; count], label: (0..count).collect() }
    }

    fn link(&mut self, parent: usize, child: usize) {
        self.ancestor[child] = Some(parent);
    }

    /// The node with the least semidominator among `number` and its ancestors, except the root of its tree.
    fn least(&mut self, number: usize) -> usize {
        let mut path = Vec::new();
        let mut at = number;
        while let Some(ancestor) = self.ancestor[at] {
            if self.ancestor[ancestor].is_none() {
                break;
            }
            path.push(at);
            at = ancestor;
        }
        for &at in path.iter().rev() {
            let Some(ancestor) = self.ancestor[at] else { continue };
            if self.semi[self.label[ancestor]] < self.semi[self.label[at]] {
                self.label[at] = self.label[ancestor];
            }
            self.ancestor[at] = self.ancestor[ancestor];
        }
        self.label[number]
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Whether each path is still reachable from the roots without `without`.
    fn reached_without(references: &References, without: usize) -> Vec<bool> {
        let mut reached = vec![false; references.len()];
        let mut open: Vec<usize> =
            references.roots().iter().copied().filter(|&root| root != without).collect();
        while let Some(path) = open.pop() {
            if !std::mem::replace(&mut reached[path], true) {
                open.extend(references.references(path).iter().filter(|&&next| next != without));
            }
        }
        reached
    }

    fn graph() -> impl Strategy<Value = Vec<Vec<usize>>> {
        (1..14_usize).prop_flat_map(|count| vec(vec(0..count, 0..4), count))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Graphs include cycles and references of paths to themselves.
        #[test]
        fn sums_contain_exactly_the_paths_unreachable_without_a_path(to in graph()) {
            let references = References::new(to);
            let dominators = Dominators::of(&references);
            let values: Vec<u64> = (0..references.len()).map(|path| 1 << path).collect();
            let sums = dominators.sums(&values);
            for (path, &sum) in sums.iter().enumerate() {
                let reached = reached_without(&references, path);
                let leaves = |other: &usize| *other == path || !reached[*other];
                let expected: u64 = (0..references.len()).filter(leaves).map(|other| values[other]).sum();
                prop_assert_eq!(sum, expected, "{} of {:?}", path, references);
            }
        }
    }

    #[test]
    fn handles_a_long_chain_with_shortcuts_quickly() {
        const COUNT: usize = 200_000;
        let to = (0..COUNT).map(|path| [path + 1, path + 2, COUNT - 1, path / 2]);
        let to = to.map(|next| next.into_iter().filter(|&next| next < COUNT).collect()).collect();
        let references = References::new(to);
        let dominators = Dominators::of(&references);
        assert_eq!(dominators.dominator(COUNT - 1), Some(0));
        assert_eq!(dominators.dominator(0), None);
        assert_eq!(dominators.sums(&vec![1; COUNT])[0], u64::try_from(COUNT).unwrap());
    }

    #[test]
    fn finds_common_dominators() {
        // 0 refers to 1 and 2, these to 3; 4 has no references.
        let references = References::new(vec![vec![1, 2], vec![3], vec![3], vec![], vec![]]);
        let dominators = Dominators::of(&references);
        assert_eq!(dominators.dominator(3), Some(0));
        assert_eq!(dominators.common_dominator([1, 2]), Some(0));
        assert_eq!(dominators.common_dominator([3, 3]), Some(3));
        assert_eq!(dominators.common_dominator([1, 0]), Some(0));
        assert_eq!(dominators.common_dominator([3, 4]), None);
    }
}
