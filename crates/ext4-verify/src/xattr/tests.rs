use super::*;
use crate::sample::Sample;

/// An attribute: namespace, name, value.
type Given<'a> = (u8, &'a [u8], &'a [u8]);

/// Entries with their hashes, and values at the end of an area of some bytes, from `from` on.
fn list(from: usize, len: usize, given: &[Given<'_>]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let (mut at, mut end) = (from, len);
    for &(index, name, value) in given {
        end -= value.len().next_multiple_of(4);
        let place = if value.is_empty() { 0 } else { end };
        bytes[at..at + 2].copy_from_slice(&[u8::try_from(name.len()).unwrap(), index]);
        bytes[at + 2..at + 4].copy_from_slice(&u16::try_from(place).unwrap().to_le_bytes());
        bytes[at + 8..at + 12].copy_from_slice(&u32::try_from(value.len()).unwrap().to_le_bytes());
        let entry = Entry { index, name, value, hash: 0 };
        bytes[at + 12..at + 16].copy_from_slice(&hash(&entry, false).to_le_bytes());
        bytes[at + 16..at + 16 + name.len()].copy_from_slice(name);
        bytes[end..end + value.len()].copy_from_slice(value);
        at += 16 + name.len().next_multiple_of(4);
    }
    bytes
}

/// A file with attributes in its inode.
fn inner(given: &[Given<'_>]) -> Vec<u8> {
    [&MAGIC.to_le_bytes()[..], &list(0, 92, given)].concat()
}

/// A block of attributes with one user, and its hash.
fn outer(given: &[Given<'_>]) -> Vec<u8> {
    let mut block = list(32, 4096, given);
    let hashes =
        given.iter().map(|&(index, name, value)| hash(&Entry { index, name, value, hash: 0 }, false));
    let all = hashes.fold(0_u32, |all, hash| all.rotate_left(16) ^ hash);
    for (at, number) in [(0, MAGIC), (4, 1), (8, 1), (12, all)] {
        block[at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    block
}

fn file() -> Sample {
    Sample::new(0o100_640, 0, &[])
}

fn with_inner(bytes: &[u8]) -> Sample {
    file().with(0xa0, bytes)
}

fn with_outer(block: &[u8]) -> Sample {
    file().with(0x68, &500_u32.to_le_bytes()).block(500, block)
}

/// The number of blocks, the attributes as `name=value`, the codes.
fn found(sample: &Sample) -> (u64, Vec<String>, Vec<&'static str>) {
    let ((blocks, attributes), codes) = sample.check(|cx| xattrs(cx).unwrap());
    let text = |bytes: &[u8]| image_tree::escaped(bytes).to_string();
    let shown = attributes.iter().map(|found| format!("{}={}", text(&found.name), text(&found.value)));
    (blocks, shown.collect(), codes)
}

fn codes(sample: &Sample) -> Vec<&'static str> {
    found(sample).2
}

const TWO: [Given<'static>; 2] = [(1, b"a", b"one"), (1, b"bb", b"three")];

#[test]
fn attributes_are_in_the_inode_and_in_a_block() {
    let text = ["user.a=one", "user.bb=three"].map(str::to_owned).to_vec();
    assert_eq!(found(&file()), (0, vec![], vec![]));
    assert_eq!(found(&with_inner(&inner(&TWO))), (0, text.clone(), vec![]));
    assert_eq!(found(&with_outer(&outer(&TWO))), (1, text.clone(), vec![]));
    let both = with_inner(&inner(&TWO[..1])).with(0x68, &500_u32.to_le_bytes()).block(500, &outer(&TWO[1..]));
    assert_eq!(found(&both), (1, text, vec![]));
    // Values may be empty.
    assert_eq!(found(&with_inner(&inner(&[(1, b"a", b"")]))), (0, vec!["user.a=".to_owned()], vec![]));
}

#[test]
fn every_namespace_has_its_number() {
    for (index, shown) in [(1, "user.n="), (4, "trusted.n="), (6, "security.n=")] {
        assert_eq!(found(&with_inner(&inner(&[(index, b"n", b"")]))), (0, vec![shown.to_owned()], vec![]));
    }
    for index in [0, 5, 7, 8] {
        let (_, shown, codes) = found(&with_inner(&inner(&[(index, b"n", b"")])));
        assert_eq!((shown, codes), (vec![], vec!["xattr-name"]), "{index}");
    }
}

#[test]
fn names_are_not_empty_and_have_no_nul_except_those_of_lists_of_access() {
    assert_eq!(codes(&with_inner(&inner(&[(1, b"", b"")]))), ["xattr-name"]);
    assert_eq!(codes(&with_inner(&inner(&[(1, b"a\0b", b"")]))), ["xattr-name"]);
    assert_eq!(codes(&with_inner(&inner(&[(2, b"a", b"")]))), ["xattr-name"]);
}

#[test]
fn lists_of_access_are_shown_as_getxattr_gives_them() {
    // The owner may read and write, the group may read: 0640.
    let entries = [[1, 0, 6, 0], [4, 0, 4, 0], [0x20, 0, 0, 0]].concat();
    let stored = [vec![1, 0, 0, 0], entries].concat();
    for (index, name) in [(2, "system.posix_acl_access"), (3, "system.posix_acl_default")] {
        let sample = with_inner(&inner(&[(index, b"", &stored)]));
        let ((_, attributes), codes) = sample.check(|cx| xattrs(cx).unwrap());
        assert_eq!((attributes.len(), codes), (1, vec![]));
        assert_eq!(attributes[0].name, name.as_bytes());
        assert_eq!(attributes[0].value, acl::as_read(&stored).unwrap());
        assert_eq!(super::tests::codes(&with_inner(&inner(&[(index, b"", b"none")]))), ["xattr-acl"]);
    }
    // Only the list of the file itself has to agree with its mode, and only in the nine bits of permissions.
    for (index, mode, expected) in
        [(2, 0o104_640_u16, &[][..]), (2, 0o100_641, &["xattr-acl-mode"]), (3, 0o100_641, &[])]
    {
        let sample = with_inner(&inner(&[(index, b"", &stored)])).with(0, &mode.to_le_bytes());
        assert_eq!(codes(&sample), expected, "{index} {mode:o}");
    }
}

#[test]
fn attributes_begin_with_their_magic_number() {
    assert_eq!(codes(&with_inner(&[1])), ["xattr-magic"]);
    let mut block = outer(&TWO);
    block[0] = 1;
    assert_eq!(found(&with_outer(&block)), (1, vec![], vec!["xattr-magic"]));
}

#[test]
fn a_list_ends_with_four_zeros_inside_of_its_room() {
    // 16 bytes and a name of 72 leave four.
    assert_eq!(codes(&with_inner(&inner(&[(1, &[b'n'; 72], b"")]))), [""; 0]);
    for length in [73, 76] {
        let mut bytes = inner(&[(1, &[b'n'; 72], b"")]);
        bytes[4] = length;
        assert_eq!(codes(&with_inner(&bytes)), ["xattr-entry"], "{length}");
    }
    let mut bytes = inner(&[(1, &[b'n'; 72], b"")]);
    bytes[92] = 1;
    assert_eq!(codes(&with_inner(&bytes)), ["xattr-entry"]);
}

#[test]
fn values_are_inside_and_do_not_overlap() {
    let value = |at: u16, len: u32, inode: u32| {
        let mut bytes = inner(&[(1, b"a", b"")]);
        bytes[6..8].copy_from_slice(&at.to_le_bytes());
        bytes[8..12].copy_from_slice(&inode.to_le_bytes());
        bytes[12..16].copy_from_slice(&len.to_le_bytes());
        // Without a hash, only the place is looked at.
        bytes[16..20].fill(0);
        codes(&with_inner(&bytes))
    };
    // The entry has 20 bytes, the end of the list 4.
    for (at, len, expected) in [
        (24, 68, &[][..]),
        (24, 69, &["xattr-value"]),
        (23, 1, &["xattr-value"]),
        (0, 1, &["xattr-value"]),
        (92, 0, &[]),
        (92, 1, &["xattr-value"]),
        (24, u32::MAX, &["xattr-value"]),
    ] {
        assert_eq!(value(at, len, 0), expected, "{at} {len}");
    }
    assert_eq!(value(88, 4, 1), ["xattr-value"]);
    // Two values at one place.
    let mut bytes = inner(&[(1, b"a", b"same"), (1, b"b", b"same")]);
    bytes[26..28].copy_from_slice(&88_u16.to_le_bytes());
    bytes[4 + 84..4 + 88].fill(0);
    assert_eq!(codes(&with_inner(&bytes)), ["xattr-value"]);
    // The header of a block is not a value, nor is what is in front of it.
    let mut block = outer(&[(1, b"a", b"")]);
    block[34] = 28;
    block[40] = 4;
    assert_eq!(codes(&with_outer(&block)), ["xattr-value", "xattr-hash"]);
}

#[test]
fn the_rest_of_the_room_is_zero() {
    // Between the end of the list and the values, behind a name, and behind a value.
    for at in [4 + 20 + 4, 4 + 17, 4 + 91] {
        let mut bytes = inner(&[(1, b"a", b"one")]);
        bytes[at] = 1;
        let codes = codes(&with_inner(&bytes));
        assert_eq!(codes, ["xattr-padding"], "{at}");
    }
    for at in [0x14, 0x1f] {
        let mut block = outer(&TWO);
        block[at] = 1;
        assert_eq!(codes(&with_outer(&block)), ["xattr-header"], "{at:#x}");
    }
    let mut block = outer(&TWO);
    block[8] = 2;
    assert_eq!(codes(&with_outer(&block)), ["xattr-header"]);
}

/// By namespace, length and bytes of the name: Linux stops its search at the first that is greater.
#[test]
fn attributes_of_a_block_are_in_order() {
    let (short, long) = ((1, &b"b"[..], &b""[..]), (1, &b"aa"[..], &b""[..]));
    let (next, trusted) = ((1, &b"c"[..], &b""[..]), (4, &b"a"[..], &b""[..]));
    assert_eq!(codes(&with_outer(&outer(&[short, next, long, trusted]))), [""; 0]);
    for pair in [[next, short], [long, short], [trusted, short]] {
        assert_eq!(codes(&with_outer(&outer(&pair))), ["xattr-order"]);
        // In an inode, Linux looks at all of them.
        assert_eq!(codes(&with_inner(&inner(&pair))), [""; 0]);
    }
}

#[test]
fn an_inode_has_an_attribute_once() {
    assert_eq!(codes(&with_inner(&inner(&[TWO[0], TWO[0]]))), ["xattr-duplicate"]);
    let both = with_inner(&inner(&TWO[..1])).with(0x68, &500_u32.to_le_bytes());
    assert_eq!(codes(&both.block(500, &outer(&TWO))), ["xattr-duplicate"]);
}

/// `ext4_xattr_hash_entry`: a rotation by 5 for each character, by 16 for each word of the value.
#[test]
fn hashes_are_over_names_and_values() {
    let entry = |name, value| Entry { index: 1, name, value, hash: 0 };
    assert_eq!(hash(&entry(b"a", b""), false), 0x61);
    assert_eq!(hash(&entry(b"ab", b""), false), 0xc42);
    assert_eq!(hash(&entry(b"a", b"\x01\x02\x03\x04"), false), 0x0462_0201);
    // What is missing of the last word is zero.
    assert_eq!(hash(&entry(b"a", b"\x01"), false), 0x61_0001);
    assert_eq!(hash(&entry(b"\xe4", b""), false), 0xe4);
    assert_eq!(hash(&entry(b"\xe4", b""), true), 0xffff_ffe4);
}

#[test]
fn hashes_are_right_except_that_in_an_inode_they_may_be_missing() {
    let name = &b"\xe4"[..];
    let with_hash = |bytes: &[u8], at: usize, hash: u32| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + 4].copy_from_slice(&hash.to_le_bytes());
        bytes
    };
    for (hash, in_inode, in_block) in [
        // Of unsigned and of signed characters; none; another.
        (0xe4, &[][..], &[][..]),
        (0xffff_ffe4, &[], &[]),
        (0, &[], &["xattr-hash"]),
        (1, &["xattr-hash"], &["xattr-hash"]),
    ] {
        let inner = with_hash(&inner(&[(1, name, b"")]), 4 + 12, hash);
        assert_eq!(codes(&with_inner(&inner)), in_inode, "{hash:#x}");
        let outer = with_hash(&with_hash(&outer(&[(1, name, b"")]), 32 + 12, hash), 12, hash);
        assert_eq!(codes(&with_outer(&outer)), in_block, "{hash:#x}");
    }
    let other = with_hash(&outer(&TWO), 12, 1);
    assert_eq!(codes(&with_outer(&other)), ["xattr-hash"]);
    // One attribute without a hash, and the block has none either.
    let none = with_hash(&with_hash(&outer(&TWO), 32 + 12, 0), 12, 0);
    assert_eq!(codes(&with_outer(&none)), ["xattr-hash"]);
}

#[test]
fn a_block_counts_its_users() {
    let mut block = outer(&TWO);
    for (users, expected) in [(0, &[][..]), (1, &[]), (2, &["xattr-shared"])] {
        block[4] = users;
        assert_eq!(codes(&with_outer(&block)), expected, "{users}");
    }
    // The second user reads the same attributes, and reports nothing again.
    block[4] = 2;
    let ((first, second), codes) = with_outer(&block).check(|cx| (xattrs(cx).unwrap(), xattrs(cx).unwrap()));
    assert_eq!((first.0, first.1, codes), (second.0, second.1, vec!["xattr-shared"]));
    // A block that something else uses.
    let sample = with_outer(&block);
    let (found, codes) = sample.check(|cx| {
        assert!(cx.claim(500, 1, "contents"));
        xattrs(cx).unwrap()
    });
    assert_eq!((found, codes), ((1, vec![]), vec!["block-shared"]));
}
