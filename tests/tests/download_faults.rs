//! Downloads on bad days: cuts, silence, expired addresses, refusals, and servers that lie.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::time::{Duration, Instant};

use nearside::model::DownloadStream;
use nearside::{Error, ErrorKind};
use nearside_tests::hub::{Fault, Host, Hub, Refusal, Request};
use nearside_tests::scene::{self, LIMITS, Scene, kinds};
use nearside_tests::{models, small};

const SIZE: usize = 3_000_000;

/// A hub with one small model and these faults.
fn hub(seed: u64, faults: &[Fault]) -> (Hub, Vec<u8>) {
    let bytes = small::model(SIZE, seed);
    let mut builder = Hub::builder().bytes("o/r", "m.gguf", bytes.clone());
    for fault in faults {
        builder = builder.fault(fault.clone());
    }
    (builder.start().expect("a hub"), bytes)
}

/// Where each request to the storage began.
fn starts(log: &[Request]) -> Vec<u64> {
    let of_storage = log
        .iter()
        .filter(|request| request.host == Host::Cdn && request.method == "GET");
    let start = |request: &Request| {
        let range = request.range.as_deref()?.strip_prefix("bytes=")?;
        range.split('-').next()?.parse().ok()
    };
    of_storage.filter_map(start).collect()
}

/// What ends a download that must fail.
async fn failure(stream: &DownloadStream) -> Error {
    loop {
        match stream.next_batch().await {
            Ok(batch) => assert!(!batch.is_empty(), "it must fail"),
            Err(error) => return error,
        }
    }
}

#[tokio::test]
async fn cut_at_thirty_random_places_it_ends_whole_and_asks_for_no_byte_it_holds() {
    let file = models::path("smollm2.gguf");
    let hub = Hub::builder().file("o/smol", &file).start().expect("a hub");
    let scene = Scene::new(&hub);
    let mut noise = small::noise(7);
    let mut random = |most: u64| (0..4).fold(0_u64, |n, _| n << 8 | u64::from(noise.next().unwrap_or(0))) % most;
    for _ in 0..30 {
        hub.add_fault(Fault::CutAfter(random(6_000_000)));
    }
    let events = scene.download("hf:o/smol").await.expect("whole in the end");
    let sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    assert_eq!(scene::installed(&events).sha256, sha256);
    assert!(scene::progress(&events).is_sorted(), "done never goes back");
    let starts = starts(&hub.log());
    assert_eq!(starts.len(), 31, "one request for each cut, and the last");
    assert!(starts.is_sorted());
    // Every request begins where the one before it ended: what was sent, less what a cut lost on the wire.
    assert_eq!(starts[0], 0);
    let sent: Vec<u64> = hub
        .log()
        .iter()
        .filter(|r| r.host == Host::Cdn)
        .map(|r| r.sent)
        .collect();
    let lost: u64 = (1..starts.len()).map(|n| starts[n - 1] + sent[n - 1] - starts[n]).sum();
    assert_eq!(hub.bytes_sent(), 98_362_432 + lost);
}

#[tokio::test]
async fn killed_by_the_reader_thirty_times_each_run_goes_on_where_the_last_one_stopped() {
    let bytes = small::model(20_000_000, 8);
    let hub = Hub::builder()
        .bytes("o/r", "m.gguf", bytes.clone())
        .rate(40_000_000)
        .start()
        .expect("a hub");
    let scene = Scene::new(&hub);
    for run in 1..=30_u64 {
        let held = scene.held();
        let stream = scene.start("hf:o/r");
        let enough = held + run * 20_000;
        // Dropped without a word, in the middle: as an app does that is swiped away.
        while scene.held() < enough.min(19_000_000) {
            let batch = tokio::time::timeout(Duration::from_millis(5), stream.next_batch()).await;
            assert!(!matches!(batch, Ok(Err(_))), "{batch:?}");
        }
        drop(stream);
        assert!(scene.held() >= held);
    }
    let events = scene.download("hf:o/r").await.expect("whole in the end");
    assert_eq!(scene::installed(&events).sha256, small::sha256(&bytes));
    let starts = starts(&hub.log());
    assert!(
        starts.is_sorted() && starts.iter().filter(|start| **start == 0).count() == 1,
        "{starts:?}"
    );
}

#[tokio::test]
async fn silence_counts_as_a_lost_connection_and_the_download_goes_on() {
    let (hub, bytes) = hub(1, &[Fault::StallAfter(1_000_000), Fault::StallAfter(0)]);
    let scene = Scene::new(&hub);
    let events = scene.download("hf:o/r").await.expect("whole in the end");
    assert_eq!(scene::installed(&events).sha256, small::sha256(&bytes));
}

#[tokio::test]
async fn a_presigned_address_that_expires_is_fetched_anew() {
    let faults = [
        Fault::ExpiresAfter(1),
        Fault::CutAfter(900_000),
        Fault::CutAfter(900_000),
    ];
    let (hub, bytes) = hub(2, &faults);
    let scene = Scene::new(&hub);
    let events = scene.download("hf:o/r").await.expect("whole in the end");
    assert_eq!(scene::installed(&events).sha256, small::sha256(&bytes));
    assert_eq!(hub.bytes_sent(), bytes.len() as u64);

    // Expired before its first use, once.
    let (other, bytes) = self::hub(3, &[Fault::Refuse(Host::Cdn, Refusal::status(403))]);
    let scene = Scene::new(&other);
    let events = scene.download("hf:o/r").await.expect("whole in the end");
    assert_eq!(scene::installed(&events).sha256, small::sha256(&bytes));
}

#[tokio::test]
async fn the_head_survives_an_address_that_expires_between_its_pieces() {
    let hub = Hub::builder()
        .file("o/r1", &models::path("r1-7b.gguf"))
        .fault(Fault::ExpiresAfter(2))
        .fault(Fault::CutAfter(100_000))
        .start()
        .expect("a hub");
    let scene = Scene::new(&hub);
    let remote = scene.hub.resolve(&scene.reference("hf:o/r1")).await.expect("resolved");
    let (head, network) = nearside::model::download::head::fetch_head(&scene.hub, &scene.store, &remote)
        .await
        .expect("a head");
    assert_eq!(head.architecture, "qwen2");
    assert!(network < 8_000_000, "{network}");
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_then_given_up_with_the_bytes_kept() {
    let trouble = || Fault::Refuse(Host::Cdn, Refusal::status(503));
    let (hub, bytes) = hub(4, &[trouble(), trouble(), trouble()]);
    let scene = Scene::new(&hub);
    scene.download("hf:o/r").await.expect("the fourth attempt");

    let scene = Scene::new(&hub);
    hub.add_fault(Fault::StallAfter(1_000_000));
    let stream = scene.start("hf:o/r");
    while scene.held() < 1_000_000 {
        let _ = tokio::time::timeout(Duration::from_millis(5), stream.next_batch()).await;
    }
    (0..LIMITS.retry.attempts).for_each(|_| hub.add_fault(trouble()));
    let error = failure(&stream).await;
    assert_eq!(error.kind(), ErrorKind::Provider, "{error}");
    let held = scene.held();
    assert_eq!(held, 1_000_000);
    hub.clear_log();
    hub.clear_faults();
    scene.download("hf:o/r").await.expect("later");
    assert_eq!(hub.bytes_sent(), bytes.len() as u64 - held);
}

#[tokio::test]
async fn a_hub_that_is_gone_is_a_network_error_and_the_bytes_stay() {
    let (hub, _) = hub(5, &[Fault::StallAfter(500_000)]);
    let scene = Scene::new(&hub);
    let stream = scene.start("hf:o/r");
    while scene.held() < 500_000 {
        let _ = tokio::time::timeout(Duration::from_millis(5), stream.next_batch()).await;
    }
    drop(hub);
    let error = failure(&stream).await;
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(scene.held() > 0);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_past_what_is_held() {
    let (hub, bytes) = hub(6, &[Fault::IgnoreRanges, Fault::CutAfter(1_500_000)]);
    let scene = Scene::new(&hub);
    let events = scene.download("hf:o/r").await.expect("whole in the end");
    assert_eq!(scene::installed(&events).sha256, small::sha256(&bytes));
    assert!(scene::progress(&events).is_sorted(), "nothing held is thrown away");

    // The head ends the connection as soon as it has enough.
    let scene = Scene::new(&hub);
    let remote = scene.hub.resolve(&scene.reference("hf:o/r")).await.expect("resolved");
    let (_, network) = nearside::model::download::head::fetch_head(&scene.hub, &scene.store, &remote)
        .await
        .expect("a head");
    assert!(network < 1_500_000, "{network}");
}

#[tokio::test]
async fn wrong_bytes_are_thrown_away_and_the_next_download_starts_clean() {
    let (hub, bytes) = hub(7, &[Fault::WrongByteAt(2_000_000)]);
    let scene = Scene::new(&hub);
    let error = scene.download("hf:o/r").await.expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!((scene.held(), scene.store.list()), (0, Ok(Vec::new())));
    hub.clear_faults();
    hub.clear_log();
    scene.download("hf:o/r").await.expect("clean");
    assert_eq!(hub.bytes_sent(), bytes.len() as u64);
}

#[tokio::test]
async fn what_a_lying_server_sends_is_never_installed() {
    let table = [
        (Fault::ShiftedRange(1), "another part"),
        (Fault::WrongTotal(1), "another part"),
        (Fault::TooLong(10), "more bytes"),
        (Fault::WebPage, "web page"),
        (Fault::WrongByteAt(0), "not a GGUF model"),
        (Fault::Refuse(Host::Cdn, Refusal::status(416)), "416"),
    ];
    for (fault, words) in table {
        let (hub, _) = hub(8, std::slice::from_ref(&fault));
        let scene = Scene::new(&hub);
        let error = scene.download("hf:o/r").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Provider, "{fault:?}: {error}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
        assert!(
            !error.to_string().contains("signed/"),
            "no presigned address in an error: {error}"
        );
        assert_eq!(scene.store.list(), Ok(Vec::new()));
        hub.clear_faults();
        scene.download("hf:o/r").await.expect("an honest server later");
    }
}

#[tokio::test]
async fn refusals_say_what_helps() {
    let hub = Hub::builder()
        .bytes("o/r", "m.gguf", small::model(100, 1))
        .bytes("o/gated", "m.gguf", small::model(100, 2))
        .bytes("o/text", "config.json", "{}")
        .gated("o/gated", "right")
        .start()
        .expect("a hub");
    let limited = Refusal::status(429).with("RateLimit", "\"api\";r=0;t=55");
    type Case = (
        &'static str,
        Option<&'static str>,
        Option<Refusal>,
        ErrorKind,
        &'static str,
    );
    let cases: [Case; 9] = [
        ("hf:o/gated", None, None, ErrorKind::Unauthorized, "give a hub token"),
        (
            "hf:o/gated",
            Some("wrong"),
            None,
            ErrorKind::Unauthorized,
            "accept its terms",
        ),
        (
            "hf:o/none",
            None,
            None,
            ErrorKind::Unauthorized,
            "private, gated or missing",
        ),
        (
            "hf:o/none",
            Some("any"),
            None,
            ErrorKind::InvalidRequest,
            "no repository `o/none`",
        ),
        ("hf:o/r@v9", None, None, ErrorKind::InvalidRequest, "no such revision"),
        ("hf:o/r/other.gguf", None, None, ErrorKind::InvalidRequest, "`m.gguf`"),
        ("hf:o/text", None, None, ErrorKind::InvalidRequest, "`config.json`"),
        ("hf:o/r", None, Some(limited), ErrorKind::RateLimited, "wait 55 seconds"),
        ("not-installed", None, None, ErrorKind::NotInstalled, "not-installed"),
    ];
    for (name, token, refusal, kind, words) in cases {
        hub.clear_faults();
        if let Some(refusal) = refusal {
            hub.add_fault(Fault::Refuse(Host::Hub, refusal));
        }
        let scene = Scene::of(&hub.url(), token);
        let error = scene.download(name).await.expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_model_larger_than_the_disk_is_refused_before_its_first_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let huge = folder.path().join("huge.gguf");
    let file = std::fs::File::create(&huge).expect("a file");
    file.set_len(8_000_000_000_000).expect("a file with holes");
    let hub = Hub::builder().file("o/r", &huge).start().expect("a hub");
    let scene = Scene::new(&hub);
    let error = scene.download("hf:o/r").await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("8000.0 GB"), "{error}");
    assert_eq!(hub.bytes_sent(), 0);
}

#[tokio::test]
async fn cancel_wakes_a_stalled_download_at_once_and_what_came_is_kept() {
    let (hub, bytes) = hub(9, &[Fault::StallAfter(1_000_000)]);
    let scene = Scene::of(&hub.url(), None);
    let patient = nearside::model::hub::Hub::new(&hub.url(), None).expect("waits 30 seconds");
    let scene = Scene { hub: patient, ..scene };
    let stream = scene.start("hf:o/r");
    while scene.held() < 1_000_000 {
        let _ = tokio::time::timeout(Duration::from_millis(5), stream.next_batch()).await;
    }
    let asked = Instant::now();
    stream.cancel();
    let mut events = Vec::new();
    loop {
        let batch = stream.next_batch().await.expect("cancelling is no error");
        if batch.is_empty() {
            break;
        }
        events.extend(batch);
    }
    assert!(asked.elapsed() < Duration::from_millis(200), "{:?}", asked.elapsed());
    assert!(!kinds(&events).contains(&"installed"));
    assert_eq!(scene.held(), 1_000_000);
    let events = scene.download("hf:o/r").await.expect("whole in the end");
    assert_eq!(scene::progress(&events).first(), Some(&1_000_000));
    assert_eq!(scene::installed(&events).sha256, small::sha256(&bytes));
}

#[tokio::test]
async fn a_second_download_of_the_same_file_is_told_that_the_first_is_busy() {
    let (hub, _) = hub(10, &[Fault::StallAfter(1_000_000)]);
    let first = Scene::new(&hub);
    let stream = first.start("hf:o/r");
    while first.held() == 0 {
        let _ = tokio::time::timeout(Duration::from_millis(5), stream.next_batch()).await;
    }
    hub.add_fault(Fault::StallAfter(0));
    let error = first.download("hf:o/r").await.expect_err("busy");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_told_soon_and_a_sign_in_page_is_not_taken_for_one() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let url = format!("http://{}", port.expect("a port that nobody listens on"));
    let scene = Scene::of(&url, None);
    let error = scene.download("hf:o/r").await.expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.to_string().starts_with("could not reach `127.0.0.1:"), "{error}");
    let error = scene
        .download(&format!("{url}/m.gguf?key=canary"))
        .await
        .expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");

    let (hub, _) = hub(11, &[Fault::Refuse(Host::Hub, Refusal::status(200))]);
    let error = Scene::new(&hub).download("hf:o/r").await.expect_err("no listing");
    assert_eq!(error.kind(), ErrorKind::Provider, "{error}");
    assert!(error.to_string().contains("sign-in"), "{error}");
}
