//! Without which store path another would not be there: the dominator tree of the references.
//!
//! Lengauer and Tarjan, "A fast algorithm for finding dominators in a flowgraph" (1979), in its simple form: m log n steps for
//! m references of n paths, whatever the graph looks like. A flowgraph needs one start; it is the image, which leads to
//! all roots.

use crate::References;

/// Numbers in here are those of a depth-first walk; 0 is the image itself.
#[derive(Debug)]
pub(crate) struct Dominators {
    /// By number: the path's position, or none for the image.
    paths: Vec<Option<usize>>,
    /// By position: the path's number.
    numbers: Vec<usize>,
    /// By number: the nearest that all ways from the image lead through; a smaller number, but for 0 itself.
    above: Vec<usize>,
}

impl Dominators {
    pub(crate) fn of(references: &References) -> Self {
        Walk::of(references).dominators(references)
    }

    /// The nearest path without which this one would not be there; none where it would in any case.
    pub(crate) fn above(&self, path: usize) -> Option<usize> {
        self.paths[self.above[self.numbers[path]]]
    }

    /// The nearest that is above several paths or one of them; none where that is the image.
    pub(crate) fn above_all(&self, paths: impl IntoIterator<Item = usize>) -> Option<usize> {
        let numbers = paths.into_iter().map(|path| self.numbers[path]);
        let common = numbers.reduce(|mut one, mut other| {
            while one != other {
                if one > other {
                    one = self.above[one];
                } else {
                    other = self.above[other];
                }
            }
            one
        });
        self.paths[common.unwrap_or(0)]
    }

    /// For each path the sum of its own value and of all that is below it.
    pub(crate) fn sums(&self, values: &[u64]) -> Vec<u64> {
        let mut sums = values.to_vec();
        for (&path, &above) in self.paths.iter().zip(&self.above).rev() {
            if let (Some(path), Some(above)) = (path, self.paths[above]) {
                sums[above] += sums[path];
            }
        }
        sums
    }
}

/// A depth-first walk from the image through all paths.
struct Walk {
    paths: Vec<Option<usize>>,
    numbers: Vec<usize>,
    /// By number: where the walk came from.
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
        let mut above = vec![0; count];
        // By number: those whose semidominator it is, until they are seen to.
        let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); count];
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
            waiting[forest.semi[number]].push(number);
            let parent = self.parents[number];
            forest.link(parent, number);
            for other in std::mem::take(&mut waiting[parent]) {
                let least = forest.least(other);
                above[other] = if forest.semi[least] < forest.semi[other] { least } else { parent };
            }
        }
        for number in 1..count {
            if above[number] != forest.semi[number] {
                above[number] = above[above[number]];
            }
        }
        Dominators { paths: self.paths, numbers: self.numbers, above }
    }
}

/// The part of the walk's tree that was seen to, with ways to its tops cut short.
struct Forest {
    /// By number: the semidominator, as far as it is known.
    semi: Vec<usize>,
    /// By number: what it hangs on; none at the top.
    ancestor: Vec<Option<usize>>,
    /// By number: of those between it and the top, the one with the least semidominator.
    label: Vec<usize>,
}

impl Forest {
    fn new(count: usize) -> Self {
        Self { semi: (0..count).collect(), ancestor: vec![None; count], label: (0..count).collect() }
    }

    fn link(&mut self, parent: usize, child: usize) {
        self.ancestor[child] = Some(parent);
    }

    /// Of a number and those above it but for the top, the one with the least semidominator.
    fn least(&mut self, number: usize) -> usize {
        let mut way = Vec::new();
        let mut at = number;
        while let Some(ancestor) = self.ancestor[at] {
            if self.ancestor[ancestor].is_none() {
                break;
            }
            way.push(at);
            at = ancestor;
        }
        for &at in way.iter().rev() {
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

    /// What is still reached from the roots when one path is taken away.
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

        /// Circles and references to oneself included.
        #[test]
        fn what_would_leave_with_a_path_is_what_nothing_else_leads_to(to in graph()) {
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
    fn a_long_chain_with_ways_around_is_done_at_once() {
        const COUNT: usize = 200_000;
        let to = (0..COUNT).map(|path| [path + 1, path + 2, COUNT - 1, path / 2]);
        let to = to.map(|next| next.into_iter().filter(|&next| next < COUNT).collect()).collect();
        let references = References::new(to);
        let dominators = Dominators::of(&references);
        assert_eq!(dominators.above(COUNT - 1), Some(0));
        assert_eq!(dominators.above(0), None);
        assert_eq!(dominators.sums(&vec![1; COUNT])[0], u64::try_from(COUNT).unwrap());
    }

    #[test]
    fn what_several_have_in_common_is_found() {
        // 0 leads to 1 and 2, these to 3; 4 stands alone.
        let references = References::new(vec![vec![1, 2], vec![3], vec![3], vec![], vec![]]);
        let dominators = Dominators::of(&references);
        assert_eq!(dominators.above(3), Some(0));
        assert_eq!(dominators.above_all([1, 2]), Some(0));
        assert_eq!(dominators.above_all([3, 3]), Some(3));
        assert_eq!(dominators.above_all([1, 0]), Some(0));
        assert_eq!(dominators.above_all([3, 4]), None);
    }
}
