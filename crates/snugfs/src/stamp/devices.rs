//! The list of devices: CSV or JSON.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use csv_core::ReadRecordResult;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use snugfs_core::{Failure, FailureKind, read_file, shown};

use super::{Filling, Given, Target};
use image_tree::io_reason;

/// A device of the list.
pub(super) struct Device {
    /// The name of its image, without the ending.
    pub(super) name: String,
    pub(super) slots: Vec<Filling>,
}

/// A place in the list, and what is wrong there.
struct Wrong {
    at: String,
    what: String,
    help: &'static str,
}

impl Wrong {
    fn new(at: impl Into<String>, what: impl Into<String>, help: &'static str) -> Self {
        Self { at: at.into(), what: what.into(), help }
    }
}

const QUOTES: &str = "put quotes around the whole field, and double those in it";
const FORM: &str = "see docs/how-to/stamp.md for the form of the list";

/// Reads the list. File names in it start at its folder.
pub(super) fn read(list: &Path) -> Result<Vec<Device>, Failure> {
    let failed = |what: String, help: &str| Failure::new(FailureKind::Source, shown(list), what, help);
    let bytes = read_file(list).map_err(|error| failed(io_reason(&error), "name a CSV or JSON file"))?;
    let folder = list.parent().unwrap_or(Path::new(""));
    // Editors of Windows write a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let is_json = list.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let found = if is_json { of_json(bytes, folder) } else { of_csv(bytes, folder) };
    let found = found.and_then(|devices| check_names(&devices).map(|()| devices));
    found.map_err(|wrong| {
        let what = if wrong.at.is_empty() { wrong.what } else { format!("{}: {}", wrong.at, wrong.what) };
        failed(what, wrong.help)
    })
}

/// Each name must be that of a file, and of one device.
fn check_names(devices: &[Device]) -> Result<(), Wrong> {
    let mut seen = HashSet::new();
    for Device { name, .. } in devices {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            let what = format!("{name:?} can't be the name of an image");
            return Err(Wrong::new("", what, "use a name without slashes that does not begin with a dot"));
        }
        if !seen.insert(name) {
            return Err(Wrong::new("", format!("two devices have the name {name:?}"), "rename one of them"));
        }
    }
    if devices.is_empty() { Err(Wrong::new("", "has no devices", FORM)) } else { Ok(()) }
}

/// Fails if quotes don't surround a whole field, which the parser accepts (RFC 4180, section 2: a quote in a field is doubled).
fn check_quotes(bytes: &[u8]) -> Result<(), Wrong> {
    #[derive(PartialEq)]
    enum At {
        Start,
        Plain,
        /// Between quotes that began in this line.
        Quoted(usize),
        /// After a quote that ends a field, or that is the first of two.
        Quote(usize),
    }
    let mut line = 1_usize;
    let mut at = At::Start;
    let wrong = |line: usize, what: &str| Err(Wrong::new(format!("line {line}"), what, QUOTES));
    for &byte in bytes {
        at = match (at, byte) {
            (At::Start, b'"') => At::Quoted(line),
            (At::Quoted(from), b'"') => At::Quote(from),
            (At::Quoted(from), _) | (At::Quote(from), b'"') => At::Quoted(from),
            (_, b',' | b'\n' | b'\r') => At::Start,
            (At::Quote(_), _) => return wrong(line, "text follows the quote at the end of a field"),
            (At::Start | At::Plain, _) => At::Plain,
        };
        line = line.saturating_add(usize::from(byte == b'\n'));
    }
    if let At::Quoted(from) = at {
        wrong(from, "the quote at the start of a field has no end")
    } else {
        Ok(())
    }
}

/// The records of a CSV file. Empty lines are none.
fn records(mut bytes: &[u8]) -> Result<Vec<Vec<String>>, Wrong> {
    check_quotes(bytes)?;
    let mut reader = csv_core::Reader::new();
    // A record is not longer than the file, and its fields end at different places or are empty.
    let (mut text, mut ends) =
        (vec![0; bytes.len().saturating_add(1)], vec![0; bytes.len().saturating_add(1)]);
    let mut records = Vec::new();
    let (mut length, mut count) = (0_usize, 0_usize);
    loop {
        let (text_left, ends_left) =
            (text.get_mut(length..).unwrap_or_default(), ends.get_mut(count..).unwrap_or_default());
        let (result, read, written, ended) = reader.read_record(bytes, text_left, ends_left);
        bytes = bytes.get(read..).unwrap_or_default();
        (length, count) = (length.saturating_add(written), count.saturating_add(ended));
        match result {
            ReadRecordResult::Record => {
                let mut start = 0;
                let fields = ends.iter().take(count).map(|&end| {
                    let field = text.get(std::mem::replace(&mut start, end)..end).unwrap_or_default();
                    String::from_utf8(field.to_vec())
                });
                let fields = fields.collect::<Result<_, _>>();
                records.push(fields.map_err(|_| Wrong::new("", "is not UTF-8", FORM))?);
                (length, count) = (0, 0);
            }
            // The next call has no bytes, which ends the last record.
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::End => return Ok(records),
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                return Err(Wrong::new("", "is not valid CSV", FORM));
            }
        }
    }
}

fn of_csv(bytes: &[u8], folder: &Path) -> Result<Vec<Device>, Wrong> {
    let mut records = records(bytes)?.into_iter();
    let headers = records.next().unwrap_or_default();
    let name = headers.iter().position(|header| header == "name");
    let name = name.ok_or_else(|| Wrong::new("", "has no column \"name\"", FORM))?;
    let mut seen = HashSet::new();
    if let Some(twice) = headers.iter().find(|header| !seen.insert(*header)) {
        return Err(Wrong::new("", format!("has two columns {twice:?}"), "remove one of them"));
    }
    let mut devices = Vec::new();
    for (record, number) in records.zip(1_u64..) {
        if record.len() != headers.len() {
            let what = format!(
                "device {number} has {} fields, but there are {} columns",
                record.len(),
                headers.len()
            );
            return Err(Wrong::new("", what, "quote commas and line ends in a field"));
        }
        let cells = headers.iter().zip(&record).enumerate().filter(|(column, _)| *column != name);
        let slots = cells.map(|(_, (header, cell))| {
            let (header, is_file) = match header.strip_prefix("file:") {
                Some(header) => (header, true),
                None => (&**header, false),
            };
            let target = Target::parse(header.as_bytes());
            let target =
                target.ok_or_else(|| Wrong::new("", format!("the column {header:?} is no path"), FORM))?;
            let given = match (is_file, &**cell) {
                (true, "") => Given::Bytes(Vec::new()),
                (true, file) => Given::File(folder.join(file)),
                (false, text) => Given::Bytes(text.as_bytes().to_vec()),
            };
            Ok(Filling { target, given })
        });
        let slots = slots.collect::<Result<_, _>>()?;
        devices.push(Device { name: record.get(name).cloned().unwrap_or_default(), slots });
    }
    Ok(devices)
}

/// A device in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    slots: Fields,
}

/// The slots of a device in JSON, in their order.
struct Fields(Vec<(String, Contents)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    text: Option<String>,
    source: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = self::Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with the paths of slots")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let (mut fields, mut seen) = (Vec::new(), HashSet::new());
                while let Some((key, contents)) = map.next_entry::<String, Contents>()? {
                    if !seen.insert(key.clone()) {
                        return Err(M::Error::custom(format!("duplicate field `{key}`")));
                    }
                    fields.push((key, contents));
                }
                Ok(self::Fields(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn of_json(bytes: &[u8], folder: &Path) -> Result<Vec<Device>, Wrong> {
    let rows: Vec<Row> = serde_json::from_slice(bytes).map_err(|error| {
        let what = if error.is_data() { error.to_string() } else { format!("is not valid JSON: {error}") };
        Wrong::new("", what, FORM)
    })?;
    let device = |(index, row): (usize, Row)| {
        let slots = row.slots.0.into_iter().map(|(key, contents)| {
            let at = format!("[{index}].slots.{key:?}");
            let target = Target::parse(key.as_bytes()).ok_or_else(|| Wrong::new(&at, "is no path", FORM))?;
            let given = match (contents.text, contents.source) {
                (Some(text), None) => Given::Bytes(text.into_bytes()),
                (None, Some(file)) if file.as_os_str().is_empty() => {
                    let help = "name a file; an empty \"text\" empties the slot";
                    return Err(Wrong::new(&at, "\"source\" is empty", help));
                }
                (None, Some(file)) => Given::File(folder.join(file)),
                _ => return Err(Wrong::new(&at, "has not one of \"text\" and \"source\"", FORM)),
            };
            Ok(Filling { target, given })
        });
        Ok(Device { name: row.name, slots: slots.collect::<Result<_, _>>()? })
    };
    rows.into_iter().enumerate().map(device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(devices: Result<Vec<Device>, Wrong>) -> Result<Vec<String>, String> {
        let given = |filling: &Filling| match &filling.given {
            Given::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Given::File(path) => path.display().to_string(),
            Given::Stdin => "-".to_owned(),
        };
        let device = |device: &Device| {
            let slots = device.slots.iter().map(|slot| format!(" {}={}", slot.target, given(slot)));
            device.name.clone() + &slots.collect::<String>()
        };
        let devices = devices.and_then(|devices| check_names(&devices).map(|()| devices));
        devices.map(|devices| devices.iter().map(device).collect()).map_err(|wrong| wrong.at + &wrong.what)
    }

    #[test]
    fn both_forms_give_the_same_devices() {
        let csv = "/etc/hostname,name,file:2:/key\n\"a,\nb\",one,k/1\n,two,\n";
        let json = r#"[{ "name": "one", "slots": { "/etc/hostname": { "text": "a,\nb" }, "2:/key": { "source": "k/1" } } },
                       { "name": "two", "slots": { "/etc/hostname": { "text": "" }, "2:/key": { "text": "" } } }]"#;
        let mut expected =
            vec!["one /etc/hostname=\"a,\\nb\" 2:/key=base/k/1", "two /etc/hostname=\"\" 2:/key=\"\""];
        assert_eq!(shown(of_csv(csv.as_bytes(), Path::new("base"))).unwrap(), expected);
        // The fields of an object are sorted.
        expected = vec!["one /etc/hostname=\"a,\\nb\" 2:/key=base/k/1", "two /etc/hostname=\"\" 2:/key=\"\""];
        let mut found = shown(of_json(json.as_bytes(), Path::new("base"))).unwrap();
        found.iter_mut().zip(&expected).for_each(|(found, expected)| {
            let sorted = |text: &str| text.split(' ').map(str::to_owned).collect::<HashSet<_>>();
            assert_eq!(sorted(found), sorted(expected));
        });
    }

    #[test]
    fn wrong_lists_are_refused() {
        for (csv, what) in [
            ("", "has no column \"name\""),
            ("name,/a\n", "has no devices"),
            ("name,/a\nx,1\nx,2\n", "two devices have the name \"x\""),
            ("name,/a\n../x,1\n", "\"../x\" can't be the name of an image"),
            ("name,a\nx,1\n", "the column \"a\" is no path"),
        ] {
            assert_eq!(shown(of_csv(csv.as_bytes(), Path::new(""))).unwrap_err(), what, "{csv:?}");
        }
        let short = shown(of_csv(b"name,/a\nx\n", Path::new(""))).unwrap_err();
        assert_eq!(short, "device 1 has 1 fields, but there are 2 columns");
        assert_eq!(shown(of_csv(b"name,/a\nx,\xff\n", Path::new(""))).unwrap_err(), "is not UTF-8");
        for (csv, what) in [
            ("name,2:/a\na,\"1\nb,2\n", "line 2the quote at the start of a field has no end"),
            ("name,/a\na,1\nb,\"1\"x\n", "line 3text follows the quote at the end of a field"),
            ("name,/a\na,\"\n\n\"\"\"x\n", "line 4text follows the quote at the end of a field"),
            ("name,/a,/a\na,1,2\n", "has two columns \"/a\""),
            ("name,/a,name\na,1,b\n", "has two columns \"name\""),
        ] {
            assert_eq!(shown(of_csv(csv.as_bytes(), Path::new(""))).unwrap_err(), what, "{csv:?}");
        }
        let list = b"name,/a\r\n\"x\",\"1\"\"\r\n,\"\r\ny,5\" disk\r\n\"\",";
        let quoted = of_csv(list, Path::new("")).ok().map(|devices| devices.len());
        assert_eq!(quoted, Some(3));
        for (json, what) in [
            ("{}", "invalid type: map, expected a sequence at line 1 column 0"),
            ("[", "is not valid JSON: EOF while parsing a list at line 1 column 1"),
            ("[{}]", "missing field `name` at line 1 column 3"),
            (r#"[{ "name": "x" }]"#, "missing field `slots` at line 1 column 16"),
            (
                r#"[{ "name": "x", "slot": {}, "slots": {} }]"#,
                "unknown field `slot`, expected `name` or `slots` at line 1 column 22",
            ),
            (r#"[{ "name": "x", "name": "y", "slots": {} }]"#, "duplicate field `name` at line 1 column 22"),
            (
                r#"[{ "name": "x", "slots": { "2:/a": { "text": "" }, "2:/a": { "text": "1" } } }]"#,
                "duplicate field `2:/a` at line 1 column 76",
            ),
            (
                r#"[{ "name": "x", "slots": { "/a": { "text": "1", "source": 5 } } }]"#,
                "invalid type: integer `5`, expected path string at line 1 column 59",
            ),
            (
                r#"[{ "name": "x", "slots": { "/a": { "text": "1", "source": "5" } } }]"#,
                "[0].slots.\"/a\"has not one of \"text\" and \"source\"",
            ),
            (
                r#"[{ "name": "x", "slots": { "/a": { "source": "" } } }]"#,
                "[0].slots.\"/a\"\"source\" is empty",
            ),
            (
                r#"[{ "name": "x", "slots": { "/a": {} } }]"#,
                "[0].slots.\"/a\"has not one of \"text\" and \"source\"",
            ),
        ] {
            assert_eq!(shown(of_json(json.as_bytes(), Path::new(""))).unwrap_err(), what, "{json}");
        }
    }
}
