//! The bounds of what an archive can ask for. docs/security.md has them as a table.

/// Bytes of the extension headers of one entry: long names, PAX records, maps of sparse files.
pub const EXTENSION_BYTES: u64 = 8 << 20;
/// Extension headers of one entry.
pub const EXTENSIONS: usize = 16;
/// Bytes of all global PAX headers of an archive.
pub const GLOBAL_BYTES: u64 = 64 << 10;
/// Data runs of one sparse file.
pub const SEGMENTS: usize = 1 << 20;
/// Bytes of the extended attributes of one entry, with their names.
pub const XATTR_BYTES: usize = 256 << 10;
/// Entries of a source, with the directories that are implied, and all that later ones replace.
pub const ENTRIES: usize = 16 << 20;
/// Bytes of names, targets and extended attributes of a source.
pub const NAME_BYTES: u64 = 1 << 30;
/// Uncompressed bytes of a source.
pub const UNCOMPRESSED_BYTES: u64 = 1 << 40;
/// Memory of a decompressor in \[bytes\].
pub const DECOMPRESSOR_BYTES: u64 = 128 << 20;
/// Symlinks on the way to one entry, as in Linux.
pub const SYMLINKS: usize = 40;
/// Layers of an image.
pub const LAYERS: usize = 1000;
/// Bytes of an index, a manifest or a configuration.
pub const JSON_BYTES: u64 = 16 << 20;
/// Images in an index, with those of the indices in it.
pub const IMAGES: usize = 1000;
/// Indices within an index.
pub const INDEX_DEPTH: usize = 4;
