//! A model that is being closed stores the states of its conversations, which takes a while: a load at that moment waits for
//! its memory, and so does the end of the library.

use std::sync::Arc;
use std::time::Duration;

use nearside::chat::{ChatMessage, ChatRequest, ConversationSettings, RequestLimits};
use nearside::engine::LoadEvent;
use nearside::model::ModelRef;
use nearside::{AppEvent, Config, Nearside};
use nearside_tests::memory::LimitHost;
use nearside_tests::models;

/// Returns the number of engines in this process, and of their compute threads, which have the same name.
fn engine_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("the threads").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "nearside-model").count()
}

fn model_path() -> String {
    models::path("smollm2.gguf").to_string_lossy().into_owned()
}

/// Opens the library, and has a model answer in a conversation that takes a while to store.
async fn open(phone: &Arc<LimitHost>) -> (tempfile::TempDir, Nearside) {
    phone.leave(8 << 30);
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(4096),
        threads: Some(2),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::with_host(config, Arc::clone(phone) as _).expect("the library opens");
    let conversations = nearside.conversations();
    let conversation = conversations
        .create(ConversationSettings::default())
        .await
        .expect("a conversation");
    let text = "The keeper of the lighthouse wrote another line into his book. ".repeat(200);
    let request = ChatRequest {
        model: Some(model_path()),
        limits: RequestLimits {
            max_tokens: Some(2),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(text)])
    };
    let answer = conversations.send(conversation.id, request);
    while !answer.next_batch().await.expect("an answer").is_empty() {}
    (folder, nearside)
}

/// Has the idle model closed, and returns when that has begun.
async fn begin_to_close(nearside: &Nearside) {
    nearside.notify(AppEvent::Background);
    while !nearside.loaded().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_load_waits_for_the_memory_of_a_model_that_is_being_closed() {
    let phone = Arc::new(LimitHost::default());
    let (_folder, nearside) = open(&phone).await;
    // Enough for the model once, and not twice.
    phone.leave(nearside.loaded()[0].memory_bytes / 4 + 80_000_000);
    begin_to_close(&nearside).await;
    let load = nearside.load(ModelRef::Path { path: model_path() });
    let mut events = Vec::new();
    loop {
        let batch = load.next_batch().await.expect("it fits once the other is closed");
        if batch.is_empty() {
            break;
        }
        events.extend(batch);
    }
    assert!(matches!(events.last(), Some(LoadEvent::Loaded { .. })), "{events:?}");
}

#[tokio::test]
async fn the_end_of_the_library_waits_for_a_model_that_is_being_closed() {
    let (_folder, nearside) = open(&Arc::new(LimitHost::default())).await;
    begin_to_close(&nearside).await;
    drop(nearside);
    assert_eq!(engine_threads(), 0);
}
