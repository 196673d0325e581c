//! The format that an image's file name selects. A name that does not match the format is refused, because it would
//! mislead other programs.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use build_plan::{CompressionPlan, Format, FramingPlan, OutputPlan};
use image_assembly::{Compression, Framing};

use snugfs_core::format_name;

/// The level if only the name selects zstd: the default of the zstd program.
const DEFAULT_LEVEL: i32 = 3;

/// Format and compression of an image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) format: Format,
    pub(crate) compression: Option<Compression>,
}

/// Endings that select a format.
const FORMATS: [(&str, Format); 3] =
    [(".qcow2", Format::Qcow2), (".simg", Format::Simg), (".raw", Format::Raw)];

/// Endings of compression and archives that snugfs does not write.
const COMPRESSED: [(&str, &str); 12] = [
    (".gz", "gzip"),
    (".tgz", "gzip"),
    (".xz", "xz"),
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
const FOREIGN: [(&str, &str); 10] = [
    (".vmdk", "VMDK"),
    (".vdi", "VDI"),
    (".vhd", "VHD"),
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
    let CompressionPlan::Zstd { level, framing } = plan;
    let framing = match framing {
        FramingPlan::Single => Framing::Single,
        FramingPlan::Seekable => Framing::Seekable,
    };
    Compression::Zstd { level, framing }
}

/// The format that a plan and a file name select; or what is wrong with the name, and what to do.
pub(crate) fn form(path: &Path, plan: &OutputPlan) -> Result<Form, (String, &'static str)> {
    let wrong = |what: &str, help| Err((what.to_owned(), help));
    let name = path.file_name().map(|name| name.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    let (name, is_zst) = match name.strip_suffix(b".zst") {
        Some(name) => (name, true),
        None => (name.as_slice(), false),
    };
    let ends = |ending: &str| name.len() > ending.len() && name.ends_with(ending.as_bytes());
    if let Some((_, what)) = COMPRESSED.iter().find(|(ending, _)| ends(ending)) {
        return wrong(&format!("snugfs cannot write {what}"), "use .img or .img.zst");
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(ending, _)| ends(ending)) {
        return wrong(&format!("snugfs cannot write {what}"), "use .img, or .qcow2 for virtual machines");
    }
    if ends(".zstd") || name.windows(5).any(|part| part == b".zst.") {
        return wrong("only names that end in .zst select zstd", "use .img.zst, or a name without .zst");
    }
    let mut form = form_of_plan(plan);
    if let Some((ending, named)) = FORMATS.iter().find(|(ending, _)| ends(ending)) {
        if let Some(planned) = plan.format.filter(|planned| planned != named) {
            let planned = format_name(planned).unwrap_or("raw");
            let what = format!("the name ends in {ending}, but plan.output.format is \"{planned}\"");
            return wrong(&what, "change the name or the format");
        }
        form.format = *named;
    }
    if is_zst {
        form.compression.get_or_insert(Compression::Zstd { level: DEFAULT_LEVEL, framing: Framing::Single });
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
        for (name, format, compression) in [
            ("x.img", Format::Raw, None),
            ("x", Format::Raw, None),
            ("qcow2", Format::Raw, None),
            (".qcow2", Format::Raw, None),
            ("x.img.zst", Format::Raw, zstd),
            ("X.IMG.ZST", Format::Raw, zstd),
            ("gz.d/x.img", Format::Raw, None),
            ("x.qcow2", Format::Qcow2, None),
            ("x.QCow2.zst", Format::Qcow2, zstd),
            ("x.simg", Format::Simg, None),
            ("x.raw", Format::Raw, None),
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
    }

    #[test]
    fn names_of_another_format_are_refused() {
        let gzip = form(Path::new("x.img.gz"), &plan(None, None));
        assert_eq!(gzip, Err(("snugfs cannot write gzip".to_owned(), "use .img or .img.zst")));
        for name in
            ["x.iso", "x.VMDK", "x.img.xz", "x.gz.zst", "x.zst.img", "x.img.zstd", "x.zip", "x.img.zst.gz"]
        {
            assert!(form(Path::new(name), &plan(None, None)).is_err(), "{name}");
        }
        for (format, name) in [
            (Format::Raw, "x.qcow2"),
            (Format::Qcow2, "x.simg"),
            (Format::Simg, "x.qcow2.zst"),
            (Format::Qcow2, "x.raw"),
        ] {
            let refused = form(Path::new(name), &plan(Some(format), None)).unwrap_err();
            assert!(refused.0.contains("but plan.output.format is"), "{refused:?}");
        }
    }
}
