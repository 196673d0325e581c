//! The program: words of the command line to an image, a result on standard output, or lines of what is wrong.

mod cli;
mod commands;
mod container;
mod database;
mod deduplicate;
mod disk;
mod disk_report;
mod exit;
mod explain;
mod hashed;
mod input;
mod inspect;
mod output;
mod people;
mod pipeline;
mod progress;
mod report;
mod signals;
mod table;
mod threads;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    exit::tell_panics_in_one_line();
    signals::survive_size_limit();
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
