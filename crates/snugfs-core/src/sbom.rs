//! The store paths of an image as a software bill of materials: `CycloneDX` 1.5, JSON. It has no time and no serial number, so
//! the same closures give the same bytes.

use std::collections::BTreeMap;

use closure_registration::{Closure, PathInfo, StorePath};
use cyclonedx_bom::external_models::normalized_string::NormalizedString;
use cyclonedx_bom::external_models::uri::Purl;
use cyclonedx_bom::models::bom::{Bom, SpecVersion};
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::models::tool::Tools;

use crate::Failure;

/// The bill of materials of several closures, which may share paths. Ends in a line feed.
pub(crate) fn json<'a>(closures: impl Iterator<Item = &'a Closure>) -> Result<String, Failure> {
    let of_closure = |closure: &'a Closure| {
        closure.paths().iter().map(move |info| (whole(closure, &info.path), (closure, info)))
    };
    let paths: BTreeMap<String, (&Closure, &PathInfo)> = closures.flat_map(of_closure).collect();
    let components = paths.iter().map(|(path, &(closure, info))| component(path, closure, info));
    let components: Vec<_> = components.collect::<Result<_, _>>().map_err(|error| bug(&error))?;
    let dependencies = paths.iter().map(|(path, &(closure, info))| dependency(path, closure, info));
    let program = Component::new(Classification::Application, "snugfs", env!("CARGO_PKG_VERSION"), None);
    let tools = Tools::Object { services: None, components: Some(Components(vec![program])) };
    let bom = Bom {
        spec_version: SpecVersion::V1_5,
        // The library's default is random.
        serial_number: None,
        metadata: Some(Metadata { tools: Some(tools), ..Metadata::default() }),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(dependencies.collect())),
        ..Bom::default()
    };
    let mut text = Vec::new();
    bom.output_as_json_v1_5(&mut text).map_err(|error| bug(&error))?;
    text.push(b'\n');
    String::from_utf8(text).map_err(|error| bug(&error))
}

fn bug(error: &dyn std::fmt::Display) -> Failure {
    Failure::internal("bill of materials", error)
}

fn component(
    path: &str,
    closure: &Closure,
    info: &PathInfo,
) -> Result<Component, cyclonedx_bom::external_models::uri::UriError> {
    let (name, version) = info.path.name_and_version();
    let mut properties = vec![Property::new("nix:output_path", path)];
    if let Some(deriver) = &info.origin.deriver {
        properties.push(Property::new("nix:drv_path", &whole(closure, deriver)));
    }
    // The specification recommends this type if nothing better is known.
    let component = Component::new(Classification::Library, name, "", Some(path.to_owned()));
    Ok(Component {
        version: version.map(NormalizedString::new),
        hashes: Some(Hashes(vec![Hash {
            alg: HashAlgorithm::SHA_256,
            content: HashValue(info.nar_hash.base16()),
        }])),
        // The same form as in other tools for Nix.
        purl: Some(Purl::new("nix", name, version.unwrap_or_default())?),
        properties: Some(Properties(properties)),
        ..component
    })
}

fn dependency(path: &str, closure: &Closure, info: &PathInfo) -> Dependency {
    let others = info.references.iter().filter(|&reference| *reference != info.path);
    let mut dependencies: Vec<String> = others.map(|reference| whole(closure, reference)).collect();
    dependencies.sort_unstable();
    Dependency { dependency_ref: path.to_owned(), dependencies }
}

/// The whole path, as Nix writes it.
fn whole(closure: &Closure, path: &StorePath) -> String {
    let path = path.in_store(closure.store_dir());
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}
