//! Tests of the whole program: builds images from plans, and checks them with other tools.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod acl;
mod against;
mod archives;
mod boot;
mod cli;
mod database;
mod deduplicate;
mod determinism;
mod directories;
mod disk_outputs;
mod disks;
mod errors;
mod example;
mod examples;
mod explain;
mod frames;
mod handmade;
mod hashes;
mod help;
mod hostile;
mod inspect;
mod layouts;
mod legacy;
mod long_sectors;
mod messages;
mod nix_copies;
mod outputs;
mod reports;
mod sbom;
mod seal;
mod selinux;
mod sources;
mod stamp;
mod store;
mod support;
mod terminal;
mod used;
mod variants;
mod verify;
mod verity;
