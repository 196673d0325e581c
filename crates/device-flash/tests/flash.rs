//! Flashing onto devices of memory: right ones, and ones that lie or fail.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::io::{self, Write};

use device_flash::{FlashError, Flashed, Flasher, HEAD, Medium, Options, ReadBack};
use image_tree::to_u64;
use proptest::prelude::*;

const BLOCK: usize = 4096;
const PIECE: usize = 64 << 10;
const MIB: usize = 1 << 20;

/// How a device of memory is broken.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// Addresses from here are those from the start again.
    wraps_at: Option<usize>,
    /// Addresses from here are not stored, and read as zeros.
    drops_from: Option<usize>,
    /// Reads of this byte fail.
    unreadable: Option<usize>,
    /// Writes of this byte fail.
    unwritable: Option<usize>,
    /// The device is gone after so many calls.
    removed_after: Option<usize>,
    /// Reads past the cache return this byte turned.
    turns: Option<usize>,
}

#[derive(Debug)]
struct Memory<'a> {
    bytes: &'a mut Vec<u8>,
    faults: Faults,
    calls: usize,
}

impl<'a> Memory<'a> {
    fn new(bytes: &'a mut Vec<u8>, faults: Faults) -> Self {
        Self { bytes, faults, calls: 0 }
    }

    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        if self.faults.removed_after.is_some_and(|most| self.calls > most) {
            return Err(io::Error::from_raw_os_error(19));
        }
        Ok(())
    }

    fn place(&self, at: usize) -> Option<usize> {
        if self.faults.drops_from.is_some_and(|from| at >= from) {
            return None;
        }
        Some(self.faults.wraps_at.map_or(at, |length| at % length))
    }
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Medium for Memory<'_> {
    fn capacity(&self) -> u64 {
        to_u64(self.bytes.len())
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.call()?;
        let start = usize::try_from(offset).unwrap();
        if self.faults.unreadable.is_some_and(|at| (start..start + buffer.len()).contains(&at)) {
            return Err(broken());
        }
        for (at, byte) in (start..).zip(buffer) {
            *byte = self.place(at).map_or(0, |at| self.bytes[at]);
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.call()?;
        let start = usize::try_from(offset).unwrap();
        for (at, byte) in (start..).zip(bytes) {
            if self.faults.unwritable == Some(at) {
                return Err(broken());
            }
            if let Some(at) = self.place(at) {
                self.bytes[at] = *byte;
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.call()
    }

    fn read_stored(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read(offset, buffer)?;
        let start = usize::try_from(offset).unwrap();
        if let Some(at) = self.faults.turns.filter(|at| (start..start + buffer.len()).contains(at)) {
            buffer[at - start] ^= 1;
        }
        Ok(())
    }
}

fn flash_with(
    image: &[u8],
    device: &mut Vec<u8>,
    (faults, read_back): (Faults, ReadBack),
) -> Result<Flashed, FlashError> {
    let medium = Memory::new(device, faults);
    let options = Options::default().read_back(read_back);
    let mut flasher = Flasher::new(medium, options, &|_| {});
    // Pieces of any length, as decompression gives them.
    for piece in image.chunks(70_001) {
        if let Err(error) = flasher.write_all(piece) {
            let kept = flasher.take_error().expect("the error is kept");
            assert_eq!(error.to_string(), kept.to_string());
            return Err(kept);
        }
    }
    flasher.finish()
}

fn flash(image: &[u8], device: &mut Vec<u8>) -> Flashed {
    flash_with(image, device, (Faults::default(), ReadBack::Written)).unwrap()
}

fn image(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap()
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn an_equal_device_is_not_written() {
    let image = image(3 * MIB + 512);
    let mut device = image.clone();
    device.resize(4 * MIB, 7);
    let before = device.clone();
    let done = flash(&image, &mut device);
    assert_eq!((done.written, done.compared, done.skipped()), (0, 3 * 1_048_576 + 512, 3 * 1_048_576 + 512));
    assert!(device == before);
}

#[test]
fn only_what_differs_is_written_and_then_the_beginning() {
    let image = image(6 * MIB);
    let mut device = image.clone();
    device[2 * MIB + 5] ^= 1;
    device[5 * MIB] ^= 1;
    let done = flash(&image, &mut device);
    assert!(device == image);
    assert_eq!(done.written, to_u64(2 * BLOCK + HEAD));
    // The pieces with both blocks, one of every 4 MiB, and the beginning.
    assert_eq!(done.checked, to_u64(4 * PIECE));
    // Only the beginning differs, as after an end just before its write.
    device[..HEAD].fill(0);
    let done = flash(&image, &mut device);
    assert!(device == image);
    assert_eq!(done.written, to_u64(HEAD));
}

#[test]
fn what_is_after_the_image_stays_but_not_an_old_gpt() {
    for (sector, is_changed) in [(512, true), (4096, true), (512, false)] {
        let image = image(MIB);
        let mut device = if is_changed { vec![3; 2 * MIB] } else { [&*image, &*vec![3; MIB]].concat() };
        let at = 2 * MIB - sector;
        device[at..at + 8].copy_from_slice(b"EFI PART");
        let done = flash(&image, &mut device);
        assert!(device[..MIB] == image);
        assert!(device[MIB..at].iter().all(|&byte| byte == 3));
        assert_eq!(done.wiped_backup, is_changed);
        assert_eq!(&device[at..at + 8], if is_changed { &[0; 8] } else { b"EFI PART" });
    }
    // The image's own is not old.
    let mut image = image(MIB);
    image[MIB - 512..MIB - 504].copy_from_slice(b"EFI PART");
    let mut device = image.clone();
    device[MIB / 2] ^= 1;
    assert!(!flash(&image, &mut device).wiped_backup);
    assert!(device == image);
}

#[test]
fn images_that_do_not_fit_leave_no_beginning() {
    let image = image(3 * MIB);
    let mut device = vec![1; 2 * MIB];
    let error = flash_with(&image, &mut device, (Faults::default(), ReadBack::Written)).unwrap_err();
    assert!(matches!(error, FlashError::TooLong { capacity: 2_097_152 }), "{error}");
    assert!(device[..HEAD].iter().all(|&byte| byte == 0));
    let error = flash_with(&[], &mut device, (Faults::default(), ReadBack::Written)).unwrap_err();
    assert!(matches!(error, FlashError::Empty), "{error}");
}

#[test]
fn a_device_that_loses_writes_is_found() {
    let image = image(5 * MIB);
    for read_back in [ReadBack::Written, ReadBack::All] {
        let faults = Faults { drops_from: Some(4 * MIB), ..Faults::default() };
        let mut device = vec![0; 8 * MIB];
        let error = flash_with(&image, &mut device, (faults, read_back)).unwrap_err();
        assert!(matches!(error, FlashError::Unfaithful { at: 4_194_304, length: 65_536 }), "{error}");
        assert!(device[..HEAD].iter().all(|&byte| byte == 0));
    }
    let faults = Faults { drops_from: Some(4 * MIB), ..Faults::default() };
    flash_with(&image, &mut vec![0; 8 * MIB], (faults, ReadBack::Nothing)).unwrap();
}

#[test]
fn a_device_with_fewer_bytes_than_it_claims_is_found() {
    let image = image(6 * MIB);
    let faults = Faults { wraps_at: Some(4 * MIB), ..Faults::default() };
    let mut device = vec![0; 8 * MIB];
    let error = flash_with(&image, &mut device, (faults, ReadBack::Written)).unwrap_err();
    assert!(matches!(error, FlashError::Unfaithful { .. }), "{error}");
    // What was there already was overwritten by what came later.
    let mut device = [&image[..4 * MIB], &vec![0; 4 * MIB]].concat();
    let error = flash_with(&image, &mut device, (faults, ReadBack::Written)).unwrap_err();
    assert!(matches!(error, FlashError::Aliased { .. } | FlashError::Unfaithful { .. }), "{error}");
    assert!(device[..HEAD].iter().all(|&byte| byte == 0));
}

#[test]
fn errors_name_the_place() {
    let image = image(3 * MIB);
    let at = 2 * MIB + 77;
    let with = |faults| {
        let mut device = vec![0; 4 * MIB];
        (flash_with(&image, &mut device, (faults, ReadBack::Written)), device)
    };
    let (done, _) = with(Faults { unwritable: Some(at), ..Faults::default() });
    let error = done.unwrap_err();
    assert!(
        error.to_string().starts_with("can't be written at byte 2097152: input/output error;"),
        "{error}"
    );
    let (done, _) = with(Faults { turns: Some(at), ..Faults::default() });
    let error = done.unwrap_err().to_string();
    assert!(error.contains("other bytes than were written, in the 65536 bytes from byte 2097152"), "{error}");
    // What can't be read is written, and must be readable then.
    let (done, _) = with(Faults { unreadable: Some(at), ..Faults::default() });
    let error = done.unwrap_err().to_string();
    assert!(error.starts_with("can't be read back at byte 2097152: input/output error;"), "{error}");
}

#[test]
fn a_device_that_is_removed_at_any_time_is_not_whole_and_goes_on_later() {
    let image = image(5 * MIB + 300);
    let old = {
        let mut old = image.clone();
        for at in (MIB..5 * MIB).step_by(300_000) {
            old[at] ^= 0xff;
        }
        old.resize(6 * MIB, 0);
        old
    };
    let mut calls = 0;
    loop {
        let mut device = old.clone();
        let faults = Faults { removed_after: Some(calls), ..Faults::default() };
        match flash_with(&image, &mut device, (faults, ReadBack::Written)) {
            Ok(_) => break,
            Err(error) => {
                assert!(matches!(error, FlashError::Removed { .. }), "{calls}: {error}");
                let is_old = device == old;
                let has_no_beginning = device[..HEAD].iter().all(|&byte| byte == 0);
                // All parts were read back before the beginning was written.
                let is_new = device[..image.len()] == image;
                assert!(is_old || has_no_beginning || is_new, "{calls}");
            }
        }
        flash(&image, &mut device);
        assert!(device[..image.len()] == image, "{calls}");
        calls += 1;
    }
    assert!(calls > 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_device_gets_the_image_and_no_more_than_its_changes(
        length in 1..5 * MIB,
        rest in 0..MIB,
        changes in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        all in any::<bool>(),
    ) {
        let image = image(length);
        let mut device = image.clone();
        device.resize(length + rest, 9);
        for change in &changes {
            device[change.index(length)] ^= 0x55;
        }
        let read_back = if all { ReadBack::All } else { ReadBack::Written };
        let done = flash_with(&image, &mut device, (Faults::default(), read_back)).unwrap();
        prop_assert!(device[..length] == image);
        prop_assert!(device[length..].iter().all(|&byte| byte == 9));
        // Each change writes its block, and at most three equal ones before the next change.
        prop_assert!(done.written <= to_u64(changes.len() * 4 * BLOCK + HEAD));
        let again = flash(&image, &mut device);
        prop_assert_eq!(again.written, 0);
    }
}
