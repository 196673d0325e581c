//! `plan.variants`.

use std::collections::HashSet;

use super::contents;
use super::context::Context;
use crate::conflicts;
use crate::location::quoted;
use crate::plan::{VariantPlan, VolumePlan};
use crate::problem::Log;
use crate::tables::{self, MAX_LABEL};
use crate::value::Value;

/// The variants of a plan with this root.
pub(super) fn variants(
    value: &Value<'_>,
    root: &VolumePlan,
    context: Context<'_>,
    log: &Log,
) -> Vec<VariantPlan> {
    let (mut names, mut variants) = (HashSet::new(), Vec::new());
    for item in value.items("objects with an output") {
        let Some(variant) = variant(&item, context) else { continue };
        if !variant.entries.is_empty() {
            conflicts::check(&root.with_variant(&variant), &item.at, log);
        }
        if !names.insert(variant.output.clone()) {
            let what = || format!("another variant has the name {}, too", quoted(&variant.output));
            item.child("output", item.json).wrong::<()>(what, "choose another name for one of the two");
        }
        variants.push(variant);
    }
    variants
}

fn variant(value: &Value<'_>, context: Context<'_>) -> Option<VariantPlan> {
    let object = value.object(&tables::VARIANT)?;
    let (label, uuid) =
        (object.read("label", |value| value.label(MAX_LABEL)), object.read("uuid", |value| value.uuid()));
    let entries = object.read_or_default("entries", |value| Some(contents::entries(value, context)));
    let fstabs = object.read_or_default("entries", |value| Some(contents::fstabs(value)));
    Some(VariantPlan {
        output: object.read("output", |value| value.file_name())?,
        label,
        uuid,
        entries,
        fstabs,
    })
}
