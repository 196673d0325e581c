use crate::images::Layout;
use crate::support::{Entry, Place, directory, file, hard_link, shown, symlink, tar};
use archive_source::Format;

fn merged(layers: &[Vec<Entry>]) -> Result<String, String> {
    let place = Place::new();
    let mut layout = Layout::new(&place);
    let layers: Vec<Vec<u8>> = layers.iter().map(|layer| tar(layer)).collect();
    layout.image("app", "amd64", &layers);
    let path = layout.finish();
    let read = place.read(&path, Format::Image { image: None, platform: None });
    read.map(|archive| shown(&archive)).map_err(|error| error.to_string())
}

#[test]
fn whiteouts_hide_what_is_below_and_never_reach_the_image() {
    let lower =
        vec![directory("d"), file("d/a", b"a"), file("d/b", b"b"), file("e/x/y", b"y"), file("f", b"f")];
    let upper = vec![
        // In any order: it hides only what lower layers have.
        file("d/new", b"new"),
        file("d/.wh..wh..opq", b""),
        file("e/.wh.x", b""),
        file("e/x/z", b"z"),
        file(".wh.f", b""),
        file(".wh.nothing", b""),
        file(".wh..wh.aufs", b""),
    ];
    assert_eq!(
        merged(&[lower.clone(), upper]).unwrap(),
        "/d/ 644\n/d/new \"new\"\n/e/ implied\n/e/x/ implied\n/e/x/z \"z\""
    );
    // Below the root, everything.
    assert_eq!(merged(&[lower, vec![file(".wh..wh..opq", b""), file("g", b"")]]).unwrap(), "/g \"\"");
}

#[test]
fn upper_layers_replace_and_merge() {
    let lower = vec![
        symlink("lib", "usr/lib"),
        directory("usr/lib"),
        file("d/a", b"a"),
        file("f", b"f"),
        hard_link("h", "f"),
        file("x", b"x"),
    ];
    let upper = vec![
        file("lib/new", b"through the symlink"),
        file("d/b", b"b"),
        directory("f"),
        file("x/below", b"in place of a file"),
        hard_link("later", "h"),
        hard_link("other", "d/a"),
    ];
    assert_eq!(
        merged(&[lower, upper]).unwrap(),
        "/d/ implied\n/d/a \"a\" inode 1\n/d/b \"b\"\n/f/ 644\n/h \"f\" inode 2\n/later \"f\" inode 2\n\
         /lib -> usr/lib\n/other \"a\" inode 1\n/usr/ implied\n/usr/lib/ 644\n/usr/lib/new \"through the symlink\"\n\
         /x/ implied\n/x/below \"in place of a file\""
    );
}

#[test]
fn attributes_of_overlayfs_are_left_out() {
    let place = Place::new();
    let mut layout = Layout::new(&place);
    let entries = [
        crate::support::pax(
            b'x',
            &[("SCHILY.xattr.trusted.overlay.opaque", b"y"), ("SCHILY.xattr.trusted.t", b"t")],
        ),
        file("f", b""),
    ];
    layout.image("app", "amd64", &[tar(&entries)]);
    let path = layout.finish();
    let archive = place.read(&path, Format::Image { image: None, platform: None }).unwrap();
    let (_, target) = archive.tree.entries(archive_source::DirectoryId::ROOT).next().unwrap();
    let archive_source::Target::Inode(id) = target else { panic!("a file") };
    let xattrs = archive.tree.inode(id).xattrs.as_ref().unwrap();
    assert_eq!(***xattrs, [(b"trusted.t".to_vec(), b"t".to_vec())]);
}

#[test]
fn whiteouts_with_wrong_names_are_refused() {
    for name in [".wh.", ".wh...", ".wh.."] {
        let error = merged(&[vec![file(name, b"")]]).unwrap_err();
        assert!(error.contains("has a name"), "{name}: {error}");
    }
    let error = merged(&[vec![file("a", b"")], vec![file("a/.wh..", b"")]]).unwrap_err();
    assert!(error.contains("has a name"), "{error}");
    assert_eq!(
        merged(&[vec![file("a", b"x")], vec![file("b", b""), file(".wh.a", b"")]]).unwrap(),
        "/b \"\""
    );
}
