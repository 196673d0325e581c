//! Checks an image, and compares it with a plan. `ext4-verify`, which shares no code with the writer, checks ext4 and reads the
//! tree, which is compared with the plan's tree. The rest of the image is compared byte by byte.

mod bytes;
mod check;
mod contents;
mod damaged;
mod lines;
mod swap;
mod table;
mod trees;
mod volume;

use std::fs::File;

use image_reader::{FileSystem, Image, Overview, ReadError, VolumeContent, Window};
use image_tree::{NodeKind, PieceSource};
use snugfs_compare::{Differences, Ext4Tree, Kind, Use};

pub use check::{CheckedVolume, Medium, PartProblem, Terms, Verdict, image};
pub use trees::{FoundTree as FoundHashTree, hash_tree};

use self::check::Watched;
use crate::failure::{Failure, FailureKind};
use crate::observer::Observer;
use crate::parts::{Folder, PartContent, Volume};
use crate::prepare::Prepared;
use crate::problem::Problem;
use crate::verity::LateFile;

/// A part of the image with a tree, and its place in \[bytes\].
struct PlacedPart<'e> {
    start: u64,
    length: u64,
    /// The number of its partition.
    number: Option<u32>,
    /// `partition 2: `, or nothing.
    prefix: String,
    holds: Holds<'e>,
}

#[derive(Clone, Copy)]
enum Holds<'e> {
    Ext4(&'e Volume<'e>),
    Fat(&'e Folder<'e>),
}

/// All parts of an image with a tree.
fn placed_parts<'e>(prepared: &'e Prepared<'e>) -> Vec<PlacedPart<'e>> {
    let root = Holds::Ext4(&prepared.root);
    let Some(disk) = &prepared.disk else {
        let prefix = String::new();
        let length = prepared.root.layout.len();
        return vec![PlacedPart { start: 0, length, number: None, prefix, holds: root }];
    };
    let parts = (1..).zip(prepared.parts.iter().zip(disk.partitions()));
    let parts = parts.filter_map(|(number, (part, place))| {
        let holds = match &part.content {
            PartContent::Root => root,
            PartContent::Ext4(volume) => Holds::Ext4(volume),
            PartContent::Fat(folder) => Holds::Fat(folder),
            PartContent::Raw(_)
            | PartContent::Swap(_)
            | PartContent::Code(_)
            | PartContent::Empty
            | PartContent::Verity(_) => {
                return None;
            }
        };
        let prefix = format!("partition {number}: ");
        Some(PlacedPart { start: place.start, length: place.len, number: Some(number), prefix, holds })
    });
    parts.collect()
}

/// The image that is compared.
pub(super) struct Subject<'s> {
    pub(super) window: &'s Window,
    pub(super) used: Use,
    pub(super) observer: &'s dyn Observer,
    /// Files with root hashes, ascending.
    pub(super) late: &'s [LateFile],
    pub(super) differences: Differences,
}

/// About how much is read to compare an image, in \[bytes\].
pub(crate) fn bytes(prepared: &Prepared<'_>) -> u64 {
    let all = prepared.volumes().flat_map(|volume| volume.scanned.tree.iter());
    // Sparse files can have any lengths together.
    all.fold(0, |sum: u64, (_, node)| match node.kind() {
        NodeKind::File { size, .. } => sum.saturating_add(size),
        _ => sum,
    })
}

/// Options of [`Prepared::compare`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CompareOptions {
    /// Whether the image was mounted since it was built.
    pub used: Use,
    /// What unused bytes may contain.
    pub terms: Terms,
}

impl CompareOptions {
    /// The options with these values.
    #[must_use]
    pub fn new(used: Use, terms: Terms) -> Self {
        Self { used, terms }
    }
}

impl Prepared<'_> {
    /// About how much is read to compare an image with this one, in \[bytes\]: the total of a progress bar.
    #[must_use]
    pub fn compared_bytes(&self) -> u64 {
        bytes(self)
    }

    /// Checks an image and compares it with this one. Problems of the image are in the verdict.
    ///
    /// # Errors
    /// If the image or a source can't be read.
    pub fn compare(
        &self,
        image: &Image,
        options: CompareOptions,
        observer: &dyn Observer,
    ) -> Result<Verdict, Failure> {
        let CompareOptions { used, terms } = options;
        self.compute_root_hashes(&image_assembly::Options::default(), &())?;
        let parts = placed_parts(self);
        let mut watched: Vec<Watched> = Vec::new();
        for part in &parts {
            if let Holds::Ext4(volume) = part.holds {
                watched.push(Watched {
                    number: part.number,
                    start: part.start,
                    length: part.length,
                    entries: volume.scanned.tree.len(),
                    found: None,
                });
            }
        }
        let overview = Overview::read(image).map_err(|error| unread(&error))?;
        let mut verdict =
            check::overview(&overview, &image.window, terms, &mut watched).map_err(|error| unread(&error))?;
        let differences = Differences::default();
        let late = &self.verity.late;
        let mut subject = Subject { window: &image.window, used, observer, late, differences };
        subject.size(self);
        if let Some(disk) = &self.disk {
            table::compare(overview.table.as_ref(), disk, used, &mut subject.differences);
        }
        let mut trees = watched.into_iter().map(|watched| watched.found);
        for part in &parts {
            subject.differences.within(part.prefix.clone());
            match part.holds {
                Holds::Ext4(volume) => {
                    let (window, tree) = trees.next().flatten().map_or_else(
                        || (image.window.part(part.start, part.length), None),
                        |(window, tree)| (window, Ext4Tree::finish(tree)),
                    );
                    subject.ext4(volume, &window, tree)?;
                }
                Holds::Fat(folder) => subject.fat(folder, fat_of(&overview, part))?,
            }
        }
        subject.swaps(self);
        subject.differences.within("");
        bytes::compare(&mut subject, self, (verdict.is_right(false), terms.ignore_unused))?;
        verdict.differences = Some(subject.differences);
        Ok(verdict)
    }
}

/// Checks a file that was just written, and compares it with the expected image. `name` is its name in messages.
pub(crate) fn output(
    prepared: &Prepared<'_>,
    file: &File,
    name: &str,
    observer: &dyn Observer,
) -> Result<(), Failure> {
    let unread = |error: &ReadError| Failure::of(FailureKind::Output, Problem::from(error).within(name));
    let file =
        file.try_clone().map_err(|error| unread(&ReadError::Io { place: String::new(), reason: error }))?;
    let image = Image::of_file(file).map_err(|error| unread(&error))?;
    let image = Image { container: image.container, window: image.window.part(0, prepared.bytes()) };
    let terms = Terms { on: Medium::File, ignore_unused: false };
    let verdict = prepared.compare(&image, CompareOptions { used: Use::None, terms }, observer)?;
    if verdict.is_right(false) {
        return Ok(());
    }
    let lines = verdict.lines(false).into_iter().map(|line| Problem::new(name, line, ""));
    let last = Problem::new(
        name,
        "failed its own check and must not be used",
        "check memory and disks of this machine; if they are fine, please report it",
    );
    Err(Failure::all(FailureKind::Unsound, lines.chain([last])))
}

/// The failure of an image that can't be read. The caller knows its name.
fn unread(error: &ReadError) -> Failure {
    Failure::of_image("image", error)
}

/// The FAT file system at the start of a part.
fn fat_of<'o>(overview: &'o Overview, part: &PlacedPart<'_>) -> Option<&'o FileSystem> {
    let volume = overview.volumes.iter().find(|volume| check::start(volume) == part.start)?;
    match &volume.content {
        VolumeContent::FileSystem(fs @ FileSystem::Fat(_)) => Some(fs),
        _ => None,
    }
}

impl Subject<'_> {
    fn size(&mut self, expected: &Prepared<'_>) {
        let (should, is) = (expected.bytes(), self.window.length());
        let is_right = should == is || (self.used == Use::Mounted && is > should);
        if !is_right {
            self.differences.add(Kind::ImageSize, || {
                ("image".to_owned(), format!("has {is} bytes, should have {should}"))
            });
        }
    }
}
