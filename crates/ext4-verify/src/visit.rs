//! Checks of one inode that a name leads to, and its way to the observer.

use crate::claims::Claims;
use crate::codes::Code;
use crate::context::InodeContext;
use crate::extents::{self, Run};
use crate::fields;
use crate::image::Image;
use crate::inode::{FLAG_EXTENTS, FLAG_INDEX, Inode, Kind};
use crate::observer::{Attribute, Found, Observer};
use crate::paths::Where;
use crate::problem::Findings;
use crate::source::Unreadable;
use crate::xattr;

/// The attribute that marks a slot. Its value is the room in \[bytes\].
const SLOT: &[u8] = b"trusted.snugfs.slot";

/// What an inode has besides its fields.
#[derive(Default)]
struct Body {
    runs: Vec<Run>,
    target: Vec<u8>,
}

/// Checks inodes one after the other.
pub(crate) struct Visitor<'c, 'o> {
    pub(crate) image: &'c Image<'c>,
    pub(crate) claims: &'c mut Claims,
    pub(crate) findings: &'c mut Findings,
    pub(crate) observer: Option<&'o mut dyn Observer>,
}

impl Visitor<'_, '_> {
    /// What the checks of an inode need.
    pub(crate) fn context<'v>(&'v mut self, inode: &'v Inode, at: Where<'v>) -> InodeContext<'v> {
        InodeContext { image: self.image, claims: self.claims, findings: self.findings, inode, at }
    }

    /// Checks an inode that was not visited before. The blocks of directories are read later.
    pub(crate) fn visit(&mut self, inode: &Inode, at: Where<'_>) -> Result<(), Unreadable> {
        let mut cx = self.context(inode, at);
        fields::fields(&mut cx);
        let (own, attributes) = xattr::xattrs(&mut cx)?;
        let Some(kind) = inode.kind else { return Ok(()) };
        let allowed = match kind {
            Kind::Directory => FLAG_EXTENTS | FLAG_INDEX,
            Kind::File | Kind::Symlink => FLAG_EXTENTS,
            _ => 0,
        };
        let needed = if matches!(kind, Kind::Directory | Kind::File) { FLAG_EXTENTS } else { 0 };
        let attributes_set = inode.flags & kind.user_flags();
        if attributes_set != 0 {
            cx.problem(
                Code::InodeAttributes,
                format!("has the flags {attributes_set:#x}, as chattr sets them"),
            );
        }
        if inode.flags & !(allowed | kind.user_flags()) != 0 || inode.flags & needed != needed {
            let text = format!("flags are {:#x}, which {} can't have", inode.flags, kind.name());
            cx.problem(Code::InodeFlags, text);
            if inode.flags & needed != needed {
                return Ok(());
            }
        }
        let mut body = Body::default();
        let contents = match kind {
            Kind::File => {
                let mark = attributes.iter().find(|attribute| attribute.name == SLOT);
                let mapped = extents::file_contents(&mut cx, mark.map(|mark| mark.value.as_slice()))?;
                let blocks = mapped.all_blocks();
                body.runs = mapped.runs;
                Some(blocks)
            }
            Kind::Symlink => {
                let (blocks, target) = extents::symlink(&mut cx)?;
                body.target = target;
                Some(blocks)
            }
            // Its blocks are counted with what it holds.
            Kind::Directory => None,
            Kind::Character | Kind::Block => {
                extents::special(&mut cx, true);
                Some(0)
            }
            Kind::Fifo | Kind::Socket => {
                extents::special(&mut cx, false);
                Some(0)
            }
        };
        if let Some(contents) = contents {
            fields::blocks(&mut cx, own.saturating_add(contents));
        }
        self.show(inode, at, &attributes, &body);
        Ok(())
    }

    /// Shows the observer another name of an inode that was visited before.
    pub(crate) fn show_again(&mut self, inode: &Inode, at: Where<'_>) {
        self.show(inode, at, &[], &Body::default());
    }

    fn show(&mut self, inode: &Inode, at: Where<'_>, attributes: &[Attribute], body: &Body) {
        let (Some(kind), Some(observer)) = (inode.kind, &mut self.observer) else { return };
        // Not the path: directories can be so deep that paths alone would fill the memory.
        observer.found(Found {
            directory: at.directory_inode(),
            name: at.name(),
            inode: inode.number,
            kind,
            permissions: inode.permissions(),
            uid: inode.uid(),
            gid: inode.gid(),
            modified: inode.mtime(),
            size: inode.size,
            target: &body.target,
            device: inode.device(),
            runs: &body.runs,
            attributes,
        });
    }
}
