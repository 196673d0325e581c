//! The format that an image's file name selects. A name that does not match the format is refused, because it would
//! mislead other programs.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use image_assembly::{Compression, Framing};
use snugfs_plan::{CompressionPlan, Format, FramingPlan, OutputPlan};

use snugfs_core::format_name;

/// Format and compression of an image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) format: Format,
    pub(crate) compression: Option<Compression>,
}

/// Endings that select a compression, at the default levels of plans, which are those of the programs.
const COMPRESSIONS: [(&str, Compression); 3] = [
    (".zst", Compression::Zstd { level: 3, framing: Framing::Single }),
    (".gz", Compression::Gzip { level: 6 }),
    (".xz", Compression::Xz { level: 6 }),
];

/// Endings that look like those, but select nothing.
const NEARLY: [(&str, &str); 5] =
    [(".zstd", ".zst"), (".gzip", ".gz"), (".zst.", ".zst"), (".gz.", ".gz"), (".xz.", ".xz")];

/// Endings that select a format.
const FORMATS: [(&str, Format); 5] = [
    (".qcow2", Format::Qcow2),
    (".simg", Format::Simg),
    (".raw", Format::Raw),
    (".vhd", Format::Vhd),
    (".vdi", Format::Vdi),
];

/// Endings of compression and archives that snugfs does not write.
const COMPRESSED: [(&str, &str); 11] = [
    (".tgz", "tar"),
    (".txz", "tar"),
    (".lzma", "lzma"),
    (".bz2", "bzip2"),
    (".lz4", "lz4"),
    (".lzo", "lzo"),
    (".br", "brotli"),
    (".zip", "zip"),
    (".7z", "7z"),
    (".tar", "tar"),
    (".cpio", "cpio"),
];

/// Endings of image formats that snugfs does not write.
const FOREIGN: [(&str, &str); 8] = [
    (".vmdk", "VMDK"),
    (".vhdx", "VHDX"),
    (".qcow", "version 1 of qcow"),
    (".qed", "QED"),
    (".iso", "ISO 9660"),
    (".dmg", "DMG"),
    (".squashfs", "SquashFS"),
    (".erofs", "EROFS"),
];

/// The format that a plan selects, without a file name.
pub(crate) fn form_of_plan(plan: &OutputPlan) -> Form {
    Form { format: plan.format.unwrap_or_default(), compression: plan.compression.map(compression) }
}

fn compression(plan: CompressionPlan) -> Compression {
    match plan {
        CompressionPlan::Zstd { level, framing } => {
            let framing = match framing {
                FramingPlan::Single => Framing::Single,
                FramingPlan::Seekable => Framing::Seekable,
                FramingPlan::Units { seekable } => Framing::Units { seekable },
            };
            Compression::Zstd { level, framing }
        }
        CompressionPlan::Gzip { level } => Compression::Gzip { level },
        CompressionPlan::Xz { level } => Compression::Xz { level },
    }
}

/// A name without the ending that selects a compression, and the compression.
pub(crate) fn without_compression(name: &[u8]) -> (&[u8], Option<(&'static str, Compression)>) {
    for (ending, compression) in COMPRESSIONS {
        if let Some((stem, end)) = name.split_at_checked(name.len().saturating_sub(ending.len()))
            && end.eq_ignore_ascii_case(ending.as_bytes())
        {
            return (stem, Some((ending, compression)));
        }
    }
    (name, None)
}

/// The format that a plan and a file name select; or what is wrong with the name, and what to do.
pub(crate) fn form(path: &Path, plan: &OutputPlan) -> Result<Form, (String, &'static str)> {
    let wrong = |what: &str, help| Err((what.to_owned(), help));
    let name = path.file_name().map(|name| name.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    let (name, compression) = without_compression(&name);
    let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending.as_bytes());
    if let Some((_, what)) = COMPRESSED.iter().find(|(ending, _)| ends(ending)) {
        return wrong(&format!("snugfs cannot write {what}"), "use .img or .img.zst");
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(ending, _)| ends(ending)) {
        return wrong(&format!("snugfs cannot write {what}"), "use .img, or .qcow2 for virtual machines");
    }
    if compression.is_some() && without_compression(name).1.is_some() {
        return wrong("the name selects two compressions", "keep one of the two endings");
    }
    let has = |part: &str| {
        if part.ends_with('.') {
            name.windows(part.len()).any(|found| found == part.as_bytes())
        } else {
            ends(part)
        }
    };
    if let Some((_, ending)) = NEARLY.iter().find(|(part, _)| has(part)) {
        let what = format!("only names that end in {ending} select this compression");
        return wrong(&what, "put the ending last, or choose a name without it");
    }
    let mut form = form_of_plan(plan);
    if let Some((ending, named)) = FORMATS.iter().find(|(ending, _)| ends(ending)) {
        // Both kinds of VHD have one ending.
        let named = if (plan.format, *named) == (Some(Format::VhdFixed), Format::Vhd) {
            &Format::VhdFixed
        } else {
            named
        };
        if let Some(planned) = plan.format.filter(|planned| planned != named) {
            let planned = format_name(planned).unwrap_or("raw");
            let what = format!("the name ends in {ending}, but plan.output.format is \"{planned}\"");
            return wrong(&what, "change the name or the format");
        }
        form.format = *named;
    }
    if let Some((ending, named)) = compression {
        let planned = *form.compression.get_or_insert(named);
        if planned.name() != named.name() {
            let planned = planned.name();
            let what =
                format!("the name ends in {ending}, but plan.output.compression.format is \"{planned}\"");
            return wrong(&what, "change the name or the format");
        }
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(format: Option<Format>, compression: Option<CompressionPlan>) -> OutputPlan {
        OutputPlan { path: None, format, bmap: false, verify: false, compression }
    }

    #[test]
    fn names_select_formats() {
        let zstd = Some(Compression::Zstd { level: 3, framing: Framing::Single });
        let (gzip, xz) = (Some(Compression::Gzip { level: 6 }), Some(Compression::Xz { level: 6 }));
        for (name, format, compression) in [
            ("x.img", Format::Raw, None),
            ("x", Format::Raw, None),
            ("qcow2", Format::Raw, None),
            (".qcow2", Format::Raw, None),
            ("x.img.zst", Format::Raw, zstd),
            ("X.IMG.ZST", Format::Raw, zstd),
            ("x.img.gz", Format::Raw, gzip),
            ("X.GZ", Format::Raw, gzip),
            ("x.img.xz", Format::Raw, xz),
            ("gz.d/x.img", Format::Raw, None),
            ("x.gz/x.img", Format::Raw, None),
            ("x-gz.img", Format::Raw, None),
            ("x.qcow2", Format::Qcow2, None),
            ("x.QCow2.zst", Format::Qcow2, zstd),
            ("x.simg.gz", Format::Simg, gzip),
            ("x.simg", Format::Simg, None),
            ("x.raw", Format::Raw, None),
            ("x.vhd", Format::Vhd, None),
            ("x.VDI.zst", Format::Vdi, zstd),
        ] {
            let found = form(Path::new(name), &plan(None, None));
            assert_eq!(found, Ok(Form { format, compression }), "{name}");
        }
        let level = plan(
            Some(Format::Simg),
            Some(CompressionPlan::Zstd { level: 9, framing: FramingPlan::Seekable }),
        );
        let expected = Form {
            format: Format::Simg,
            compression: Some(Compression::Zstd { level: 9, framing: Framing::Seekable }),
        };
        for name in ["x.img", "x.simg", "x.simg.zst"] {
            assert_eq!(form(Path::new(name), &level), Ok(expected), "{name}");
        }
        for format in [Format::Vhd, Format::VhdFixed] {
            let found = form(Path::new("x.vhd"), &plan(Some(format), None));
            assert_eq!(found, Ok(Form { format, compression: None }));
        }
        for (planned, expected) in [
            (CompressionPlan::Gzip { level: 9 }, Compression::Gzip { level: 9 }),
            (CompressionPlan::Xz { level: 0 }, Compression::Xz { level: 0 }),
        ] {
            let compression = Some(expected);
            let found = form(Path::new("x.img"), &plan(None, Some(planned)));
            assert_eq!(found, Ok(Form { format: Format::Raw, compression }));
        }
    }

    #[test]
    fn names_of_another_format_are_refused() {
        let bzip2 = form(Path::new("x.img.bz2"), &plan(None, None));
        assert_eq!(bzip2, Err(("snugfs cannot write bzip2".to_owned(), "use .img or .img.zst")));
        let tar = form(Path::new("x.tar.gz"), &plan(None, None));
        assert_eq!(tar, Err(("snugfs cannot write tar".to_owned(), "use .img or .img.zst")));
        for name in [
            "x.iso",
            "x.VMDK",
            "x.img.tgz",
            "x.gz.zst",
            "x.zst.gz",
            "x.xz.xz",
            "x.zst.img",
            "x.gz.img",
            "x.img.zstd",
            "x.img.gzip",
            "x.zip",
            "x.zip.xz",
            "x.iso.gz",
        ] {
            assert!(form(Path::new(name), &plan(None, None)).is_err(), "{name}");
        }
        for (format, name) in [
            (Format::Raw, "x.qcow2"),
            (Format::Qcow2, "x.simg"),
            (Format::Simg, "x.qcow2.zst"),
            (Format::Simg, "x.qcow2.gz"),
            (Format::Qcow2, "x.raw"),
            (Format::Vdi, "x.vhd"),
            (Format::VhdFixed, "x.vdi"),
        ] {
            let refused = form(Path::new(name), &plan(Some(format), None)).unwrap_err();
            assert!(refused.0.contains("but plan.output.format is"), "{refused:?}");
        }
    }

    #[test]
    fn names_of_another_compression_are_refused() {
        let zstd = CompressionPlan::Zstd { level: 3, framing: FramingPlan::Single };
        for (planned, name) in [
            (zstd, "x.img.gz"),
            (zstd, "x.xz"),
            (CompressionPlan::Gzip { level: 6 }, "x.zst"),
            (CompressionPlan::Xz { level: 6 }, "x.img.GZ"),
        ] {
            let refused = form(Path::new(name), &plan(None, Some(planned))).unwrap_err();
            assert!(refused.0.contains("but plan.output.compression.format is"), "{refused:?}");
        }
    }
}
