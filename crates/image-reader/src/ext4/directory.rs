//! Directories: linked entries in blocks. The index of a large one hides in entries of no inode, so that reading
//! them in a row finds all names.

use image_tree::{Name, escaped};

use super::{Ext4, named};
use crate::ReadError;
use crate::bytes::Bytes;
use crate::file_system::{Contents, Entry, Node, Target};

/// The most entries of one directory that are kept in memory.
const MOST: usize = 1 << 24;

pub(super) fn entries(ext4: &Ext4, directory: &Node) -> Result<(Vec<Entry>, Vec<ReadError>), ReadError> {
    let place = named(directory);
    let Contents::Runs(runs) = ext4.contents(directory)? else {
        let what =
            "is a directory in its inode (inline_data), which is not read here; mount the image instead";
        return Err(ReadError::unsupported(place, what));
    };
    let block_size = ext4.superblock.block_size;
    let mut found = (Vec::new(), Vec::new());
    let mut seen = 0;
    for run in runs {
        let length = run.length.min(directory.size.saturating_sub(run.at));
        let mut done = 0;
        while done < length {
            let part = block_size.min(length - done);
            let block = ext4.window.bytes(run.from + done, part);
            match block {
                Ok(block) => read_block(&block, &place, &mut found),
                Err(error) => found.1.push(ReadError::io(place.as_str(), error)),
            }
            if found.0.len() > MOST {
                return Err(ReadError::unsupported(place, format!("has more than {MOST} entries")));
            }
            done += part;
            seen += part;
        }
    }
    if seen < directory.size {
        found.1.push(ReadError::damaged(place, "the directory has holes"));
    }
    Ok(found)
}

fn read_block(block: &[u8], place: &str, found: &mut (Vec<Entry>, Vec<ReadError>)) {
    let mut at = 0;
    while at + 8 <= block.len() {
        let entry = Bytes(block.get(at..).unwrap_or_default());
        let inode = entry.le32(0);
        let name_length = usize::from(entry.byte(6));
        // 65,536 does not fit the field: 0 and 65,535 stand for it (ext4_rec_len_from_disk).
        let length = match entry.le16(4) {
            0 | 0xffff if block.len() == 1 << 16 => 1 << 16,
            length => usize::from(length),
        };
        if length < 8 + name_length || length % 4 != 0 || length > block.len() - at || length < 12 {
            let what = format!("a directory entry of {length} bytes, a name of {name_length}");
            found.1.push(ReadError::damaged(place, what));
            return;
        }
        let name = entry.slice(8, name_length);
        if inode != 0 && name != b"." && name != b".." {
            if Name::new(name).is_ok() {
                found.0.push(Entry { name: name.to_vec(), target: Target::Inode(inode) });
            } else {
                let what = format!("the name \"{}\" is none of a file", escaped(name));
                found.1.push(ReadError::damaged(place, what));
            }
        }
        at += length;
    }
}
