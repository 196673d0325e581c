//! The format that an image's file name selects. A name that does not match the format is refused, because it would
//! mislead other programs.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use image_assembly::{Compression, Framing};
use snugfs_core::{BlockCompression, Failure, format_name};
use snugfs_plan::{CompressionPlan, Format, FramingPlan, Location, OutputPlan, Plan};

use crate::cli::misuse;
use crate::output::field;

/// Format and compression of an image's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) format: Format,
    /// The compression of the whole file.
    pub(crate) compression: Option<Compression>,
    /// The compression of the container's blocks.
    pub(crate) blocks: Option<BlockCompression>,
}

/// Endings that select a compression, at the default levels of plans, which are those of the programs.
const COMPRESSIONS: [(&str, Compression); 3] = [
    (".zst", Compression::Zstd { level: 3, framing: Framing::Single }),
    (".gz", Compression::Gzip { level: 6 }),
    (".xz", Compression::Xz { level: 6 }),
];

/// Endings that look like those, but select nothing.
const NEARLY: [(&str, &str); 8] = [
    (".tgz", ".tar.gz"),
    (".txz", ".tar.xz"),
    (".tzst", ".tar.zst"),
    (".zstd", ".zst"),
    (".gzip", ".gz"),
    (".zst.", ".zst"),
    (".gz.", ".gz"),
    (".xz.", ".xz"),
];

/// Endings that select a format.
const FORMATS: [(&str, Format); 9] = [
    (".qcow2", Format::Qcow2),
    (".simg", Format::Simg),
    (".raw", Format::Raw),
    (".vhd", Format::Vhd),
    (".vhdx", Format::Vhdx),
    (".vdi", Format::Vdi),
    (".vmdk", Format::Vmdk),
    (".ova", Format::Ova),
    (".tar", Format::Tar),
];

/// Endings of compression and archives that snugfs does not write.
const COMPRESSED: [(&str, &str); 8] = [
    (".lzma", "lzma"),
    (".bz2", "bzip2"),
    (".lz4", "lz4"),
    (".lzo", "lzo"),
    (".br", "brotli"),
    (".zip", "zip"),
    (".7z", "7z"),
    (".cpio", "cpio"),
];

/// Endings of image formats that snugfs does not write.
const FOREIGN: [(&str, &str); 6] = [
    (".qcow", "version 1 of qcow"),
    (".qed", "QED"),
    (".iso", "ISO 9660"),
    (".dmg", "DMG"),
    (".squashfs", "SquashFS"),
    (".erofs", "EROFS"),
];

/// The format that a plan selects, without a file name.
pub(crate) fn form_of_plan(plan: &OutputPlan) -> Result<Form, Failure> {
    Form::new(plan.format.unwrap_or_default(), plan.compression, None).check(plan)
}

impl Form {
    /// Whether it is a raw image that is not compressed.
    pub(crate) fn is_plain(self) -> bool {
        self.format == Format::Raw && self.compression.is_none() && self.blocks.is_none()
    }

    /// The form of a format with the compression of a plan and the one that a name selects, which are alike.
    fn new(format: Format, planned: Option<CompressionPlan>, named: Option<Compression>) -> Self {
        let has_blocks = matches!(format, Format::Qcow2 | Format::Vmdk | Format::Ova) && named.is_none();
        let (of_blocks, of_whole) = if has_blocks { (planned, None) } else { (None, planned) };
        let blocks = of_blocks.and_then(|planned| blocks(format, planned));
        Self { format, compression: of_whole.and_then(whole).or(named), blocks }
    }

    /// Fails if fields of the plan are for other formats.
    pub(crate) fn check(self, plan: &OutputPlan) -> Result<Self, Failure> {
        let wrong = |key, what: &str, help| Err(misuse(field(key), what, help));
        match (self.format, plan.compression) {
            (Format::Vmdk | Format::Ova, _) if self.compression.is_some() => {
                let what = "a VMDK is compressed already";
                return wrong("compression", what, "let the name end in .vmdk or .ova");
            }
            (Format::Vmdk | Format::Ova, Some(_)) if self.blocks.is_none() => {
                let what = "a VMDK can only be compressed with deflate";
                return wrong("compression", what, "set its format to \"deflate\", or leave it out");
            }
            (Format::Qcow2, Some(_)) if self.compression.is_none() && self.blocks.is_none() => {
                let what = "the clusters of qcow2 can only be compressed with zstd or deflate";
                return wrong(
                    "compression",
                    what,
                    "choose one of these, or let the name end in .qcow2.gz or .qcow2.xz",
                );
            }
            (_, Some(CompressionPlan::Zstd { framing, .. }))
                if self.blocks.is_some() && framing != FramingPlan::Single =>
            {
                let what = "the clusters of qcow2 have neither frames nor a seek table";
                return wrong(
                    "compression",
                    what,
                    "leave out frames and seekable, or let the name end in .qcow2.zst",
                );
            }
            (_, Some(CompressionPlan::Deflate { .. })) if self.blocks.is_none() => {
                let what = "only the clusters of qcow2 and VMDK can be compressed with deflate";
                return wrong("compression", what, "set its format to \"zstd\", \"gzip\" or \"xz\"");
            }
            _ => {}
        }
        if plan.member.is_some() && !matches!(self.format, Format::Tar | Format::Ova | Format::VmdkSparse) {
            let help = "leave it out, or set format to \"tar\", \"ova\" or \"vmdk-sparse\"";
            return wrong("member", "only an archive has a member, and vmdk-sparse a name of its own", help);
        }
        if plan.adapter.is_some() && !matches!(self.format, Format::Vmdk | Format::VmdkSparse | Format::Ova) {
            let help = "leave it out, or set format to \"vmdk\", \"vmdk-sparse\" or \"ova\"";
            return wrong("adapter", "only a VMDK names an adapter", help);
        }
        match (self.format == Format::Ova, plan.ovf.is_some()) {
            (true, false) => wrong(
                "ovf",
                "an OVA needs the description of the virtual machine",
                "set it, or write a .vmdk",
            ),
            (false, true) => {
                let help = "leave it out, or set format to \"ova\"";
                wrong("ovf", "only an OVA has the description of a virtual machine", help)
            }
            _ => Ok(self),
        }
    }
}

/// The compression of a container's blocks, if it has some and the plan's compression is one for blocks.
fn blocks(format: Format, planned: CompressionPlan) -> Option<BlockCompression> {
    match (format, planned) {
        (Format::Qcow2, CompressionPlan::Zstd { level, .. }) => Some(BlockCompression::Zstd { level }),
        (Format::Qcow2 | Format::Vmdk | Format::Ova, CompressionPlan::Deflate { level }) => {
            Some(BlockCompression::Deflate { level })
        }
        _ => None,
    }
}

/// The compression of a whole file.
fn whole(plan: CompressionPlan) -> Option<Compression> {
    Some(match plan {
        CompressionPlan::Deflate { .. } => return None,
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
    })
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
    let mut format = plan.format.unwrap_or_default();
    if let Some((ending, named)) = FORMATS.iter().find(|(ending, _)| ends(ending)) {
        // Both kinds of VHD have one ending.
        let named = if let (Some(Format::VhdFixed), Format::Vhd) | (Some(Format::VmdkSparse), Format::Vmdk) =
            (plan.format, *named)
        {
            &plan.format.unwrap_or(*named)
        } else {
            named
        };
        if let Some(planned) = plan.format.filter(|planned| planned != named) {
            let planned = format_name(planned).unwrap_or("raw");
            let what = format!("the name ends in {ending}, but plan.output.format is \"{planned}\"");
            return wrong(&what, "change the name or the format");
        }
        format = *named;
    }
    if let (Some((ending, named)), Some(planned)) = (compression, plan.compression)
        && planned.name() != named.name()
    {
        let planned = planned.name();
        let what = format!("the name ends in {ending}, but plan.output.compression.format is \"{planned}\"");
        return wrong(&what, "change the name or the format");
    }
    Ok(Form::new(format, plan.compression, compression.map(|(_, named)| named)))
}

/// Fails if a variant's name is not that of the format that its file has. `is_plain` is whether the image is raw and not compressed, as
/// are then its variants.
pub(crate) fn check_variants(plan: &Plan, is_plain: bool) -> Result<(), Failure> {
    for (index, variant) in plan.variants.iter().enumerate() {
        let wrong = |what: String, help: &str| {
            let at = Location::plan().key("variants").index(index).key("output");
            Err(misuse(at, what, help))
        };
        let name = &variant.output;
        match form(Path::new(name), &plan.output) {
            Ok(named) if is_plain && !named.is_plain() => {
                let what = format!("{} is not the name of a raw image", quoted(name));
                return wrong(what, "use a name that ends in .img");
            }
            Ok(_) => {}
            Err((what, help)) => return wrong(format!("{}: {what}", quoted(name)), help),
        }
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", image_tree::escaped(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(format: Option<Format>, compression: Option<CompressionPlan>) -> OutputPlan {
        OutputPlan { format, compression, ..OutputPlan::default() }
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
            ("x.vhdx", Format::Vhdx, None),
            ("x.vmdk", Format::Vmdk, None),
            ("x.ova", Format::Ova, None),
            ("x.tar", Format::Tar, None),
            ("x.tar.gz", Format::Tar, gzip),
            ("x.raw.tar.ZST", Format::Tar, zstd),
            ("x.tar.xz", Format::Tar, xz),
        ] {
            let found = form(Path::new(name), &plan(None, None));
            assert_eq!(found, Ok(Form { format, compression, blocks: None }), "{name}");
        }
        let level = plan(
            Some(Format::Simg),
            Some(CompressionPlan::Zstd { level: 9, framing: FramingPlan::Seekable }),
        );
        let expected = Form {
            format: Format::Simg,
            compression: Some(Compression::Zstd { level: 9, framing: Framing::Seekable }),
            blocks: None,
        };
        for name in ["x.img", "x.simg", "x.simg.zst"] {
            assert_eq!(form(Path::new(name), &level), Ok(expected), "{name}");
        }
        for format in [Format::Vhd, Format::VhdFixed] {
            let found = form(Path::new("x.vhd"), &plan(Some(format), None));
            assert_eq!(found, Ok(Form { format, compression: None, blocks: None }));
        }
        for (planned, expected) in [
            (CompressionPlan::Gzip { level: 9 }, Compression::Gzip { level: 9 }),
            (CompressionPlan::Xz { level: 0 }, Compression::Xz { level: 0 }),
        ] {
            let compression = Some(expected);
            let found = form(Path::new("x.img"), &plan(None, Some(planned)));
            assert_eq!(found, Ok(Form { format: Format::Raw, compression, blocks: None }));
        }
    }

    #[test]
    fn names_of_another_format_are_refused() {
        let bzip2 = form(Path::new("x.img.bz2"), &plan(None, None));
        assert_eq!(bzip2, Err(("snugfs cannot write bzip2".to_owned(), "use .img or .img.zst")));
        let tgz = form(Path::new("x.tgz"), &plan(None, None)).unwrap_err();
        assert_eq!(tgz.0, "only names that end in .tar.gz select this compression");
        for name in [
            "x.iso",
            "x.QED",
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
            (Format::Vhd, "x.vhdx"),
            (Format::Vhdx, "x.vhd"),
            (Format::Vdi, "x.vmdk"),
            (Format::Raw, "x.tar.gz"),
            (Format::Tar, "x.qcow2"),
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
    #[test]
    fn clusters_are_compressed_unless_the_name_selects_a_compression() {
        let zstd = CompressionPlan::Zstd { level: 9, framing: FramingPlan::Single };
        let seekable = CompressionPlan::Zstd { level: 9, framing: FramingPlan::Seekable };
        let deflate = CompressionPlan::Deflate { level: 9 };
        let checked = |name, format, compression| {
            let plan = plan(format, Some(compression));
            form(Path::new(name), &plan).unwrap().check(&plan)
        };
        let of_clusters = |format, blocks| Form { format, compression: None, blocks: Some(blocks) };
        let zstd_blocks = BlockCompression::Zstd { level: 9 };
        let deflate_blocks = BlockCompression::Deflate { level: 9 };
        for (name, format, compression, blocks) in [
            ("x.qcow2", Format::Qcow2, zstd, zstd_blocks),
            ("x", Format::Qcow2, zstd, zstd_blocks),
            ("x.qcow2", Format::Qcow2, deflate, deflate_blocks),
            ("x.vmdk", Format::Vmdk, deflate, deflate_blocks),
        ] {
            let found = checked(name, Some(format), compression);
            assert_eq!(found.unwrap(), of_clusters(format, blocks), "{name}");
        }
        let whole = Form {
            format: Format::Qcow2,
            compression: Some(Compression::Zstd { level: 9, framing: Framing::Seekable }),
            blocks: None,
        };
        assert_eq!(checked("x.qcow2.zst", None, seekable).unwrap(), whole);
        let gzip = CompressionPlan::Gzip { level: 6 };
        for (name, format, compression, expected) in [
            ("x.qcow2", None, gzip, "the clusters of qcow2 can only be compressed with zstd or deflate"),
            ("x.qcow2", None, seekable, "the clusters of qcow2 have neither frames nor a seek table"),
            ("x.vmdk", None, zstd, "a VMDK can only be compressed with deflate"),
            ("x.vmdk.gz", None, gzip, "a VMDK is compressed already"),
            ("x.img", None, deflate, "only the clusters of qcow2 and VMDK can be compressed with deflate"),
            ("x.vdi", None, deflate, "only the clusters of qcow2 and VMDK can be compressed with deflate"),
        ] {
            let refused = checked(name, format, compression).unwrap_err();
            let text = refused.to_string();
            assert!(text.starts_with(&format!("plan.output.compression: {expected}; ")), "{name}: {text}");
        }
        let refused = form(Path::new("x.qcow2.gz"), &plan(None, Some(deflate))).unwrap_err();
        assert!(refused.0.contains("but plan.output.compression.format is \"deflate\""), "{refused:?}");
    }

    #[test]
    fn fields_of_other_formats_are_refused() {
        let output = OutputPlan { member: Some("x".to_owned()), ..OutputPlan::default() };
        let refused = |name, output: &OutputPlan| form(Path::new(name), output).unwrap().check(output);
        assert!(refused("x.tar.gz", &output).is_ok());
        assert!(refused("x.img", &output).unwrap_err().to_string().starts_with("plan.output.member: "));
        let output = OutputPlan { ovf: Some(String::new()), ..OutputPlan::default() };
        assert!(refused("x.ova", &output).is_ok());
        for (name, output) in [("x.vmdk", &output), ("x.ova", &OutputPlan::default())] {
            assert!(refused(name, output).unwrap_err().to_string().starts_with("plan.output.ovf: "));
        }
        let output = OutputPlan { adapter: Some(snugfs_plan::Adapter::Ide), ..OutputPlan::default() };
        assert!(refused("x.vmdk", &output).is_ok());
        assert!(refused("x.tar", &output).unwrap_err().to_string().starts_with("plan.output.adapter: "));
    }
}
