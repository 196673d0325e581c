//! Compares the bytes of an image that are not in files of file systems: metadata, zeros, blobs and raw partitions.

use std::ops::Range;

use disk_layout::Disk;
use ext4_layout::Purpose;
use file_scanner::{OpenFile, Opener};
use image_reader::Window;
use image_tree::{Content, Piece, PieceSource, io_reason, shown, to_u64, to_usize};
use snugfs_compare::{Differences, Kind, Use, shown_path};

use super::{Holds, PlacedPart, Subject, placed_parts};
use crate::failure::{Failure, FailureKind};
use crate::human;
use crate::parts::{PartContent, SingleFile};
use crate::prepare::Prepared;

/// Length of a buffer, in \[bytes\]. A piece of metadata can be longer.
const BUFFER: u64 = 1 << 20;
/// The longest partition table at either end of a disk, in \[bytes\]: six sectors of 4096 bytes.
const TABLE_BYTES: u64 = 6 * 4096;
/// The unit in which differences are counted, in \[bytes\].
const BLOCK: u64 = 4096;

/// Compares all bytes outside of files; with `ignore_unused`, without unused space. If other problems were found, all
/// differences are reported in one line, because they are likely to have the same cause.
pub(super) fn compare(
    subject: &mut Subject<'_>,
    expected: &Prepared<'_>,
    (is_sound, ignore_unused): (bool, bool),
) -> Result<(), Failure> {
    let image = expected.image();
    let mut differing = Differing::default();
    let is_new = subject.used == Use::None;
    let is_named = !is_sound || !subject.differences.is_empty();
    // A missing end is reported with the image's length.
    let length = subject.window.length();
    let stampable = stampable(expected);
    for piece in image.pieces().take_while(|piece| piece.offset < length) {
        match piece.content {
            Content::File { file, offset } => {
                if let Some(single) = expected.single_file(file) {
                    compare_file(subject, single, offset, &piece, expected)?;
                }
            }
            Content::Unused if ignore_unused => {}
            Content::Zeros | Content::Unused if is_new => {
                zeros(subject.window, &piece, &stampable, &mut differing)?;
            }
            Content::Metadata if is_new => {
                metadata(subject.window, image, &piece, &stampable, &mut differing)?;
            }
            Content::Zeros | Content::Unused | Content::FileZeros { .. } | Content::Metadata => {}
        }
    }
    if is_named && differing.count > 0 {
        let count = human::counted(differing.count, "block");
        subject.differences.add(Kind::ImageBytes, || {
            let text = format!("{count} of metadata and zeros differ from what build would write");
            ("image".to_owned(), text)
        });
        return Ok(());
    }
    let parts = placed_parts(expected);
    for &block in &differing.first {
        subject.differences.add(Kind::ImageBytes, || {
            let (place, what) = purpose(&parts, expected, block);
            (place, format!("{what}, at byte {}, differs from what build would write", block * BLOCK))
        });
    }
    let more = differing.count - to_u64(differing.first.len());
    subject.differences.add_count(Kind::ImageBytes, more);
    Ok(())
}

/// Blocks that differ.
#[derive(Default)]
struct Differing {
    /// The first of them, which are reported with their places.
    first: Vec<u64>,
    count: u64,
}

impl Differing {
    fn add(&mut self, block: u64) {
        self.count += 1;
        if self.first.len() < Differences::KEPT_OF_EACH {
            self.first.push(block);
        }
    }
}

/// The bytes of the image that stamps of slots change, ascending. They are checked by their meaning: as files, and by the rules of
/// the file system.
fn stampable(expected: &Prepared<'_>) -> Vec<Range<u64>> {
    let mut all = Vec::new();
    for PlacedPart { start, holds, .. } in placed_parts(expected) {
        let ranges = match holds {
            Holds::Ext4(volume) => volume.layout.stampable(),
            Holds::Fat(folder) => folder.layout.stampable(),
        };
        all.extend(ranges.into_iter().map(|range| range.start + start..range.end + start));
    }
    all.sort_by_key(|range| range.start);
    all
}

/// Clears the bytes of a part of the image that stamps change.
fn mask(ranges: &[Range<u64>], at: u64, bytes: &mut [u8]) {
    let end = at + to_u64(bytes.len());
    let first = ranges.partition_point(|range| range.end <= at);
    for range in ranges[first..].iter().take_while(|range| range.start < end) {
        bytes[to_usize(range.start.max(at) - at)..to_usize(range.end.min(end) - at)].fill(0);
    }
}

fn zeros(
    window: &Window,
    piece: &Piece,
    stampable: &[Range<u64>],
    differing: &mut Differing,
) -> Result<(), Failure> {
    let end = (piece.offset + piece.len).min(window.length());
    let mut at = piece.offset;
    let mut buffer = Vec::new();
    loop {
        at = window.next_data(at).max(at);
        if at >= end {
            return Ok(());
        }
        let length = (BUFFER - at % BLOCK).min(end - at);
        read(window, at, length, &mut buffer)?;
        mask(stampable, at, &mut buffer);
        if buffer.iter().any(|&byte| byte != 0) {
            each_block(at, &buffer, |block, bytes| {
                if bytes.iter().any(|&byte| byte != 0) {
                    differing.add(block);
                }
            });
        }
        at += length;
    }
}

fn metadata(
    window: &Window,
    image: &dyn PieceSource,
    piece: &Piece,
    stampable: &[Range<u64>],
    differing: &mut Differing,
) -> Result<(), Failure> {
    let length = piece.len.min(window.length() - piece.offset);
    let mut found = Vec::new();
    read(window, piece.offset, length, &mut found)?;
    let mut should = vec![0; to_usize(piece.len)];
    image.generate(piece, &mut should);
    mask(stampable, piece.offset, &mut found);
    mask(stampable, piece.offset, &mut should);
    if found != should {
        let mut rest = should.as_slice();
        each_block(piece.offset, &found, |block, bytes| {
            let (here, later) = rest.split_at(bytes.len());
            rest = later;
            if here != bytes {
                differing.add(block);
            }
        });
    }
    Ok(())
}

/// Calls `take` with the bytes of each block.
fn each_block(offset: u64, bytes: &[u8], mut take: impl FnMut(u64, &[u8])) {
    let (mut at, mut rest) = (offset, bytes);
    while !rest.is_empty() {
        let length = to_usize(BLOCK - at % BLOCK).min(rest.len());
        let (here, later) = rest.split_at(length);
        take(at / BLOCK, here);
        at += to_u64(length);
        rest = later;
    }
}

fn read(window: &Window, at: u64, length: u64, buffer: &mut Vec<u8>) -> Result<(), Failure> {
    buffer.resize(to_usize(length), 0);
    window.read(at, buffer).map_err(|error| super::volume::unreadable(&error))
}

/// A blob or a raw partition.
fn compare_file(
    subject: &mut Subject<'_>,
    single: &SingleFile,
    offset: u64,
    piece: &Piece,
    expected: &Prepared<'_>,
) -> Result<(), Failure> {
    use std::os::unix::fs::FileExt;
    let (tree, node) = (&single.scanned.tree, single.scanned.node);
    let mut done = 0;
    let opener = Opener::new(tree);
    let mut cursor = opener.cursor();
    let OpenFile::Fd(fd) = cursor.open(node)? else {
        panic!("invariant: a raw partition or a blob has a source");
    };
    let source = std::fs::File::from(fd);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    while done < piece.len {
        let length = BUFFER.min(piece.len - done);
        let at = piece.offset + done;
        // The image can end earlier.
        let there = length.min(subject.window.length().saturating_sub(at));
        if there == 0 {
            break;
        }
        read(subject.window, at, there, &mut theirs)?;
        ours.resize(to_usize(length), 0);
        source.read_exact_at(&mut ours, offset + done).map_err(|error| {
            let name = shown(&tree.source_path(node).expect("invariant: an open file has a source"));
            let what = format!("can't be read: {}", io_reason(&error));
            Failure::new(FailureKind::Source, name, what, "do not change it during the build")
        })?;
        if there < length {
            ours.truncate(theirs.len());
        }
        if ours != theirs {
            let same = ours.iter().zip(&theirs).take_while(|(our, their)| our == their).count();
            let at = done + to_u64(same);
            let (kind, place) = raw_place(expected, piece.offset);
            subject.differences.add(kind, || (place, format!("contents differ, first at byte {at}")));
            break;
        }
        done += length;
    }
    file_scanner::check_unchanged(tree, node, std::os::fd::AsFd::as_fd(&source))?;
    Ok(())
}

/// The raw partition or blob that begins at a place.
fn raw_place(expected: &Prepared<'_>, offset: u64) -> (Kind, String) {
    let partitions = expected.disk.as_ref().map(Disk::partitions).unwrap_or_default();
    match partitions.iter().position(|place| place.start == offset) {
        Some(index) => (Kind::DiskRaw, format!("partition {}", index + 1)),
        None => (Kind::DiskBlob, format!("blob at byte {offset}")),
    }
}

/// The place of a block of the image, and its purpose.
fn purpose(parts: &[PlacedPart<'_>], expected: &Prepared<'_>, block: u64) -> (String, String) {
    let at = block * BLOCK;
    let part = parts.iter().find(|part| at >= part.start && at - part.start < part.length);
    let Some(part) = part else {
        let partitions = expected.disk.as_ref().map(Disk::partitions).unwrap_or_default();
        let within = partitions.iter().position(|place| at >= place.start && at - place.start < place.len);
        let place = within.map_or_else(|| "image".to_owned(), |index| format!("partition {}", index + 1));
        let head = expected.disk.is_some() && (at < TABLE_BYTES || at + TABLE_BYTES > expected.bytes());
        let part = within.and_then(|index| expected.parts.get(index)).map(|part| &part.content);
        let what = match part {
            None if head => "the partition table",
            Some(PartContent::Swap(_)) => "the swap area",
            _ if expected.tree_ranges().iter().any(|tree| tree.contains(&at)) => "the hash tree",
            _ => "unused space",
        };
        return (place, what.to_owned());
    };
    let place = |text: String| format!("{}{text}", part.prefix);
    let (tree, layout) = match part.holds {
        Holds::Ext4(volume) => (&volume.scanned.tree, &*volume.layout),
        Holds::Fat(_) => return (place("file system".to_owned()), "metadata of FAT".to_owned()),
    };
    let block = (at - part.start) / BLOCK;
    if let Some(node) = layout.node_at(block) {
        return (place(shown_path(tree, node)), "one of its blocks".to_owned());
    }
    let areas = layout.areas();
    let area = areas.iter().find(|area| block >= area.start && block - area.start < area.blocks);
    let what = match area.map(|area| area.purpose) {
        Some(Purpose::Superblock) => "the superblock or its copy",
        Some(Purpose::GroupDescriptors) => "a block of group descriptors",
        Some(Purpose::GrowthReserve) => "the reserve for growth",
        Some(Purpose::Bitmaps) => "a bitmap",
        Some(Purpose::InodeTables) => "a block of an inode table",
        Some(Purpose::Journal) => "the journal",
        _ => "free space",
    };
    (place(format!("block {block}")), what.to_owned())
}
