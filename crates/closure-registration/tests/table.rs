//! The cases of `tests/registrations`: each input with its expected result.
//!
//! `UPDATE_EXPECTED=1` rewrites the expected results; read the difference before you commit it.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use closure_registration::{Closure, ClosureError, ClosureErrors, InvalidStorePath, Source};
use image_tree::{Explain, Explanation, ImagePath};

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/registrations").join(kind)
}

/// The names of the cases in a folder.
fn cases(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let cases: BTreeSet<String> = files
        .map(|file| {
            let (case, extension) = file.split_once('.').unwrap();
            let known = ["registration", "store-paths", "graph.json", "expected"];
            assert!(known.contains(&extension), "{file}: not part of a case");
            case.to_owned()
        })
        .collect();
    assert!(cases.len() > 3, "{}: cases are missing", folder.display());
    cases
}

fn read(folder: &Path, case: &str) -> Result<Closure, ClosureErrors> {
    let store = ImagePath::parse(b"/nix/store").unwrap();
    let input = |extension: &str| {
        let name = format!("{case}.{extension}");
        fs::read(folder.join(&name)).ok().map(|bytes| (name, bytes))
    };
    if let Some((name, bytes)) = input("graph.json") {
        return Closure::from_graph(&name, &serde_json::from_slice(&bytes).unwrap(), &store);
    }
    let registration =
        input("registration").unwrap_or_else(|| panic!("{case}: neither graph nor registration"));
    let list = input("store-paths");
    let source = |(name, bytes)| Source { name, bytes };
    let registration = source((registration.0.as_str(), registration.1.as_slice()));
    let list = list.as_ref().map(|(name, bytes)| source((name.as_str(), bytes.as_slice())));
    Closure::from_registration(registration, list, &store)
}

/// The explanation as the program prints it. The program's tests share these cases, and its help names fields of the plan.
fn as_in_the_program(error: &ClosureError) -> Explanation {
    let explanation = error.explain();
    match error {
        ClosureError::StorePath { reason: InvalidStorePath::OtherStore { .. }, .. } => Explanation {
            help: "give paths of one store, and its directory as storeDir".to_owned(),
            ..explanation
        },
        _ => explanation,
    }
}

fn compare(folder: &Path, case: &str, actual: &str, failures: &mut Vec<String>) {
    let file = folder.join(format!("{case}.expected"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&file, actual).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if expected != actual {
        failures.push(format!("{case}: expected\n{expected}but it is\n{actual}"));
    }
}

#[test]
fn writes_the_registration_of_good_inputs() {
    let (folder, mut failures) = (folder("good"), Vec::new());
    for case in cases(&folder) {
        match read(&folder, &case) {
            Ok(closure) => {
                let text = String::from_utf8(closure.registration()).unwrap();
                compare(&folder, &case, &text, &mut failures);
            }
            Err(errors) => failures.push(format!("{case}: {errors}\n")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.concat());
}

#[test]
fn reports_all_problems_of_bad_inputs() {
    let (folder, mut failures) = (folder("bad"), Vec::new());
    for case in cases(&folder) {
        match read(&folder, &case) {
            Ok(_) => failures.push(format!("{case}: was accepted\n")),
            Err(errors) => {
                assert_eq!(errors.to_string().lines().count(), errors.iter().count(), "{case}: a line each");
                let lines: Vec<String> =
                    errors.iter().map(|error| as_in_the_program(error).to_string() + "\n").collect();
                compare(&folder, &case, &lines.concat(), &mut failures);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.concat());
}
