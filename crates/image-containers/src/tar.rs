//! A tar archive with the image as its only member, in GNU tar's old format (`--format=oldgnu`), as Google Compute Engine
//! wants it.

use image_tree::{Content, Piece, PieceSource, to_usize};

use crate::ContainerError;

/// Length of a header, to which members are padded, in \[bytes\].
pub(crate) const BLOCK: u64 = 512;
/// GNU tar pads archives to multiples of this, in \[bytes\]. Some readers want that.
pub(crate) const RECORD: u64 = 20 * BLOCK;
/// Length of the name's field in \[bytes\].
const NAME: usize = 100;
/// Length of the size's field in \[bytes\].
const SIZE: usize = 12;
/// The size is written as an octal number of 11 digits below this, and in base 256 from it on.
const LARGE: u64 = 1 << 33;

/// An archive with an image.
pub struct Tar<'i> {
    image: &'i dyn PieceSource,
    /// The member's name, at most as long as its field.
    member: String,
}

impl<'i> Tar<'i> {
    /// Puts an image into an archive, as a member with this name.
    ///
    /// # Errors
    /// Fails if the name is longer than 100 bytes, empty, absolute, or has a part that is empty, `.` or `..`.
    pub fn new(image: &'i dyn PieceSource, member: &str) -> Result<Self, ContainerError> {
        if !is_possible(member) {
            return Err(ContainerError::Member);
        }
        Ok(Self { image, member: member.to_owned() })
    }

    /// Offset of the end of the image.
    fn end(&self) -> u64 {
        BLOCK + self.image.len()
    }
}

/// The variant of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Of GNU tar, `--format=oldgnu`.
    OldGnu,
    /// Of POSIX. Only the size of a longer file than 8 GiB is written as GNU tar does.
    Ustar,
}

/// The header of a member with `len` \[bytes\].
pub(crate) fn header(member: &str, len: u64, variant: Variant) -> Vec<u8> {
    let mut header = Vec::with_capacity(to_usize(BLOCK));
    header.extend(member.as_bytes());
    header.resize(NAME, 0);
    // Mode, user and group.
    header.extend(b"0000644\x000000000\x000000000\0");
    if len < LARGE {
        header.extend(format!("{len:011o}\0").bytes());
    } else {
        // The highest bit marks base 256.
        let mut size = [0; SIZE];
        size[0] = 0x80;
        size[SIZE - 8..].copy_from_slice(&len.to_be_bytes());
        header.extend(size);
    }
    // Time. The checksum is the sum of all bytes, itself taken for spaces.
    header.extend(b"00000000000\0");
    let checksum_at = header.len();
    header.extend(b"        ");
    // A file. No link.
    header.push(b'0');
    header.resize(header.len() + NAME, 0);
    // Magic and version. No names of user and group.
    header.extend(match variant {
        Variant::OldGnu => b"ustar  \0",
        Variant::Ustar => b"ustar\x0000",
    });
    header.resize(to_usize(BLOCK), 0);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[checksum_at..checksum_at + 7].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    header
}

/// Whether an archive can have a member with this name.
pub(crate) fn is_possible(member: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    member.len() <= NAME && !member.contains('\0') && member.split('/').all(is_part)
}

impl PieceSource for Tar<'_> {
    fn len(&self) -> u64 {
        // Two blocks of zeros end an archive.
        (self.end().next_multiple_of(BLOCK) + 2 * BLOCK).next_multiple_of(RECORD)
    }

    fn pieces(&self) -> Box<dyn Iterator<Item = Piece> + Send + '_> {
        let header = Piece { offset: 0, len: BLOCK, content: Content::Metadata };
        let moved = |piece: Piece| Piece { offset: piece.offset + BLOCK, ..piece };
        let end = self.end();
        let rest = Piece { offset: end, len: self.len() - end, content: Content::Zeros };
        Box::new([header].into_iter().chain(self.image.pieces().map(moved)).chain([rest]))
    }

    fn generate(&self, piece: &Piece, buffer: &mut [u8]) {
        match piece.offset.checked_sub(BLOCK) {
            Some(offset) => self.image.generate(&Piece { offset, ..*piece }, buffer),
            None => {
                buffer.copy_from_slice(&header(&self.member, self.image.len(), Variant::OldGnu));
            }
        }
    }
}

impl std::fmt::Debug for Tar<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tar {{ {:?}, {} bytes }}", self.member, self.image.len())
    }
}
