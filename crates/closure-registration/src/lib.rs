//! The closure of a Nix store: its paths, their registration, and checks of both against a file tree.
//!
//! The invariant of this crate: a [`Closure`] is closed. Each of its paths is registered once, and all paths that it
//! refers to are in the closure too. All missing paths are reported at once.
//!
//! [`Closure::from_registration`] reads text, [`Closure::from_graph`] reads JSON; [`Closure::registration`] writes the
//! text for `nix-store --load-db`. [`verify_sizes`] and [`verify_hashes`] compare a closure with a file tree. The crate
//! opens no files: callers of [`verify_hashes`] pass a function that does.

mod base32;
mod closed;
mod closure;
mod content_address;
mod draft;
mod error;
mod graph;
mod hash;
mod lines;
mod nar;
mod origin;
mod place;
mod quoted;
mod registration;
mod store_path;
mod streaming;
mod verify;

pub use closure::{Closure, PathInfo, Source};
pub use content_address::{ContentAddress, InvalidContentAddress};
pub use error::{ClosureError, ClosureErrors, MissingFrom, Referrers};
pub use hash::{InvalidHash, NarHash, NarHasher};
pub use nar::{NarPart, NarParts, NotInNar, nar_parts, nar_size};
pub use origin::{InvalidSignature, Origin, Signature};
pub use place::{ClosurePlace, JsonStep, Within};
pub use store_path::{InvalidStorePath, StorePath};
pub use streaming::StreamingHashes;
pub use verify::{Changed, VerifyError, verify_hashes, verify_sizes, verify_sizes_then_hashes};
