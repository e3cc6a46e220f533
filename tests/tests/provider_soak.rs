//! Ten thousand answers of local providers with random faults: each ends in time and leaks nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nearside::ErrorKind;
use nearside_tests::provider::{Chunking, Dialect, Provider, Scenario};
use nearside_tests::remote::{TIMEOUTS, collect_answer, connected, question, start_chat};
use tokio::sync::Semaphore;

const STREAMS: usize = 10_000;
const CONCURRENCY: usize = 64;

fn main_threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let links = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

#[test]
fn ten_thousand_faulty_streams_all_end_and_leave_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let before = sockets();
    let halfway = Arc::new(AtomicUsize::new(0));
    let counts = runtime.block_on(async {
        let providers: Vec<_> = Dialect::ALL
            .into_iter()
            .map(|dialect| {
                Provider::builder(dialect)
                    .chunking(Chunking::Random(3))
                    .start()
                    .expect("a provider")
            })
            .collect();
        let clients: Vec<_> = providers.iter().map(|provider| connected(provider).http).collect();
        let gate = Arc::new(Semaphore::new(CONCURRENCY));
        let mut running = tokio::task::JoinSet::new();
        for n in 0..STREAMS {
            let provider = &providers[n % providers.len()];
            provider.play(Scenario::random(provider.dialect(), n as u64));
            let mut connection = connected(provider);
            // Connections are shared, as in an app; circuit breakers are not, or a few faults would block the rest.
            connection.http = clients[n % providers.len()].clone();
            connection.timeouts.retry.attempts = 2;
            let permit = Arc::clone(&gate).acquire_owned().await.expect("open");
            running.spawn(async move {
                let begun = Instant::now();
                let answer = collect_answer(&start_chat(connection, question())).await;
                drop(permit);
                (
                    answer.end.map(|end| end.stop).map_err(|error| error.kind()),
                    begun.elapsed(),
                )
            });
            if n == STREAMS / 2 {
                halfway.store(resident_kib(), Ordering::SeqCst);
            }
        }
        let (mut done, mut failed, mut slowest) = (0, std::collections::BTreeMap::new(), Duration::ZERO);
        while let Some(joined) = running.join_next().await {
            let (end, took) = joined.expect("no panic");
            slowest = slowest.max(took);
            match end {
                Ok(_) => done += 1,
                Err(kind) => *failed.entry(format!("{kind:?}")).or_insert(0) += 1,
            }
            assert_ne!(
                end.err(),
                Some(ErrorKind::Internal),
                "no fault of a provider is `Internal`"
            );
            assert!(took < TIMEOUTS.total, "one took {took:?}");
        }
        println!("{done} done, {failed:?}, slowest {slowest:?}");
        drop(clients);
        for provider in &providers {
            assert!(
                provider.wait_for_open_connections(0, Duration::from_secs(5)),
                "a connection stayed open"
            );
        }
        // Connection tasks end with their connections.
        let begun = Instant::now();
        let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        while alive() > 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{} tasks are left behind",
                alive()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (done, failed.values().sum::<usize>())
    });
    assert_eq!(counts.0 + counts.1, STREAMS);
    assert!(
        counts.0 > STREAMS / 4 && counts.1 > STREAMS / 4,
        "both kinds were played: {counts:?}"
    );
    runtime.shutdown_timeout(Duration::from_secs(5));
    let (half, end) = (halfway.load(Ordering::SeqCst), resident_kib());
    println!(
        "sockets before {before}, after {}; {} threads; {half} KiB halfway, {end} KiB at the end",
        sockets(),
        main_threads()
    );
    // Not `==`: sockets that the process inherited may have been closed meanwhile.
    assert!(sockets() <= before, "sockets are left behind");
    assert!(
        end < half + 32 * 1024,
        "memory grew from {half} to {end} KiB in the second half"
    );
}
