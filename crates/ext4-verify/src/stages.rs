//! The order in which a file system is checked.

use crate::claims::Claims;
use crate::codes::Code;
use crate::image::{Image, read};
use crate::observer::Observer;
use crate::problem::{Findings, Place};
use crate::source::{Source, Unreadable};
use crate::{Unused, descriptors, reserved, superblock, tables, unused as unused_bytes, walk};

/// Checks all of a file system.
pub(crate) fn check(
    source: &dyn Source,
    unused: Unused,
    observer: Option<&mut dyn Observer>,
) -> Result<Findings, Unreadable> {
    let mut findings = Findings::default();
    let length = source.length();
    if length < 2048 {
        let text = format!("{length} bytes can't hold a file system; is this the right image?");
        findings.add(Code::ImageTooShort, Place::Image, text);
        return Ok(findings);
    }
    let raw = read(source, 1024, superblock::BYTES)?;
    let Some(sb) = superblock::check(raw, length, &mut findings) else { return Ok(findings) };
    let mut image = Image::new(source, sb);
    let mut claims = Claims::new(image.geometry());
    let Some(groups) = descriptors::read(&image, &mut claims, &mut findings)? else { return Ok(findings) };
    image.groups = groups;
    structures(&image, &mut claims, &mut findings, observer)?;
    counts(&image, &claims, &mut findings)?;
    if unused != Unused::Anything {
        unused_bytes::free_blocks(&image, &claims, &mut findings)?;
    }
    if unused == Unused::Zeros {
        unused_bytes::trailing(&image, &mut findings)?;
    }
    Ok(findings)
}

/// Checks everything that can be reached, and claims what it uses.
fn structures(
    image: &Image<'_>,
    claims: &mut Claims,
    findings: &mut Findings,
    observer: Option<&mut dyn Observer>,
) -> Result<(), Unreadable> {
    descriptors::ends(image, findings)?;
    descriptors::backups(image, findings)?;
    reserved::inodes(image, claims, findings)?;
    walk::walk(image, claims, findings, observer)?;
    walk::attribute_users(claims, findings);
    Ok(())
}

/// Checks counts and bitmaps against the claims.
fn counts(image: &Image<'_>, claims: &Claims, findings: &mut Findings) -> Result<(), Unreadable> {
    tables::inode_tables(image, claims, findings)?;
    let totals = tables::bitmaps(image, claims, findings)?;
    tables::totals(image, claims, findings, totals);
    Ok(())
}
