//! Which store path refers to which, by their positions in the closure.

use std::collections::VecDeque;

use closure_registration::Closure;

/// The references of a closure. A path's references to itself keep nothing and are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// By path, ascending: what it refers to.
    to: Vec<Vec<usize>>,
    /// By path, ascending: who refers to it.
    from: Vec<Vec<usize>>,
    /// What is in the closure for its own sake.
    roots: Vec<usize>,
    /// By path: who comes before it on the shortest way from a root.
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

    /// Takes for each path the positions of those that it refers to.
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
        references.before = references.shortest_ways();
        references
    }

    /// How many paths there are.
    pub fn len(&self) -> usize {
        self.to.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.to.is_empty()
    }

    /// What a path refers to, without itself, ascending.
    pub fn references(&self, path: usize) -> &[usize] {
        self.to.get(path).map_or(&[], Vec::as_slice)
    }

    /// Who refers to a path, without itself, ascending.
    pub fn referrers(&self, path: usize) -> &[usize] {
        self.from.get(path).map_or(&[], Vec::as_slice)
    }

    /// The paths that nobody else refers to, and one of each circle that nobody outside refers to. All others are there
    /// because of these.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// Who comes before a path on the shortest way to it; none for a root.
    pub fn before(&self, path: usize) -> Option<usize> {
        self.before.get(path).copied().flatten()
    }

    /// The shortest way from a root to a path, both included; of several equally short ones the first by position.
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

    /// Going through all paths in the reverse order in which a depth-first walk leaves them, whoever was not reached yet
    /// is reached by nobody but those in a circle with it.
    fn find_roots(&self) -> Vec<usize> {
        let mut reached = vec![false; self.len()];
        let mut roots = Vec::new();
        for &path in self.left_in_order().iter().rev() {
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

    /// All paths in the order in which a depth-first walk leaves them.
    fn left_in_order(&self) -> Vec<usize> {
        let mut left = Vec::with_capacity(self.len());
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
                        left.push(*at);
                        open.pop();
                    }
                }
            }
        }
        left
    }

    fn shortest_ways(&self) -> Vec<Option<usize>> {
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
    fn roots_are_what_nobody_else_refers_to() {
        assert_eq!(of(&[&[0], &[0, 1], &[1, 2]]).roots(), [2], "references to oneself do not count");
        assert_eq!(of(&[&[], &[], &[0]]).roots(), [1, 2]);
        assert!(of(&[]).roots().is_empty());
    }

    #[test]
    fn a_circle_that_nobody_refers_to_has_one_root() {
        // 0 is below the circle of 1 and 2, and no root although it comes first.
        assert_eq!(of(&[&[], &[2, 0], &[1]]).roots(), [1]);
        // A circle below a root has none of its own.
        assert_eq!(of(&[&[1], &[0], &[0]]).roots(), [2]);
    }

    #[test]
    fn the_way_to_a_path_is_the_shortest_one() {
        let references = of(&[&[1], &[2], &[3], &[], &[0, 2]]);
        assert_eq!(references.way_to(3), [4, 2, 3]);
        assert_eq!(references.way_to(4), [4]);
        assert_eq!(references.referrers(2), [1, 4]);
    }
}
