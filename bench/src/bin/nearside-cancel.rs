//! `nearside-cancel`: measures the time from a cancel to the end of the answer, in each phase: in the queue, while the model
//! loads, in the prefill, while it decodes. Of a load ahead (`ahead`) also the time until its memory is free (`freed`): the
//! longest one is the longest step of a load that cannot be interrupted. Prints median, p99 and maximum in milliseconds.
//!
//!   nearside-cancel MODEL [--cancels N] [--threads N] [--memory BYTES] [--phase PHASE]... [--list]

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use nearside::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, StopReason};
use nearside::engine::{LoadEvent, LoadStream};
use nearside::model::ModelRef;
use nearside::{Config, Nearside};
use nearside_tests::memory::FixedHost;

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
    /// Bytes that the model may take, instead of what is free: with less than it needs, its weights are mapped.
    #[arg(long)]
    memory: Option<u64>,
    /// Phases to measure; all if none is named.
    #[arg(long, value_enum)]
    phase: Vec<Phase>,
    /// Prints each cancel, too.
    #[arg(long)]
    list: bool,
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
    let bench = CancelBench {
        nearside: Nearside::with_host(config, Arc::new(FixedHost(arguments.memory)))?,
        model: arguments.model.clone(),
        cancels: arguments.cancels,
    };
    // The first load measures the model's needs, too.
    bench.load_ahead().await?;
    for phase in Phase::value_variants() {
        if !arguments.phase.is_empty() && !arguments.phase.contains(phase) {
            continue;
        }
        let waits = match phase {
            Phase::Ahead => {
                let (waits, freed) = bench.cancel_ahead().await?;
                print("freed", freed, arguments.list)?;
                waits
            }
            Phase::Load => bench.cancel_in_load().await?,
            Phase::Prefill => bench.cancel_in_prefill().await?,
            Phase::Decode => bench.cancel_in_decode().await?,
            Phase::Queue => bench.cancel_in_queue().await?,
        };
        print(&format!("{phase:?}").to_lowercase(), waits, arguments.list)?;
    }
    Ok(())
}

/// What the engine does for the answer, or the load, when it is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    Ahead,
    Load,
    Prefill,
    Decode,
    Queue,
}

struct CancelBench {
    nearside: Nearside,
    model: String,
    cancels: usize,
}

impl CancelBench {
    fn ask(&self, text: impl Into<String>) -> ChatStream {
        self.nearside.chat(ChatRequest {
            model: Some(self.model.clone()),
            ..ChatRequest::new(vec![ChatMessage::user(text)])
        })
    }

    /// Loads the model and returns the time to the first text.
    async fn load(&self) -> Fallible<Duration> {
        self.nearside.unload(None).await?;
        let begun = Instant::now();
        wait_for_text(&self.ask(LONG_QUESTION)).await?;
        Ok(begun.elapsed())
    }

    /// Loads the model without an answer, and returns how long that takes.
    async fn load_ahead(&self) -> Fallible<Duration> {
        self.nearside.unload(None).await?;
        let (begun, stream) = (Instant::now(), self.start_load());
        while !stream.next_batch().await?.is_empty() {}
        Ok(begun.elapsed())
    }

    fn start_load(&self) -> LoadStream {
        let path = self.model.clone();
        self.nearside.load(ModelRef::Path { path })
    }

    /// Returns the times until the cancelled stream ends, and until the memory is free.
    async fn cancel_ahead(&self) -> Fallible<(Vec<Duration>, Vec<Duration>)> {
        let load = self.load_ahead().await?;
        let (mut waits, mut freed) = (Vec::new(), Vec::new());
        for round in 0..self.cancels {
            self.nearside.unload(None).await?;
            let stream = self.start_load();
            // Spread over plan, weights and the creation of the context.
            tokio::time::sleep(load.mul_f64(0.95 * (round as f64) / (self.cancels as f64))).await;
            let begun = Instant::now();
            stream.cancel();
            let mut is_loaded = false;
            loop {
                let batch = stream.next_batch().await?;
                is_loaded |= batch.iter().any(|event| matches!(event, LoadEvent::Loaded { .. }));
                if batch.is_empty() {
                    break;
                }
            }
            let ended = begun.elapsed();
            self.nearside.unload(None).await?;
            if !is_loaded {
                waits.push(ended);
                freed.push(begun.elapsed());
            }
        }
        Ok((waits, freed))
    }

    async fn cancel_in_load(&self) -> Fallible<Vec<Duration>> {
        let load = self.load().await?;
        let mut waits = Vec::new();
        for round in 0..self.cancels {
            self.nearside.unload(None).await?;
            let stream = self.ask(LONG_QUESTION);
            wait_for_start(&stream).await?;
            // Spread over plan, load and the creation of the context.
            tokio::time::sleep(load.mul_f64(0.8 * (round as f64) / (self.cancels as f64))).await;
            waits.push(cancel(&stream).await?);
        }
        self.load().await?;
        Ok(waits)
    }

    async fn cancel_in_prefill(&self) -> Fallible<Vec<Duration>> {
        let mut waits = Vec::new();
        for round in 0..self.cancels {
            let text: String = (0..450).map(|n| format!("item {n} of {round} is here; ")).collect();
            let stream = self.ask(text);
            wait_for_start(&stream).await?;
            tokio::time::sleep(Duration::from_millis(20 + 5 * (round as u64 % 20))).await;
            waits.push(cancel(&stream).await?);
        }
        Ok(waits)
    }

    async fn cancel_in_decode(&self) -> Fallible<Vec<Duration>> {
        let mut waits = Vec::new();
        for round in 0..self.cancels {
            let stream = self.ask(LONG_QUESTION);
            wait_for_text(&stream).await?;
            tokio::time::sleep(Duration::from_millis(round as u64 % 20)).await;
            waits.push(cancel(&stream).await?);
        }
        Ok(waits)
    }

    async fn cancel_in_queue(&self) -> Fallible<Vec<Duration>> {
        let mut waits = Vec::new();
        for _ in 0..self.cancels {
            let running = self.ask(LONG_QUESTION);
            wait_for_text(&running).await?;
            let stream = self.ask("Hello");
            wait_for_start(&stream).await?;
            tokio::time::sleep(Duration::from_millis(2)).await;
            waits.push(cancel(&stream).await?);
        }
        Ok(waits)
    }
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

fn print(name: &str, mut waits: Vec<Duration>, list: bool) -> Fallible<()> {
    let mut out = std::io::stdout();
    let ms = |wait: &Duration| wait.as_secs_f64() * 1000.0;
    if list {
        let each: Vec<String> = waits.iter().map(|wait| format!("{:.2}", ms(wait))).collect();
        writeln!(out, "{}", each.join(" "))?;
    }
    waits.sort();
    let at = |share: f64| {
        let last = waits.len().saturating_sub(1);
        waits.get((last as f64 * share).round() as usize).map_or(f64::NAN, ms)
    };
    let (median, p99, most) = (at(0.5), at(0.99), at(1.0));
    writeln!(
        out,
        "{name:<8} median {median:>7.2} ms   p99 {p99:>7.2} ms   maximum {most:>7.2} ms   of {}",
        waits.len()
    )?;
    Ok(())
}

const LONG_QUESTION: &str = "Tell a long story about the sea.";
