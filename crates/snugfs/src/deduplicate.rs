//! Equal files of a store become hard links, where the plan asks for it.

use file_scanner::Alike;
use image_tree::{FileTree, NodeId, NodeKind};
use serde::Serialize;

use crate::exit::Failure;
use crate::pipeline::{Gathered, Volume};
use crate::progress::{Stage, Stages, Unit};

/// What became hard links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Deduplicated {
    /// Files that are names of others now.
    pub(crate) files: u64,
    /// What they held, in \[bytes\].
    pub(crate) bytes: u64,
}

/// Links what is equal within each file system that shall have it so.
pub(crate) fn run(gathered: &mut Gathered<'_>, stages: &mut Stages) -> Result<(), Failure> {
    let alike: Vec<_> = gathered.volumes().map(alike).collect();
    if alike.iter().all(Option::is_none) {
        return Ok(());
    }
    let bytes = alike.iter().flatten().map(Alike::bytes).sum();
    let names = usize::try_from(ext4_layout::MAX_LINKS).unwrap_or(usize::MAX);
    let pairs: Vec<_> = stages.run(Stage::Deduplicate, Unit::Bytes, bytes, |meter| {
        let equal = |alike: &Option<Alike<'_>>| {
            alike.as_ref().map(|alike| alike.equal(names, &|bytes| meter.advance(bytes))).transpose()
        };
        alike.iter().map(equal).collect::<Result<_, _>>()
    })?;
    for (volume, pairs) in gathered.volumes_mut().zip(pairs) {
        volume.deduplicated = pairs.map(|pairs| link(&mut volume.scan.tree, &pairs));
    }
    Ok(())
}

/// The files of a store that could be equal, where the plan asks.
fn alike<'v>(volume: &'v Volume<'_>) -> Option<Alike<'v>> {
    volume.planned.volume.closure.as_ref().filter(|closure| closure.deduplicate)?;
    let (closure, tree) = (volume.closure.as_ref()?, &volume.scan.tree);
    Some(Alike::below(tree, closure.nodes(tree).into_iter()))
}

fn link(tree: &mut FileTree, pairs: &[(NodeId, NodeId)]) -> Deduplicated {
    let size = |file: NodeId| match tree.node(file).kind() {
        NodeKind::File { size, .. } => size,
        _ => 0,
    };
    let bytes = pairs.iter().map(|&(file, _)| size(file)).sum();
    Deduplicated { files: u64::try_from(tree.link(pairs)).unwrap_or(u64::MAX), bytes }
}
