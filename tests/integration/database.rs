//! `plan.closure.nixDatabase`: Nix knows the store of an image without loading a registration.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::store::{base_name, plan, record, store_path, write};
use crate::support::{Run, Workspace, assert_sound, debugfs, tool};

/// Two store paths, one of which refers to itself and to the other.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    write(&workspace, "lib", "lib/libx.so", "library\n", false);
    write(
        &workspace,
        "program",
        "bin/program",
        format!("{}\n{}\n", store_path("lib"), store_path("program")),
        true,
    );
    let records = [record(&workspace, "program", &["program", "lib"]), record(&workspace, "lib", &[])];
    let mut plan = plan(&records);
    plan["closure"]["nixDatabase"] = json!(true);
    workspace.write("plan.json", plan.to_string());
    workspace
}

/// Real Nix on the store below a folder.
fn nix(root: &Path, program: &str, arguments: &[&str], input: Option<&Path>) -> Run {
    let mut command = Command::new(tool(program));
    command.args(arguments).env("NIX_REMOTE", format!("local?root={}", root.display()));
    command.env("NIX_CONFIG", "build-users-group =\nkeep-derivations = false");
    if let Some(input) = input {
        command.stdin(std::fs::File::open(input).unwrap());
    }
    Run::of(&mut command)
}

fn asked(root: &Path, arguments: &[&str]) -> Vec<String> {
    let run = nix(root, "nix-store", arguments, None).succeeded();
    run.text().lines().map(str::to_owned).collect()
}

/// Nix reads all contents and finds no problem.
fn assert_nix_agrees(root: &Path) {
    let run = nix(root, "nix-store", &["--verify", "--check-contents"], None).succeeded();
    let wrong = ["modified", "missing", "disappeared", "not valid", "error"];
    assert!(!wrong.iter().any(|word| run.stderr.contains(word)), "{}", run.stderr);
    assert!(run.stderr.contains("checking"), "{}", run.stderr);
}

#[test]
fn nix_can_use_the_store_of_an_image() {
    let workspace = workspace();
    let image = workspace.build("out.img", []);
    for (path, mode) in [("/nix/var/nix/db/db.sqlite", "0644"), ("/nix/var/nix/db", "0755")] {
        assert!(debugfs(&image, &format!("stat {path}")).contains(&format!("Mode:  {mode}")), "{path}");
    }
    let state = ["profiles", "profiles/per-user", "gcroots", "gcroots/per-user", "temproots"];
    let folders = state.iter().map(|name| format!("/nix/var/nix/{name}"));
    for path in folders.chain(["/nix/store/.links".to_owned()]) {
        let shown = debugfs(&image, &format!("stat {path}"));
        assert!(shown.contains("Type: directory    Mode:  0755"), "{path}: {shown}");
    }
    let loaded = assert_sound(&image);
    assert_eq!(loaded.read("/nix/var/nix/db/schema").unwrap(), b"10");

    let root = workspace.path("root");
    workspace.snugfs(["inspect", "out.img", "extract", "/", "-o", "root"]).succeeded();
    let (program, lib) = (store_path("program"), store_path("lib"));
    let mut both = [lib.clone(), program.clone()];
    both.sort();
    let sorted = |arguments: &[&str]| {
        let mut lines = asked(&root, arguments);
        lines.sort();
        lines
    };
    assert_eq!(sorted(&["-q", "--references", &program]), both);
    assert_eq!(sorted(&["-q", "--requisites", &program]), both);
    assert_eq!(sorted(&["-q", "--referrers", &lib]), [program.as_str()]);
    assert_eq!(asked(&root, &["-q", "--requisites", &lib]), [lib.as_str()]);
    let plan = workspace.read_json("plan.json");
    let recorded = &plan["closure"]["graph"][0];
    assert_eq!(asked(&root, &["-q", "--size", &program]), [recorded["narSize"].to_string()]);
    let hash = asked(&root, &["-q", "--hash", &program]).concat();
    let digits = hash.strip_prefix("sha256:").unwrap();
    let base16 = Run::of(Command::new(tool("nix-hash")).args(["--type", "sha256", "--to-base16", digits]));
    assert_eq!(recorded["narHash"], json!(format!("sha256:{}", base16.succeeded().text().trim())));
    assert_nix_agrees(&root);

    // The commands of a first boot, then normal use of the store.
    let registration = root.join("nix-path-registration");
    nix(&root, "nix-store", &["--load-db"], Some(&registration)).succeeded();
    assert_eq!(sorted(&["-q", "--requisites", &program]), both);
    let added = asked(&root, &["--add", workspace.path("plan.json").to_str().unwrap()]);
    std::os::unix::fs::symlink(&lib, root.join("nix/var/nix/gcroots/lib")).unwrap();
    asked(&root, &["--gc"]);
    assert!(root.join(lib.trim_start_matches('/')).exists(), "what has a root stays");
    for gone in [&program, &added[0]] {
        assert!(!root.join(gone.trim_start_matches('/')).exists(), "{gone} has no root");
        assert_ne!(nix(&root, "nix-store", &["-q", "--hash", gone], None).code, 0);
    }
    assert_nix_agrees(&root);
}

#[test]
fn nix_would_see_what_is_wrong() {
    let workspace = workspace();
    workspace.build("out.img", []);
    workspace.snugfs(["inspect", "out.img", "extract", "/", "-o", "root"]).succeeded();
    let root = workspace.path("root");
    let file = root.join("nix/store").join(base_name("lib")).join("lib/libx.so");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "another\n").unwrap();
    let run = nix(&root, "nix-store", &["--verify", "--check-contents"], None);
    assert!(run.code != 0 && run.stderr.contains("was modified"), "{}", run.stderr);
}

#[test]
fn the_database_does_not_depend_on_size_threads_or_registration() {
    let workspace = workspace();
    workspace.build("one.img", ["--threads", "1", "--report", "report.json"]);
    workspace.build("two.img", ["--threads", "7"]);
    assert!(workspace.read("one.img") == workspace.read("two.img"));
    let size: Value =
        serde_json::from_str(workspace.snugfs(["size", "plan.json", "--json"]).succeeded().text()).unwrap();
    assert_eq!(size["image"]["bytes"], workspace.read_json("report.json")["image"]["bytes"]);
    let database =
        |image: &str| assert_sound(&workspace.path(image)).read("/nix/var/nix/db/db.sqlite").unwrap();
    let with = database("one.img");
    workspace.change_plan(|plan| {
        plan["closure"]["registrationTarget"] = json!(null);
        plan["closure"]["graph"].as_array_mut().unwrap().reverse();
    });
    let without = workspace.build("without.img", []);
    assert!(database("without.img") == with);
    assert!(!assert_sound(&without).exists("/nix-path-registration").unwrap());
}

#[test]
fn the_database_is_next_to_the_store_and_conflicts_are_errors() {
    let workspace = workspace();
    workspace.change_plan(|plan| {
        plan["trees"] = json!([{ "source": "files" }]);
    });
    workspace.write("files/nix/var/nix/db/db.sqlite", "");
    let run = workspace.snugfs(["build", "plan.json", "-o", "out.img"]).failed_with(3);
    run.says("/nix/var/nix/db/db.sqlite").says("plan.closure.nixDatabase");
    std::fs::remove_dir_all(workspace.path("files")).unwrap();
    workspace.write("files/nix/var/nix/db/other", "");
    let image = workspace.build("out.img", []);
    assert!(assert_sound(&image).exists("/nix/var/nix/db/other").unwrap());
}

/// The closure of a file system that is not mounted at `/`: paths lie elsewhere, and say their prefix everywhere.
#[test]
fn the_place_of_a_closure_may_differ_from_its_prefix() {
    let workspace = workspace();
    workspace.change_plan(|plan| {
        plan["closure"]["place"] = json!("/system/nix/store");
        plan["closure"]["registrationTarget"] = json!("/registration");
    });
    let image = workspace.build("out.img", []);
    let names = ["lib", "program"].map(base_name);
    let fs = assert_sound(&image);
    assert!(fs.exists(&*format!("/system/nix/store/{}/lib/libx.so", names[0])).unwrap());
    assert!(!fs.exists("/nix").unwrap());
    let registration = String::from_utf8(fs.read("/registration").unwrap()).unwrap();
    let first: Vec<&str> = registration.lines().filter(|line| line.starts_with('/')).collect();
    assert!(first.contains(&&*store_path("lib")) && first.iter().all(|line| line.starts_with("/nix/store/")));

    // Nix agrees where the folder is the root of a machine.
    let request = format!("rdump /system {}", workspace.path("").display());
    debugfs(&image, &request);
    let root = workspace.path("system");
    assert_nix_agrees(&root);
    assert_eq!(asked(&root, &["--query", "--references", &store_path("program")]).len(), 2);

    let verify = |image: &str| workspace.snugfs(["verify", image, "--against", "plan.json"]);
    verify("out.img").succeeded();
    let mut bytes = workspace.read("out.img");
    let at = bytes.windows(8).position(|window| window == b"library\n").unwrap();
    bytes[at] ^= 1;
    workspace.write("wrong.img", bytes);
    let run = verify("wrong.img");
    let damaged = format!("/system/nix/store/{}/lib/libx.so: contents differ", names[0]);
    assert!(run.code != 0 && run.stderr.contains(&damaged), "{}", run.stderr);
    let report = workspace.snugfs(["size", "plan.json", "--json"]).succeeded();
    let report: Value = serde_json::from_str(report.text()).unwrap();
    let shown = report["storePaths"].as_array().unwrap().iter().map(|path| path["path"].as_str().unwrap());
    let mut expected = ["lib", "program"].map(store_path);
    expected.sort();
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

/// A file system that is mounted at the store.
#[test]
fn store_paths_may_lie_in_the_root() {
    let workspace = workspace();
    workspace.change_plan(|plan| {
        plan["closure"]["place"] = json!("/");
        plan["closure"]["registrationTarget"] = Value::Null;
        plan["closure"]["nixDatabase"] = json!(false);
        plan["closure"]["deduplicate"] = json!(true);
    });
    let image = workspace.build("out.img", []);
    let fs = assert_sound(&image);
    let mut names: Vec<String> = fs
        .read_dir("/")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().display().to_string())
        .filter(|name| name != "." && name != "..")
        .collect();
    names.sort();
    let mut expected = vec![base_name("lib"), base_name("program"), "lost+found".to_owned()];
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(fs.read(&*format!("/{}/lib/libx.so", base_name("lib"))).unwrap(), b"library\n");
    workspace.snugfs(["verify", "out.img", "--against", "plan.json"]).succeeded();
    workspace.snugfs(["explain", "plan.json"]).succeeded();

    // Its database has no place there.
    workspace.change_plan(|plan| plan["closure"]["nixDatabase"] = json!(true));
    let run = workspace.snugfs(["build", "plan.json", "-o", "no.img"]).failed_with(3);
    run.says("plan.closure.nixDatabase: Nix has no usual place for the database of \"/\"");
}

/// With a plan whose profiles are elsewhere.
#[test]
fn entries_of_the_plan_take_precedence_over_folders_of_nix() {
    let workspace = workspace();
    workspace.change_plan(|plan| {
        plan["entries"] = json!({
            "/nix/var/nix/profiles": { "type": "symlink", "target": "/persistent/profiles" },
            "/nix/var/nix/gcroots/per-user": { "type": "directory", "mode": "0700" },
        });
    });
    let image = workspace.build("out.img", []);
    let file_system = assert_sound(&image);
    assert_eq!(file_system.read_link("/nix/var/nix/profiles").unwrap().as_ref(), b"/persistent/profiles");
    assert!(debugfs(&image, "stat /nix/var/nix/gcroots/per-user").contains("Mode:  0700"));
    assert!(file_system.exists("/nix/var/nix/temproots").unwrap());
}

/// SQLite would replay it, even if it was written for another database.
#[test]
fn a_journal_file_next_to_the_database_is_refused() {
    let workspace = workspace();
    workspace.change_plan(|plan| {
        plan["trees"] = json!([{ "source": "files" }]);
    });
    for log in ["db.sqlite-wal", "db.sqlite-shm", "db.sqlite-journal"] {
        let file = format!("files/nix/var/nix/db/{log}");
        workspace.write(&file, "");
        let run = workspace.snugfs(["build", "plan.json", "-o", "out.img"]).failed_with(3);
        run.says("plan.closure.nixDatabase").says(log);
        std::fs::remove_file(workspace.path(&file)).unwrap();
    }
    workspace.build("out.img", []);
}

#[test]
fn a_path_with_the_name_of_a_derivation_must_be_one() {
    let workspace = Workspace::new();
    write(&workspace, "x.drv", "", "no derivation", false);
    let mut plan = plan(&[record(&workspace, "x.drv", &[])]);
    plan["closure"]["nixDatabase"] = json!(true);
    workspace.write("plan.json", plan.to_string());
    let run = workspace.snugfs(["build", "plan.json", "-o", "out.img"]).failed_with(4);
    run.says(&format!("store/{}: has the name of a derivation", base_name("x.drv")));
    workspace.change_plan(|plan| plan["closure"]["nixDatabase"] = json!(false));
    workspace.build("out.img", []);
}
