//! A conversation: prompt after prompt, each sent with the history, which the library stores and fits to the context.
//!
//! On a terminal lines are edited. If standard input is a pipe, each of its lines is a prompt, for scripts. Ctrl-C stops an
//! answer and keeps the conversation; at the prompt two of them end it.

use nearside::{Error, Nearside};

use super::input_lines::InputSource;
use super::thread::Thread;
use crate::args::RequestArgs;
use crate::args::values::ReasoningDisplay;
use crate::error::CliError;
use crate::output::{Printer, bold, dim, plain};
use crate::session::CliSession;

/// Runs the prompt loop until the user quits.
pub(super) async fn run_repl(
    nearside: &Nearside,
    mut thread: Thread,
    args: &RequestArgs,
    display: ReasoningDisplay,
    session: &mut CliSession,
) -> Result<(), CliError> {
    let has_remote = args.allows_remote() && !session.interrupt.race(nearside.providers()).await?.is_empty();
    let name = thread.target_name();
    if name.is_none() && !has_remote && session.interrupt.race(nearside.models()).await?.is_empty() {
        // Fail before the user types a prompt.
        return Err(Error::not_installed("no model is installed").into());
    }
    let mut input = InputSource::from_stdin()?;
    if input.is_interactive() {
        let sides = match has_remote {
            true => "on this device or remote",
            false => "on this device",
        };
        session.output.print_note(&[
            bold(name.as_deref().unwrap_or("the best model")),
            dim(format!(" · {sides} · /help lists the commands, Ctrl-D quits")),
        ]);
    }
    thread.note_call(session);
    while let Some(line) = input.next_line(session).await? {
        let command = match ReplCommand::from_line(&line) {
            // A result is sent as it is.
            ReplCommand::Empty | ReplCommand::Prompt(_) | ReplCommand::Unknown(_) if thread.awaits_result() => {
                ReplCommand::Prompt(&line)
            }
            command => command,
        };
        match command {
            ReplCommand::Empty => {}
            ReplCommand::Quit => break,
            ReplCommand::Help => print_help(&mut session.output),
            ReplCommand::New => {
                thread.begin_another(session);
                session.output.print_note(&[dim("a new conversation")]);
            }
            ReplCommand::System(text) => {
                thread.set_system(text, session).await?;
                let note = match text {
                    "" => "the system prompt is removed",
                    _ => "the system prompt applies from here on",
                };
                session.output.print_note(&[dim(note)]);
            }
            ReplCommand::Unknown(word) => {
                let note = format!("`{word}` is no command; /help lists the commands");
                session.output.print_note(&[plain(note)]);
            }
            ReplCommand::Prompt(text) => match thread.answer(nearside, text.to_owned(), args, display, session).await {
                Ok(true) if !input.is_interactive() => return Err(CliError::Interrupted),
                Ok(_) => {}
                // A script stops at the first error; a user can try again.
                Err(error @ (CliError::Library(_) | CliError::Own(..))) if input.is_interactive() => {
                    session.output.print_error(&error);
                }
                Err(error) => return Err(error),
            },
        }
        thread.note_call(session);
    }
    thread.note_id(session);
    Ok(())
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

fn print_help(output: &mut Printer) {
    let set_system = "set the system prompt from here on; without TEXT, remove it";
    for (command, meaning) in [
        ("/new", "start another conversation, without history and consent"),
        ("/system TEXT", set_system),
        ("/quit", "quit, like Ctrl-D"),
        ("Ctrl-C", "stop the answer"),
    ] {
        output.print_note(&[bold(format!("  {command:<14}")), plain(meaning)]);
    }
}

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
