//! Memory that is being freed while a model stores the states of its conversations. A lock on their directory makes that last
//! as long as a test needs it.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nearside::chat::{ChatMessage, ChatRequest, ChatStream, ConversationSettings, RequestLimits};
use nearside::engine::{Adjustment, AdjustmentAction, AdjustmentCause, LoadEvent, LoadStream};
use nearside::model::{FitOptions, ModelRef};
use nearside::{AppEvent, Config, Nearside};
use nearside_tests::memory::LimitHost;
use nearside_tests::models;
use nearside_tests::tiny_models::{self, TinyShape};

/// The memory of the process is that of one test.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Fixture {
    nearside: Nearside,
    phone: Arc<LimitHost>,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(keep_alive_ms: u64) -> Self {
        let phone = Arc::new(LimitHost::default());
        phone.leave(8 << 30);
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            context: Some(4096),
            threads: Some(2),
            keep_alive_ms: Some(keep_alive_ms),
            ..Config::new(folder.path().to_string_lossy())
        };
        let nearside = Nearside::with_host(config, Arc::clone(&phone) as _).expect("the library opens");
        Self {
            nearside,
            phone,
            folder,
        }
    }

    /// Returns a further file with SmolLM2, which is another model for the library.
    fn model(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::hard_link(models::path("smollm2.gguf"), &path)
            .or_else(|_| std::fs::copy(models::path("smollm2.gguf"), &path).map(drop))
            .expect("a copy");
        path
    }

    fn tiny_model(&self) -> PathBuf {
        let path = self.folder.path().join("tiny.gguf");
        std::fs::write(&path, tiny_models::runnable(TinyShape::Full, None)).expect("a file");
        path
    }

    /// Has the model answer in a conversation whose state takes more than may be stored in the last moment, and returns the
    /// lock that lets no state be written.
    async fn fill(&self, model: &Path) -> File {
        let conversations = self.nearside.conversations();
        let conversation = conversations
            .create(ConversationSettings::default())
            .await
            .expect("a conversation");
        let states = self.folder.path().join("states");
        std::fs::create_dir_all(&states).expect("a directory");
        let lock = File::create(states.join("lock")).expect("a file");
        lock.lock().expect("locked");
        let text = "The keeper of the lighthouse wrote another line into his book. ".repeat(90);
        read(&conversations.send(conversation.id, ask(model, &text))).await;
        lock
    }

    async fn wait_until_unloaded(&self) {
        while !self.nearside.loaded().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn load(&self, model: &Path) -> LoadStream {
        self.nearside.load(reference(model))
    }

    async fn budget(&self, model: &Path) -> u64 {
        let report = self.nearside.fit(reference(model), FitOptions::default()).await;
        report.expect("a report").budget.bytes
    }
}

fn reference(model: &Path) -> ModelRef {
    ModelRef::Path {
        path: model.to_string_lossy().into_owned(),
    }
}

fn ask(model: &Path, text: &str) -> ChatRequest {
    ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        limits: RequestLimits {
            max_tokens: Some(2),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(text)])
    }
}

async fn read(answer: &ChatStream) {
    while !answer.next_batch().await.expect("an answer").is_empty() {}
}

/// Waits until the model is in memory.
async fn finish(load: &LoadStream) {
    let mut events = Vec::new();
    let loading = async {
        loop {
            let batch = load.next_batch().await.expect("it loads");
            if batch.is_empty() {
                return;
            }
            events.extend(batch);
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), loading).await;
    waited.expect("it waits for what it does not need");
    assert!(matches!(events.last(), Some(LoadEvent::Loaded { .. })), "{events:?}");
}

#[tokio::test]
async fn a_replaced_file_is_loaded_once_the_memory_of_the_old_model_is_free() {
    let _one = ONE.lock().await;
    let fixture = Fixture::new(600_000);
    let model = fixture.folder.path().join("model.gguf");
    let replace = || {
        let new = fixture.folder.path().join("new.gguf");
        std::fs::copy(models::path("smollm2.gguf"), &new).expect("a copy");
        std::fs::rename(new, &model).expect("replaced");
    };
    replace();
    for _ in 0..3 {
        fixture.phone.leave(8 << 30);
        read(&fixture.nearside.chat(ask(&model, "Hello"))).await;
        // Enough for the model once, and not twice.
        fixture
            .phone
            .leave(fixture.nearside.loaded()[0].memory_bytes / 4 + 80_000_000);
        replace();
        read(&fixture.nearside.chat(ask(&model, "Hello"))).await;
    }
}

#[tokio::test]
async fn a_load_waits_only_for_memory_that_it_needs() {
    let _one = ONE.lock().await;
    // The first model is closed because it is idle, the next one because another needs its memory.
    let fixture = Fixture::new(300);
    let lock = fixture.fill(&fixture.model("a.gguf")).await;
    fixture.wait_until_unloaded().await;
    finish(&fixture.load(&fixture.model("b.gguf"))).await;
    drop(lock);

    let fixture = Fixture::new(600_000);
    let (first, second, tiny) = (fixture.model("a.gguf"), fixture.model("b.gguf"), fixture.tiny_model());
    let lock = fixture.fill(&first).await;
    let held = fixture.nearside.loaded()[0].memory_bytes;
    fixture.phone.leave(held / 2 + 64_000_000);
    let before = fixture.budget(&second).await;
    let load = fixture.load(&second);
    fixture.wait_until_unloaded().await;
    let meanwhile = fixture.budget(&second).await;
    assert!(meanwhile + 20_000_000 > before, "{meanwhile} of {before} bytes");
    finish(&fixture.load(&tiny)).await;
    drop(lock);
    finish(&load).await;
}

#[tokio::test]
async fn a_critical_memory_warning_reaches_a_model_that_is_storing_its_states() {
    let _one = ONE.lock().await;
    let fixture = Fixture::new(600_000);
    let lock = fixture.fill(&fixture.model("a.gguf")).await;
    let adjustments = fixture.nearside.adjustments();
    fixture.nearside.notify(AppEvent::Background);
    fixture.wait_until_unloaded().await;
    // The end of another one tells when the warning was handled.
    finish(&fixture.load(&fixture.model("b.gguf"))).await;
    fixture.nearside.notify(AppEvent::MemoryCritical);
    let is_end = |adjustment: &Adjustment| {
        (adjustment.action, adjustment.cause) == (AdjustmentAction::Ended, AdjustmentCause::MemoryCritical)
    };
    while !adjustments.next_batch().await.expect("no error").iter().any(is_end) {}
    drop(lock);
    // Waits for its thread.
    drop(fixture.nearside);
    let states = std::fs::read_dir(fixture.folder.path().join("states")).expect("a directory");
    let names: Vec<_> = states.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names, ["lock"]);
}
