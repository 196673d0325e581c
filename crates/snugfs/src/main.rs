//! The program `snugfs`: runs a command, prints its result to standard output and errors to standard error.

mod check_json;
mod cli;
mod commands;
mod excerpt;
mod exit;
mod explain;
mod flash;
mod frame_stores;
mod help;
mod image_name;
mod imager_json;
mod input;
mod inspect;
mod last_line;
mod messages;
mod output;
mod outputs;
mod progress;
mod signals;
mod stamp;
mod table;
mod terminal;
mod threads;
mod variants;
mod verify;

use std::process::ExitCode;

use snugfs_core::FailureKind;

use crate::messages::Messages;

fn main() -> ExitCode {
    exit::show_panics_in_one_line();
    signals::survive_size_limit();
    // The hook has shown a panic.
    std::panic::catch_unwind(run).unwrap_or_else(|_| exit::code(FailureKind::Internal))
}

fn run() -> ExitCode {
    let (messages, done) = match cli::parse(std::env::args_os()) {
        Ok(cli) => {
            let messages = Messages::new(cli.messages);
            let done = commands::run(&cli.command, &messages);
            (messages, done)
        }
        Err(error) => {
            (Messages::new(cli::messages_of(std::env::args_os())), cli::show(&error, std::env::args_os()))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            messages.failure(&failure);
            exit::code(failure.kind)
        }
    }
}
