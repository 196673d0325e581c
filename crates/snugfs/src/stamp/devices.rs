//! The list of devices: CSV or JSON.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use csv_core::ReadRecordResult;
use serde_json::Value;
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

const FORM: &str = "see docs/how-to/stamp.md for the form of the list";

/// Reads the list. File names in it start at its folder.
pub(super) fn read(list: &Path) -> Result<Vec<Device>, Failure> {
    let failed = |what: String, help: &str| Failure::new(FailureKind::Source, shown(list), what, help);
    let bytes = read_file(list).map_err(|error| failed(io_reason(&error), "name a CSV or JSON file"))?;
    let folder = list.parent().unwrap_or(Path::new(""));
    let is_json = list.extension().is_some_and(|end| end == "json");
    let found = if is_json { of_json(&bytes, folder) } else { of_csv(&bytes, folder) };
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

/// The records of a CSV file. Empty lines are none.
fn records(mut bytes: &[u8]) -> Result<Vec<Vec<String>>, Wrong> {
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

fn of_json(bytes: &[u8], folder: &Path) -> Result<Vec<Device>, Wrong> {
    let list: Value = serde_json::from_slice(bytes)
        .map_err(|error| Wrong::new("", format!("is not valid JSON: {error}"), FORM))?;
    let list = list.as_array().ok_or_else(|| Wrong::new("", "is not an array of devices", FORM))?;
    let device = |(index, device): (usize, &Value)| {
        let at = format!("[{index}]");
        let name = device.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Wrong::new(&at, "has no \"name\"", FORM))?;
        let slots = device.get("slots").and_then(Value::as_object);
        let slots = slots.ok_or_else(|| Wrong::new(&at, "has no \"slots\"", FORM))?;
        let slots = slots.iter().map(|(key, value)| {
            let at = format!("{at}.slots.{key:?}");
            let target = Target::parse(key.as_bytes()).ok_or_else(|| Wrong::new(&at, "is no path", FORM))?;
            let text = |name: &str| value.get(name).and_then(Value::as_str);
            let given = match (text("text"), text("source")) {
                (Some(text), None) => Given::Bytes(text.as_bytes().to_vec()),
                (None, Some(file)) => Given::File(PathBuf::from(folder).join(file)),
                _ => return Err(Wrong::new(&at, "has not one of \"text\" and \"source\"", FORM)),
            };
            Ok(Filling { target, given })
        });
        Ok(Device { name: name.to_owned(), slots: slots.collect::<Result<_, _>>()? })
    };
    list.iter().enumerate().map(device).collect()
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
        for (json, what) in [
            ("{}", "is not an array of devices"),
            ("[{}]", "[0]has no \"name\""),
            (r#"[{ "name": "x" }]"#, "[0]has no \"slots\""),
            (
                r#"[{ "name": "x", "slots": { "/a": {} } }]"#,
                "[0].slots.\"/a\"has not one of \"text\" and \"source\"",
            ),
        ] {
            assert_eq!(shown(of_json(json.as_bytes(), Path::new(""))).unwrap_err(), what, "{json}");
        }
    }
}
