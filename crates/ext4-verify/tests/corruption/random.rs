//! Random damage to fields, with checksums made right again, checked as an image in use: what e2fsck rejects is unsound.

use ext4_layout::Compatibility;
use ext4_verify::{Unused, check};

use crate::Random;
use crate::image::{BLOCK, Image, Names, middle, narrow, wide};
use crate::linux::{e2fsck, linux, write};

/// How many images are damaged.
const INPUTS: u64 = 500;

/// A place to damage, and whose checksum is made right again.
type Place = (&'static str, u64, u64, fn(&mut Image, u64));

const INODES: [&str; 8] = ["console", "file", "index", "link", "longlink", "sub", "below", "xattr"];

/// The times of a superblock, which e2fsck compares with the clock.
const TIMES: [std::ops::Range<u64>; 4] = [0x2c..0x34, 0x40..0x44, 0x108..0x10c, 0x274..0x278];

/// Damages one place; says which.
fn damage(image: &mut Image, good: &Image, names: &Names, random: &mut Random, is_second: bool) -> String {
    let pick = narrow(random.below(wide(INODES.len())));
    let inode = names.of(INODES[pick]);
    let at = good.inode(inode);
    let index = good.first(names.of("index"));
    let block = good.n(good.inode(names.of("xattr")) + 0x68, 4) * BLOCK;
    let places: [Place; 9] = [
        ("superblock", 1024, 0x3fc, |image, _| image.fix_super(1024)),
        ("descriptor", BLOCK, 64, |image, _| image.fix_desc(0)),
        ("inode", at, 256, Image::fix_inode),
        ("extents", at + 0x28, 60, Image::fix_inode),
        ("index", index, 0x80, |image, inode| {
            let at = image.first(inode);
            image.fix_index(inode, at, 0x20);
        }),
        ("directory", good.first(names.of("sub")), 4092, |image, inode| {
            let at = image.first(inode);
            image.fix_directory(inode, at);
        }),
        ("attributes", block, 4096, |image, at| image.fix_xattrs(at)),
        ("block bitmap", good.bitmap(0, 0), 1024, |image, _| image.fix_block_bitmap(0)),
        ("inode bitmap", good.bitmap(0, 4), 64, |image, _| image.fix_inode_bitmap(0)),
    ];
    // A second damage is one of fields of an inode: those lead nowhere else here.
    let which = if is_second { 2 } else { narrow(random.below(9)) };
    let (name, from, len, fix) = places[which];
    let owner = match name {
        "index" => names.of("index"),
        "directory" => names.of("sub"),
        "attributes" => block,
        _ => inode,
    };
    // Most of a block is padding: most damage is to go where fields are.
    let within = random.below(len);
    let within = if random.below(2) == 0 { within % 64 } else { within };
    let is_time = name == "superblock" && TIMES.iter().any(|times| times.contains(&within));
    let within = if is_time { 0 } else { within };
    let to = from + within.min(len - 1);
    let before = image.get(to, 1)[0];
    let byte = match random.below(4) {
        0 => before ^ (1 << random.below(8)),
        1 => 0xff,
        2 => 0,
        _ => u8::try_from(random.below(256)).unwrap(),
    };
    image.put(to, &[byte]);
    fix(image, owner);
    format!("{name} of inode {inode}, byte {within:#x} from {before:#04x} to {byte:#04x}")
}

#[test]
fn random_damage_that_e2fsck_rejects_is_unsound_in_use_too() {
    assert_unsound(Compatibility::Current, INPUTS);
}

#[test]
fn random_damage_without_checksums_that_e2fsck_rejects_is_unsound_in_use_too() {
    assert_unsound(Compatibility::Legacy, INPUTS / 2);
}

fn assert_unsound(compatibility: Compatibility, usual: u64) {
    let inputs = std::env::var("SNUGFS_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok());
    let (good, names) = middle(compatibility);
    assert!(check(&good, Unused::Zeros).unwrap().is_empty());
    let folder = tempfile::tempdir().unwrap();
    let (path, mount) = (folder.path().join("image"), folder.path().join("mount"));
    std::fs::create_dir(&mount).unwrap();
    let (mut sound, mut wrong) = (0, Vec::new());
    for seed in 0..inputs.unwrap_or(usual) {
        let mut random = Random(seed);
        let mut image = good.clone();
        let mut what = damage(&mut image, &good, &names, &mut random, false);
        // What the places of others are looked up in stays as it is.
        if random.below(3) == 0 && !what.starts_with("superblock") && !what.starts_with("descriptor") {
            what = what + "; " + &damage(&mut image, &good, &names, &mut random, true);
        }
        let findings = check(&image, Unused::Zeros).unwrap();
        if !findings.is_sound()
            || image.data().iter().all(|at| image.get(at * BLOCK, 4096) == good.get(at * BLOCK, 4096))
        {
            continue;
        }
        sound += 1;
        write(&image, &path);
        // Linux sees less than e2fsck, and takes longer.
        let says = e2fsck(&path).or_else(|| if sound % 8 == 0 { linux(&path, &mount) } else { None });
        if let Some(says) = says {
            let names: Vec<_> = findings.counts.keys().map(|code| code.name()).collect();
            wrong.push(format!("{seed}: {what}: sound with {names:?}, but: {says}"));
        }
    }
    println!("{sound} damaged images are sound");
    assert!(sound > 0 && wrong.is_empty(), "{} of {sound}:\n{}", wrong.len(), wrong.join("\n"));
}
