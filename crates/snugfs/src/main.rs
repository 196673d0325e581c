//! The program: words of the command line to an image, a result on standard output, or lines of what is wrong.

mod cli;
mod commands;
mod container;
mod disk;
mod disk_report;
mod exit;
mod hashed;
mod input;
mod inspect;
mod output;
mod people;
mod pipeline;
mod progress;
mod report;
mod table;
mod threads;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    exit::tell_panics_in_one_line();
    // Without a handler, a file that becomes longer than `ulimit -f` would end the process without a word; with one, the
    // write fails and is told. The flag itself is of no interest, and without a handler nothing worse happens.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    match std::panic::catch_unwind(run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            for line in failure.lines() {
                progress::say(&line);
            }
            failure.code()
        }
        // The hook has told it.
        Err(_) => Failure::untold(Exit::Bug).code(),
    }
}

fn run() -> Result<(), Failure> {
    match Cli::try_parse() {
        Ok(cli) => commands::run(&cli.command),
        Err(error) => cli::tell(&error),
    }
}
