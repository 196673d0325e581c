//! Suggests known names for misspelled ones.

use strsim::osa_distance;

/// Longer names are not compared: they are not misspellings of known names, and comparing them costs time.
const LONGEST: usize = 40;

/// The known name that is nearest to a wrong one, if at most a third of the letters differ. A
/// swap of neighbours counts once; case, `_` and `-` are ignored. Of several, the first one.
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
    }

    #[test]
    fn names_of_more_than_forty_bytes_are_not_compared() {
        let known = "x".repeat(40);
        let is_found = |len: usize| nearest(&"x".repeat(len), [known.as_str()].into_iter()).is_some();
        assert_eq!([39, 40, 41].map(is_found), [true, true, false]);
    }
}
