use image_tree::{Content, Piece, PieceSource, to_u64, to_usize};

use crate::error::DiskError;
use crate::options::{Options, Part, Table};
use crate::places::{BOOT_CODE, PlacedPartition, Places};
use crate::table::{self, Identifiers, TableBytes};

/// A disk of which every byte is decided.
#[derive(Debug)]
pub struct Disk {
    options: Options,
    places: Places,
    identifiers: Identifiers,
    table: TableBytes,
    /// What is not zeros, ascending and apart from each other.
    regions: Vec<Region>,
}

/// A run of bytes with one origin.
#[derive(Clone, Debug)]
struct Region {
    start: u64,
    len: u64,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    /// Made here.
    Table,
    /// The rest of a partition behind its content.
    Zeros,
    Part(Part),
}

impl Disk {
    /// Decides where everything goes.
    ///
    /// # Errors
    /// Where two things overlap, or something does not fit.
    pub fn plan(options: Options) -> Result<Self, DiskError> {
        let places = Places::of(&options)?;
        let identifiers = Identifiers::of(&options);
        let table = table::bytes(&options, &places, &identifiers)?;
        let regions = regions(&options, &places);
        Ok(Self { options, places, identifiers, table, regions })
    }

    /// Where the partitions are, in the order of their numbers.
    pub fn partitions(&self) -> &[PlacedPartition] {
        &self.places.partitions
    }

    /// The table with the disk's identifier, given or derived.
    pub fn table(&self) -> Table {
        self.identifiers.disk
    }

    /// The GUIDs of the partitions, given or derived, in the order of their text form; none in an MBR.
    pub fn partition_guids(&self) -> &[[u8; 16]] {
        &self.identifiers.partitions
    }

    /// What was asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Bytes outside of partitions. Before the first one they are zeros: boot ROMs and boot loaders look there for the
    /// next stage and for their settings.
    fn gap(&self, from: u64, to: u64) -> impl Iterator<Item = Piece> + Send + use<> {
        let first = self.places.partitions.iter().map(|place| place.start).min();
        let cut = first.unwrap_or(0).clamp(from, to.max(from));
        let before = (cut > from).then(|| Piece { offset: from, len: cut - from, content: Content::Zeros });
        before.into_iter().chain(Piece::unused(cut, to, self.places.len))
    }

    fn region_of(&self, offset: u64) -> Option<&Region> {
        let after = self.regions.partition_point(|region| region.start <= offset);
        self.regions.get(after.checked_sub(1)?)
    }
}

fn regions(options: &Options, places: &Places) -> Vec<Region> {
    let boot_code =
        options.blobs.iter().filter(|blob| blob.offset < BOOT_CODE).map(|blob| blob.offset + blob.len);
    // The table's first sector, but for what blobs put before it.
    let table_start = boot_code.max().unwrap_or(0).min(BOOT_CODE);
    let mut regions =
        vec![Region { start: table_start, len: places.head - table_start, origin: Origin::Table }];
    if places.tail > 0 {
        regions.push(Region { start: places.len - places.tail, len: places.tail, origin: Origin::Table });
    }
    for (partition, place) in options.partitions.iter().zip(&places.partitions) {
        let len = partition.part.len();
        regions.push(Region { start: place.start, len, origin: Origin::Part(partition.part.clone()) });
        regions.push(Region { start: place.start + len, len: place.len - len, origin: Origin::Zeros });
    }
    for blob in &options.blobs {
        let part = Part::File { file: blob.file, len: blob.len };
        regions.push(Region { start: blob.offset, len: blob.len, origin: Origin::Part(part) });
    }
    regions.retain(|region| region.len > 0);
    regions.sort_by_key(|region| region.start);
    regions
}

impl PieceSource for Disk {
    fn len(&self) -> u64 {
        self.places.len
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let ends = std::iter::once(0).chain(self.regions.iter().map(|region| region.start + region.len));
        let starts = self.regions.iter().map(|region| region.start).chain([self.places.len]);
        let gaps = ends.zip(starts).map(|(from, to)| self.gap(from, to));
        let contents = self.regions.iter().map(Some).chain([None]);
        Box::new(
            gaps.zip(contents)
                .flat_map(|(gap, region)| gap.chain(region.into_iter().flat_map(|region| pieces_of(region)))),
        )
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        let Some(region) = self.region_of(piece.offset) else { return };
        match &region.origin {
            Origin::Part(Part::Volume { image, .. }) => {
                image.generate(&Piece { offset: piece.offset - region.start, ..*piece }, buffer);
            }
            Origin::Part(_) | Origin::Zeros => {}
            Origin::Table => {
                let (bytes, from) = if piece.offset < self.places.head {
                    (&self.table.head, piece.offset)
                } else {
                    (&self.table.tail, piece.offset - (self.places.len - to_u64(self.table.tail.len())))
                };
                for (to, from) in buffer.iter_mut().zip(bytes.iter().skip(to_usize(from))) {
                    *to = *from;
                }
            }
        }
    }
}

fn pieces_of(region: &Region) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
    let (start, len) = (region.start, region.len);
    let one = |content| Box::new(std::iter::once(Piece { offset: start, len, content }));
    match &region.origin {
        Origin::Table => one(Content::Metadata),
        Origin::Part(Part::Empty) | Origin::Zeros => one(Content::Zeros),
        Origin::Part(Part::File { file, .. }) => one(Content::File { file: *file, offset: 0 }),
        Origin::Part(Part::Volume { image, tree }) => Box::new(image.pieces().map(move |piece| Piece {
            offset: start + piece.offset,
            len: piece.len,
            content: piece.content.in_tree(*tree),
        })),
    }
}
