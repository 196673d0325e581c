//! What holds for every inode: checksum, fields without use, times, the count of blocks. Kernel documentation, "Index
//! Nodes".

use crate::checksum;
use crate::codes::Code;
use crate::context::InodeContext;
use crate::numbers::{is_zero, le16, le32, part};

/// Whether the checksum is right; that of reserved inodes without later fields has 16 bits.
pub(crate) fn checksum(cx: &mut InodeContext<'_>) {
    let inode = cx.inode;
    let (found, computed) = checksum::of_inode(inode.seed, &inode.raw);
    if found != computed {
        let text = format!("checksum is {found:#010x}, should be {computed:#010x}");
        cx.problem(Code::InodeChecksum, text);
    }
}

/// What holds for every inode in use.
pub(crate) fn fields(cx: &mut InodeContext<'_>) {
    checksum(cx);
    let raw = &cx.inode.raw;
    if le16(raw, 0x80) != 32 {
        let text = format!("i_extra_isize is {}, should be 32", le16(raw, 0x80));
        cx.problem(Code::InodeExtraSize, text);
    }
    let unused = [(0x70, 4, "i_obso_faddr"), (0x7e, 2, "i_reserved"), (0x9c, 4, "i_projid")];
    for (at, len, name) in unused {
        if !is_zero(part(raw, at, len)) {
            cx.problem(Code::InodeUnusedField, format!("{name} is not zero"));
        }
    }
    if le32(raw, 0x14) != 0 {
        let text = format!("i_dtime is {}, but the inode is in use", le32(raw, 0x14));
        cx.problem(Code::InodeDeleted, text);
    }
    if le32(raw, 0x64) != 0 {
        cx.problem(Code::InodeGeneration, format!("i_generation is {}", le32(raw, 0x64)));
    }
    if le32(raw, 0x24) != 0 || le32(raw, 0x98) != 0 {
        cx.problem(Code::InodeVersion, "i_version is not 0");
    }
    times(cx);
}

/// Times: access, change, modification, creation, each with its nanoseconds and later seconds.
fn times(cx: &mut InodeContext<'_>) {
    let fields =
        [(0x08, 0x8c, "i_atime"), (0x0c, 0x84, "i_ctime"), (0x10, 0x88, "i_mtime"), (0x90, 0x94, "i_crtime")];
    let times = fields.map(|(low, extra, _)| (le32(&cx.inode.raw, low), le32(&cx.inode.raw, extra)));
    for ((_, extra), (_, _, name)) in times.into_iter().zip(fields) {
        if extra >> 2 > 999_999_999 {
            let text = format!("{name} has {} nanoseconds", extra >> 2);
            cx.problem(Code::InodeTime, text);
        }
    }
    if times.iter().any(|time| *time != times[2]) {
        cx.problem(Code::InodeTimes, "its four times are not the same");
    }
}

/// Whether the blocks are as counted: contents, extent tree and attributes together.
pub(crate) fn blocks(cx: &mut InodeContext<'_>, blocks: u64) {
    let sectors = blocks.saturating_mul(8);
    if cx.inode.sectors != sectors {
        let text = format!("i_blocks is {}, should be {sectors}", cx.inode.sectors);
        cx.problem(Code::InodeBlocks, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    /// An inode with all later fields.
    fn inode() -> Sample {
        Sample::new(0o100_644, 0, &[]).with(0x80, &[32, 0])
    }

    fn codes(sample: &Sample) -> Vec<&'static str> {
        sample.check(fields).1
    }

    #[test]
    fn fields_have_their_value_in_every_byte() {
        assert_eq!(codes(&inode()), [""; 0]);
        for (range, expected) in [
            (0x14..0x18, "inode-deleted"),
            (0x24..0x28, "inode-version"),
            (0x64..0x68, "inode-generation"),
            (0x70..0x74, "inode-unused-field"),
            (0x7c..0x7e, "inode-checksum"),
            (0x7e..0x80, "inode-unused-field"),
            (0x80..0x82, "inode-extra-size"),
            (0x82..0x84, "inode-checksum"),
            (0x98..0x9c, "inode-version"),
            (0x9c..0xa0, "inode-unused-field"),
        ] {
            for at in range {
                assert_eq!(codes(&inode().with(at, &[36])), [expected], "{at:#x}");
            }
        }
    }

    /// An inode whose later fields do not exist has half a checksum.
    #[test]
    fn the_high_half_of_a_checksum_needs_four_bytes_of_later_fields() {
        for (size, expected) in [(3, &["inode-extra-size"][..]), (4, &["inode-checksum", "inode-extra-size"])]
        {
            assert_eq!(codes(&inode().with(0x80, &[size]).with(0x82, &[1])), expected, "{size}");
        }
    }

    /// The places of the times, each with that of its nanoseconds.
    const TIMES: [(usize, usize); 4] = [(0x08, 0x8c), (0x0c, 0x84), (0x10, 0x88), (0x90, 0x94)];

    #[test]
    fn the_four_times_are_the_same() {
        let all = |extra: u32| {
            TIMES
                .iter()
                .fold(inode(), |inode, (low, high)| inode.with(*low, &[5]).with(*high, &extra.to_le_bytes()))
        };
        assert_eq!(codes(&all(999_999_999 << 2 | 3)), [""; 0]);
        assert_eq!(codes(&all(1_000_000_000 << 2)), ["inode-time"; 4]);
        for (low, high) in TIMES {
            assert_eq!(codes(&all(0).with(low, &[6])), ["inode-times"], "{low:#x}");
            assert_eq!(codes(&all(0).with(high, &[1])), ["inode-times"], "{high:#x}");
        }
    }

    #[test]
    fn blocks_are_counted_in_units_of_512_bytes() {
        for (sectors, expected) in [(23, &["inode-blocks"][..]), (24, &[]), (25, &["inode-blocks"])] {
            assert_eq!(inode().with(0x1c, &[sectors]).check(|cx| blocks(cx, 3)).1, expected, "{sectors}");
        }
        let ((), findings) = inode().with(0x74, &[1]).findings(|cx| blocks(cx, 3));
        let text = "inode 12: i_blocks is 4294967296, should be 24 (inode-blocks)";
        assert_eq!(findings.problems[0].to_string(), text);
    }
}
