//! `snugfs verify`: judges an image by way of `ext4-verify`, and tells what is wrong with it.

mod judge;
mod told;

use image_reader::{Image, ReadError};

use crate::cli::VerifyArgs;
use crate::exit::{Exit, Failure, shown};
use crate::output;

use judge::Verdict;

/// Does what the command line says.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let failed = |error: ReadError| Failure::unread(&args.image, &error);
    let image = Image::open(&args.image).map_err(failed)?;
    let verdict = judge::image(&image).map_err(failed)?;
    if args.json {
        output::print(&told::json(&image, &verdict, args.used)?)?;
    }
    result(args, &image, &verdict)
}

fn result(args: &VerifyArgs, image: &Image, verdict: &Verdict) -> Result<(), Failure> {
    let name = shown(&args.image);
    let lines = told::lines(verdict, args.used);
    if verdict.is_right(args.used) {
        for note in &lines {
            crate::progress::say(&format!("snugfs: note: {name}: {}", crate::exit::one_line(note)));
        }
        if !args.json && !args.quiet {
            return output::print(&format!("ok: {}\n", told::summary(image, verdict)));
        }
        return Ok(());
    }
    Err(Failure::all(Exit::Unsound, lines.iter().map(|line| format!("{name}: {line}"))))
}
