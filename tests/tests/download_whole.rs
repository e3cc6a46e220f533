//! Successful downloads: their events, the installed model, and that no byte is fetched twice.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use nearside::model::{DownloadEvent, ModelRef, ResolvedFile};
use nearside_tests::fixtures::{self, TestDevice, kinds};
use nearside_tests::hub::{Host, Hub};
use nearside_tests::models::{self, SMOLLM2_SHA256};
use nearside_tests::tiny_models;

#[tokio::test]
async fn a_real_model_is_resolved_fetched_verified_and_installed() {
    let file = models::path("smollm2.gguf");
    let hub = Hub::builder()
        .file_as("org/smol", "SmolLM2-135M-Q4_1.gguf", &file)
        .start()
        .expect("a hub");
    let device = TestDevice::new(&hub);
    let events = device.download("hf:org/smol").await.expect("a download");

    assert_eq!(kinds(&events), ["resolved", "progress", "verifying", "installed"]);
    let path = "org/smol/resolve/0123456789abcdef0123456789abcdef01234567/SmolLM2-135M-Q4_1.gguf";
    let resolved = ResolvedFile {
        name: "SmolLM2-135M-Q4_1.gguf".to_owned(),
        url: format!("{}/{path}", hub.url()),
        size_bytes: 98_362_432,
        sha256: Some(SMOLLM2_SHA256.to_owned()),
    };
    assert_eq!(events[0], DownloadEvent::Resolved { file: resolved });
    let progress = fixtures::progress(&events);
    assert_eq!(progress.first(), Some(&0), "the first is sent at once");
    assert_eq!(progress.last(), Some(&98_362_432));
    assert!(progress.is_sorted());
    let model = fixtures::installed(&events);
    assert_eq!(model.id, "smollm2-135m-q4_1");
    assert_eq!(model.sha256, SMOLLM2_SHA256);
    assert_eq!(model.architecture, "llama");
    assert_eq!(model.quantization, "Q4_1");
    assert_eq!(model.source, "hf:org/smol/SmolLM2-135M-Q4_1.gguf");
    assert_eq!(
        std::fs::read(&model.path).expect("the file"),
        std::fs::read(&file).expect("the original")
    );
    assert_eq!(device.store.list(), Ok(vec![model]));
    assert_eq!(hub.bytes_sent(), 98_362_432);
}

#[tokio::test]
async fn an_installed_model_is_reported_without_a_request() {
    let hub = Hub::builder()
        .bytes("o/r", "m.Q4_K_M.gguf", tiny_models::model(1000, 1))
        .start()
        .expect("a hub");
    let device = TestDevice::new(&hub);
    let first = device.download("hf:o/r").await.expect("a download");
    hub.clear_log();
    for name in ["hf:o/r", "hf:o/r:q4_k_m", "hf:o/r/m.Q4_K_M.gguf"] {
        let again = device.download(name).await.expect("installed");
        assert_eq!(kinds(&again), ["resolved", "installed"]);
        assert_eq!(fixtures::installed(&again), fixtures::installed(&first));
    }
    assert!(hub.log().is_empty(), "{:?}", hub.log());
}

#[tokio::test]
async fn the_same_bytes_under_another_name_are_not_fetched_again() {
    let bytes = tiny_models::model(100_000, 2);
    let hub = Hub::builder()
        .bytes("o/one", "one.gguf", bytes.clone())
        .bytes("o/two", "two.gguf", bytes)
        .start();
    let hub = hub.expect("a hub");
    let device = TestDevice::new(&hub);
    let one = device.download("hf:o/one").await.expect("a download");
    let sent = hub.bytes_sent();
    let two = device.download("hf:o/two").await.expect("known bytes");
    assert_eq!(kinds(&two), ["resolved", "installed"]);
    assert_eq!(fixtures::installed(&two), fixtures::installed(&one));
    assert_eq!(hub.bytes_sent(), sent);
    hub.clear_log();
    device.download("hf:o/two").await.expect("remembered");
    assert!(hub.log().is_empty());
}

#[tokio::test]
async fn the_head_of_a_large_model_takes_under_8_mb_and_a_download_goes_on_behind_it() {
    let hub = Hub::builder()
        .file("o/r1", &models::path("r1-7b.gguf"))
        .start()
        .expect("a hub");
    let device = TestDevice::new(&hub);
    let remote = device.resolve("hf:o/r1").await;
    let (found, network) = device.fetch_head(&remote).await;
    assert_eq!(found.architecture, "qwen2");
    assert!(network >= found.data_offset && network < 8_000_000, "{network} bytes");
    assert_eq!(hub.bytes_sent(), network);
    let (again, network_again) = device.fetch_head(&remote).await;
    assert_eq!((again, network_again), (found, 0));

    hub.clear_log();
    let stream = device.start("hf:o/r1");
    loop {
        let batch = stream.next_batch().await.expect("no error");
        assert!(!batch.is_empty());
        if fixtures::progress(&batch).iter().any(|done| *done > network) {
            break;
        }
    }
    stream.cancel();
    while !stream.next_batch().await.expect("no error").is_empty() {}
    let mut log = hub.log().into_iter();
    let first = log
        .find(|request| request.host == Host::Cdn)
        .expect("a request for bytes");
    assert_eq!(first.range, Some(format!("bytes={network}-4683073247")));
}

#[tokio::test]
async fn a_small_model_is_judged_and_then_downloaded_without_fetching_a_byte_twice() {
    let file = models::path("smollm2.gguf");
    let hub = Hub::builder().file("o/smol", &file).start().expect("a hub");
    let device = TestDevice::new(&hub);
    let remote = device.resolve("hf:o/smol").await;
    let (_, network) = device.fetch_head(&remote).await;
    let events = device.download("hf:o/smol").await.expect("a download");
    assert_eq!(fixtures::progress(&events).first(), Some(&network));
    assert_eq!(fixtures::installed(&events).sha256, SMOLLM2_SHA256);
    assert_eq!(hub.bytes_sent(), 98_362_432);
}

#[tokio::test]
async fn a_bare_address_is_installed_with_and_without_a_hash() {
    let bytes = tiny_models::model(50_000, 3);
    let hub = Hub::builder()
        .bytes("o/r", "m.gguf", bytes.clone())
        .start()
        .expect("a hub");
    for fragment in [String::new(), format!("#sha256={}", tiny_models::sha256(&bytes))] {
        let device = TestDevice::new(&hub);
        let reference = format!("{}{fragment}", hub.direct_url("o/r", "m.gguf"));
        let model = fixtures::installed(&device.download(&reference).await.expect("a download"));
        assert_eq!(model.sha256, tiny_models::sha256(&bytes));
        assert_eq!(device.store.find(&device.reference(&reference)), Ok(Some(model)));
    }
}

#[tokio::test]
async fn a_mirror_without_a_programming_interface_serves_a_named_file() {
    let bytes = tiny_models::model(50_000, 4);
    let hub = Hub::builder()
        .bytes("o/r", "sub/m.gguf", bytes.clone())
        .without_api()
        .start()
        .expect("a hub");
    let device = TestDevice::new(&hub);
    let events = device.download("hf:o/r/sub/m.gguf").await.expect("a download");
    let DownloadEvent::Resolved { file } = &events[0] else {
        panic!("resolved comes first")
    };
    let (url, sha256) = (&file.url, tiny_models::sha256(&bytes));
    assert_eq!(file.sha256, Some(sha256), "known before the first byte");
    assert!(url.contains("/resolve/0123456789abcdef"), "pinned to the commit: {url}");
}

#[tokio::test]
async fn a_listing_of_many_pages_is_read_to_its_end() {
    let mut builder = Hub::builder().page_size(2);
    for n in 0..7_u64 {
        builder = builder.bytes("o/r", &format!("m{n}-F16.gguf"), tiny_models::model(100, n));
    }
    let hub = builder
        .bytes("o/r", "m-Q8_0.gguf", tiny_models::model(100, 99))
        .start()
        .expect("a hub");
    let device = TestDevice::new(&hub);
    let remote = device.resolve("hf:o/r").await;
    assert_eq!(remote.name, "m-Q8_0.gguf");
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_not_to_its_storage() {
    let hub = Hub::builder()
        .bytes("o/gated", "m.gguf", tiny_models::model(1000, 5))
        .gated("o/gated", "hf_canary")
        .start()
        .expect("a hub");
    let device = TestDevice::with_token(&hub, "hf_canary");
    device.download("hf:o/gated").await.expect("a download");
    let log = hub.log();
    let reached = log.iter().any(|request| request.host == Host::Cdn);
    assert!(reached, "the CDN got a request");
    for request in log {
        assert_eq!(request.authorized, request.host == Host::Hub, "{request:?}");
    }
    // A direct address gets no token either.
    hub.clear_log();
    let direct = ModelRef::parse(&hub.direct_url("o/gated", "m.gguf")).expect("an address");
    device.hub.resolve(&direct).await.expect("resolved");
    assert!(hub.log().iter().all(|request| !request.authorized));
}
