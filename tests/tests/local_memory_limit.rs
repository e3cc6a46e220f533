//! Idle models are freed only as far as another one needs, the least recently used first. The only test of this file,
//! because its host counts the memory of the whole process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nearside::chat::{ChatMessage, ChatRequest, Chunk, RequestLimits, Timings};
use nearside::model::{FitOptions, ModelRef};
use nearside::{Config, Nearside};
use nearside_tests::memory::LimitHost;
use nearside_tests::models;

/// Loads the model if it is not in memory, and returns how long that took.
async fn load_ms(nearside: &Nearside, model: &Path) -> f64 {
    let stream = nearside.chat(ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        limits: RequestLimits {
            max_tokens: Some(2),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user("Name a river.")])
    });
    let mut timings = Timings::default();
    loop {
        let batch = stream.next_batch().await.expect("an answer");
        if batch.is_empty() {
            return timings.load_ms;
        }
        for chunk in batch {
            if let Chunk::Done { summary } = chunk {
                timings = summary.timings;
            }
        }
    }
}

/// Returns the same model under another path, which is another model to the library.
fn another(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let whole = models::path("smollm2.gguf");
    std::fs::hard_link(&whole, &path)
        .or_else(|_| std::fs::copy(&whole, &path).map(drop))
        .expect("a copy");
    path
}

#[tokio::test]
async fn only_the_least_recently_used_model_is_freed_for_another() {
    let host = Arc::new(LimitHost::default());
    host.leave(8_000_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(2048),
        threads: Some(1),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::with_host(config, host.clone()).expect("the library opens");
    let path = models::path("smollm2.gguf").to_string_lossy().into_owned();
    let report = nearside.fit(ModelRef::Path { path }, FitOptions::default()).await;
    let need = report.expect("a report").need.total;
    let [a, b, c] = ["a.gguf", "b.gguf", "c.gguf"].map(|name| another(folder.path(), name));
    assert!(load_ms(&nearside, &a).await > 0.0 && load_ms(&nearside, &b).await > 0.0);
    assert_eq!(load_ms(&nearside, &a).await, 0.0, "both fit");
    // Half of the memory for a third one, beside the reserve.
    host.leave(need / 2 + 64_000_000);
    assert!(load_ms(&nearside, &c).await > 0.0);
    assert_eq!(load_ms(&nearside, &a).await, 0.0, "it was used after the other");
    assert!(load_ms(&nearside, &b).await > 0.0, "this one was freed");
}
