//! Whether the owners that the system shows are those of the files. Two things stand in between: a user namespace, in which an
//! owner that it does not know looks like nobody, and libraries such as fakeroot's, which show owners to programs that call the
//! system through the C library.

use std::path::Path;

/// The names of libraries that are loaded before a program to show it other owners, modes and devices.
const LIBRARIES: [&str; 2] = ["libfakeroot", PSEUDO];
const PSEUDO: &str = "libpseudo";

/// The number that the system shows for owners which the user namespace does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// All owners are known: the number is an owner like others.
    None,
    /// No owner has this number.
    Unmapped(u32),
    /// The namespace knows an owner with this number, and does not know others: a file may belong to either.
    Ambiguous(u32),
}

/// Whether the owner that the system shows for a file is its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Owner,
    Unmapped,
    Ambiguous,
}

/// How this process sees owners and groups that its user namespace does not know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Namespace {
    pub(crate) users: Overflow,
    pub(crate) groups: Overflow,
}

impl Namespace {
    /// Asks the system.
    pub(crate) fn of_this_process() -> Self {
        let read = |path: &str| std::fs::read_to_string(Path::new("/proc").join(path)).unwrap_or_default();
        Self {
            users: Overflow::of(&read("self/uid_map"), &read("sys/kernel/overflowuid")),
            groups: Overflow::of(&read("self/gid_map"), &read("sys/kernel/overflowgid")),
        }
    }
}

impl Overflow {
    /// Reads a map of user or group numbers and the number for those that it leaves out (`user_namespaces(7)`). Without a
    /// map, all are known.
    fn of(map: &str, number: &str) -> Self {
        let number = number.trim().parse().unwrap_or(65534_u32);
        let mut is_known = map.trim().is_empty();
        let mut known = 0_u64;
        for line in map.lines() {
            let mut fields = line.split_whitespace().map(str::parse::<u64>);
            let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
                (fields.next(), fields.next(), fields.next())
            else {
                return Self::None;
            };
            // Text can hold any numbers.
            is_known |= (first..first.saturating_add(count)).contains(&u64::from(number));
            known = known.saturating_add(count);
        }
        match (is_known, known) {
            (false, _) => Self::Unmapped(number),
            // Ranges do not overlap. 4294967295 is nobody's number.
            (true, 0 | 0xffff_ffff..) => Self::None,
            (true, _) => Self::Ambiguous(number),
        }
    }

    /// What a number is that the system shows.
    pub(crate) fn shown(self, id: u32) -> Shown {
        match self {
            Self::Unmapped(number) if number == id => Shown::Unmapped,
            Self::Ambiguous(number) if number == id => Shown::Ambiguous,
            _ => Shown::Owner,
        }
    }
}

/// The library that `LD_PRELOAD` names to show this program other owners, modes and devices, and that is not loaded: this program
/// is linked statically, or against another C library.
pub(crate) fn library_without_effect() -> Option<&'static str> {
    let wanted = preloaded(&std::env::var("LD_PRELOAD").unwrap_or_default())?;
    (!is_loaded(wanted)).then_some(wanted.trim_start_matches("lib"))
}

/// Whether pseudo shows files to this program. It knows a descriptor by the path that it saw being opened, and it does not see
/// `openat2(2)`: what is then opened below such a descriptor fails with `EFAULT`.
pub(crate) fn pseudo_is_loaded() -> bool {
    preloaded(&std::env::var("LD_PRELOAD").unwrap_or_default()) == Some(PSEUDO) && is_loaded(PSEUDO)
}

/// Which of the libraries a value of `LD_PRELOAD` names; file names are separated by spaces or colons (`ld.so(8)`).
fn preloaded(value: &str) -> Option<&'static str> {
    let mut names = value.split([' ', ':']).filter_map(|path| path.rsplit('/').next());
    names.find_map(|name| LIBRARIES.into_iter().find(|library| name.starts_with(library)))
}

/// Whether the C library's loader has loaded a library; without /proc, whether there is such a loader at all.
fn is_loaded(library: &str) -> bool {
    match std::fs::read_to_string("/proc/self/maps") {
        Ok(maps) => {
            maps.lines().any(|line| line.rsplit('/').next().is_some_and(|name| name.starts_with(library)))
        }
        Err(_) => !cfg!(target_feature = "crt-static"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_unknown_owners_is_an_owner_where_all_are_known() {
        use Overflow::{Ambiguous, None, Unmapped};
        let all = "         0          0 4294967295\n";
        for (map, number, expected) in [
            (all, "65534\n", None),
            ("0 0 65536\n65536 65536 4294901759", "65534", None),
            ("0 1000 1\n", "65534\n", Unmapped(65534)),
            ("0 1000 1\n", "99", Unmapped(99)),
            ("0 1000 1\n1 100000 65533\n", "65534", Unmapped(65534)),
            ("0 1000 1\n1 100000 65536\n", "65534", Ambiguous(65534)),
            ("", "", None),
            ("what", "65534", None),
        ] {
            assert_eq!(Overflow::of(map, number), expected, "{map}");
        }
    }

    #[test]
    fn only_that_number_is_in_doubt() {
        assert_eq!(Overflow::None.shown(65534), Shown::Owner);
        assert_eq!(Overflow::Unmapped(65534).shown(65534), Shown::Unmapped);
        assert_eq!(Overflow::Ambiguous(65534).shown(65534), Shown::Ambiguous);
        assert_eq!(Overflow::Ambiguous(65534).shown(65533), Shown::Owner);
    }

    #[test]
    fn a_library_is_known_by_its_file_name_wherever_it_is_and_beside_whatever_else() {
        for value in [
            "libfakeroot-sysv.so",
            "/usr/lib/libfakeroot/libfakeroot-sysv.so",
            "libfoo.so:/host/lib/libfakeroot.so",
            "libfoo.so libfakeroot-0.so ",
        ] {
            assert_eq!(preloaded(value), Some("libfakeroot"), "{value}");
        }
        assert_eq!(preloaded("libpseudo.so"), Some("libpseudo"));
        for value in ["", "/opt/libfakeroot/libother.so", "notlibfakeroot.so"] {
            assert_eq!(preloaded(value), None, "{value}");
        }
        assert!(!is_loaded("libfakeroot") && !is_loaded(PSEUDO));
    }
}
