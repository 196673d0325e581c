//! Partition tables: their identifiers, and their bytes at the start and end of a disk.

use crate::error::DiskError;
use crate::options::{Kind, Options, Partition, Table, TableId};
use crate::placement::{PlacedPartition, Placement};
use crate::{gpt, identifiers, mbr};

/// The table's bytes at the start and at the end of a disk.
#[derive(Debug)]
pub(crate) struct TableBytes {
    pub(crate) head: Vec<u8>,
    pub(crate) tail: Vec<u8>,
}

/// The identifiers in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identifiers {
    pub(crate) disk: TableId,
    /// GUIDs of the partitions in a GPT, in the order of their numbers; empty for an MBR.
    pub(crate) partitions: Vec<[u8; 16]>,
}

impl Identifiers {
    pub(crate) fn of(options: &Options) -> Self {
        let seed = &options.seed;
        match options.table {
            Table::Mbr(id) => {
                let id = id.unwrap_or_else(|| identifiers::number(seed, "mbr disk"));
                Self { disk: TableId::Mbr(id), partitions: Vec::new() }
            }
            Table::Gpt(guid) => {
                let disk = guid.unwrap_or_else(|| identifiers::guid(seed, "gpt disk", 0));
                let guid_of = |(index, partition): (usize, &crate::Partition)| {
                    partition.guid.unwrap_or_else(|| identifiers::guid(seed, "gpt partition", index + 1))
                };
                let partitions = options.partitions.iter().enumerate().map(guid_of).collect();
                Self { disk: TableId::Gpt(disk), partitions }
            }
        }
    }
}

/// Generates the table.
pub(crate) fn bytes(
    options: &Options,
    placement: &Placement,
    identifiers: &Identifiers,
) -> Result<TableBytes, DiskError> {
    let sector = options.sector.bytes();
    let partitions = || options.partitions.iter().zip(&placement.partitions);
    match identifiers.disk {
        TableId::Mbr(id) => {
            let entry = |(partition, place): (&Partition, &PlacedPartition)| match partition.kind {
                Kind::Mbr(kind) => Some(mbr::entry(kind, partition.bootable, place, sector)),
                Kind::Gpt(_) => None,
            };
            let entries = all(partitions().map(entry), mbr::ENTRIES)?;
            Ok(TableBytes { head: mbr::sector(id, &entries, sector), tail: Vec::new() })
        }
        TableId::Gpt(guid) => {
            let entry = |((partition, place), guid): ((&Partition, _), &[u8; 16])| match partition.kind {
                Kind::Gpt(kind) => {
                    Some(gpt::entry(kind, *guid, partition.bootable, &partition.name, place, sector))
                }
                Kind::Mbr(_) => None,
            };
            let entries = all(partitions().zip(&identifiers.partitions).map(entry), gpt::ENTRIES)?;
            let (front, tail) = gpt::tables(guid, &entries, placement.len, sector);
            let mut head = mbr::sector(0, &[mbr::protective(placement.len, sector)], sector);
            head.extend(front);
            Ok(TableBytes { head, tail })
        }
    }
}

/// Collects the entries. Checks that all are of the table's kind, and that there are at most `most`.
fn all<T>(entries: impl Iterator<Item = Option<T>>, most: usize) -> Result<Vec<T>, DiskError> {
    let entries: Option<Vec<T>> = entries.collect();
    let entries = entries.ok_or(DiskError::Table("the type of a partition is for another kind of table"))?;
    if entries.len() > most {
        return Err(DiskError::Table("there are too many partitions"));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Length, Part, RoundTo};

    #[test]
    fn default_guids_are_derived_from_the_partitions_numbers() {
        let partition = || Partition {
            start: None,
            align: Partition::ALIGNMENT,
            size: Length::Content,
            kind: Kind::Gpt([1; 16]),
            bootable: false,
            name: String::new(),
            guid: None,
            part: Part::Empty,
        };
        let options = Options {
            table: Table::Gpt(None),
            sector: image_tree::SectorSize::Bytes512,
            size: None,
            round_to: RoundTo::Blocks,
            seed: [7; 16],
            partitions: vec![partition(), partition()],
            blobs: Vec::new(),
        };
        let expected = [1, 2].map(|number| identifiers::guid(&[7; 16], "gpt partition", number));
        assert_eq!(Identifiers::of(&options).partitions, expected);
    }
}
