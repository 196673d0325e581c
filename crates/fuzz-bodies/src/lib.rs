//! Fuzz bodies: for every parser and layout of snugfs, a function that takes any bytes and panics if a promise is broken.
//! Only for tests; no other crate of snugfs uses this one.
//!
//! The invariant: a body depends only on its bytes, so failures are reproducible. Each body returns whether its input was
//! accepted, so that a campaign can check that it reached both cases.
//!
//! There are two ways to run the bodies. `cargo test -p fuzz-bodies` runs a fixed number of inputs from fixed seeds, made
//! by changing valid inputs, and random ones. libFuzzer runs them guided by coverage, from the folder `fuzz/`.
//!
//! | module | contents |
//! |---|---|
//! | `plans`, `closures`, `bootspecs`, `names` | bodies for text |
//! | `archives` | bodies for tar archives and container images |
//! | `images` | bodies for readers and checkers of images |
//! | `layouts`, `trees` | bodies for layouts, of trees that are generated from bytes |
//! | `seeds`, `mutation` | valid inputs, and changes of them |

#![expect(clippy::missing_panics_doc, reason = "bodies panic to report failures")]

mod archives;
mod bootspecs;
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

pub use archives::{container_image, layers, tar};
pub use bootspecs::bootspec;
pub use choices::Choices;
pub use closures::{graph, hash_and_store_path, registration, registration_and_list};
pub use images::{container, file_systems, judge, partition_table};
pub use layouts::{disk, ext4, fat, nar};
pub use names::names;
pub use plans::{field, plan};

/// The outcome of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was read or laid out, and all promises were kept.
    Accepted,
    /// It was rejected with an error.
    Refused,
}

/// A body, with its parameters for a campaign.
#[derive(Debug)]
pub struct Target {
    /// Name, which is also that of its binary in `fuzz/`.
    pub name: &'static str,
    /// The body, which panics on failure.
    pub body: fn(&[u8]) -> Outcome,
    /// Valid inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Strings with a meaning to this parser, to insert into inputs.
    pub tokens: &'static [&'static [u8]],
    /// Number of inputs in a normal test run.
    pub inputs: u64,
    /// Maximum memory in \[bytes\]: a constant, and a factor for each byte of the input.
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
        name: "bootspec",
        body: bootspec,
        seeds: bootspecs::seeds,
        tokens: seeds::JSON,
        inputs: 30_000,
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
        // The window of a zstd frame, and decompressed bytes.
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
        name: "tar",
        body: tar,
        seeds: seeds::tars,
        tokens: seeds::TAR_PARTS,
        inputs: 10_000,
        // The window of a zstd frame, headers of 8 MiB, and buffers between threads.
        memory: (208 << 20, 100),
    },
    Target {
        name: "container_image",
        body: container_image,
        seeds: seeds::container_images,
        tokens: seeds::TAR_PARTS,
        inputs: 5_000,
        memory: (64 << 20, 100),
    },
    Target {
        name: "layers",
        body: layers,
        seeds: seeds::layers,
        tokens: seeds::TAR_PARTS,
        inputs: 5_000,
        memory: (64 << 20, 100),
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

/// Panics if an error is not one line without control characters.
pub(crate) fn assert_one_line(text: &str) {
    assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
}
