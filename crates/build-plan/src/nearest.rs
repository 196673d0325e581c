//! Which known name somebody may have meant.

/// Longer names are no misspellings of ours, and comparing them costs time.
const LONGEST: usize = 40;

/// The known name that is nearest to a wrong one, if one is near: at most a third of the letters differ, where a
/// swap of neighbours counts once, and case, `_` and `-` do not count. Of equals the first.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > LONGEST {
        return None;
    }
    let wrong = plain(wrong);
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        let candidate = plain(name);
        let distance = distance(&wrong, &candidate);
        let near = (wrong.len().max(candidate.len()) / 3).max(1);
        if distance <= near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

fn plain(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from one to the other (the optimal
/// string alignment distance).
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, &a) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut left_letter = None;
        for (column, &b) in to.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut fewest = (at(&last, column) + usize::from(a != b))
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            if let Some(two_back) = column.checked_sub(1)
                && previous == Some(b)
                && left_letter == Some(a)
            {
                fewest = fewest.min(at(&before_last, two_back) + 1);
            }
            current.push(fewest);
            left_letter = Some(b);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(a);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_their_name_and_other_words_find_none() {
        let known = ["label", "uuid", "freeSpace", "journalSize", "uid", "gid", "size"];
        let find = |wrong| nearest(wrong, known.into_iter());
        assert_eq!(find("labell"), Some("label"));
        assert_eq!(find("lable"), Some("label"));
        assert_eq!(find("free_space"), Some("freeSpace"));
        assert_eq!(find("freespcae"), Some("freeSpace"));
        assert_eq!(find("journalsize"), Some("journalSize"));
        assert_eq!(find("udi"), Some("uid"));
        assert_eq!(find("inodes"), None);
        assert_eq!(find("x"), None);
        assert_eq!(find(""), None);
        assert_eq!(find(&"label".repeat(100)), None);
    }

    #[test]
    fn a_distance_counts_edits() {
        let between = |a: &str, b: &str| distance(&plain(a), &plain(b));
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("abc", ""), 3);
        assert_eq!(between("kitten", "sitting"), 3);
        assert_eq!(between("ab", "ba"), 1);
    }
}
