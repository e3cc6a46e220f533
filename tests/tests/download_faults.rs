//! Downloads with faults: lost connections, stalls, expired addresses, refusals, and wrong responses.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::time::{Duration, Instant};

use nearside::model::DownloadStream;
use nearside::{Error, ErrorKind};
use nearside_tests::fixtures::{self, LIMITS, TestDevice, kinds};
use nearside_tests::hub::{Fault, Host, Hub, LoggedRequest, Refusal};
use nearside_tests::{models, tiny_models};

const SIZE: usize = 3_000_000;

/// Starts a hub with one tiny model and these faults.
fn hub(seed: u64, faults: &[Fault]) -> (Hub, Vec<u8>) {
    let bytes = tiny_models::model(SIZE, seed);
    let mut builder = Hub::builder().bytes("o/r", "m.gguf", bytes.clone());
    for fault in faults {
        builder = builder.fault(fault.clone());
    }
    (builder.start().expect("a hub"), bytes)
}

/// Returns the start offset of each request to the CDN.
fn starts(log: &[LoggedRequest]) -> Vec<u64> {
    let of_storage = log
        .iter()
        .filter(|request| request.host == Host::Cdn && request.method == "GET");
    let start = |request: &LoggedRequest| {
        let range = request.range.as_deref()?.strip_prefix("bytes=")?;
        range.split('-').next()?.parse().ok()
    };
    of_storage.filter_map(start).collect()
}

/// Returns the error of a download that must fail.
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
    let device = TestDevice::new(&hub);
    let mut noise = tiny_models::noise(7);
    let mut random = |most: u64| (0..4).fold(0_u64, |n, _| n << 8 | u64::from(noise.next().unwrap_or(0))) % most;
    for _ in 0..30 {
        hub.add_fault(Fault::CutAfter(random(6_000_000)));
    }
    let events = device.install("hf:o/smol", models::SMOLLM2_SHA256).await;
    assert!(fixtures::progress(&events).is_sorted(), "done never goes back");
    let starts = starts(&hub.log());
    assert_eq!(starts.len(), 31, "one request for each cut, and the last");
    assert!(starts.is_sorted());
    // Every request starts where the previous one ended, minus bytes that were lost in transit.
    assert_eq!(starts[0], 0);
    let log = hub.log();
    let of_cdn = log.iter().filter(|request| request.host == Host::Cdn);
    let sent: Vec<u64> = of_cdn.map(|request| request.sent).collect();
    let lost: u64 = (1..starts.len()).map(|n| starts[n - 1] + sent[n - 1] - starts[n]).sum();
    assert_eq!(hub.bytes_sent(), 98_362_432 + lost);
}

#[tokio::test]
async fn dropped_by_the_consumer_thirty_times_each_run_goes_on_where_the_last_one_stopped() {
    let bytes = tiny_models::model(20_000_000, 8);
    let hub = Hub::builder()
        .bytes("o/r", "m.gguf", bytes.clone())
        .rate(40_000_000)
        .start()
        .expect("a hub");
    let device = TestDevice::new(&hub);
    for run in 1..=30_u64 {
        let held = device.partial_bytes();
        let stream = device.start("hf:o/r");
        let enough = held + run * 20_000;
        // Drop the stream during the download, as when an app is swiped away.
        device.wait_for_partial(&stream, enough.min(19_000_000)).await;
        drop(stream);
        assert!(device.partial_bytes() >= held);
    }
    device.install("hf:o/r", &tiny_models::sha256(&bytes)).await;
    let starts = starts(&hub.log());
    let from_zero = starts.iter().filter(|start| **start == 0).count();
    assert!(starts.is_sorted() && from_zero == 1, "{starts:?}");
}

#[tokio::test]
async fn silence_counts_as_a_lost_connection_and_the_download_goes_on() {
    let (hub, bytes) = hub(1, &[Fault::StallAfter(1_000_000), Fault::StallAfter(0)]);
    let device = TestDevice::new(&hub);
    device.install("hf:o/r", &tiny_models::sha256(&bytes)).await;
}

#[tokio::test]
async fn a_presigned_address_that_expires_is_fetched_anew() {
    let cut = Fault::CutAfter(900_000);
    let (hub, bytes) = hub(2, &[Fault::ExpiresAfter(1), cut.clone(), cut]);
    let device = TestDevice::new(&hub);
    device.install("hf:o/r", &tiny_models::sha256(&bytes)).await;
    assert_eq!(hub.bytes_sent(), bytes.len() as u64);

    // Expires before its first use, once.
    let (other, bytes) = self::hub(3, &[Fault::Refuse(Host::Cdn, Refusal::status(403))]);
    let device = TestDevice::new(&other);
    device.install("hf:o/r", &tiny_models::sha256(&bytes)).await;
}

#[tokio::test]
async fn the_head_survives_an_address_that_expires_between_its_pieces() {
    let hub = Hub::builder()
        .file("o/r1", &models::path("r1-7b.gguf"))
        .fault(Fault::ExpiresAfter(2))
        .fault(Fault::CutAfter(100_000))
        .start()
        .expect("a hub");
    let device = TestDevice::new(&hub);
    let (head, network) = device.fetch_head(&device.resolve("hf:o/r1").await).await;
    assert_eq!(head.architecture, "qwen2");
    assert!(network < 8_000_000, "{network}");
}

#[tokio::test]
async fn a_failing_server_is_retried_and_then_given_up_with_the_bytes_kept() {
    let trouble = || Fault::Refuse(Host::Cdn, Refusal::status(503));
    let (hub, bytes) = hub(4, &[trouble(), trouble(), trouble()]);
    let device = TestDevice::new(&hub);
    device.download("hf:o/r").await.expect("the fourth attempt");

    let device = TestDevice::new(&hub);
    hub.add_fault(Fault::StallAfter(1_000_000));
    let stream = device.start("hf:o/r");
    device.wait_for_partial(&stream, 1_000_000).await;
    (0..LIMITS.retry.attempts).for_each(|_| hub.add_fault(trouble()));
    let error = failure(&stream).await;
    assert_eq!(error.kind(), ErrorKind::Provider, "{error}");
    let held = device.partial_bytes();
    assert_eq!(held, 1_000_000);
    hub.clear_log();
    hub.clear_faults();
    device.download("hf:o/r").await.expect("later");
    assert_eq!(hub.bytes_sent(), bytes.len() as u64 - held);
}

#[tokio::test]
async fn a_hub_that_is_gone_is_a_network_error_and_the_bytes_stay() {
    let (hub, _) = hub(5, &[Fault::StallAfter(500_000)]);
    let device = TestDevice::new(&hub);
    let stream = device.start("hf:o/r");
    device.wait_for_partial(&stream, 500_000).await;
    drop(hub);
    let error = failure(&stream).await;
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(device.partial_bytes() > 0);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_past_what_is_held() {
    let (hub, bytes) = hub(6, &[Fault::IgnoreRanges, Fault::CutAfter(1_500_000)]);
    let device = TestDevice::new(&hub);
    let events = device.install("hf:o/r", &tiny_models::sha256(&bytes)).await;
    assert!(fixtures::progress(&events).is_sorted(), "nothing held is thrown away");

    // Reading the head closes the connection as soon as it has enough.
    let device = TestDevice::new(&hub);
    let (_, network) = device.fetch_head(&device.resolve("hf:o/r").await).await;
    assert!(network < 1_500_000, "{network}");
}

#[tokio::test]
async fn wrong_bytes_are_thrown_away_and_the_next_download_starts_clean() {
    let (hub, bytes) = hub(7, &[Fault::WrongByteAt(2_000_000)]);
    let device = TestDevice::new(&hub);
    let error = device.download("hf:o/r").await.expect_err("damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!((device.partial_bytes(), device.store.list()), (0, Ok(Vec::new())));
    hub.clear_faults();
    hub.clear_log();
    device.download("hf:o/r").await.expect("clean");
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
    for (fault, text) in table {
        let (hub, _) = hub(8, std::slice::from_ref(&fault));
        let device = TestDevice::new(&hub);
        let error = device.download("hf:o/r").await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Provider, "{fault:?}: {error}");
        assert!(error.to_string().contains(text), "{fault:?}: {error}");
        let shown = error.to_string().contains("signed/");
        assert!(!shown, "no presigned address in an error: {error}");
        assert_eq!(device.store.list(), Ok(Vec::new()));
        hub.clear_faults();
        device.download("hf:o/r").await.expect("an honest server later");
    }
}

#[tokio::test]
async fn refusals_say_what_helps() {
    let hub = Hub::builder()
        .bytes("o/r", "m.gguf", tiny_models::model(100, 1))
        .bytes("o/gated", "m.gguf", tiny_models::model(100, 2))
        .bytes("o/text", "config.json", "{}")
        .gated("o/gated", "right")
        .start()
        .expect("a hub");
    let limited = Refusal::status(429).with("RateLimit", "\"api\";r=0;t=55");
    use ErrorKind::{InvalidRequest, NotInstalled, RateLimited, Unauthorized};
    let cases = [
        ("hf:o/gated", None, None, Unauthorized, "give a hub token"),
        ("hf:o/gated", Some("wrong"), None, Unauthorized, "accept its terms"),
        ("hf:o/none", None, None, Unauthorized, "private, gated or missing"),
        ("hf:o/none", Some("any"), None, InvalidRequest, "no repository `o/none`"),
        ("hf:o/r@v9", None, None, InvalidRequest, "no such revision"),
        ("hf:o/r/other.gguf", None, None, InvalidRequest, "`m.gguf`"),
        ("hf:o/text", None, None, InvalidRequest, "`config.json`"),
        ("hf:o/r", None, Some(limited), RateLimited, "wait 55 seconds"),
        ("not-installed", None, None, NotInstalled, "not-installed"),
    ];
    for (name, token, refusal, kind, text) in cases {
        hub.clear_faults();
        if let Some(refusal) = refusal {
            hub.add_fault(Fault::Refuse(Host::Hub, refusal));
        }
        let device = TestDevice::connect(&hub.url(), token);
        let error = device.download(name).await.expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_model_larger_than_the_disk_is_refused_before_its_first_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let huge = folder.path().join("huge.gguf");
    let file = std::fs::File::create(&huge).expect("a file");
    file.set_len(8_000_000_000_000).expect("a file with holes");
    let hub = Hub::builder().file("o/r", &huge).start().expect("a hub");
    let device = TestDevice::new(&hub);
    let error = device.download("hf:o/r").await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("8.0 TB"), "{error}");
    assert_eq!(hub.bytes_sent(), 0);
}

#[tokio::test]
async fn cancel_wakes_a_stalled_download_at_once_and_what_came_is_kept() {
    let (hub, bytes) = hub(9, &[Fault::StallAfter(1_000_000)]);
    let device = TestDevice::connect(&hub.url(), None);
    let patient = nearside::model::hub::Hub::new(&hub.url(), None).expect("waits 30 seconds");
    let device = TestDevice { hub: patient, ..device };
    let stream = device.start("hf:o/r");
    device.wait_for_partial(&stream, 1_000_000).await;
    let cancelled_at = Instant::now();
    stream.cancel();
    let mut events = Vec::new();
    loop {
        let batch = stream.next_batch().await.expect("cancelling is no error");
        if batch.is_empty() {
            break;
        }
        events.extend(batch);
    }
    let took = cancelled_at.elapsed();
    // Far less than the half minute after which a stall is an error.
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!kinds(&events).contains(&"installed"));
    assert_eq!(device.partial_bytes(), 1_000_000);
    let events = device.install("hf:o/r", &tiny_models::sha256(&bytes)).await;
    assert_eq!(fixtures::progress(&events).first(), Some(&1_000_000));
}

#[tokio::test]
async fn a_second_download_of_the_same_file_fails_while_the_first_runs() {
    let (hub, _) = hub(10, &[Fault::StallAfter(1_000_000)]);
    let first = TestDevice::new(&hub);
    let stream = first.start("hf:o/r");
    first.wait_for_partial(&stream, 1).await;
    hub.add_fault(Fault::StallAfter(0));
    let error = first.download("hf:o/r").await.expect_err("busy");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
}

#[tokio::test]
async fn an_unreachable_hub_fails_soon_and_a_sign_in_page_is_not_taken_for_one() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let url = format!("http://{}", port.expect("a closed port"));
    let device = TestDevice::connect(&url, None);
    let error = device.download("hf:o/r").await.expect_err("not a hub");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.to_string().starts_with("could not reach `127.0.0.1:"), "{error}");
    let error = device.download(&format!("{url}/m.gguf?key=canary")).await;
    let error = error.expect_err("not a hub");
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");

    let (hub, _) = hub(11, &[Fault::Refuse(Host::Hub, Refusal::status(200))]);
    let error = TestDevice::new(&hub).download("hf:o/r").await.expect_err("no listing");
    assert_eq!(error.kind(), ErrorKind::Provider, "{error}");
    assert!(error.to_string().contains("sign-in"), "{error}");
}
