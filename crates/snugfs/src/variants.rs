//! The variants of a plan that `build` writes next to the image.

use std::path::Path;
use std::time::Duration;

use image_assembly::Target;
use snugfs_core::{Failure, FailureKind, VariantsSummary, human};
use snugfs_plan::{Format, Location, Plan};

use crate::image_name;
use crate::output::Output;
use crate::outputs::{Outputs, Role};

/// The image that the variants are written from; `None` if the plan has no variants. Fails if the output is no plain image in a
/// file.
pub(crate) fn image<'a>(output: &Output<'a>, plan: &Plan) -> Result<Option<&'a Path>, Failure> {
    if plan.variants.is_empty() {
        return Ok(None);
    }
    let is_plain =
        output.format == Format::Raw && output.blocks.is_none() && output.options.compression.is_none();
    match output.target {
        // A device or a pipe has no folder for other images.
        Target::File(path) if is_plain && std::fs::metadata(path).map_or(true, |found| found.is_file()) => {
            image_name::check_variants(plan, true)?;
            Ok(Some(path))
        }
        _ => {
            let at = Location::plan().key("variants");
            let what = "variants are only written next to a raw image in a file";
            let help = "write such an image, or one variant with --variant";
            Err(Failure::new(FailureKind::Usage, at, what, help))
        }
    }
}

/// Adds the variants to the outputs of the run.
pub(crate) fn add_to(outputs: &mut Outputs, image: &Path, plan: &Plan) {
    for (index, variant) in plan.variants.iter().enumerate() {
        let asked = Location::plan().key("variants").index(index).key("output");
        outputs.add(Role::Image, asked.into(), &variant.path(image));
    }
}

/// The last line: `1,000 images, 230 GiB, 1,000 share blocks with the image, 12.3 s`.
pub(crate) fn line(written: &VariantsSummary, is_verified: bool, time: Duration) -> String {
    let images = human::counted(written.images, "image");
    let verified = if is_verified { ", verified" } else { "" };
    let shared = match written.cloned {
        0 => "no blocks shared".to_owned(),
        cloned if cloned == written.images => "blocks shared with the image".to_owned(),
        cloned => format!("blocks of {} shared with the image", human::counted(cloned, "image")),
    };
    format!("{images}, {}, {shared}{verified}, {}", human::size(written.bytes), human::seconds(time))
}
