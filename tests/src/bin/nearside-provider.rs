//! `nearside-provider`: hosted providers on this machine as a program, for apps' own tests in any language.
//!
//! `play` answers as a provider does, `record` passes on to a real one and writes a tape, `replay` plays the tape. Each
//! prints one line of JSON, `{"url":"http://127.0.0.1:PORT…"}`, then serves until its standard input closes, so that it
//! never outlives whoever started it. With `--log` a line follows for everything that the played provider sees; read on,
//! or the pipe fills up and the provider waits: `{"asked":{"method":…,"path":…,"body":…}}` before a request is answered,
//! `{"left":true}` when a client leaves in the middle of an answer.

use std::any::Any;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use nearside_tests::provider::{Cut, Dialect, Pace, Provider, Recorder, Replayer, Scene, Seen, tape};
use serde_json::{Value, json};

/// Hosted providers on this machine, for tests.
#[derive(Debug, Parser)]
#[command(name = "nearside-provider", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers as a provider does.
    Play(Play),
    /// Passes everything on to a provider and writes a tape, without keys and cookies.
    Record {
        /// The provider's base address.
        #[arg(long, value_name = "URL")]
        upstream: String,
        /// The tape; added to where there is one.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        at: At,
    },
    /// Plays a tape.
    Replay {
        /// The tape.
        file: PathBuf,
        /// Leaves out the pauses that were recorded.
        #[arg(long)]
        at_once: bool,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, Args)]
struct Play {
    /// Whose shapes to speak: openrouter, deepseek, groq, fireworks, openai, ollama, llama-server or compatible.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    dialect: Dialect,
    /// What to do with the next chat, such as `plain`, `plain={"text":"hi"}`, `stall` or an error's name. May be given
    /// several times; the last one stays for all chats after it.
    #[arg(long = "scene", value_name = "NAME[=JSON]")]
    scenes: Vec<String>,
    /// The key to ask for.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// One more model to know. May be given several times.
    #[arg(long = "model", value_name = "ID")]
    models: Vec<String>,
    /// Cuts answers at places that this seed gives.
    #[arg(long, value_name = "SEED")]
    cut: Option<u64>,
    /// Prints what it sees, a line of JSON each; without keys.
    #[arg(long)]
    log: bool,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, Args)]
struct At {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    match serve(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(command: &Command) -> io::Result<()> {
    // Held until the end: dropped, they stop.
    let (url, _server): (String, Box<dyn Any>) = match command {
        Command::Play(arguments) => {
            let provider = play(arguments)?;
            (provider.url(), Box::new(provider))
        }
        Command::Record { upstream, out, at } => {
            let recorder = Recorder::start(upstream, out, at.listen)?;
            (recorder.url(), Box::new(recorder))
        }
        Command::Replay { file, at_once, at } => {
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

fn play(arguments: &Play) -> io::Result<Provider> {
    let mut builder = Provider::builder(arguments.dialect).listen(arguments.at.listen);
    if let Some(key) = &arguments.key {
        builder = builder.key(key);
    }
    if let Some(seed) = arguments.cut {
        builder = builder.cut(Cut::Random(seed));
    }
    if arguments.log {
        // Whoever does not read the log any more does not want it.
        builder = builder.watch(|seen| drop(print(&line(seen))));
    }
    for model in &arguments.models {
        builder = builder.model(model);
    }
    let scenes: Vec<_> = arguments
        .scenes
        .iter()
        .map(|text| scene(arguments.dialect, text))
        .collect::<io::Result<_>>()?;
    if let Some(last) = scenes.last() {
        builder = builder.otherwise(last.clone());
    }
    let provider = builder.start()?;
    scenes.into_iter().for_each(|scene| provider.play(scene));
    Ok(provider)
}

fn line(seen: Seen<'_>) -> Value {
    match seen {
        Seen::Asked(request) => json!({
            "asked": { "method": request.method, "path": request.path, "body": request.body }
        }),
        Seen::Left => json!({ "left": true }),
    }
}

fn print(line: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn scene(dialect: Dialect, text: &str) -> io::Result<Scene> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let (name, json) = text
        .split_once('=')
        .map_or((text, None), |(name, json)| (name, Some(json)));
    let fields = json.map(serde_json::from_str).transpose();
    let scene = fields.and_then(|fields| Scene::named(dialect, name, fields));
    scene
        .map_err(|error| invalid(format!("scene `{text}`: {error}")))?
        .ok_or_else(|| invalid(format!("there is no scene and no error `{name}`")))
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::from_name(name).ok_or_else(|| format!("there is no dialect `{name}`"))
}
