//! The body for paths and names, and their display.

use image_tree::{ImagePath, Name, XattrName, escaped};

use crate::{Outcome, assert_one_line};

/// Parses bytes as a path, a name and the name of an attribute, and displays them in a message.
pub fn names(bytes: &[u8]) -> Outcome {
    let shown = escaped(bytes).to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    assert!(shown.len() <= bytes.len().saturating_mul(4), "{shown:?}");

    match Name::new(bytes) {
        Ok(name) => {
            assert!(bytes.len() <= Name::MAX_LEN && !bytes.contains(&b'/') && !bytes.contains(&0));
            assert!(bytes != b"." && bytes != b".." && usize::from(name.len_u8()) == bytes.len());
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    match XattrName::parse(bytes) {
        Ok(name) => assert_one_line(&name.to_string()),
        Err(error) => assert_one_line(&error.to_string()),
    }
    match ImagePath::parse(bytes) {
        Ok(path) => {
            assert_eq!(path.as_bytes(), bytes);
            assert_eq!(path.parts().fold(ImagePath::root(), |path, name| path.join(name)), path);
            assert!(path.starts_with(&ImagePath::root()) && path.starts_with(&path));
            if let Some((parent, name)) = path.split_last() {
                assert_eq!(parent.join(name), path);
                assert!(parent < path && path.starts_with(&parent) && !parent.starts_with(&path));
            } else {
                assert!(path.is_root());
            }
            assert_one_line(&path.to_string());
            Outcome::Accepted
        }
        Err(error) => {
            assert_one_line(&error.to_string());
            Outcome::Refused
        }
    }
}
