//! Standard input, output and error, which a shell may have redirected to files.

use std::io;

use image_assembly::Identity;

use super::{OutputFile, Outputs, Role, Way};
use snugfs_core::shown;

/// The file that standard input reads.
pub(super) fn stdin() -> Identity {
    Identity::of_stream(io::stdin())
}

impl Outputs {
    /// Adds standard output; `asked` is the option that selects it, or `standard output`.
    pub(crate) fn add_stdout(&mut self, role: Role, asked: &str) {
        self.add_stream(role, asked, Identity::of_stream(io::stdout()));
    }

    /// Adds the messages on standard error.
    pub(crate) fn add_stderr(&mut self) {
        self.add_stream(Role::Messages, "standard error", Identity::of_stream(io::stderr()));
    }

    fn add_stream(&mut self, role: Role, asked: &str, identity: Identity) {
        let name = identity.path().map_or_else(|| "the stream".to_owned(), shown);
        self.all.push(OutputFile { role, way: Way::Stream, asked: asked.into(), name, identity });
    }
}
