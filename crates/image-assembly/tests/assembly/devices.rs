//! Block devices: written only on request, not while in use, and completely.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use image_assembly::{AssemblyError, Identity, Refusal, Target};

use crate::support::*;

/// A device of `len` bytes, all 0xff.
pub(crate) struct Loop {
    name: String,
    disk: tempfile::NamedTempFile,
}

impl Loop {
    pub(crate) fn new(len: u64) -> Self {
        let disk = tempfile::NamedTempFile::new().unwrap();
        fs::write(disk.path(), vec![0xff; usize::try_from(len).unwrap()]).unwrap();
        let name = run("losetup", &["--find", "--show", disk.path().to_str().unwrap()]);
        Self { name, disk }
    }

    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.name)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &["--detach", &self.name]);
    }
}

fn refusal(result: Result<image_assembly::Written, AssemblyError>) -> Refusal {
    match result {
        Err(AssemblyError::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_gets_all_bytes_and_keeps_those_after_the_image() {
    let device = Loop::new(12 * MIB);
    let files = Files::new(&[5000, 3 * MIB + 1, 10]);
    let mut image = Image::of_files(&files);
    image.0.insert(1, Part::Zeros(3 * MIB));
    image.0.push(Part::Zeros(MIB));
    let mut expected = image.naive(&files);
    for threads in THREADS {
        let written = image.write(&files, Target::Device(device.path()), &options(threads, None)).unwrap();
        assert_eq!(written.bytes, u64::try_from(expected.len()).unwrap());
    }
    expected.resize(usize::try_from(12 * MIB).unwrap(), 0xff);
    assert!(
        fs::read(device.disk.path()).unwrap() == expected,
        "as the disk below has it, without any more flushing"
    );
}

#[test]
fn refuses_devices_that_are_too_small_in_use_or_not_requested() {
    let device = Loop::new(MIB);
    let files = Files::new(&[2 * MIB, 10]);
    let large = Image::of_files(&files);
    let small = Image(vec![Part::Metadata(4096)]);
    let opts = options(2, None);
    let too_small = refusal(large.write(&files, Target::Device(device.path()), &opts));
    assert!(matches!(too_small, Refusal::DeviceTooSmall { has: 1_048_576, .. }), "{too_small:?}");
    assert_eq!(refusal(small.write(&files, Target::File(device.path()), &opts)), Refusal::UnaskedDevice);
    let packed = small.write(&files, Target::Device(device.path()), &options(2, Some(3)));
    assert_eq!(refusal(packed), Refusal::CompressedDevice);
    {
        // As a mount does.
        let o_excl = i32::try_from(rustix::fs::OFlags::EXCL.bits()).unwrap();
        let _held = OpenOptions::new().read(true).custom_flags(o_excl).open(device.path()).unwrap();
        assert_eq!(refusal(small.write(&files, Target::Device(device.path()), &opts)), Refusal::DeviceInUse);
    }
    assert!(fs::read(device.disk.path()).unwrap().iter().all(|&byte| byte == 0xff));
}

#[test]
fn a_device_may_be_exactly_as_long_as_the_image() {
    let device = Loop::new(MIB);
    let files = Files::new(&[10]);
    for (len, is_refused) in [(MIB, false), (MIB + 512, true)] {
        let image = Image(vec![Part::Metadata(len)]);
        let written = image.write(&files, Target::Device(device.path()), &options(2, None));
        assert_eq!(written.is_err(), is_refused, "{len}");
    }
}

/// It is changed when the device is written.
#[test]
fn a_device_and_the_file_behind_it_are_one_output() {
    let device = Loop::new(MIB);
    let [of_device, of_file] = [device.path(), device.disk.path()].map(Identity::of_path);
    assert!(of_device.is(&of_file) && of_file.is(&of_device) && of_device.is_behind_device());
    assert_eq!(of_device.path(), Some(fs::canonicalize(device.disk.path()).unwrap().as_path()));
    let other = Loop::new(MIB);
    assert!(!of_device.is(&Identity::of_path(other.path())));
}

#[test]
fn refuses_files_that_are_not_devices() {
    let files = Files::new(&[10, 10]);
    let image = Image::of_files(&files);
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("file");
    fs::write(&path, "old").unwrap();
    assert_eq!(refusal(image.write(&files, Target::Device(&path), &options(1, None))), Refusal::NotADevice);
    let null = Path::new("/dev/null");
    assert_eq!(refusal(image.write(&files, Target::Device(null), &options(1, None))), Refusal::NotADevice);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    let missing = out.path().join("missing");
    assert_eq!(refusal(image.write(&files, Target::Device(&missing), &options(1, None))), Refusal::NoDevice);
}

/// A system with sectors of 4096 bytes does not find a partition table for sectors of 512.
#[test]
fn refuses_devices_with_other_sectors_than_the_partition_table() {
    let disk = tempfile::NamedTempFile::new().unwrap();
    disk.as_file().set_len(MIB).unwrap();
    let path = disk.path().to_str().unwrap();
    let name = run("losetup", &["--find", "--show", "--sector-size", "4096", path]);
    let device = Loop { name, disk };
    let files = Files::new(&[5000, 10]);
    let image = Image::of_files(&files);
    for (sector, refused) in [(None, false), (Some(4096), false), (Some(512), true)] {
        let options = image_assembly::Options { sector, ..options(2, None) };
        let result = image.write(&files, Target::Device(device.path()), &options);
        match result {
            Ok(_) => assert!(!refused),
            other => assert_eq!(refusal(other), Refusal::OtherSectors { has: 4096, needs: 512 }),
        }
    }
}
