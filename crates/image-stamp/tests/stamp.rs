//! Fills random slots again and again, and looks at the image with the judge, e2fsck, fsck.vfat and the reader.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use ext4_layout::Layout;
use ext4_ondisk::inode::computed_checksum;
use ext4_ondisk::{Inode, read_padded};
use ext4_verify::{Findings, Severity, Unused};
use fat_layout::{Bits, FatError, FatLayout};
use image_assembly::Writer;
use image_reader::{FileSystem, Image, Overview};
use image_stamp::{Fill, Stamp, StampError, find, slots};
use image_tree::{
    FileTree, Metadata, Name, Permissions, PieceSource, SectorSize, Timestamp, TreeContents, TreeWriter,
    Xattr, XattrName,
};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// A tree with a slot of each length, plain files around them, and some slots in a directory. `attribute` bytes of another
/// attribute decide whether the mark is in the inode or in a block.
fn tree(rooms: &[u64], attribute: usize) -> FileTree {
    let plain = Metadata::root_owned(Permissions::from_mode(0o644), Timestamp::STORE);
    let directory = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let mut marked = plain.clone();
    if attribute > 0 {
        let name = XattrName::parse(b"user.other").unwrap();
        marked.xattrs.push(Xattr { name, value: vec![b'x'; attribute] });
    }
    let mut writer = TreeWriter::new(directory.clone(), Vec::new());
    let (plain, directory) = (writer.metadata(&plain), writer.metadata(&directory));
    let (above, below) = rooms.split_at(rooms.len() / 2);
    writer.begin_directory(Name::new(b"dir").unwrap(), directory).unwrap();
    for (number, &room) in below.iter().enumerate() {
        writer
            .slot(Name::new(format!("a long name {number:03}").as_bytes()).unwrap(), &marked, room)
            .unwrap();
    }
    writer.end_directory();
    writer.begin_directory(Name::new(b"lost+found").unwrap(), directory).unwrap();
    writer.end_directory();
    for number in 0..above.len() {
        let source = writer.inline(vec![b'p'; 5000]);
        writer.file(Name::new(format!("p{number:03}").as_bytes()).unwrap(), plain, 5000, source).unwrap();
    }
    for (number, &room) in above.iter().enumerate() {
        writer.slot(Name::new(format!("s{number:03}").as_bytes()).unwrap(), &marked, room).unwrap();
    }
    writer.finish()
}

fn paths(count: usize) -> Vec<String> {
    let above = (0..count / 2).map(|number| format!("/s{number:03}"));
    let below = (0..count - count / 2).map(|number| format!("/dir/a long name {number:03}"));
    above.chain(below).collect()
}

fn image_of(source: &dyn PieceSource, tree: &FileTree) -> Vec<u8> {
    let mut image = Vec::new();
    Writer::new(source, &TreeContents::new(tree)).write_to(&mut image).unwrap();
    image
}

fn ext4(rooms: &[u64], attribute: usize) -> (Vec<u8>, Vec<std::ops::Range<u64>>) {
    let tree = tree(rooms, attribute);
    let layout = Layout::plan(&tree, &ext4_layout::Options::default()).unwrap();
    (image_of(&layout, &tree), layout.stampable())
}

fn fat(rooms: &[u64], bits: Bits, sector: SectorSize) -> (Vec<u8>, Vec<std::ops::Range<u64>>) {
    let tree = tree(rooms, 0);
    let label = *b"FIRMWARE   ";
    let options = fat_layout::Options { bytes: 0, free_space: 0, label, id: 7, bits: Some(bits), sector };
    let bytes = FatLayout::smallest(&tree, &options).unwrap();
    let layout = FatLayout::plan(&tree, &fat_layout::Options { bytes, ..options }).unwrap();
    (image_of(&layout, &tree), layout.stampable())
}

/// An image in a file.
struct Disk {
    file: tempfile::NamedTempFile,
}

impl Disk {
    fn new(bytes: &[u8]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all_at(bytes, 0).unwrap();
        Self { file }
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file.path()).unwrap()
    }

    fn with<T>(&self, look: impl FnOnce(&FileSystem) -> T) -> T {
        let image = Image::uncompressed(File::open(self.file.path()).unwrap()).unwrap();
        let overview = Overview::read(&image).unwrap();
        look(overview.choose(None).unwrap().0.file_system().unwrap())
    }

    fn plan(&self, fills: &[(&str, &[u8])]) -> Result<Stamp, StampError> {
        self.with(|fs| {
            let found: Vec<_> = fills.iter().map(|(path, _)| find(fs, path.as_bytes()).unwrap()).collect();
            let fills: Vec<_> =
                found.iter().zip(fills).map(|(slot, (_, contents))| Fill { slot, contents }).collect();
            Stamp::plan(fs, &fills)
        })
    }

    fn stamp(&self, fills: &[(&str, &[u8])]) {
        self.plan(fills).unwrap().apply(self.file.as_file(), 0, false).unwrap();
    }

    /// Number of free clusters of a FAT file system; fails if they are not zeros, or if the tables differ.
    fn free_clusters(&self) -> usize {
        let bytes = self.bytes();
        self.with(|fs| {
            let FileSystem::Fat(fat) = fs else { panic!("not FAT") };
            let places = fat.places();
            let to = |number: u64| usize::try_from(number).unwrap();
            let tables: Vec<_> =
                places.tables.iter().map(|at| &bytes[to(*at)..][..to(places.table_bytes)]).collect();
            assert!(tables.iter().all(|table| *table == tables[0]), "the tables differ");
            let entries = tables[0].chunks(if fat.bits() == 16 { 2 } else { 4 }).skip(2);
            let clusters = bytes[to(places.data)..].chunks(to(places.cluster));
            let all = entries.zip(clusters).take(to(places.clusters)).enumerate();
            let free = all.filter(|(_, (entry, _))| entry.iter().all(|byte| *byte == 0));
            free.inspect(|(number, (_, bytes))| {
                assert!(bytes.iter().all(|byte| *byte == 0), "free cluster {number} is not zeros");
            })
            .count()
        })
    }

    fn read(&self, path: &str) -> Vec<u8> {
        self.with(|fs| {
            let mut bytes = Vec::new();
            fs.copy(
                &image_reader::find(fs, path.as_bytes(), image_reader::Links::Keep).unwrap().node,
                &mut bytes,
            )
            .unwrap()
            .unwrap();
            bytes
        })
    }
}

fn judge(image: &[u8]) -> Findings {
    ext4_verify::check(&image.to_vec(), Unused::Zeros).unwrap()
}

fn fsck(program: &str, path: &Path) {
    let search = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let flags = if program == "e2fsck" { "-fn" } else { "-n" };
    let run = Command::new(program).arg(flags).arg(path).env("PATH", search).output();
    let run = run.unwrap_or_else(|error| panic!("{program}: {error}; install what has it"));
    let text = String::from_utf8_lossy(&run.stdout);
    let lines: Vec<&str> = text.lines().collect();
    // e2fsck prints its five passes and a summary, fsck.vfat its version and a summary.
    let expected = if program == "e2fsck" { 6 } else { 2 };
    assert!(run.status.success() && lines.len() == expected, "{text}");
}

/// Fails if bytes differ that a stamp must not change.
fn differs_only(base: &[u8], now: &[u8], stampable: &[std::ops::Range<u64>]) {
    assert_eq!(base.len(), now.len());
    let mut at = 0;
    for range in stampable.iter().chain([&(u64::try_from(base.len()).unwrap()..u64::MAX)]) {
        let start = usize::try_from(range.start).unwrap();
        assert!(base[at..start] == now[at..start], "between {at} and {start}");
        at = usize::try_from(range.end).unwrap_or(start).max(at);
    }
}

/// What a slot gets: a share of its room in 1/8, and the byte in it.
type Round = Vec<(usize, u64, u8)>;

fn rounds() -> impl Strategy<Value = (Vec<u64>, Vec<Round>)> {
    let room = prop_oneof![1..9_u64, 4090..4100_u64, 1..70_000_u64];
    // Few different bytes, so that the disk often has what is written elsewhere.
    let fill = (0..64_usize, prop_oneof![Just(0), 0..9_u64, Just(8)], prop_oneof![Just(1), 2..=255_u8]);
    (prop::collection::vec(room, 1..9), prop::collection::vec(prop::collection::vec(fill, 0..9), 1..6))
}

fn run_rounds(disk: &Disk, rooms: &[u64], rounds: &[Round], mut check: impl FnMut(&Disk)) {
    let paths = paths(rooms.len());
    // Slots above have the first rooms.
    let mut held: Vec<Vec<u8>> = vec![Vec::new(); rooms.len()];
    check(disk);
    for round in rounds {
        let mut fills: Vec<(usize, Vec<u8>)> = Vec::new();
        for &(slot, share, byte) in round {
            let slot = slot % rooms.len();
            if fills.iter().all(|(other, _)| *other != slot) {
                let length = usize::try_from(rooms[slot] * share / 8).unwrap();
                fills.push((slot, vec![byte; length]));
            }
        }
        let named: Vec<_> = fills.iter().map(|(slot, bytes)| (&*paths[*slot], &**bytes)).collect();
        disk.stamp(&named);
        // Once more changes nothing.
        assert_eq!(disk.plan(&named).unwrap(), Stamp::default());
        for (slot, bytes) in &fills {
            held[*slot].clone_from(bytes);
        }
        for (path, bytes) in paths.iter().zip(&held) {
            assert!(disk.read(path) == *bytes, "{path}");
        }
        let found = disk.with(slots).unwrap();
        let mut expected: Vec<_> = paths.iter().zip(rooms).zip(&held).collect();
        expected.sort();
        assert_eq!(found.len(), expected.len());
        for (slot, ((path, room), bytes)) in found.iter().zip(expected) {
            let length = u64::try_from(bytes.len()).unwrap();
            assert_eq!((&*slot.path, slot.room, slot.used()), (path.as_bytes(), *room, length));
        }
        check(disk);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ext4_is_whole_after_any_stamps((rooms, rounds) in rounds(), attribute in prop_oneof![Just(0), Just(70_usize)]) {
        let (base, stampable) = ext4(&rooms, attribute);
        let disk = Disk::new(&base);
        run_rounds(&disk, &rooms, &rounds, |disk| {
            let now = disk.bytes();
            assert_eq!(judge(&now).problems, []);
            differs_only(&base, &now, &stampable);
            fsck("e2fsck", disk.file.path());
        });
    }

    #[test]
    fn fat_is_whole_after_any_stamps((rooms, rounds) in rounds(), fat32 in any::<bool>(), long in any::<bool>()) {
        let bits = if fat32 && !long { Bits::Fat32 } else { Bits::Fat16 };
        let sector = if long { SectorSize::Bytes4096 } else { SectorSize::Bytes512 };
        let (base, stampable) = fat(&rooms, bits, sector);
        let disk = Disk::new(&base);
        run_rounds(&disk, &rooms, &rounds, |disk| {
            differs_only(&base, &disk.bytes(), &stampable);
            fsck("fsck.vfat", disk.file.path());
            disk.free_clusters();
        });
    }
}

/// All images that a crash during a stamp can leave: some writes of a step may be stored in any order, but no later step.
fn crashes(base: &[u8], stamp: &Stamp, mut check: impl FnMut(Vec<u8>)) {
    let mut stored = base.to_vec();
    let put = |image: &mut Vec<u8>, write: &image_stamp::Write| {
        let at = usize::try_from(write.offset).unwrap();
        image[at..at + write.bytes.len()].copy_from_slice(&write.bytes);
    };
    for step in &stamp.steps {
        for reversed in [false, true] {
            let mut image = stored.clone();
            let mut writes: Vec<_> = step.iter().collect();
            if reversed {
                writes.reverse();
            }
            for write in writes {
                put(&mut image, write);
                check(image.clone());
            }
        }
        for write in step {
            put(&mut stored, write);
        }
    }
}

fn named<'a>(paths: &'a [String], held: &'a [Vec<u8>]) -> Vec<(&'a str, &'a [u8])> {
    paths.iter().zip(held).map(|(path, bytes)| (&**path, &**bytes)).collect()
}

#[test]
fn a_crash_leaves_the_old_contents_none_or_the_new() {
    let rooms = [9000, 4096, 100, 20_000];
    let paths = paths(rooms.len());
    let cases =
        [(ext4(&rooms, 0).0, "e2fsck"), (fat(&rooms, Bits::Fat16, SectorSize::Bytes512).0, "fsck.vfat")];
    for (base, program) in cases {
        let disk = Disk::new(&base);
        let old: Vec<Vec<u8>> = vec![vec![b'o'; 8999], vec![b'o'; 4096], Vec::new(), vec![b'o'; 20]];
        let new: Vec<Vec<u8>> = vec![vec![b'n'; 10], Vec::new(), vec![b'n'; 100], vec![b'n'; 20_000]];
        disk.stamp(&named(&paths, &old));
        let before = disk.bytes();
        let mut seen = 0;
        let stamp = disk.plan(&named(&paths, &new)).unwrap();
        assert_eq!(stamp.steps.len(), if program == "e2fsck" { 3 } else { 5 });
        let whole = Disk::new(&before);
        whole.stamp(&named(&paths, &new));
        crashes(&before, &stamp, |image| {
            if program == "e2fsck" {
                let findings = judge(&image);
                assert_eq!(findings.count(Severity::Unsound), 0, "{:?}", findings.problems);
            }
            let crashed = Disk::new(&image);
            for ((path, old), new) in paths.iter().zip(&old).zip(&new) {
                let found = crashed.read(path);
                assert!(found == *old || found == *new || found.is_empty(), "{path}");
            }
            // The same stamp, again, completes it.
            crashed.stamp(&named(&paths, &new));
            for (path, new) in paths.iter().zip(&new) {
                assert!(crashed.read(path) == *new, "{path}");
            }
            fsck(program, crashed.file.path());
            if program == "e2fsck" {
                assert_eq!(judge(&crashed.bytes()).problems, []);
            } else {
                assert_eq!(crashed.free_clusters(), whole.free_clusters());
            }
            assert!(!crashed.bytes().windows(10).any(|bytes| bytes == [b'o'; 10]), "old contents are left");
            // Other contents, after the crash, leave nothing of the new ones.
            let empty = Disk::new(&image);
            empty.stamp(&named(&paths, &vec![Vec::new(); paths.len()]));
            assert!(empty.bytes() == base, "an interrupted stamp leaves something");
            seen += 1;
        });
        assert!(seen > 10, "{seen}");
    }
}

/// A slot takes clusters that another one frees, and that have the right bytes already.
#[test]
fn contents_may_move_from_a_slot_to_another() {
    for bits in [Bits::Fat16, Bits::Fat32] {
        let rooms = [5000, 9000];
        let paths = paths(rooms.len());
        let (one, other) = (&*paths[0], &*paths[1]);
        let disk = Disk::new(&fat(&rooms, bits, SectorSize::Bytes512).0);
        let contents = [b'B'; 5000];
        disk.stamp(&[(one, &contents)]);
        disk.stamp(&[(one, b""), (other, &contents)]);
        assert!(disk.read(other) == contents && disk.read(one).is_empty());
        disk.stamp(&[(other, &[b'B'; 600]), (one, &contents)]);
        assert!(disk.read(other) == [b'B'; 600] && disk.read(one) == contents);
        fsck("fsck.vfat", disk.file.path());
        disk.free_clusters();
    }
}

/// If the file system is full, a stamp succeeds although an earlier one was interrupted.
#[test]
fn an_interrupted_stamp_takes_no_room() {
    let room = 2 << 20;
    let disk = Disk::new(&fat(&[room], Bits::Fat16, SectorSize::Bytes512).0);
    let [old, new] = [b'o', b'n'].map(|byte| vec![byte; usize::try_from(room).unwrap()]);
    let base = disk.bytes();
    for filled in [false, true] {
        if filled {
            disk.stamp(&[("/dir/a long name 000", &old)]);
        }
        let before = disk.bytes();
        let stamp = disk.plan(&[("/dir/a long name 000", &new)]).unwrap();
        for steps in 0..=stamp.steps.len() {
            disk.file.as_file().write_all_at(&before, 0).unwrap();
            let interrupted = Stamp { steps: stamp.steps[..steps].to_vec() };
            interrupted.apply(disk.file.as_file(), 0, false).unwrap();
            disk.stamp(&[("/dir/a long name 000", b"short")]);
            fsck("fsck.vfat", disk.file.path());
            assert!(!disk.bytes().windows(20).any(|bytes| bytes == [b'o'; 20] || bytes == [b'n'; 20]));
            disk.stamp(&[("/dir/a long name 000", &old)]);
            disk.stamp(&[("/dir/a long name 000", b"")]);
            assert!(disk.bytes() == base);
        }
    }
}

#[test]
fn what_can_not_be_stamped_is_refused() {
    let (base, _) = ext4(&[100, 200], 0);
    let disk = Disk::new(&base);
    let error = |fills: &[(&str, &[u8])]| disk.plan(fills).unwrap_err().to_string();
    assert_eq!(
        error(&[("/s000", &[1; 101])]),
        "/s000: the contents have 101 bytes, but the slot has 100; shorten them, or build the image with a larger slot"
    );
    let plain = disk.with(|fs| find(fs, b"/p000").unwrap_err().to_string());
    assert!(plain.starts_with("/p000: is not a slot; "), "{plain}");
    assert!(disk.with(|fs| matches!(find(fs, b"/dir"), Err(StampError::NotASlot { .. }))));
    // The flag of a journal that needs recovery: INCOMPAT_RECOVER of `s_feature_incompat`.
    let is_unclean = |base: &[u8], at: usize, change: fn(u8) -> u8| {
        let mut image = base.to_vec();
        image[at] = change(image[at]);
        assert!(matches!(Disk::new(&image).plan(&[("/s000", b"x")]), Err(StampError::Unclean)), "{at}");
    };
    is_unclean(&base, 1024 + 0x60, |byte| byte | 4);
    // Mounted without a journal: EXT2_VALID_FS of `s_state`.
    is_unclean(&base, 1024 + 0x3a, |byte| byte & !1);
    for (bits, state) in [(Bits::Fat16, 37), (Bits::Fat32, 65)] {
        let (base, _) = fat(&[100, 200], bits, SectorSize::Bytes512);
        is_unclean(&base, state, |byte| byte | 1);
        let table = 512 * usize::from(u16::from_le_bytes([base[14], base[15]]));
        // The upper bit of the second entry.
        let (at, bit) = if bits == Bits::Fat16 { (table + 3, 0x80) } else { (table + 7, 8) };
        is_unclean(&base, at, if bit == 8 { |byte| byte & !8 } else { |byte| byte & !0x80 });
    }
    // `BPB_ExtFlags`.
    let (mut image, _) = fat(&[100, 200], Bits::Fat32, SectorSize::Bytes512);
    image[40] |= 0x80;
    assert!(matches!(Disk::new(&image).plan(&[("/s000", b"x")]), Err(StampError::NotMirrored)));
}

/// Linux may have made another name of a slot, which a command may not give other contents.
#[test]
fn two_names_of_a_file_are_given_twice() {
    let (base, _) = ext4(&[100, 200], 0);
    let disk = Disk::new(&base);
    disk.with(|fs| {
        let slot = find(fs, b"/s000").unwrap();
        let mut other = slot.clone();
        other.path = b"/other".to_vec();
        let fills = [Fill { slot: &slot, contents: b"a" }, Fill { slot: &other, contents: b"b" }];
        let error = Stamp::plan(fs, &fills).unwrap_err().to_string();
        assert_eq!(error, "/other: is given twice: /s000 is the same file; name each slot once");
    });
}

/// Ten directories with `count` slots each, and a line of 208 bytes for each slot.
fn many_slots(count: usize) -> FileTree {
    let directory = Metadata::root_owned(Permissions::DIRECTORY, Timestamp::STORE);
    let marked = Metadata::root_owned(Permissions::from_mode(0o644), Timestamp::STORE);
    let mut writer = TreeWriter::new(directory.clone(), Vec::new());
    let directory = writer.metadata(&directory);
    for above in 0..10 {
        writer.begin_directory(Name::new(format!("d{above:02}").as_bytes()).unwrap(), directory).unwrap();
        for number in 0..count {
            let name = format!("{number:0200}");
            writer.slot(Name::new(name.as_bytes()).unwrap(), &marked, 1).unwrap();
        }
        writer.end_directory();
    }
    writer.finish()
}

/// All slots that an image can have are found, and no image has more.
#[test]
fn a_list_of_slots_has_a_limit() {
    let options = fat_layout::Options {
        bytes: 0,
        free_space: 0,
        label: fat_layout::NO_LABEL,
        id: 7,
        bits: Some(Bits::Fat16),
        sector: SectorSize::Bytes512,
    };
    let tree = many_slots(504);
    let bytes = FatLayout::smallest(&tree, &options).unwrap();
    let layout = FatLayout::plan(&tree, &fat_layout::Options { bytes, ..options }).unwrap();
    let disk = Disk::new(&image_of(&layout, &tree));
    assert_eq!(disk.with(slots).unwrap().len(), 5040);
    let last = format!("/D09/{:0200}", 503);
    disk.stamp(&[(&last, b"x")]);
    assert_eq!(disk.read(&last), b"x");
    let wrong = FatError::SlotList { bytes: 15 + 5050 * 208 };
    assert_eq!(FatLayout::smallest(&many_slots(505), &options).unwrap_err(), wrong);
    let error = FatLayout::plan(&many_slots(505), &fat_layout::Options { bytes, ..options }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the list of slots has 1050415 bytes, but at most 1048576 are possible; make fewer slots, or shorten their paths"
    );
}

#[test]
fn damage_of_a_slot_is_an_error_and_no_panic() {
    let (base, stampable) = ext4(&[9000, 200], 0);
    let disk = Disk::new(&base);
    for at in stampable[0].start..stampable[0].end {
        let byte = base[usize::try_from(at).unwrap()];
        for bit in 0..8 {
            disk.file.as_file().write_all_at(&[byte ^ (1 << bit)], at).unwrap();
            // The checksum of the inode reveals the damage.
            assert!(disk.with(|fs| find(fs, b"/dir/a long name 000")).is_err(), "byte {at}, bit {bit}");
        }
        disk.file.as_file().write_all_at(&[byte], at).unwrap();
    }
    assert!(disk.with(|fs| find(fs, b"/dir/a long name 000")).is_ok());
}

/// Changes the inode of a slot, with a right checksum, and gives the codes of the judge.
fn codes_after(change: impl FnOnce(&mut [u8])) -> Vec<&'static str> {
    let disk = Disk::new(&ext4(&[9000, 200], 0).0);
    disk.stamp(&[("/s000", &[b'x'; 5000])]);
    let mut raw = disk.with(|fs| {
        let FileSystem::Ext4(ext4) = fs else { panic!("not ext4") };
        let found = image_reader::find(fs, b"/s000", image_reader::Links::Keep).unwrap();
        ext4.raw_inode(&found.node).unwrap()
    });
    change(&mut raw.bytes);
    let mut inode: Inode = read_padded(&raw.bytes);
    inode.set_checksum(computed_checksum(raw.seed.unwrap(), raw.number, inode.as_bytes()));
    disk.file.as_file().write_all_at(inode.as_bytes(), raw.offset).unwrap();
    judge(&disk.bytes()).counts.keys().map(|code| code.name()).collect()
}

#[test]
fn the_judge_finds_what_is_wrong_with_a_slot() {
    // `i_size_lo`, `ee_len` of the first and second extent, the first byte of the mark's value.
    let (size, first, second) = (4, 0x38, 0x44);
    assert_eq!(codes_after(|_| {}), Vec::<&str>::new());
    assert_eq!(codes_after(|inode| inode[size + 1] = 0), ["extent-past-end", "slot-shape"]);
    assert_eq!(codes_after(|inode| inode[size + 1] += 0x10), ["slot-shape"]);
    assert_eq!(codes_after(|inode| inode[second + 1] = 0), ["extent-past-end", "extent-split", "slot-shape"]);
    assert_eq!(codes_after(|inode| inode[first + 1] = 0x80), ["extent-split", "slot-shape"]);
    let value = |inode: &[u8]| inode.windows(4).rposition(|bytes| bytes == b"9000").unwrap();
    assert_eq!(codes_after(|inode| inode[value(inode)] = b'4'), ["slot-shape"]);
    assert_eq!(codes_after(|inode| inode[value(inode)] = b'x'), ["slot-shape"]);
    // A slot without its mark is a file with reserved space.
    assert_eq!(
        codes_after(|inode| {
            let name = inode.windows(4).rposition(|bytes| bytes == b"slot").unwrap();
            inode[name] = b'S';
        }),
        ["extent-reserved", "extent-unwritten"]
    );
}

#[test]
fn the_judge_finds_what_an_older_stamp_left() {
    let (base, stampable) = ext4(&[9000, 200], 0);
    let disk = Disk::new(&base);
    disk.stamp(&[("/s000", &[b'x'; 5000])]);
    let codes = |at: u64| {
        let disk = Disk::new(&disk.bytes());
        disk.file.as_file().write_all_at(b"y", at).unwrap();
        judge(&disk.bytes()).counts.keys().map(|code| code.name()).collect::<Vec<_>>()
    };
    let blocks = stampable.iter().find(|range| range.end - range.start == 3 * 4096).unwrap();
    assert_eq!(codes(blocks.start + 4999), Vec::<&str>::new());
    assert_eq!(codes(blocks.start + 5000), ["slack-not-zero"]);
    assert_eq!(codes(blocks.start + 8192), ["slot-not-zero"]);
}
