//! The disk in a report: its table, its partitions and what is in each.

use std::fmt::Write;

use build_plan::PartitionContent;
use disk_layout::{Disk, Kind, Table};
use serde::Serialize;

use crate::deduplicate::Deduplicated;
use crate::pipeline::{Gathered, Layouts};
use crate::report::uuid_text;

/// A disk, key for key as the documentation of reports has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiskReport {
    pub(crate) table: &'static str,
    /// As `sfdisk` shows it: `0x2178694e`, or a GUID.
    pub(crate) id: String,
    pub(crate) sector_size: u64,
    pub(crate) partitions: Vec<PartitionReport>,
    pub(crate) blobs: Vec<BlobReport>,
}

/// A partition; lengths and places in \[bytes\].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartitionReport {
    pub(crate) number: usize,
    pub(crate) start: u64,
    pub(crate) bytes: u64,
    /// Two hexadecimal digits, or a GUID.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) guid: Option<String>,
    pub(crate) bootable: bool,
    /// `root`, `ext4`, `fat`, `raw` or `empty`.
    pub(crate) content: &'static str,
    /// What is free in the file system, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) free_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    /// The UUID of an ext4 file system, the number of a FAT one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uuid: Option<String>,
    /// Equal files of its store that became hard links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deduplicated: Option<Deduplicated>,
}

/// A blob, in \[bytes\].
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BlobReport {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// What a file system in a partition is.
struct FileSystem {
    free_bytes: u64,
    label: String,
    uuid: String,
    deduplicated: Option<Deduplicated>,
}

impl DiskReport {
    /// Of a plan's disk and what is on it.
    pub(crate) fn new(
        plan: &build_plan::DiskPlan,
        disk: &Disk<'_>,
        gathered: &Gathered<'_>,
        layouts: &Layouts<'_>,
    ) -> Self {
        let (table, id) = match disk.table() {
            Table::Mbr(id) => ("mbr", format!("0x{:08x}", id.unwrap_or_default())),
            Table::Gpt(guid) => ("gpt", uuid_text(guid.unwrap_or_default())),
        };
        let mut ext4 =
            gathered.others.iter().zip(&layouts.others).map(|(volume, layout)| ext4_of(volume, layout));
        let mut fat = layouts.firmware.iter().map(fat_of);
        let mut partitions = Vec::new();
        for (index, ((planned, options), place)) in
            plan.partitions.iter().zip(&disk.options().partitions).zip(disk.partitions()).enumerate()
        {
            let (content, system) = match planned.content {
                PartitionContent::Empty => ("empty", None),
                PartitionContent::Root => ("root", Some(ext4_of(&gathered.root, &layouts.root))),
                PartitionContent::Ext4(_) => ("ext4", ext4.next()),
                PartitionContent::Fat(_) => ("fat", fat.next()),
                PartitionContent::Raw(_) => ("raw", None),
            };
            partitions.push(PartitionReport {
                number: index + 1,
                start: place.start,
                bytes: place.len,
                kind: match options.kind {
                    Kind::Mbr(number) => format!("{number:02x}"),
                    Kind::Gpt(guid) => uuid_text(guid),
                },
                name: planned.name.clone(),
                guid: disk.partition_guids().get(index).map(|guid| uuid_text(*guid)),
                bootable: planned.bootable,
                content,
                free_bytes: system.as_ref().map(|system| system.free_bytes),
                label: system.as_ref().map(|system| system.label.clone()),
                deduplicated: system.as_ref().and_then(|system| system.deduplicated),
                uuid: system.map(|system| system.uuid),
            });
        }
        let blobs = disk.options().blobs.iter();
        let blobs = blobs.map(|blob| BlobReport { offset: blob.offset, bytes: blob.len }).collect();
        Self { table, id, sector_size: plan.sector.bytes(), partitions, blobs }
    }

    /// The partitions as lines of a table.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "\n{:<10}{:<22}{:>16}{:>16}\n",
            self.table,
            self.id.get(..20).unwrap_or(&self.id),
            "start",
            "bytes"
        );
        for partition in &self.partitions {
            let what = format!("{} {}", partition.content, partition.label.as_deref().unwrap_or_default());
            let start = crate::people::grouped(partition.start);
            let bytes = crate::people::grouped(partition.bytes);
            let _ = writeln!(table, "  {:<8}{:<22}{start:>16}{bytes:>16}", partition.number, what.trim_end());
        }
        for blob in &self.blobs {
            let start = crate::people::grouped(blob.offset);
            let bytes = crate::people::grouped(blob.bytes);
            let _ = writeln!(table, "  {:<8}{:<22}{start:>16}{bytes:>16}", "", "blob");
        }
        table
    }
}

fn ext4_of(volume: &crate::pipeline::Volume<'_>, layout: &ext4_layout::Layout) -> FileSystem {
    let summary = layout.summary();
    let plan = &volume.planned.volume.filesystem;
    FileSystem {
        free_bytes: summary.free_blocks.saturating_mul(summary.block_size.into()),
        label: String::from_utf8_lossy(&plan.label).into_owned(),
        uuid: uuid_text(plan.uuid),
        deduplicated: volume.deduplicated,
    }
}

fn fat_of(layout: &fat_layout::FatLayout) -> FileSystem {
    let summary = layout.summary();
    let options = layout.options();
    FileSystem {
        free_bytes: summary.free_clusters.saturating_mul(summary.cluster_bytes),
        label: String::from_utf8_lossy(&options.label).trim_end().to_owned(),
        uuid: format!("{:04X}-{:04X}", options.id >> 16, options.id & 0xffff),
        deduplicated: None,
    }
}
