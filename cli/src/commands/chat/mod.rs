//! `nearside chat`: one answer with `-p`, else a conversation.
//!
//! Standard output holds the answer as it comes; the receipt (where it ran, tokens, speed, cost) goes to standard error.
//! With `--json` every chunk is a line: `started` first, then `reasoning`, `text`, and exactly one `done`.

mod answer;
mod consent;
mod conversation;
mod receipt;

pub(crate) use receipt::terms;

use clap::Args;
use nearside::Nearside;

use crate::asked::{Asked, Thoughts};
use crate::failure::Failure;
use crate::session::Session;

/// What `chat` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Chat {
    /// Answer this and end; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

pub(crate) async fn run(arguments: Box<Chat>, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open_to_ask(&arguments.asked)?;
    let talked = talk(&arguments, &nearside, session).await;
    session.close(&nearside).await;
    talked
}

async fn talk(arguments: &Chat, nearside: &Nearside, session: &mut Session<'_>) -> Result<(), Failure> {
    let asked = &arguments.asked;
    let thoughts = asked.reasoning.unwrap_or(if session.output.to_terminal() {
        Thoughts::Show
    } else {
        Thoughts::Hide
    });
    let Some(prompt) = &arguments.prompt else {
        return conversation::hold(nearside, asked, thoughts, session).await;
    };
    let mut request = asked.question(prompt, session).await?;
    consent::settle(nearside, &mut request, asked, session).await?;
    let answered = answer::show(&nearside.chat(request), thoughts, session).await?;
    if answered.interrupted {
        return Err(Failure::Interrupted);
    }
    Ok(())
}

const EXAMPLE: &str = "\
Example:
  nearside chat
  nearside chat smollm2-135m-instruct.q4_1 -p \"What is the capital of France?\"
  git diff | nearside chat -p - --system \"Write a commit message for this change.\"
  nearside chat ./model.gguf -p \"Hello\" --seed 1 --temperature 0 --json
  nearside chat -p \"Prove it.\" --provider openrouter --model deepseek/deepseek-r1 --max-usd 0.02

Words leave this machine only where `nearside policy` allows it and you agree: a person on a terminal is asked, a script
says `--yes`. `nearside route` tells beforehand who would answer, and asks nobody.

In a conversation Ctrl-C stops the answer and /help lists what else can be typed. Nothing that is said is written to any
file.";
