//! `nearside-provider`: local stand-ins for providers as a program, for apps' own tests in any language.
//!
//! `play` answers like a provider, `record` forwards to a real one and writes a tape, `replay` replays the tape. Each
//! prints one line of JSON, `{"url":"http://127.0.0.1:PORT…"}`, then serves until its standard input closes, so that it
//! never outlives the process that started it. With `--log`, `play` also prints a line per event:
//! `{"asked":{"method":…,"path":…,"body":…}}` before it answers a request, and `{"left":true}` when a client disconnects
//! during an answer. These lines must be read: a full pipe blocks the provider.

use std::any::Any;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use nearside_tests::provider::{Chunking, Dialect, Pace, Provider, ProviderEvent, Recorder, Replayer, Scenario, tape};
use serde_json::{Value, json};

/// Local stand-ins for providers, for tests.
#[derive(Debug, Parser)]
#[command(name = "nearside-provider", version)]
struct ProviderArgs {
    #[command(subcommand)]
    command: ProviderCommand,
}

#[derive(Debug, Subcommand)]
enum ProviderCommand {
    /// Answers like a provider.
    Play(PlayArgs),
    /// Forwards everything to a provider and writes a tape, without keys and cookies.
    Record {
        /// The provider's base address.
        #[arg(long, value_name = "URL")]
        upstream: String,
        /// The tape; an existing one is appended to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        at: ListenArgs,
    },
    /// Replays a tape.
    Replay {
        /// The tape.
        file: PathBuf,
        /// Omits the recorded pauses.
        #[arg(long)]
        at_once: bool,
        #[command(flatten)]
        at: ListenArgs,
    },
}

#[derive(Debug, Args)]
struct PlayArgs {
    /// Wire format: openrouter, deepseek, groq, fireworks, openai, ollama, llama-server or compatible.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    dialect: Dialect,
    /// Scenario of the next chat, such as `plain`, `plain={"text":"hi"}`, `stall`, a shape of the field such as `error_line`,
    /// or an error's name. May be given several times; the last one is used for all further chats.
    #[arg(long = "scenario", value_name = "NAME[=JSON]")]
    scenarios: Vec<String>,
    /// The required key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// An additional model. May be given several times.
    #[arg(long = "model", value_name = "ID")]
    models: Vec<String>,
    /// Splits answers at random positions by this seed.
    #[arg(long, value_name = "SEED")]
    chunking: Option<u64>,
    /// Prints its events as lines of JSON, without keys.
    #[arg(long)]
    log: bool,
    #[command(flatten)]
    at: ListenArgs,
}

#[derive(Debug, Args)]
struct ListenArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    match serve(&ProviderArgs::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(command: &ProviderCommand) -> io::Result<()> {
    // Held until the end: a dropped server stops.
    let (url, _server): (String, Box<dyn Any>) = match command {
        ProviderCommand::Play(arguments) => {
            let provider = play(arguments)?;
            (provider.url(), Box::new(provider))
        }
        ProviderCommand::Record { upstream, out, at } => {
            let recorder = Recorder::start(upstream, out, at.listen)?;
            (recorder.url(), Box::new(recorder))
        }
        ProviderCommand::Replay { file, at_once, at } => {
            let pace = if *at_once { Pace::AtOnce } else { Pace::Recorded };
            let replayer = Replayer::start(tape::read(file)?, pace, at.listen)?;
            (replayer.url(), Box::new(replayer))
        }
    };
    print(&json!({ "url": url }))?;
    let mut input = io::stdin();
    let mut buffer = [0; 64];
    while input.read(&mut buffer)? > 0 {}
    Ok(())
}

fn play(arguments: &PlayArgs) -> io::Result<Provider> {
    let mut builder = Provider::builder(arguments.dialect).listen(arguments.at.listen);
    if let Some(key) = &arguments.key {
        builder = builder.key(key);
    }
    if let Some(seed) = arguments.chunking {
        builder = builder.chunking(Chunking::Random(seed));
    }
    if arguments.log {
        // Ignore a closed log.
        builder = builder.watch(|seen| drop(print(&line(seen))));
    }
    for model in &arguments.models {
        builder = builder.model(model);
    }
    let scenarios: Vec<_> = arguments
        .scenarios
        .iter()
        .map(|text| scenario(arguments.dialect, text))
        .collect::<io::Result<_>>()?;
    if let Some(last) = scenarios.last() {
        builder = builder.otherwise(last.clone());
    }
    let provider = builder.start()?;
    scenarios.into_iter().for_each(|scenario| provider.play(scenario));
    Ok(provider)
}

fn line(seen: ProviderEvent<'_>) -> Value {
    match seen {
        ProviderEvent::Request(request) => json!({
            "asked": { "method": request.method, "path": request.path, "body": request.body }
        }),
        ProviderEvent::Disconnected => json!({ "left": true }),
    }
}

fn print(line: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn scenario(dialect: Dialect, text: &str) -> io::Result<Scenario> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let (name, json) = text
        .split_once('=')
        .map_or((text, None), |(name, json)| (name, Some(json)));
    let fields = json.map(serde_json::from_str).transpose();
    let scenario = fields.and_then(|fields| Scenario::named(dialect, name, fields));
    scenario
        .map_err(|error| invalid(format!("scenario `{text}`: {error}")))?
        .ok_or_else(|| invalid(format!("there is no scenario and no error `{name}`")))
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::from_name(name).ok_or_else(|| format!("there is no dialect `{name}`"))
}
