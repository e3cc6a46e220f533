//! `kill -9` a hundred times while three processes write to one ledger: no cost of a finished answer is lost, and no cap is
//! exceeded.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use nearside::state::State;
use nearside::state::{Ledger, SpendingGroup, SpendingRow};
use nearside_tests::tiny_models;

const KILLS: u64 = 100;
const PROCESSES: usize = 3;

/// Caps in US dollars, reached on some days and near the end of the month.
const DAY_CAP_USD: f64 = 0.2;
const MONTH_CAP_USD: f64 = 3.0;

/// 1 November 2026, UTC. The hundred runs are spread over the month.
const MONTH_START: u64 = 1_793_491_200;

/// The output of one process until its kill.
#[derive(Default)]
struct LedgerRun {
    /// Nano-dollars and tokens of its answers, by purpose.
    done: HashMap<String, (u64, u64)>,
    full: u64,
}

fn spawn_writer(directory: &Path, number: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nearside-ledger-writer"))
        .args(["--directory".as_ref(), directory.as_os_str()])
        .args(["--name", &format!("run-{number}"), "--now", &now(number).to_string()])
        .args([
            "--day",
            &DAY_CAP_USD.to_string(),
            "--month",
            &MONTH_CAP_USD.to_string(),
            "--seed",
            &number.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn now(number: u64) -> u64 {
    MONTH_START + number * 30 / KILLS * 86_400
}

/// Starts a process that writes to the ledger, kills it at a random time, and returns its output.
fn run_and_kill(directory: &Path, number: u64, noise: &mut impl Iterator<Item = u8>) -> LedgerRun {
    let mut child = spawn_writer(directory, number);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut random = |below: u8| noise.next().unwrap_or_default() % below;
    let mut output: Vec<String> = lines
        .by_ref()
        .take(random(24).into())
        .map(|line| line.expect("a line"))
        .collect();
    // The random time of the kill is the point of the test, so no signal can replace the sleep.
    thread::sleep(Duration::from_micros(u64::from(random(250)) * 20));
    assert_eq!(child.try_wait().expect("asked"), None, "it runs until it is killed");
    child.kill().expect("killed");
    child.wait().expect("gone");
    output.extend(lines.map(|line| line.expect("a line")));

    let mut run = LedgerRun::default();
    for line in output {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["done", purpose, nanos, tokens] => {
                let figures = (nanos.parse().expect("nano-dollars"), tokens.parse().expect("tokens"));
                run.done.insert(purpose.to_owned(), figures);
            }
            ["full"] => run.full += 1,
            _ => panic!("unexpected line `{line}`"),
        }
    }
    run
}

fn nanos(usd: f64) -> u64 {
    (usd * 1e9).round() as u64
}

fn counted(row: &SpendingRow) -> u64 {
    nanos(row.usd) + nanos(row.usd_unsettled)
}

#[test]
fn killed_a_hundred_times_the_ledger_has_every_finished_answer_and_keeps_every_cap() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path();
    let begun = Instant::now();
    let next_run = AtomicU64::new(0);
    let ledger = Ledger::new(Arc::new(State::open_in(directory).expect("a state")));
    let one_after_another = |slot: u64| {
        let mut noise = tiny_models::noise(slot + 1);
        let mut runs = vec![];
        loop {
            let number = next_run.fetch_add(1, Ordering::Relaxed);
            if number >= KILLS {
                return runs;
            }
            runs.push(run_and_kill(directory, number, &mut noise));
            let spent = ledger
                .spent(UNIX_EPOCH + Duration::from_secs(now(number)))
                .expect("read");
            assert!(
                nanos(spent.day) <= nanos(DAY_CAP_USD) && nanos(spent.month) <= nanos(MONTH_CAP_USD),
                "{spent:?}"
            );
        }
    };
    let runs: Vec<LedgerRun> = thread::scope(|scope| {
        let slots: Vec<_> = (0..PROCESSES as u64)
            .map(|slot| scope.spawn(move || one_after_another(slot)))
            .collect();
        slots
            .into_iter()
            .flat_map(|slot| slot.join().expect("it ends"))
            .collect()
    });
    assert_eq!(runs.len() as u64, KILLS);

    let report = |by| ledger.report(None, None, by).expect("the ledger is whole");
    let rows: HashMap<String, SpendingRow> = report(SpendingGroup::Purpose)
        .into_iter()
        .map(|row| (row.key.clone(), row))
        .collect();
    let mut finished = 0;
    for (purpose, (cost, tokens)) in runs.iter().flat_map(|run| &run.done) {
        let row = rows.get(purpose).expect("a finished answer is in the ledger");
        assert_eq!(
            (nanos(row.usd), nanos(row.usd_unsettled), row.completion_tokens),
            (*cost, 0, *tokens),
            "{purpose}"
        );
        finished += 1;
    }
    let unsettled = rows.values().filter(|row| row.usd_unsettled > 0.0).count() as u64;
    let unreported = rows.len() as u64 - unsettled - finished;
    assert!(
        unsettled + unreported <= KILLS,
        "a process has one answer in flight: {unsettled} + {unreported}"
    );

    let days = report(SpendingGroup::Day);
    let month: u64 = days.iter().map(counted).sum();
    let fullest = days.iter().map(counted).max().unwrap_or_default();
    assert!(fullest <= nanos(DAY_CAP_USD), "{days:?}");
    assert!(month <= nanos(MONTH_CAP_USD), "{days:?}");
    let refused: u64 = runs.iter().map(|run| run.full).sum();
    assert!(refused > 0 && finished > KILLS, "it wrote entries and reached a cap");
    println!(
        "{KILLS} kills, {PROCESSES} processes at once, {:.1} s: {finished} answers reported as finished, all in the ledger at \
         their cost; {unreported} settled and not reported, {unsettled} left unsettled; {refused} refused; fullest day \
         ${:.9} of ${DAY_CAP_USD}, month ${:.9} of ${MONTH_CAP_USD}",
        begun.elapsed().as_secs_f64(),
        fullest as f64 / 1e9,
        month as f64 / 1e9,
    );
}
