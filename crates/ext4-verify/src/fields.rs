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
