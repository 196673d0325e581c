//! References between store paths, by their index in the closure.

use std::collections::VecDeque;

use closure_registration::Closure;

/// The references of a closure, without references of paths to themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// By path: the paths that it refers to, ascending.
    to: Vec<Vec<usize>>,
    /// By path: the paths that refer to it, ascending.
    from: Vec<Vec<usize>>,
    /// The paths that are not in the closure because of others.
    roots: Vec<usize>,
    /// By path: its predecessor in the shortest chain from a root.
    before: Vec<Option<usize>>,
}

impl References {
    /// The references of all paths, in the order of [`Closure::paths`].
    pub fn of(closure: &Closure) -> Self {
        let paths = closure.paths();
        // A closure is closed, so every reference is found.
        let position = |reference| paths.binary_search_by(|info| info.path.cmp(reference)).ok();
        Self::new(paths.iter().map(|info| info.references.iter().filter_map(position).collect()).collect())
    }

    /// References from the indexes of the paths that each path refers to.
    pub(crate) fn new(mut to: Vec<Vec<usize>>) -> Self {
        let mut from = vec![Vec::new(); to.len()];
        for (path, references) in to.iter_mut().enumerate() {
            references.retain(|&reference| reference != path);
            references.sort_unstable();
            references.dedup();
            for &reference in references.iter() {
                from[reference].push(path);
            }
        }
        let mut references = Self { to, from, ..Self::default() };
        references.roots = references.find_roots();
        references.before = references.predecessors();
        references
    }

    /// Number of paths.
    pub fn len(&self) -> usize {
        self.to.len()
    }

    /// Whether there are no paths.
    pub fn is_empty(&self) -> bool {
        self.to.is_empty()
    }

    /// The paths that a path refers to, without itself, ascending.
    pub fn references(&self, path: usize) -> &[usize] {
        self.to.get(path).map_or(&[], Vec::as_slice)
    }

    /// The paths that refer to a path, without itself, ascending.
    pub fn referrers(&self, path: usize) -> &[usize] {
        self.from.get(path).map_or(&[], Vec::as_slice)
    }

    /// The roots: paths without referrers, and one path of each cycle without referrers outside of it. All other paths are
    /// reachable from the roots.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// The predecessor of a path in the shortest chain from a root; `None` for a root.
    pub fn before(&self, path: usize) -> Option<usize> {
        self.before.get(path).copied().flatten()
    }

    /// The shortest chain of references from a root to a path, including both. Of several, the first by index.
    pub fn way_to(&self, path: usize) -> Vec<usize> {
        let mut way = vec![path];
        let mut at = path;
        while let Some(before) = self.before(at) {
            way.push(before);
            at = before;
        }
        way.reverse();
        way
    }

    /// Finds the roots. In reverse postorder, a path that was not reached from those before it has no referrers, or only
    /// some in a cycle with it.
    fn find_roots(&self) -> Vec<usize> {
        let mut reached = vec![false; self.len()];
        let mut roots = Vec::new();
        for &path in self.postorder().iter().rev() {
            if reached[path] {
                continue;
            }
            roots.push(path);
            reached[path] = true;
            let mut open = vec![path];
            while let Some(at) = open.pop() {
                for &next in self.references(at) {
                    if !std::mem::replace(&mut reached[next], true) {
                        open.push(next);
                    }
                }
            }
        }
        roots.sort_unstable();
        roots
    }

    /// All paths in the postorder of a depth-first walk.
    fn postorder(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.len());
        let mut entered = vec![false; self.len()];
        for start in 0..self.len() {
            if std::mem::replace(&mut entered[start], true) {
                continue;
            }
            let mut open = vec![(start, self.references(start).iter())];
            while let Some((at, rest)) = open.last_mut() {
                match rest.next() {
                    Some(&next) if !entered[next] => {
                        entered[next] = true;
                        open.push((next, self.references(next).iter()));
                    }
                    Some(_) => {}
                    None => {
                        order.push(*at);
                        open.pop();
                    }
                }
            }
        }
        order
    }

    fn predecessors(&self) -> Vec<Option<usize>> {
        let mut before = vec![None; self.len()];
        let mut reached = vec![false; self.len()];
        let mut open: VecDeque<usize> = self.roots.iter().copied().collect();
        for &root in &self.roots {
            reached[root] = true;
        }
        while let Some(at) = open.pop_front() {
            for &next in self.references(at) {
                if !std::mem::replace(&mut reached[next], true) {
                    before[next] = Some(at);
                    open.push_back(next);
                }
            }
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(to: &[&[usize]]) -> References {
        References::new(to.iter().map(|references| references.to_vec()).collect())
    }

    #[test]
    fn roots_have_no_referrers() {
        assert_eq!(
            of(&[&[0], &[0, 1], &[1, 2]]).roots(),
            [2],
            "references of paths to themselves do not count"
        );
        assert_eq!(of(&[&[], &[], &[0]]).roots(), [1, 2]);
        assert!(of(&[]).roots().is_empty());
    }

    #[test]
    fn a_cycle_without_referrers_has_one_root() {
        // The cycle of 1 and 2 refers to 0, so 0 is not a root although it comes first.
        assert_eq!(of(&[&[], &[2, 0], &[1]]).roots(), [1]);
        // A cycle that a root refers to has no root.
        assert_eq!(of(&[&[1], &[0], &[0]]).roots(), [2]);
    }

    #[test]
    fn finds_the_shortest_chain() {
        let references = of(&[&[1], &[2], &[3], &[], &[0, 2]]);
        assert_eq!(references.way_to(3), [4, 2, 3]);
        assert_eq!(references.way_to(4), [4]);
        assert_eq!(references.referrers(2), [1, 4]);
    }
}
