//! A conversation: prompt after prompt, each sent with the history.
//!
//! On a terminal lines are edited and kept in a history, in memory only. If standard input is a pipe, each of its lines is
//! a prompt, for scripts. Ctrl-C stops an answer and keeps the conversation; at the prompt two of them end it.

use std::io::IsTerminal;

use nearside::chat::{ChatMessage, ChatRequest, ContentPart, MessageRole};
use nearside::{Error, Nearside};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::answer::{self, PrintedAnswer};
use super::consent;
use crate::args::RequestArgs;
use crate::args::values::ReasoningDisplay;
use crate::error::CliError;
use crate::input::StdinLines;
use crate::output::{Printer, bold, dim, plain};
use crate::session::CliSession;

/// Runs the prompt loop until the user quits.
pub(super) async fn run_repl(
    nearside: &Nearside,
    args: &RequestArgs,
    display: ReasoningDisplay,
    session: &mut CliSession,
) -> Result<(), CliError> {
    let mut request = args.to_request()?;
    let has_remote = args.allows_remote() && !session.interrupt.race(nearside.providers()).await?.is_empty();
    let is_named = request.model.is_some() || request.provider.is_some();
    if !is_named && !has_remote && session.interrupt.race(nearside.models()).await?.is_empty() {
        // Fail before the user types a prompt.
        return Err(Error::not_installed("no model is installed").into());
    }
    let mut input = InputSource::from_stdin()?;
    if input.is_interactive() {
        let name = request.model.as_deref().or(request.provider.as_deref());
        let sides = match has_remote {
            true => "on this device or remote",
            false => "on this device",
        };
        session.output.print_note(&[
            bold(name.unwrap_or("the best model")),
            dim(format!(" · {sides} · /help lists the commands, Ctrl-D quits")),
        ]);
    }
    while let Some(line) = input.next_line(session).await? {
        match ReplCommand::from_line(&line) {
            ReplCommand::Empty => {}
            ReplCommand::Quit => break,
            ReplCommand::Help => print_help(&mut session.output),
            ReplCommand::New => {
                request.messages.retain(|message| message.role == MessageRole::System);
                request.consent = None;
                session.output.print_note(&[dim("a new conversation")]);
            }
            ReplCommand::System(text) => {
                request.messages.retain(|message| message.role != MessageRole::System);
                if !text.is_empty() {
                    request.messages.insert(0, ChatMessage::system(text));
                }
                let note = "the system prompt applies from here on";
                session.output.print_note(&[dim(note)]);
            }
            ReplCommand::Unknown(word) => {
                let note = format!("`{word}` is no command; /help lists the commands");
                session.output.print_note(&[plain(note)]);
            }
            ReplCommand::Prompt(text) => {
                request.messages.push(ChatMessage::user(text));
                let before = request.messages.len() - 1;
                match answer_last(nearside, &mut request, args, display, session).await {
                    Ok(answer) if answer.interrupted && !input.is_interactive() => return Err(CliError::Interrupted),
                    Ok(answer) => match to_message(answer) {
                        Some(message) => request.messages.push(message),
                        None => request.messages.truncate(before),
                    },
                    // A script stops at the first error; a user can try again.
                    Err(error @ (CliError::Library(_) | CliError::Own(..))) if input.is_interactive() => {
                        request.messages.truncate(before);
                        session.output.print_error(&error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(())
}

/// Answers the last message of the conversation. Consent is valid for its target until `/new`.
async fn answer_last(
    nearside: &Nearside,
    request: &mut ChatRequest,
    args: &RequestArgs,
    display: ReasoningDisplay,
    session: &mut CliSession,
) -> Result<PrintedAnswer, CliError> {
    consent::obtain(nearside, request, args, session).await?;
    let max_tokens = request.limits.max_tokens;
    answer::print_answer(&nearside.chat(request.clone()), display, max_tokens, session).await
}

/// Converts the answer to a message of the history; `None` if it has no text.
fn to_message(answer: PrintedAnswer) -> Option<ChatMessage> {
    if answer.text.is_empty() {
        return None;
    }
    let mut parts = vec![ContentPart::Text { text: answer.text }];
    if !answer.reasoning.is_empty() {
        parts.insert(0, ContentPart::Reasoning { text: answer.reasoning });
    }
    Some(ChatMessage {
        role: MessageRole::Assistant,
        parts,
    })
}

/// Meaning of an input line.
#[derive(Debug, PartialEq, Eq)]
enum ReplCommand<'a> {
    Empty,
    Prompt(&'a str),
    Help,
    New,
    System(&'a str),
    Quit,
    Unknown(&'a str),
}

impl<'a> ReplCommand<'a> {
    fn from_line(line: &'a str) -> Self {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "" => Self::Empty,
            "/help" | "/?" => Self::Help,
            "/new" => Self::New,
            "/system" => Self::System(rest.trim()),
            "/quit" | "/exit" | "/bye" => Self::Quit,
            // A path or a fraction is a prompt: commands are one slash and letters.
            _ if word.len() > 1 && word.strip_prefix('/').is_some_and(is_alphabetic) => Self::Unknown(word),
            _ => Self::Prompt(line),
        }
    }
}

fn is_alphabetic(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphabetic())
}

/// Source of input lines.
enum InputSource {
    Editor(Box<DefaultEditor>),
    Pipe(StdinLines),
}

impl InputSource {
    fn from_stdin() -> Result<Self, CliError> {
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
    fn is_interactive(&self) -> bool {
        matches!(self, Self::Editor(_))
    }

    /// Returns the next line; `None` when the user quits or the input ends.
    async fn next_line(&mut self, session: &mut CliSession) -> Result<Option<String>, CliError> {
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

fn print_help(output: &mut Printer) {
    let set_system = "set the system prompt from here on; without TEXT remove it";
    for (command, meaning) in [
        ("/new", "start a new conversation, without history and consent"),
        ("/system TEXT", set_system),
        ("/quit", "quit, like Ctrl-D"),
        ("Ctrl-C", "stop the answer"),
    ] {
        output.print_note(&[bold(format!("  {command:<14}")), plain(meaning)]);
    }
}

fn map_terminal_error(cause: &ReadlineError) -> CliError {
    let error = Error::storage(format!("could not read from the terminal: {cause}"));
    CliError::with_help(error, "use `-p TEXT` instead")
}

/// Input lines that the arrow keys recall.
const MAX_HISTORY_LINES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slash_and_letters_is_a_command() {
        for (line, command) in [
            ("  ", ReplCommand::Empty),
            ("/help", ReplCommand::Help),
            (" /new ", ReplCommand::New),
            ("/system  be brief ", ReplCommand::System("be brief")),
            ("/system", ReplCommand::System("")),
            ("/quit", ReplCommand::Quit),
            ("/nwe", ReplCommand::Unknown("/nwe")),
            ("/etc/hosts is what?", ReplCommand::Prompt("/etc/hosts is what?")),
            ("1/2", ReplCommand::Prompt("1/2")),
            ("/", ReplCommand::Prompt("/")),
            ("hello there", ReplCommand::Prompt("hello there")),
        ] {
            assert_eq!(ReplCommand::from_line(line), command, "{line}");
        }
    }
}
