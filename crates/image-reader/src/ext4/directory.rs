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
    /// Maximum number of entries.
    most: usize,
}

pub(super) fn entries(ext4: &Ext4, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
    limited_entries(ext4, directory, MAX_ENTRIES)
}

/// Reads a directory of at most this number of entries.
fn limited_entries(
    ext4: &Ext4,
    directory: &Node,
    most: usize,
) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
    let place = named(directory);
    let Contents::Runs(runs) = ext4.contents(directory)? else {
        let what = "is stored in its inode (inline_data), which snugfs does not read";
        return Err(ReadError::unsupported(place, what, "mount the image instead"));
    };
    let mut reader = Reader { ext4, place: &place, entries: Vec::new(), errors: Vec::new(), wrong: 0, most };
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
            if self.entries.len() > self.most {
                return Err(ReadError::unsupported(
                    self.place,
                    format!("has more than {} entries", self.most),
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

#[cfg(test)]
mod tests {
    use super::super::tests::{DATA, Image};
    use super::*;

    const FOLDER: u32 = 12;

    /// Entries of 12 bytes in blocks of 1,024, which are 85 for each block and a rest.
    fn block(names: &[&str]) -> Vec<u8> {
        let mut block = Vec::new();
        for name in names {
            block.extend(13_u32.to_le_bytes());
            block.extend([12, 0, u8::try_from(name.len()).unwrap(), 1]);
            block.extend(name.as_bytes());
            block.resize(block.len().next_multiple_of(12), 0);
        }
        let rest = u16::try_from(1024 - block.len()).unwrap();
        if rest > 0 {
            block.extend([0; 4]);
            block.extend(rest.to_le_bytes());
            block.resize(1024, 0);
        }
        block
    }

    /// A file system with a directory of these blocks.
    fn image(blocks: &[Vec<u8>]) -> Image {
        let number = u32::try_from(blocks.len()).unwrap();
        let mut image = Image::of_blocks(DATA + number + 10);
        image.extents(FOLDER, 0o040_755, u64::from(number) * 1024, &[(0, number, DATA)]);
        for (at, block) in (DATA..).zip(blocks) {
            image.block(at, block);
        }
        image
    }

    fn read(image: Image, most: usize) -> Result<(Vec<String>, Vec<String>), String> {
        let ext4 = image.open();
        let node = ext4.node(FOLDER).unwrap();
        let (entries, errors) = limited_entries(&ext4, &node, most).map_err(|error| error.to_string())?;
        let names = entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect();
        let texts =
            errors.iter().map(|error| error.to_string().split("; ").next().unwrap_or_default().to_owned());
        Ok((names, texts.collect()))
    }

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn names_of_all_blocks_are_read() {
        let image = image(&[block(&[".", "..", "a", "b"]), block(&[]), block(&["c"; 85])]);
        let (found, errors) = read(image, 87).unwrap();
        assert_eq!(found, [names(&["a", "b"]), names(&["c"; 85])].concat());
        assert_eq!(errors, [""; 0]);
    }

    #[test]
    fn deleted_entries_are_skipped() {
        let mut blocks = [block(&["a", "b", "c"])];
        blocks[0][12..16].fill(0);
        assert_eq!(read(image(&blocks), 9).unwrap(), (names(&["a", "c"]), vec![]));
    }

    #[test]
    fn an_entry_leads_to_the_next_one() {
        // The length of the second entry, the length of its name, and the names that are found.
        for (length, name_len, found) in [
            (12, 1, Some("a b c d")),
            (12, 4, Some("a bxyz c d")),
            (1012, 1, Some("a b d")),
            (8, 1, None),
            (0, 1, None),
            (12, 5, None),
            (14, 1, None),
            (1016, 1, None),
        ] {
            let mut blocks = [block(&["a", "bxyz", "c"]), block(&["d"])];
            blocks[0][16..18].copy_from_slice(&u16::to_le_bytes(length));
            blocks[0][18] = name_len;
            let (names, errors) = read(image(&blocks), 9).unwrap();
            // The rest of a block is lost.
            assert_eq!(names.join(" "), found.unwrap_or("a d"));
            let error = format!("inode 12: has an entry of {length} bytes with a name of {name_len}");
            assert_eq!(errors, if found.is_some() { vec![] } else { vec![error] });
        }
    }

    #[test]
    fn blocks_after_the_end_of_a_directory_are_ignored() {
        let blocks = [block(&["a"]), block(&["b"]), block(&["c"])];
        let mut one = image(&blocks);
        one.extents(FOLDER, 0o040_755, 1024, &[(0, 3, DATA)]);
        assert_eq!(read(one, 9).unwrap(), (names(&["a"]), vec![]));
        let mut apart = image(&blocks);
        apart.extents(FOLDER, 0o040_755, 1024, &[(0, 1, DATA), (1, 1, DATA + 2)]);
        assert_eq!(read(apart, 9).unwrap(), (names(&["a"]), vec![]));
    }

    #[test]
    fn a_directory_has_no_holes() {
        let mut image = image(&[block(&["a"]), block(&["b"])]);
        image.extents(FOLDER, 0o040_755, 3072, &[(0, 1, DATA), (2, 1, DATA + 1)]);
        let (found, errors) = read(image, 9).unwrap();
        assert_eq!((found, errors), (names(&["a", "b"]), names(&["inode 12: the directory has holes"])));
    }

    #[test]
    fn a_part_after_the_end_of_the_image_is_one_error() {
        let mut truncated = image(&[block(&["a"]), block(&["b"]), block(&["c"])]);
        truncated.bytes.truncate(usize::try_from(DATA + 1).unwrap() * 1024);
        let (found, errors) = read(truncated, 9).unwrap();
        assert_eq!((found, errors), (names(&["a"]), vec![]));
        let mut absent = image(&[block(&["a"]), block(&["b"])]);
        absent.extents(FOLDER, 0o040_755, 3072, &[(0, 1, DATA), (1, 2, DATA + 5)]);
        absent.bytes.truncate(usize::try_from(DATA + 5).unwrap() * 1024);
        let (found, errors) = read(absent, 9).unwrap();
        assert_eq!(found, ["a"]);
        assert_eq!(errors, ["inode 12: is beyond the end of the image"]);
    }

    #[test]
    fn many_errors_are_counted() {
        let bad = |number| block(&vec!["a/b"; number]);
        let errors = |blocks: &[Vec<u8>]| read(image(blocks), 9).map(|(_, errors)| errors);
        let hundred = errors(&[bad(85), bad(15)]).unwrap();
        assert_eq!(hundred, vec!["inode 12: the name \"a/b\" is not allowed"; 100]);
        let more = errors(&[bad(85), bad(17)]).unwrap();
        assert_eq!((more.len(), more[100].as_str()), (101, "inode 12: and 2 more such errors"));
    }

    #[test]
    fn after_ten_thousand_errors_reading_stops() {
        let bad = |number| block(&vec!["a/b"; number]);
        for (last, is_read) in [(55, true), (56, false)] {
            let mut blocks = vec![bad(85); 117];
            blocks.extend([bad(last), block(&["end"])]);
            let found = read(image(&blocks), 9);
            assert_eq!(found.is_ok_and(|(found, _)| found == ["end"]), is_read, "{}", 117 * 85 + last);
        }
    }

    #[test]
    fn the_number_of_entries_is_limited() {
        let blocks = [block(&["a"; 5]), block(&["b"; 5])];
        assert_eq!(read(image(&blocks), 10).unwrap().0.len(), 10);
        let error = read(image(&blocks), 9).unwrap_err();
        assert!(error.starts_with("inode 12: has more than 9 entries"), "{error}");
    }
}
