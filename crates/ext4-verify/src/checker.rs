//! The state that all checks share, and the order in which they run.

use std::collections::HashMap;

use crate::Unused;
use crate::codes::Code;
use crate::descriptors::Group;
use crate::geometry::{BLOCK, BLOCK_BYTES, Geometry};
use crate::numbers::{is_zero, part, to_usize};
use crate::observer::Observer;
use crate::problem::{Findings, Place};
use crate::sets::Set;
use crate::source::{Source, Unreadable};
use crate::superblock::{self, Superblock};

/// The file system under judgement.
pub(crate) struct Checker<'s> {
    pub(crate) source: &'s dyn Source,
    pub(crate) sb: Superblock,
    pub(crate) groups: Vec<Group>,
    pub(crate) findings: Findings,
    /// The blocks that something uses.
    pub(crate) blocks: Set,
    /// The inodes that a name leads to, or that have a fixed meaning.
    pub(crate) inodes: Set,
    /// Names counted of the inodes that are no directories and say that they have several, or turn out to.
    pub(crate) links: HashMap<u32, Links>,
    /// Attribute blocks with several users: what they say, and users counted.
    pub(crate) shared_xattrs: HashMap<u64, Links>,
    pub(crate) directories: Vec<crate::walk::Directory>,
    /// The entry that is looked at: its inode, the index of its directory, its name.
    pub(crate) here: (u32, usize, Vec<u8>),
    pub(crate) journal_blocks: u64,
    pub(crate) observer: Option<&'s mut dyn Observer>,
    table_block: (u64, Vec<u8>),
}

/// How often something is referred to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub(crate) said: u32,
    pub(crate) counted: u32,
}

/// Judges all of a file system.
pub(crate) fn check<'s>(
    source: &'s dyn Source,
    unused: Unused,
    observer: Option<&'s mut dyn Observer>,
) -> Result<Findings, Unreadable> {
    let mut findings = Findings::default();
    let length = source.length();
    if length < 2048 {
        findings.add(
            Code::ImageTooShort,
            Place::Image,
            format!("{length} bytes can't hold a file system; is this the right image?"),
        );
        return Ok(findings);
    }
    let raw = read(source, 1024, superblock::BYTES)?;
    let Some(sb) = superblock::judge(raw, length, &mut findings) else { return Ok(findings) };
    let mut checker = Checker::new(source, sb, findings, observer);
    if checker.descriptors()? {
        checker.run(unused)?;
    }
    Ok(checker.findings)
}

pub(crate) fn read(source: &dyn Source, offset: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = vec![0; length];
    source.read(offset, &mut bytes).map_err(|error| Unreadable { offset, error })?;
    Ok(bytes)
}

impl<'s> Checker<'s> {
    fn new(
        source: &'s dyn Source,
        sb: Superblock,
        findings: Findings,
        observer: Option<&'s mut dyn Observer>,
    ) -> Self {
        let geometry = sb.geometry;
        Self {
            source,
            sb,
            groups: Vec::new(),
            findings,
            blocks: Set::below(geometry.blocks),
            inodes: Set::below(geometry.inodes() + 1),
            links: HashMap::new(),
            shared_xattrs: HashMap::new(),
            directories: Vec::new(),
            here: (0, 0, Vec::new()),
            journal_blocks: 0,
            observer,
            table_block: (u64::MAX, Vec::new()),
        }
    }

    fn run(&mut self, unused: Unused) -> Result<(), Unreadable> {
        self.fixed_blocks()?;
        self.backups()?;
        self.reserved_inodes()?;
        self.walk()?;
        self.counted_links();
        self.inode_tables()?;
        let totals = self.bitmaps()?;
        self.totals(totals);
        if unused != Unused::Anything {
            self.free_blocks()?;
        }
        if unused == Unused::Zeros {
            self.ends()?;
        }
        Ok(())
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.sb.geometry
    }

    /// A block of the file system; callers have checked its number.
    pub(crate) fn block(&self, number: u64) -> Result<Vec<u8>, Unreadable> {
        read(self.source, number.saturating_mul(BLOCK), BLOCK_BYTES)
    }

    /// The 256 bytes of an inode, of a number that exists.
    pub(crate) fn inode_bytes(&mut self, number: u32) -> Result<Vec<u8>, Unreadable> {
        let (group, index) = self.geometry().place_of(number);
        let table = self.groups.get(to_usize(u64::from(group))).map_or(0, |group| group.table);
        let block = table + u64::from(index / 16);
        if self.table_block.0 != block {
            self.table_block = (block, self.block(block)?);
        }
        Ok(part(&self.table_block.1, to_usize(u64::from(index % 16)) * 256, 256).to_vec())
    }

    /// Adds a problem.
    pub(crate) fn problem(&mut self, code: Code, place: Place, text: impl Into<String>) {
        self.findings.add(code, place, text);
    }

    /// Adds a problem of an inode, with the path where that is known.
    pub(crate) fn at_inode(&mut self, code: Code, inode: u32, text: impl Into<String>) {
        if self.findings.counted(code) {
            let path = (self.here.0 == inode).then(|| self.path_of_entry(crate::walk::LONGEST_PATH));
            self.findings.problems.push(crate::Problem {
                code,
                place: Place::Inode(inode, path),
                text: text.into(),
            });
        }
    }

    /// Notes that blocks are used; false where one of them can't be, or is used already. `what` uses them.
    pub(crate) fn claim(&mut self, start: u64, len: u64, what: &dyn Fn() -> String) -> bool {
        let end = start.checked_add(len).filter(|&end| end <= self.geometry().blocks);
        let Some(end) = end.filter(|_| start > 0 || len == 0) else {
            let text = format!(
                "{} is outside: blocks {start} to {}",
                what(),
                start.saturating_add(len).saturating_sub(1)
            );
            self.problem(Code::BlockOutside, Place::Block(start), text);
            return false;
        };
        for at in start..end {
            if !self.blocks.insert(at) {
                // No further: so the work stays in proportion to the image, however often it names the same blocks.
                let text = format!("is used twice, the second time as {}", what());
                self.problem(Code::BlockShared, Place::Block(at), text);
                return false;
            }
        }
        true
    }

    /// The blocks of the fixed metadata, but for what descriptors name; those are claimed with them.
    fn fixed_blocks(&mut self) -> Result<(), Unreadable> {
        let geometry = self.geometry();
        let begin = read(self.source, 0, BLOCK_BYTES)?;
        if !is_zero(part(&begin, 0, 1024)) || !is_zero(part(&begin, 2048, BLOCK_BYTES)) {
            self.problem(
                Code::MetadataPadding,
                Place::Block(0),
                "is not zero before and behind the superblock",
            );
        }
        let last = geometry.groups - 1;
        let range = geometry.group(last);
        if crate::geometry::has_super(last) && range.end - range.start < geometry.super_blocks() {
            let text = format!(
                "is {} blocks long, but its copy of superblock and descriptors takes {}",
                range.end - range.start,
                geometry.super_blocks()
            );
            self.problem(Code::LastGroupTooShort, Place::Group(last), text);
        }
        Ok(())
    }

    /// What is behind the end of the file system.
    fn ends(&mut self) -> Result<(), Unreadable> {
        let end = self.geometry().bytes();
        if let Some(at) = self.first_not_zero(end, self.source.length())? {
            self.problem(
                Code::TrailingData,
                Place::Image,
                format!("byte {at} is behind its end and not zero"),
            );
        }
        Ok(())
    }

    /// The first byte that is not zero between two places, in \[bytes\].
    pub(crate) fn first_not_zero(&self, from: u64, to: u64) -> Result<Option<u64>, Unreadable> {
        const CHUNK: u64 = 1 << 20;
        let mut at = from;
        let mut buffer = Vec::new();
        loop {
            at = self.source.next_data(at).max(at);
            if at >= to {
                return Ok(None);
            }
            let len = to_usize(CHUNK.min(to - at));
            buffer.resize(len, 0);
            let chunk = buffer.as_mut_slice();
            self.source.read(at, chunk).map_err(|error| Unreadable { offset: at, error })?;
            if !is_zero(chunk) {
                let found = chunk.iter().position(|&byte| byte != 0).unwrap_or(0);
                return Ok(Some(at + crate::numbers::to_u64(found)));
            }
            at += CHUNK;
        }
    }
}
