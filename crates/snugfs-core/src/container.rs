//! The container around an image: none, or a format of virtual disks or of fastboot.

use std::sync::Arc;

use image_containers::{
    Adapter, BlockCompression, ContainerError, DynamicVhd, FixedVhd, Ova, PackedQcow2, Qcow2, Simg,
    SparseVmdk, StreamVmdk, Tar, Vdi, Vhdx,
};
use image_tree::{PackedFormat, PieceSource, Uuid};
use snugfs_plan::{Format, Location, OutputPlan, Plan};

use crate::failure::{Failure, FailureKind};
use crate::problem::Problem;

/// An image, raw or in a container.
#[derive(Debug)]
pub(crate) enum Container<'i> {
    Qcow2(Qcow2<'i>),
    Simg(Simg<'i>),
    Vhd(DynamicVhd<'i>),
    VhdFixed(FixedVhd<'i>),
    Vhdx(Vhdx<'i>),
    VmdkSparse(SparseVmdk<'i>),
    Vdi(Vdi<'i>),
    Tar(Tar<'i>),
    Packed(Packed<'i>),
    Raw(Raw<'i>),
}

/// An image whose blocks are compressed when they are written.
pub(crate) struct Packed<'i> {
    image: &'i dyn PieceSource,
    format: Arc<dyn PackedFormat>,
}

impl std::fmt::Debug for Packed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.format.fmt(f)
    }
}

/// A raw image.
pub(crate) struct Raw<'i>(&'i dyn PieceSource);

impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<'i> Container<'i> {
    /// Puts the image of a plan into a container. `blocks` is the compression of its blocks, for formats that have one.
    pub(crate) fn around(
        image: &'i dyn PieceSource,
        (format, blocks): (Format, Option<BlockCompression>),
        plan: &Plan,
    ) -> Result<Self, Failure> {
        // If the output's name selects the format, only the length is in the plan.
        let field = match &plan.disk {
            _ if plan.output.format.is_some() => Location::plan().key("output").key("format"),
            Some(_) => Location::plan().key("disk").key("size"),
            None => Location::plan().key("filesystem").key("size"),
        };
        // Identifies the disk, in formats that do so.
        let id = Uuid(plan.root.filesystem.uuid);
        let refused = |error: ContainerError| {
            let problem = Problem { at: (&field).into(), ..Problem::from(&error) };
            let help = length_help(&error, plan).unwrap_or_else(|| problem.help.clone());
            Failure::of(FailureKind::Fit, Problem { help, ..problem })
        };
        let packed = |format| Self::Packed(Packed { image, format });
        match format {
            Format::Raw => Ok(Self::Raw(Raw(image))),
            Format::Qcow2 => match blocks {
                None => Qcow2::new(image).map(Self::Qcow2).map_err(refused),
                Some(compression) => {
                    let qcow2 = PackedQcow2::new(image.len(), compression).map_err(refused)?;
                    Ok(packed(Arc::new(qcow2)))
                }
            },
            Format::Simg => Simg::new(image).map(Self::Simg).map_err(refused),
            Format::Vhd => DynamicVhd::new(image, id).map(Self::Vhd).map_err(refused),
            Format::VhdFixed => FixedVhd::new(image, id).map(Self::VhdFixed).map_err(refused),
            Format::Vhdx => Vhdx::new(image, id).map(Self::Vhdx).map_err(refused),
            Format::Vdi => Vdi::new(image, id).map(Self::Vdi).map_err(refused),
            Format::Tar => Tar::new(image, plan.output.member(format)).map(Self::Tar).map_err(refused),
            Format::VmdkSparse => {
                let vmdk = SparseVmdk::new(image, id, plan.output.member(format)).map_err(refused)?;
                Ok(Self::VmdkSparse(vmdk.with_adapter(adapter(plan.output.adapter.unwrap_or_default()))))
            }
            Format::Vmdk | Format::Ova => {
                let vmdk = StreamVmdk::new(image.len(), id).map_err(refused)?;
                let vmdk = vmdk.with_adapter(adapter(plan.output.adapter.unwrap_or_default()));
                let vmdk = match blocks {
                    Some(BlockCompression::Deflate { level }) => vmdk.with_level(level),
                    _ => vmdk,
                };
                if format == Format::Vmdk {
                    return Ok(packed(Arc::new(vmdk)));
                }
                let ovf = plan.output.ovf.as_deref().unwrap_or_default();
                let ova = Ova::new(vmdk, plan.output.member(format), ovf);
                let field = Location::plan().key("output").key("ovf");
                let wrong = |error: ContainerError| {
                    Failure::of(FailureKind::Plan, Problem { at: field.into(), ..Problem::from(&error) })
                };
                ova.map(|ova| packed(Arc::new(ova))).map_err(wrong)
            }
        }
    }

    /// Whether long zeros of files must be known before it is laid out, because its tables come first.
    pub(crate) fn begins_with_tables(format: Format, blocks: Option<BlockCompression>) -> bool {
        match format {
            Format::Qcow2 => blocks.is_none(),
            Format::Simg
            | Format::Vhd
            | Format::VhdFixed
            | Format::Vhdx
            | Format::VmdkSparse
            | Format::Vdi => true,
            Format::Raw | Format::Vmdk | Format::Ova | Format::Tar => false,
        }
    }

    /// How its blocks are compressed when they are written, if they are.
    pub(crate) fn packed(&self) -> Option<Arc<dyn PackedFormat>> {
        if let Self::Packed(Packed { format, .. }) = self { Some(Arc::clone(format)) } else { None }
    }

    /// The pieces to write.
    pub(crate) fn pieces(&self) -> &dyn PieceSource {
        match self {
            Self::Raw(Raw(image)) | Self::Packed(Packed { image, .. }) => *image,
            Self::Qcow2(image) => image,
            Self::Simg(image) => image,
            Self::Vhd(image) => image,
            Self::VhdFixed(image) => image,
            Self::Vhdx(image) => image,
            Self::VmdkSparse(image) => image,
            Self::Vdi(image) => image,
            Self::Tar(image) => image,
        }
    }
}

/// What to set so that an image has a length that its format supports.
fn length_help(error: &ContainerError, plan: &Plan) -> Option<String> {
    let ContainerError::OddLength { len, block } = *error else { return None };
    let next = len.checked_next_multiple_of(block)?;
    Some(match &plan.disk {
        Some(disk) if disk.size.is_none() => format!("set plan.disk.roundTo to {block}"),
        Some(_) => format!("set plan.disk.size to {next}"),
        None => format!("set plan.filesystem.size to {next}"),
    })
}

fn adapter(planned: snugfs_plan::Adapter) -> Adapter {
    match planned {
        snugfs_plan::Adapter::Lsilogic => Adapter::Lsilogic,
        snugfs_plan::Adapter::Buslogic => Adapter::Buslogic,
        snugfs_plan::Adapter::Ide => Adapter::Ide,
        snugfs_plan::Adapter::Pvscsi => Adapter::Pvscsi,
    }
}

/// Whole multiples of this, in \[bytes\], are all that Google Compute Engine takes.
const CLOUD_UNIT: u64 = 1 << 30;

/// The warning if Google Compute Engine would not take an image of `len` \[bytes\] in an archive.
pub(crate) fn warning(len: u64, format: Format, plan: &Plan) -> Option<Problem> {
    let is_wrong = format == Format::Tar
        && plan.output.member(format) == OutputPlan::MEMBER
        && (plan.disk.is_none() || !len.is_multiple_of(CLOUD_UNIT));
    let gib = len.div_ceil(CLOUD_UNIT);
    is_wrong.then(|| {
        let what =
            format!("the image has {len} bytes, but Google Compute Engine takes only disks of whole GiB");
        let help = format!("set plan.disk.size to \"{gib}GiB\", or plan.output.member to another name");
        Problem::new(Location::plan().key("output").key("format"), what, help)
    })
}

/// The name of a container in plans and reports; `None` for raw images.
#[must_use]
pub fn format_name(format: Format) -> Option<&'static str> {
    match format {
        Format::Raw => None,
        Format::Qcow2 => Some("qcow2"),
        Format::Simg => Some("simg"),
        Format::Vhd => Some("vhd"),
        Format::VhdFixed => Some("vhd-fixed"),
        Format::Vhdx => Some("vhdx"),
        Format::Vdi => Some("vdi"),
        Format::Vmdk => Some("vmdk"),
        Format::VmdkSparse => Some("vmdk-sparse"),
        Format::Ova => Some("ova"),
        Format::Tar => Some("tar"),
    }
}
