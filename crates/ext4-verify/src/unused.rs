//! Bytes that the file system does not use: free blocks, and what is behind its end.

use crate::claims::Claims;
use crate::codes::Code;
use crate::geometry::{BLOCK, BLOCK_BYTES};
use crate::image::Image;
use crate::problem::{Findings, Place};
use crate::sets::runs;
use crate::source::Unreadable;

/// Checks that free blocks are zero.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "the geometry bounds them: fewer than 2^47 blocks and 2^32 groups and inodes"
)]
pub(crate) fn free_blocks(
    image: &Image<'_>,
    claims: &Claims,
    findings: &mut Findings,
) -> Result<(), Unreadable> {
    for number in 0..image.geometry().groups {
        let range = image.geometry().group(number);
        let free = claims.blocks.page(number).map_or([0xff; BLOCK_BYTES], |page| page.map(|byte| !byte));
        for (from, count) in runs(&free, range.end - range.start) {
            let start = range.start + from;
            if let Some(at) = image.first_not_zero(start * BLOCK, (start + count) * BLOCK)? {
                findings.add(Code::FreeBlockNotZero, Place::Block(at / BLOCK), "is free and not zero");
            }
        }
    }
    Ok(())
}

/// Checks that everything behind the end of the file system is zero.
pub(crate) fn trailing(image: &Image<'_>, findings: &mut Findings) -> Result<(), Unreadable> {
    if let Some(at) = image.first_not_zero(image.geometry().bytes(), image.source.length())? {
        let text = format!("byte {at} is behind its end and not zero");
        findings.add(Code::TrailingData, Place::Image, text);
    }
    Ok(())
}
