//! Two models under a budget for one and a half: the older goes, the newer answers, and what the library says about its models
//! is what the process really takes. The only test of this file, because it measures the memory of the whole process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nearside::chat::{ChatMessage, ChatRequest, RequestLimits};
use nearside::engine::LoadedModel;
use nearside::model::{FitOptions, FitReport, LoadPlan, ModelRef};
use nearside::{Config, Nearside};
use nearside_tests::device::DeviceAnswer;
use nearside_tests::memory::{FixedHost, LimitHost, mapped_bytes, own_bytes};
use nearside_tests::models;

/// Returns the same model under another path, which is another model to the library.
fn another(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let whole = models::path("smollm2.gguf");
    std::fs::hard_link(&whole, &path)
        .or_else(|_| std::fs::copy(&whole, &path).map(drop))
        .expect("a copy");
    path
}

/// Answers a question of some 700 tokens, so that the buffers of a full batch are in use.
async fn ask(nearside: &Nearside, model: &Path) -> DeviceAnswer {
    let text: String = (0..110).map(|n| format!("item {n} is here; ")).collect();
    let request = ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        limits: RequestLimits {
            max_tokens: Some(4),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(text)])
    };
    let answer = DeviceAnswer::read(&nearside.chat(request)).await;
    // The engine's thread ends its job a moment after its last item.
    while nearside.loaded().iter().any(|model| model.in_use) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    answer
}

async fn fit(nearside: &Nearside, model: &Path) -> FitReport {
    let path = model.to_string_lossy().into_owned();
    let report = nearside.fit(ModelRef::Path { path }, FitOptions::default()).await;
    report.expect("a report")
}

fn paths(loaded: &[LoadedModel]) -> Vec<&Path> {
    loaded.iter().map(|model| Path::new(&model.path)).collect()
}

/// Compares what the library says with the memory since `before`.
fn agrees(loaded: &[LoadedModel], before: u64) {
    let told: u64 = loaded.iter().map(|model| model.memory_bytes).sum();
    let measured = own_bytes().saturating_sub(before);
    let ratio = told as f64 / measured as f64;
    println!(
        "{} models: told {told}, measured {measured}, ratio {ratio:.3}",
        loaded.len()
    );
    assert!((0.95..=1.05).contains(&ratio), "{told} is not {measured}");
}

#[test]
fn two_models_in_memory_for_one_and_a_half_are_the_newer_one_and_loaded_says_what_it_takes() {
    const CHILD: &str = "NEARSIDE_TEST_CHILD";
    if let Ok(part) = std::env::var(CHILD) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            match part.as_str() {
                "mapped" => measure_mapped().await,
                _ => measure_two().await,
            }
        });
        return;
    }
    // Each in a process of its own, because the memory of the whole process is measured.
    for part in ["two", "mapped"] {
        let child = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["two_models", "--nocapture"])
            .env(CHILD, part)
            .status();
        assert!(child.expect("the child runs").success(), "{part}");
    }
}

fn config(folder: &Path) -> Config {
    Config {
        context: Some(8192),
        threads: Some(1),
        ..Config::new(folder.to_string_lossy())
    }
}

async fn measure_two() {
    let host = Arc::new(LimitHost::default());
    host.leave(16_000_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let nearside = Nearside::with_host(config(folder.path()), host.clone()).expect("the library opens");
    let [a, b] = ["a.gguf", "b.gguf"].map(|name| another(folder.path(), name));
    let before = own_bytes();
    let need = fit(&nearside, &a).await.need.total;
    assert_eq!(nearside.loaded(), []);
    ask(&nearside, &a).await.done();
    agrees(&nearside.loaded(), before);
    ask(&nearside, &b).await.done();
    let both = nearside.loaded();
    assert_eq!(paths(&both), [&a, &b]);
    assert!(both.iter().all(|model| model.context == 8192), "{both:?}");
    agrees(&both, before);

    nearside.unload(None).await.expect("unloaded");
    println!("after unloading both: {} more than before", own_bytes() - before);
    // For one and a half, beside the reserve.
    host.leave(need * 3 / 2 + 64_000_000);
    ask(&nearside, &a).await.done();
    assert_eq!(paths(&nearside.loaded()), [&a]);
    ask(&nearside, &b).await.done();
    let newer = nearside.loaded();
    assert_eq!(paths(&newer), [&b], "the older one was freed");
    agrees(&newer, before);
}

/// Mapped, the weights are the system's, and count apart.
async fn measure_mapped() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = another(folder.path(), "a.gguf");
    let before = own_bytes();
    let nearside = Nearside::new(config(folder.path())).expect("the library opens");
    let need = fit(&nearside, &model).await.need.total;
    drop(nearside);
    let files = mapped_bytes();
    let little = Arc::new(FixedHost(Some(need - 10_000_000 + 64_000_000)));
    let phone = Nearside::with_host(config(folder.path()), little).expect("the library opens");
    let report = fit(&phone, &model).await;
    ask(&phone, &model).await.done();
    let mapped = phone.loaded();
    assert_eq!(mapped[0].load, LoadPlan::Mapped);
    assert_eq!(mapped[0].mapped_bytes, report.evictable);
    agrees(&mapped, before);
    let resident = mapped_bytes().saturating_sub(files);
    let ratio = report.evictable as f64 / resident as f64;
    println!("mapped {}, resident {resident}, ratio {ratio:.3}", report.evictable);
    assert!((0.95..=1.05).contains(&ratio));
}
