//! Damages fields of an ext4 image, one each: `cargo run -p snugfs-core --example nasty_images -- IMAGE FOLDER`.

use std::error::Error;
use std::path::Path;

use ext4_ondisk::{Superblock, superblock};
use zerocopy::FromBytes;

type Damage = (&'static str, fn(&mut Superblock));
type NamedImage = (&'static str, Vec<u8>);
const DAMAGES: [Damage; 5] = [
    ("no-inodes", |superblock| superblock.s_inodes_count.set(0)),
    ("most-blocks", |superblock| superblock.set_blocks_count(u64::MAX)),
    ("huge-block-size", |superblock| superblock.s_log_block_size.set(u32::MAX)),
    ("other-first-inode", |superblock| superblock.s_first_ino.set(2)),
    ("no-inodes-in-groups", |superblock| superblock.s_inodes_per_group.set(0)),
];

pub(crate) fn damaged(image: &[u8]) -> Result<Vec<NamedImage>, Box<dyn Error>> {
    let damage = |(name, damage): Damage| {
        let mut bytes = image.to_vec();
        let at = bytes.get_mut(superblock::OFFSET..).ok_or("the image is too short")?;
        let (superblock, _) = Superblock::mut_from_prefix(at).map_err(|_| "the image is too short")?;
        damage(superblock);
        superblock.s_checksum.set(superblock.computed_checksum());
        Ok((name, bytes))
    };
    DAMAGES.into_iter().map(damage).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = || arguments.next().ok_or("usage: nasty_images IMAGE FOLDER");
    let (image, folder) = (next()?, next()?);
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in damaged(&std::fs::read(image)?)? {
        std::fs::write(Path::new(&folder).join(format!("{name}.img")), bytes)?;
    }
    Ok(())
}
