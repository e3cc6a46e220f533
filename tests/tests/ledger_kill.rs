//! `kill -9` a hundred times while three processes at once spend from one ledger: no cost of a finished answer is lost,
//! and no cap is passed.

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
use nearside::state::{Ledger, SpendBy, SpendRow};
use nearside_tests::small;

const KILLS: u64 = 100;
const AT_ONCE: usize = 3;

/// US dollars. Some days fill up, and towards its end the month does.
const DAY: f64 = 0.2;
const MONTH: f64 = 3.0;

/// The first of November 2026, in UTC; the month is lived through in a hundred lives.
const FIRST: u64 = 1_793_491_200;

/// What one process said before it was killed.
#[derive(Default)]
struct Said {
    /// Nano-dollars and tokens of its answers, by purpose.
    done: HashMap<String, (u64, u64)>,
    full: u64,
}

fn spender(directory: &Path, life: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_nearside-spender"))
        .args(["--directory".as_ref(), directory.as_os_str()])
        .args(["--name", &format!("life-{life}"), "--now", &now(life).to_string()])
        .args([
            "--day",
            &DAY.to_string(),
            "--month",
            &MONTH.to_string(),
            "--seed",
            &life.to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn now(life: u64) -> u64 {
    FIRST + life * 30 / KILLS * 86_400
}

/// Lets a process spend, kills it at a moment that depends on nothing it does, and gives back what it had said.
fn live_and_die(directory: &Path, life: u64, noise: &mut impl Iterator<Item = u8>) -> Said {
    let mut child = spender(directory, life);
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut random = |below: u8| noise.next().unwrap_or_default() % below;
    let mut said: Vec<String> = lines
        .by_ref()
        .take(random(24).into())
        .map(|line| line.expect("a line"))
        .collect();
    // The moment itself is what is tested: no signal could choose it.
    thread::sleep(Duration::from_micros(u64::from(random(250)) * 20));
    assert_eq!(child.try_wait().expect("asked"), None, "it spends until it is killed");
    child.kill().expect("killed");
    child.wait().expect("gone");
    said.extend(lines.map(|line| line.expect("a line")));

    let mut heard = Said::default();
    for line in said {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["done", purpose, nanos, tokens] => {
                let figures = (nanos.parse().expect("nano-dollars"), tokens.parse().expect("tokens"));
                heard.done.insert(purpose.to_owned(), figures);
            }
            ["full"] => heard.full += 1,
            _ => panic!("it said `{line}`"),
        }
    }
    heard
}

fn nanos(usd: f64) -> u64 {
    (usd * 1e9).round() as u64
}

fn counted(row: &SpendRow) -> u64 {
    nanos(row.usd) + nanos(row.usd_unsettled)
}

#[test]
fn killed_a_hundred_times_while_it_spends_the_ledger_has_every_finished_answer_and_keeps_every_cap() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path();
    let begun = Instant::now();
    let lives = AtomicU64::new(0);
    let ledger = Ledger::new(Arc::new(State::open(directory).expect("a state")));
    let one_after_another = |slot: u64| {
        let mut noise = small::noise(slot + 1);
        let mut heard = vec![];
        loop {
            let life = lives.fetch_add(1, Ordering::Relaxed);
            if life >= KILLS {
                return heard;
            }
            heard.push(live_and_die(directory, life, &mut noise));
            let spent = ledger.spent(UNIX_EPOCH + Duration::from_secs(now(life))).expect("read");
            assert!(
                nanos(spent.day) <= nanos(DAY) && nanos(spent.month) <= nanos(MONTH),
                "{spent:?}"
            );
        }
    };
    let heard: Vec<Said> = thread::scope(|scope| {
        let slots: Vec<_> = (0..AT_ONCE as u64)
            .map(|slot| scope.spawn(move || one_after_another(slot)))
            .collect();
        slots
            .into_iter()
            .flat_map(|slot| slot.join().expect("it ends"))
            .collect()
    });
    assert_eq!(heard.len() as u64, KILLS);

    let report = |by| ledger.report(None, None, by).expect("the ledger is whole");
    let rows: HashMap<String, SpendRow> = report(SpendBy::Purpose)
        .into_iter()
        .map(|row| (row.key.clone(), row))
        .collect();
    let mut finished = 0;
    for (purpose, (cost, tokens)) in heard.iter().flat_map(|said| &said.done) {
        let row = rows.get(purpose).expect("a finished answer is in the ledger");
        assert_eq!(
            (nanos(row.usd), nanos(row.usd_unsettled), row.completion_tokens),
            (*cost, 0, *tokens),
            "{purpose}"
        );
        finished += 1;
    }
    let unsettled = rows.values().filter(|row| row.usd_unsettled > 0.0).count() as u64;
    let untold = rows.len() as u64 - unsettled - finished;
    assert!(
        unsettled + untold <= KILLS,
        "one answer at a time is under way in a process: {unsettled} + {untold}"
    );

    let days = report(SpendBy::Day);
    let month: u64 = days.iter().map(counted).sum();
    let fullest = days.iter().map(counted).max().unwrap_or_default();
    assert!(fullest <= nanos(DAY), "{days:?}");
    assert!(month <= nanos(MONTH), "{days:?}");
    let refused: u64 = heard.iter().map(|said| said.full).sum();
    assert!(refused > 0 && finished > KILLS, "it spent, and came as far as a cap");
    println!(
        "{KILLS} kills, {AT_ONCE} processes at once, {:.1} s: {finished} answers told as finished, all in the ledger at \
         their cost; {untold} settled and not told, {unsettled} left unsettled; {refused} refused; fullest day \
         ${:.9} of ${DAY}, month ${:.9} of ${MONTH}",
        begun.elapsed().as_secs_f64(),
        fullest as f64 / 1e9,
        month as f64 / 1e9,
    );
}
