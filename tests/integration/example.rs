//! The small example builds as its README says, and contains what its plan describes.

use std::process::Command;

use crate::support::{Run, Workspace, assert_sound, debugfs, repository, sha256};

const SYSTEM: &str = "/nix/store/5l448ds6ndqs0ncnpdljmksj740rmwlz-board-system-25.11";

#[test]
fn example_builds_from_the_root_of_the_repository() {
    let workspace = Workspace::new();
    let image = workspace.path("small.img");
    let mut command = workspace.command(["build", "examples/small/plan.json", "-o"]);
    Run::of(command.arg(&image).current_dir(repository())).succeeded();
    assert_sound(&image);
    assert_eq!(workspace.names(), ["small.img"]);
}

#[test]
fn example_contains_what_its_plan_describes() {
    let workspace = Workspace::with_small_example();
    let image = workspace.build("small.img", []);
    let filesystem = assert_sound(&image);
    let read = |path: &str| filesystem.read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(read("/etc/hostname"), b"board\n");
    assert_eq!(read("/boot/kernel"), workspace.read("kernel.txt"));
    assert_eq!(read("/.first-boot"), b"");
    assert_eq!(read("/nix-path-registration"), workspace.read("closure/registration"));
    assert_eq!(read("/nix/var/nix/profiles/system/nixos-version"), b"25.11\n");
    assert_eq!(filesystem.read_link("/bin/sh").unwrap().as_ref(), b"/nix/var/nix/profiles/system/sw/bin/sh");
    assert_eq!(filesystem.read_link(format!("{SYSTEM}/init").as_str()).unwrap().as_ref().len(), 54);
}

#[test]
fn example_has_owners_modes_and_types_of_its_plan() {
    let workspace = Workspace::with_small_example();
    let image = workspace.build("small.img", []);
    let listed = |folder: &str, name: &str| {
        // Columns of `ls -l`: inode, mode (type in its first digits), links' kind, uid, gid, size, date, time, name.
        let listing = debugfs(&image, &format!("ls -l {folder}"));
        let line = listing.lines().find(|line| line.split_whitespace().last() == Some(name));
        let fields: Vec<String> = line
            .unwrap_or_else(|| panic!("{name} is not in {folder}: {listing}"))
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        (fields[1].clone(), fields[3].clone(), fields[4].clone())
    };
    let of = |mode: &str, uid: &str, gid: &str| (mode.to_owned(), uid.to_owned(), gid.to_owned());
    assert_eq!(listed("/", "tmp"), of("41777", "0", "0"));
    assert_eq!(listed("/", "root"), of("40700", "0", "0"));
    assert_eq!(listed("/", "lost+found"), of("40700", "0", "0"));
    assert_eq!(listed("/", "nix-path-registration"), of("100444", "0", "0"));
    assert_eq!(listed("/dev", "console"), of("20600", "0", "0"));
    assert_eq!(listed("/dev", "mmcblk0"), of("60660", "0", "6"));
    assert_eq!(listed("/run", "initctl"), of("10600", "0", "0"));
    assert_eq!(listed("/var", "empty"), of("40555", "0", "0"));
    assert_eq!(listed("/home", "board"), of("40755", "1000", "100"));
    assert_eq!(listed("/home/board", "notes.txt"), of("100644", "1000", "100"));
    assert_eq!(listed("/nix/store", "7qdv2mq5jiknva4ccj9hw095w7814xgl-board-init"), of("100555", "0", "0"));
    assert_eq!(listed(SYSTEM, "nixos-version"), of("100444", "0", "0"));
    assert_eq!(listed(SYSTEM, "etc"), of("40555", "0", "0"));
    assert!(
        debugfs(&image, "stat /dev/mmcblk0").contains("179:00"),
        "{}",
        debugfs(&image, "stat /dev/mmcblk0")
    );
}

#[test]
fn example_image_does_not_depend_on_store_modes_times_or_threads() {
    use std::os::unix::fs::PermissionsExt;
    let one = Workspace::with_small_example();
    let other = Workspace::with_small_example();
    let file = other.path("store/i1jjwb3gkf5brqfzqqb36yl41bs8bfgc-greeting-2.0/share/greeting/en.txt");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o660)).unwrap();
    Run::of(Command::new("touch").args(["-d", "2001-02-03"]).arg(&file)).succeeded();
    // A file with another name is another inode, as after the optimisation of a store.
    std::fs::hard_link(&file, other.path("linked")).unwrap();
    let images = [
        one.build("a.img", ["--threads", "1"]),
        one.build("b.img", ["--threads", "7"]),
        other.build("c.img", []),
    ];
    let digests = images.map(|image| sha256(&std::fs::read(image).unwrap()));
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

#[test]
fn registration_of_the_example_is_what_its_script_computes() {
    let workspace = Workspace::with_small_example();
    let committed = ["closure/registration", "closure/store-paths"].map(|file| workspace.read(file));
    std::fs::remove_dir_all(workspace.path("closure")).unwrap();
    Run::of(&mut Command::new(workspace.path("make-registration"))).succeeded();
    assert_eq!(["closure/registration", "closure/store-paths"].map(|file| workspace.read(file)), committed);
}
