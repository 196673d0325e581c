use super::*;
use crate::testing::*;

const MIB: u64 = 1 << 20;

/// A file with data, and what a function makes of it.
fn changed(is_zero: bool, change: impl FnOnce(&Positioned<'_>)) -> Vec<u8> {
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().write_all_at(&data(0, MIB), 0).unwrap();
    change(&Positioned::new(disk.as_file(), disk.path(), is_zero));
    std::fs::read(disk.path()).unwrap()
}

#[test]
fn zeros_are_written_where_the_output_is_not_zero() {
    let before = data(0, MIB);
    for (offset, len) in [(0, 0), (0, 5), (7, 300_000), (MIB - 1, 1), (0, MIB)] {
        let mut expected = before.clone();
        expected[to_usize(offset)..to_usize(offset + len)].fill(0);
        assert!(changed(false, |output| output.put_zeros(offset, len).unwrap()) == expected, "{len}");
        assert!(changed(true, |output| output.put_zeros(offset, len).unwrap()) == before, "{len}");
    }
}

#[test]
fn long_zeros_are_left_out_where_the_output_is_zero() {
    let grain = zero_runs::GRAIN;
    let bytes = [data(3, grain), vec![0; to_usize(2 * grain)], data(5, 100)].concat();
    for is_zero in [false, true] {
        let mut expected = data(0, MIB);
        let at = to_usize(4 * grain);
        expected[at..at + bytes.len()].copy_from_slice(&bytes);
        if is_zero {
            // The output has other bytes there only in this test.
            let left_out = to_usize(5 * grain)..to_usize(7 * grain);
            expected[left_out.clone()].copy_from_slice(&data(0, MIB)[left_out]);
        }
        assert!(changed(is_zero, |output| output.put_bytes(&bytes, 4 * grain).unwrap()) == expected);
    }
}

#[test]
fn written_bytes_are_read_again_in_parts() {
    for len in [0, 1, 256 << 10, (256 << 10) + 1, MIB - 7] {
        let mut seen: Vec<Vec<u8>> = Vec::new();
        changed(false, |output| {
            output.read_back(7, len, &mut Vec::new(), |bytes| seen.push(bytes.to_vec())).unwrap();
        });
        assert!(seen.concat() == data(0, MIB)[7..to_usize(7 + len)]);
        assert!(seen.iter().all(|part| part.len() <= 256 << 10), "{len}");
    }
    changed(false, |output| {
        let error = output.read_back(7, MIB, &mut Vec::new(), |_| {});
        assert!(matches!(error, Err(AssemblyError::Output { .. })), "the output ends before");
    });
}

#[test]
fn the_kernel_copies_to_files_and_shares_blocks_where_it_can() {
    for (is_zero, shares_blocks, lone_file, looks) in [
        (true, false, Some(MIB), true),
        (true, true, Some(64 << 10), false),
        (false, false, None, false),
        (false, true, None, false),
    ] {
        changed(is_zero, |output| {
            let Positioned { file, path, .. } = *output;
            let output = Positioned { file, path, is_zero, shares_blocks };
            assert_eq!((output.lone_file(), output.looks_for_zeros()), (lone_file, looks));
        });
    }
}

/// Bytes for some ranges.
struct Late(Vec<(u64, &'static [u8])>);

impl Patches for Late {
    fn ranges(&self) -> Vec<std::ops::Range<u64>> {
        self.0.iter().map(|(at, bytes)| *at..at + to_u64(bytes.len())).collect()
    }

    fn apply(&self, put: &mut crate::Put<'_>) -> Result<(), AssemblyError> {
        self.0.iter().try_for_each(|(at, bytes)| put(*at, bytes))
    }
}

#[test]
fn late_bytes_are_written_in_their_places_and_shown() {
    let mut expected = data(0, MIB);
    expected[10..14].copy_from_slice(b"late");
    expected[100..103].copy_from_slice(b"\0\0\0");
    let mut shown = Vec::new();
    let late = Late(vec![(10, b"late"), (100, b"\0\0\0")]);
    assert!(
        changed(true, |output| output.patch(&late, |bytes| shown.extend_from_slice(bytes)).unwrap())
            == expected
    );
    assert_eq!(shown, b"late\0\0\0");
}
