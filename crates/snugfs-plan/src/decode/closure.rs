//! `plan.closure`: finds its form, and checks that there is exactly one.

use std::sync::Arc;

use image_tree::ImagePath;

use super::context::Context;
use crate::json::Json;
use crate::location::quoted;
use crate::nearest::nearest;
use crate::object::Object;
use crate::plan::{ClosurePlan, ClosureSource, DatabasePlan};
use crate::tables;
use crate::value::Value;

/// The folders that `LocalStore::LocalStore` of Nix creates in its state folder.
const STATE_FOLDERS: [&str; 3] = ["profiles/per-user", "gcroots/per-user", "temproots"];

pub(super) fn closure(value: &Value<'_>, context: Context<'_>) -> Option<ClosurePlan> {
    let object = value.object(&tables::CLOSURE)?;
    let source = source(value, &object, context);
    let store_dir = object.read("storeDir", store_dir);
    let place = object.read("place", |value| value.image_path()).or_else(|| store_dir.clone());
    let source_dir = object.read_or_default("sourceDir", |value| context.host_path(value));
    let verify = object.word_or_default("verify", &tables::VERIFY);
    let registration_target = object.read("registrationTarget", registration_target);
    let field = if object.given("place").is_some() { "place" } else { "storeDir" };
    let database = object.read("nixDatabase", |value| {
        value.flag().map(|wanted| wanted.then(|| database_of(value, place.as_ref()?, field)).flatten())
    });
    Some(ClosurePlan {
        source: source?,
        source_dir,
        store_dir: store_dir?,
        place: place?,
        verify,
        deduplicate: object.flag("deduplicate"),
        registration_target,
        database: database.flatten(),
    })
}

fn image_path(path: &str) -> Option<ImagePath> {
    ImagePath::parse(path.as_bytes()).ok()
}

fn store_dir(value: &Value<'_>) -> Option<ImagePath> {
    let path = value.image_path()?;
    if path.is_root() {
        return value
            .wrong(|| "the root can't be the store".to_owned(), "name a directory such as /nix/store");
    }
    Some(path)
}

/// The place where Nix expects the database of a store, relative to the store: `/nix/var/nix/db` for `/nix/store`.
fn database_of(value: &Value<'_>, place: &ImagePath, field: &str) -> Option<DatabasePlan> {
    let text = String::from_utf8_lossy(place.as_bytes());
    let Some(above) = text.strip_suffix("/store") else {
        return value.wrong(
            || format!("Nix has no usual place for the database of {}", quoted(&text)),
            &format!("leave it out, or let {field} end in /store"),
        );
    };
    let state = |name: &str| image_path(&format!("{above}/var/nix/{name}"));
    let links = image_path(&format!("{text}/.links"));
    let folders: Option<Vec<ImagePath>> = STATE_FOLDERS.into_iter().map(state).chain([links]).collect();
    Some(DatabasePlan { file: state("db/db.sqlite")?, schema: state("db/schema")?, folders: folders? })
}

fn registration_target(value: &Value<'_>) -> Option<ImagePath> {
    let path = value.image_path()?;
    if path.is_root() {
        return value.wrong(|| "the root is a directory".to_owned(), "name a file, or write null for none");
    }
    Some(path)
}

fn source(closure: &Value<'_>, object: &Object<'_>, context: Context<'_>) -> Option<ClosureSource> {
    let (registration, store_paths) = (object.given("registration"), object.given("storePaths"));
    let graph = object.given("graph");
    // Decodes all of them, so that all problems are reported.
    let registration_path = registration.and_then(|value| context.host_path(&value));
    let store_paths_path = store_paths.and_then(|value| context.host_path(&value));
    let graph_source = graph.and_then(|value| graph_source(&value, context));
    match (registration, store_paths, graph) {
        (None, None, None) => closure.wrong(
            || "it has neither a registration nor a graph".to_owned(),
            "write one of the two, or leave the closure out",
        ),
        (None, Some(store_paths), None) => store_paths.wrong(
            || "there is no registration beside it".to_owned(),
            "add the registration that closureInfo writes beside store-paths",
        ),
        (None, None, Some(_)) => graph_source,
        (Some(_), _, None) => Some(ClosureSource::Registration {
            registration: registration_path?,
            store_paths: if store_paths.is_some() { Some(store_paths_path?) } else { None },
        }),
        (Some(_), _, Some(graph)) => two_forms(&graph, "registration"),
        (None, Some(_), Some(graph)) => two_forms(&graph, "storePaths"),
    }
}

fn two_forms(graph: &Value<'_>, other: &str) -> Option<ClosureSource> {
    graph.wrong(
        || format!("there is \"{other}\" as well"),
        "keep either the graph, or the registration with its storePaths",
    )
}

fn graph_source(value: &Value<'_>, context: Context<'_>) -> Option<ClosureSource> {
    let name = match value.json {
        Json::List(_) => return Some(graph_list(value)),
        Json::Text(name) => name,
        _ => {
            return value
                .not("a graph", "write a file's path, a key of the structured attributes, or a list");
        }
    };
    match context.attributes.and_then(|attributes| attributes.get(name)) {
        Some(json @ Json::List(_)) => Some(graph_list(&Value { json, ..*value })),
        Some(_) => value.wrong(
            || format!("the structured attribute {} is not a list", value.shown()),
            "name the one that exportReferencesGraph makes, or write ./ before the path of a file",
        ),
        None => match context.attributes.filter(|_| !name.is_empty() && !name.contains('/')) {
            Some(attributes) => missing_attribute(value, name, attributes),
            None => context.host_path(value).map(ClosureSource::GraphFile),
        },
    }
}

/// Number of attribute names in a message.
const SHOWN_NAMES: usize = 8;

/// Whether a name has no slash, so it is probably a misspelled key and not a file in the build folder.
fn missing_attribute(value: &Value<'_>, name: &str, attributes: &Json) -> Option<ClosureSource> {
    let graphs: Vec<&str> = graph_names(attributes);
    let what = || match graphs.get(..SHOWN_NAMES.min(graphs.len())) {
        None | Some([]) => format!("no structured attribute is named {}, and none is a graph", value.shown()),
        Some([graph]) => {
            format!("no structured attribute is named {}, the graph is {}", value.shown(), quoted(graph))
        }
        Some(shown) => {
            let shown: Vec<String> = shown.iter().map(|graph| quoted(graph)).collect();
            let more = if graphs.len() > SHOWN_NAMES { ", ..." } else { "" };
            let (value, shown) = (value.shown(), shown.join(", "));
            format!("no structured attribute is named {value}, graphs are {shown}{more}")
        }
    };
    match nearest(name, graphs.iter().copied()) {
        Some(near) => value.wrong(what, &format!("did you mean {}?", quoted(near))),
        None if graphs.is_empty() => {
            value.wrong(what, "add one by exportReferencesGraph, or write ./ before the path of a file")
        }
        None => value.wrong(what, "name a graph, or write ./ before the path of a file"),
    }
}

/// The attributes that look like the output of `exportReferencesGraph`: lists of objects.
fn graph_names(attributes: &Json) -> Vec<&str> {
    let Json::Object(fields) = attributes else { return Vec::new() };
    let is_graph =
        |json: &Json| matches!(json, Json::List(items) if matches!(items.first(), Some(Json::Object(_))));
    fields.iter().filter(|(_, json)| is_graph(json)).map(|(name, _)| name.as_str()).collect()
}

/// Converts a list without checks, which the reader of closures makes. Duplicate keys are reported here.
fn graph_list(value: &Value<'_>) -> ClosureSource {
    value.check_keys();
    ClosureSource::Graph(Arc::new(value.json.to_value()))
}
