//! `nearside-mover`: moves the data of a library to its data directory, step by step, until `tests/relocation.rs` kills it.
//!
//! Prints a line per step. With `--step` it waits for a line on standard input after each, so that a kill comes exactly there.

#![allow(clippy::expect_used, reason = "part of a test, though it is a program")]

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nearside::state::move_data_with;

/// Moves the data of a library to its data directory.
#[derive(Debug, Parser)]
struct MoverArgs {
    /// The directory that has it.
    #[arg(long)]
    from: PathBuf,
    /// The data directory.
    #[arg(long)]
    to: PathBuf,
    /// Copies, as to another file system.
    #[arg(long)]
    copy: bool,
    /// Waits after each step.
    #[arg(long)]
    step: bool,
}

fn main() -> ExitCode {
    let args = MoverArgs::parse();
    let (mut out, input) = (std::io::stdout().lock(), std::io::stdin());
    let moved = move_data_with(&args.from, &args.to, args.copy, &mut |step| {
        writeln!(out, "{step:?}").expect("a reader");
        out.flush().expect("a reader");
        if args.step {
            input.lock().read_line(&mut String::new()).expect("a line");
        }
    });
    match moved {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
