//! Turns equal files of a store into hard links.

use file_scanner::Alike;
use image_tree::{FileTree, NodeId, NodeKind, to_u64, to_usize};

use crate::Failure;
use crate::observer::{Observer, Stage, Unit, run_stage};
use crate::parts::{Deduplicated, ScannedVolume};

/// Links equal files within each file system whose plan asks for it.
pub(crate) fn run(volumes: Vec<&mut ScannedVolume<'_>>, observer: &dyn Observer) -> Result<(), Failure> {
    let alike: Vec<_> = volumes.iter().map(|volume| alike(volume)).collect();
    if alike.iter().all(Option::is_none) {
        return Ok(());
    }
    let bytes = alike.iter().flatten().map(Alike::bytes).sum();
    let names = to_usize(ext4_layout::MAX_LINKS.into());
    let pairs: Vec<_> = run_stage(observer, (Stage::Deduplicate, Unit::Bytes, bytes), || {
        let equal = |alike: &Option<Alike<'_>>| {
            alike.as_ref().map(|alike| alike.equal(names, &|bytes| observer.advance(bytes))).transpose()
        };
        alike.iter().map(equal).collect::<Result<_, _>>()
    })?;
    drop(alike);
    for (volume, pairs) in volumes.into_iter().zip(pairs) {
        volume.deduplicated = pairs.map(|pairs| link(&mut volume.tree, &pairs));
    }
    Ok(())
}

/// The candidates: files of a store that could be equal, if the plan asks for it.
fn alike<'v>(volume: &'v ScannedVolume<'_>) -> Option<Alike<'v>> {
    volume.planned.plan.closure.as_ref().filter(|closure| closure.deduplicate)?;
    let (closure, tree) = (volume.closure.as_ref()?, &volume.tree);
    Some(Alike::below(tree, closure.nodes(tree).into_iter()))
}

fn link(tree: &mut FileTree, pairs: &[(NodeId, NodeId)]) -> Deduplicated {
    let size = |file: NodeId| match tree.node(file).kind() {
        NodeKind::File { size, .. } => size,
        _ => 0,
    };
    let bytes = pairs.iter().map(|&(file, _)| size(file)).sum();
    Deduplicated { files: to_u64(tree.link(pairs)), bytes }
}
