//! File systems are read back: by other programs, and by the rules of the format.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod lengths;
mod oracles;
mod slots;
mod structure;
mod support;
mod volume;
