//! The disks of this machine and what uses them, as Linux shows them in `/sys/block` and `/proc` (kernel documentation:
//! `ABI/stable/sysfs-block`, proc(5)).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

/// The unit of sizes in sysfs, in \[bytes\], whatever the sectors of a device are.
const UNIT: u64 = 512;

/// Where the system shows its devices. Tests have their own.
#[derive(Clone, Debug)]
pub struct System {
    sys: PathBuf,
    proc: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// Something that uses a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Use {
    /// It, or one of its partitions, is mounted.
    Mounted {
        /// The name of the disk or partition, such as `sdb1`.
        name: String,
        /// The mount point.
        at: String,
    },
    /// It is swap space.
    Swap {
        /// The name of the disk or partition.
        name: String,
    },
    /// Another device is made of it: device-mapper, RAID.
    Holder {
        /// The name of the disk or partition.
        name: String,
        /// The name of the other device.
        holder: String,
    },
}

impl Use {
    /// Whether this disk or partition is used.
    pub(crate) fn is_of(&self, wanted: &str) -> bool {
        match self {
            Self::Mounted { name, .. } | Self::Swap { name } | Self::Holder { name, .. } => name == wanted,
        }
    }
}

impl std::fmt::Display for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mounted { name, at } if at == "/" => write!(f, "/dev/{name} is the root of this system"),
            Self::Mounted { name, at } => write!(f, "/dev/{name} is mounted at {at}"),
            Self::Swap { name } => write!(f, "/dev/{name} is swap space"),
            Self::Holder { name, holder } => write!(f, "/dev/{name} is part of /dev/{holder}"),
        }
    }
}

/// A disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlockDevice {
    /// The kernel's name, such as `sdb`.
    pub name: String,
    /// Length in \[bytes\]; 0 without a medium.
    pub bytes: u64,
    /// Vendor and model; empty if the device does not say them.
    pub model: String,
    /// How it is attached: `USB`, `SD card`, `loop`, or nothing that is known.
    pub connection: &'static str,
    /// Whether it can be removed. Loop devices count as removable.
    pub removable: bool,
    /// Whether it is write-protected.
    pub read_only: bool,
    /// What uses it.
    pub uses: Vec<Use>,
}

impl BlockDevice {
    /// The path of its device file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        // In names, sysfs has an exclamation mark where the path has a slash.
        Path::new("/dev").join(self.name.replace('!', "/"))
    }
}

impl System {
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { sys: root.join("sys"), proc: root.join("proc") }
    }

    /// All disks with a medium, by name. Without RAM disks, optical drives and loop devices without a file.
    #[must_use]
    pub fn disks(&self) -> Vec<BlockDevice> {
        let Ok(entries) = fs::read_dir(self.sys.join("block")) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut disks: Vec<_> = names
            .filter(|name| !["ram", "zram", "sr", "fd"].iter().any(|kind| numbered(name, kind)))
            .map(|name| self.disk(&name))
            .filter(|disk| disk.bytes > 0)
            .collect();
        disks.sort_by(|a, b| a.name.cmp(&b.name));
        disks
    }

    /// A disk by the kernel's name.
    #[must_use]
    pub fn disk(&self, name: &str) -> BlockDevice {
        let folder = self.sys.join("block").join(name);
        let place = fs::canonicalize(&folder).unwrap_or_default();
        let is_usb = place.components().any(|part| part.as_os_str().to_string_lossy().starts_with("usb"));
        let is_sd = word(&folder.join("device/type")) == "SD";
        let is_loop = numbered(name, "loop");
        let connection = match () {
            () if is_usb => "USB",
            () if is_sd => "SD card",
            () if is_loop => "loop",
            () => "",
        };
        let model = [word(&folder.join("device/vendor")), word(&folder.join("device/model"))];
        let mut model = model.join(" ").trim().to_owned();
        if model.is_empty() {
            model = word(&folder.join("device/name"));
        }
        if is_loop {
            model = word(&folder.join("loop/backing_file"));
        }
        BlockDevice {
            bytes: number(&folder.join("size")).saturating_mul(UNIT),
            connection,
            removable: is_usb || is_sd || is_loop || number(&folder.join("removable")) == 1,
            read_only: number(&folder.join("ro")) == 1,
            uses: self.uses(name, &folder),
            model,
            name: name.to_owned(),
        }
    }

    /// The disk of a device number, and the partition's name if it is one.
    pub(crate) fn disk_of(&self, device: u64) -> Option<(String, Option<String>)> {
        let number = format!("{}:{}", major(device), minor(device));
        let place = fs::canonicalize(self.sys.join("dev/block").join(number)).ok()?;
        let name = place.file_name()?.to_str()?.to_owned();
        if place.join("partition").exists() {
            let disk = place.parent()?.file_name()?.to_str()?.to_owned();
            return Some((disk, Some(name)));
        }
        Some((name, None))
    }

    /// Uses of a disk and of its partitions.
    fn uses(&self, name: &str, folder: &Path) -> Vec<Use> {
        let partitions = fs::read_dir(folder).into_iter().flatten().flatten();
        let partitions = partitions.filter(|entry| entry.path().join("partition").exists());
        let mut members: Vec<(String, PathBuf)> = partitions
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .collect();
        members.sort();
        members.insert(0, (name.to_owned(), folder.to_owned()));
        let mounts = fs::read(self.proc.join("self/mountinfo")).unwrap_or_default();
        let mounts = String::from_utf8_lossy(&mounts);
        let swaps = fs::read_to_string(self.proc.join("swaps")).unwrap_or_default();
        let mut uses = Vec::new();
        for (name, folder) in members {
            let number = word(&folder.join("dev"));
            let at = mounts.lines().filter_map(|line| mounted(line, &number));
            uses.extend(at.map(|at| Use::Mounted { name: name.clone(), at }));
            if swaps.lines().skip(1).any(|line| is_device(line.split_whitespace().next(), &number)) {
                uses.push(Use::Swap { name: name.clone() });
            }
            let holders = fs::read_dir(folder.join("holders")).into_iter().flatten().flatten();
            let mut holders: Vec<_> =
                holders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            holders.sort();
            uses.extend(holders.into_iter().map(|holder| Use::Holder { name: name.clone(), holder }));
        }
        uses
    }
}

/// The mount point of a line of mountinfo, if the device with this number is mounted there. Some file systems (btrfs) have a
/// number of their own, so the source counts too.
fn mounted(line: &str, number: &str) -> Option<String> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(2);
    let found = front.next()?;
    let at = front.nth(1)?;
    let source = back.split(' ').nth(1);
    (!number.is_empty() && (found == number || is_device(source, number))).then(|| at.replace("\\040", " "))
}

/// Whether a path is a block device with this number.
fn is_device(path: Option<&str>, number: &str) -> bool {
    let Some(path) = path.filter(|path| path.starts_with("/dev/")) else { return false };
    fs::metadata(path).is_ok_and(|found| {
        use std::os::unix::fs::FileTypeExt;
        let device = found.rdev();
        found.file_type().is_block_device() && format!("{}:{}", major(device), minor(device)) == number
    })
}

/// Whether a name is a kind of device and a number.
fn numbered(name: &str, kind: &str) -> bool {
    name.strip_prefix(kind)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The text of a file of sysfs; empty if there is none.
fn word(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default()
}

fn number(path: &Path) -> u64 {
    word(path).parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A machine with a fixed disk that has the root, a USB stick, an SD card in a slot, a reader without a card.
    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        for (name, place, number, size) in [
            ("nvme0n1", "pci0/nvme/nvme0n1", "259:0", "2000"),
            ("sdb", "pci0/usb1/1-1/host0/sdb", "8:16", "62333952"),
            ("sdc", "pci0/usb1/1-2/host1/sdc", "8:32", "0"),
            ("mmcblk0", "mmc0/mmc0:1/mmcblk0", "179:0", "100"),
            ("ram0", "virtual/ram0", "1:0", "100"),
        ] {
            put(at, &format!("sys/devices/{place}/dev"), number);
            put(at, &format!("sys/devices/{place}/size"), size);
            put(at, &format!("sys/devices/{place}/removable"), "0\n");
            fs::create_dir_all(at.join("sys/block")).unwrap();
            std::os::unix::fs::symlink(format!("../devices/{place}"), at.join("sys/block").join(name))
                .unwrap();
            fs::create_dir_all(at.join("sys/dev/block")).unwrap();
            let link = at.join("sys/dev/block").join(number);
            std::os::unix::fs::symlink(format!("../../devices/{place}"), link).unwrap();
        }
        put(at, "sys/devices/pci0/usb1/1-1/host0/sdb/device/vendor", "SanDisk \n");
        put(at, "sys/devices/pci0/usb1/1-1/host0/sdb/device/model", "Ultra   \n");
        put(at, "sys/devices/pci0/usb1/1-1/host0/sdb/sdb1/partition", "1");
        put(at, "sys/devices/pci0/usb1/1-1/host0/sdb/sdb1/dev", "8:17");
        put(at, "sys/devices/pci0/usb1/1-1/host0/sdb/sdb2/partition", "2");
        put(at, "sys/devices/pci0/usb1/1-1/host0/sdb/sdb2/dev", "8:18");
        put(at, "sys/devices/pci0/usb1/1-1/host0/sdb/sdb2/holders/dm-0/dev", "252:0");
        let link = at.join("sys/dev/block/8:17");
        std::os::unix::fs::symlink("../../devices/pci0/usb1/1-1/host0/sdb/sdb1", link).unwrap();
        put(at, "sys/devices/mmc0/mmc0:1/mmcblk0/device/type", "SD\n");
        put(at, "sys/devices/mmc0/mmc0:1/mmcblk0/device/name", "SC32G\n");
        put(at, "sys/devices/mmc0/mmc0:1/mmcblk0/ro", "1\n");
        put(at, "proc/swaps", "Filename Type Size Used Priority\n");
        put(
            at,
            "proc/self/mountinfo",
            "22 1 259:0 / / rw - ext4 /dev/root rw\n36 22 8:17 / /media/my\\040card rw,nosuid shared:1 - vfat /dev/x rw\n",
        );
        root
    }

    #[test]
    fn disks_and_what_uses_them() {
        let root = machine();
        let system = System::at(root.path());
        let disks = system.disks();
        let short: Vec<_> = disks
            .iter()
            .map(|disk| (&*disk.name, disk.connection, disk.removable, disk.read_only, &*disk.model))
            .collect();
        assert_eq!(
            short,
            [
                ("mmcblk0", "SD card", true, true, "SC32G"),
                ("nvme0n1", "", false, false, ""),
                ("sdb", "USB", true, false, "SanDisk Ultra"),
            ]
        );
        let uses = |index: usize| disks[index].uses.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(uses(0), Vec::<String>::new());
        assert_eq!(uses(1), ["/dev/nvme0n1 is the root of this system"]);
        assert_eq!(uses(2), ["/dev/sdb1 is mounted at /media/my card", "/dev/sdb2 is part of /dev/dm-0"]);
        assert_eq!(disks[2].bytes, 62_333_952 * 512);
    }

    #[test]
    fn partitions_have_a_disk() {
        let root = machine();
        let system = System::at(root.path());
        let device = |major, minor| rustix::fs::makedev(major, minor);
        assert_eq!(system.disk_of(device(8, 16)), Some(("sdb".into(), None)));
        assert_eq!(system.disk_of(device(8, 17)), Some(("sdb".into(), Some("sdb1".into()))));
        assert_eq!(system.disk_of(device(8, 99)), None);
    }
}
