//! The store paths of an image as a software bill of materials: `CycloneDX` 1.5, JSON. It has neither a time nor a serial
//! number, so one closure always gives the same bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use closure_registration::{Closure, PathInfo, StorePath};
use serde::Serialize;

use crate::exit::{Exit, Failure};

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a> {
    #[serde(rename = "bomFormat")]
    format: &'static str,
    spec_version: &'static str,
    /// Of the document: the first.
    version: u32,
    metadata: Metadata,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    tools: Tools,
}

#[derive(Debug, Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Debug, Serialize)]
struct Tool {
    r#type: &'static str,
    name: &'static str,
    version: &'static str,
}

/// A store path.
#[derive(Debug, Serialize)]
struct Component<'a> {
    /// What the specification recommends where nothing better is known.
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    hashes: [Hash; 1],
    purl: String,
    properties: Vec<Property>,
}

/// The digest of the path's NAR.
#[derive(Debug, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Debug, Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

/// A store path and those that it refers to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    r#ref: String,
    depends_on: Vec<String>,
}

/// The text for the closures of an image, which may have paths in common; it ends in a line feed.
pub(crate) fn json<'a>(closures: impl Iterator<Item = &'a Closure>) -> Result<String, Failure> {
    let of_closure = |closure: &'a Closure| {
        closure.paths().iter().map(move |info| (whole(closure, &info.path), (closure, info)))
    };
    let paths: BTreeMap<String, (&Closure, &PathInfo)> = closures.flat_map(of_closure).collect();
    let bom = Bom {
        format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        metadata: Metadata {
            tools: Tools {
                components: [Tool {
                    r#type: "application",
                    name: "snugfs",
                    version: env!("CARGO_PKG_VERSION"),
                }],
            },
        },
        components: paths.iter().map(|(path, &(closure, info))| component(path, closure, info)).collect(),
        dependencies: paths.iter().map(|(path, &(closure, info))| dependency(path, closure, info)).collect(),
    };
    serde_json::to_string_pretty(&bom)
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(Exit::Bug, format!("--sbom: {error}; please report it")))
}

fn component<'a>(path: &str, closure: &Closure, info: &'a PathInfo) -> Component<'a> {
    let (name, version) = info.path.name_and_version();
    let mut properties = vec![Property { name: "nix:output_path", value: path.to_owned() }];
    if let Some(deriver) = &info.origin.deriver {
        properties.push(Property { name: "nix:drv_path", value: whole(closure, deriver) });
    }
    Component {
        r#type: "library",
        bom_ref: path.to_owned(),
        name,
        version,
        hashes: [Hash { alg: "SHA-256", content: info.nar_hash.base16() }],
        purl: package_url(name, version),
        properties,
    }
}

fn dependency(path: &str, closure: &Closure, info: &PathInfo) -> Dependency {
    let others = info.references.iter().filter(|&reference| *reference != info.path);
    let mut depends_on: Vec<String> = others.map(|reference| whole(closure, reference)).collect();
    depends_on.sort_unstable();
    Dependency { r#ref: path.to_owned(), depends_on }
}

/// The whole path, as Nix writes it.
fn whole(closure: &Closure, path: &StorePath) -> String {
    let path = path.in_store(closure.store_dir());
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}

/// `pkg:nix/NAME@VERSION`, the form that other tools for Nix write.
fn package_url(name: &str, version: Option<&str>) -> String {
    let version = version.map_or(Cow::default(), |version| format!("@{}", percent_encoded(version)).into());
    format!("pkg:nix/{}{version}", percent_encoded(name))
}

/// All but letters, digits and `.-_~`, which a package URL has as they are.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_encoded() {
        assert_eq!(package_url("hello", Some("2.12.1")), "pkg:nix/hello@2.12.1");
        assert_eq!(package_url("gtk+", Some("3.0?a=b")), "pkg:nix/gtk%2B@3.0%3Fa%3Db");
        assert_eq!(package_url("source", None), "pkg:nix/source");
    }
}
