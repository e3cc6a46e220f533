//! `nearside-ledger-writer`: reserves and settles costs in a ledger until a test kills it.
//!
//! Prints `done PURPOSE NANODOLLARS TOKENS` after each settled answer and `full` when a cap rejects one. Ends by itself only
//! if its output is closed or the ledger returns an unexpected error.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use nearside::chat::{CostSource, RouteTarget, TokenUsage};
use nearside::state::State;
use nearside::state::{Caps, Ledger, Reservation};
use nearside::{Error, ErrorKind};
use nearside_tests::tiny_models;

/// Reserves and settles costs in a ledger until it is killed.
#[derive(Debug, Parser)]
#[command(name = "nearside-ledger-writer", version)]
struct LedgerWriterArgs {
    /// Directory of `state.db`.
    #[arg(long)]
    directory: PathBuf,
    /// Prefix of its purposes.
    #[arg(long)]
    name: String,
    /// The ledger's current time, in seconds since 1970.
    #[arg(long)]
    now: u64,
    /// Cap per day, in US dollars.
    #[arg(long)]
    day: f64,
    /// Cap per month, in US dollars.
    #[arg(long)]
    month: f64,
    /// Seed of the amounts.
    #[arg(long)]
    seed: u64,
}

fn main() -> ExitCode {
    match write_ledger(&LedgerWriterArgs::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_ledger(arguments: &LedgerWriterArgs) -> Result<(), Error> {
    let ledger = Ledger::new(Arc::new(State::open_in(&arguments.directory)?));
    let target = RouteTarget::Remote {
        provider: "recorded".to_owned(),
        model: "m".to_owned(),
    };
    let caps = Caps {
        request: None,
        day: Some(arguments.day),
        month: Some(arguments.month),
    };
    let mut noise = tiny_models::noise(arguments.seed);
    let mut random = || u32::from(noise.next().unwrap_or_default());
    for number in 0_u64.. {
        let purpose = format!("{}-{number}", arguments.name);
        // Reserves up to a cent and charges a part or all of it, in nano-dollars.
        let most = 1 + random() * 39_215;
        let charged = most / (1 + random() % 3);
        let tokens = random();
        let reserved = ledger.reserve(&Reservation {
            target: &target,
            purpose: &purpose,
            usd: f64::from(most) / 1e9,
            caps,
            now: from_unix_seconds(arguments.now),
        });
        let entry = match reserved {
            Err(error) if error.kind() == ErrorKind::Blocked => {
                print_line("full\n")?;
                continue;
            }
            reserved => reserved?,
        };
        if random() % 8 == 0 {
            ledger.release(entry)?;
            continue;
        }
        let usage = TokenUsage {
            completion_tokens: tokens,
            ..TokenUsage::default()
        };
        ledger.settle(entry, f64::from(charged) / 1e9, &usage, CostSource::Provider)?;
        print_line(&format!("done {purpose} {charged} {tokens}\n"))?;
    }
    Ok(())
}

fn from_unix_seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Writes a line at once, so that no kill leaves half of it.
fn print_line(line: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    written.map_err(|cause| Error::internal(format!("standard output is closed: {cause}")))
}
