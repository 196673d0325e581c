//! Finds out whether the owners that the system shows are those of the files. There are two causes why not: a user namespace
//! shows owners that are not mapped as nobody, and libraries such as fakeroot's show other owners to programs that use the C
//! library.

use std::path::Path;

/// Names of libraries that show other owners, modes and devices to a program if they are preloaded.
const LIBRARIES: [&str; 2] = ["libfakeroot", PSEUDO];
const PSEUDO: &str = "libpseudo";

/// The number that the system shows for owners that are not mapped in the user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// All owners are mapped, so the number is a usual owner.
    None,
    /// The number is not mapped, so no owner has it.
    Unmapped(u32),
    /// The number is mapped, but others are not. A file with it can belong to its owner or to one that is not mapped.
    Ambiguous(u32),
}

/// Whether the system shows the owner of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Owner,
    Unmapped,
    Ambiguous,
}

/// How this process sees owners and groups that are not mapped in its user namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Namespace {
    pub(crate) users: Overflow,
    pub(crate) groups: Overflow,
}

impl Namespace {
    /// Reads the maps of this process.
    pub(crate) fn of_this_process() -> Self {
        let read = |path: &str| std::fs::read_to_string(Path::new("/proc").join(path)).unwrap_or_default();
        Self {
            users: Overflow::of(&read("self/uid_map"), &read("sys/kernel/overflowuid")),
            groups: Overflow::of(&read("self/gid_map"), &read("sys/kernel/overflowgid")),
        }
    }
}

impl Overflow {
    /// Parses a map of user or group numbers, and the number for those that are not mapped (`user_namespaces(7)`). Without a map,
    /// all are mapped.
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
            // The text can have any numbers.
            is_known |= (first..first.saturating_add(count)).contains(&u64::from(number));
            known = known.saturating_add(count);
        }
        match (is_known, known) {
            (false, _) => Self::Unmapped(number),
            // Ranges do not overlap. 4294967295 is not a valid number.
            (true, 0 | 0xffff_ffff..) => Self::None,
            (true, _) => Self::Ambiguous(number),
        }
    }

    /// The meaning of a number that the system shows.
    pub(crate) fn shown(self, id: u32) -> Shown {
        match self {
            Self::Unmapped(number) if number == id => Shown::Unmapped,
            Self::Ambiguous(number) if number == id => Shown::Ambiguous,
            _ => Shown::Owner,
        }
    }
}

/// A library in `LD_PRELOAD` that shows other owners, modes and devices, but is not loaded, because this program is linked
/// statically or against another C library.
pub(crate) fn library_without_effect() -> Option<&'static str> {
    let value = preload();
    let library = LIBRARIES.into_iter().find(|library| is_named(&value, library) && !is_loaded(library))?;
    Some(library.trim_start_matches("lib"))
}

/// Whether pseudo is loaded. It remembers the path of each descriptor, but does not intercept `openat2(2)`. To open a file below
/// such a descriptor then fails with `EFAULT`.
pub(crate) fn pseudo_is_loaded() -> bool {
    is_in_effect(&preload(), PSEUDO)
}

fn preload() -> String {
    std::env::var("LD_PRELOAD").unwrap_or_default()
}

/// Whether a library is in a value of `LD_PRELOAD` and loaded.
fn is_in_effect(value: &str, library: &str) -> bool {
    is_named(value, library) && is_loaded(library)
}

/// Whether a library is in a value of `LD_PRELOAD`, whose file names are separated by spaces or colons (`ld.so(8)`).
fn is_named(value: &str, library: &str) -> bool {
    let mut names = value.split([' ', ':']).filter_map(|path| path.rsplit('/').next());
    names.any(|name| name.starts_with(library))
}

/// Whether a library is loaded.
fn is_loaded(library: &str) -> bool {
    is_mapped(std::fs::read_to_string("/proc/self/maps").ok().as_deref(), library)
}

/// Whether a library is in `/proc/self/maps`. Without /proc, whether this program is linked dynamically.
fn is_mapped(maps: Option<&str>, library: &str) -> bool {
    let Some(maps) = maps else { return cfg!(not(target_feature = "crt-static")) };
    maps.lines().any(|line| line.rsplit('/').next().is_some_and(|name| name.starts_with(library)))
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
            assert!(is_named(value, "libfakeroot") && !is_named(value, PSEUDO), "{value}");
        }
        assert!(is_named("libpseudo.so", PSEUDO));
        for value in ["", "/opt/libfakeroot/libother.so", "notlibfakeroot.so"] {
            assert!(!is_named(value, "libfakeroot"), "{value}");
        }
    }

    #[test]
    fn a_library_is_loaded_if_a_file_with_its_name_is_mapped() {
        let maps = "7f00-7f01 r-xp 00000000 08:01 5    /usr/lib/libfakeroot/libother.so\n\
            7f02-7f03 r-xp 00000000 08:01 6    /usr/lib/x/libpseudo.so\n7f04-7f05 rw-p 00000000 00:00 0\n";
        assert!(is_mapped(Some(maps), PSEUDO) && is_mapped(Some(maps), "libother"));
        assert!(!is_mapped(Some(maps), "libfakeroot") && !is_mapped(Some(""), PSEUDO));
        assert_eq!(is_mapped(None, PSEUDO), cfg!(not(target_feature = "crt-static")));
    }

    #[test]
    fn a_library_is_in_effect_if_it_is_preloaded_and_loaded() {
        // This program itself is loaded as a library is.
        let program = "file_scanner";
        assert!(is_loaded(program) && !is_loaded("libfakeroot") && !is_loaded(PSEUDO));
        assert!(is_in_effect("/x/file_scanner.so", program));
        assert!(!is_in_effect("/x/other.so", program));
        assert!(!is_in_effect("/x/libpseudo.so", PSEUDO));
    }
}
