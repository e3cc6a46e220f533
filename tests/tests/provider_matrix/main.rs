//! A matrix of eight dialects and all cases of a provider. Each cell runs the engine against a local provider over a socket
//! whose bytes are split randomly; rows marked `*` replay the bytes without a socket. Prints the table and the reason of
//! each failed cell.

mod exchange;
mod failures;
mod network;
mod quirks;
mod replayed;
mod requests_and_cancel;
mod success;

use std::fmt::Write as _;

use nearside_tests::provider::Dialect;

/// A row: its name and the test for one dialect.
type MatrixRow = (&'static str, fn(Dialect) -> Outcome);

/// The result of one cell.
type Outcome = Result<(), String>;

const CASES: &[MatrixRow] = &[
    ("plain", success::plain),
    ("reasoning", success::reasoning),
    ("think tags", success::think_tags),
    ("finish reasons", success::finish_reasons),
    ("usage and cost", success::usage_and_cost),
    ("web search", success::web_search),
    ("model list", success::model_list),
    ("tools, two turns", requests_and_cancel::tools_over_two_turns),
    ("two calls at once", requests_and_cancel::two_calls_at_once),
    ("JSON schema", requests_and_cancel::json_schema),
    ("reasoning switches", requests_and_cancel::reasoning_switches),
    ("cancel", requests_and_cancel::cancel),
    ("documented errors", failures::documented_errors),
    ("mid-stream error", failures::mid_stream_error),
    ("stall", failures::stall),
    ("never a byte", failures::never_a_byte),
    ("truncated", failures::truncated),
    ("reset, half-closed", failures::reset_and_half_closed),
    ("wrong content", failures::wrong_content),
    ("cold start", failures::cold_start),
    ("shapes of the field", quirks::shapes_of_the_field),
    ("wrong key", failures::wrong_key),
    ("keep-alives, 10 min*", replayed::ten_minutes_of_keep_alives),
    ("every byte*", replayed::split_at_every_byte),
    ("shapes, every byte*", replayed::shapes_split_at_every_byte),
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

/// Runs the future of a cell on a new runtime.
fn run(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Fails with both values if they differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Outcome {
    if got == expected {
        Ok(())
    } else {
        Err(format!("{what}: got {got:?}, expected {expected:?}"))
    }
}

/// Fails with this text if the condition is false.
fn holds(what: &str, holds: bool) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}
