//! Compares the partition table of a disk with the plan's.

use disk_layout::{Disk, Kind as Type, TableId};
use image_reader::{Partition, PartitionTable, PartitionType, TableKind};
use image_tree::{Uuid, escaped, narrow, to_u64};
use snugfs_compare::{Differences, Kind, Use};

/// Compares all fields of the table.
pub(super) fn compare(found: Option<&PartitionTable>, disk: &Disk, used: Use, differences: &mut Differences) {
    let Some(found) = found else {
        differences.add(Kind::DiskTable, || ("partition table".to_owned(), "there is none".to_owned()));
        return;
    };
    let should = match disk.table() {
        TableId::Mbr(id) => TableKind::Mbr(id),
        TableId::Gpt(guid) => TableKind::Gpt(Uuid(guid)),
    };
    if found.kind != should {
        let text = |kind: TableKind| match kind {
            TableKind::Mbr(id) => format!("an MBR with number {id:#010x}"),
            TableKind::Gpt(guid) => format!("a GPT with GUID {guid}"),
        };
        differences.add(Kind::DiskTable, || {
            ("partition table".to_owned(), format!("is {}, should be {}", text(found.kind), text(should)))
        });
    }
    let expected = expected(disk);
    for should in &expected {
        let place = || format!("partition {}", should.number);
        match found.partitions.iter().find(|partition| partition.number == should.number) {
            None => differences.add(Kind::DiskPartition, || (place(), "is not in the table".to_owned())),
            Some(is) => {
                for text in differing(is, should, used) {
                    differences.add(Kind::DiskPartition, || (place(), text));
                }
            }
        }
    }
    for is in &found.partitions {
        if !expected.iter().any(|should| should.number == is.number) {
            differences.add(Kind::DiskPartition, || {
                (format!("partition {}", is.number), "is in the table, but not in the plan".to_owned())
            });
        }
    }
}

fn expected(disk: &Disk) -> Vec<Partition> {
    let described = disk.options().partitions.iter().zip(disk.partitions());
    let partition =
        |(index, (options, place)): (usize, (&disk_layout::Partition, &disk_layout::PlacedPartition))| {
            Partition {
                number: narrow(to_u64(index + 1), "a table has at most 128 partitions"),
                start: place.start,
                size: place.len,
                kind: match options.kind {
                    Type::Mbr(number) => PartitionType::Mbr(number),
                    Type::Gpt(guid) => PartitionType::Gpt(Uuid(guid)),
                },
                bootable: options.bootable,
                name: options.name.clone(),
                guid: disk.partition_guids().get(index).copied().map(Uuid),
            }
        };
    described.enumerate().map(partition).collect()
}

/// All fields of a partition that differ. If the image was mounted, partitions may have grown.
fn differing(is: &Partition, should: &Partition, used: Use) -> Vec<String> {
    let mut texts = Vec::new();
    let mut field = |name: &str, is: String, should: String| {
        if is != should {
            texts.push(format!("{name} is {is}, should be {should}"));
        }
    };
    field("start", is.start.to_string(), should.start.to_string());
    if used == Use::None || is.size < should.size {
        field("length", is.size.to_string(), should.size.to_string());
    }
    field("type", is.kind.code(), should.kind.code());
    field("boot flag", is.bootable.to_string(), should.bootable.to_string());
    let name = |name: &str| format!("\"{}\"", escaped(name.as_bytes()));
    field("name", name(&is.name), name(&should.name));
    let guid = |guid: Option<Uuid>| guid.map_or_else(|| "none".to_owned(), |guid| guid.to_string());
    field("GUID", guid(is.guid), guid(should.guid));
    texts
}
