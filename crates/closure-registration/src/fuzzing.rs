//! Bodies of fuzz targets: any bytes may come in, none may panic, and what is accepted keeps its promises.

use image_tree::ImagePath;

use crate::{Closure, NarHash, Source, StorePath};

/// A registration alone. What is accepted and written again is accepted again, as the same closure and text.
///
/// # Panics
/// If that promise is broken.
pub fn registration_bytes(bytes: &[u8]) {
    registration_and_list_bytes(bytes, None);
}

/// A registration and, after the first NUL byte, a list of store paths.
///
/// # Panics
/// If the promise of [`registration_bytes`] is broken.
pub fn registration_and_list(bytes: &[u8]) {
    let mut halves = bytes.splitn(2, |&b| b == 0);
    let registration = halves.next().unwrap_or_default();
    registration_and_list_bytes(registration, halves.next());
}

fn registration_and_list_bytes(registration: &[u8], list: Option<&[u8]>) {
    let store = store();
    let list = list.map(|bytes| Source { name: "store-paths", bytes });
    let source = Source { name: "registration", bytes: registration };
    match Closure::from_registration(source, list, &store) {
        Ok(closure) => written_and_read_again(&closure),
        Err(errors) => assert!(errors.iter().all(|error| !error.to_string().contains('\n'))),
    }
}

/// A reference graph as JSON. What is accepted can be written as a registration.
///
/// # Panics
/// If what is written is not read as the same closure.
pub fn graph_bytes(bytes: &[u8]) {
    let Ok(graph) = serde_json::from_slice(bytes) else { return };
    match Closure::from_graph("graph", &graph, &store()) {
        Ok(closure) => written_and_read_again(&closure),
        Err(errors) => assert!(errors.iter().all(|error| !error.to_string().contains('\n'))),
    }
}

/// A hash and a store path. What is accepted is shown as it can be read.
///
/// # Panics
/// If it is not.
pub fn words(bytes: &[u8]) {
    if let Ok(hash) = NarHash::parse(bytes) {
        assert_eq!(NarHash::parse(hash.to_string().as_bytes()), Ok(hash));
    }
    if let Ok(path) = StorePath::parse(bytes, &store()) {
        assert_eq!(path.in_store(&store()).as_bytes(), bytes);
    }
}

fn written_and_read_again(closure: &Closure) {
    let text = closure.registration();
    let again = Closure::from_registration(Source { name: "again", bytes: &text }, None, closure.store_dir());
    assert_eq!(again.as_ref(), Ok(closure));
    assert!(again.is_ok_and(|again| again.registration() == text));
}

fn store() -> ImagePath {
    // `/s` is shorter than `/nix/store`, so random input meets it more often.
    ImagePath::parse(b"/s").unwrap_or_else(|_| ImagePath::root())
}
