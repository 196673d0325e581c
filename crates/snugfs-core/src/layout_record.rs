//! Records of layouts: where everything is in an image, so that the next one can keep it.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::Path;

use closure_registration::Closure;
use data_encoding::HEXLOWER;
use ext4_layout::{Compatibility, Layout, Likeness, Place, Previous, Reason, Recorded};
use image_explain::PathSize;
use image_tree::{FileTree, io_reason, shown};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use snugfs_plan::Location;

use crate::closure::read_file;
use crate::failure::{Failure, FailureKind, remedy};
use crate::human;
use crate::prepare::Prepared;
use crate::problem::Problem;

/// The version of the format.
const VERSION: u32 = 1;

/// What the file says that it is.
const KIND: &str = "snugfs layout";

/// The longest record after decompression, in \[bytes\].
const MOST_BYTES: u64 = 4 << 30;

/// Level of compression. Records are read more often than written.
const LEVEL: i32 = 9;

/// The magic of zstd.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Before the hexadecimal form of a path that is not UTF-8. No path has it.
const HEX: char = '\0';

/// The record of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutRecord {
    kind: String,
    version: u32,
    /// SHA-256 of `file_systems` as compact JSON.
    sha256: String,
    file_systems: Vec<FileSystemRecord>,
}

/// The record of an ext4 file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileSystemRecord {
    /// The number of its partition, from 1; null for a bare file system.
    partition: Option<u32>,
    blocks: u64,
    groups: u32,
    inodes_per_group: u32,
    reserved_gdt_blocks: u64,
    journal_blocks: u64,
    /// Whether the group descriptors are those of `"compatibility": "legacy"`. Left out of the record if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    legacy: bool,
    /// Path, inode, first block, number of blocks.
    entries: Vec<(String, u32, u64, u64)>,
}

/// Why a record can't be used, and what to do.
type Unusable = (String, &'static str);

impl LayoutRecord {
    /// The record of an image that is laid out.
    pub(crate) fn of(prepared: &Prepared<'_>) -> Result<Self, Failure> {
        let file_systems = prepared.volumes().map(|volume| {
            let layout = &*volume.layout;
            let Recorded {
                blocks,
                groups,
                inodes_per_group,
                reserved_gdt_blocks,
                journal_blocks,
                compatibility,
            } = layout.recorded();
            let tree = layout.tree();
            let entries = tree.iter().filter_map(|(node, _)| {
                let Place { inode, start, blocks, .. } = layout.place(node)?;
                Some((key(tree.path(node).as_bytes()), inode, start, blocks))
            });
            FileSystemRecord {
                partition: volume.scanned.planned.partition_number(),
                blocks,
                groups,
                inodes_per_group,
                reserved_gdt_blocks,
                journal_blocks,
                legacy: compatibility == Compatibility::Legacy,
                entries: entries.collect(),
            }
        });
        let file_systems: Vec<_> = file_systems.collect();
        let sha256 = digest(&file_systems).map_err(|error| Failure::internal("the layout", error))?;
        Ok(Self { kind: KIND.to_owned(), version: VERSION, sha256, file_systems })
    }

    /// The file's bytes: JSON, compressed with zstd if asked for.
    ///
    /// # Errors
    /// If zstd fails.
    pub fn to_bytes(&self, compressed: bool) -> Result<Vec<u8>, Failure> {
        let internal = |error: io::Error| Failure::internal("the layout", error);
        let json = serde_json::to_vec(self).map_err(|error| internal(error.into()))?;
        if compressed { zstd::bulk::compress(&json, LEVEL).map_err(internal) } else { Ok(json) }
    }

    /// Reads a record.
    fn read(path: &Path, at: &Location) -> Result<Self, Failure> {
        let failed = |what: String, help: &str| {
            Failure::new(FailureKind::Source, at.clone(), format!("{}: {what}", shown(path)), help)
        };
        let bytes = read_file(path).map_err(|error| {
            failed(
                format!("can't be read: {}", io_reason(&error)),
                remedy(&error, "name a file that --layout-out wrote"),
            )
        })?;
        Self::parse(bytes).map_err(|(what, help)| failed(what, help))
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, Unusable> {
        const NAME: &str = "name a file that --layout-out wrote";
        let json = if bytes.starts_with(ZSTD) {
            let mut json = Vec::new();
            let decoder = zstd::stream::read::Decoder::with_buffer(&*bytes);
            let read = decoder.and_then(|decoder| decoder.take(MOST_BYTES).read_to_end(&mut json));
            read.map_err(|error| (format!("is damaged: {}", io_reason(&error)), NAME))?;
            json
        } else {
            bytes
        };
        let not_one = || ("is not the record of a layout".to_owned(), NAME);
        let begin: Beginning = serde_json::from_slice(&json).map_err(|_| not_one())?;
        if begin.kind != KIND {
            return Err(not_one());
        }
        if begin.version != VERSION {
            let what = format!(
                "has version {} of the format, and this snugfs reads version {VERSION}",
                begin.version
            );
            return Err((what, "use the snugfs that wrote it, or build once without it"));
        }
        let record: Self =
            serde_json::from_slice(&json).map_err(|error| (format!("is damaged: {error}"), NAME))?;
        if digest(&record.file_systems).ok().as_ref() != Some(&record.sha256) {
            return Err(("is damaged: its contents do not have the digest in it".to_owned(), NAME));
        }
        Ok(record)
    }
}

/// The first fields, which all versions have.
#[derive(Deserialize)]
struct Beginning {
    kind: String,
    version: u32,
}

fn digest(file_systems: &[FileSystemRecord]) -> serde_json::Result<String> {
    Ok(HEXLOWER.encode(&Sha256::digest(serde_json::to_vec(file_systems)?)))
}

/// A path as text.
fn key(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{HEX}{}", HEXLOWER.encode(path)),
    }
}

/// What of an earlier image a file system keeps.
pub(crate) struct Like<'p> {
    /// The file.
    pub(crate) path: &'p Path,
    /// The field that names it.
    pub(crate) at: Location,
    /// How much longer the image may be than one that is laid out anew, in \[percent\].
    pub(crate) slack: u32,
}

impl Like<'_> {
    /// Reads the file, and finds the places of a new tree's nodes.
    pub(crate) fn previous(
        &self,
        partition: Option<u32>,
        tree: &FileTree,
        closure: Option<(&Closure, &[u8])>,
    ) -> Result<Previous, Failure> {
        let failed = |what: String, help: &str| {
            Failure::new(FailureKind::Source, self.at.clone(), format!("{}: {what}", shown(self.path)), help)
        };
        let record = LayoutRecord::read(self.path, &self.at)?;
        let found =
            record.file_systems.iter().find(|fs| fs.partition == partition).or(match &*record.file_systems {
                // One file system that is in a partition now, or was in one.
                [one] => Some(one),
                _ => None,
            });
        let found = found.ok_or_else(|| {
            let what = match partition {
                Some(number) => format!("has no file system of partition {number}"),
                None => "has no bare file system".to_owned(),
            };
            failed(what, "name the record of an image with the same partitions, or leave it out")
        })?;
        let recorded = Recorded {
            blocks: found.blocks,
            groups: found.groups,
            inodes_per_group: found.inodes_per_group,
            reserved_gdt_blocks: found.reserved_gdt_blocks,
            journal_blocks: found.journal_blocks,
            compatibility: if found.legacy { Compatibility::Legacy } else { Compatibility::Current },
        };
        let places = places(found, tree, closure);
        Previous::new(recorded, places, self.slack).ok_or_else(|| {
            failed("has numbers that no file system has".to_owned(), "name a file that --layout-out wrote")
        })
    }
}

/// The places that the nodes of a tree had, by node. A store path that is new takes those of one with the same name that is gone.
fn places(
    record: &FileSystemRecord,
    tree: &FileTree,
    closure: Option<(&Closure, &[u8])>,
) -> Vec<Option<Place>> {
    let old: HashMap<&str, Place> = record
        .entries
        .iter()
        .map(|(path, inode, start, blocks)| (&**path, Place::new(*inode, *start, *blocks)))
        .collect();
    let renamed = closure.map(|(closure, store)| renamed(&old, closure, store)).unwrap_or_default();
    let nodes = tree.iter().map(|(node, _)| {
        let path = tree.path(node);
        let name = key(path.as_bytes());
        let found = old.get(&*name).copied();
        found.or_else(|| {
            // Nothing is renamed in most images.
            let (store, rest) = split(&name, closure?.1)?;
            let (base, below) =
                rest.split_once('/').map_or((rest, ""), |(base, _)| (base, &rest[base.len()..]));
            let former = renamed.get(base)?;
            old.get(&*format!("{store}/{former}{below}")).copied()
        })
    });
    nodes.collect()
}

/// A path as the store and what is below it.
fn split<'n>(name: &'n str, store: &[u8]) -> Option<(&'n str, &'n str)> {
    let store = std::str::from_utf8(store).ok()?;
    let rest = name.strip_prefix(store)?.strip_prefix('/')?;
    Some((name.get(..store.len())?, rest))
}

/// Base names of store paths that are new, and of those that they follow.
fn renamed(old: &HashMap<&str, Place>, closure: &Closure, store: &[u8]) -> BTreeMap<String, String> {
    let size = |base_name| PathSize { base_name, bytes: 0 };
    let before: Vec<_> = old
        .keys()
        .filter_map(|path| split(path, store))
        .filter(|(_, rest)| !rest.contains('/'))
        .map(|(_, base)| size(base))
        .collect();
    let after: Vec<_> = closure.paths().iter().map(|path| size(path.path.as_str())).collect();
    let changes = image_explain::compare(&before, &after);
    changes
        .iter()
        .filter_map(|change| change.before.zip(change.after))
        .filter(|(before, after)| before.base_name != after.base_name)
        .map(|(before, after)| (after.base_name.to_owned(), before.base_name.to_owned()))
        .collect()
}

/// A warning if an image does not follow the earlier one.
pub(crate) fn warning(layout: &Layout, at: &Location, slack: u32) -> Option<Problem> {
    let Likeness::Anew(reason) = layout.likeness()? else { return None };
    let (why, help) = match reason {
        Reason::TooLong { blocks } => (
            format!(
                "it would have {}, more than {slack} % longer than laid out anew",
                human::size(blocks.saturating_mul(4096))
            ),
            "allow more with --layout-slack, or start again with the record of this image",
        ),
        Reason::NoRoom => (
            "the contents do not fit around what is kept".to_owned(),
            "start again with the record of this image",
        ),
    };
    Some(Problem::new(at.clone(), format!("the image is laid out anew: {why}"), help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LayoutRecord {
        let file_systems = vec![FileSystemRecord {
            partition: Some(2),
            blocks: 3000,
            groups: 1,
            inodes_per_group: 8192,
            reserved_gdt_blocks: 7,
            journal_blocks: 1024,
            legacy: false,
            entries: vec![("/a".into(), 12, 2000, 1), ("\0ff".into(), 13, 0, 0)],
        }];
        let sha256 = digest(&file_systems).unwrap();
        LayoutRecord { kind: KIND.into(), version: VERSION, sha256, file_systems }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for compressed in [false, true] {
            let bytes = record().to_bytes(compressed).unwrap();
            assert_eq!(bytes.starts_with(ZSTD), compressed);
            assert_eq!(LayoutRecord::parse(bytes), Ok(record()));
        }
    }

    #[test]
    fn wrong_records_say_what_they_are() {
        let parse = |text: &str| LayoutRecord::parse(text.as_bytes().to_vec()).unwrap_err().0;
        assert_eq!(parse("{}"), "is not the record of a layout");
        assert_eq!(parse("nothing"), "is not the record of a layout");
        let json = String::from_utf8(record().to_bytes(false).unwrap()).unwrap();
        assert!(parse(&json.replace("\"version\":1", "\"version\":2")).contains("version 2 of the format"));
        assert!(parse(&json.replace(",12,", ",14,")).contains("do not have the digest"));
        assert!(parse(&json.replace("\"blocks\":3000,", "")).starts_with("is damaged: missing field"));
        let mut cut = record().to_bytes(true).unwrap();
        cut.truncate(40);
        assert!(LayoutRecord::parse(cut).unwrap_err().0.starts_with("is damaged"));
    }

    #[test]
    fn any_path_has_a_key() {
        assert_eq!(key(b"/a"), "/a");
        assert_eq!(key(b"/\xff"), "\0 2fff".replace(' ', ""));
    }

    #[test]
    fn paths_are_split_at_the_store() {
        assert_eq!(split("/nix/store/x-a/b", b"/nix/store"), Some(("/nix/store", "x-a/b")));
        assert_eq!(split("/nix/stores/x", b"/nix/store"), None);
        assert_eq!(split("/nix/store", b"/nix/store"), None);
    }
}
