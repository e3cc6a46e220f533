//! `nearside-cancel`: measures the time from a cancel to the end of the answer, in each phase: in the queue, while the model
//! loads, in the prefill, while it decodes. Prints median, p99 and maximum in milliseconds.
//!
//!   nearside-cancel MODEL [--cancels N] [--threads N]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use nearside::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, StopReason};
use nearside::{Config, Nearside};

/// Measures the time from a cancel to the end of the answer.
#[derive(Debug, Parser)]
struct CancelArgs {
    /// The model's file.
    model: String,
    /// Cancels in each phase.
    #[arg(long, default_value_t = 200)]
    cancels: usize,
    /// Compute threads.
    #[arg(long)]
    threads: Option<u32>,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&CancelArgs::parse())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &CancelArgs) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        context: Some(8192),
        threads: arguments.threads,
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config)?;
    let ask = |text: String| {
        nearside.chat(ChatRequest {
            model: Some(arguments.model.clone()),
            ..ChatRequest::new(vec![ChatMessage::user(text)])
        })
    };
    // The first load measures the model's needs, too.
    let mut load = Duration::ZERO;
    for _ in 0..2 {
        let begun = Instant::now();
        wait_for_text(&ask(LONG_QUESTION.into())).await?;
        load = begun.elapsed();
        nearside.unload().await?;
    }

    let mut waits = Vec::new();
    for round in 0..arguments.cancels {
        let stream = ask(LONG_QUESTION.into());
        wait_for_start(&stream).await?;
        // Spread over plan, load and the creation of the context.
        tokio::time::sleep(load.mul_f64(0.9 * (round as f64) / (arguments.cancels as f64))).await;
        waits.push(cancel(&stream).await?);
        nearside.unload().await?;
    }
    print("load", waits)?;

    let mut waits = Vec::new();
    wait_for_text(&ask(LONG_QUESTION.into())).await?;
    for round in 0..arguments.cancels {
        let text: String = (0..650).map(|n| format!("item {n} of {round} is here; ")).collect();
        let stream = ask(text);
        wait_for_start(&stream).await?;
        tokio::time::sleep(Duration::from_millis(20 + 5 * (round as u64 % 20))).await;
        waits.push(cancel(&stream).await?);
    }
    print("prefill", waits)?;

    let mut waits = Vec::new();
    for round in 0..arguments.cancels {
        let stream = ask(LONG_QUESTION.into());
        wait_for_text(&stream).await?;
        tokio::time::sleep(Duration::from_millis(round as u64 % 20)).await;
        waits.push(cancel(&stream).await?);
    }
    print("decode", waits)?;

    let mut waits = Vec::new();
    let mut running = ask(LONG_QUESTION.into());
    wait_for_text(&running).await?;
    while waits.len() < arguments.cancels {
        let stream = ask("Hello".into());
        wait_for_start(&stream).await?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        match cancel(&stream).await {
            Ok(wait) => waits.push(wait),
            // The story ended, and this answer began.
            Err(_) => {
                running = ask(LONG_QUESTION.into());
                wait_for_text(&running).await?;
            }
        }
    }
    running.cancel();
    print("queue", waits)
}

/// Waits for `Started`.
async fn wait_for_start(stream: &ChatStream) -> Fallible<()> {
    match stream.next_batch().await?.first() {
        Some(Chunk::Started { .. }) => Ok(()),
        other => Err(format!("{other:?} instead of the start").into()),
    }
}

async fn wait_for_text(stream: &ChatStream) -> Fallible<()> {
    loop {
        let batch = stream.next_batch().await?;
        if batch.is_empty() {
            return Err("an answer without text".into());
        }
        if batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. })) {
            return Ok(());
        }
    }
}

/// Cancels and returns the time to the end, which must be that of a cancelled answer.
async fn cancel(stream: &ChatStream) -> Fallible<Duration> {
    let begun = Instant::now();
    stream.cancel();
    loop {
        let batch = stream.next_batch().await?;
        match batch.last() {
            Some(Chunk::Done { summary }) if summary.stop == StopReason::Cancelled => return Ok(begun.elapsed()),
            Some(Chunk::Done { .. }) | None => return Err("the answer ended before it was cancelled".into()),
            _ => {}
        }
    }
}

fn print(phase: &str, mut waits: Vec<Duration>) -> Fallible<()> {
    waits.sort();
    let at = |share: f64| {
        let last = waits.len().saturating_sub(1);
        let wait = waits.get((last as f64 * share).round() as usize);
        wait.map_or(f64::NAN, |wait| wait.as_secs_f64() * 1000.0)
    };
    let (median, p99, most) = (at(0.5), at(0.99), at(1.0));
    writeln!(
        std::io::stdout(),
        "{phase:<8} median {median:>7.2} ms   p99 {p99:>7.2} ms   maximum {most:>7.2} ms   of {}",
        waits.len()
    )?;
    Ok(())
}

const LONG_QUESTION: &str = "Tell a long story about the sea.";
