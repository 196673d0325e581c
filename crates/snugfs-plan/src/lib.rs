//! The JSON plan: types, validation, schema. Independent of files and ext4.
//!
//! The invariant: a [`Plan`] from [`parse`] is valid and complete, and all problems of a plan are
//! reported at once. The decoder and [`schema`] read the same tables (`tables`, `disk_tables`, `boot_tables`, `plan_table`), the only
//! places with names, limits, words with their meanings, and defaults.
//!
//! The crate does no I/O.

#![expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a decoder takes a value of any lifetime, the path of a method of `Value` only one of a certain lifetime"
)]

mod boot_plan;
mod boot_tables;
mod choices;
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
mod plan_table;
mod problem;
mod scalars;
mod schema;
mod shapes;
mod tables;
mod value;

pub use boot_plan::*;
pub use decode::{parse, parse_document};
pub use guide::{GuideField, Section, guide};
pub use locate::locate;
pub use location::Location;
pub use plan::*;
pub use problem::{Part, Position, Problem, Problems};
pub use scalars::parse_size;
pub use schema::schema;
