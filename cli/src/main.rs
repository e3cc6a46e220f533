//! The `nearside` program: the library on a desktop, for users and for scripts.
//!
//! `main` parses the command line ([`commands::Cli`]) and executes one command. A command is a file in `commands`: its
//! arguments and its function. All printing is in [`output`]; only `env` reads the environment.
//!
//! # Contract for scripts
//! - Standard output holds the answer and nothing else; with `--json` one object, or one per line for what streams.
//! - Errors go to standard error as `error: …` and `help: …`; with `--json` the last line of standard output is
//!   `{"error": {…}}` as well.
//! - Exit codes: 0 success, 1 failure, 2 wrong use, 130 interrupted. A reader that closes the pipe early is no failure.

mod args;
mod commands;
mod env;
mod error;
mod format;
mod input;
mod interrupt;
mod keys;
mod output;
mod progress;
mod prompt;
mod session;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use nearside::Error;

use crate::commands::Cli;
use crate::error::{CliError, HelpContext, JsonFailure};
use crate::interrupt::Interrupt;
use crate::output::Printer;
use crate::session::CliSession;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help, the version or wrong use. A closed pipe is not an error here either.
            let _ = error.print();
            if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
                print_usage_error(&error);
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (json, help) = (cli.global.json, cli.command.help_context());
    match run_cli(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Printer::new(json, help).print_error(&error);
            error.exit_code()
        }
    }
}

/// Prints wrong use as JSON. The text is the first paragraph of that on standard error.
fn print_usage_error(error: &clap::Error) {
    let text = error.to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    let text = text.trim().trim_start_matches("error: ");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let error = Error::invalid_request(lines.join(" "));
    let context = HelpContext {
        command: used_command(),
        ..HelpContext::default()
    };
    let help = error::help(&error, &context);
    let _ = Printer::new(true, HelpContext::default()).print_json(&JsonFailure::new(&error, help));
}

/// Returns the command that the arguments name, such as `policy set`; `None` without one.
fn used_command() -> Option<String> {
    let mut command = Cli::command();
    let mut words = Vec::new();
    for argument in std::env::args_os().skip(1) {
        let Some(found) = command.find_subcommand(&argument).cloned() else {
            continue;
        };
        words.push(found.get_name().to_owned());
        command = found;
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn run_cli(cli: Cli) -> Result<(), CliError> {
    if cli.global.verbose {
        output::log_to_stderr();
    }
    // For Ctrl-C and for waiting; the library brings threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::internal(format!("could not start the event loop: {cause}")))?;
    runtime.block_on(async {
        let mut session = CliSession {
            output: Printer::new(cli.global.json, cli.command.help_context()),
            global: cli.global,
            interrupt: Interrupt::listen()?,
        };
        commands::execute_command(cli.command, &mut session).await
    })
}
