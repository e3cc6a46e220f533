//! Prompts on a terminal: confirmations, and keys, which are not echoed.

use std::io::{ErrorKind, IsTerminal};

use nearside::Error;
use rustyline::error::ReadlineError;
use rustyline::{Behavior, Config, DefaultEditor};

use crate::failure::Failure;
use crate::output::{Output, harmless};

/// Whether a prompt can be shown and answered.
pub(crate) fn is_there(output: &Output) -> bool {
    std::io::stdin().is_terminal() && output.notes_to_terminal()
}

/// Asks for confirmation; anything but yes is a no. Blocks, and handles Ctrl-C itself.
pub(crate) fn agrees(question: &str) -> Result<bool, Failure> {
    let unasked = |cause: ReadlineError| Error::storage(format!("could not ask on the terminal: {cause}; use `--yes`"));
    // The question is for the terminal even when the answer goes elsewhere.
    let terminal = Config::builder().behavior(Behavior::PreferTerm).build();
    let mut editor = DefaultEditor::with_config(terminal).map_err(unasked)?;
    match editor.readline(&format!("{} [y/N] ", harmless(question))) {
        Ok(answer) => Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")),
        Err(ReadlineError::Eof) => Ok(false),
        Err(ReadlineError::Interrupted) => Err(Failure::Interrupted),
        Err(cause) => Err(unasked(cause).into()),
    }
}

/// Asks for a secret. Blocks, and hears Ctrl-C itself.
pub(crate) fn secret(question: &str) -> Result<String, Failure> {
    rpassword::prompt_password(harmless(question)).map_err(|cause| match cause.kind() {
        ErrorKind::Interrupted => Failure::Interrupted,
        _ => Error::storage(format!("could not ask on the terminal: {cause}; use `--key-file FILE`")).into(),
    })
}
