//! `snugfs help plan`: an introduction to plans, and one page per section.

use std::fmt::Write;

use snugfs_plan::{GuideField, Section, guide};

use super::wrapped;

/// The narrowest terminal that the pages fit.
const COLUMNS: usize = 80;
/// Indent of descriptions.
const INDENT: &str = "      ";

/// A small plan.
pub(super) const SMALL: &str = r#"{
  "version": 1,
  "trees": [ { "source": "files" } ],
  "output": { "path": "rootfs.img" }
}
"#;

/// A plan with the most used fields. Lines have at most 78 columns, because the page indents them.
pub(super) const FULL: &str = r#"{
  "$schema": "plan.schema.json",
  "version": 1,
  "closure": {
    "storePaths": "closure/store-paths",
    "registration": "closure/registration"
  },
  "trees": [ { "source": "files", "target": "/" } ],
  "entries": {
    "/etc/hostname": { "type": "file", "text": "board\n" },
    "/bin/sh": {
      "type": "symlink", "target": "/run/current-system/sw/bin/sh"
    },
    "/dev/console": { "type": "character", "major": 5, "minor": 1 }
  },
  "attributes": { "/home/pi": { "uid": 1000, "recursive": true } },
  "filesystem": { "label": "NIXOS_SD", "freeSpace": "64MiB" },
  "disk": {
    "table": "mbr",
    "partitions": [
      { "type": "fat16", "start": "8MiB", "size": "30MiB",
        "content": { "kind": "fat", "source": "firmware" } },
      { "type": "linux", "bootable": true, "content": { "kind": "root" } }
    ]
  },
  "output": { "path": "card.img.zst" }
}
"#;

/// Rules for every field.
pub(super) const RULES: &[&str] = &[
    "Sizes are numbers of bytes, or strings with a unit: KiB, MiB, GiB or TiB. Modes are octal strings. Paths in the \
     image begin with /. Relative host paths start at the plan's folder, or at --base-dir.",
    "Only required fields must be set. Unknown fields are errors. `snugfs check` reports all problems \
     at once.",
];

/// The introduction.
pub(super) fn page() -> String {
    let mut page = wrapped(
        "A plan is a JSON object. It lists the contents of an image, and how to make it.",
        COLUMNS,
        "",
    );
    let _ = write!(page, "\n\nA small plan, with the files of a folder:\n\n{}", indented(SMALL));
    let _ = write!(page, "\nA larger plan, for an SD card with a Nix closure:\n\n{}", indented(FULL));
    page.push_str("\nThe sections of a plan (* marks required fields):\n");
    for section in guide() {
        let _ = write!(page, "\n  {}\n{}\n", section.place, wrapped(section.about, COLUMNS, INDENT));
        let mut names: Vec<String> = Vec::new();
        for name in section.fields.iter().map(marked) {
            // Several kinds may have a field of this name.
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let _ = writeln!(page, "{}", wrapped(&format!("Fields: {}", names.join(", ")), COLUMNS, INDENT));
    }
    for rule in RULES {
        let _ = write!(page, "\n{}\n", wrapped(rule, COLUMNS, ""));
    }
    let more = format!(
        "`snugfs help plan SECTION` explains every field of a section: {}. SECTION can also be a part of these, a field or a \
         kind, such as verity, slot or swap. `man snugfs-plan` explains all of them. `snugfs schema` prints a JSON Schema for \
         editors. For the command that writes a plan, see `snugfs plan --help`.",
        names().join(", ")
    );
    let _ = write!(page, "\n{}\n", wrapped(&more, COLUMNS, ""));
    page
}

/// A field's name, with a `*` if it is required.
fn marked(field: &GuideField) -> String {
    let required = field.only_for.is_empty() && field.otherwise.as_deref() == Some("required");
    format!("{}{}", field.name, if required { "*" } else { "" })
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |text, line| text + "  " + line + "\n")
}

/// The sections that have a page: those directly below the plan.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<String> =
        guide().iter().filter_map(|section| name(section).map(str::to_owned)).collect();
    names.dedup();
    names
}

/// `disk` of `plan.disk.partitions[]`
fn name(section: &Section) -> Option<&str> {
    let rest = section.place.strip_prefix("plan.")?;
    rest.split(['.', '[']).next()
}

/// The page of a section and of the sections below it; or of all parts of the plan with this name: sections within others, fields, and
/// the fields of a kind.
pub(super) fn section(wanted: &str) -> Option<String> {
    let guide = guide();
    let mut page = String::new();
    for section in guide.iter().filter(|section| name(section) == Some(wanted)) {
        add(&mut page, section, |_| true);
    }
    if !page.is_empty() {
        return Some(page);
    }
    for section in &guide {
        let mut parts = section.place.split('.').map(|part| part.trim_end_matches("[]"));
        if parts.any(|part| part == wanted) {
            add(&mut page, section, |_| true);
        } else {
            let is_wanted = |field: &GuideField| field.name == wanted;
            let is_of_kind = |field: &GuideField| field.only_for.contains(&wanted);
            if section.fields.iter().any(is_of_kind) {
                add(&mut page, section, |field| field.only_for.is_empty() || is_of_kind(field));
            } else if section.fields.iter().any(is_wanted) {
                add(&mut page, section, is_wanted);
            }
        }
    }
    (!page.is_empty()).then_some(page)
}

/// Adds the fields of a section for which `is_shown` holds.
fn add(page: &mut String, section: &Section, is_shown: impl Fn(&GuideField) -> bool) {
    let _ = write!(
        page,
        "{}{}\n{}\n",
        if page.is_empty() { "" } else { "\n" },
        section.place,
        wrapped(section.about, COLUMNS, "  ")
    );
    for field in section.fields.iter().filter(|field| is_shown(field)) {
        let _ = write!(page, "\n{}\n", wrapped(&format!("{}: {}", field.name, terms(field)), COLUMNS, "  "));
        let _ = writeln!(page, "{}", wrapped(&field.about, COLUMNS, INDENT));
    }
}

/// The values of a field, its default, and the kinds that have it.
pub(super) fn terms(field: &GuideField) -> String {
    let otherwise = field.otherwise.iter().map(|otherwise| format!("; {otherwise}"));
    let only_for = (!field.only_for.is_empty()).then(|| format!("; only for {}", field.only_for.join(", ")));
    std::iter::once(field.values.clone()).chain(otherwise).chain(only_for).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn examples_of_the_page_are_valid_plans() {
        for example in [SMALL, FULL] {
            snugfs_plan::parse(example.as_bytes(), Path::new("/base"))
                .unwrap_or_else(|problems| panic!("{problems}"));
        }
    }

    #[test]
    fn pages_fit_a_terminal_and_every_section_has_one() {
        assert_eq!(
            names(),
            [
                "closure",
                "trees",
                "entries",
                "attributes",
                "selinux",
                "filesystem",
                "output",
                "disk",
                "boot",
                "variants"
            ]
        );
        let parts = ["verity", "swap", "slot", "partitions", "ext4"].map(str::to_owned);
        let pages = names().into_iter().chain(parts).map(|name| section(&name).unwrap()).chain([page()]);
        for page in pages {
            assert!(page.lines().all(|line| line.chars().count() <= COLUMNS), "{page}");
        }
        assert_eq!(section("folders"), None);
        let places = |wanted: &str| {
            let page = section(wanted).unwrap();
            page.lines().filter(|line| line.starts_with("plan.")).map(str::to_owned).collect::<Vec<_>>()
        };
        let content = "plan.disk.partitions[].content";
        assert_eq!(places("verity"), ["plan.filesystem", "plan.filesystem.verity", content]);
        assert_eq!(places("swap"), [content]);
        assert_eq!(places("slot"), ["plan.entries.\"PATH\"", &format!("{content}.entries.\"PATH\"")]);
        assert!(
            section("swap").unwrap().contains("  label: ") && !section("swap").unwrap().contains("  bits: ")
        );
        assert!(
            page().contains("Fields: type*, text, source, slot, holes, mode, uid, gid, xattrs, target,\n")
        );
    }
}
