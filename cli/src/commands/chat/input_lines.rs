//! The prompts of a conversation: lines that a user edits on a terminal, or the lines of a pipe.
//!
//! Edited lines have a history, in memory only. At the prompt two Ctrl-C end the input.

use std::io::IsTerminal;

use nearside::Error;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::error::CliError;
use crate::input::StdinLines;
use crate::output::dim;
use crate::session::CliSession;

/// Source of input lines.
pub(super) enum InputSource {
    Editor(Box<DefaultEditor>),
    Pipe(StdinLines),
}

impl InputSource {
    pub(super) fn from_stdin() -> Result<Self, CliError> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Pipe(StdinLines::start_reading()));
        }
        let settings = rustyline::Config::builder()
            .auto_add_history(true)
            .max_history_size(MAX_HISTORY_LINES)
            .map_err(|cause| map_terminal_error(&cause))?
            // The prompt is for the terminal even if standard output is redirected.
            .behavior(rustyline::Behavior::PreferTerm)
            .build();
        let editor = DefaultEditor::with_config(settings).map_err(|cause| map_terminal_error(&cause))?;
        Ok(Self::Editor(Box::new(editor)))
    }

    /// Whether a user types the lines.
    pub(super) fn is_interactive(&self) -> bool {
        matches!(self, Self::Editor(_))
    }

    /// Returns the next line; `None` when the user quits or the input ends.
    pub(super) async fn next_line(&mut self, session: &mut CliSession) -> Result<Option<String>, CliError> {
        let editor = match self {
            Self::Editor(editor) => editor,
            Self::Pipe(lines) => return lines.next_line(&mut session.interrupt).await,
        };
        let mut has_interrupted = false;
        let line = loop {
            // Blocking is safe: nothing else runs on this thread, and the editor handles Ctrl-C itself.
            match editor.readline("> ") {
                Ok(line) => break Some(line),
                Err(ReadlineError::Eof) => break None,
                Err(ReadlineError::Interrupted) if has_interrupted => break None,
                Err(ReadlineError::Interrupted) => {
                    has_interrupted = true;
                    session.output.print_note(&[dim("Ctrl-C again, or Ctrl-D, quits")]);
                }
                Err(cause) => return Err(map_terminal_error(&cause)),
            }
        };
        session.interrupt.discard_pending().await;
        Ok(line)
    }
}

fn map_terminal_error(cause: &ReadlineError) -> CliError {
    let error = Error::storage(format!("could not read from the terminal: {cause}"));
    CliError::with_help(error, "use `-p TEXT` instead")
}

/// Input lines that the arrow keys recall.
const MAX_HISTORY_LINES: usize = 1000;
