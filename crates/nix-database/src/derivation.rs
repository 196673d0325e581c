//! Parses the outputs of a derivation, the only part of it that the database contains.
//!
//! The format (`libstore/derivations.cc`): `Derive([("out","/nix/store/…","",""),…],…`. In strings, quotes and
//! backslashes are escaped by a backslash.

/// An output of a derivation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Name of the output: `out`, `dev`, ….
    pub id: String,
    /// Store path, with the store directory.
    pub path: String,
}

/// Parses the outputs in a derivation's file, without those that have no fixed path. `None` if it is not a derivation.
#[must_use]
pub fn outputs(file: &[u8]) -> Option<Vec<Output>> {
    let mut rest = Rest(file);
    // The other form starts with the version of an experimental feature.
    if rest.take(b"DrvWithVersion(").is_some() {
        rest.string()?;
        rest.take(b",[")?;
    } else {
        rest.take(b"Derive([")?;
    }
    let mut outputs = Vec::new();
    while rest.take(b"]").is_none() {
        if !outputs.is_empty() {
            rest.take(b",")?;
        }
        rest.take(b"(")?;
        let id = rest.string()?;
        rest.take(b",")?;
        let path = rest.string()?;
        for _ in ["algorithm", "hash"] {
            rest.take(b",")?;
            rest.string()?;
        }
        rest.take(b")")?;
        // The database has each output name once.
        if outputs.iter().any(|other: &Output| other.id == id) {
            return None;
        }
        outputs.push(Output { id, path });
    }
    outputs.retain(|output| !output.path.is_empty());
    Some(outputs)
}

/// The bytes still to be parsed.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, token: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        self.take(b"\"")?;
        let mut text = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => return String::from_utf8(text).ok(),
                b'\\' => {
                    let (&escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    text.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(file: &str) -> Option<Vec<(String, String)>> {
        let outputs = outputs(file.as_bytes())?;
        Some(outputs.into_iter().map(|output| (output.id, output.path)).collect())
    }

    #[test]
    fn parses_outputs_without_those_that_have_no_path() {
        let drv = r#"Derive([("dev","/nix/store/a-x-dev","",""),("ca","","r:sha256",""),("out","/nix/store/a-\"x","r:sha256","00")],[],[],"x86_64-linux","/bin/sh",[],[])"#;
        let expected = [("dev", "/nix/store/a-x-dev"), ("out", "/nix/store/a-\"x")];
        assert_eq!(pairs(drv).unwrap(), expected.map(|(id, path)| (id.to_owned(), path.to_owned())));
        let newer = r#"DrvWithVersion("xp-dyn-drv",[("out","/nix/store/a","","")],[],[],"","",[],[])"#;
        assert_eq!(pairs(newer).unwrap().len(), 1);
        assert_eq!(pairs("Derive([],[],[],\"\",\"\",[],[])"), Some(vec![]));
    }

    #[test]
    fn rejects_what_is_not_a_derivation() {
        let drv = r#"Derive([("out","/nix/store/a","","")]"#;
        assert!(pairs(drv).is_some());
        for end in 0..drv.len() {
            assert_eq!(pairs(&drv[..end]), None, "{}", &drv[..end]);
        }
        for wrong in [
            "Derive([,(\"a\",\"b\",\"\",\"\")]",
            "Derive([(\"a\",\"b\",\"\",\"\"),(\"a\",\"c\",\"\",\"\")]",
            "Derive([(\"a\",\"b\",\"\",\"\")(\"a\",\"b\",\"\",\"\")]",
            "\u{1}",
        ] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }
}
