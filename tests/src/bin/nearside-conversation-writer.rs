//! `nearside-conversation-writer`: writes an answer of a real model into a conversation until
//! `tests/conversation_kill.rs` kills it.
//!
//! Prints a line per chunk: `started`, `text MILLISECONDS JSON` or `done`; milliseconds since 1970.

#![allow(clippy::expect_used, reason = "part of a test, though it is a program")]

use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use nearside::chat::{ChatMessage, ChatRequest, Chunk, SamplingOptions};
use nearside::{Config, Nearside};

/// Writes an answer into a conversation.
#[derive(Parser)]
struct ConversationWriterArgs {
    /// The library's directory.
    #[arg(long)]
    directory: PathBuf,
    /// The model file.
    #[arg(long)]
    model: String,
    /// The conversation's id.
    #[arg(long)]
    conversation: u64,
    /// The user message.
    #[arg(long)]
    prompt: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = ConversationWriterArgs::parse();
    let nearside = Nearside::new(Config::new(args.directory.to_string_lossy())).expect("the library opens");
    let conversations = nearside.conversations();
    let request = ChatRequest {
        model: Some(args.model),
        sampling: SamplingOptions {
            temperature: Some(1.0),
            seed: Some(u32::try_from(args.conversation).unwrap_or_default()),
            ..SamplingOptions::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(args.prompt)])
    };
    let stream = conversations.send(args.conversation, request);
    let mut out = std::io::stdout().lock();
    loop {
        let batch = stream.next_batch().await.expect("chunks");
        if batch.is_empty() {
            return;
        }
        for chunk in batch {
            let line = match chunk {
                Chunk::Started { .. } => "started".to_owned(),
                Chunk::Text { text } => format!("text {} {}", now_ms(), serde_json::json!(text)),
                Chunk::Done { .. } => "done".to_owned(),
                _ => continue,
            };
            writeln!(out, "{line}").expect("a reader");
            out.flush().expect("a reader");
        }
    }
}

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis()
}
