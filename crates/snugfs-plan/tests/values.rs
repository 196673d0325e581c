//! Checks the values of fields: every default, every form of a closure, every kind of entry.

#![expect(clippy::unwrap_used, reason = "what a test can't do without ends it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image_tree::{ImagePath, Permissions, Timestamp, Xattr, XattrName};
use serde_json::{Value, json};
use snugfs_plan::{
    Adapter, AttributesPlan, BlobPlan, BootDirectory, BootLoaderPlan, BootPartition, ClosureSource,
    Compatibility, CompressionPlan, Entry, EntryKind, EntryNames, ExtlinuxPlan, FatPlan, Format, FramingPlan,
    GrubEfiPlan, OutputPlan, PartitionContent, PartitionType, Plan, Platforms, RoundTo, SwapPlan,
    SystemdBootPlan, TablePlan, Verify, XattrPattern, parse, schema,
};

fn read(plan: &Value) -> Plan {
    parse(plan.to_string().as_bytes(), Path::new("/base")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text.as_bytes()).unwrap()
}

fn entry(kind: EntryKind) -> Entry {
    Entry { kind, permissions: None, uid: 0, gid: 0, xattrs: Vec::new(), keep_holes: true }
}

/// An object with all defaults of the schema written out.
fn defaults_of(object: &Value) -> Value {
    let fields = object["properties"].as_object().unwrap().iter();
    fields.filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone()))).collect()
}

#[test]
fn defaults_of_the_schema_are_those_of_the_code() {
    let schema = schema();
    let section = |name: &str| &schema["properties"][name];
    let closure = &section("closure")["anyOf"][0];
    let compression = &section("output")["properties"]["compression"]["anyOf"][0]["oneOf"][0];
    let without = json!({
        "version": 1,
        "closure": { "graph": [] },
        "trees": [{ "source": "a" }],
        "entries": { "/a": { "type": "fifo" } },
        "attributes": { "/a": {} },
        "output": { "compression": { "format": "zstd" } },
    });
    let mut with = without.clone();
    let mut merge = |pointer: &str, defaults: Value| {
        assert_ne!(defaults, json!({}), "{pointer}");
        let object = with.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.extend(defaults.as_object().unwrap().clone());
    };
    merge("/closure", defaults_of(closure));
    merge("/trees/0", defaults_of(&section("trees")["items"]));
    merge("/entries/~1a", defaults_of(&section("entries")["additionalProperties"]["oneOf"][5]));
    merge("/attributes/~1a", defaults_of(&section("attributes")["additionalProperties"]));
    merge("/output/compression", defaults_of(compression));
    with["filesystem"] = defaults_of(section("filesystem"));
    assert_eq!(with["filesystem"].as_object().unwrap().len(), 14);
    assert_eq!(read(&with), read(&without));

    let mut least = json!({ "version": 1 });
    let expected = read(&least);
    least.as_object_mut().unwrap().extend(defaults_of(&schema).as_object().unwrap().clone());
    assert_eq!(least.as_object().unwrap().len(), 7);
    assert_eq!(read(&least), expected);
}

#[test]
fn least_plan_has_the_documented_defaults() {
    let plan = read(&json!({ "version": 1 }));
    assert!(plan.root.closure.is_none() && plan.root.trees.is_empty() && plan.root.entries.is_empty());
    let filesystem = &plan.root.filesystem;
    assert_eq!(filesystem.compatibility, Compatibility::Current);
    assert_eq!(filesystem.label, b"");
    assert_eq!(filesystem.uuid[..6], [0x44; 6]);
    assert_eq!(filesystem.uuid[8..], [0x88; 8]);
    assert_eq!((filesystem.free_space, filesystem.free_inodes), (32 << 20, 1024));
    assert_eq!((filesystem.size, filesystem.grow_to), (None, Some(1 << 40)));
    assert_eq!(
        (filesystem.bytes_per_inode, filesystem.journal_size, filesystem.reserved),
        (16384, None, None)
    );
    assert_eq!(filesystem.timestamp, Timestamp::STORE);
    assert_eq!((plan.output.path, plan.output.compression), (None, None));
    assert_eq!((plan.output.format, plan.output.bmap, plan.disk), (None, false, None));
}

#[test]
fn closures_come_in_three_forms() {
    let source =
        |closure: Value| read(&json!({ "version": 1, "closure": closure })).root.closure.unwrap().source;
    let registration = |store_paths| ClosureSource::Registration {
        registration: PathBuf::from("/base/c/registration"),
        store_paths,
    };
    assert_eq!(source(json!({ "registration": "c/registration" })), registration(None));
    assert_eq!(
        source(json!({ "registration": "c/registration", "storePaths": "/abs/store-paths", "graph": null })),
        registration(Some(PathBuf::from("/abs/store-paths")))
    );
    assert_eq!(source(json!({ "graph": "g.json" })), ClosureSource::GraphFile(PathBuf::from("/base/g.json")));
    let graph = json!([{ "path": "/nix/store/a", "narSize": 1 }]);
    assert_eq!(source(json!({ "graph": graph })), ClosureSource::Graph(graph.into()));
}

#[test]
fn structured_attributes_hold_the_plan_and_its_graph() {
    let graph = json!([{ "path": "/nix/store/a", "references": [] }]);
    let attributes = |name: &str| {
        json!({
            "closure": graph, "name": "image", "outputs": { "out": "/nix/store/b" },
            "plan": { "version": 1, "closure": { "graph": name } },
        })
    };
    assert_eq!(
        read(&attributes("closure")).root.closure.unwrap().source,
        ClosureSource::Graph(graph.clone().into())
    );
    assert_eq!(
        read(&attributes("./closure")).root.closure.unwrap().source,
        ClosureSource::GraphFile(PathBuf::from("/base/./closure"))
    );
    // The version of a derivation is a text.
    let mut versioned = attributes("closure");
    versioned["version"] = json!("1.2");
    assert_eq!(read(&versioned), read(&attributes("closure")));
}

#[test]
fn closure_keeps_where_its_store_stands() {
    let closure = read(&json!({ "version": 1, "closure": {
        "graph": "g", "storeDir": "/gnu/store", "sourceDir": "store", "verify": "hash", "registrationTarget": null,
    }}))
    .root
    .closure
    .unwrap();
    assert_eq!(closure.store_dir, path("/gnu/store"));
    assert_eq!(closure.source_dir, PathBuf::from("/base/store"));
    assert_eq!((closure.verify, closure.registration_target), (Verify::Hash, None));
    let closure =
        read(&json!({ "version": 1, "closure": { "graph": "g", "storeDir": "/gnu/store" }})).root.closure;
    assert_eq!(closure.unwrap().source_dir, PathBuf::from("/nix/store"));
}

#[test]
fn entries_of_every_type_are_read() {
    let plan = read(&json!({ "version": 1, "entries": {
        "/": { "type": "directory", "mode": "0700" },
        "/text": { "type": "file", "text": "grüß\u{0}\n", "uid": 4_294_967_294_u32, "gid": 1, "mode": "4755" },
        "/source": { "type": "file", "source": "k.img" },
        "/slot": { "type": "file", "slot": "64MiB" },
        "/link": { "type": "symlink", "target": "../a" },
        "/dev/c": { "type": "character", "major": 4095, "minor": 1_048_575 },
        "/dev/b": { "type": "block", "major": 0, "minor": 0 },
        "/pipe": { "type": "fifo", "xattrs": { "user.b": "Yg==", "security.x": "", "user.a": "YQ==" } },
    }}));
    let at = |text: &str| plan.root.entries[&path(text)].clone();
    let permissions = |mode| Permissions::new(mode);
    assert_eq!(at("/"), Entry { permissions: permissions(0o700), ..entry(EntryKind::Directory) });
    let text = EntryKind::Text("grüß\0\n".as_bytes().to_vec());
    assert_eq!(
        at("/text"),
        Entry {
            kind: text,
            permissions: permissions(0o4755),
            uid: u32::MAX - 1,
            gid: 1,
            xattrs: Vec::new(),
            keep_holes: true
        }
    );
    assert_eq!(at("/source"), entry(EntryKind::Source(PathBuf::from("/base/k.img"))));
    assert_eq!(at("/slot"), entry(EntryKind::Slot(64 << 20)));
    assert_eq!(at("/link"), entry(EntryKind::Symlink(b"../a".to_vec())));
    assert_eq!(at("/dev/c"), entry(EntryKind::Character { major: 4095, minor: 1_048_575 }));
    assert_eq!(at("/dev/b"), entry(EntryKind::Block { major: 0, minor: 0 }));
    let xattr =
        |name: &[u8], value: &[u8]| Xattr { name: XattrName::parse(name).unwrap(), value: value.to_vec() };
    let xattrs = vec![xattr(b"user.a", b"a"), xattr(b"user.b", b"b"), xattr(b"security.x", b"")];
    assert_eq!(at("/pipe"), Entry { xattrs, ..entry(EntryKind::Fifo) });
}

#[test]
fn trees_and_attributes_are_read() {
    let plan = read(&json!({ "version": 1,
        "trees": [
            { "source": "files" },
            { "source": "/more", "target": "/srv", "owner": "keep", "times": "keep", "holes": "fill", "oneFileSystem": false,
              "xattrs": ["user.*", "security.capability", "*"] },
        ],
        "attributes": {
            "/": { "uid": 1, "gid": 2, "mode": "755", "recursive": true, "xattrs": { "user.a": "YQ==" } },
            "/home": {},
        },
    }));
    let [files, more] = &plan.root.trees[..] else { panic!("{:?}", plan.root.trees) };
    assert_eq!((&files.source, &files.target), (&PathBuf::from("/base/files"), &ImagePath::root()));
    assert!(files.keep_owner.is_none() && files.keep_times.is_none() && files.xattrs.is_none());
    assert_eq!((&more.source, &more.target), (&PathBuf::from("/more"), &path("/srv")));
    assert!(more.keep_owner == Some(true) && more.keep_times == Some(true));
    assert!(files.keep_holes && files.one_file_system.is_none());
    assert!(!more.keep_holes && more.one_file_system == Some(false));
    let pattern = |prefix: &str, wildcard| XattrPattern { prefix: prefix.to_owned(), wildcard };
    assert_eq!(
        more.xattrs.as_deref(),
        Some(&[pattern("user.", true), pattern("security.capability", false), pattern("", true)][..])
    );

    let xattr = Xattr { name: XattrName::parse(b"user.a").unwrap(), value: b"a".to_vec() };
    let root = AttributesPlan {
        uid: Some(1),
        gid: Some(2),
        permissions: Permissions::new(0o755),
        xattrs: vec![xattr],
        recursive: true,
    };
    let nothing =
        AttributesPlan { uid: None, gid: None, permissions: None, xattrs: Vec::new(), recursive: false };
    assert_eq!(
        plan.root.attributes.into_iter().collect::<Vec<_>>(),
        [(path("/"), root), (path("/home"), nothing)]
    );
}

#[test]
fn filesystem_and_output_are_read() {
    let plan = read(&json!({ "version": 1,
        "filesystem": {
            "label": "größe_12345678", "uuid": "7F1C6C3E-52a5-4f0e-9a57-0c5d1d1a9b10", "freeSpace": "1GiB",
            "freeInodes": 4_294_967_295_u32, "size": "8GiB", "growTo": null, "bytesPerInode": "64MiB",
            "journalSize": 0, "reservedPercent": 2.125, "timestamp": 15_032_385_535_u64,
        },
        "output": { "path": "out/image.img", "compression": { "format": "zstd", "level": 22 } },
    }));
    let filesystem = plan.root.filesystem;
    assert_eq!(filesystem.label, "größe_12345678".as_bytes());
    assert_eq!(filesystem.uuid[..4], [0x7f, 0x1c, 0x6c, 0x3e]);
    assert_eq!((filesystem.free_space, filesystem.free_inodes), (1 << 30, (1 << 32) - 1));
    assert_eq!((filesystem.size, filesystem.grow_to), (Some(8 << 30), None));
    assert_eq!(filesystem.bytes_per_inode, 64 << 20);
    assert_eq!((filesystem.journal_size, filesystem.reserved), (Some(0), Some(2125)));
    assert_eq!(filesystem.timestamp.seconds(), Timestamp::MAX_SECONDS);
    assert_eq!(plan.output.path, Some(PathBuf::from("/base/out/image.img")));
    assert_eq!(
        plan.output.compression,
        Some(CompressionPlan::Zstd { level: 22, framing: FramingPlan::Single })
    );
}

#[test]
fn levels_and_their_defaults_depend_on_the_format() {
    let compression = |value: Value| {
        read(&json!({ "version": 1, "output": { "compression": value } })).output.compression.unwrap()
    };
    let zstd = |level, framing| CompressionPlan::Zstd { level, framing };
    assert_eq!(compression(json!({ "format": "zstd" })), zstd(3, FramingPlan::Single));
    assert_eq!(compression(json!({ "format": "zstd", "seekable": true })), zstd(3, FramingPlan::Seekable));
    let units = |seekable| zstd(3, FramingPlan::Units { seekable });
    assert_eq!(compression(json!({ "format": "zstd", "frames": true })), units(false));
    assert_eq!(compression(json!({ "format": "zstd", "frames": true, "seekable": true })), units(true));
    assert_eq!(compression(json!({ "format": "gzip" })), CompressionPlan::Gzip { level: 6 });
    assert_eq!(compression(json!({ "format": "gzip", "level": 1 })), CompressionPlan::Gzip { level: 1 });
    assert_eq!(compression(json!({ "format": "deflate" })), CompressionPlan::Deflate { level: 6 });
    assert_eq!(
        compression(json!({ "format": "deflate", "level": 9 })),
        CompressionPlan::Deflate { level: 9 }
    );
    assert_eq!(compression(json!({ "format": "xz" })), CompressionPlan::Xz { level: 6 });
    assert_eq!(compression(json!({ "format": "xz", "level": 0 })), CompressionPlan::Xz { level: 0 });
}

#[test]
fn a_container_is_read_with_what_it_may_have() {
    let output = |value: Value| read(&json!({ "version": 1, "output": value })).output;
    let tar = output(json!({ "format": "tar", "member": "boot/disk.raw" }));
    assert_eq!((tar.format, tar.member(Format::Tar)), (Some(Format::Tar), "boot/disk.raw"));
    assert_eq!((tar.member.is_some(), tar.adapter), (true, None));
    let vmdk = output(json!({ "format": "vmdk", "adapter": "ide", "member": null }));
    assert_eq!((vmdk.format, vmdk.adapter), (Some(Format::Vmdk), Some(Adapter::Ide)));
    assert_eq!((vmdk.member.is_some(), vmdk.member(Format::Tar)), (false, "disk.raw"));
    let ova = output(json!({ "format": "ova", "ovf": "<Envelope/>" }));
    assert_eq!((ova.format, ova.ovf.as_deref()), (Some(Format::Ova), Some("<Envelope/>")));
    assert_eq!(ova.member(Format::Ova), "disk.vmdk");
    assert_eq!(output(json!({ "adapter": null })), OutputPlan::default());
}

#[test]
fn a_disk_is_read_with_all_that_it_may_have() {
    let plan = read(&json!({ "version": 1, "disk": {
        "table": "mbr", "id": "0x2178694e",
        "partitions": [
            { "start": "8MiB", "size": "30MiB", "type": "0b", "bootable": true,
              "content": { "kind": "fat", "label": "Firmware", "id": "0x2178694E", "source": "firmware" } },
            { "type": "83", "content": { "kind": "root" } },
            { "type": "linux", "content": { "kind": "ext4", "entries": { "/a": { "type": "directory" } } } },
            { "type": "da", "size": 512 },
        ],
        "blobs": [{ "source": "u-boot.bin", "offset": "8KiB" }]
    } }));
    let disk = plan.disk.unwrap();
    assert_eq!(disk.table, TablePlan::Mbr { id: Some(0x2178_694e) });
    let [fat, root, data, empty] = disk.partitions.as_slice() else { panic!("{:?}", disk.partitions) };
    assert_eq!(
        (fat.start, fat.size, fat.kind, fat.bootable),
        (Some(8 << 20), Some(30 << 20), PartitionType::Mbr(0x0b), true)
    );
    let firmware = FatPlan {
        free_space: 0,
        source: Some("/base/firmware".into()),
        entries: BTreeMap::new(),
        label: *b"FIRMWARE   ",
        id: Some(0x2178_694e),
        bits: None,
    };
    assert_eq!(fat.content, PartitionContent::Fat(firmware));
    assert_eq!((root.start, root.size, &root.content), (None, None, &PartitionContent::Root));
    let PartitionContent::Ext4(volume) = &data.content else { panic!("{data:?}") };
    assert_eq!(
        (data.kind, volume.entries.len(), volume.filesystem.uuid[15]),
        (PartitionType::Mbr(0x83), 1, 3)
    );
    assert_ne!(volume.filesystem.uuid, plan.root.filesystem.uuid);
    assert_eq!((empty.size, &empty.content), (Some(512), &PartitionContent::Empty));
    assert_eq!(disk.blobs, [BlobPlan { source: "/base/u-boot.bin".into(), offset: 8192 }]);
}

#[test]
fn swap_areas_have_a_label_and_a_uuid() {
    let plan = read(&json!({ "version": 1, "disk": { "table": "mbr", "size": "1GiB", "partitions": [
        { "type": "83", "content": { "kind": "root" } },
        { "type": "swap", "size": "40KiB", "mountOptions": "pri=1", "content": {
            "kind": "swap", "label": "fifteen bytes 1", "uuid": "00010203-0405-0607-0809-0A0B0C0D0E0F" } },
        { "type": "82", "size": "fill", "content": { "kind": "swap", "label": "", "uuid": null } },
    ] } }));
    let disk = plan.disk.unwrap();
    let uuid = std::array::from_fn(|byte| u8::try_from(byte).unwrap());
    let swap = SwapPlan { label: b"fifteen bytes 1".to_vec(), uuid: Some(uuid) };
    assert_eq!(disk.partitions[1].content, PartitionContent::Swap(swap));
    assert_eq!(disk.partitions[1].mount_options.as_deref(), Some("pri=1"));
    assert!(disk.partitions[1].kind.is_swap() && disk.partitions[2].kind.is_swap());
    assert_eq!(disk.partitions[2].content, PartitionContent::Swap(SwapPlan::default()));
    assert_eq!(disk.partitions[2].fill, Some(1));
}

#[test]
fn sizes_of_partitions_may_follow_rules() {
    let disk = |disk: Value| read(&json!({ "version": 1, "disk": disk })).disk.unwrap();
    let rules = disk(json!({ "table": "mbr", "size": "1GiB", "partitions": [
        { "type": "c", "align": "4MiB", "content": { "kind": "fat", "freeSpace": "8MiB" } },
        { "type": "83", "size": "fill", "content": { "kind": "root" } },
        { "type": "83", "size": "fill", "weight": 3 },
    ] }));
    let [fat, root, empty] = rules.partitions.as_slice() else { panic!("{:?}", rules.partitions) };
    assert_eq!((fat.align, fat.size, fat.fill), (4 << 20, None, None));
    let PartitionContent::Fat(content) = &fat.content else { panic!("{fat:?}") };
    assert_eq!(content.free_space, 8 << 20);
    assert_eq!((root.align, root.size, root.fill), (1 << 20, None, Some(1)));
    assert_eq!((empty.size, empty.fill, rules.round_to), (None, Some(3), RoundTo::Blocks));
    let root = json!([{ "type": "83", "content": { "kind": "root" } }]);
    let rounded = |to: &str| disk(json!({ "table": "mbr", "roundTo": to, "partitions": root })).round_to;
    assert_eq!(rounded("powerOfTwo"), RoundTo::PowerOfTwo);
    assert_eq!(rounded("4MiB"), RoundTo::Multiple(4 << 20));
}

#[test]
fn a_gpt_has_guids_and_names() {
    let guid = "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10";
    let plan =
        read(&json!({ "version": 1, "disk": { "table": "gpt", "id": guid, "size": "1GiB", "partitions": [
        { "type": "esp", "size": "64MiB", "name": "boot", "content": { "kind": "fat", "bits": 32 } },
        { "type": "linux-root-x86-64", "guid": guid, "content": { "kind": "root" } },
    ] } }));
    let disk = plan.disk.unwrap();
    let bytes = 0x7f1c_6c3e_52a5_4f0e_9a57_0c5d_1d1a_9b10_u128.to_be_bytes();
    assert_eq!((disk.table, disk.size), (TablePlan::Gpt { guid: Some(bytes) }, Some(1 << 30)));
    let esp = 0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b_u128.to_be_bytes();
    assert_eq!(
        (disk.partitions[0].kind, disk.partitions[0].name.as_deref()),
        (PartitionType::Gpt(esp), Some("boot"))
    );
    assert_eq!(disk.partitions[1].guid, Some(bytes));
}

/// A plan with a boot loader, on a disk with an ESP.
fn boot_plan(boot: &Value) -> Plan {
    read(&json!({
        "version": 1,
        "closure": { "registration": "r" },
        "disk": { "table": "gpt", "partitions": [
            { "type": "esp", "content": { "kind": "fat", "entries": {
                "/EFI": { "type": "directory" },
                "/a.txt": { "type": "file", "text": "a" },
                "/b": { "type": "file", "source": "b" },
            } } },
            { "type": "linux", "content": { "kind": "root" } },
        ] },
        "boot": boot,
    }))
}

const SYSTEM: &str = "/nix/store/5l448ds6ndqs0ncnpdljmksj740rmwlz-system";

#[test]
fn fat_entries_have_only_a_kind() {
    let extlinux = boot_plan(&json!({ "kind": "extlinux", "system": SYSTEM }));
    let disk = extlinux.disk.unwrap();
    let PartitionContent::Fat(fat) = &disk.partitions[0].content else { panic!("{disk:?}") };
    assert_eq!(disk.partitions[0].size, None);
    let in_fat = |kind| Entry { keep_holes: false, ..entry(kind) };
    let expected = [
        (path("/EFI"), in_fat(EntryKind::Directory)),
        (path("/a.txt"), in_fat(EntryKind::Text(b"a".to_vec()))),
        (path("/b"), in_fat(EntryKind::Source("/base/b".into()))),
    ];
    assert_eq!(fat.entries, BTreeMap::from(expected));
}

#[test]
fn boot_loaders_have_the_defaults_of_nixos() {
    let plan = boot_plan(
        &json!({ "kind": "systemd-boot", "system": SYSTEM, "loader": "boot.efi", "timeout": null }),
    );
    let boot = plan.boot.unwrap();
    assert_eq!((boot.system, boot.generation, boot.timeout), (path(SYSTEM), 1, None));
    assert_eq!((boot.distro_name.as_str(), boot.ignore_initrd_secrets), ("NixOS", false));
    let BootLoaderPlan::SystemdBoot(loader) = boot.loader else { panic!("{:?}", boot.loader) };
    let expected = SystemdBootPlan {
        loader: "/base/boot.efi".into(),
        editor: true,
        console_mode: "keep",
        reboot_for_bitlocker: false,
        entry_names: EntryNames::Generation,
        extra_entries: BTreeMap::new(),
        extra_files: BTreeMap::new(),
    };
    assert_eq!(loader, expected);

    let plan = boot_plan(&json!({ "kind": "grub", "system": SYSTEM, "efi": { "image": "grub.efi" } }));
    let boot = plan.boot.unwrap();
    assert_eq!(boot.timeout, Some(5));
    let BootLoaderPlan::Grub(grub) = boot.loader else { panic!("{:?}", boot.loader) };
    let efi = GrubEfiPlan {
        image: "/base/grub.efi".into(),
        removable: false,
        bootloader_id: "NixOS-boot".to_owned(),
    };
    assert_eq!((grub.efi, grub.bios, grub.state), (Some(efi), None, None));
    assert_eq!(grub.boot, BootDirectory { path: path("/boot"), partition: BootPartition::Root });
    assert_eq!((grub.configuration_limit, grub.default.as_str(), grub.timeout_style), (100, "0", "menu"));
    let platforms = |efi: &str, bios: &str| Platforms { efi: efi.to_owned(), bios: bios.to_owned() };
    assert_eq!((grub.gfxmode, grub.gfxpayload), (platforms("auto", "1024x768"), platforms("keep", "text")));

    let boot = boot_plan(&json!({ "kind": "extlinux", "system": SYSTEM, "generation": 7 })).boot.unwrap();
    let extlinux = ExtlinuxPlan {
        boot: BootDirectory { path: path("/boot"), partition: BootPartition::Root },
        configuration_limit: 20,
        use_generation_device_tree: true,
        dtb_name: None,
    };
    assert_eq!((boot.generation, boot.loader), (7, BootLoaderPlan::Extlinux(extlinux)));
}
