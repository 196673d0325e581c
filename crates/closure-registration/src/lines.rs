//! Lines of text, numbered from 1.

use crate::ClosureError;
use crate::closure::Source;
use crate::place::{ClosurePlace, Place};

/// A reader of lines, without copying.
pub(crate) struct Lines<'a> {
    name: &'a str,
    rest: &'a [u8],
    /// The number of the line that was read last; 0 before the first.
    number: u64,
    line_feed_optional: bool,
}

impl<'a> Lines<'a> {
    /// Lines of a source. `line_feed_optional`: the last line may lack its line feed.
    pub(crate) fn new(source: Source<'a>, line_feed_optional: bool) -> Self {
        Self { name: source.name, rest: source.bytes, number: 0, line_feed_optional }
    }

    /// The next line without its line feed; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>, ClosureError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let line = match self.rest.iter().position(|&b| b == b'\n') {
            Some(end) => {
                let (line, rest) = self.rest.split_at(end);
                self.rest = rest.get(1..).unwrap_or_default();
                line
            }
            None if self.line_feed_optional => std::mem::take(&mut self.rest),
            None => return Err(ClosureError::CutShort { place: self.closure_place() }),
        };
        if line.ends_with(b"\r") {
            return Err(ClosureError::CarriageReturn { place: self.closure_place() });
        }
        Ok(Some(line))
    }

    /// Whether all lines were read.
    pub(crate) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn place(&self) -> Place<'a> {
        Place::Line(self.number)
    }

    /// File and line.
    pub(crate) fn closure_place(&self) -> ClosurePlace {
        self.place().of(self.name)
    }
}
