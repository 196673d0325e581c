//! Which known name somebody may have meant.

use strsim::osa_distance;

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
        let distance = osa_distance(&wrong, &candidate);
        let near = (wrong.chars().count().max(candidate.chars().count()) / 3).max(1);
        if distance <= near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
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
}
