//! The JSON plan: types, validation, schema. Knows neither files nor ext4.
//!
//! The invariant: a [`Plan`] that [`parse`] returned is valid and complete, and whatever is wrong in a plan is
//! told at once. The tables of `tables` are read by the decoder and by [`schema`] alike, so that the two
//! can't differ in names, limits and defaults.
//!
//! Nothing here does I/O.

mod conflicts;
mod decode;
mod disk_tables;
mod guide;
mod json;
mod locate;
mod location;
mod nearest;
mod object;
mod partition_types;
mod plan;
mod problem;
mod scalars;
mod schema;
mod shapes;
mod tables;
mod value;

pub use decode::{parse, parse_document};
pub use guide::{GuideField, Section, guide};
pub use locate::locate;
pub use location::Location;
pub use plan::*;
pub use problem::{Part, Position, Problem, Problems};
pub use schema::schema;
