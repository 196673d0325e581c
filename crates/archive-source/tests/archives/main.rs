//! Archives and images as they should not be, and as they rarely are.
#![expect(clippy::unwrap_used, reason = "tests")]

mod images;
mod layers;
mod malice;
mod support;
mod tars;
