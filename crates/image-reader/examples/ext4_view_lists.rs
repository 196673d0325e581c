//! Lists an ext4 image as the `ext4-view` crate reads it, an entry a line: type, mode in octal, owner, group, size, seconds
//! and nanoseconds of the last change, CRC-32 of a file's contents or a symlink's target in hex, the path in hex.
//! `tests/oracles/readers` compares it with the plan.

use std::error::Error;
use std::io::Write;

use ext4_view::{Ext4, FileType, Metadata, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let image = std::env::args_os().nth(1).ok_or("the path of an image is missing")?;
    let file_system = Ext4::load_from_path(&image)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut open = vec![PathBuf::new("/")];
    while let Some(path) = open.pop() {
        let about = file_system.symlink_metadata(&path)?;
        let value = value(&file_system, &path, &about)?;
        let changed = about.modified();
        writeln!(
            out,
            "{} {:o} {} {} {} {} {} {value} {}",
            letter(about.file_type()),
            about.mode(),
            about.uid(),
            about.gid(),
            about.len(),
            changed.seconds(),
            changed.nanoseconds(),
            hex(path.as_ref())
        )?;
        if about.is_dir() {
            for entry in file_system.read_dir(&path)? {
                let entry = entry?;
                if !matches!(entry.file_name().as_ref(), b"." | b"..") {
                    open.push(entry.path());
                }
            }
        }
    }
    Ok(out.flush()?)
}

/// The CRC-32 of a file's contents, or the target of a symlink.
fn value(file_system: &Ext4, path: &PathBuf, about: &Metadata) -> Result<String, Box<dyn Error>> {
    match about.file_type() {
        FileType::Regular => {
            let mut digest = crc32fast::Hasher::new();
            let mut file = file_system.open(path)?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                let read = file.read_bytes(&mut buffer)?;
                if read == 0 {
                    return Ok(format!("{:08x}", digest.finalize()));
                }
                digest.update(buffer.get(..read).ok_or("the reader returned more bytes than requested")?);
            }
        }
        FileType::Symlink => Ok(hex(file_system.read_link(path)?.as_ref())),
        _ => Ok(String::from("-")),
    }
}

/// The letter of a file type in `ls -l`.
fn letter(kind: FileType) -> char {
    match kind {
        FileType::BlockDevice => 'b',
        FileType::CharacterDevice => 'c',
        FileType::Directory => 'd',
        FileType::Fifo => 'p',
        FileType::Regular => '-',
        FileType::Socket => 's',
        FileType::Symlink => 'l',
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
