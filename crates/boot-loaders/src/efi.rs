//! EFI programs.

use std::path::Path;

use crate::error::BootError;
use crate::system::Store;

/// Number of \[bytes\] at the start of an EFI program that are enough to know its processor. Programs of GNU-EFI, systemd and
/// GRUB have the PE header in the first 512 bytes.
pub const PROGRAM_HEAD: usize = 4096;

/// The processor of an EFI program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// x86 with 32 bits.
    Ia32,
    /// x86 with 64 bits.
    X64,
    /// ARM with 32 bits.
    Arm,
    /// ARM with 64 bits.
    Aa64,
    /// RISC-V with 64 bits.
    Riscv64,
    /// `LoongArch` with 64 bits.
    Loongarch64,
}

impl Processor {
    /// Recognises the processor of a PE program by its start (PE format specification, "Machine Types").
    #[must_use]
    pub fn of_program(head: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at.checked_add(4)?)?.try_into().ok()?));
        if !head.starts_with(b"MZ") {
            return None;
        }
        let header = usize::try_from(number(0x3c)?).ok()?;
        if number(header)? != u32::from_le_bytes(*b"PE\0\0") {
            return None;
        }
        let machine = number(header.checked_add(4)?)? & 0xffff;
        Some(match machine {
            0x014c => Self::Ia32,
            0x8664 => Self::X64,
            0x01c0 | 0x01c2 | 0x01c4 => Self::Arm,
            0xaa64 => Self::Aa64,
            0x5064 => Self::Riscv64,
            0x6264 => Self::Loongarch64,
            _ => return None,
        })
    }

    /// The name in file names: `x64` in `systemd-bootx64.efi`, and in upper case in `BOOTX64.EFI` (UEFI specification, 3.5.1.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ia32 => "ia32",
            Self::X64 => "x64",
            Self::Arm => "arm",
            Self::Aa64 => "aa64",
            Self::Riscv64 => "riscv64",
            Self::Loongarch64 => "loongarch64",
        }
    }

    /// The program that firmware starts without a boot entry.
    pub(crate) fn removable(self) -> String {
        format!("/EFI/BOOT/BOOT{}.EFI", self.name().to_uppercase())
    }
}

/// The processor of a program of this machine, which `field` names.
pub(crate) fn processor(file: &Path, field: &[&str], store: &dyn Store) -> Result<Processor, BootError> {
    let shown = image_tree::shown(file);
    let head = store
        .head(file)
        .map_err(|error| BootError::new(field, format!("{shown}: {}", error.what), error.help))?;
    Processor::of_program(&head).ok_or_else(|| {
        BootError::new(field, format!("{shown} is not an EFI program"), "name a file that ends in .efi")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a program for a machine.
    fn program(machine: u16) -> Vec<u8> {
        let mut head = vec![0; 0x100];
        head[..2].copy_from_slice(b"MZ");
        head[0x3c] = 0x80;
        head[0x80..0x84].copy_from_slice(b"PE\0\0");
        head[0x84..0x86].copy_from_slice(&machine.to_le_bytes());
        head
    }

    #[test]
    fn processors_are_recognised() {
        let of = |machine| Processor::of_program(&program(machine));
        assert_eq!(of(0x8664), Some(Processor::X64));
        assert_eq!(of(0xaa64), Some(Processor::Aa64));
        assert_eq!(of(0x1c2), Some(Processor::Arm));
        assert_eq!(of(0x5064), Some(Processor::Riscv64));
        assert_eq!(of(0x9999), None);
        assert_eq!(Processor::X64.removable(), "/EFI/BOOT/BOOTX64.EFI");
    }

    #[test]
    fn damaged_programs_are_not_recognised() {
        let whole = program(0x8664);
        for len in 0..0x88 {
            assert_eq!(Processor::of_program(&whole[..len]), None, "{len}");
        }
        let mut far = whole.clone();
        far[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Processor::of_program(&far), None);
        assert_eq!(Processor::of_program(b"#!/bin/sh\n"), None);
    }
}
