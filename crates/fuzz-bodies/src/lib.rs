//! What every parser and every layout of snugfs promises whatever comes in, as functions of bytes that panic where a
//! promise is broken. For tests alone: no other crate of snugfs needs this one.
//!
//! The invariant: a body depends on its bytes alone, so that an input that broke something breaks it again. Each says
//! whether its input was accepted, so that a campaign can show that both sides were reached.
//!
//! The bodies are run in two ways: by `cargo test -p fuzz-bodies`, which makes inputs of known good ones and of nothing,
//! a fixed number from fixed seeds; and by libFuzzer, guided by coverage, from the folder `fuzz/`.
//!
//! | module | its part |
//! |---|---|
//! | `plans`, `closures`, `names` | what is text |
//! | `images` | what looks into images, and what judges them |
//! | `layouts`, `trees` | what makes them, from trees that bytes choose |
//! | `seeds`, `mutation` | good inputs, and others made of them |

#![expect(clippy::missing_panics_doc, reason = "to panic is what a body is for")]

mod choices;
mod closures;
mod images;
mod layouts;
mod memory;
pub mod mutation;
mod names;
mod plans;
mod seeds;
mod trees;

pub use choices::Choices;
pub use closures::{graph, hash_and_store_path, registration, registration_and_list};
pub use images::{container, file_systems, judge, partition_table};
pub use layouts::{disk, ext4, fat, nar};
pub use names::names;
pub use plans::{field, plan};

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was read, or laid out, and kept all promises.
    Accepted,
    /// It was refused in words.
    Refused,
}

/// A body with what a campaign needs to know of it.
#[derive(Debug)]
pub struct Target {
    /// Its name, which is also that of its binary in `fuzz/`.
    pub name: &'static str,
    /// Fails by a panic.
    pub body: fn(&[u8]) -> Outcome,
    /// Good inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What means more than its bytes to this parser.
    pub tokens: &'static [&'static [u8]],
    /// How many inputs a usual test run tries.
    pub inputs: u64,
    /// The most memory that it may take in \[bytes\]: so much for itself, and so much for each byte of the input.
    pub memory: (usize, usize),
}

/// All bodies.
pub const TARGETS: &[Target] = &[
    Target {
        name: "plan",
        body: plan,
        seeds: seeds::plans,
        tokens: seeds::JSON,
        inputs: 100_000,
        memory: (1 << 20, 400),
    },
    Target {
        name: "field",
        body: field,
        seeds: seeds::fields,
        tokens: seeds::FIELD_PARTS,
        inputs: 2_000,
        memory: (1 << 20, 400),
    },
    Target {
        name: "registration",
        body: registration,
        seeds: seeds::registrations,
        tokens: seeds::LINES,
        inputs: 100_000,
        memory: (1 << 20, 100),
    },
    Target {
        name: "registration_and_list",
        body: registration_and_list,
        seeds: seeds::registrations_and_lists,
        tokens: seeds::LINES,
        inputs: 60_000,
        memory: (1 << 20, 100),
    },
    Target {
        name: "graph",
        body: graph,
        seeds: seeds::graphs,
        tokens: seeds::JSON,
        inputs: 100_000,
        memory: (1 << 20, 400),
    },
    Target {
        name: "hash_and_store_path",
        body: hash_and_store_path,
        seeds: seeds::words,
        tokens: seeds::WORD_PARTS,
        inputs: 100_000,
        memory: (1 << 16, 50),
    },
    Target {
        name: "names",
        body: names,
        seeds: seeds::names,
        tokens: seeds::NAME_PARTS,
        inputs: 100_000,
        memory: (1 << 16, 50),
    },
    Target {
        name: "partition_table",
        body: partition_table,
        seeds: seeds::tables,
        tokens: seeds::NUMBERS,
        inputs: 10_000,
        memory: (1 << 20, 50),
    },
    Target {
        name: "file_systems",
        body: file_systems,
        seeds: seeds::images,
        tokens: seeds::NUMBERS,
        inputs: 5_000,
        memory: (16 << 20, 40),
    },
    Target {
        name: "container",
        body: container,
        seeds: seeds::containers,
        tokens: seeds::NUMBERS,
        inputs: 10_000,
        // The window of a zstd frame, and what was decompressed of it.
        memory: (192 << 20, 40),
    },
    Target {
        name: "judge",
        body: judge,
        seeds: seeds::ext4_images,
        tokens: seeds::NUMBERS,
        inputs: 1_500,
        memory: (16 << 20, 40),
    },
    Target {
        name: "nar",
        body: nar,
        seeds: seeds::choices,
        tokens: seeds::NUMBERS,
        inputs: 4_000,
        memory: (16 << 20, 1000),
    },
    Target {
        name: "ext4",
        body: ext4,
        seeds: seeds::choices,
        tokens: seeds::NUMBERS,
        inputs: 500,
        memory: (256 << 20, 1000),
    },
    Target {
        name: "fat",
        body: fat,
        seeds: seeds::choices,
        tokens: seeds::NUMBERS,
        inputs: 500,
        memory: (256 << 20, 1000),
    },
    Target {
        name: "disk",
        body: disk,
        seeds: seeds::choices,
        tokens: seeds::NUMBERS,
        inputs: 20_000,
        memory: (64 << 20, 1000),
    },
];

/// Fails where an error is not one line that a terminal can show.
pub(crate) fn assert_one_line(text: &str) {
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
}
