//! `nearside-spender`: spends from a ledger without end, so that a test can kill it.
//!
//! Prints `done PURPOSE NANODOLLARS TOKENS` once an answer is settled, and `full` when a cap refused one. Ends by itself
//! only when nobody reads what it prints, or with an error that a ledger should not give.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use nearside::chat::{CostSource, Target, Usage};
use nearside::state::State;
use nearside::state::{Caps, Ledger, Reservation};
use nearside::{Error, ErrorKind};
use nearside_tests::small;

/// Spends from a ledger without end.
#[derive(Debug, Parser)]
#[command(name = "nearside-spender", version)]
struct Arguments {
    /// Where `state.db` is.
    #[arg(long)]
    directory: PathBuf,
    /// What its purposes begin with.
    #[arg(long)]
    name: String,
    /// What it takes for the time, in seconds since 1970.
    #[arg(long)]
    now: u64,
    /// US dollars a day.
    #[arg(long)]
    day: f64,
    /// US dollars a month.
    #[arg(long)]
    month: f64,
    /// What its amounts depend on.
    #[arg(long)]
    seed: u64,
}

fn main() -> ExitCode {
    match spend(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn spend(arguments: &Arguments) -> Result<(), Error> {
    let ledger = Ledger::new(Arc::new(State::open(&arguments.directory)?));
    let target = Target::Remote {
        provider: "recorded".to_owned(),
        model: "m".to_owned(),
    };
    let caps = Caps {
        request: None,
        day: Some(arguments.day),
        month: Some(arguments.month),
    };
    let mut noise = small::noise(arguments.seed);
    let mut random = || u32::from(noise.next().unwrap_or_default());
    for number in 0_u64.. {
        let purpose = format!("{}-{number}", arguments.name);
        // Up to a cent at most, of which up to all is charged, in odd nano-dollars.
        let most = 1 + random() * 39_215;
        let charged = most / (1 + random() % 3);
        let tokens = random();
        let reserved = ledger.reserve(&Reservation {
            target: &target,
            purpose: &purpose,
            usd: f64::from(most) / 1e9,
            caps,
            now: moment(arguments.now),
        });
        let entry = match reserved {
            Err(error) if error.kind() == ErrorKind::Blocked => {
                say("full\n")?;
                continue;
            }
            reserved => reserved?,
        };
        if random() % 8 == 0 {
            ledger.release(entry)?;
            continue;
        }
        let usage = Usage {
            completion_tokens: tokens,
            ..Usage::default()
        };
        ledger.settle(entry, f64::from(charged) / 1e9, &usage, CostSource::Provider)?;
        say(&format!("done {purpose} {charged} {tokens}\n"))?;
    }
    Ok(())
}

fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// In one piece, so that no kill leaves half a line.
fn say(line: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let said = out.write_all(line.as_bytes()).and_then(|()| out.flush());
    said.map_err(|cause| Error::internal(format!("nobody listens: {cause}")))
}
