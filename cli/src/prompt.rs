//! Prompts on a terminal: confirmations, and keys, which are not echoed.

use std::io::{ErrorKind, IsTerminal};

use nearside::Error;
use rustyline::error::ReadlineError;
use rustyline::{Behavior, Config, DefaultEditor};

use crate::error::CliError;
use crate::output::{Printer, plain, sanitize};

/// Whether a prompt can be shown and answered.
pub(crate) fn is_interactive(output: &Printer) -> bool {
    std::io::stdin().is_terminal() && output.is_note_terminal()
}

/// Asks for confirmation; returns true only for `y` or `yes`. Blocks, and handles Ctrl-C itself.
pub(crate) fn confirm(question: &str) -> Result<bool, CliError> {
    let unreadable = |cause: ReadlineError| {
        let error = Error::storage(format!("could not ask on the terminal: {cause}"));
        CliError::with_help(error, "use `--yes`")
    };
    // The question is for the terminal even if standard output is redirected.
    let terminal = Config::builder().behavior(Behavior::PreferTerm).build();
    let mut editor = DefaultEditor::with_config(terminal).map_err(unreadable)?;
    match editor.readline(&format!("{} [y/N] ", sanitize(question))) {
        Ok(answer) => Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")),
        Err(ReadlineError::Eof) => Ok(false),
        Err(ReadlineError::Interrupted) => Err(CliError::Interrupted),
        Err(cause) => Err(unreadable(cause)),
    }
}

/// Asks before something is removed for good, unless `--yes` was given; returns whether to remove it.
///
/// # Errors
/// `InvalidRequest` without `--yes` and without a terminal: a script that means it says so.
pub(crate) fn confirm_removal(question: &str, yes: bool, output: &mut Printer) -> Result<bool, CliError> {
    if yes {
        return Ok(true);
    }
    if !is_interactive(output) {
        let text = format!("nothing was removed, because there is no terminal to confirm it: {question}");
        return Err(CliError::with_help(Error::invalid_request(text), "`--yes` confirms it"));
    }
    let confirmed = confirm(question)?;
    if !confirmed {
        output.print_note(&[plain("nothing was removed")]);
    }
    Ok(confirmed)
}

/// Asks for a secret. Blocks, and handles Ctrl-C itself.
pub(crate) fn read_secret(question: &str) -> Result<String, CliError> {
    rpassword::prompt_password(sanitize(question)).map_err(|cause| match cause.kind() {
        ErrorKind::Interrupted => CliError::Interrupted,
        _ => CliError::with_help(
            Error::storage(format!("could not ask on the terminal: {cause}")),
            "use `--key-file FILE`",
        ),
    })
}
