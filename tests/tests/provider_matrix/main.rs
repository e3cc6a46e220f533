//! Eight dialects by everything that a provider does, well or badly. Each cell is a real exchange with a recorded
//! provider over a socket whose bytes are cut at random places, or, where the table says so, a replay of its bytes. The
//! table is printed; a cell that fails says why below it.

mod failing;
mod going_on;
mod replayed;
mod telling;

use std::fmt::Write as _;

use nearside_tests::provider::Dialect;

/// One row: what is played to every dialect.
type Case = (&'static str, fn(Dialect) -> Outcome);

/// A case at one dialect.
type Outcome = Result<(), String>;

const CASES: &[Case] = &[
    ("plain", telling::plain),
    ("reasoning", telling::reasoning),
    ("think tags", telling::think_tags),
    ("finish reasons", telling::finish_reasons),
    ("usage and cost", telling::usage_and_cost),
    ("web search", telling::web_search),
    ("model list", telling::model_list),
    ("tools, two turns", going_on::tools_over_two_turns),
    ("two calls at once", going_on::two_calls_at_once),
    ("JSON schema", going_on::json_schema),
    ("reasoning switches", going_on::reasoning_switches),
    ("cancel", going_on::cancel),
    ("documented errors", failing::documented_errors),
    ("mid-stream error", failing::mid_stream_error),
    ("stall", failing::stall),
    ("never a byte", failing::never_a_byte),
    ("truncated", failing::truncated),
    ("reset, half-closed", failing::reset_and_half_closed),
    ("wrong content", failing::wrong_content),
    ("cold start", failing::cold_start),
    ("wrong key", failing::wrong_key),
    ("keep-alives, 10 min*", replayed::ten_minutes_of_keep_alives),
    ("every byte*", replayed::cut_at_every_byte),
];

#[test]
fn every_dialect_in_every_case() {
    let mut table = format!("{:22}", "");
    for dialect in Dialect::ALL {
        let _ = write!(table, "{:>13}", dialect.name());
    }
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let _ = write!(table, "\n{name:22}");
        for dialect in Dialect::ALL {
            let outcome = std::panic::catch_unwind(|| case(dialect)).unwrap_or_else(|_| Err("panicked".into()));
            let _ = write!(table, "{:>13}", if outcome.is_ok() { "ok" } else { "FAILED" });
            failed.extend(outcome.err().map(|why| format!("{name} at {}: {why}", dialect.name())));
        }
    }
    println!("{table}\n* replayed without a socket");
    assert!(
        failed.is_empty(),
        "{} cells failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// Runs a case to its end.
fn run(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Fails with both values where they differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Outcome {
    if got == expected {
        Ok(())
    } else {
        Err(format!("{what}: got {got:?}, expected {expected:?}"))
    }
}

/// Fails with these words where it does not hold.
fn holds(what: &str, holds: bool) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}
