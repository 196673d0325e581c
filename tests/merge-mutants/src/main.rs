//! Puts the mutants of a file into its text, all at once, each behind a switch.
//!
//! Standard input is a JSON object: `text`, the file; `mutants`, from the list of cargo-mutants, each with the number of its switch as
//! `id`; and `left_out`, numbers of mutants that do not compile. Standard output is one with `text`, the changed file, in which every
//! line keeps its number; `pieces`, what was put in: `start` and `end` in bytes of that text, and the mutants it belongs to; and
//! `alone`, the mutants that must be tried alone, each with the reason.

mod edits;
mod place;

use std::io::Read;

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Input {
    text: String,
    mutants: Vec<Mutant>,
    left_out: Vec<u32>,
}

/// A mutant as cargo-mutants lists it.
#[derive(Deserialize, Clone)]
struct Mutant {
    id: u32,
    genre: String,
    span: Span,
    replacement: String,
}

#[derive(Deserialize, Clone)]
struct Span {
    start: Position,
    end: Position,
}

/// Line and column, in characters; both count from 1.
#[derive(Deserialize, Clone)]
struct Position {
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Output {
    text: String,
    pieces: Vec<edits::Piece>,
    alone: Vec<(u32, &'static str)>,
}

fn main() {
    let mut json = String::new();
    let read = std::io::stdin().read_to_string(&mut json);
    let result = read.map_err(|error| error.to_string()).and_then(|_| merge(&json));
    match result {
        Ok(output) => println!("{output}"),
        Err(why) => {
            eprintln!("merge-mutants: {why}");
            std::process::exit(2);
        }
    }
}

fn merge(json: &str) -> Result<String, String> {
    let input: Input = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let file = syn::parse_file(&input.text).map_err(|error| error.to_string())?;
    let mutants = input.mutants.into_iter().filter(|mutant| !input.left_out.contains(&mutant.id)).collect();
    let (edits, alone) = place::place(&input.text, &file, mutants);
    let (text, pieces) = edits.apply(&input.text);
    serde_json::to_string(&Output { text, pieces, alone }).map_err(|error| error.to_string())
}
