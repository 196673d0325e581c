//! Container images: OCI image layouts (OCI image specification 1.1) and archives of `docker save`, as a folder or in a tar
//! archive. What other files of the image name is opened only by its digest, or by its name within the archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_tree::{escaped, shown};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{ArchiveError, Fault};
use crate::input::{Part, read_exact_at};
use crate::limits;
use crate::open::{Expected, Reading, open_file};
use crate::tree::{ArchiveTree, InodeKind};

/// Which image of several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Choice<'c> {
    /// Its name or its digest.
    pub(crate) image: Option<&'c str>,
    /// `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`.
    pub(crate) platform: Option<&'c str>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// One of the list in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct SavedConfig {
    rootfs: RootFs,
    #[serde(flatten)]
    platform: Platform,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// The files of an image.
enum Store {
    Folder(PathBuf),
    Archive { tree: ArchiveTree, path: PathBuf },
}

/// An image of an index.
struct Candidate {
    names: Vec<String>,
    /// Of the manifest, and of the indices above it.
    digests: Vec<String>,
    platform: Option<Platform>,
    descriptor: Descriptor,
}

/// A layer: its file, and what it must be.
struct Layer {
    name: String,
    expected: Expected,
    size: Option<u64>,
}

impl Platform {
    fn text(&self) -> String {
        let variant = self.variant.as_ref().map_or(String::new(), |variant| format!("/{variant}"));
        format!("{}/{}{variant}", self.os, self.architecture)
    }

    /// Whether this is meant. A variant that is not given can be any.
    fn matches(&self, wanted: &str) -> bool {
        let mut parts = wanted.splitn(3, '/');
        parts.next() == Some(&self.os)
            && parts.next() == Some(&self.architecture)
            && parts.next().is_none_or(|variant| self.variant.as_deref() == Some(variant))
    }

    /// Of a description of another image, such as how it was built.
    fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

/// Reads an image into a tree. Returns the `config` of its configuration as JSON.
pub(crate) fn read(
    reading: &mut Reading<'_>,
    path: &Path,
    choice: Choice<'_>,
) -> Result<Vec<u8>, ArchiveError> {
    let mut store = Store::open(reading, path)?;
    let place = shown(path);
    let whole = |fault: Fault| fault.at(&place, None);
    let mut files = Files { store: &mut store, reading };
    let (config, layers) = if let Some(index) = files.json::<Index>("index.json", None).map_err(whole)? {
        from_index(&mut files, index, choice).map_err(whole)?
    } else if let Some(saved) = files.json::<Vec<Saved>>("manifest.json", None).map_err(whole)? {
        from_saved(&mut files, saved, choice).map_err(whole)?
    } else {
        return Err(whole(Fault::NotAnImage));
    };
    if layers.len() > limits::LAYERS {
        return Err(whole(Fault::Limit { what: "more than 1000 layers" }));
    }
    for (number, layer) in (0..).zip(layers) {
        let path = format!("{place}: {}", escaped(layer.name.as_bytes()));
        let source = store.layer(reading, &layer, &path)?;
        reading.tree.begin_layer(number);
        reading.archive(source, &layer.expected, &path)?;
    }
    let config = config.get("config").filter(|config| config.is_object());
    let config = config.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let mut text = serde_json::to_vec_pretty(&config).map_err(|error| {
        whole(Fault::Json { name: "configuration".to_owned(), reason: error.to_string() })
    })?;
    text.push(b'\n');
    Ok(text)
}

impl Store {
    fn open(reading: &mut Reading<'_>, path: &Path) -> Result<Self, ArchiveError> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let source = reading.open(path)?;
        reading.archive(source, &Expected::default(), &shown(path))?;
        reading.end_temporary()?;
        // The files of the archive are not those of the image.
        let tree = std::mem::replace(&mut reading.tree, ArchiveTree::new());
        Ok(Self::Archive { tree, path: path.to_owned() })
    }

    /// A layer, and the number of the file that has it.
    fn layer(
        &mut self,
        reading: &mut Reading<'_>,
        layer: &Layer,
        place: &str,
    ) -> Result<(u16, Part), ArchiveError> {
        let missing = || Fault::NoBlob { name: escaped(layer.name.as_bytes()).to_string() };
        let source = match self {
            Self::Folder(folder) => {
                let path = below(folder, &layer.name).map_err(|fault| fault.at(place, None))?;
                if path.symlink_metadata().is_err() {
                    return Err(missing().at(&shown(folder), None));
                }
                reading.open(&path)?
            }
            Self::Archive { tree, path } => {
                in_archive(tree, reading, &layer.name).ok_or_else(|| missing().at(&shown(path), None))?
            }
        };
        match layer.size {
            Some(size) if size != source.1.len => {
                let expected = layer.expected.digest.as_ref().map_or(String::new(), ToString::to_string);
                Err(Fault::Digest { expected }.at(place, None))
            }
            _ => Ok(source),
        }
    }
}

/// The path of a file that an image names. It can't lead out of the folder.
fn below(folder: &Path, name: &str) -> Result<PathBuf, Fault> {
    for part in name.split('/') {
        image_tree::Name::new(part.as_bytes())
            .map_err(|_| Fault::NoBlob { name: escaped(name.as_bytes()).to_string() })?;
    }
    Ok(folder.join(name))
}

/// A file in an archive, and the number of the file that has its bytes.
fn in_archive(tree: &mut ArchiveTree, reading: &Reading<'_>, name: &str) -> Option<(u16, Part)> {
    let id = tree.find(name.as_bytes())?;
    let InodeKind::File { size, container, offset } = tree.inode(id).kind else { return None };
    Some((container, Part { file: reading.file(container)?, start: offset, len: size }))
}

/// Reads the small files of an image.
struct Files<'f, 'r> {
    store: &'f mut Store,
    reading: &'f Reading<'r>,
}

impl Files<'_, '_> {
    /// The bytes of a file; `None` if there is none of that name.
    fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let part = match &mut *self.store {
            Store::Folder(folder) => match open_file(&below(folder, name)?) {
                Ok((part, _)) => part,
                Err(Fault::Missing) => return Ok(None),
                Err(fault) => return Err(fault),
            },
            Store::Archive { tree, .. } => match in_archive(tree, self.reading, name) {
                Some((_, part)) => part,
                None => return Ok(None),
            },
        };
        if part.len > limits::JSON_BYTES {
            return Err(Fault::Limit { what: "more than 16 MiB in one of its JSON files" });
        }
        let mut bytes = vec![0; image_tree::to_usize(part.len)];
        read_exact_at(&part.file, &mut bytes, part.start)?;
        Ok(Some(bytes))
    }

    /// A file of JSON, which has this digest.
    fn json<T: DeserializeOwned>(&mut self, name: &str, digest: Option<&Digest>) -> Result<Option<T>, Fault> {
        let Some(bytes) = self.bytes(name)? else { return Ok(None) };
        let shown = escaped(name.as_bytes()).to_string();
        if digest.is_some_and(|digest| !digest.matches(&bytes)) {
            return Err(Fault::Digest { expected: shown });
        }
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|error| Fault::Json { name: shown, reason: error.to_string() })
    }

    /// The file of JSON that a descriptor names.
    fn described<T: DeserializeOwned>(&mut self, descriptor: &Descriptor) -> Result<T, Fault> {
        let digest = digest(&descriptor.digest)?;
        let name = digest.blob();
        let found = self.json(&name, Some(&digest))?;
        found.ok_or(Fault::NoBlob { name })
    }
}

fn digest(text: &str) -> Result<Digest, Fault> {
    Digest::parse(text).ok_or_else(|| Fault::Json {
        name: "descriptor".to_owned(),
        reason: format!("\"{}\" is not a digest with SHA-256 or SHA-512", escaped(text.as_bytes())),
    })
}

/// The configuration and the layers of the image of an index.
fn from_index(
    files: &mut Files<'_, '_>,
    index: Index,
    choice: Choice<'_>,
) -> Result<(Value, Vec<Layer>), Fault> {
    let mut candidates = Vec::new();
    collect(files, index, (&[], &[]), 0, &mut candidates)?;
    if let Some(image) = choice.image {
        candidates
            .retain(|one: &Candidate| one.names.iter().chain(&one.digests).any(|name| is_name(name, image)));
    }
    let is_named = |one: &Candidate| choice.image.is_some_and(|image| one.descriptor.digest == image);
    candidates.retain(|one| is_named(one) || !one.platform.as_ref().is_some_and(Platform::is_unknown));
    let all: Vec<String> = candidates.iter().map(Candidate::text).collect();
    if let Some(wanted) = choice.platform {
        for one in candidates.iter_mut().filter(|one| one.platform.is_none()) {
            let manifest: Manifest = files.described(&one.descriptor)?;
            one.platform = Some(files.described(&manifest.config)?);
        }
        candidates.retain(|one| one.platform.as_ref().is_some_and(|platform| platform.matches(wanted)));
    }
    let descriptor = match candidates.as_slice() {
        [one] => &one.descriptor,
        [] => return Err(Fault::Choice { several: false, images: all }),
        several => {
            let images = several.iter().map(Candidate::text).collect();
            return Err(Fault::Choice { several: true, images });
        }
    };
    let manifest: Manifest = files.described(descriptor)?;
    let config: Value = files.described(&manifest.config)?;
    // A configuration without them is not that of a container image, but may come with layers all the same.
    let ids: Option<RootFs> =
        config.get("rootfs").cloned().and_then(|found| serde_json::from_value(found).ok());
    if ids.as_ref().is_some_and(|ids| ids.diff_ids.len() != manifest.layers.len()) {
        let name = escaped(manifest.config.digest.as_bytes()).to_string();
        let reason = "it does not have as many diff_ids as the manifest has layers".to_owned();
        return Err(Fault::Json { name, reason });
    }
    let ids = ids.map(|ids| ids.diff_ids).unwrap_or_default();
    let layers = manifest.layers.iter().enumerate().map(|(index, layer)| {
        if layer.media_type.ends_with("+encrypted") {
            return Err(Fault::Encrypted);
        }
        let uncompressed = ids.get(index).map(|id| digest(id)).transpose()?;
        let digest = digest(&layer.digest)?;
        let name = digest.blob();
        let expected = Expected { digest: Some(digest), uncompressed };
        Ok(Layer { name, expected, size: Some(layer.size) })
    });
    Ok((config, layers.collect::<Result<_, _>>()?))
}

/// Collects the images of an index and of those within it, each once.
fn collect(
    files: &mut Files<'_, '_>,
    index: Index,
    (names, digests): (&[String], &[String]),
    depth: usize,
    all: &mut Vec<Candidate>,
) -> Result<(), Fault> {
    if depth > limits::INDEX_DEPTH {
        return Err(Fault::Limit { what: "more than 4 indices within each other" });
    }
    for descriptor in index.manifests {
        let annotation = |key: &str| descriptor.annotations.as_ref()?.get(key).cloned();
        let own = ["org.opencontainers.image.ref.name", "io.containerd.image.name"].map(annotation);
        let names: Vec<String> = names.iter().cloned().chain(own.into_iter().flatten()).collect();
        let digests: Vec<String> = digests.iter().chain([&descriptor.digest]).cloned().collect();
        if descriptor.media_type.contains("index") || descriptor.media_type.contains("manifest.list") {
            let inner: Index = files.described(&descriptor)?;
            collect(files, inner, (&names, &digests), depth + 1, all)?;
            continue;
        }
        match all.iter_mut().find(|known| known.descriptor.digest == descriptor.digest) {
            Some(known) => {
                known.names.extend(names);
                known.digests.extend(digests);
            }
            None => all.push(Candidate { names, digests, platform: descriptor.platform.clone(), descriptor }),
        }
        if all.len() > limits::IMAGES {
            return Err(Fault::Limit { what: "more than 1000 images" });
        }
    }
    Ok(())
}

impl Candidate {
    fn text(&self) -> String {
        let name = self.names.first().unwrap_or(&self.descriptor.digest);
        let platform = self.platform.as_ref().map_or(String::new(), |one| format!(" for {}", one.text()));
        escaped(format!("{name}{platform}").as_bytes()).to_string()
    }
}

/// Whether a name is meant. Without a tag, it has the tag `latest`.
fn is_name(name: &str, wanted: &str) -> bool {
    name == wanted || name.strip_suffix(":latest") == Some(wanted)
}

/// The configuration and the layers of an image of `docker save`.
fn from_saved(
    files: &mut Files<'_, '_>,
    saved: Vec<Saved>,
    choice: Choice<'_>,
) -> Result<(Value, Vec<Layer>), Fault> {
    if saved.len() > limits::IMAGES {
        return Err(Fault::Limit { what: "more than 1000 images" });
    }
    let mut found = Vec::new();
    let mut all = Vec::new();
    for image in saved {
        // The name of the configuration is its digest.
        let stem = image.config.strip_suffix(".json").unwrap_or(&image.config);
        let stem = stem.strip_prefix("blobs/sha256/").unwrap_or(stem);
        let digest = Digest::parse(&format!("sha256:{stem}"));
        let missing = || Fault::NoBlob { name: escaped(image.config.as_bytes()).to_string() };
        let config: Value = files.json(&image.config, digest.as_ref())?.ok_or_else(missing)?;
        let parsed: SavedConfig = serde_json::from_value(config.clone()).map_err(|error| Fault::Json {
            name: escaped(image.config.as_bytes()).to_string(),
            reason: error.to_string(),
        })?;
        let tags = image.repo_tags.clone().unwrap_or_default();
        let name = tags.first().unwrap_or(&image.config);
        all.push(escaped(format!("{name} for {}", parsed.platform.text()).as_bytes()).to_string());
        let is_wanted = choice.image.is_none_or(|wanted| {
            let is_digest = digest.as_ref().is_some_and(|digest| digest.to_string() == wanted);
            is_digest || tags.iter().any(|tag| is_name(tag, wanted))
        });
        if is_wanted && choice.platform.is_none_or(|wanted| parsed.platform.matches(wanted)) {
            found.push((image, config, parsed, all.len() - 1));
        }
    }
    if found.len() > 1 {
        let images = found.iter().map(|(.., at)| all[*at].clone()).collect();
        return Err(Fault::Choice { several: true, images });
    }
    let Some((image, config, parsed, _)) = found.pop() else {
        return Err(Fault::Choice { several: false, images: all });
    };
    if parsed.rootfs.diff_ids.len() != image.layers.len() {
        let name = escaped(image.config.as_bytes()).to_string();
        let reason = "it does not have as many diff_ids as manifest.json has layers".to_owned();
        return Err(Fault::Json { name, reason });
    }
    let layers = image.layers.into_iter().zip(parsed.rootfs.diff_ids).map(|(name, id)| {
        let uncompressed = Some(digest(&id)?);
        Ok(Layer { name, expected: Expected { digest: None, uncompressed }, size: None })
    });
    Ok((config, layers.collect::<Result<_, _>>()?))
}
