//! `nearside-flow`: measures how fast chunks flow from an engine to the app: in a chat, and in a conversation, which stores
//! them on their way. Prints chunks per second, the median over the turns.
//!
//!   nearside-flow [--turns N] [--chunks N]

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use nearside::chat::{ChatMessage, ChatRequest, ChatStream, ConversationSettings};
use nearside::engine::{ReplyStep, ScriptedReply};
use nearside::{Config, Nearside};

/// Measures how fast chunks flow from an engine to the app.
#[derive(Debug, Parser)]
struct FlowArgs {
    /// Answers of each sort.
    #[arg(long, default_value_t = 9)]
    turns: usize,
    /// Chunks of each answer.
    #[arg(long, default_value_t = 200_000)]
    chunks: usize,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&FlowArgs::parse())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &FlowArgs) -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let text = "word ".repeat(arguments.chunks);
    let script = ScriptedReply {
        steps: vec![ReplyStep::Text { text }],
        chunk_delay_ms: 0,
    };
    let nearside = Nearside::scripted(Config::new(folder.path().to_string_lossy()), script)?;
    let conversations = nearside.conversations();
    let question = || ChatRequest::new(vec![ChatMessage::user("go")]);
    let (mut chat, mut conversation) = (Vec::new(), Vec::new());
    for _ in 0..arguments.turns {
        chat.push(chunks_per_second(nearside.chat(question())).await?);
        let id = conversations.create(ConversationSettings::default()).await?.id;
        conversation.push(chunks_per_second(conversations.send(id, question())).await?);
    }
    let mut out = std::io::stdout();
    writeln!(out, "chat          {:>9.0} chunks/s", median(chat))?;
    writeln!(out, "conversation  {:>9.0} chunks/s", median(conversation))?;
    Ok(())
}

async fn chunks_per_second(stream: ChatStream) -> Result<f64, Box<dyn std::error::Error>> {
    let (begun, mut chunks) = (Instant::now(), 0_usize);
    loop {
        let batch = stream.next_batch().await?;
        if batch.is_empty() {
            return Ok(chunks as f64 / begun.elapsed().as_secs_f64());
        }
        chunks += batch.len();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
