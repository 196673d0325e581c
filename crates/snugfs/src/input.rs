//! Reads the plan.

use std::io;
use std::path::{Path, PathBuf};

use image_tree::io_reason;
use sha2::{Digest, Sha256};
use snugfs_core::{Failure, FailureKind, read_all, read_file, remedy, shown, too_long};
use snugfs_plan::Plan;

use crate::cli::{InputArgs, is_dash};
use crate::messages::Messages;

/// A plan, and the digest of the file that it was read from.
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) plan: Plan,
    pub(crate) sha256: [u8; 32],
}

/// Reads PLAN. Fails with exit code 5 if it can't be read, with 3 if it is not a valid plan.
pub(crate) fn read_plan(args: &InputArgs, messages: &Messages) -> Result<ReadPlan, Failure> {
    let (name, json) = if is_dash(&args.plan) {
        ("standard input".to_owned(), read_all(io::stdin().lock()))
    } else {
        (shown(&args.plan), read_file(&args.plan))
    };
    let json = json.map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => too_long(FailureKind::Plan, &name, "a plan"),
        _ => Failure::new(
            FailureKind::Source,
            &name,
            format!("can't be read: {}", io_reason(&error)),
            remedy(&error, "name a plan, or - for standard input"),
        ),
    })?;
    messages.remember_plan(&name, &json);
    let plan = snugfs_plan::parse(&json, &base_dir(args));
    let plan = plan.map_err(|problems| Failure::of_plan(&problems, &name))?;
    Ok(ReadPlan { plan, sha256: Sha256::digest(&json).into() })
}

/// The folder at which relative paths in the plan start. Empty for the current folder, so that messages name files as
/// the plan does.
fn base_dir(args: &InputArgs) -> PathBuf {
    let plan_folder = args.plan.parent().filter(|_| !is_dash(&args.plan));
    args.base_dir.as_deref().or(plan_folder).unwrap_or(Path::new("")).to_owned()
}
