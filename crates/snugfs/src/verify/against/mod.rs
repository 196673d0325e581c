//! Does an image hold what a plan says? The tree of the image is read by the judge of ext4, which shares nothing with what
//! wrote it, and compared with the plan's; what then is left of the image is compared byte by byte.

mod bytes;
mod contents;
mod table;
mod volume;

use build_plan::{PartitionContent, Plan};
use disk_layout::Disk;
use ext4_layout::Layout;
use fat_layout::FatLayout;
use image_compare::{Differences, Ext4Tree, Kind, Use};
use image_reader::{FileSystem, Image, Overview, VolumeContent, Window};
use image_tree::{FileTree, PieceSource};

use super::judge::{self, Terms, Verdict, Watched};
use crate::exit::Failure;
use crate::pipeline::{Gathered, Layouts, Volume};

/// What a plan comes to.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'e> {
    pub(crate) plan: &'e Plan,
    pub(crate) gathered: &'e Gathered<'e>,
    pub(crate) layouts: &'e Layouts<'e>,
    pub(crate) disk: Option<&'e Disk<'e>>,
}

/// Is told how many more bytes were read, from any thread.
pub(crate) type Progress<'p> = dyn Fn(u64) + Sync + 'p;

/// A part of the image that has a tree, and where it is in \[bytes\].
struct Part<'e> {
    start: u64,
    length: u64,
    /// `partition 2: `, or nothing.
    prefix: String,
    holds: Holds<'e>,
}

#[derive(Clone, Copy)]
enum Holds<'e> {
    Ext4(&'e Volume<'e>, &'e Layout),
    Fat(&'e FileTree, &'e FatLayout),
}

impl<'e> Expected<'e> {
    /// The whole image.
    pub(crate) fn image(&self) -> &'e dyn PieceSource {
        self.disk.map_or(&self.layouts.root, |disk| disk)
    }

    /// All that has a tree.
    fn parts(&self) -> Vec<Part<'e>> {
        let root = Holds::Ext4(&self.gathered.root, &self.layouts.root);
        let Some((disk, plan)) = self.disk.zip(self.plan.disk.as_ref()) else {
            return vec![Part {
                start: 0,
                length: self.layouts.root.len(),
                prefix: String::new(),
                holds: root,
            }];
        };
        let mut others = self.gathered.others.iter().zip(&self.layouts.others);
        let mut firmware = self.gathered.beside.trees().zip(&self.layouts.firmware);
        let mut parts = Vec::new();
        for (number, (partition, place)) in (1..).zip(plan.partitions.iter().zip(disk.partitions())) {
            let holds = match partition.content {
                PartitionContent::Root => Some(root),
                PartitionContent::Ext4(_) => {
                    others.next().map(|(volume, layout)| Holds::Ext4(volume, layout))
                }
                PartitionContent::Fat(_) => firmware.next().map(|(tree, layout)| Holds::Fat(tree, layout)),
                PartitionContent::Raw(_) | PartitionContent::Empty => None,
            };
            let prefix = format!("partition {number}: ");
            let part = holds.map(|holds| Part { start: place.start, length: place.len, prefix, holds });
            parts.extend(part);
        }
        parts
    }
}

/// An image under comparison.
pub(super) struct Subject<'s> {
    pub(super) window: &'s Window,
    pub(super) used: Use,
    pub(super) progress: &'s Progress<'s>,
    pub(super) differences: Differences,
}

/// How much there is to read, roughly, in \[bytes\].
pub(crate) fn bytes(expected: &Expected<'_>) -> u64 {
    let all = expected.gathered.volumes().flat_map(|volume| volume.scan.tree.iter());
    all.fold(0, |sum: u64, (_, node)| match node.kind() {
        image_tree::NodeKind::File { size, .. } => sum.saturating_add(size),
        _ => sum,
    })
}

/// Judges an image and compares it.
pub(crate) fn judge(
    image: &Image,
    expected: &Expected<'_>,
    (used, terms): (Use, Terms),
    progress: &Progress<'_>,
) -> Result<Verdict, Failure> {
    let parts = expected.parts();
    let mut watched: Vec<Watched> = Vec::new();
    for part in &parts {
        if let Holds::Ext4(volume, _) = part.holds {
            watched.push(Watched {
                start: part.start,
                length: part.length,
                entries: volume.scan.tree.len(),
                found: None,
            });
        }
    }
    let overview = Overview::read(image).map_err(|error| super::unread(&error))?;
    let mut verdict = judge::overview(&overview, &image.window, terms, &mut watched)
        .map_err(|error| super::unread(&error))?;
    let mut subject = Subject { window: &image.window, used, progress, differences: Differences::default() };
    subject.size(expected);
    if let Some(disk) = expected.disk {
        table::compare(overview.table.as_ref(), disk, used, &mut subject.differences);
    }
    let mut trees = watched.into_iter().map(|watched| watched.found);
    for part in &parts {
        subject.differences.within(part.prefix.clone());
        match part.holds {
            Holds::Ext4(volume, layout) => {
                let (window, tree) = trees.next().flatten().map_or_else(
                    || (image.window.part(part.start, part.length), None),
                    |(window, tree)| (window, Ext4Tree::finish(tree)),
                );
                subject.ext4(volume, layout, &window, tree)?;
            }
            Holds::Fat(tree, layout) => subject.fat(tree, layout, fat_of(&overview, part))?,
        }
    }
    subject.differences.within("");
    bytes::compare(&mut subject, expected, (verdict.is_right(false), terms.ignore_unused))?;
    verdict.differences = Some(subject.differences);
    Ok(verdict)
}

/// The FAT file system that begins where a part does.
fn fat_of<'o>(overview: &'o Overview, part: &Part<'_>) -> Option<&'o FileSystem> {
    let volume = overview.volumes.iter().find(|volume| judge::start(volume) == part.start)?;
    match &volume.content {
        VolumeContent::FileSystem(fs @ FileSystem::Fat(_)) => Some(fs),
        _ => None,
    }
}

impl Subject<'_> {
    fn size(&mut self, expected: &Expected<'_>) {
        let (should, is) = (expected.image().len(), self.window.length());
        let is_right = should == is || (self.used == Use::Mounted && is > should);
        if !is_right {
            self.differences.add(Kind::ImageSize, || {
                ("image".to_owned(), format!("has {is} bytes, should have {should}"))
            });
        }
    }
}
