//! Asks a real model in a conversation and prints each chunk as it comes, until it is killed: one life of
//! `tests/conversation_kill.rs`.
//!
//! A line a chunk: `started`, `text MILLISECONDS JSON` and `done`; milliseconds since 1970.

#![allow(clippy::expect_used, reason = "part of a test, though it is a program")]

use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;
use nearside::chat::{ChatRequest, Chunk, Message, Sampling};
use nearside::{Config, Nearside};

/// One life of a kill test.
#[derive(Parser)]
struct Args {
    /// The library's directory.
    #[arg(long)]
    directory: PathBuf,
    /// The model's file.
    #[arg(long)]
    model: String,
    /// The conversation.
    #[arg(long)]
    conversation: u64,
    /// What to say.
    #[arg(long)]
    say: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = Args::parse();
    let nearside = Nearside::new(Config::new(args.directory.to_string_lossy())).expect("the library opens");
    let conversations = nearside.conversations().expect("the conversations open");
    let request = ChatRequest {
        model: Some(args.model),
        sampling: Sampling {
            temperature: Some(1.0),
            seed: Some(u32::try_from(args.conversation).unwrap_or_default()),
            ..Sampling::default()
        },
        ..ChatRequest::new(vec![Message::user(args.say)])
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
