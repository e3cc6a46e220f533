//! `nearside-wakeups`: counts, for a streamed answer of a model on this device, Rust's allocations and the times that a
//! thread went to sleep and was woken up, per token. Costs of an answer that do not grow with its length cancel out: a short
//! and a long answer are subtracted.
//!
//!   nearside-wakeups MODEL [--rounds N] [--threads N]

use std::alloc::System;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use nearside::chat::{ChatMessage, ChatRequest, Chunk, RequestLimits};
use nearside::{Config, Nearside};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts allocations and wake-ups per token.
#[derive(Debug, Parser)]
struct WakeupsArgs {
    /// The model's file.
    model: String,
    /// Pairs of a short and a long answer.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Compute threads.
    #[arg(long)]
    threads: Option<u32>,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&WakeupsArgs::parse())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sums of one or several answers; differences of them, too.
#[derive(Debug, Default)]
struct Counts {
    tokens: f64,
    batches: f64,
    allocations: f64,
    /// Times that threads of this name went to sleep.
    sleeps: BTreeMap<String, f64>,
}

impl Counts {
    fn add(&mut self, other: &Self, sign: f64) {
        self.tokens += sign * other.tokens;
        self.batches += sign * other.batches;
        self.allocations += sign * other.allocations;
        for (name, count) in &other.sleeps {
            *self.sleeps.entry(name.clone()).or_default() += sign * count;
        }
    }

    /// Returns the counts of the process until now.
    fn now() -> Self {
        let stats = ALLOCATOR.stats();
        Self {
            allocations: (stats.allocations + stats.reallocations) as f64,
            sleeps: count_sleeps(),
            ..Self::default()
        }
    }
}

async fn measure(arguments: &WakeupsArgs) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        threads: arguments.threads,
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config)?;
    ask(&nearside, &arguments.model, LONG_TOKENS).await?;
    let mut sum = Counts::default();
    for _ in 0..arguments.rounds {
        sum.add(&ask(&nearside, &arguments.model, LONG_TOKENS).await?, 1.0);
        sum.add(&ask(&nearside, &arguments.model, SHORT_TOKENS).await?, -1.0);
    }
    if sum.tokens <= 0.0 {
        return Err("the long answers were no longer than the short ones".into());
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "per token: {:.1} allocations, {:.2} batches",
        sum.allocations / sum.tokens,
        sum.batches / sum.tokens
    )?;
    for (name, count) in sum.sleeps {
        writeln!(out, "  {name:<16} sleeps {:.3} times per token", count / sum.tokens)?;
    }
    Ok(())
}

async fn ask(nearside: &Nearside, model: &str, max_tokens: u32) -> Fallible<Counts> {
    let before = Counts::now();
    let stream = nearside.chat(ChatRequest {
        model: Some(model.to_owned()),
        limits: RequestLimits {
            max_tokens: Some(max_tokens),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user("Tell a long story about the sea.")])
    });
    let mut counts = Counts::default();
    loop {
        let batch = stream.next_batch().await?;
        counts.batches += 1.0;
        match batch.last() {
            Some(Chunk::Done { summary }) => {
                counts.tokens = f64::from(summary.usage.completion_tokens);
                break;
            }
            Some(_) => {}
            None => return Err("an answer without an end".into()),
        }
    }
    counts.add(&Counts::now(), 1.0);
    counts.add(&before, -1.0);
    Ok(counts)
}

/// Returns how often the threads of each name went to sleep; nothing where the system does not say.
fn count_sleeps() -> BTreeMap<String, f64> {
    let mut sleeps = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let (Some(name), Some(count)) = (field("Name:"), field("voluntary_ctxt_switches:")) {
            *sleeps.entry(name.to_owned()).or_default() += count.parse().unwrap_or(0.0);
        }
    }
    sleeps
}

const SHORT_TOKENS: u32 = 16;
const LONG_TOKENS: u32 = 144;
