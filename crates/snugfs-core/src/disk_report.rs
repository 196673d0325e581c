//! The disk in a report: its table, its partitions and their contents.

use std::fmt::Write;

use disk_layout::{Disk, Kind, Length, Partition, PlacedPartition, RoundTo, SwapArea, TableId};
use image_tree::{PieceSource, Uuid};
use serde::Serialize;

use crate::parts::{Deduplicated, Part, PartContent, Replaced, Volume};
use crate::prepare::Prepared;

/// A disk. `docs/report.md` describes the keys.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DiskReport {
    /// `mbr` or `gpt`.
    pub table: &'static str,
    /// As `sfdisk` shows it: `0x2178694e`, or a GUID.
    pub id: String,
    /// The logical sector size, in \[bytes\].
    pub sector_size: u64,
    /// The length of the disk, in \[bytes\].
    pub bytes: u64,
    /// `powerOfTwo`, or the number of bytes, if the plan rounds up the length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_to: Option<serde_json::Value>,
    /// In the order of the table.
    pub partitions: Vec<PartitionReport>,
    /// In the order of the plan.
    pub blobs: Vec<BlobReport>,
}

/// A partition; lengths and places in \[bytes\].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PartitionReport {
    /// From 1.
    pub number: usize,
    /// Where it begins on the disk.
    pub start: u64,
    /// How long it is.
    pub bytes: u64,
    /// What decides on the length: `given`, `content` or `fill`.
    pub size_rule: &'static str,
    /// The weight of a partition that fills the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The alignment of the start, if the plan gives another than 1 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub align: Option<u64>,
    /// Two hexadecimal digits, or a GUID.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name in a GPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its GUID in a GPT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Whether it is marked as bootable.
    pub bootable: bool,
    /// `root`, `ext4`, `fat`, `raw`, `verity`, `swap`, `boot-code` or `empty`.
    pub content: &'static str,
    /// Free space of its file system, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// The label of its file system or swap area.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The UUID of an ext4 file system or a swap area, or the serial number of FAT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Equal files of its store that became hard links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicated: Option<Deduplicated>,
    /// The root hash of its file system, or of the one whose hash tree it has; only if the image was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_hash: Option<String>,
    /// Files that were replaced by those of a later tree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Replaced>,
}

/// A blob, in \[bytes\].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct BlobReport {
    /// Where it is on the disk.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// The file system or the swap area in a partition.
struct FileSystem {
    /// `None` for a swap area.
    free_bytes: Option<u64>,
    label: String,
    uuid: String,
    deduplicated: Option<Deduplicated>,
    replaced: Vec<Replaced>,
}

impl DiskReport {
    /// The report of an image's disk.
    pub(crate) fn new(prepared: &Prepared<'_>, disk: &Disk) -> Self {
        let (table, id) = match disk.table() {
            TableId::Mbr(id) => ("mbr", format!("0x{id:08x}")),
            TableId::Gpt(guid) => ("gpt", Uuid(guid).to_string()),
        };
        let places = prepared.parts.iter().zip(&disk.options().partitions).zip(disk.partitions());
        let partition =
            |(index, ((part, options), place)): (usize, ((&Part<'_>, &Partition), &PlacedPartition))| {
                let system = FileSystem::of(part, prepared);
                PartitionReport {
                    number: index + 1,
                    start: place.start,
                    bytes: place.len,
                    size_rule: match options.size {
                        Length::Bytes(_) => "given",
                        Length::Content => "content",
                        Length::Fill(_) => "fill",
                    },
                    weight: part.plan.fill,
                    align: (options.align != Partition::ALIGNMENT).then_some(options.align),
                    kind: match options.kind {
                        Kind::Mbr(number) => format!("{number:02x}"),
                        Kind::Gpt(guid) => Uuid(guid).to_string(),
                    },
                    name: part.plan.name.clone(),
                    guid: disk.partition_guids().get(index).map(|guid| Uuid(*guid).to_string()),
                    bootable: part.plan.bootable,
                    content: part.content.name(),
                    free_bytes: system.as_ref().and_then(|system| system.free_bytes),
                    label: system.as_ref().map(|system| system.label.clone()),
                    deduplicated: system.as_ref().and_then(|system| system.deduplicated),
                    replaced: system.as_ref().map_or(Vec::new(), |system| system.replaced.clone()),
                    uuid: system.map(|system| system.uuid),
                    root_hash: prepared.root_hash_of(index).map(|hash| hash.to_string()),
                }
            };
        let blobs = disk.options().blobs.iter();
        Self {
            table,
            id,
            sector_size: disk.options().sector.bytes(),
            bytes: disk.len(),
            round_to: match disk.options().round_to {
                _ if disk.options().size.is_some() => None,
                RoundTo::Blocks => None,
                RoundTo::Multiple(bytes) => Some(bytes.into()),
                RoundTo::PowerOfTwo => Some("powerOfTwo".into()),
            },
            partitions: places.enumerate().map(partition).collect(),
            blobs: blobs.map(|blob| BlobReport { offset: blob.offset, bytes: blob.part.len() }).collect(),
        }
    }

    /// Whether lengths depend on other parts than the contents.
    fn has_rules(&self) -> bool {
        self.round_to.is_some() || self.partitions.iter().any(|partition| partition.weight.is_some())
    }

    /// The partitions as lines of a table. If lengths follow rules, also the rules and the sum.
    pub fn table(&self) -> String {
        let rules = self.has_rules();
        let mut table = format!(
            "\n{:<8} {}, {}\n\n{:<5}{:<10}{:<17}{:>16}{:>16}{}\n",
            "table",
            self.table,
            self.id,
            "",
            "content",
            "label",
            "start",
            "bytes",
            if rules { "  size" } else { "" }
        );
        for partition in &self.partitions {
            let (content, label) = (partition.content, partition.label.as_deref().unwrap_or_default());
            let start = crate::human::grouped(partition.start);
            let bytes = crate::human::grouped(partition.bytes);
            let rule = match partition.weight {
                _ if !rules => String::new(),
                Some(weight) if weight != 1 => format!("  fill {weight}"),
                _ => format!("  {}", partition.size_rule),
            };
            let number = partition.number;
            let _ = writeln!(table, "{number:>3}  {content:<10}{label:<17}{start:>16}{bytes:>16}{rule}");
        }
        for blob in &self.blobs {
            let start = crate::human::grouped(blob.offset);
            let bytes = crate::human::grouped(blob.bytes);
            let _ = writeln!(table, "{:<5}{:<27}{start:>16}{bytes:>16}", "", "blob");
        }
        if rules {
            let partitions = self.partitions.iter().map(|partition| partition.bytes);
            let parts: u64 = partitions.chain(self.blobs.iter().map(|blob| blob.bytes)).sum();
            let rest = self.bytes.saturating_sub(parts);
            let rounded = match &self.round_to {
                None => "",
                Some(rule) if rule.is_number() => "  multiple",
                Some(_) => "  power of two",
            };
            for (what, bytes, rule) in [("table and gaps", rest, ""), ("total", self.bytes, rounded)] {
                let bytes = crate::human::grouped(bytes);
                let _ = writeln!(table, "{:<5}{what:<27}{:>16}{bytes:>16}{rule}", "", "");
            }
        }
        table
    }
}

impl FileSystem {
    fn of(part: &Part<'_>, prepared: &Prepared<'_>) -> Option<Self> {
        match &part.content {
            PartContent::Root => Some(Self::ext4(&prepared.root)),
            PartContent::Ext4(volume) => Some(Self::ext4(volume)),
            PartContent::Fat(folder) => Some(Self::fat(&folder.layout)),
            PartContent::Swap(area) => Some(Self::swap(area)),
            PartContent::Empty | PartContent::Raw(_) | PartContent::Code(_) | PartContent::Verity(_) => None,
        }
    }

    fn ext4(volume: &Volume<'_>) -> Self {
        let summary = volume.layout.summary();
        let plan = &volume.scanned.planned.plan.filesystem;
        Self {
            free_bytes: Some(summary.free_blocks * u64::from(summary.block_size)),
            label: String::from_utf8_lossy(&plan.label).into_owned(),
            uuid: Uuid(plan.uuid).to_string(),
            deduplicated: volume.scanned.deduplicated,
            replaced: volume.scanned.replaced.clone(),
        }
    }

    fn swap(area: &SwapArea) -> Self {
        Self {
            free_bytes: None,
            label: String::from_utf8_lossy(&area.label).into_owned(),
            uuid: Uuid(area.uuid).to_string(),
            deduplicated: None,
            replaced: Vec::new(),
        }
    }

    fn fat(layout: &fat_layout::FatLayout) -> Self {
        let summary = layout.summary();
        let options = layout.options();
        Self {
            free_bytes: Some(summary.free_clusters * summary.cluster_bytes),
            label: String::from_utf8_lossy(&options.label).trim_end().to_owned(),
            uuid: format!("{:04X}-{:04X}", options.id >> 16, options.id & 0xffff),
            deduplicated: None,
            replaced: Vec::new(),
        }
    }
}
