//! `nearside rm`: removes an installed model. A person at a terminal is asked; a script meant it.

use std::io::IsTerminal;

use clap::Args;
use nearside::Error;
use nearside::model::ModelRef;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::bytes::human;
use crate::failure::Failure;
use crate::output::{good, plain};
use crate::session::Session;

/// What `rm` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Rm {
    /// The model, as `nearside ls` names it, or the reference it came from
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(arguments: Rm, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open()?;
    let asks = std::io::stdin().is_terminal() && session.output.notes_to_terminal();
    if asks && !arguments.yes && !session.output.json() && !agreed(&arguments.reference)? {
        session.output.note(&[plain("nothing was removed")]);
        return Ok(());
    }
    let model = session.interrupt.or(nearside.remove(arguments.reference)).await?;
    if session.output.json() {
        return session.output.object(&model);
    }
    let rest = format!(" {}, {} are free again", model.id, human(model.size_bytes));
    session.output.line(&[good("removed"), plain(rest)])
}

/// Asks. Anything but a yes is a no.
fn agreed(reference: &ModelRef) -> Result<bool, Failure> {
    let unasked = |cause: ReadlineError| Error::storage(format!("could not ask on the terminal: {cause}; use `--yes`"));
    let mut editor = DefaultEditor::new().map_err(unasked)?;
    match editor.readline(&format!("remove `{reference}`? [y/N] ")) {
        Ok(answer) => Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")),
        Err(ReadlineError::Eof) => Ok(false),
        Err(ReadlineError::Interrupted) => Err(Failure::Interrupted),
        Err(cause) => Err(unasked(cause).into()),
    }
}

const EXAMPLE: &str = "\
Example:
  nearside rm smollm2-135m-instruct.q4_1
  nearside rm --yes smollm2-135m-instruct.q4_1";
