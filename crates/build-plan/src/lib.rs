//! The JSON plan: types, validation, schema. Knows neither files nor ext4.

mod plan;

pub use plan::*;
