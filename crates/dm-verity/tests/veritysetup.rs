//! The trees are those of `veritysetup format`, byte by byte, and `veritysetup verify` accepts them.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::path::Path;
use std::process::Command;

use data_encoding::HEXLOWER;
use dm_verity::{BLOCK, Geometry, Parameters, RootHash, Superblock, TreeHasher};

/// A generator of numbers that is the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Blocks of data, some of them zero.
    fn data(&mut self, blocks: u64) -> Vec<u8> {
        let mut data = vec![0; usize::try_from(blocks * BLOCK).unwrap()];
        for block in data.chunks_mut(4096) {
            if self.below(4) > 0 {
                block.chunks_mut(8).for_each(|to| to.copy_from_slice(&self.next().to_le_bytes()));
            }
        }
        data
    }
}

fn veritysetup(arguments: &[&str], files: &[&Path]) -> String {
    let output = Command::new("veritysetup")
        .args(arguments)
        .args(files)
        .output()
        .expect("veritysetup is missing: install cryptsetup-bin");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A tree of data that came in random parts.
fn tree(data: &[u8], parameters: &Parameters, numbers: &mut Numbers) -> dm_verity::HashTree {
    let hasher = TreeHasher::new(parameters.clone(), u64::try_from(data.len()).unwrap()).unwrap();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let len = usize::try_from(1 + numbers.below(300_000)).unwrap().min(data.len() - at);
        parts.push((at, &data[at..at + len]));
        at += len;
    }
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (hasher, parts) = (&hasher, &parts);
            scope.spawn(move || {
                for &(at, part) in parts.iter().skip(thread).step_by(3) {
                    let at = u64::try_from(at).unwrap();
                    if part.iter().all(|byte| *byte == 0) {
                        hasher.zeros(at, u64::try_from(part.len()).unwrap());
                    } else {
                        hasher.bytes(at, part);
                    }
                }
            });
        }
    });
    hasher.finish().unwrap()
}

/// Compares one tree with the one of veritysetup.
fn compare(blocks: u64, salt_len: usize, numbers: &mut Numbers) {
    let folder = tempfile::tempdir().unwrap();
    let [data_file, ours, theirs] = ["data", "ours", "theirs"].map(|name| folder.path().join(name));
    let data = numbers.data(blocks);
    let salt = numbers.bytes(salt_len);
    let uuid: [u8; 16] = numbers.bytes(16).try_into().unwrap();
    let parameters = Parameters::new(uuid, salt.clone()).unwrap();
    let tree = tree(&data, &parameters, numbers);
    std::fs::write(&data_file, &data).unwrap();
    std::fs::write(&ours, tree.bytes()).unwrap();
    let salt = if salt.is_empty() { "-".to_owned() } else { HEXLOWER.encode(&salt) };
    let uuid = image_tree::Uuid(uuid).to_string();
    let printed = veritysetup(&["format", "--salt", &salt, "--uuid", &uuid], &[&data_file, &theirs]);
    let root = printed.lines().find_map(|line| line.strip_prefix("Root hash:")).unwrap().trim();
    assert_eq!(Some(tree.root()), RootHash::parse(root), "{blocks} blocks, salt {salt}");
    let mut expected = std::fs::read(&theirs).unwrap();
    // Without levels, veritysetup leaves out the rest of the superblock's block.
    expected.resize(tree.bytes().len(), 0);
    assert!(tree.bytes() == expected, "{blocks} blocks, salt {salt}");
    assert_eq!(Superblock::parse(&expected), Some(Ok(Superblock { parameters, data_blocks: blocks })));
    let top = tree.bytes().get(4096..8192).unwrap_or(&data);
    let superblock = Superblock::parse(&expected).unwrap().unwrap();
    assert_eq!(superblock.root_hash(top.first_chunk().unwrap()), tree.root());
    assert_eq!(
        Geometry::new(blocks * BLOCK).unwrap().hash_device_len(),
        u64::try_from(expected.len()).unwrap()
    );
    let output = Command::new("veritysetup").arg("verify").args([&data_file, &ours]).arg(root).output();
    assert!(output.unwrap().status.success(), "{blocks} blocks, salt {salt}");
}

#[test]
fn trees_are_those_of_veritysetup() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for blocks in [1, 2, 127, 128, 129, 255, 256, 257] {
        for salt_len in [0, 1, 32, 64, 256] {
            compare(blocks, salt_len, &mut numbers);
        }
    }
    for _ in 0..200 {
        let (blocks, salt_len) = (1 + numbers.below(400), usize::try_from(numbers.below(257)).unwrap());
        compare(blocks, salt_len, &mut numbers);
    }
}

#[test]
fn trees_of_three_levels_are_those_of_veritysetup() {
    let mut numbers = Numbers(77);
    for blocks in [128 * 128 - 1, 128 * 128, 128 * 128 + 1] {
        compare(blocks, 32, &mut numbers);
    }
}
