use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::*;

/// A container with the bytes 1, 2, 3 and so on, of a single sparse file with these segments.
fn container(segments: &[Segment]) -> Container {
    let file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (1..=60).collect();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    Container { file: Arc::new(OwnedFd::from(file)), stamp: None, segments: vec![segments.into()] }
}

#[test]
fn a_sparse_file_is_its_segments_and_zeros_between_them() {
    let between = [(3, 4, 20), (7, 2, 5), (12, 3, 30), (16, 1, 50)];
    let at_the_start = [(0, 4, 20), (6, 2, 5)];
    for (segments, expected) in [
        (&between[..], &[0, 0, 0, 21, 22, 23, 24, 6, 7, 0, 0, 0, 31, 32, 33, 0, 51, 0, 0][..]),
        (&at_the_start, &[21, 22, 23, 24, 0, 0, 6, 7]),
    ] {
        let segment = |&(start, len, offset)| Segment { start, len, offset };
        let segments: Vec<Segment> = segments.iter().map(segment).collect();
        let (container, size) = (container(&segments), to_u64(expected.len()));
        let file = ContainedFile { container: &container, size, map: Map::Segments(&segments), at: 0 };
        for (offset, len) in (0..22).flat_map(|offset| (0..22).map(move |len| (offset, len))) {
            let mut buffer = vec![99; len];
            let read = file.clone().read_at(&mut buffer, to_u64(offset)).unwrap();
            let left = expected.get(offset..).unwrap_or_default();
            assert_eq!(read > 0, len > 0 && !left.is_empty(), "{len} bytes at {offset}");
            assert_eq!(buffer[..read], left[..read], "{len} bytes at {offset}");
            assert!(buffer[read..].iter().all(|byte| *byte == 99), "{len} bytes at {offset}");
        }
    }
}

#[test]
fn bytes_are_read_one_after_another() {
    let segments = [Segment { start: 2, len: 3, offset: 9 }];
    let container = container(&segments);
    for (map, expected) in
        [(Map::Segments(&segments), [0, 0, 10, 11, 12, 0, 0]), (Map::Range(40), [41, 42, 43, 44, 45, 46, 47])]
    {
        for len in 1..9 {
            let mut file = ContainedFile { container: &container, size: 7, map, at: 0 };
            let mut all = Vec::new();
            let mut buffer = vec![99; len];
            loop {
                match file.read(&mut buffer).unwrap() {
                    0 => break,
                    read => all.extend_from_slice(&buffer[..read]),
                }
            }
            assert_eq!(all, expected, "{len} bytes at a time");
        }
    }
}

#[test]
fn a_container_is_unchanged_if_both_its_length_and_its_time_are() {
    let mut container = container(&[]);
    assert!(is_unchanged(&container).unwrap(), "a private file");
    let stamp = crate::found::stamp(&rustix::fs::fstat(&container.file).unwrap());
    let other = FileStamp::of_mtime(1, 2);
    for (len, stamp, expected) in
        [(60, stamp, true), (61, stamp, false), (59, stamp, false), (60, other, false), (61, other, false)]
    {
        container.stamp = Some((len, stamp));
        assert_eq!(is_unchanged(&container).unwrap(), expected, "{len}");
    }
}

#[test]
fn a_sparse_file_of_a_changed_container_is_not_read() {
    let mut container = container(&[]);
    container.stamp = Some((61, FileStamp::of_mtime(1, 2)));
    let mut file = ContainedFile { container: &container, size: 7, map: Map::Segments(&[]), at: 0 };
    assert_eq!(file.read_at(&mut [0; 9], 0).unwrap_err().to_string(), "the archive changed");
}
