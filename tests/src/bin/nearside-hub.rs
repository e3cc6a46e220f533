//! `nearside-hub`: the local hub as a program, for tests in other languages, for scripts and for the demo.
//!
//! Prints one line of JSON, `{"url":"http://127.0.0.1:PORT"}`, then serves until its standard input closes, so that it
//! never outlives the process that started it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nearside_tests::hub::{Fault, Hub};

/// A local hub that speaks Hugging Face's protocol.
#[derive(Debug, Parser)]
#[command(name = "nearside-hub", version)]
struct HubArgs {
    /// The repository of the files.
    #[arg(long, value_name = "ORG/NAME")]
    repo: String,
    /// A file to serve: PATH, or NAME=PATH to serve it under another name. May be given several times.
    #[arg(long = "file", value_name = "[NAME=]PATH", required = true)]
    files: Vec<String>,
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Maximum rate per connection, in bytes per second.
    #[arg(long, value_name = "BYTES")]
    rate: Option<u64>,
    /// A fault: cut=BYTES, stall=BYTES, wrong-byte=OFFSET, expires=ANSWERS or ignore-ranges. May be given several times.
    #[arg(long = "fault", value_name = "FAULT", value_parser = fault)]
    faults: Vec<Fault>,
    /// The token that the repository requires.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

fn main() -> ExitCode {
    match serve(&HubArgs::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &HubArgs) -> std::io::Result<()> {
    let mut builder = Hub::builder().listen(arguments.listen);
    for file in &arguments.files {
        builder = match file.split_once('=') {
            Some((name, path)) => builder.file_as(&arguments.repo, name, &PathBuf::from(path)),
            None => builder.file(&arguments.repo, &PathBuf::from(file)),
        };
    }
    if let Some(rate) = arguments.rate {
        builder = builder.rate(rate);
    }
    if let Some(token) = &arguments.token {
        builder = builder.gated(&arguments.repo, token);
    }
    for fault in &arguments.faults {
        builder = builder.fault(fault.clone());
    }
    let hub = builder.start()?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::json!({ "url": hub.url() }))?;
    out.flush()?;
    let mut input = std::io::stdin();
    let mut buffer = [0; 64];
    while input.read(&mut buffer)? > 0 {}
    Ok(())
}

fn fault(text: &str) -> Result<Fault, String> {
    let (name, value) = text.split_once('=').unwrap_or((text, "0"));
    let number: u64 = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    Ok(match name {
        "cut" => Fault::CutAfter(number),
        "stall" => Fault::StallAfter(number),
        "wrong-byte" => Fault::WrongByteAt(number),
        "expires" => Fault::ExpiresAfter(u32::try_from(number).map_err(|error| error.to_string())?),
        "ignore-ranges" => Fault::IgnoreRanges,
        _ => return Err(format!("there is no fault `{name}`")),
    })
}
