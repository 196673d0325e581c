//! What a cache returns is what was kept, whatever happens to its folder.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use frame_cache::{CacheError, FrameCache, Key, Layer};
use proptest::prelude::*;

const BIG: u64 = 1 << 40;

fn key(number: u8) -> Key {
    [number; 32]
}

fn frame(number: u8, blocks: usize) -> Vec<u8> {
    (0..blocks * 4096).map(|at| u8::try_from((at * 7 + usize::from(number)) % 251).unwrap()).collect()
}

fn contents(cache: &FrameCache, key: &Key) -> Option<Vec<u8>> {
    let mut found = cache.get(key)?;
    let mut bytes = Vec::new();
    found.file.read_to_end(&mut bytes).unwrap();
    bytes.truncate(usize::try_from(found.len).unwrap());
    Some(bytes)
}

/// The file of a key.
fn path(folder: &Path, number: u8) -> PathBuf {
    let digits = format!("{number:02x}");
    folder.join("frames-1").join(&digits).join(digits.repeat(31))
}

fn opened() -> (tempfile::TempDir, FrameCache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = FrameCache::open(folder.path(), BIG).unwrap();
    (folder, cache)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_entry_is_never_returned(blocks in 0..5_usize, at: prop::sample::Index, turned in 1..=255_u8, cut: bool) {
        let (folder, cache) = opened();
        let bytes = frame(1, blocks);
        cache.put(&key(1), 7.min(u64::try_from(bytes.len()).unwrap()), &bytes);
        prop_assert_eq!(contents(&cache, &key(1)), Some(bytes.clone()));
        let file = OpenOptions::new().read(true).write(true).open(path(folder.path(), 1)).unwrap();
        let len = file.metadata().unwrap().len();
        let at = u64::try_from(at.index(usize::try_from(len).unwrap())).unwrap();
        if cut {
            file.set_len(at).unwrap();
        } else {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ turned], at).unwrap();
        }
        prop_assert_eq!(contents(&cache, &key(1)), None);
        cache.put(&key(1), 0, &bytes);
        prop_assert_eq!(contents(&cache, &key(1)), Some(bytes), "it is made again");
        prop_assert_eq!(cache.finish().damaged, 1);
    }
}

#[test]
fn other_files_in_the_place_of_an_entry_are_not_returned() {
    let (folder, cache) = opened();
    cache.put(&key(1), 9, &frame(1, 2));
    fs::create_dir_all(path(folder.path(), 2).parent().unwrap()).unwrap();
    fs::copy(path(folder.path(), 1), path(folder.path(), 2)).unwrap();
    assert_eq!(contents(&cache, &key(2)), None, "an entry of another key");
    fs::create_dir_all(path(folder.path(), 3)).unwrap();
    assert_eq!(contents(&cache, &key(3)), None, "a folder");
    fs::create_dir_all(path(folder.path(), 4).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(path(folder.path(), 1), path(folder.path(), 4)).unwrap();
    assert_eq!(contents(&cache, &key(4)), None, "a symlink");
    fs::remove_file(path(folder.path(), 4)).unwrap();
    assert!(Command::new("mkfifo").arg(path(folder.path(), 4)).status().unwrap().success());
    assert_eq!(contents(&cache, &key(4)), None, "a pipe, without waiting for a writer");
}

#[test]
fn a_folder_of_another_user_or_with_other_writers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o770, 0o702, 0o1777] {
        set(mode);
        assert!(matches!(FrameCache::open(folder.path(), BIG), Err(CacheError::Writable { .. })), "{mode:o}");
    }
    set(0o755);
    FrameCache::open(folder.path(), BIG).unwrap();
    let frames = folder.path().join("frames-1");
    assert_eq!(fs::metadata(&frames).unwrap().permissions().mode() & 0o777, 0o700);
    fs::set_permissions(&frames, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(FrameCache::open(folder.path(), BIG), Err(CacheError::Writable { .. })));
    assert!(rustix::process::geteuid().is_root(), "this test needs root");
    chown(folder.path(), Some(12_345), None).unwrap();
    assert!(matches!(FrameCache::open(folder.path(), BIG), Err(CacheError::Owner { owner: 12_345, .. })));
}

#[test]
fn a_layer_is_read_whoever_owns_it_and_needs_frames() {
    let (folder, cache) = opened();
    cache.put(&key(1), 9, &frame(1, 1));
    chown(folder.path(), Some(12_345), None).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let layer = Layer::open(folder.path()).unwrap();
    assert_eq!(layer.get(&key(1)).unwrap().frame, 9);
    assert!(layer.get(&key(2)).is_none());
    fs::write(path(folder.path(), 1), b"").unwrap();
    assert!(layer.get(&key(1)).is_none());
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Layer::open(empty.path()), Err(CacheError::NoFrames { .. })));
}

#[test]
fn the_frames_unused_for_the_longest_time_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = FrameCache::open(folder.path(), BIG).unwrap();
    for number in 0..10 {
        cache.put(&key(number), 0, &frame(number, 10));
        let age = Duration::from_secs(1000 - u64::from(number));
        let file = File::options().write(true).open(path(folder.path(), number)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    cache.finish();
    let entry = 10 * 4096 + 64;
    let there = || (0..20).filter(|&number| path(folder.path(), number).exists()).collect::<Vec<_>>();
    // Room for five: number 2 is used, so 0, 1, 3, 4 and 5 go.
    let cache = FrameCache::open(folder.path(), 5 * entry).unwrap();
    assert!(cache.get(&key(2)).is_some());
    assert_eq!(cache.finish().found, 1);
    assert_eq!(there(), [2, 6, 7, 8, 9]);
    // What a program added itself stays until it ends; the limit holds all the time.
    let cache = FrameCache::open(folder.path(), 3 * entry).unwrap();
    for number in 10..15 {
        cache.put(&key(number), 0, &frame(number, 10));
        let len: u64 =
            there().iter().map(|&number| fs::metadata(path(folder.path(), number)).unwrap().len()).sum();
        assert!(len <= 3 * entry, "{:?}", there());
    }
    let statistics = cache.finish();
    assert_eq!((statistics.added, statistics.omitted), (3, 2));
    assert_eq!(there(), [10, 11, 12]);
}

#[test]
fn frames_that_are_held_appear_when_they_are_published_or_never() {
    for published in [false, true] {
        let (folder, cache) = opened();
        cache.put(&key(1), 0, &frame(1, 1));
        cache.hold();
        cache.put(&key(2), 0, &frame(2, 1));
        assert!(cache.get(&key(1)).is_some() && cache.get(&key(2)).is_none());
        if published {
            cache.publish();
            assert_eq!(contents(&cache, &key(2)), Some(frame(2, 1)));
        }
        drop(cache);
        let files = |number| fs::read_dir(path(folder.path(), number).parent().unwrap()).unwrap().count();
        assert_eq!((files(1), files(2)), (1, usize::from(published)));
    }
}

#[test]
fn what_killed_programs_left_is_removed_later() {
    let (folder, cache) = opened();
    cache.put(&key(1), 0, &frame(1, 1));
    let place = path(folder.path(), 1);
    let (old, new) = (place.with_file_name(".new-1-1"), place.with_file_name(".new-2-1"));
    fs::write(&old, b"x").unwrap();
    fs::write(&new, b"x").unwrap();
    let day = Duration::from_secs(24 * 3600);
    File::options().write(true).open(&old).unwrap().set_modified(SystemTime::now() - day).unwrap();
    drop(FrameCache::open(folder.path(), BIG).unwrap());
    assert!(!old.exists() && new.exists() && place.exists());
}

#[test]
fn a_full_disk_ends_the_adding_and_leaves_no_part_of_an_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = folder.path().join("disk");
    fs::create_dir(&mounted).unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1M,mode=700", "none"]).arg(&mounted).status();
    assert!(mount.unwrap().success(), "this test needs root and mount");
    let cache = FrameCache::open(&mounted, BIG).unwrap();
    for number in 0..20 {
        cache.put(&key(number), 0, &frame(number, 20));
    }
    let kept = (0..20).filter(|&number| contents(&cache, &key(number)).is_some()).count();
    let statistics = cache.finish();
    let left = fs::read_dir(mounted.join("frames-1")).unwrap();
    let files: usize = left.map(|folder| fs::read_dir(folder.unwrap().path()).unwrap().count()).sum();
    assert!(Command::new("umount").arg(&mounted).status().unwrap().success());
    assert!((5..20).contains(&kept), "{kept}");
    assert_eq!((u64::try_from(kept).unwrap(), files), (statistics.added, kept));
    assert_eq!(statistics.error.unwrap().kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn several_programs_use_one_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cache = FrameCache::open(folder.path(), 100 * 4096).unwrap();
                for round in 0..3 {
                    for number in 0..50 {
                        let expected = frame(number, 1 + usize::from(number) % 4);
                        match contents(&cache, &key(number)) {
                            Some(bytes) => assert!(bytes == expected, "round {round}"),
                            None => cache.put(&key(number), 0, &expected),
                        }
                    }
                }
                assert_eq!(cache.finish().damaged, 0);
            });
        }
    });
    let mut tag = String::new();
    File::open(folder.path().join("CACHEDIR.TAG")).unwrap().read_to_string(&mut tag).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
    std::io::stdout().flush().unwrap();
}
