use std::path::PathBuf;

use archive_source::Format;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Place, directory, file, shown, symlink, tar};

pub(crate) struct Layout<'p> {
    place: &'p Place,
    manifests: Vec<Value>,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The digest of a layer without its compression.
fn diff_id(layer: &[u8]) -> String {
    let plain = zstd::stream::decode_all(layer).unwrap_or_else(|_| layer.to_vec());
    format!("sha256:{}", sha256(&plain))
}

impl<'p> Layout<'p> {
    pub(crate) fn new(place: &'p Place) -> Self {
        Self { place, manifests: Vec::new() }
    }

    fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let digest = sha256(bytes);
        self.place.write(&format!("oci/blobs/sha256/{digest}"), bytes);
        json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() })
    }

    pub(crate) fn image(&mut self, name: &str, architecture: &str, layers: &[Vec<u8>]) -> Value {
        let config = json!({
            "os": "linux", "architecture": architecture,
            "config": { "User": "7", "Env": ["A=b"] },
            "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|one| diff_id(one)).collect::<Vec<_>>() },
        });
        let manifest = json!({
            "config": self.blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json"),
            "layers": layers.iter().map(|one| self.blob(one, "application/vnd.oci.image.layer.v1.tar")).collect::<Vec<_>>(),
        });
        let mut descriptor =
            self.blob(manifest.to_string().as_bytes(), "application/vnd.oci.image.manifest.v1+json");
        descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        self.manifests.push(descriptor.clone());
        descriptor
    }

    pub(crate) fn finish(&self) -> PathBuf {
        self.place.write("oci/oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        self.place.write("oci/index.json", json!({ "manifests": self.manifests }).to_string().as_bytes());
        self.place.path("oci")
    }
}

fn read(place: &Place, path: &str, image: Option<&str>, platform: Option<&str>) -> Result<String, String> {
    let read = place.read(&place.path(path), Format::Image { image, platform });
    read.map(|archive| shown(&archive)).map_err(|error| error.to_string())
}

#[test]
fn one_image_of_several_is_chosen() {
    let place = Place::new();
    let mut layout = Layout::new(&place);
    let layer = |text: &[u8]| vec![tar(&[file("which", text)])];
    let amd = layout.image("app:1", "amd64", &layer(b"amd64"));
    layout.image("app:1", "arm64", &layer(b"arm64"));
    layout.image("other:latest", "arm64", &layer(b"other"));
    layout.finish();
    let digest = amd["digest"].as_str().unwrap();
    for (image, platform, expected) in [
        (Some(digest), None, "amd64"),
        (Some("app:1"), Some("linux/arm64"), "arm64"),
        (None, Some("linux/amd64"), "amd64"),
        (Some("other"), None, "other"),
    ] {
        assert_eq!(read(&place, "oci", image, platform).unwrap(), format!("/which \"{expected}\""));
    }
    let error = |image, platform| read(&place, "oci", image, platform).unwrap_err();
    let all = error(None, None);
    assert!(
        all.contains(
            "several images that match: app:1 for linux/amd64, app:1 for linux/arm64, other:latest for"
        ),
        "{all}"
    );
    assert!(error(Some("app:1"), None).contains("several images"));
    assert!(error(Some("app"), None).contains("no images"));
    assert!(
        error(Some("app:1"), Some("linux/riscv64"))
            .contains("no image that matches, only app:1 for linux/amd64")
    );
}

#[test]
fn indices_can_be_within_indices_but_not_endlessly() {
    for (depth, is_accepted) in [(1, true), (3, true), (4, true), (5, false), (9, false)] {
        let place = Place::new();
        let mut layout = Layout::new(&place);
        layout.image("app", "amd64", &[tar(&[file("f", b"x")])]);
        for _ in 0..depth {
            let index = json!({ "manifests": layout.manifests });
            layout.manifests =
                vec![layout.blob(index.to_string().as_bytes(), "application/vnd.oci.image.index.v1+json")];
        }
        layout.finish();
        assert_eq!(read(&place, "oci", None, None).is_ok(), is_accepted, "{depth}");
    }
}

#[test]
fn attestations_are_no_images() {
    let place = Place::new();
    let mut layout = Layout::new(&place);
    layout.image("app", "amd64", &[tar(&[file("f", b"x")])]);
    layout.image("app", "other", &[tar(&[file("g", b"x")])]);
    layout.manifests[1]["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    layout.finish();
    assert_eq!(read(&place, "oci", None, None).unwrap(), "/f \"x\"");
}

#[test]
fn the_configuration_is_given_as_json() {
    let place = Place::new();
    let mut layout = Layout::new(&place);
    layout.image("app", "amd64", &[tar(&[file("f", b"x")])]);
    let archive = place.read(&layout.finish(), Format::Image { image: None, platform: None }).unwrap();
    let config: Value = serde_json::from_slice(&archive.config.unwrap()).unwrap();
    assert_eq!(config, json!({ "User": "7", "Env": ["A=b"] }));
}

#[test]
fn digests_and_lengths_are_verified() {
    let place = Place::new();
    let plain = tar(&[file("f", &[7; 5000])]);
    let zstd = zstd::bulk::compress(&plain, 1).unwrap();
    for layer in [&plain, &zstd] {
        let mut layout = Layout::new(&place);
        let manifest = layout.image("app", "amd64", std::slice::from_ref(layer));
        layout.finish();
        assert!(read(&place, "oci", None, None).is_ok());
        let blob = format!("oci/blobs/sha256/{}", sha256(layer));
        // In the contents of a file, where no other check looks, and after the end of the archive.
        let mut damaged = layer.clone();
        let at = if layer.len() > 5000 { 3000 } else { layer.len() - 1 };
        damaged[at] ^= 1;
        place.write(&blob, &damaged);
        let error = read(&place, "oci", None, None).unwrap_err();
        assert!(
            error.contains("does not have the digest") || error.contains("can't be decompressed"),
            "{error}"
        );
        for other in [&layer[..layer.len() - 1], &[layer.as_slice(), &[0]].concat()] {
            place.write(&blob, other);
            let error = read(&place, "oci", None, None).unwrap_err();
            assert!(error.contains("does not have the digest or the length of sha256:"), "{error}");
        }
        std::fs::remove_file(place.path(&blob)).unwrap();
        assert!(read(&place, "oci", None, None).unwrap_err().contains("lacks blobs/sha256/"));
        place.write(&blob, layer);
        let digest = manifest["digest"].as_str().unwrap().replace(':', "/");
        let path = place.path(&format!("oci/blobs/{digest}"));
        let mut text = std::fs::read(&path).unwrap();
        text.push(b' ');
        std::fs::write(&path, text).unwrap();
        assert!(read(&place, "oci", None, None).unwrap_err().contains("does not have the digest"));
    }
}

#[test]
fn layers_are_those_of_the_configuration() {
    let [one, two] = [tar(&[file("one", b"1")]), tar(&[file("two", b"2")])];
    for change in 0..3 {
        let place = Place::new();
        let mut layout = Layout::new(&place);
        let descriptor = layout.image("app", "amd64", &[one.clone(), two.clone()]);
        let path = format!("oci/blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"));
        let text = std::fs::read(place.path(&path)).unwrap();
        let mut manifest: Value = serde_json::from_slice(&text).unwrap();
        let layers = manifest["layers"].as_array_mut().unwrap();
        match change {
            0 => {}
            1 => drop(layers.pop()),
            _ => layers.swap(0, 1),
        }
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let mut other = layout.blob(manifest.to_string().as_bytes(), media_type);
        other["platform"] = descriptor["platform"].clone();
        layout.manifests = vec![other];
        layout.finish();
        let error = read(&place, "oci", None, None).err().unwrap_or_default();
        let says = ["", "as many diff_ids as the manifest has layers", "does not have the digest"][change];
        assert!(error.contains(says) && error.is_empty() == says.is_empty(), "{change}: {error}");
    }
}

#[test]
fn what_aufs_kept_in_its_layers_is_no_file() {
    let place = Place::new();
    let mut layout = Layout::new(&place);
    let aufs = tar(&[directory(".wh..wh.plnk"), file(".wh..wh.plnk/1", b"x"), file("f", b"x")]);
    layout.image("app", "amd64", &[aufs]);
    layout.finish();
    assert_eq!(read(&place, "oci", None, None).unwrap(), "/f \"x\"");
    let place = Place::new();
    let mut layout = Layout::new(&place);
    layout.image("app", "amd64", &[tar(&[file(".wh.a/b", b"x")])]);
    layout.finish();
    assert!(read(&place, "oci", None, None).unwrap_err().contains("has a name below a whiteout"));
}

#[test]
fn wrong_digests_are_no_paths() {
    for digest in
        ["sha256:../../../etc/passwd", "md5:00", "sha256:", "sha256:ABCDEF", "x", "sha256:/etc/passwd"]
    {
        let place = Place::new();
        let index = json!({ "manifests": [{ "digest": digest, "size": 1 }] });
        place.write("oci/index.json", index.to_string().as_bytes());
        let error = read(&place, "oci", None, None).unwrap_err();
        assert!(error.contains("is not a digest"), "{error}");
    }
}

#[test]
fn other_folders_and_damaged_json_are_named() {
    let place = Place::new();
    place.write("oci/other", b"");
    assert!(
        read(&place, "oci", None, None).unwrap_err().contains("neither the index.json of an OCI image nor")
    );
    for wrong in [&b"{"[..], b"[]", b"{\"manifests\": 1}", b"\xff"] {
        place.write("oci/index.json", wrong);
        assert!(read(&place, "oci", None, None).unwrap_err().contains("has a wrong index.json"));
    }
    place.write("oci/index.json", br#"{"manifests":[]}"#);
    assert!(read(&place, "oci", None, None).unwrap_err().contains("has no images"));
    place.write("oci/index.json", &vec![b' '; (16 << 20) + 1]);
    assert!(read(&place, "oci", None, None).unwrap_err().contains("more than 16 MiB"));
}

fn saved(place: &Place, folder: &str, layers: &[&str], layer: &[u8], diff_id: &str) {
    let config = json!({
        "os": "linux", "architecture": "amd64", "config": {},
        "rootfs": { "diff_ids": layers.iter().map(|_| diff_id).collect::<Vec<_>>() },
    })
    .to_string();
    let name = format!("{}.json", sha256(config.as_bytes()));
    place.write(&format!("{folder}/{name}"), config.as_bytes());
    place.write(&format!("{folder}/one/layer.tar"), layer);
    let manifest = json!([{ "Config": name, "RepoTags": ["app:latest"], "Layers": layers }]);
    place.write(&format!("{folder}/manifest.json"), manifest.to_string().as_bytes());
}

#[test]
fn archives_of_docker_save_are_read_and_verified() {
    let place = Place::new();
    let layer = tar(&[file("f", b"x")]);
    let id = format!("sha256:{}", sha256(&layer));
    saved(&place, "saved", &["one/layer.tar"], &layer, &id);
    for image in [None, Some("app"), Some("app:latest")] {
        assert_eq!(read(&place, "saved", image, Some("linux/amd64")).unwrap(), "/f \"x\"");
    }
    assert!(read(&place, "saved", Some("b"), None).unwrap_err().contains("only app:latest for linux/amd64"));
    // Names that lead out of the folder.
    place.write("layer.tar", &layer);
    for name in ["../layer.tar", "/etc/passwd", "one/../../layer.tar", "one//layer.tar", ""] {
        saved(&place, "saved", &[name], &layer, &id);
        let error = read(&place, "saved", None, None).unwrap_err();
        assert!(error.contains("lacks"), "{name}: {error}");
    }
    saved(&place, "saved", &["one/layer.tar"], &tar(&[file("f", b"y")]), &id);
    assert!(read(&place, "saved", None, None).unwrap_err().contains("does not have the digest"));
    saved(&place, "saved", &["one/layer.tar"], &layer, "sha256:00");
    assert!(read(&place, "saved", None, None).unwrap_err().contains("is not a digest"));
}

#[test]
fn layers_in_an_archive_can_be_symlinks_in_it() {
    let place = Place::new();
    let layer = tar(&[file("f", b"x")]);
    let config =
        json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": [format!("sha256:{}", sha256(&layer))] } })
            .to_string();
    let name = format!("{}.json", sha256(config.as_bytes()));
    let with = |target: &str, name_of_layer: &str| {
        let manifest = json!([{ "Config": name, "Layers": [name_of_layer] }]).to_string();
        tar(&[
            file(&name, config.as_bytes()),
            file("one/layer.tar", &layer),
            symlink("two/layer.tar", target),
            file("manifest.json", manifest.as_bytes()),
        ])
    };
    for (target, of_layer, is_found) in [
        ("../one/layer.tar", "two/layer.tar", true),
        ("/one/layer.tar", "two/layer.tar", true),
        ("../../../one/layer.tar", "two/layer.tar", true),
        ("layer.tar", "two/layer.tar", false),
        ("/etc/passwd", "two/layer.tar", false),
        ("x", "../one/layer.tar", false),
    ] {
        place.write("x.tar", &with(target, of_layer));
        let found = read(&place, "x.tar", None, None);
        assert_eq!(found.is_ok(), is_found, "{target}: {found:?}");
    }
}
