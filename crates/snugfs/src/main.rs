//! The program: words of the command line to an image, a result on standard output, or lines of what is wrong.

mod check_json;
mod cli;
mod commands;
mod container;
mod database;
mod deduplicate;
mod disk;
mod disk_report;
mod excerpt;
mod exit;
mod explain;
mod hashed;
mod help;
mod image_name;
mod input;
mod inspect;
mod last_line;
mod output;
mod outputs;
mod people;
mod pipeline;
mod problem;
mod progress;
mod report;
mod sbom;
mod signals;
mod table;
mod terminal;
mod threads;
mod told;
mod verify;

use std::process::ExitCode;

use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    exit::tell_panics_in_one_line();
    signals::survive_size_limit();
    match std::panic::catch_unwind(run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            told::failure(&failure);
            failure.code()
        }
        // The hook has told it.
        Err(_) => Failure::untold(Exit::Bug).code(),
    }
}

fn run() -> Result<(), Failure> {
    match cli::parse(std::env::args_os()) {
        Ok(cli) => {
            told::set_mode(cli.messages);
            commands::run(&cli.command)
        }
        Err(error) => {
            told::set_mode(cli::messages_of(std::env::args_os()));
            cli::tell(&error)
        }
    }
}
