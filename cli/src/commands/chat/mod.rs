//! `nearside chat`: one answer with `-p`, else a conversation.
//!
//! The answer is streamed to standard output; the receipt (target, tokens, speed, cost) goes to standard error. With
//! `--json` every chunk is a line: `started` first, then `reasoning`, `text`, and exactly one `done`.

mod answer;
mod consent;
mod conversation;
mod receipt;

use clap::Args;
use nearside::Nearside;

use crate::args::RequestArgs;
use crate::args::values::ReasoningDisplay;
use crate::error::CliError;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ChatArgs {
    /// Answer this prompt and exit; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
}

impl ChatArgs {
    /// Returns the provider that is named.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.request.provider()
    }
}

/// Answers the prompt, or runs a conversation.
pub(crate) async fn chat_with_model(args: Box<ChatArgs>, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_for_request(&args.request)?;
    let result = answer_or_converse(&args, &nearside, session).await;
    session.unload_models(&nearside).await;
    result
}

async fn answer_or_converse(args: &ChatArgs, nearside: &Nearside, session: &mut CliSession) -> Result<(), CliError> {
    let display = args.request.reasoning.unwrap_or(if session.output.is_terminal() {
        ReasoningDisplay::Show
    } else {
        ReasoningDisplay::Hide
    });
    let Some(prompt) = &args.prompt else {
        return conversation::run_repl(nearside, &args.request, display, session).await;
    };
    let mut request = session.build_request(&args.request, prompt).await?;
    consent::obtain(nearside, &mut request, &args.request, session).await?;
    let max_tokens = request.limits.max_tokens;
    let answer = answer::print_answer(&nearside.chat(request), display, max_tokens, session).await?;
    if answer.interrupted {
        return Err(CliError::Interrupted);
    }
    Ok(())
}

const EXAMPLES: &str = "\
Example:
  nearside chat
  nearside chat smollm2-135m-instruct.q4_1 -p \"What is the capital of France?\"
  git diff | nearside chat -p - --system \"Write a commit message for this change.\"
  nearside chat ./model.gguf -p \"Hello\" --seed 1 --temperature 0 --json
  nearside chat -p \"Prove it.\" --provider openrouter --model deepseek/deepseek-r1 --max-usd 0.02

Content leaves this device only if `nearside policy` allows it and you consent: on a terminal you are asked, a script
passes `--yes`. `nearside route` shows which target would answer, and sends nothing.

In a conversation Ctrl-C stops the answer and /help lists the commands. No prompt and no answer is written to a file.";
