use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use rustix::fs::CWD;

use super::*;
use crate::flags::{FILE, FOLLOWED_FILE};

fn pairs(runs: Option<Vec<DataRun>>) -> Option<Vec<(u32, u32)>> {
    runs.map(|runs| runs.into_iter().map(|run| (run.start, run.len)).collect())
}

fn runs_of(parts: &[(u64, &[u8])], size: u64) -> Option<Vec<(u32, u32)>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    for (at, bytes) in parts {
        file.write_all_at(bytes, *at).unwrap();
    }
    let stat = rustix::fs::stat(&path).unwrap();
    pairs(of_entry(CWD, &path, &stat, FILE).unwrap())
}

#[test]
fn data_between_holes_is_found_to_the_block() {
    let far = 490 << 30;
    assert_eq!(
        runs_of(&[(5000, b"x"), (far, b"login")], 534_000_000_000),
        Some(vec![(1, 1), (u32::try_from(far / 4096).unwrap(), 1)])
    );
    assert_eq!(runs_of(&[], 1 << 20), Some(vec![]));
    assert_eq!(runs_of(&[(0, &[1; 8192])], 1 << 20), Some(vec![(0, 2)]));
    assert_eq!(runs_of(&[((1 << 20) - 1, b"x")], 1 << 20), Some(vec![(255, 1)]));
    assert_eq!(runs_of(&[((1 << 20) + 4, b"x")], (1 << 20) + 5), Some(vec![(256, 1)]));
}

#[test]
fn a_file_without_holes_has_no_runs_and_zeros_of_a_sparse_one_are_holes() {
    assert_eq!(runs_of(&[(0, &vec![0; 1 << 20])], 1 << 20), None);
    let zeros = vec![0; 1 << 20];
    assert_eq!(runs_of(&[(0, &zeros), (1 << 20, b"x")], 64 << 20), Some(vec![(256, 1)]));
}

#[test]
fn only_a_file_that_needs_less_space_than_its_length_can_have_holes() {
    for (size, blocks, expected) in [
        (0, 0, false),
        (4096, 8, false),
        (4097, 8, true),
        (4096, 7, true),
        (1, 0, true),
        (1 << 40, u64::MAX, false),
    ] {
        assert_eq!(may_have_holes(size, blocks), expected, "{size} {blocks}");
    }
    // Such a file is not even opened.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    File::create(&path).unwrap().set_len(1 << 20).unwrap();
    let mut stat = rustix::fs::stat(&path).unwrap();
    assert_eq!(of_entry(CWD, &path, &stat, FILE), Ok(Some(Vec::new())));
    stat.st_blocks = 2048;
    assert_eq!(of_entry(CWD, &path, &stat, FILE), Ok(None));
    fs::remove_file(&path).unwrap();
    assert_eq!(of_entry(CWD, &path, &stat, FILE), Ok(None));
    stat.st_blocks = 2047;
    assert_eq!(of_entry(CWD, &path, &stat, FILE), Err(Errno::NOENT));
}

#[test]
fn a_symlink_that_replaced_the_file_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    File::create(&file).unwrap().set_len(1 << 20).unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    let stat = rustix::fs::stat(&file).unwrap();
    assert_eq!(of_entry(CWD, &link, &stat, FILE), Err(Errno::LOOP));
    assert_eq!(of_entry(CWD, &link, &stat, FOLLOWED_FILE), Ok(Some(Vec::new())));
}

#[test]
fn a_file_that_cannot_seek_reports_no_holes() {
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(seek(socket.as_fd(), SeekFrom::Hole(0)), Ok(None));
    let file = tempfile::tempfile().unwrap();
    file.set_len(8192).unwrap();
    assert_eq!(seek(file.as_fd(), SeekFrom::Data(8192)), Ok(None));
    assert_eq!(seek(file.as_fd(), SeekFrom::Hole(8192)), Ok(None));
}

/// A file of any file system: its data are ones, the rest are zeros.
struct Model<'d> {
    data: &'d [Range<u64>],
    len: u64,
    /// Maximum number of bytes that one call reads.
    at_most: u64,
}

impl Model<'_> {
    fn is_data(&self, at: u64) -> bool {
        self.data.iter().any(|range| range.contains(&at))
    }

    /// The data runs that are found if the scan saw a length of `size`.
    fn runs(&self, size: u64) -> Option<Vec<(u32, u32)>> {
        let seek = |to| {
            let edges = self.data.iter().flat_map(|range| [range.start, range.end]);
            Ok(match to {
                SeekFrom::Data(at) => {
                    edges.chain([at]).filter(|edge| *edge >= at && self.is_data(*edge)).min()
                }
                SeekFrom::Hole(at) if at < self.len => {
                    edges.chain([at, self.len]).filter(|edge| *edge >= at && !self.is_data(*edge)).min()
                }
                _ => None,
            })
        };
        let read = |buffer: &mut [u8], at: u64| {
            let len = to_u64(buffer.len()).min(self.at_most).min(self.len.saturating_sub(at));
            for (byte, at) in buffer.iter_mut().zip(at..at + len) {
                *byte = u8::from(self.is_data(at));
            }
            Ok(to_usize(len))
        };
        pairs(data_runs(size, seek, read).unwrap())
    }
}

#[test]
fn a_block_with_any_data_is_data() {
    let data = [4608..5120, 12_000..12_800, 20_480..24_576, 40_959..40_960];
    for at_most in [1, 1000, 4096, u64::MAX] {
        let model = Model { data: &data, len: 50_000, at_most };
        assert_eq!(model.runs(50_000), Some(vec![(1, 3), (5, 1), (9, 1)]), "{at_most}");
    }
    // The last block is not a whole one.
    let model = Model { data: &data[..1], len: 4700, at_most: u64::MAX };
    assert_eq!(model.runs(4700), Some(vec![(1, 1)]));
}

#[test]
fn what_comes_after_the_length_that_was_seen_does_not_count() {
    let data = [8192..8200, 12_288..12_290, 90_000..90_001];
    let model = Model { data: &data, len: 100_000, at_most: u64::MAX };
    for (size, expected) in [
        (8192, vec![]),
        (8193, vec![(2, 1)]),
        (12_288, vec![(2, 1)]),
        (16_384, vec![(2, 2)]),
        (100_000, vec![(2, 2), (21, 1)]),
    ] {
        assert_eq!(model.runs(size), Some(expected), "{size}");
    }
    // A file that became shorter: the copy reports it.
    let model = Model { data: &[0..4096, 8192..12_288], len: 8192, at_most: u64::MAX };
    assert_eq!(model.runs(12_288), Some(vec![(0, 1)]));
}

#[test]
fn a_file_that_is_data_up_to_its_length_has_no_holes() {
    let data = std::slice::from_ref(&(0..10_000));
    let model = Model { data, len: 20_000, at_most: u64::MAX };
    for (size, expected) in
        [(9999, None), (10_000, None), (10_001, Some(vec![(0, 3)])), (16_384, Some(vec![(0, 3)]))]
    {
        assert_eq!(model.runs(size), expected, "{size}");
    }
}

#[test]
fn wrong_answers_of_a_file_system_have_an_end() {
    let read = |buffer: &mut [u8], at: u64| {
        let len = buffer.len().min(4096);
        buffer[..len].fill(u8::from(at < 4096));
        Ok(len)
    };
    for answer in [0, 5000, u64::MAX] {
        let seek = |to| Ok(Some(if matches!(to, SeekFrom::Hole(0)) { 0 } else { answer }));
        let expected = if answer == 0 { vec![(0, 1)] } else { vec![] };
        assert_eq!(pairs(data_runs(1 << 20, seek, read).unwrap()), Some(expected), "{answer}");
    }
}

#[test]
fn the_longest_file_with_runs_is_shorter_than_2_to_the_44() {
    let model = Model { data: &[], len: u64::MAX, at_most: 0 };
    assert_eq!(model.runs((1 << 44) - 4096), Some(vec![]));
    assert_eq!(model.runs((1 << 44) - 4095), None);
}

#[test]
fn a_huge_file_keeps_only_long_holes() {
    let data = [0..4096, 8192..12_288, 20_480..24_576];
    let model = Model { data: &data, len: u64::MAX, at_most: u64::MAX };
    for (size, expected) in [
        (8 << 30, vec![(0, 1), (2, 1), (5, 1)]),
        ((8 << 30) + 1, vec![(0, 3), (5, 1)]),
        ((16 << 30) + 1, vec![(0, 6)]),
    ] {
        assert_eq!(model.runs(size), Some(expected), "{size}");
    }
}

#[test]
fn holes_that_are_too_short_are_filled() {
    let mut runs = Runs { list: Vec::new(), shortest: 3 };
    for unit in [0, 1, 3, 4, 8] {
        runs.add(unit);
    }
    let list: Vec<_> = runs.list.iter().map(|run| (run.start, run.len)).collect();
    assert_eq!(list, [(0, 5), (8, 1)]);
}

#[test]
fn runs_are_stored_in_whole_blocks() {
    assert_eq!(stored_bytes(&[]), 0);
    let runs = [DataRun { start: 7, len: 1 }, DataRun { start: 9, len: 3 }];
    assert_eq!(stored_bytes(&runs), 4 * 4096);
}
