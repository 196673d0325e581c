//! Changes of a text, collected while its syntax tree is visited from the outside to the inside.

use std::cmp::Reverse;
use std::ops::Range;

use serde::Serialize;

/// Text that was put in, as bytes of the changed text.
#[derive(Serialize)]
pub struct Piece {
    pub start: usize,
    pub end: usize,
    pub mutants: Vec<u32>,
}

/// Where an edit stands among those at the same byte.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// After an expression: inner ones first, and they are visited last.
    After(Reverse<usize>),
    /// Before an expression: outer ones first.
    Before(usize),
    /// In place of something that begins here.
    Instead,
}

struct Edit {
    at: usize,
    order: Order,
    /// Bytes that are left out.
    removed: usize,
    /// What stands there, in parts with the mutants that each belongs to.
    parts: Vec<(String, Vec<u32>)>,
}

#[derive(Default)]
pub struct Edits {
    list: Vec<Edit>,
}

/// Texts with the mutants that each belongs to.
pub type Parts = Vec<(String, Vec<u32>)>;

impl Edits {
    pub fn before(&mut self, at: usize, parts: Parts) {
        let order = Order::Before(self.list.len());
        self.list.push(Edit { at, order, removed: 0, parts });
    }

    pub fn after(&mut self, at: usize, parts: Parts) {
        let order = Order::After(Reverse(self.list.len()));
        self.list.push(Edit { at, order, removed: 0, parts });
    }

    pub fn replace(&mut self, range: Range<usize>, parts: Parts) {
        self.list.push(Edit { at: range.start, order: Order::Instead, removed: range.len(), parts });
    }

    pub fn apply(mut self, text: &str) -> (String, Vec<Piece>) {
        self.list.sort_by(|a, b| (a.at, &a.order).cmp(&(b.at, &b.order)));
        let (mut result, mut pieces, mut copied) = (String::new(), Vec::new(), 0);
        for edit in self.list {
            result.push_str(&text[copied..edit.at]);
            for (part, mutants) in edit.parts {
                let start = result.len();
                // Lines keep their numbers.
                result.push_str(&part.replace('\n', " "));
                pieces.push(Piece { start, end: result.len(), mutants });
            }
            copied = edit.at + edit.removed;
        }
        result.push_str(&text[copied..]);
        (result, pieces)
    }
}
