//! The tree of an archive, or of the merged layers of an image.
//!
//! Layers are merged by the rules of the OCI image specification ("Layer Changesets"), as containerd applies them: a later entry
//! replaces an earlier one, directories are merged, whiteouts remove what lower layers have. Symlinks on the way to an entry
//! are followed within the tree, as below a changed root, so no entry is ever outside of it.

use std::collections::BTreeMap;

use image_tree::{Name, Segment, SpecialKind, escaped, to_u64};

use crate::error::Fault;
use crate::limits;
use crate::member::{Member, MemberKind};

/// A directory of an [`ArchiveTree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryId(u32);

impl DirectoryId {
    /// The top directory.
    pub const ROOT: Self = Self(0);
}

/// An inode of an [`ArchiveTree`] that is not a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeId(u32);

impl InodeId {
    /// Its number, different for each inode of a tree.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A directory.
    Directory(DirectoryId),
    /// Anything else.
    Inode(InodeId),
}

/// Owner, permissions and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Permission bits, 0 to 0o7777.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds, below 10⁹.
    pub nanoseconds: u32,
}

/// The name and the value of an extended attribute. The name can be in a namespace that ext4 does not have.
pub type RawXattr = (Vec<u8>, Vec<u8>);

/// Extended attributes, each name once.
pub type RawXattrs = Box<[RawXattr]>;

/// A file, symlink or special file.
#[derive(Clone, Debug)]
pub struct Inode {
    /// Owner, permissions and time.
    pub owner: Owner,
    /// Extended attributes.
    pub xattrs: Option<Box<RawXattrs>>,
    /// Whether it has or had more than one name.
    pub is_linked: bool,
    /// What it is.
    pub kind: InodeKind,
}

/// The kind of an [`Inode`].
#[derive(Clone, Debug)]
pub enum InodeKind {
    /// A regular file whose bytes follow each other in a container.
    File {
        /// Length in \[bytes\].
        size: u64,
        /// The container's position.
        container: u16,
        /// Where the bytes begin in it, in \[bytes\].
        offset: u64,
    },
    /// A sparse file.
    Sparse {
        /// Length in \[bytes\], with its holes.
        size: u64,
        /// The container's position.
        container: u16,
        /// The position of its segments in the container.
        map: u32,
    },
    /// A symlink, with its target of 1 to 4,095 bytes.
    Symlink(Box<[u8]>),
    /// A device or FIFO.
    Special(SpecialKind),
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    target: Target,
    /// The last layer with this entry, or with something below it.
    layer: u16,
}

#[derive(Debug)]
struct Directory {
    parent: DirectoryId,
    /// `None` for a directory that has no entry itself.
    own: Option<Box<(Owner, Option<Box<RawXattrs>>)>>,
    entries: BTreeMap<Box<[u8]>, Slot>,
}

/// A tree in memory. Entries that later ones replaced may still be counted as inodes.
#[derive(Debug)]
pub struct ArchiveTree {
    directories: Vec<Directory>,
    inodes: Vec<Inode>,
    name_bytes: u64,
    /// The layer that is being added.
    layer: u16,
    has_whiteouts: bool,
    /// The directory of the last entry, as its path is in the archive.
    latest: Option<(Vec<u8>, DirectoryId)>,
}

/// Entries of a directory that begin like this are whiteouts.
const WHITEOUT: &[u8] = b".wh.";
/// Hides everything that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Files that AUFS kept in its layers.
const AUFS: &[u8] = b".wh..wh.";
/// Linux shows no attributes of overlayfs itself.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// A container while its archive is read.
pub(crate) struct Contained<'c> {
    pub(crate) container: u16,
    pub(crate) segments: &'c mut Vec<Box<[Segment]>>,
}

impl ArchiveTree {
    pub(crate) fn new() -> Self {
        let root = Directory { parent: DirectoryId::ROOT, own: None, entries: BTreeMap::new() };
        Self {
            directories: vec![root],
            inodes: Vec::new(),
            name_bytes: 0,
            layer: 0,
            has_whiteouts: false,
            latest: None,
        }
    }

    /// Begins a layer above those before it.
    pub(crate) fn begin_layer(&mut self, layer: u16) {
        self.layer = layer;
        self.has_whiteouts = true;
        self.latest = None;
    }

    /// The entries of a directory, sorted by name.
    pub fn entries(&self, id: DirectoryId) -> impl ExactSizeIterator<Item = (&[u8], Target)> {
        self.directory(id).entries.iter().map(|(name, slot)| (&**name, slot.target))
    }

    /// Removes the entries of a directory from memory. It is empty then.
    pub fn clear(&mut self, id: DirectoryId) {
        self.directory_mut(id).entries = BTreeMap::new();
    }

    /// Owner and attributes of a directory; `None` if the archive has only entries below it.
    #[must_use]
    pub fn owner(&self, id: DirectoryId) -> Option<(Owner, &[RawXattr])> {
        let own = self.directory(id).own.as_deref()?;
        Some((own.0, own.1.as_deref().map_or(&[], |xattrs| xattrs)))
    }

    /// An inode.
    #[must_use]
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[image_tree::to_usize(id.0.into())]
    }

    fn directory(&self, id: DirectoryId) -> &Directory {
        &self.directories[image_tree::to_usize(id.0.into())]
    }

    fn directory_mut(&mut self, id: DirectoryId) -> &mut Directory {
        &mut self.directories[image_tree::to_usize(id.0.into())]
    }

    fn is_full(&self) -> bool {
        self.inodes.len() + self.directories.len() > limits::ENTRIES
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        self.name_bytes = self.name_bytes.saturating_add(to_u64(bytes));
        if self.is_full() {
            return Err(Fault::Limit { what: "more than 16777216 entries" });
        }
        if self.name_bytes > limits::NAME_BYTES {
            return Err(Fault::Limit { what: "more than 1 GiB of names and extended attributes" });
        }
        Ok(())
    }

    /// Adds an entry.
    pub(crate) fn add(&mut self, member: Member, contained: &mut Contained<'_>) -> Result<(), Fault> {
        let Member { path, kind, mode, uid, gid, seconds, nanoseconds, mut xattrs } = member;
        let owner = Owner { mode, uid, gid, seconds, nanoseconds };
        let (above, name) = split(&path)?;
        if self.has_whiteouts {
            xattrs.retain(|(name, _)| !name.starts_with(OVERLAY));
        }
        let bytes = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 48;
        self.charge(name.map_or(0, <[u8]>::len) + xattrs.iter().map(bytes).sum::<usize>())?;
        let xattrs = (!xattrs.is_empty()).then(|| Box::new(xattrs.into_boxed_slice()));
        let Some(name) = name else {
            // The top directory.
            return match kind {
                MemberKind::Directory => {
                    self.directory_mut(DirectoryId::ROOT).own = Some(Box::new((owner, xattrs)));
                    Ok(())
                }
                _ => Err(Fault::Name { what: "without a part" }),
            };
        };
        if self.has_whiteouts && above.split(|&byte| byte == b'/').any(|part| part.starts_with(WHITEOUT)) {
            // What AUFS kept in folders of its own.
            let is_of_aufs = above.split(|&byte| byte == b'/').any(|part| part.starts_with(AUFS));
            return if is_of_aufs { Ok(()) } else { Err(Fault::Name { what: "below a whiteout" }) };
        }
        let parent = self.parent(above)?;
        if self.has_whiteouts
            && let Some(hidden) = name.strip_prefix(WHITEOUT)
        {
            return self.white_out(parent, name, hidden);
        }
        let kind = match kind {
            MemberKind::Directory => {
                let id = self.make_directory(parent, name)?;
                self.directory_mut(id).own = Some(Box::new((owner, xattrs)));
                return Ok(());
            }
            MemberKind::HardLink(target) => return self.hard_link(parent, name, &target),
            MemberKind::File { size, offset } => {
                InodeKind::File { size, container: contained.container, offset }
            }
            MemberKind::Sparse { size, segments } => {
                let map = u32::try_from(contained.segments.len())
                    .map_err(|_| Fault::Limit { what: "too many sparse files" })?;
                self.charge(segments.len().saturating_mul(size_of::<Segment>()))?;
                contained.segments.push(segments.into_boxed_slice());
                InodeKind::Sparse { size, container: contained.container, map }
            }
            MemberKind::Symlink(target) => {
                if target.is_empty() || target.len() > 4095 || target.contains(&0) {
                    return Err(Fault::SymlinkTarget { len: target.len() });
                }
                self.charge(target.len())?;
                InodeKind::Symlink(target.into_boxed_slice())
            }
            MemberKind::Special(special) => InodeKind::Special(special),
        };
        let id = InodeId(image_tree::narrow(to_u64(self.inodes.len()), "`charge` refuses more entries"));
        self.inodes.push(Inode { owner, xattrs, is_linked: false, kind });
        self.put(parent, name, Target::Inode(id))
    }

    /// Puts an entry in its place. It replaces what was there, except a directory of the same layer with entries.
    fn put(&mut self, parent: DirectoryId, name: &[u8], target: Target) -> Result<(), Fault> {
        let layer = self.layer;
        if let Some(Slot { target: Target::Directory(id), layer: of }) =
            self.directory(parent).entries.get(name).copied()
            && of == layer
            && !self.directory(id).entries.is_empty()
        {
            return Err(Fault::OverDirectory { directory: escaped(name).to_string() });
        }
        let slot = Slot { target, layer };
        let entries = &mut self.directory_mut(parent).entries;
        let replaced = match entries.get_mut(name) {
            Some(known) => Some(std::mem::replace(known, slot)),
            None => entries.insert(name.into(), slot),
        };
        if replaced.is_some() {
            // What the path of the last entry leads through may be gone.
            self.latest = None;
        }
        Ok(())
    }

    /// The directory of that name, with what it has already. Anything else is replaced.
    fn make_directory(&mut self, parent: DirectoryId, name: &[u8]) -> Result<DirectoryId, Fault> {
        let layer = self.layer;
        if let Some(slot) = self.directory_mut(parent).entries.get_mut(name)
            && let Target::Directory(id) = slot.target
        {
            slot.layer = layer;
            return Ok(id);
        }
        self.charge(name.len())?;
        let id =
            DirectoryId(image_tree::narrow(to_u64(self.directories.len()), "`charge` refuses more entries"));
        self.directories.push(Directory { parent, own: None, entries: BTreeMap::new() });
        self.put(parent, name, Target::Directory(id))?;
        Ok(id)
    }

    /// The directory at a path. Makes what is missing.
    fn parent(&mut self, path: &[u8]) -> Result<DirectoryId, Fault> {
        if let Some((latest, id)) = &self.latest
            && latest == path
        {
            return Ok(*id);
        }
        let id = self.resolve(path, true)?.ok_or(Fault::Loop)?;
        self.latest = Some((path.to_vec(), id));
        Ok(id)
    }

    /// The directory at a path, through symlinks within the tree. `None` if there is none, unless it is to be made.
    fn resolve(&mut self, path: &[u8], makes: bool) -> Result<Option<DirectoryId>, Fault> {
        let mut at = DirectoryId::ROOT;
        let mut links = 0;
        // What is left to do, the innermost symlink last.
        let mut rest: Vec<(Vec<u8>, usize)> = vec![(path.to_vec(), 0)];
        while let Some((text, from)) = rest.last_mut() {
            let Some(part) = text.get(*from..).filter(|part| !part.is_empty()) else {
                rest.pop();
                continue;
            };
            let len = part.iter().position(|&byte| byte == b'/').unwrap_or(part.len());
            let name = part[..len].to_vec();
            *from += len + 1;
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    at = self.directory(at).parent;
                    continue;
                }
                _ => {}
            }
            let slot = self.directory(at).entries.get(name.as_slice()).copied();
            let inode = match slot.map(|slot| slot.target) {
                Some(Target::Directory(id)) => {
                    let layer = self.layer;
                    if makes && let Some(slot) = self.directory_mut(at).entries.get_mut(name.as_slice()) {
                        slot.layer = layer;
                    }
                    at = id;
                    continue;
                }
                Some(Target::Inode(inode)) => inode,
                None if !makes => return Ok(None),
                None => {
                    check_name(&name)?;
                    at = self.make_directory(at, &name)?;
                    continue;
                }
            };
            if let InodeKind::Symlink(target) = &self.inode(inode).kind {
                links += 1;
                if links > limits::SYMLINKS {
                    return Err(Fault::Loop);
                }
                if target.starts_with(b"/") {
                    at = DirectoryId::ROOT;
                }
                let target = target.to_vec();
                rest.push((target, 0));
            } else if !makes {
                return Ok(None);
            } else if slot.is_some_and(|slot| slot.layer < self.layer) {
                at = self.make_directory(at, &name)?;
            } else {
                return Err(Fault::BelowFile { file: escaped(&name).to_string() });
            }
        }
        Ok(Some(at))
    }

    fn hard_link(&mut self, parent: DirectoryId, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        let fault = || Fault::HardLink { target: escaped(target).to_string() };
        let (above, last) = split(target)?;
        let directory = self.resolve(above, false)?.ok_or_else(fault)?;
        let slot = last.and_then(|last| self.directory(directory).entries.get(last).copied());
        let Some(Slot { target: Target::Inode(id), .. }) = slot else { return Err(fault()) };
        if directory == parent && last == Some(name) {
            return Ok(());
        }
        self.inodes[image_tree::to_usize(id.0.into())].is_linked = true;
        self.put(parent, name, Target::Inode(id))
    }

    /// The inode at a path, through symlinks within the tree, also the last one.
    pub(crate) fn find(&mut self, path: &[u8]) -> Option<InodeId> {
        let mut path = path.to_vec();
        for _ in 0..limits::SYMLINKS {
            let (above, last) = split(&path).ok()?;
            let directory = self.resolve(above, false).ok()??;
            let Target::Inode(id) = self.directory(directory).entries.get(last?)?.target else { return None };
            let InodeKind::Symlink(target) = &self.inode(id).kind else { return Some(id) };
            path = if target.starts_with(b"/") { target.to_vec() } else { [above, b"/", target].concat() };
            // `split` refuses "..", which `resolve` follows.
            path = self.without_dots(&path)?;
        }
        None
    }

    /// The path without `..`, in the words of the tree: from its top directory.
    fn without_dots(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let slash = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let (above, last) = path.split_at(slash);
        let mut at = self.resolve(above, false).ok()??;
        let mut names = vec![last.to_vec()];
        while at != DirectoryId::ROOT {
            let parent = self.directory(at).parent;
            let is_it = |slot: &Slot| slot.target == Target::Directory(at);
            let (name, _) = self.directory(parent).entries.iter().find(|(_, slot)| is_it(slot))?;
            names.push([b"/", &**name].concat());
            at = parent;
        }
        names.reverse();
        Some(names.concat())
    }

    fn white_out(&mut self, parent: DirectoryId, name: &[u8], hidden: &[u8]) -> Result<(), Fault> {
        if name == OPAQUE {
            self.hide_lower(vec![parent]);
        } else if !name.starts_with(AUFS) {
            check_name(hidden)?;
            match self.directory(parent).entries.get(hidden) {
                Some(slot) if slot.layer < self.layer => {
                    self.directory_mut(parent).entries.remove(hidden);
                }
                Some(Slot { target: Target::Directory(id), .. }) => {
                    let id = *id;
                    self.hide_lower(vec![id]);
                }
                _ => {}
            }
        }
        self.latest = None;
        Ok(())
    }

    /// Removes what lower layers have in some directories and below them.
    fn hide_lower(&mut self, mut directories: Vec<DirectoryId>) {
        let layer = self.layer;
        while let Some(id) = directories.pop() {
            let entries = &mut self.directory_mut(id).entries;
            entries.retain(|_, slot| slot.layer == layer);
            directories.extend(entries.values().filter_map(|slot| match slot.target {
                Target::Directory(below) => Some(below),
                Target::Inode(_) => None,
            }));
        }
    }
}

/// The path of the directory, and the name in it; no name for the top directory. Refuses `..`.
fn split(path: &[u8]) -> Result<(&[u8], Option<&[u8]>), Fault> {
    for part in path.split(|&byte| byte == b'/') {
        if !part.is_empty() && part != b"." {
            check_name(part)?;
        }
    }
    let mut rest = path;
    loop {
        let (above, last) = match rest.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&rest[..slash], &rest[slash + 1..]),
            None => (&rest[..0], rest),
        };
        if !last.is_empty() && last != b"." {
            return Ok((above, Some(last)));
        }
        if above.is_empty() {
            return Ok((above, None));
        }
        rest = above;
    }
}

fn check_name(name: &[u8]) -> Result<(), Fault> {
    Name::new(name).map(drop).map_err(|wrong| Fault::Name {
        what: match wrong {
            image_tree::InvalidName::TooLong(_) => "with a part of more than 255 bytes",
            image_tree::InvalidName::Dots(_) => "with a part that is \"..\"",
            image_tree::InvalidName::Empty => "without a part",
            _ => "with a NUL byte",
        },
    })
}
