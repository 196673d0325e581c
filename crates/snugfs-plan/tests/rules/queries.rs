//! Functions of plans for other crates.

use std::path::PathBuf;

use serde_json::json;
use snugfs_plan::{
    CompressionPlan, Format, FramingPlan, OutputPlan, PartitionType, TreePlan, VolumeRef, XattrPattern,
    parse_document, parse_size,
};

use crate::support::{path, read};

#[test]
fn partition_types_have_a_use() {
    let gpt = |guid: u128| PartitionType::Gpt(guid.to_be_bytes());
    for (kind, expected) in [
        (PartitionType::Mbr(0x82), "swap"),
        (PartitionType::Mbr(0xef), "esp"),
        (PartitionType::Mbr(0x83), ""),
        (gpt(0x0657_fd6d_a4ab_43c4_84e5_0933_c84b_4f4f), "swap"),
        (gpt(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b), "esp"),
        (gpt(0xbc13_c2ff_59e6_4262_a352_b275_fd6f_7172), "xbootldr"),
        (gpt(0x2168_6148_6449_6e6f_744e_6565_6445_4649), "bios-boot"),
        (gpt(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4), ""),
    ] {
        let is = [
            ("swap", kind.is_swap()),
            ("esp", kind.is_esp()),
            ("xbootldr", kind.is_xbootldr()),
            ("bios-boot", kind.is_bios_boot()),
        ];
        for (name, is) in is {
            assert_eq!(is, name == expected, "{name} of {kind:?}");
        }
    }
}

/// Discoverable Partitions Specification: the root hash has the GUIDs of the file system and of its hash tree, but not that of a
/// signature.
#[test]
fn root_and_usr_and_their_hash_trees_are_found_by_the_root_hash() {
    let gpt = |guid: u128| PartitionType::Gpt(guid.to_be_bytes());
    for (name, kind, expected) in [
        ("root-x86-64", gpt(0x4f68_bce3_e8cd_4db1_96e7_fbca_f984_b709), true),
        ("root-x86-64-verity", gpt(0x2c73_57ed_ebd2_46d9_aec1_23d4_37ec_2bf5), true),
        ("root-x86-64-verity-sig", gpt(0x4109_2b05_9fc8_4523_994f_2def_0408_b176), false),
        ("usr-arm64", gpt(0xb0e0_1050_ee5f_4390_949a_9101_b171_04e9), true),
        ("usr-arm64-verity", gpt(0x6e11_a4e7_fbca_4ded_b9e9_e1a5_12bb_664e), true),
        ("usr-arm64-verity-sig", gpt(0xc23c_e4ff_44bd_4b00_b2d4_b41b_3419_e02a), false),
        ("home", gpt(0x933a_c7e1_2eb4_4f13_b844_0e14_e2ae_f915), false),
        ("linux of an MBR", PartitionType::Mbr(0x83), false),
    ] {
        assert_eq!(kind.is_found_by_root_hash(), expected, "{name}");
    }
}

#[test]
fn file_systems_are_found_by_the_index_of_their_partition() {
    let mut plan =
        read(&json!({ "filesystem": { "label": "root" }, "disk": { "table": "gpt", "partitions": [
        { "type": "esp", "content": { "kind": "fat" } },
        { "type": "linux", "content": { "kind": "root" } },
        { "type": "linux", "content": { "kind": "ext4", "filesystem": { "label": "data" } } },
    ] } }));
    let label = |of| plan.filesystem(of).map(|filesystem| filesystem.label.as_slice());
    assert_eq!(label(VolumeRef::Root), Some(&b"root"[..]));
    let of_partitions: Vec<_> = (0..4).map(|index| label(VolumeRef::Partition(index))).collect();
    assert_eq!(of_partitions, [None, Some(&b"root"[..]), Some(b"data"), None]);
    let all: Vec<_> = plan.filesystems_mut().map(|filesystem| filesystem.label.clone()).collect();
    assert_eq!(all, [&b"root"[..], b"data"]);
    assert_eq!(
        (VolumeRef::Root.to_string(), VolumeRef::Partition(2).to_string()),
        ("root".into(), "2".into())
    );

    let mut bare = read(&json!({}));
    assert!(bare.filesystem(VolumeRef::Root).is_some() && bare.filesystem(VolumeRef::Partition(0)).is_none());
    assert_eq!(bare.filesystems_mut().count(), 1);
}

#[test]
fn variants_are_written_next_to_the_image() {
    let variants = json!([{ "output": "1.img", "label": "one" }, { "output": "2.img" }]);
    let plan = read(&json!({ "output": { "path": "out/image.img" }, "variants": variants }));
    let files = ["/base/out/1.img", "/base/out/2.img"].map(PathBuf::from);
    assert_eq!(plan.variant_paths().collect::<Vec<_>>(), files);
    let first = plan.with_variant(&plan.variants[0]);
    assert_eq!(first.output.path.as_ref(), Some(&files[0]));
    assert_eq!(
        first.siblings,
        ["/base/out/image.img", "/base/out/1.img", "/base/out/2.img"].map(PathBuf::from)
    );
    assert_eq!((first.root.filesystem.label.as_slice(), first.variants.len()), (&b"one"[..], 0));

    let plan = read(&json!({ "variants": variants }));
    assert_eq!(plan.variant_paths().count(), 0);
    assert_eq!(plan.with_variant(&plan.variants[0]).output.path, None);
}

#[test]
fn xattr_patterns_are_whole_names_or_beginnings() {
    let pattern = |prefix: &str, wildcard| XattrPattern { prefix: prefix.to_owned(), wildcard };
    let names = ["user.", "user.a", "user.ab", "trusted.a"];
    let matched = |pattern: XattrPattern| names.map(|name| pattern.matches(name.as_bytes()));
    assert_eq!(matched(pattern("user.a", false)), [false, true, false, false]);
    assert_eq!(matched(pattern("user.a", true)), [false, true, true, false]);
    assert_eq!(matched(pattern("", true)), [true; 4]);
}

#[test]
fn disks_in_appliances_and_archives_have_usual_names() {
    let named = OutputPlan { member: Some("boot.raw".to_owned()), ..OutputPlan::default() };
    for (format, usual) in [
        (Format::Tar, "disk.raw"),
        (Format::Vmdk, "disk.raw"),
        (Format::Ova, "disk.vmdk"),
        (Format::VmdkSparse, "disk.vmdk"),
    ] {
        assert_eq!(OutputPlan::default().member(format), usual, "{format:?}");
        assert_eq!(named.member(format), "boot.raw", "{format:?}");
    }
}

#[test]
fn compressions_have_the_names_of_plans() {
    for name in ["zstd", "gzip", "xz", "deflate"] {
        let plan = read(&json!({ "output": { "compression": { "format": name } } }));
        assert_eq!(plan.output.compression.map(CompressionPlan::name), Some(name));
    }
    let zstd = CompressionPlan::Zstd { level: 3, framing: FramingPlan::Single };
    assert_eq!(zstd.name(), "zstd");
}

#[test]
fn a_new_tree_has_the_defaults_of_plans() {
    let plan = read(&json!({ "trees": [{ "source": "files", "target": "/srv" }] }));
    assert_eq!(plan.root.trees, [TreePlan::new("/base/files".into(), path("/srv"))]);
}

#[test]
fn sizes_outside_of_plans_have_the_form_of_plans() {
    assert_eq!([parse_size("16MiB"), parse_size("0"), parse_size("16MB")], [Some(16 << 20), Some(0), None]);
}

#[test]
fn documents_beside_a_plan_have_its_limits() {
    let graph = json!([{ "path": "/nix/store/a", "narSize": 1, "references": [] }]);
    assert_eq!(parse_document(graph.to_string().as_bytes()).unwrap(), graph);
    assert!(parse_document(&[b"[".repeat(128), b"]".repeat(128)].concat()).is_err());
}
