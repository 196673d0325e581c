//! Bodies for registrations, lists of store paths, and reference graphs.

use closure_registration::{Closure, ClosureErrors, NarHash, Origin, PathInfo, Source, StorePath};
use image_tree::ImagePath;

use crate::{Outcome, assert_one_line};

/// Reads a registration. If it is accepted, the written registration must be the same closure and text.
pub fn registration(bytes: &[u8]) -> Outcome {
    with_list(bytes, None)
}

/// Reads a registration and, after the first NUL byte, a list of store paths.
pub fn registration_and_list(bytes: &[u8]) -> Outcome {
    let mut halves = bytes.splitn(2, |&b| b == 0);
    let registration = halves.next().unwrap_or_default();
    with_list(registration, halves.next())
}

fn with_list(registration: &[u8], list: Option<&[u8]>) -> Outcome {
    let list = list.map(|bytes| Source { name: "store-paths", bytes });
    let source = Source { name: "registration", bytes: registration };
    checked(Closure::from_registration(source, list, &store()))
}

/// Reads a reference graph as JSON. If it is accepted, its registration must have the same paths, without the fields
/// that registrations lack.
pub fn graph(bytes: &[u8]) -> Outcome {
    let Ok(graph) = snugfs_plan::parse_document(bytes) else { return Outcome::Refused };
    checked(Closure::from_graph("graph", &graph, &store()))
}

/// Parses a hash and a store path. If one is accepted, its displayed form must parse to the same value.
pub fn hash_and_store_path(bytes: &[u8]) -> Outcome {
    let mut accepted = false;
    match NarHash::parse(bytes) {
        Ok(hash) => {
            accepted = true;
            assert_eq!(NarHash::parse(hash.to_string().as_bytes()), Ok(hash));
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    match StorePath::parse(bytes, &store()) {
        Ok(path) => {
            accepted = true;
            assert_eq!(path.in_store(&store()).as_bytes(), bytes);
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    if accepted { Outcome::Accepted } else { Outcome::Refused }
}

fn checked(read: Result<Closure, ClosureErrors>) -> Outcome {
    match read {
        Ok(closure) => {
            let text = closure.registration();
            let source = Source { name: "again", bytes: &text };
            let again = Closure::from_registration(source, None, closure.store_dir());
            // A registration has only the deriver of a path's origin.
            let registered = closure.paths().iter().map(|info| {
                let origin = Origin { deriver: info.origin.deriver.clone(), ..Origin::default() };
                PathInfo { origin, ..info.clone() }
            });
            let registered: Vec<_> = registered.collect();
            assert_eq!(again.as_ref().map(Closure::paths), Ok(registered.as_slice()));
            assert!(again.is_ok_and(|again| again.registration() == text));
            Outcome::Accepted
        }
        Err(errors) => {
            for error in &errors {
                assert_one_line(&error.to_string());
            }
            Outcome::Refused
        }
    }
}

fn store() -> ImagePath {
    // `/s` is shorter than `/nix/store`, so random inputs contain it more often.
    ImagePath::parse(b"/s").unwrap_or_else(|_| ImagePath::root())
}
