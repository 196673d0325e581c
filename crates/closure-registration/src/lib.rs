//! Which store paths belong into an image, what is registered of them, and whether it is true.
//!
//! The invariant of this crate is that a [`Closure`] is closed: each of its paths is registered once, and whatever
//! a path refers to is in the closure too. What breaks that is reported whole, all missing paths at once.
//!
//! Text and JSON come in, a closure and the text for `nix-store --load-db` come out; [`verify_sizes`] and
//! [`verify_hashes`] compare it with a scanned tree. The crate opens no file: who asks for hashes passes in how a
//! file is opened.

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
mod passing;
mod place;
mod registration;
mod shown;
mod store_path;
mod verify;

pub use closure::{Closure, PathInfo, Source};
pub use content_address::{ContentAddress, InvalidContentAddress};
pub use error::{ClosureError, ClosureErrors, Lack, Referring};
pub use hash::{InvalidHash, NarHash, NarHasher};
pub use nar::{NarPart, NarParts, NotInNar, nar_parts, nar_size};
pub use origin::{InvalidSignature, Origin, Signature};
pub use passing::PassingHashes;
pub use place::{ClosurePlace, JsonStep, Within};
pub use store_path::{InvalidStorePath, StorePath};
pub use verify::{Changed, VerifyError, verify_hashes, verify_sizes, verify_sizes_then_hashes};
