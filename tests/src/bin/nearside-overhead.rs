//! `nearside-overhead`: what Nearside adds to an answer from a provider, measured beside a bare reqwest loop.
//!
//! Both ask the same recorded provider on this machine, turn by turn. Nearside's turns are whole: decided by the router,
//! reserved in the ledger, streamed, settled. Printed are medians over the turns, and their difference or ratio.
//!
//!   nearside-overhead [--turns N] [--tokens N] [--rate TOKENS_PER_SECOND]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use nearside::chat::{ChatRequest, Chunk, Mode};
use nearside::engine::remote::Secret;
use nearside::route::{Consent, Policy};
use nearside::{Config, Nearside};
use nearside_tests::provider::{Dialect, Provider, Scene};
use nearside_tests::remote::{KEY, question, settings};
use serde_json::json;

/// What Nearside adds to an answer from a provider.
#[derive(Debug, Parser)]
struct Arguments {
    /// Answers of each kind.
    #[arg(long, default_value_t = 41)]
    turns: usize,
    /// Tokens of an answer.
    #[arg(long, default_value_t = 1000)]
    tokens: u32,
    /// Tokens a second that the provider sends.
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
}

/// One answer.
struct Turn {
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
        .and_then(|runtime| runtime.block_on(measure(&Arguments::parse())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for dialect in [Dialect::Compatible, Dialect::Groq] {
        let provider = Provider::builder(dialect).key(KEY).start()?;
        let folder = tempfile::tempdir()?;
        let nearside = nearside(&folder, dialect, &provider).await?;
        // The library brings its own; a bare client takes the process's.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bare = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
        let pace = Scene::Slow {
            tokens: arguments.tokens,
            per_second: arguments.rate,
        };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for turn in 0..=arguments.turns {
            // Short answers for the first token, a long one now and then for the rate.
            let scene = if turn % 4 == 0 {
                pace.clone()
            } else {
                Scene::plain("Twice.")
            };
            provider.play(scene.clone());
            // Nobody asks again within the moment in which the last answer is written down.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let one = with_reqwest(&bare, &provider).await?;
            provider.play(scene);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let other = with_nearside(&nearside, dialect).await?;
            // The first of each opens connections.
            if turn > 0 {
                theirs.push((turn % 4 == 0, one));
                ours.push((turn % 4 == 0, other));
            }
        }
        let first = |turns: &[(bool, Turn)]| median(turns.iter().map(|(_, turn)| turn.first.as_secs_f64() * 1e3));
        let whole = |turns: &[(bool, Turn)]| {
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

/// The library as an app has it, with one provider; a hosted one, whose answers are paid, goes through the ledger.
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
        .set_policy(Policy {
            allow_retention: true,
            allow_training: true,
            consent: Consent::Given,
            max_usd_day: Some(1000.0),
            ..Policy::default()
        })
        .await?;
    nearside.provider_models(dialect.name().to_owned()).await?;
    Ok(nearside)
}

async fn with_nearside(nearside: &Nearside, dialect: Dialect) -> Result<Turn, Box<dyn std::error::Error>> {
    let request = ChatRequest {
        mode: Mode::OnlyInCloud,
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
    Ok(Turn {
        first: first.ok_or("an answer without a word")?,
        whole: begun.elapsed(),
    })
}

async fn with_reqwest(client: &reqwest::Client, provider: &Provider) -> Result<Turn, Box<dyn std::error::Error>> {
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
        // The least that any client does: look for a word.
        if piece.windows(11).any(|window| window == b"\"content\":\"") {
            first.get_or_insert_with(|| begun.elapsed());
        }
    }
    Ok(Turn {
        first: first.ok_or("an answer without a word")?,
        whole: begun.elapsed(),
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
