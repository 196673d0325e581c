//! What the checks of one inode share.

use crate::claims::Claims;
use crate::codes::Code;
use crate::image::Image;
use crate::inode::Inode;
use crate::paths::Where;
use crate::problem::Findings;

/// An inode under check: what may be read for it, what it claims, and where its problems are reported.
pub(crate) struct InodeContext<'c> {
    pub(crate) image: &'c Image<'c>,
    pub(crate) claims: &'c mut Claims,
    pub(crate) findings: &'c mut Findings,
    pub(crate) inode: &'c Inode,
    pub(crate) at: Where<'c>,
}

impl InodeContext<'_> {
    /// Adds a problem of the inode.
    pub(crate) fn problem(&mut self, code: Code, text: impl Into<String>) {
        let at = self.at;
        self.findings.add_with(code, || at.place(), text);
    }

    /// Claims blocks for the inode, see [`Claims::claim`]; `what` says as what.
    pub(crate) fn claim(&mut self, start: u64, len: u64, what: &str) -> bool {
        let number = self.inode.number;
        self.claims.claim(self.findings, start, len, &|| format!("{what} of inode {number}"))
    }
}
