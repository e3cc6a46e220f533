//! The `nearside` program: the library's work on a desktop, for people and for scripts.
//!
//! The road is always the same: parse, open the library, run one command, turn its outcome into words and an exit code.
//! A command is a file in `commands`: its arguments and a `run`. All printing is in [`output`].
//!
//! # What scripts may rely on
//! - Standard output holds the answer and nothing else; with `--json` one object, or one a line for what streams.
//! - Errors go to standard error as `error: …` and `help: …`.
//! - Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted. A reader that closes the pipe early is no failure.

mod arguments;
mod asked;
mod bytes;
mod commands;
mod failure;
mod input;
mod interrupt;
mod keys;
mod money;
mod output;
mod person;
mod progress;
mod session;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::session::Session;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(said) => {
            // Help, the version or wrong use. A closed pipe is the reader's own wish.
            let _ = said.print();
            return ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2));
        }
    };
    let mut output = Output::new(arguments.global.json);
    match run(arguments, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

fn run(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    if arguments.global.verbose {
        output::log_to_stderr();
    }
    // For Ctrl-C and for waiting; the library brings threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| nearside::Error::internal(format!("could not start the event loop: {cause}")))?;
    runtime.block_on(async {
        let mut session = Session {
            global: arguments.global,
            output,
            interrupt: Interrupt::listen()?,
        };
        let session = &mut session;
        match arguments.command {
            Command::Pull(arguments) => commands::pull::run(arguments, session).await,
            Command::Import(arguments) => commands::import::run(arguments, session).await,
            Command::Ls(arguments) => commands::ls::run(arguments, session).await,
            Command::Rm(arguments) => commands::rm::run(arguments, session).await,
            Command::Fit(arguments) => commands::fit::run(arguments, session).await,
            Command::Chat(arguments) => commands::chat::run(arguments, session).await,
            Command::Route(arguments) => commands::route::run(arguments, session).await,
            Command::Cost(arguments) => commands::cost::run(arguments, session).await,
            Command::Providers(arguments) => commands::providers::run(arguments, session).await,
            Command::Policy(arguments) => commands::policy::run(arguments, session).await,
            Command::Bench(arguments) => commands::bench::run(arguments, session).await,
            Command::Doctor(arguments) => commands::doctor::run(arguments, session).await,
            Command::Completions(arguments) => commands::completions::run(&arguments, session),
        }
    })
}
