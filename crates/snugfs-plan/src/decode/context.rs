//! The context of decoders.

use std::path::{Path, PathBuf};

use crate::json::Json;
use crate::value::Value;

/// What decoders need besides the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(super) base_dir: &'a Path,
    /// The structured attributes around the plan, if there are any.
    pub(super) attributes: Option<&'a Json>,
}

impl Context<'_> {
    /// A path of this machine. Relative paths are relative to the base folder.
    pub(super) fn host_path(&self, value: &Value<'_>) -> Option<PathBuf> {
        value.host_path().map(|path| self.base_dir.join(path))
    }
}
