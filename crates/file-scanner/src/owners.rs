//! Whether the owners that the system shows are those of the files. Two things stand in between: a user namespace, in which an
//! owner that it does not know looks like nobody, and libraries such as fakeroot's, which show owners to programs that call the
//! system through the C library.

use std::path::Path;

/// The names of libraries that are loaded before a program to show it other owners, modes and devices.
const LIBRARIES: [&str; 2] = ["libfakeroot", "libpseudo"];

/// What an owner looks like that the user namespace does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unmapped {
    /// `None` where every owner is known, or the number may be somebody's.
    pub(crate) uid: Option<u32>,
    /// The same of groups.
    pub(crate) gid: Option<u32>,
}

impl Unmapped {
    /// Asks the system.
    pub(crate) fn of_this_process() -> Self {
        let read = |path: &str| std::fs::read_to_string(Path::new("/proc").join(path)).unwrap_or_default();
        Self {
            uid: overflow(&read("self/uid_map"), &read("sys/kernel/overflowuid")),
            gid: overflow(&read("self/gid_map"), &read("sys/kernel/overflowgid")),
        }
    }
}

/// The number that stands for owners that a map leaves out (`user_namespaces(7)`), unless the map has that number itself: then
/// it may well be the owner.
fn overflow(map: &str, number: &str) -> Option<u32> {
    let number = number.trim().parse().unwrap_or(65534_u32);
    let mut is_known = map.trim().is_empty();
    for line in map.lines() {
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) = (fields.next(), fields.next(), fields.next())
        else {
            return None;
        };
        is_known |= (first..first.saturating_add(count)).contains(&u64::from(number));
    }
    (!is_known).then_some(number)
}

/// The library that is to show other owners, and does not: this program was linked without the C library's loader.
pub(crate) fn library_without_effect() -> Option<&'static str> {
    let preloaded = std::env::var("LD_PRELOAD").unwrap_or_default();
    let wanted = LIBRARIES.into_iter().find(|name| preloaded.contains(name))?;
    let loaded = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let is_loaded =
        if loaded.is_empty() { !cfg!(target_feature = "crt-static") } else { loaded.contains(wanted) };
    (!is_loaded).then_some(wanted.trim_start_matches("lib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_no_owner_has_stands_for_unknown_ones() {
        let all = "         0          0 4294967295\n";
        assert_eq!(overflow(all, "65534\n"), None);
        assert_eq!(overflow("0 1000 1\n", "65534\n"), Some(65534));
        assert_eq!(overflow("0 1000 1\n", "99"), Some(99));
        assert_eq!(overflow("0 1000 1\n1 100000 65536\n", "65534"), None);
        assert_eq!(overflow("0 1000 1\n1 100000 65533\n", "65534"), Some(65534));
        assert_eq!(overflow("", ""), None);
        assert_eq!(overflow("what", "65534"), None);
    }
}
