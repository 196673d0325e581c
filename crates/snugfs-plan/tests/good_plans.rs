//! Reads the plans of `tests/plans/good`. Their values must be those of the file, or the documented defaults.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use image_tree::{ImagePath, Permissions, Timestamp, Xattr, XattrName};
use serde_json::{Value, json};
use snugfs_plan::{
    ClosurePlan, ClosureSource, Compatibility, CompressionPlan, EntryKind, FilesystemPlan, FramingPlan, Plan,
    Verify, VerityPlan, parse,
};

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: XattrName::parse(name.as_bytes()).unwrap(), value: value.to_vec() }
}

/// A closure with only a graph.
fn closure(graph: Value) -> ClosurePlan {
    ClosurePlan {
        source: ClosureSource::Graph(graph.into()),
        source_dir: "/nix/store".into(),
        store_dir: path("/nix/store"),
        place: path("/nix/store"),
        verify: Verify::Size,
        deduplicate: false,
        registration_target: Some(path("/nix-path-registration")),
        database: None,
    }
}

/// The expected plan of a file of `tests/plans/good`: the minimal plan with the file's changes.
fn expected(name: &str) -> Plan {
    let mut plan = parse(br#"{ "version": 1 }"#, Path::new("/base")).unwrap();
    let root = &mut plan.root;
    match name {
        // Only the version, sections that are null, and a key that only editors read.
        "least" | "null-sections" | "schema-for-editors" => {}
        "closure-graph-file" => {
            root.closure = Some(ClosurePlan {
                source: ClosureSource::GraphFile("/base/graph.json".into()),
                verify: Verify::None,
                registration_target: Some(path("/nix/registration")),
                ..closure(json!([]))
            });
        }
        "closure-graph-list" => {
            root.closure = Some(ClosurePlan {
                registration_target: None,
                ..closure(json!([{
                    "path": "/nix/store/5l448ds6ndqs0ncnpdljmksj740rmwlz-a",
                    "narHash": "sha256:0000000000000000000000000000000000000000000000000000",
                    "narSize": 120,
                    "references": [],
                }]))
            });
        }
        "closure-of-closure-info" => {
            let source = ClosureSource::Registration {
                registration: "/base/closure/registration".into(),
                store_paths: Some("/base/closure/store-paths".into()),
            };
            root.closure = Some(ClosurePlan { source, ..closure(json!([])) });
        }
        "structured-attributes" => root.closure = Some(closure(json!([]))),
        "filesystem" => {
            root.filesystem = FilesystemPlan {
                label: b"NIXOS_SD".to_vec(),
                free_space: 16 << 20,
                free_inodes: 0,
                size: Some(4 << 30),
                journal_size: Some(64 << 20),
                reserved: Some(125),
                timestamp: Timestamp::new(0, 0).unwrap(),
                ..root.filesystem.clone()
            };
        }
        "legacy" => {
            let compatibility = Compatibility::Legacy;
            root.filesystem = FilesystemPlan { compatibility, ..root.filesystem.clone() };
        }
        "seal" => {
            root.filesystem = sealed(&root.filesystem);
        }
        "verity" => {
            root.filesystem = FilesystemPlan {
                verity: Some(VerityPlan { salt: Some(vec![0xab, 0xcd]), uuid: None }),
                ..sealed(&root.filesystem)
            };
        }
        "output" => {
            plan.output.path = Some("/base/rootfs.img.zst".into());
            plan.output.compression = Some(CompressionPlan::Zstd { level: 19, framing: FramingPlan::Single });
        }
        other => panic!("tests/plans/good/{other}.json has no expected values here"),
    }
    plan
}

/// Plans of which only some parts are compared, as the name says.
fn check_parts(name: &str, plan: &Plan) -> bool {
    let root = &plan.root;
    match name {
        "attributes" => {
            let [(top, first), (home, second)] = &root.attributes.iter().collect::<Vec<_>>()[..] else {
                panic!("{:?}", root.attributes)
            };
            assert_eq!((*top, first.permissions), (&path("/"), Permissions::new(0o700)));
            assert_eq!((first.uid, first.gid, first.recursive), (None, None, false));
            assert_eq!((*home, second.permissions), (&path("/home/pi"), Permissions::new(0o700)));
            assert_eq!((second.uid, second.gid, second.recursive), (Some(1000), Some(100), true));
            assert_eq!(second.xattrs, [xattr("user.comment", b"hello")]);
        }
        "entries" => {
            let kinds: Vec<_> =
                root.entries.iter().map(|(path, entry)| (path.to_string(), entry.kind.clone())).collect();
            let expected = [
                ("/", EntryKind::Directory),
                ("/bin/sh", EntryKind::Symlink(b"/run/current-system/sw/bin/sh".to_vec())),
                ("/boot/kernel", EntryKind::Source(PathBuf::from("/base/kernel.img"))),
                ("/dev/console", EntryKind::Character { major: 5, minor: 1 }),
                ("/dev/sda", EntryKind::Block { major: 8, minor: 0 }),
                ("/etc/hostname", EntryKind::Text(b"board\n".to_vec())),
                ("/run/initctl", EntryKind::Fifo),
                ("/var/empty", EntryKind::Directory),
                ("/var/empty-2", EntryKind::Text(Vec::new())),
            ];
            assert_eq!(kinds, expected.map(|(path, kind)| (path.to_owned(), kind)));
            let sda = &root.entries[&path("/dev/sda")];
            assert_eq!((sda.uid, sda.gid, sda.permissions), (0, 6, None));
            assert_eq!(root.entries[&path("/run/initctl")].xattrs, [xattr("trusted.a", b"a")]);
            assert_eq!(root.entries[&path("/var/empty")].permissions, Permissions::new(0o555));
        }
        "nix-database" => {
            let closure = root.closure.as_ref().unwrap();
            assert_eq!((closure.verify, closure.deduplicate), (Verify::Size, true));
            assert_eq!((&closure.store_dir, &closure.registration_target), (&path("/opt/nix/store"), &None));
            let database = closure.database.as_ref().unwrap();
            assert_eq!(database.file, path("/opt/nix/var/nix/db/db.sqlite"));
            assert_eq!(database.schema, path("/opt/nix/var/nix/db/schema"));
        }
        "registration-in-a-directory-of-the-plan" => {
            let target = Some(path("/nix/registration"));
            assert_eq!(root.closure, Some(ClosurePlan { registration_target: target, ..closure(json!([])) }));
            assert_eq!(root.entries[&path("/nix")].kind, EntryKind::Directory);
        }
        "trees" => {
            let [files, more] = &root.trees[..] else { panic!("{:?}", root.trees) };
            assert_eq!((files.source.to_str(), &files.target), (Some("/base/files"), &ImagePath::root()));
            assert_eq!((files.keep_owner, files.keep_times, files.keep_holes), (None, None, true));
            assert_eq!((more.source.to_str(), &more.target), (Some("/srv/more"), &path("/srv")));
            assert_eq!((more.keep_owner, more.keep_times, more.keep_holes), (Some(true), Some(true), true));
            let patterns: Vec<_> = more
                .xattrs
                .iter()
                .flatten()
                .map(|pattern| (pattern.prefix.as_str(), pattern.wildcard))
                .collect();
            assert_eq!(patterns, [("user.", true), ("security.capability", false)]);
        }
        "variants" => {
            let [first, second] = &plan.variants[..] else { panic!("{:?}", plan.variants) };
            assert_eq!((first.output.as_str(), &first.label, first.entries.len()), ("card-1.img", &None, 0));
            assert_eq!(first.uuid.map(|uuid| uuid[15]), Some(0x11));
            assert_eq!((second.output.as_str(), second.uuid), ("card-2.img", None));
            let merged = plan.with_variant(second);
            assert_eq!((merged.root.filesystem.label.as_slice(), merged.variants.len()), (&b"two"[..], 0));
            assert_eq!(merged.root.filesystem.uuid, root.filesystem.uuid);
            assert_eq!(merged.root.entries[&path("/etc/id")].kind, EntryKind::Text(b"2".to_vec()));
            assert_eq!(plan.with_variant(first).root.entries, root.entries);
        }
        _ => return false,
    }
    true
}

#[test]
fn good_plans_have_the_values_of_their_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/plans/good");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let json = std::fs::read(&file).unwrap();
        let plan = parse(&json, Path::new("/base")).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        if !check_parts(name, &plan) {
            assert_eq!(plan, expected(name), "{name}");
        }
        read += 1;
    }
    assert!(read >= 15, "{read} plans");
}

#[test]
fn sizes_are_verified_unless_the_plan_says_otherwise() {
    let verify = |closure: Value| {
        let plan = json!({ "version": 1, "closure": closure }).to_string();
        parse(plan.as_bytes(), Path::new("/base")).unwrap().root.closure.unwrap().verify
    };
    assert_eq!(verify(json!({ "graph": [] })), Verify::Size);
    for (word, value) in [("none", Verify::None), ("size", Verify::Size), ("hash", Verify::Hash)] {
        assert_eq!(verify(json!({ "graph": [], "verify": word })), value, "{word}");
    }
}

/// A sealed file system, which is otherwise like this one.
fn sealed(filesystem: &FilesystemPlan) -> FilesystemPlan {
    FilesystemPlan {
        sealed: true,
        free_space: 0,
        free_inodes: 0,
        grow_to: None,
        bytes_per_inode: 64 << 20,
        journal_size: Some(0),
        // It is read-only, so nothing is reserved for root.
        reserved: Some(0),
        ..filesystem.clone()
    }
}
