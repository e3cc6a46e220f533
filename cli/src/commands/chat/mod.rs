//! `nearside chat`: one answer with `-p`, else a conversation, which the library stores.
//!
//! The answer is streamed to standard output; the receipt (target, tokens, speed, cost) goes to standard error. With
//! `--json` every chunk is a line: `started` first, then `reasoning`, `text`, and exactly one `done`.

mod answer;
mod consent;
mod conversation;
mod input_lines;
mod receipt;
mod thread;

use clap::Args;
use nearside::Nearside;

use crate::args::RequestArgs;
use crate::args::values::ReasoningDisplay;
use crate::error::CliError;
use crate::session::CliSession;
use thread::Thread;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ChatArgs {
    /// Answer this prompt and exit; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Go on with this conversation; `nearside conversations` lists them [default: a new one; with `-p` none]
    #[arg(long, value_name = "ID")]
    conversation: Option<u64>,
    /// Store nothing of a new conversation
    #[arg(long, conflicts_with = "conversation")]
    forget: bool,
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
    session.shut_down(&nearside).await;
    result
}

async fn answer_or_converse(args: &ChatArgs, nearside: &Nearside, session: &mut CliSession) -> Result<(), CliError> {
    let display = args.request.reasoning.unwrap_or(if session.output.is_terminal() {
        ReasoningDisplay::Show
    } else {
        ReasoningDisplay::Hide
    });
    let interrupted = match (&args.prompt, args.conversation) {
        (None, _) => {
            let thread = Thread::prepare(nearside, &args.request, args.conversation, args.forget, session).await?;
            return conversation::run_repl(nearside, thread, &args.request, display, session).await;
        }
        (Some(prompt), Some(_)) => {
            let mut thread = Thread::prepare(nearside, &args.request, args.conversation, false, session).await?;
            thread.expect_one_input()?;
            let prompt = session.read_prompt(prompt).await?;
            thread.answer(nearside, prompt, &args.request, display, session).await?
        }
        (Some(prompt), None) => {
            let mut request = session.build_request(&args.request, prompt).await?;
            request.consent = consent::obtain(nearside.route(request.clone()), &args.request, session).await?;
            let max_tokens = request.limits.max_tokens;
            let stream = nearside.chat(request);
            let end = answer::print_answer(&stream, display, max_tokens, session).await?;
            end.interrupted
        }
    };
    match interrupted {
        true => Err(CliError::Interrupted),
        false => Ok(()),
    }
}

const EXAMPLES: &str = "\
Example:
  nearside chat
  nearside chat --conversation 12
  nearside chat smollm2-135m-instruct.q4_1 -p \"What is the capital of France?\"
  git diff | nearside chat -p - --system \"Write a commit message for this change.\"
  nearside chat ./model.gguf -p \"Hello\" --seed 1 --temperature 0 --json
  nearside chat -p \"What is this?\" --image photo.jpg --provider openai
  nearside chat --tools tools.json --json
  nearside chat -p \"Prove it.\" --provider openrouter --model deepseek/deepseek-r1 --max-usd 0.02

Content leaves this device only if `nearside policy` allows it and you consent: on a terminal you are asked, a script
passes `--yes`. Consent is for one target, until `/new` or the end of the chat. `nearside route` shows which target would
answer, and sends nothing.

In a conversation Ctrl-C stops the answer and /help lists the commands. A conversation is stored in the data directory:
`nearside conversations` lists, shows and removes them, `--conversation ID` goes on with one, and with `--forget` nothing
is stored. With `-p` alone no prompt and no answer is written to a file.

No tool of `--tools` is run: a call is printed and ends the answer, and in a conversation the next line, or the `-p` of
`--conversation ID`, is its result; several calls take a line each.";
