//! A chat template is a program in a file of others: one that never ends, or takes all memory, costs its own requests and
//! nothing else.

use std::path::PathBuf;

use nearside::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, RequestLimits, StopReason};
use nearside::model::{FitOptions, ModelRef};
use nearside::{Config, ErrorKind, ErrorReason, Nearside, Result};
use nearside_tests::tiny_models;

struct Library {
    nearside: Nearside,
    folder: tempfile::TempDir,
}

impl Library {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            context: Some(512),
            threads: Some(1),
            ..Config::new(folder.path().to_string_lossy())
        };
        let nearside = Nearside::new(config).expect("the library opens");
        Self { nearside, folder }
    }

    fn model(&self, name: &str, template: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, tiny_models::with_chat_template(template)).expect("a file");
        path
    }

    fn chat(&self, model: &std::path::Path, text: &str, deadline_ms: Option<u64>) -> ChatStream {
        self.nearside.chat(ChatRequest {
            model: Some(model.to_string_lossy().into_owned()),
            limits: RequestLimits {
                max_tokens: Some(4),
                deadline_ms,
                ..RequestLimits::default()
            },
            ..ChatRequest::new(vec![ChatMessage::user(text)])
        })
    }
}

async fn stop_reason(stream: &ChatStream) -> Result<StopReason> {
    loop {
        for chunk in stream.next_batch().await? {
            if let Chunk::Done { summary } = chunk {
                return Ok(summary.stop);
            }
        }
    }
}

const PLAIN: &str = "{% for m in messages %}({{ m.role }}) {{ m.content }}\n{% endfor %}(assistant) ";
/// Runs for hours, and takes little memory.
const LOOPS: &str = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";

#[tokio::test]
async fn a_template_that_takes_all_memory_is_the_fault_of_its_file() {
    let library = Library::open();
    let greedy = library.model(
        "greedy.gguf",
        "{% set n = namespace(t='ab') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
    );
    let plain = library.model("plain.gguf", PLAIN);
    // The verdict parses the template, and runs nothing of it.
    let reference = ModelRef::parse(&greedy.to_string_lossy()).expect("a path");
    library
        .nearside
        .fit(reference, FitOptions::default())
        .await
        .expect("a verdict");
    for _ in 0..2 {
        let error = stop_reason(&library.chat(&greedy, "hello", None))
            .await
            .expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    stop_reason(&library.chat(&plain, "hello", None))
        .await
        .expect("another model answers");
}

#[tokio::test]
async fn cancel_and_deadline_end_a_template_that_runs_when_the_model_loads() {
    let library = Library::open();
    let endless = library.model("endless.gguf", LOOPS);
    let error = stop_reason(&library.chat(&endless, "hello", Some(300)))
        .await
        .expect_err("late");
    assert_eq!(error.reason(), ErrorReason::DeadlineExceeded, "{error}");
    let stream = library.chat(&endless, "hello", None);
    assert!(!stream.next_batch().await.expect("a start").is_empty());
    stream.cancel();
    assert_eq!(stop_reason(&stream).await, Ok(StopReason::Cancelled));
}

#[tokio::test]
async fn cancel_and_deadline_end_a_template_that_runs_for_some_messages_only() {
    let library = Library::open();
    let template = format!("{{% if 'endless' in messages[-1].content %}}{LOOPS}{{% endif %}}{PLAIN}");
    let model = library.model("sometimes.gguf", &template);
    stop_reason(&library.chat(&model, "hello", None))
        .await
        .expect("an answer");
    let error = stop_reason(&library.chat(&model, "endless", Some(300)))
        .await
        .expect_err("late");
    assert_eq!(error.reason(), ErrorReason::DeadlineExceeded, "{error}");
    let stream = library.chat(&model, "endless", None);
    assert!(!stream.next_batch().await.expect("a start").is_empty());
    // The next one waits in the queue until the thread is free.
    let next = library.chat(&model, "hello", None);
    stream.cancel();
    assert_eq!(stop_reason(&stream).await, Ok(StopReason::Cancelled));
    stop_reason(&next).await.expect("the model answers again");
}
