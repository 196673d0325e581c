//! Files whose bytes are in a container, such as an archive.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use image_tree::{
    Container, FileBytes, FileSource, FileStamp, FileTree, NodeId, NodeKind, ReadAt, Segment, to_u64,
    to_usize,
};
use rustix::io::retry_on_intr;

/// A file in a container.
#[derive(Clone, Debug)]
pub struct ContainedFile<'t> {
    container: &'t Container,
    size: u64,
    map: Map<'t>,
    /// Where [`Read`] is, in \[bytes\].
    at: u64,
}

#[derive(Clone, Copy, Debug)]
enum Map<'t> {
    Range(u64),
    Segments(&'t [Segment]),
}

impl<'t> ContainedFile<'t> {
    /// The file of a node; `None` if its bytes are not in a container.
    pub(crate) fn of(tree: &'t FileTree, node: NodeId) -> Option<Self> {
        let NodeKind::File { size, source } = tree.node(node).kind() else { return None };
        let container = container(tree, node)?;
        let map = match source {
            FileSource::Range { offset, .. } => Map::Range(offset),
            FileSource::Segments { index, .. } => {
                Map::Segments(container.segments.get(to_usize(index.into()))?)
            }
            _ => return None,
        };
        Some(Self { container, size, map, at: 0 })
    }

    /// The container.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'t> {
        self.container.file.as_fd()
    }

    fn pread(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(&self.container.file, &mut *buffer, offset))?)
    }
}

/// The container of a file; `None` if it has none.
pub(crate) fn container(tree: &FileTree, node: NodeId) -> Option<&Container> {
    let NodeKind::File {
        source: FileSource::Range { origin, .. } | FileSource::Segments { origin, .. }, ..
    } = tree.node(node).kind()
    else {
        return None;
    };
    tree.origin(origin).container.as_deref()
}

/// Whether a container is as it was.
pub(crate) fn is_unchanged(container: &Container) -> io::Result<bool> {
    let Some((len, stamp)) = container.stamp else { return Ok(true) };
    let stat = rustix::fs::fstat(&container.file)?;
    let now: FileStamp = crate::found::stamp(&stat);
    Ok(u64::try_from(stat.st_size) == Ok(len) && now == stamp)
}

impl ReadAt for ContainedFile<'_> {
    fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(left) = self.size.checked_sub(offset) else { return Ok(0) };
        let len = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let buffer = &mut buffer[..len];
        let segments = match self.map {
            Map::Range(start) => return self.pread(buffer, start.saturating_add(offset)),
            Map::Segments(segments) => segments,
        };
        let next = segments.partition_point(|segment| segment.start + segment.len <= offset);
        let len = to_u64(len);
        let read = match segments.get(next) {
            Some(segment) if segment.start <= offset => {
                let len = to_usize(len.min(segment.start + segment.len - offset));
                self.pread(&mut buffer[..len], segment.offset + (offset - segment.start))?
            }
            hole => {
                let len = to_usize(hole.map_or(len, |segment| len.min(segment.start - offset)));
                buffer[..len].fill(0);
                len
            }
        };
        if !is_unchanged(self.container)? {
            return Err(io::Error::other("the archive changed"));
        }
        Ok(read)
    }
}

impl Read for ContainedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_at(buffer, self.at)?;
        self.at += to_u64(read);
        Ok(read)
    }
}

impl<'t> From<ContainedFile<'t>> for FileBytes<'t> {
    fn from(file: ContainedFile<'t>) -> Self {
        match file.map {
            Map::Range(offset) => Self::Range { fd: file.file(), offset },
            Map::Segments(_) => Self::Reader(Box::new(file)),
        }
    }
}

#[cfg(test)]
mod tests;
