//! The container around an image: none, or a format of virtual disks or of fastboot.

use image_containers::{ContainerError, DynamicVhd, FixedVhd, Qcow2, Simg, Vdi};
use image_tree::{PieceSource, Uuid};
use snugfs_plan::{Format, Location, Plan};

use crate::failure::{Failure, FailureKind};
use crate::problem::Problem;

/// An image, raw or in a container.
#[derive(Debug)]
pub(crate) enum Container<'i> {
    Qcow2(Qcow2<'i>),
    Simg(Simg<'i>),
    Vhd(DynamicVhd<'i>),
    VhdFixed(FixedVhd<'i>),
    Vdi(Vdi<'i>),
    Raw(Raw<'i>),
}

/// A raw image.
pub(crate) struct Raw<'i>(&'i dyn PieceSource);

impl std::fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<'i> Container<'i> {
    /// Puts the image of a plan into a container.
    pub(crate) fn around(image: &'i dyn PieceSource, format: Format, plan: &Plan) -> Result<Self, Failure> {
        // If the output's name selects the format, only the length is in the plan.
        let field = match &plan.disk {
            _ if plan.output.format.is_some() => Location::plan().key("output").key("format"),
            Some(_) => Location::plan().key("disk").key("size"),
            None => Location::plan().key("filesystem").key("size"),
        };
        // Identifies the disk, in formats that do so.
        let id = Uuid(plan.root.filesystem.uuid);
        let refused = |error: ContainerError| {
            Failure::of(FailureKind::Fit, Problem { at: (&field).into(), ..Problem::from(&error) })
        };
        match format {
            Format::Raw => Ok(Self::Raw(Raw(image))),
            Format::Qcow2 => Qcow2::new(image).map(Self::Qcow2).map_err(refused),
            Format::Simg => Simg::new(image).map(Self::Simg).map_err(refused),
            Format::Vhd => DynamicVhd::new(image, id).map(Self::Vhd).map_err(refused),
            Format::VhdFixed => FixedVhd::new(image, id).map(Self::VhdFixed).map_err(refused),
            Format::Vdi => Vdi::new(image, id).map(Self::Vdi).map_err(refused),
        }
    }

    /// The pieces to write.
    pub(crate) fn pieces(&self) -> &dyn PieceSource {
        match self {
            Self::Raw(Raw(image)) => *image,
            Self::Qcow2(image) => image,
            Self::Simg(image) => image,
            Self::Vhd(image) => image,
            Self::VhdFixed(image) => image,
            Self::Vdi(image) => image,
        }
    }
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
        Format::Vdi => Some("vdi"),
    }
}
