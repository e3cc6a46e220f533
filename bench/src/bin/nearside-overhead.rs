//! `nearside-overhead`: measures the overhead of Nearside for an answer of a provider, compared with a bare reqwest loop.
//!
//! Both use the same local provider in turns. Nearside's turns are complete: routed, reserved in the ledger, streamed,
//! settled. Prints the medians over the turns, and their difference or ratio.
//!
//!   nearside-overhead [--turns N] [--tokens N] [--rate TOKENS_PER_SECOND]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use nearside::chat::{ChatRequest, Chunk, RoutingMode};
use nearside::engine::remote::Secret;
use nearside::route::{ConsentPolicy, RoutingPolicy};
use nearside::{Config, Nearside};
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{KEY, question, settings};
use serde_json::json;

/// Measures the overhead of Nearside for an answer of a provider.
#[derive(Debug, Parser)]
struct OverheadArgs {
    /// Answers per client.
    #[arg(long, default_value_t = 41)]
    turns: usize,
    /// Tokens per long answer.
    #[arg(long, default_value_t = 1000)]
    tokens: u32,
    /// Tokens per second that the provider sends.
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
}

/// Durations of one answer.
struct TurnTimes {
    first: Duration,
    whole: Duration,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&OverheadArgs::parse())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &OverheadArgs) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for dialect in [Dialect::Compatible, Dialect::Groq] {
        let provider = Provider::builder(dialect).key(KEY).start()?;
        let folder = tempfile::tempdir()?;
        let nearside = nearside(&folder, dialect, &provider).await?;
        // For the bare client; the library uses its own crypto provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bare = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
        let pace = Scenario::Slow {
            tokens: arguments.tokens,
            per_second: arguments.rate,
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for turn in 0..=arguments.turns {
            // Short answers for the time to the first token, every fourth a long one for the rate.
            let scenario = if turn % 4 == 0 {
                pace.clone()
            } else {
                Scenario::plain("Twice.")
            };
            provider.play(scenario.clone());
            // Let the previous answer be written to disk, as in real use.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let one = with_reqwest(&bare, &provider).await?;
            provider.play(scenario);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let other = with_nearside(&nearside, dialect).await?;
            // The first turn of each opens connections; do not count it.
            if turn > 0 {
                theirs.push((turn % 4 == 0, one));
                ours.push((turn % 4 == 0, other));
            }
        }
        let first = |turns: &[(bool, TurnTimes)]| median(turns.iter().map(|(_, turn)| turn.first.as_secs_f64() * 1e3));
        let whole = |turns: &[(bool, TurnTimes)]| {
            median(
                turns
                    .iter()
                    .filter(|(long, _)| *long)
                    .map(|(_, turn)| turn.whole.as_secs_f64()),
            )
        };
        let (first_ours, first_theirs) = (first(&ours), first(&theirs));
        let (rate_ours, rate_theirs) = (
            f64::from(arguments.tokens) / whole(&ours),
            f64::from(arguments.tokens) / whole(&theirs),
        );
        writeln!(
            out,
            "{:12} first token: {first_ours:.2} ms, bare reqwest {first_theirs:.2} ms: {:+.2} ms",
            dialect.name(),
            first_ours - first_theirs
        )?;
        writeln!(
            out,
            "{:12} throughput: {rate_ours:.0} tokens/s, bare reqwest {rate_theirs:.0}: {:+.2} %",
            "",
            (rate_ours / rate_theirs - 1.0) * 100.0
        )?;
    }
    Ok(())
}

/// Sets up the library with one provider. The answers of a hosted one are charged and go through the ledger.
async fn nearside(
    folder: &tempfile::TempDir,
    dialect: Dialect,
    provider: &Provider,
) -> Result<Nearside, Box<dyn std::error::Error>> {
    let nearside = Nearside::new(Config::new(folder.path().to_string_lossy()))?;
    let mut settings = settings(dialect, &provider.url());
    settings.model = Some(dialect.model().to_owned());
    nearside.add_provider(settings).await?;
    nearside.set_key(dialect.name(), Secret::new(KEY));
    nearside
        .set_policy(RoutingPolicy {
            allow_retention: true,
            allow_training: true,
            consent: ConsentPolicy::Given,
            max_usd_day: Some(1000.0),
            ..RoutingPolicy::default()
        })
        .await?;
    nearside.provider_models(dialect.name().to_owned()).await?;
    Ok(nearside)
}

async fn with_nearside(nearside: &Nearside, dialect: Dialect) -> Result<TurnTimes, Box<dyn std::error::Error>> {
    let request = ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        provider: Some(dialect.name().to_owned()),
        ..question()
    };
    let begun = Instant::now();
    let stream = nearside.chat(request);
    let mut first = None;
    loop {
        let batch = stream.next_batch().await?;
        if batch.is_empty() {
            break;
        }
        if batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. })) {
            first.get_or_insert_with(|| begun.elapsed());
        }
    }
    Ok(TurnTimes {
        first: first.ok_or("an answer without text")?,
        whole: begun.elapsed(),
    })
}

async fn with_reqwest(client: &reqwest::Client, provider: &Provider) -> Result<TurnTimes, Box<dyn std::error::Error>> {
    let dialect = provider.dialect();
    let body = json!({
        "model": dialect.model(), "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "Why do the tides come twice a day?" }],
    });
    let begun = Instant::now();
    let request = client
        .post(format!("{}{}", provider.url(), dialect.chat_path()))
        .bearer_auth(KEY)
        .json(&body);
    let mut response = request.send().await?.error_for_status()?;
    let mut first = None;
    while let Some(piece) = response.chunk().await? {
        // Any client must at least find the text.
        if piece.windows(11).any(|window| window == b"\"content\":\"") {
            first.get_or_insert_with(|| begun.elapsed());
        }
    }
    Ok(TurnTimes {
        first: first.ok_or("an answer without text")?,
        whole: begun.elapsed(),
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
