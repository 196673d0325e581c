//! Descriptors of VMDK files, which have the geometry that a controller reports.

use image_containers::{Adapter, SparseVmdk, StreamVmdk};
use image_tree::{Content, PackedFormat, Uuid};

use crate::support::{Bytes, Image, Reader};

const ID: Uuid = Uuid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");

/// The descriptor at sector 1, which NULs fill up to its end.
fn text(file: &[u8]) -> String {
    let area = &file[512..21 * 512];
    let end = area.iter().position(|byte| *byte == 0).unwrap();
    assert!(area[end..].iter().all(|byte| *byte == 0));
    String::from_utf8(area[..end].to_vec()).unwrap()
}

fn stream(sectors: u64, id: Uuid, adapter: Adapter) -> String {
    let mut bytes = Vec::new();
    StreamVmdk::new(sectors * 512, id).unwrap().with_adapter(adapter).begin(&mut bytes);
    assert_eq!(bytes.len(), 128 * 512);
    assert!(bytes[21 * 512..].iter().all(|byte| *byte == 0));
    text(&bytes)
}

fn expected(kind: &str, name: &str, sectors: u64, geometry: [u64; 3], adapter: &str) -> String {
    let [cylinders, heads, per_track] = geometry;
    format!(
        "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=01234567\nparentCID=ffffffff\ncreateType=\"{kind}\"\n\n\
         # Extent description\nRW {sectors} SPARSE \"{name}\"\n\n# The Disk Data Base\n#DDB\n\n\
         ddb.longContentID = \"0123456789abcdef0123456789abcdef\"\nddb.virtualHWVersion = \"4\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"{heads}\"\nddb.geometry.sectors = \"{per_track}\"\n\
         ddb.adapterType = \"{adapter}\"\nddb.toolsVersion = \"2147483647\"\n\
         ddb.uuid.image=\"01234567-89ab-cdef-0123-456789abcdef\"\n\
         ddb.uuid.parent=\"00000000-0000-0000-0000-000000000000\"\n\
         ddb.uuid.modification=\"00000000-0000-0000-0000-000000000000\"\n\
         ddb.uuid.parentmodification=\"00000000-0000-0000-0000-000000000000\"\n"
    )
}

#[test]
fn a_descriptor_identifies_the_disk() {
    let sectors = (8 << 30) / 512;
    let lsilogic = expected("streamOptimized", "disk.vmdk", sectors, [1045, 255, 63], "lsilogic");
    assert_eq!(stream(sectors, ID, Adapter::default()), lsilogic);
    let image = Image(vec![(Content::Unused, 8 << 30)]);
    let vmdk = SparseVmdk::new(&image, ID, "vm-1.vmdk").unwrap();
    let usual = expected("monolithicSparse", "vm-1.vmdk", sectors, [1045, 255, 63], "lsilogic");
    assert_eq!(text(&Reader::of(&vmdk).bytes(0, 21 * 512)), usual);
    let ide = expected("monolithicSparse", "vm-1.vmdk", sectors, [16_383, 16, 63], "ide");
    assert_eq!(text(&Reader::of(&vmdk.with_adapter(Adapter::Ide)).bytes(0, 21 * 512)), ide);
}

/// Up to 65,535 cylinders of 255 heads, or 16,383 of 16 for IDE. The last cylinder may be incomplete.
#[test]
fn the_geometry_is_that_of_the_controller() {
    let (scsi, ide) = (255 * 63, 16 * 63);
    for (adapter, name, sectors, geometry) in [
        (Adapter::Lsilogic, "lsilogic", scsi, [1, 255, 63]),
        (Adapter::Lsilogic, "lsilogic", scsi + 1, [2, 255, 63]),
        (Adapter::Buslogic, "buslogic", 65_534 * scsi, [65_534, 255, 63]),
        (Adapter::Pvscsi, "pvscsi", 65_535 * scsi + 1, [65_535, 255, 63]),
        (Adapter::Ide, "ide", ide + 1, [2, 16, 63]),
        (Adapter::Ide, "ide", 16_382 * ide, [16_382, 16, 63]),
        (Adapter::Ide, "ide", 16_383 * ide + 1, [16_383, 16, 63]),
    ] {
        let expected = expected("streamOptimized", "disk.vmdk", sectors, geometry, name);
        assert_eq!(stream(sectors, ID, adapter), expected);
    }
}

/// The two highest numbers mean that there is no parent, and that the contents are not known yet.
#[test]
fn the_number_of_the_contents_is_below_the_two_that_have_another_meaning() {
    for (last, number) in [(0xfc, "fffffffc"), (0xfd, "fffffffd"), (0xfe, "fffffffd"), (0xff, "fffffffd")] {
        let mut id = [0xff; 16];
        id[3] = last;
        assert!(stream(1, Uuid(id), Adapter::default()).contains(&format!("\nCID={number}\n")));
    }
}
