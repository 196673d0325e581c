//! Reads directories: entries in blocks. The index of a large directory is in entries without an inode, so reading all
//! blocks in order finds all names.

use ext4_ondisk::directory::{ALIGNMENT, HEADER_SIZE, MIN_ENTRY_SIZE, entry_length};
use ext4_ondisk::{DirectoryEntry, read_padded};
use image_tree::{Name, escaped, to_u64, to_usize};

use super::{Ext4, named};
use crate::ReadError;
use crate::bytes::Bytes;
use crate::file_system::{Contents, Entry, Node, Run, Target};

/// Maximum number of entries of a directory.
const MAX_ENTRIES: usize = 1 << 24;
/// Maximum number of errors of a directory in the result.
const MAX_ERRORS: u64 = 100;
/// Number of errors of a directory after which reading it stops.
const GIVEN_UP: u64 = 10_000;

/// A directory that is being read.
struct Reader<'a> {
    ext4: &'a Ext4,
    place: &'a str,
    entries: Vec<Entry>,
    errors: Vec<ReadError>,
    /// Number of errors.
    wrong: u64,
}

pub(super) fn entries(ext4: &Ext4, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
    let place = named(directory);
    let Contents::Runs(runs) = ext4.contents(directory)? else {
        let what = "is stored in its inode (inline_data), which snugfs does not read";
        return Err(ReadError::unsupported(place, what, "mount the image instead"));
    };
    let mut reader = Reader { ext4, place: &place, entries: Vec::new(), errors: Vec::new(), wrong: 0 };
    let mut seen = 0_u64;
    for run in runs {
        let length = run.length.min(directory.size.saturating_sub(run.at));
        seen = seen.saturating_add(length);
        reader.run(Run { length, ..run })?;
    }
    if seen < directory.size {
        reader.error(ReadError::damaged(place.as_str(), "the directory has holes"));
    }
    let more = reader.wrong.saturating_sub(to_u64(reader.errors.len()));
    if more > 0 {
        reader.errors.push(ReadError::damaged(place.as_str(), format!("and {more} more such errors")));
    }
    Ok((reader.entries, reader.errors))
}

impl Reader<'_> {
    /// Counts an error, and adds it to the result unless there are too many.
    fn error(&mut self, error: ReadError) {
        if self.wrong < MAX_ERRORS {
            self.errors.push(error);
        }
        self.wrong = self.wrong.saturating_add(1);
    }

    fn run(&mut self, run: Run) -> Result<(), ReadError> {
        let window = &self.ext4.window;
        let block_size = self.ext4.superblock.block_size;
        // A part after the end of the image is one error, of any length.
        let there = run.length.min(window.length().saturating_sub(run.from));
        for offset in (0..there).step_by(to_usize(block_size)) {
            if self.wrong > GIVEN_UP {
                return Err(ReadError::damaged(self.place, "the directory has too many errors"));
            }
            self.ext4.work.spend(self.place, block_size)?;
            let part = block_size.min(run.length.saturating_sub(offset));
            match window.bytes(run.from.saturating_add(offset), part) {
                Ok(block) => self.block(&block),
                Err(error) => self.error(ReadError::io(self.place, error)),
            }
            if self.entries.len() > MAX_ENTRIES {
                return Err(ReadError::unsupported(
                    self.place,
                    format!("has more than {MAX_ENTRIES} entries"),
                    "",
                ));
            }
        }
        if there == 0 && run.length > 0 {
            self.error(ReadError::io(self.place, std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn block(&mut self, block: &[u8]) {
        let mut rest = block;
        while rest.len() >= HEADER_SIZE {
            let entry: DirectoryEntry = read_padded(rest);
            let (inode, name_len) = (entry.inode.get(), usize::from(entry.name_len));
            let name = Bytes(rest).slice(HEADER_SIZE, name_len);
            let length = entry_length(entry.rec_len.get(), block.len());
            let least = name_len.saturating_add(HEADER_SIZE).max(MIN_ENTRY_SIZE);
            let next = rest.get(length..).filter(|_| length >= least && length.is_multiple_of(ALIGNMENT));
            let Some(next) = next else {
                let what = format!("has an entry of {length} bytes with a name of {name_len}");
                return self.error(ReadError::damaged(self.place, what));
            };
            if inode != 0 && name != b"." && name != b".." {
                if Name::new(name).is_ok() {
                    self.entries.push(Entry { name: name.to_vec(), target: Target::Inode(inode) });
                } else {
                    let what = format!("the name \"{}\" is not allowed", escaped(name));
                    self.error(ReadError::damaged(self.place, what));
                }
            }
            rest = next;
        }
    }
}
