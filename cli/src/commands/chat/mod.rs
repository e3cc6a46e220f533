//! `nearside chat`: one answer with `-p`, else a conversation.
//!
//! Standard output holds the answer as it comes; the receipt (where it ran, tokens, speed, cost) goes to standard error.
//! With `--json` every chunk is a line: `started` first, then `reasoning`, `text`, and exactly one `done`.

mod answer;
mod conversation;

use clap::{Args, ValueEnum};
use nearside::chat::{ChatRequest, Limits, Message, Sampling};
use nearside::model::ModelRef;
use nearside::{Config, Nearside};

use crate::arguments::Cache;
use crate::failure::Failure;
use crate::input;
use crate::session::Session;

/// What `chat` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Chat {
    /// The model: an installed one, or a file [default: the best that is installed]
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: Option<ModelRef>,
    /// Answer this and end; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Instructions for the whole conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Show or hide what the model thinks before it answers [default: show on a terminal, else hide]
    #[arg(long, value_name = "WHETHER")]
    reasoning: Option<Thoughts>,
    #[command(flatten)]
    picking: Picking,
    #[command(flatten)]
    running: Running,
}

/// How the next token is picked.
#[derive(Debug, Args)]
#[command(next_help_heading = "How words are picked")]
struct Picking {
    /// 0 always takes the likeliest word, 0.7 is balanced, 1 is creative [default: the model's own]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Only the likeliest words that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Only the K likeliest words; 0 means all
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Only words at least this likely, relative to the likeliest
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// The same seed gives the same answer
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// End the answer after this many tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
}

/// How the model is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "How the model is run")]
struct Running {
    /// Tokens that the model looks at, at most [default: 4096, at most what it was trained with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// How the keys and values of the context are stored [default: f16]
    #[arg(long, value_name = "TYPE")]
    cache: Option<Cache>,
    /// Threads that compute [default: the performance cores this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
}

/// Whether a person wants to see how the model came to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Thoughts {
    /// Above the answer, dimmed
    Show,
    /// Only that it thinks, and how long
    Hide,
}

pub(crate) async fn run(arguments: Box<Chat>, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = Nearside::new(Config {
        context: arguments.running.context,
        cache_type: arguments.running.cache.map(|cache| cache.0),
        threads: arguments.running.threads,
        ..session.config()?
    })?;
    let talked = talk(&arguments, &nearside, session).await;
    session.close(&nearside).await;
    talked
}

async fn talk(arguments: &Chat, nearside: &Nearside, session: &mut Session<'_>) -> Result<(), Failure> {
    let thoughts = arguments.reasoning.unwrap_or(if session.output.to_terminal() {
        Thoughts::Show
    } else {
        Thoughts::Hide
    });
    let Some(prompt) = arguments.prompt.clone() else {
        return conversation::hold(nearside, arguments.request(), thoughts, session).await;
    };
    let prompt = match prompt.as_str() {
        "-" => input::whole(&mut session.interrupt).await?,
        _ => prompt,
    };
    let mut request = arguments.request();
    request.messages.push(Message::user(prompt));
    let answered = answer::show(&nearside.chat(request), thoughts, session).await?;
    if answered.interrupted {
        return Err(Failure::Interrupted);
    }
    Ok(())
}

impl Chat {
    /// Everything but the question.
    fn request(&self) -> ChatRequest {
        let picking = &self.picking;
        ChatRequest {
            messages: self.system.iter().map(Message::system).collect(),
            model: self.reference.as_ref().map(ModelRef::to_string),
            sampling: Sampling {
                temperature: picking.temperature,
                top_p: picking.top_p,
                top_k: picking.top_k,
                min_p: picking.min_p,
                seed: picking.seed,
                stop: picking.stop.clone(),
                ..Sampling::default()
            },
            limits: Limits {
                max_tokens: picking.max_tokens,
            },
            ..ChatRequest::default()
        }
    }
}

const EXAMPLE: &str = "\
Example:
  nearside chat
  nearside chat smollm2-135m-instruct.q4_1 -p \"What is the capital of France?\"
  git diff | nearside chat -p - --system \"Write a commit message for this change.\"
  nearside chat ./model.gguf -p \"Hello\" --seed 1 --temperature 0 --json

In a conversation Ctrl-C stops the answer and /help lists what else can be typed. Nothing that is said is written to any
file.";
