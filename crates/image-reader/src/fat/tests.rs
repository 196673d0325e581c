use super::*;
use std::sync::Arc;

/// The place of the allocation table and its number of bytes, as in all file systems of these tests.
const TABLE_AT: usize = 512;

/// A volume whose table has these entries, and ends of chains elsewhere; entries of 12, 16 or 32 bits.
fn volume(fields: Fields, bits: usize, entries: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = fields.sector();
    bytes.resize(usize::try_from(fields.total).unwrap() * usize::from(fields.sector), 0);
    let table = usize::try_from(fields.table).unwrap() * usize::from(fields.sector);
    bytes[TABLE_AT..TABLE_AT + table].fill(0xff);
    for (cluster, entry) in entries {
        put(&mut bytes[TABLE_AT..], bits, *cluster, *entry);
    }
    bytes
}

fn put(table: &mut [u8], bits: usize, cluster: usize, entry: u32) {
    for bit in 0..bits {
        let at = cluster * bits + bit;
        table[at / 8] = table[at / 8] & !(1 << (at % 8)) | u8::from(entry >> bit & 1 == 1) << (at % 8);
    }
}

fn open(bytes: Vec<u8>) -> Fat {
    Fat::open(Window::whole(Arc::new(bytes))).unwrap()
}

fn file(cluster: u32, size: u64) -> Node {
    let modified = Time::default();
    Fat::node(&FatEntry { directory: false, read_only: false, cluster, size, modified, at: 0 })
}

fn directory(cluster: u32) -> Node {
    let modified = Time::default();
    Fat::node(&FatEntry { directory: true, read_only: false, cluster, size: 0, modified, at: 0 })
}

/// The runs of a file, in clusters: first in the file, number, cluster.
fn runs(fat: &Fat, node: &Node) -> Result<Vec<(u64, u64, u64)>, String> {
    let places = fat.places();
    match fat.contents(node).map_err(|error| error.to_string())? {
        Contents::Inline(_) => panic!("FAT has clusters"),
        Contents::Runs(runs) => Ok(runs
            .into_iter()
            .map(|run| {
                let cluster = (run.from - places.data) / places.cluster + 2;
                (run.at / places.cluster, run.length / places.cluster, cluster)
            })
            .collect()),
    }
}

/// File systems of 1,000, 5,000 and 1,000 clusters of a sector.
fn widths() -> [(usize, Fields); 3] {
    [(12, Fields::clusters(1000)), (16, Fields::clusters(5000)), (32, Fields::clusters_32(1000))]
}

#[test]
fn chains_are_followed_in_tables_of_all_widths() {
    for (bits, mut fields) in widths() {
        if bits == 16 {
            (fields.table, fields.total) = (40, 5042);
        }
        // A page has 512, 384 or 192 entries.
        let chain = [3, 4, 5, 190, 191, 192, 193, 383, 384, 385, 511, 512, 513, 7, 6, 1001];
        let next: Vec<_> = chain.windows(2).map(|pair| (pair[0], u32::try_from(pair[1]).unwrap())).collect();
        let fat = open(volume(fields, bits, &next));
        assert_eq!(fat.bits(), u32::try_from(bits).unwrap());
        let expected =
            [(0, 3, 3), (3, 4, 190), (7, 3, 383), (10, 3, 511), (13, 1, 7), (14, 1, 6), (15, 1, 1001)];
        assert_eq!(runs(&fat, &file(3, 16 * 512)).unwrap(), expected, "{bits}");
        // The end of a file may be within its last cluster.
        assert_eq!(runs(&fat, &file(3, 15 * 512 + 1)).unwrap(), expected, "{bits}");
        // Clusters after the end of a file are ignored.
        assert_eq!(runs(&fat, &file(3, 2 * 512)).unwrap(), [(0, 2, 3)], "{bits}");
        assert_eq!(runs(&fat, &file(0, 0)).unwrap(), []);
    }
}

#[test]
fn large_tables_are_read_where_they_are_needed() {
    let fields = Fields { table: 1200, total: 1201 + 150_100, ..Fields::clusters_32(0) };
    let fat = open(volume(fields, 32, &[(3, 150_000), (150_000, 150_001)]));
    assert_eq!(runs(&fat, &file(3, 3 * 512)).unwrap(), [(0, 1, 3), (1, 2, 150_000)]);
}

#[test]
fn the_number_of_runs_is_limited() {
    let mut fat = open(volume(Fields::clusters(20), 12, &[(2, 3), (3, 5), (5, 6), (6, 8)]));
    fat.max_runs = 2;
    assert_eq!(runs(&fat, &file(2, 4 * 512)).unwrap(), [(0, 2, 2), (2, 2, 5)]);
    let error = runs(&fat, &file(2, 5 * 512)).unwrap_err();
    assert!(error.starts_with("cluster 2: has more than 2 extents"), "{error}");
}

#[test]
fn warnings_are_those_of_the_boot_sector() {
    let mut bytes = volume(Fields::clusters(20), 12, &[]);
    bytes.pop();
    assert_eq!(open(bytes).warnings(), ["the file system has 26624 bytes, but the image only 26623"]);
}

#[test]
fn reserved_bits_of_entries_are_ignored() {
    let fat = open(volume(Fields::clusters_32(20), 32, &[(3, 0x5000_0004), (5, 0xf000_0000)]));
    assert_eq!(runs(&fat, &file(3, 1024)).unwrap(), [(0, 2, 3)]);
    assert_eq!(fat.free(), 512);
}

#[test]
fn chains_must_be_as_long_as_their_file() {
    let ring = &[(3, 4), (4, 3), (5, 0), (6, 1), (7, 1002), (8, 1003)];
    let fat = open(volume(Fields::clusters(1000), 12, ring));
    let error = |node: &Node| runs(&fat, node).unwrap_err();
    assert!(error(&file(9, 513)).starts_with("cluster 9: its cluster chain is shorter than the file"));
    assert!(error(&file(3, 1001 * 512)).starts_with("cluster 3: its cluster chain has no end"));
    assert!(error(&directory(3)).starts_with("cluster 3: its cluster chain has no end"));
    // As many clusters as there are: the same two again and again.
    assert_eq!(runs(&fat, &file(3, 1000 * 512)).unwrap().len(), 500);
    for (first, invalid) in [(0, 0), (1, 1), (5, 0), (6, 1), (8, 1003), (1002, 1002), (u32::MAX, u32::MAX)] {
        let text = format!("cluster {first}: its cluster chain has the invalid cluster {invalid}");
        assert!(error(&file(first, 1024)).starts_with(&text), "{first}");
    }
}

#[test]
fn directories_have_at_most_65536_entries() {
    // Clusters of 64 sectors: 64 of them have 2 MiB.
    let fields = Fields { cluster: 64, total: 32 + 64 * 70, ..Fields::clusters(0) };
    let chain = |length: u32| -> Vec<_> {
        (2..=length).map(|cluster| (usize::try_from(cluster).unwrap(), cluster + 1)).collect()
    };
    let fat = open(volume(fields, 12, &chain(64)));
    assert_eq!(runs(&fat, &directory(2)).unwrap(), [(0, 64, 2)]);
    let fat = open(volume(fields, 12, &chain(65)));
    let error = runs(&fat, &directory(2)).unwrap_err();
    assert!(error.starts_with("cluster 2: the directory has more than 65,536 entries"), "{error}");
    // A file may be longer.
    assert_eq!(runs(&fat, &file(2, 65 * 64 * 512)).unwrap(), [(0, 65, 2)]);
}

#[test]
fn free_space_is_that_of_the_clusters_without_a_file() {
    for (bits, fields) in widths() {
        let fields = if bits == 16 { Fields { table: 40, total: 5042, ..fields } } else { fields };
        let last = if bits == 16 { 5001 } else { 1001 };
        // The first two entries are of no cluster, nor are those after the last one.
        let free = [0, 1, 2, 5, 6, last, last + 1, last + 2];
        let fat = open(volume(fields, bits, &free.map(|cluster| (cluster, 0))));
        assert_eq!(fat.free(), 4 * 512, "{bits}");
        assert_eq!(fat.usage(), Usage { bytes: u64::from(fields.total) * 512, free: 2048, inodes: None });
    }
    // 36 bits are four bytes and a half. What follows them is not the entry of a cluster.
    let fat = open(volume(Fields::clusters(1), 12, &[(2, 0), (3, 0)]));
    assert_eq!(fat.free(), 512);
    let fat = open(volume(Fields::clusters(8), 12, &[(4, 0x100), (5, 0x010), (6, 0x001), (7, 0x800)]));
    assert_eq!(fat.free(), 0);
    // 65,536 entries are more than a part of the table that is read at once.
    let fields = Fields { table: 256, total: 258 + 65_000, ..Fields::clusters(0) };
    let fat = open(volume(fields, 16, &[(2, 0), (49_151, 0), (49_152, 0), (65_001, 0), (65_002, 0)]));
    assert_eq!(fat.free(), 4 * 512);
}

#[test]
fn entries_know_their_place_in_the_volume() {
    let mut bytes = volume(Fields::clusters(20), 12, &[(3, 6), (4, 0xfff)]);
    let mut entry = |at: usize, name: &[u8; 11], attributes: u8, cluster: u8| {
        bytes[at..at + 11].copy_from_slice(name);
        (bytes[at + 0xb], bytes[at + 0x1a]) = (attributes, cluster);
    };
    let (root, data) = (31 * 512, 32 * 512);
    entry(root, b"A LABEL    ", 8, 0);
    entry(root + 32, b"DIR        ", 0x10, 3);
    for number in 0..16 {
        entry(data + 512 + 32 * number, b"\xe5          ", 0, 0);
    }
    entry(data + 4 * 512, b"A          ", 1, 4);
    entry(data + 4 * 512 + 32, b"B          ", 0, 0);
    let fat = open(bytes);
    assert_eq!((fat.label(), fat.id()), (b"A LABEL".to_vec(), 0));
    let root_node = fat.root();
    assert_eq!((fat.entry_offset(&root_node), fat.first_cluster(&root_node)), (None, 0));
    let nodes = |node: &Node| {
        let (entries, errors) = fat.entries(node).unwrap();
        assert!(errors.is_empty());
        let node = |entry: &Entry| match &entry.target {
            Target::Fat(found) => Fat::node(found),
            Target::Inode(_) => panic!("FAT has no inodes"),
        };
        entries.iter().map(node).collect::<Vec<_>>()
    };
    let [directory] = <[Node; 1]>::try_from(nodes(&root_node)).unwrap();
    let place = |node: &Node| (fat.entry_offset(node), fat.first_cluster(node), node.mode);
    assert_eq!(place(&directory), (Some(31 * 512 + 32), 3, 0o755));
    assert!(directory.is_directory());
    // The second cluster of the directory is cluster 6.
    let [a, b] = <[Node; 2]>::try_from(nodes(&directory)).unwrap();
    assert_eq!(place(&a), (Some(36 * 512), 4, 0o555));
    assert_eq!(place(&b), (Some(36 * 512 + 32), 0, 0o755));
    assert_eq!((a.uid, a.gid, a.links, a.inode, a.kind), (0, 0, 1, None, Kind::File));
}

#[test]
fn places_are_those_of_the_boot_sector() {
    let fields = Fields { tables: 2, total: 32 + 30 + 200, cluster: 2, ..Fields::clusters(0) };
    let fat = open(volume(fields, 12, &[]));
    let expected = FatPlaces {
        sector: 512,
        reserved: 512,
        tables: vec![512, 31 * 512],
        table_bytes: 30 * 512,
        data: 62 * 512,
        cluster: 1024,
        clusters: 100,
    };
    assert_eq!(fat.places(), expected);
    assert_eq!((fat.volume().length(), fat.warnings().len()), (262 * 512, 0));
}

#[test]
fn the_label_of_the_boot_sector_is_used_if_the_root_has_none() {
    let mut bytes = volume(Fields::clusters_32(20), 32, &[]);
    bytes[0x43..0x47].copy_from_slice(&[1, 0, 0, 0]);
    bytes[0x47..0x52].copy_from_slice(b"BOOT       ");
    let fat = open(bytes.clone());
    assert_eq!((fat.label(), fat.id()), (b"BOOT".to_vec(), 1));
    assert_eq!(fat.first_cluster(&fat.root()), 2);
    // The root directory of FAT32 is in cluster 2.
    let root = 31 * 512;
    bytes[root..root + 12].copy_from_slice(b"ROOT       \x08");
    assert_eq!(open(bytes).label(), b"ROOT");
}

#[test]
fn volumes_of_an_image_share_a_limit_of_reading() {
    let window = Window::whole(Arc::new(volume(Fields::clusters(10), 12, &[])));
    // The used part of the table, 18 bytes, and a root directory, which is not longer than the volume.
    let cost = 18 + 42 * 512;
    for (left, opened) in [(cost, true), (cost - 1, false)] {
        assert_eq!(Fat::open_counted(window.clone(), &Work::left(left)).is_ok(), opened, "{left}");
    }
    let work = Work::left(2 * cost);
    let opened = [(); 3].map(|()| Fat::open_counted(window.clone(), &work).is_ok());
    assert_eq!(opened, [true, true, false]);
}

#[test]
fn at_most_64_gib_of_tables_are_read() {
    for (length, limit) in [(1 << 30, 16 << 30), (4 << 30, 64 << 30), (8 << 30, 64 << 30)] {
        let work = super::work(length);
        work.spend("tables", limit).unwrap();
        assert!(work.spend("tables", 1).is_err(), "{length}");
    }
}

#[test]
fn steps_along_chains_are_limited() {
    let mut fat = open(volume(Fields::clusters(10), 12, &[(2, 3), (3, 4)]));
    fat.work = Work::left(5 * STEP);
    assert!(fat.contents(&file(2, 3 * 512)).is_ok());
    assert!(matches!(fat.contents(&file(2, 3 * 512)), Err(ReadError::TooMuch { .. })));
}
