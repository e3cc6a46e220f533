//! A conversation: question after question, each with all that was said before.
//!
//! On a terminal lines are edited and remembered, in memory only. Where standard input is a pipe each of its lines is a
//! question, which scripts use. Ctrl-C stops an answer and keeps the conversation; at an empty prompt it takes two.

use std::io::IsTerminal;

use nearside::chat::{ChatRequest, Message, Part, Role};
use nearside::{Error, Nearside};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::{answer, consent};
use crate::asked::{Asked, Thoughts};
use crate::failure::Failure;
use crate::input::Lines;
use crate::output::{Output, bold, dim, plain};
use crate::session::Session;

/// Runs the prompt loop until the user quits.
pub(super) async fn hold(
    nearside: &Nearside,
    asked: &Asked,
    thoughts: Thoughts,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let mut request = asked.request()?;
    let elsewhere = asked.may_leave() && !session.interrupt.or(nearside.providers()).await?.is_empty();
    let named = request.model.is_some() || request.provider.is_some();
    if !named && !elsewhere && session.interrupt.or(nearside.models()).await?.is_empty() {
        // Said before a question is typed in vain.
        return Err(Error::not_installed("no model is installed").into());
    }
    let mut questions = Questions::open()?;
    if questions.edited() {
        let wanted = request.model.as_deref().or(request.provider.as_deref());
        let place = if elsewhere {
            "here or elsewhere"
        } else {
            "on this device"
        };
        session.output.note(&[
            bold(wanted.unwrap_or("the best model")),
            dim(format!(" · {place} · /help lists what can be typed, Ctrl-D leaves")),
        ]);
    }
    while let Some(line) = questions.next(session).await? {
        match Turn::read(&line) {
            Turn::Nothing => {}
            Turn::Quit => break,
            Turn::Help => help(session.output),
            Turn::New => {
                request.messages.retain(|message| message.role == Role::System);
                request.consent = None;
                session.output.note(&[dim("a new conversation")]);
            }
            Turn::System(text) => {
                request.messages.retain(|message| message.role != Role::System);
                if !text.is_empty() {
                    request.messages.insert(0, Message::system(text));
                }
                session.output.note(&[dim("the instructions hold from here on")]);
            }
            Turn::Unknown(word) => session
                .output
                .note(&[plain(format!("`{word}` is no command; /help lists them"))]),
            Turn::Question(text) => {
                request.messages.push(Message::user(text));
                let before = request.messages.len() - 1;
                match reply(nearside, &mut request, asked, thoughts, session).await {
                    Ok(answer) if answer.interrupted && !questions.edited() => return Err(Failure::Interrupted),
                    Ok(answer) => match remembered(answer) {
                        Some(message) => request.messages.push(message),
                        None => request.messages.truncate(before),
                    },
                    // A script stops at the first failure; a person may try again.
                    Err(Failure::Library(error)) if questions.edited() => {
                        request.messages.truncate(before);
                        session.output.failure(&Failure::Library(error));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
    }
    Ok(())
}

/// Answers the last question of the conversation. A yes to where it goes holds for that place until `/new`.
async fn reply(
    nearside: &Nearside,
    request: &mut ChatRequest,
    asked: &Asked,
    thoughts: Thoughts,
    session: &mut Session<'_>,
) -> Result<answer::Answer, Failure> {
    consent::settle(nearside, request, asked, session).await?;
    answer::show(&nearside.chat(request.clone()), thoughts, session).await
}

/// The answer as a message of the conversation; nothing if nothing was said.
fn remembered(answer: answer::Answer) -> Option<Message> {
    if answer.text.is_empty() {
        return None;
    }
    let mut parts = vec![Part::Text { text: answer.text }];
    if !answer.reasoning.is_empty() {
        parts.insert(0, Part::Reasoning { text: answer.reasoning });
    }
    Some(Message {
        role: Role::Assistant,
        parts,
    })
}

/// What a typed line means.
#[derive(Debug, PartialEq, Eq)]
enum Turn<'a> {
    Nothing,
    Question(&'a str),
    Help,
    New,
    System(&'a str),
    Quit,
    Unknown(&'a str),
}

impl<'a> Turn<'a> {
    fn read(line: &'a str) -> Self {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "" => Self::Nothing,
            "/help" | "/?" => Self::Help,
            "/new" => Self::New,
            "/system" => Self::System(rest.trim()),
            "/quit" | "/exit" | "/bye" => Self::Quit,
            // A path or a fraction is a question: commands are one slash and letters.
            _ if word.len() > 1 && word.strip_prefix('/').is_some_and(is_letters) => Self::Unknown(word),
            _ => Self::Question(line),
        }
    }
}

fn is_letters(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_alphabetic())
}

/// Where questions come from.
enum Questions {
    Typed(Box<DefaultEditor>),
    Piped(Lines),
}

impl Questions {
    fn open() -> Result<Self, Failure> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Piped(Lines::read()));
        }
        let settings = rustyline::Config::builder()
            .auto_add_history(true)
            .max_history_size(HISTORY)
            .map_err(|cause| terminal(&cause))?
            // The prompt is for the terminal even when the answers go elsewhere.
            .behavior(rustyline::Behavior::PreferTerm)
            .build();
        let editor = DefaultEditor::with_config(settings).map_err(|cause| terminal(&cause))?;
        Ok(Self::Typed(Box::new(editor)))
    }

    /// Whether a person types.
    fn edited(&self) -> bool {
        matches!(self, Self::Typed(_))
    }

    /// The next line; nothing when the person leaves or the input ends.
    async fn next(&mut self, session: &mut Session<'_>) -> Result<Option<String>, Failure> {
        let editor = match self {
            Self::Typed(editor) => editor,
            Self::Piped(lines) => return lines.next(&mut session.interrupt).await,
        };
        let mut pressed = false;
        let line = loop {
            // Blocks this thread, and may: nothing else runs on it, and the editor hears Ctrl-C itself.
            match editor.readline("> ") {
                Ok(line) => break Some(line),
                Err(ReadlineError::Eof) => break None,
                Err(ReadlineError::Interrupted) if pressed => break None,
                Err(ReadlineError::Interrupted) => {
                    pressed = true;
                    session.output.note(&[dim("Ctrl-C again, or Ctrl-D, leaves")]);
                }
                Err(cause) => return Err(terminal(&cause)),
            }
        };
        session.interrupt.forget().await;
        Ok(line)
    }
}

fn help(output: &mut Output) {
    for (command, meaning) in [
        ("/new", "forget what was said, and what was agreed to, and start again"),
        ("/system TEXT", "instructions for what follows; without TEXT none"),
        ("/quit", "leave, as Ctrl-D does"),
        ("Ctrl-C", "stop the answer"),
    ] {
        output.note(&[bold(format!("  {command:<14}")), plain(meaning)]);
    }
}

fn terminal(cause: &ReadlineError) -> Failure {
    Error::storage(format!(
        "could not read from the terminal: {cause}; ask with `-p TEXT` instead"
    ))
    .into()
}

/// Lines that the arrow keys bring back.
const HISTORY: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slash_and_letters_is_a_command() {
        for (line, turn) in [
            ("  ", Turn::Nothing),
            ("/help", Turn::Help),
            (" /new ", Turn::New),
            ("/system  be brief ", Turn::System("be brief")),
            ("/system", Turn::System("")),
            ("/quit", Turn::Quit),
            ("/nwe", Turn::Unknown("/nwe")),
            ("/etc/hosts is what?", Turn::Question("/etc/hosts is what?")),
            ("1/2", Turn::Question("1/2")),
            ("/", Turn::Question("/")),
            ("hello there", Turn::Question("hello there")),
        ] {
            assert_eq!(Turn::read(line), turn, "{line}");
        }
    }
}
