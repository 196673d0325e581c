//! GRUB for BIOS: what `grub-bios-setup --no-rs-codes` (GRUB 2.12, `util/setup.c`) writes outside of file systems.
//!
//! The BIOS loads the first sector of the disk, whose first 440 bytes are GRUB's `boot.img`. That loads one sector more, the
//! first of `core.img` (`diskboot.img`), from a place that is stored in it. That sector loads the rest by a list of blocks at its end.

use crate::error::BootError;

/// The sector size that GRUB's BIOS code assumes, in \[bytes\] (`GRUB_DISK_SECTOR_SIZE`).
pub const SECTOR: u64 = 512;
/// Length of the boot code in the first sector in \[bytes\]; then come the disk's number and the table
/// (`GRUB_BOOT_MACHINE_WINDOWS_NT_MAGIC`).
pub const BOOT_CODE: usize = 0x1b8;

const SECTOR_BYTES: usize = 512;
/// The sector of the core's start, 64 bits (`GRUB_BOOT_MACHINE_KERNEL_SECTOR` of `include/grub/i386/pc/boot.h`).
const KERNEL_SECTOR: usize = 0x5c;
/// The drive of the core, or 0xff for the one that the BIOS booted (`GRUB_BOOT_MACHINE_BOOT_DRIVE`).
const BOOT_DRIVE: usize = 0x64;
/// A jump over code for BIOSes that pass a wrong drive (`GRUB_BOOT_MACHINE_DRIVE_CHECK`). It is removed for hard disks.
const DRIVE_CHECK: usize = 0x66;
/// The list of blocks grows downwards from here: start in \[sectors\] (64 bits), length in \[sectors\] (16 bits), segment (16 bits)
/// (`struct grub_boot_blocklist`, at the end of the first sector).
const BLOCK_LIST: usize = 0x1f4;
/// Length of an entry of that list in \[bytes\].
const BLOCK: usize = 12;
/// The segment of the second sector of the core: `GRUB_BOOT_I386_PC_KERNEL_SEG` (0x800) and one sector.
const KERNEL_SEGMENT: u16 = 0x820;
/// Maximum length of a core in \[sectors\], with its first: `(0x78000 - GRUB_KERNEL_I386_PC_LINK_ADDR) >> GRUB_DISK_SECTOR_BITS`.
const MAX_SECTORS: usize = (0x7_8000 - 0x9000) / SECTOR_BYTES;

/// GRUB's `boot.img` and `core.img`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrubImages {
    boot: Vec<u8>,
    /// Whole sectors.
    core: Vec<u8>,
}

impl GrubImages {
    /// Maximum length of either file in \[bytes\].
    pub const MAX_BYTES: usize = MAX_SECTORS * SECTOR_BYTES;

    /// Checks the two files. `core` is the output of `grub-mkimage -O i386-pc`.
    ///
    /// # Errors
    /// If a file is not what its name says.
    pub fn new(boot: &[u8], core: &[u8]) -> Result<Self, BootError> {
        let wrong = |field: &'static str, help: &str| {
            BootError::new(&["bios", field], format!("is not GRUB's {field}.img for i386-pc"), help)
        };
        if boot.len() != SECTOR_BYTES || boot.get(SECTOR_BYTES - 2..) != Some(&[0x55, 0xaa]) {
            return Err(wrong("boot", "name lib/grub/i386-pc/boot.img of GRUB"));
        }
        let sectors = core.len().div_ceil(SECTOR_BYTES);
        let list = core.get(BLOCK_LIST..BLOCK_LIST + BLOCK).unwrap_or_default();
        let number = |at: usize| Some(u16::from_le_bytes(list.get(at..at + 2)?.try_into().ok()?));
        let is_core = number(10) == Some(KERNEL_SEGMENT)
            && number(8).map(usize::from) == sectors.checked_sub(1)
            && (2..=MAX_SECTORS).contains(&sectors);
        if !is_core {
            return Err(wrong("core", "make it by grub-mkimage -O i386-pc"));
        }
        let mut core = core.to_vec();
        core.resize(sectors * SECTOR_BYTES, 0);
        Ok(Self { boot: boot.to_vec(), core })
    }

    /// Length of the core on the disk in \[bytes\], whole sectors.
    #[must_use]
    pub fn core_len(&self) -> usize {
        self.core.len()
    }

    /// The boot code for the first sector of the disk, if the core starts at this sector.
    #[must_use]
    pub fn boot_code(&self, sector: u64) -> Vec<u8> {
        let mut code = self.boot.clone();
        put(&mut code, KERNEL_SECTOR, &sector.to_le_bytes());
        put(&mut code, BOOT_DRIVE, &[0xff]);
        // Two `nop`.
        put(&mut code, DRIVE_CHECK, &[0x90, 0x90]);
        code.truncate(BOOT_CODE);
        code
    }

    /// The core, if it starts at this sector.
    #[must_use]
    pub fn core(&self, sector: u64) -> Vec<u8> {
        let mut core = self.core.clone();
        // The length and the segment are there. The entry after it ends the list.
        put(&mut core, BLOCK_LIST, &(sector + 1).to_le_bytes());
        put(&mut core, BLOCK_LIST - BLOCK, &[0; BLOCK]);
        core
    }
}

fn put(bytes: &mut [u8], at: usize, with: &[u8]) {
    bytes[at..at + with.len()].copy_from_slice(with);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> (Vec<u8>, Vec<u8>) {
        let mut boot = vec![0x11; SECTOR_BYTES];
        put(&mut boot, SECTOR_BYTES - 2, &[0x55, 0xaa]);
        let mut core = vec![0x22; 3 * SECTOR_BYTES - 100];
        put(&mut core, BLOCK_LIST, &[0; 8]);
        put(&mut core, BLOCK_LIST + 8, &2_u16.to_le_bytes());
        put(&mut core, BLOCK_LIST + 10, &KERNEL_SEGMENT.to_le_bytes());
        (boot, core)
    }

    #[test]
    fn places_are_written_into_both_files() {
        let (boot, core) = images();
        let images = GrubImages::new(&boot, &core).unwrap();
        let first = images.boot_code(0x1_0000_0800);
        assert_eq!(first.len(), 440);
        assert_eq!(first[0x5c..0x68], [0, 8, 0, 0, 1, 0, 0, 0, 0xff, 0x11, 0x90, 0x90]);
        assert_eq!((&first[..0x5c], &first[0x68..]), (&boot[..0x5c], &boot[0x68..440]));
        let placed = images.core(0x800);
        assert_eq!(placed.len(), 3 * SECTOR_BYTES);
        assert_eq!(placed[0x1f4..0x200], [1, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 8]);
        assert_eq!(placed[0x1e8..0x1f4], [0; 12]);
        assert_eq!((&placed[..0x1e8], &placed[0x200..core.len()]), (&core[..0x1e8], &core[0x200..]));
        assert!(placed[core.len()..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn other_files_are_refused() {
        let (boot, core) = images();
        let error = |boot: &[u8], core: &[u8]| GrubImages::new(boot, core).unwrap_err().to_string();
        assert!(error(&boot[..511], &core).starts_with("bios.boot: is not GRUB's boot.img"));
        assert!(error(&vec![0; 512], &core).starts_with("bios.boot: "));
        for broken in [&[][..], &core[..512], &core[..1024], &boot] {
            assert!(error(&boot, broken).starts_with("bios.core: is not GRUB's core.img"), "{broken:?}");
        }
        let mut long = vec![0; GrubImages::MAX_BYTES + 1];
        long[..core.len()].copy_from_slice(&core);
        assert!(error(&boot, &long).starts_with("bios.core: "));
    }
}
