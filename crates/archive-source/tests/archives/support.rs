use std::fmt::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use archive_source::{Archive, ArchiveError, DirectoryId, Format, InodeKind, Options, Target, read};
use image_tree::escaped;

/// A header of the POSIX format, whose fields can be changed.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) header: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

impl Entry {
    pub(crate) fn new(type_byte: u8, name: &[u8], data: &[u8]) -> Self {
        let mut entry = Self { header: vec![0; 512], data: data.to_vec() };
        entry.set(0, name);
        entry.set(100, b"0000644\0");
        entry.set(108, b"0000000\0");
        entry.set(116, b"0000000\0");
        entry.size(u64::try_from(data.len()).unwrap());
        entry.set(136, b"00000000001\0");
        entry.set(257, b"ustar\x0000");
        entry.header[156] = type_byte;
        entry
    }

    pub(crate) fn set(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn size(&mut self, size: u64) -> &mut Self {
        self.set(124, format!("{size:011o}\0").as_bytes())
    }

    pub(crate) fn link(mut self, target: &[u8]) -> Self {
        self.set(157, target);
        self
    }

    /// The header with its checksum, and the data.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.clone();
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend_from_slice(&self.data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

pub(crate) fn file(name: &str, data: &[u8]) -> Entry {
    Entry::new(b'0', name.as_bytes(), data)
}

pub(crate) fn directory(name: &str) -> Entry {
    Entry::new(b'5', name.as_bytes(), b"")
}

pub(crate) fn symlink(name: &str, target: &str) -> Entry {
    Entry::new(b'2', name.as_bytes(), b"").link(target.as_bytes())
}

pub(crate) fn hard_link(name: &str, target: &str) -> Entry {
    Entry::new(b'1', name.as_bytes(), b"").link(target.as_bytes())
}

/// A PAX header with these records.
pub(crate) fn pax(type_byte: u8, records: &[(&str, &[u8])]) -> Entry {
    let mut data = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..20).map(|digits| rest + digits).find(|all| rest + all.to_string().len() == *all);
        data.extend_from_slice(format!("{} {key}=", length.unwrap()).as_bytes());
        data.extend_from_slice(value);
        data.push(b'\n');
    }
    Entry::new(type_byte, b"PaxHeader", &data)
}

/// An archive with its end.
pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(Entry::bytes).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A folder with archives.
pub(crate) struct Place(pub(crate) tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, path: &Path, format: Format<'_>) -> Result<Archive, ArchiveError> {
        read(path, format, &Options { temporary: self.0.path(), progress: &|_| {} })
    }
}

/// The tree of an archive, or the error.
pub(crate) fn list(bytes: &[u8]) -> Result<String, String> {
    let place = Place::new();
    let path = place.write("x.tar", bytes);
    let archive = place.read(&path, Format::Tar);
    archive.map(|archive| shown(&archive)).map_err(|error| {
        let prefix = path.display().to_string();
        let text = error.to_string();
        text.strip_prefix(&prefix).map_or(text.clone(), str::to_owned)
    })
}

pub(crate) fn list_all(entries: &[Entry]) -> Result<String, String> {
    list(&tar(entries))
}

/// One line for each entry, in the order of the tree.
pub(crate) fn shown(archive: &Archive) -> String {
    let mut text = String::new();
    let mut open = vec![(DirectoryId::ROOT, String::new())];
    while let Some((directory, path)) = open.pop() {
        for (name, target) in archive.tree.entries(directory) {
            let path = format!("{path}/{}", escaped(name));
            match target {
                Target::Directory(id) => {
                    let mode = archive
                        .tree
                        .owner(id)
                        .map_or("implied".to_owned(), |own| format!("{:o}", own.0.mode));
                    writeln!(text, "{path}/ {mode}").unwrap();
                    open.push((id, path));
                }
                Target::Inode(id) => {
                    let inode = archive.tree.inode(id);
                    let what = match &inode.kind {
                        InodeKind::Symlink(target) => format!("-> {}", escaped(target)),
                        InodeKind::Special(special) => format!("{special:?}"),
                        InodeKind::File { size, container, offset } => {
                            let (_, container) = &archive.containers[usize::from(*container)];
                            contents(container, &[(0, *size, *offset)], *size)
                        }
                        InodeKind::Sparse { size, container, map } => {
                            let (_, container) = &archive.containers[usize::from(*container)];
                            let segments = &container.segments[usize::try_from(*map).unwrap()];
                            let segments: Vec<_> =
                                segments.iter().map(|one| (one.start, one.len, one.offset)).collect();
                            format!("sparse {}", contents(container, &segments, *size))
                        }
                    };
                    let link =
                        if inode.is_linked { format!(" inode {}", id.number()) } else { String::new() };
                    writeln!(text, "{path} {what}{link}").unwrap();
                }
            }
        }
    }
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn contents(container: &image_tree::Container, segments: &[(u64, u64, u64)], size: u64) -> String {
    if size > 1 << 20 {
        return format!("{size} bytes");
    }
    let file = std::fs::File::from(container.file.try_clone().unwrap());
    let mut bytes = vec![b'.'; usize::try_from(size).unwrap()];
    for &(start, len, offset) in segments {
        let start = usize::try_from(start).unwrap();
        let end = start + usize::try_from(len).unwrap();
        file.read_exact_at(&mut bytes[start..end], offset).unwrap();
    }
    let text = escaped(&bytes).to_string();
    if bytes.len() > 40 { format!("{size} bytes") } else { format!("\"{text}\"") }
}

/// Deterministic bytes that compress badly.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state: u32 = 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..len).map(|_| next()).collect()
}
