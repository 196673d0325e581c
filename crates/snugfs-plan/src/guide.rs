//! The tables as text: sections and fields of the plan for help and manual pages.

use crate::boot_tables::{BOOT_KINDS, BootKind};
use crate::choices::Words;
use crate::disk_tables::{CONTENT_KINDS, ContentKind, FAT_ENTRY_TYPES, FatEntryType, MAX_SWAP_LABEL};
use crate::partition_types;
use crate::plan_table::PLAN;
use crate::shapes::{CountRule, Field, Presence, Shape, SizeRule, Table};
use crate::tables::{
    COMPRESSIONS, CompressionKind, ENTRY_TYPES, EntryType, MAX_LABEL, MAX_RESERVED_PERCENT, VERITY, VERSION,
};
use crate::value::alternatives;

/// An object of the plan, and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its path: `plan.filesystem`, `plan.disk.partitions[]`, `plan.entries."PATH"`.
    pub place: String,
    /// Its purpose.
    pub about: &'static str,
    /// Its fields, in the order in which the documentation has them.
    pub fields: Vec<GuideField>,
}

/// A field of a [`Section`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuideField {
    /// Its key.
    pub name: &'static str,
    /// Possible values.
    pub values: String,
    /// `required` or `default 1024`; nothing for optional fields without a default.
    pub otherwise: Option<String>,
    /// The kinds of the object that have it; empty if all have it.
    pub only_for: Vec<&'static str>,
    /// What it means.
    pub about: String,
}

/// All sections of a plan, the plan itself first. A section that occurs at several places is listed once.
pub fn guide() -> Vec<Section> {
    let mut guide = Guide::default();
    guide.add("plan", "The contents of an image, and how to make it.", &PLAN);
    guide.sections
}

/// Collects sections on a walk through the tables.
#[derive(Default)]
struct Guide {
    sections: Vec<Section>,
    /// Tables that have been added.
    added: Vec<*const Table>,
}

impl Guide {
    /// Adds a table and, after it, those of its fields.
    fn add(&mut self, place: &str, about: &'static str, table: &'static Table) {
        if !self.is_first(table) {
            return;
        }
        let fields = table.fields.iter().map(|field| guide_field(field, Vec::new())).collect();
        self.sections.push(Section { place: place.to_owned(), about, fields });
        self.add_below(place, table);
    }

    /// Whether this is the first call for this table.
    fn is_first(&mut self, table: &'static Table) -> bool {
        let table = std::ptr::from_ref(table);
        let is_first = !self.added.contains(&table);
        self.added.push(table);
        is_first
    }

    fn add_below(&mut self, place: &str, table: &'static Table) {
        for field in table.fields {
            let here = format!("{place}.{}", field.name);
            match field.shape {
                Shape::Object(table) => self.add(&here, field.about, table),
                Shape::Verity => self.add(&here, field.about, &VERITY),
                Shape::List(table) => self.add(&format!("{here}[]"), field.about, table),
                Shape::ByPath(table) => self.add(&format!("{here}.\"PATH\""), field.about, table),
                Shape::Entries => {
                    let kinds = Kinds::new("type", &ENTRY_TYPES, EntryType::table);
                    self.add_kinds(&format!("{here}.\"PATH\""), field.about, &kinds);
                }
                Shape::FatEntries => {
                    let kinds = Kinds::new("type", &FAT_ENTRY_TYPES, FatEntryType::table);
                    self.add_kinds(&format!("{here}.\"PATH\""), field.about, &kinds);
                }
                Shape::Boot => {
                    let kinds = Kinds::new("kind", &BOOT_KINDS, BootKind::table);
                    self.add_kinds(&here, field.about, &kinds);
                }
                Shape::Content => {
                    let kinds = Kinds::new("kind", &CONTENT_KINDS, ContentKind::table);
                    self.add_kinds(&here, field.about, &kinds);
                }
                Shape::Compression => {
                    let kinds = Kinds::new("format", &COMPRESSIONS, CompressionKind::table);
                    self.add_kinds(&here, field.about, &kinds);
                }
                _ => (),
            }
        }
    }

    /// Adds an object of several kinds as one section.
    fn add_kinds(&mut self, place: &str, about: &'static str, kinds: &Kinds) {
        if kinds.kinds.first().is_some_and(|(_, table)| !self.is_first(table)) {
            return;
        }
        self.sections.push(Section { place: place.to_owned(), about, fields: kinds.fields() });
        for (_, table) in &kinds.kinds {
            self.add_below(place, table);
        }
    }
}

/// An object of several kinds.
struct Kinds {
    /// The field that selects the kind.
    key: &'static str,
    /// Its words, and the fields of each.
    kinds: Vec<(&'static str, &'static Table)>,
}

impl Kinds {
    fn new<T: Copy>(key: &'static str, words: &Words<T>, table: fn(T) -> &'static Table) -> Self {
        Self { key, kinds: words.0.iter().map(|&(word, kind)| (word, table(kind))).collect() }
    }

    /// The fields of all kinds, each once.
    fn fields(&self) -> Vec<GuideField> {
        let mut fields: Vec<GuideField> = Vec::new();
        for &(word, table) in &self.kinds {
            for field in table.fields {
                // The field that selects the kind has another text in each.
                let same = |known: &&mut GuideField| {
                    known.name == field.name && (field.name == self.key || known.about == field.about)
                };
                match fields.iter_mut().find(same) {
                    Some(known) => known.only_for.push(word),
                    None => fields.push(guide_field(field, vec![word])),
                }
            }
        }
        for field in &mut fields {
            if field.name == self.key {
                field.about = self.meanings();
            }
            if field.only_for.len() == self.kinds.len() {
                field.only_for.clear();
            }
        }
        fields
    }

    /// `file: a regular file; directory: a directory.`
    fn meanings(&self) -> String {
        let meanings = self.kinds.iter().filter_map(|(word, table)| {
            table.field(self.key).map(|field| format!("{word}: {}", within_a_sentence(field.about)))
        });
        meanings.collect::<Vec<_>>().join("; ") + "."
    }
}

fn within_a_sentence(text: &str) -> String {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn guide_field(field: &Field, only_for: Vec<&'static str>) -> GuideField {
    let null = if field.nullable { ", or null" } else { "" };
    GuideField {
        name: field.name,
        values: format!("{}{null}", values(&field.shape)),
        otherwise: match field.presence {
            Presence::Required(_) => Some("required".to_owned()),
            Presence::Optional => None,
            Presence::Default(json) => Some(format!("default {json}")),
        },
        only_for,
        about: field.about.to_owned(),
    }
}

/// The values that a shape allows, in a few words.
fn values(shape: &Shape) -> String {
    match shape {
        Shape::Version => VERSION.to_string(),
        Shape::HostPath => "host path".to_owned(),
        Shape::ImagePath => "path in the image".to_owned(),
        Shape::Graph => "host path, key, or list".to_owned(),
        Shape::Word(words) => alternatives(&words.keys()),
        Shape::Size(rule) => size(rule),
        Shape::SizeOr(rule, word) => format!("{} or \"{word}\"", size(rule)),
        Shape::Count(CountRule { min, max }) => format!("whole number from {min} to {max}"),
        Shape::Number(numbers) => numbers.keys().iter().map(u64::to_string).collect::<Vec<_>>().join(" or "),
        Shape::Percent => format!("number from 0 to {MAX_RESERVED_PERCENT}"),
        Shape::Mode => "mode such as \"0644\"".to_owned(),
        Shape::Uuid => "UUID".to_owned(),
        Shape::Verity => "true, false or object".to_owned(),
        Shape::Salt => "hexadecimal digits".to_owned(),
        Shape::VolumeRef => "\"root\", or index of a partition".to_owned(),
        Shape::Label => format!("string of at most {MAX_LABEL} bytes"),
        Shape::SwapLabel => format!("string of at most {MAX_SWAP_LABEL} bytes"),
        Shape::Text
        | Shape::LinkTarget
        | Shape::PartitionName
        | Shape::FatLabel
        | Shape::Member
        | Shape::FileName => "string".to_owned(),
        Shape::Xattrs => "object of names and base64 values".to_owned(),
        Shape::Patterns => "list of patterns such as \"*.pyc\"".to_owned(),
        Shape::XattrPatterns => "list of strings such as \"user.*\"".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Object(_) | Shape::Content | Shape::Compression | Shape::Boot => "object".to_owned(),
        Shape::List(_) => "list of objects".to_owned(),
        Shape::Texts => "object of names and strings".to_owned(),
        Shape::TextList => "list of strings".to_owned(),
        Shape::HostPaths => "object of paths and host paths".to_owned(),
        Shape::ByPath(_) | Shape::Entries | Shape::FatEntries => {
            "object of paths in the image and objects".to_owned()
        }
        Shape::DiskId => "number, string such as \"0x2178694e\" or GUID".to_owned(),
        Shape::PartitionType => {
            let name = partition_types::GPT.first().map_or("esp", |named| named.0);
            format!("string such as \"83\" or \"{name}\" or GUID")
        }
    }
}

fn size(rule: &SizeRule) -> String {
    let zero = if rule.or_zero { "0 or " } else { "" };
    format!("{zero}size such as \"16MiB\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_share_their_fields_and_keep_their_own() {
        let sections = guide();
        let entries = sections.iter().find(|section| section.place == "plan.entries.\"PATH\"").unwrap();
        let field = |name| entries.fields.iter().find(|field| field.name == name).unwrap();
        assert_eq!(field("mode").only_for, [""; 0]);
        assert_eq!(field("target").only_for, ["symlink"]);
        assert_eq!(field("major").only_for, ["character", "block"]);
        assert!(field("type").about.contains("; fifo: a named pipe; fstab: "), "{}", field("type").about);
    }
}
