//! A chat template is a program in a file of others: one that never ends, or takes all memory, costs its own requests and
//! nothing else.

use std::path::{Path, PathBuf};

use nearside::chat::{ChatMessage, ChatRequest, ChatStream, Chunk, RequestLimits, StopReason};
use nearside::model::{FitOptions, ModelRef};
use nearside::{ErrorKind, ErrorReason, Result};
use nearside_tests::scratch::ScratchLibrary;
use nearside_tests::tiny_models;

fn write_model(library: &ScratchLibrary, name: &str, template: &str) -> PathBuf {
    let path = library.folder.path().join(name);
    std::fs::write(&path, tiny_models::with_chat_template(template)).expect("a file");
    path
}

fn chat(library: &ScratchLibrary, model: &Path, text: &str, deadline_ms: Option<u64>) -> ChatStream {
    library.nearside.chat(ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        limits: RequestLimits {
            max_tokens: Some(4),
            deadline_ms,
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(text)])
    })
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
    let library = ScratchLibrary::open(512);
    let greedy = write_model(
        &library,
        "greedy.gguf",
        "{% set n = namespace(t='ab') %}{% for i in range(99) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}",
    );
    let plain = write_model(&library, "plain.gguf", PLAIN);
    // The verdict parses the template, and runs nothing of it.
    let reference = ModelRef::parse(&greedy.to_string_lossy()).expect("a path");
    library
        .nearside
        .fit(reference, FitOptions::default())
        .await
        .expect("a verdict");
    for _ in 0..2 {
        let error = stop_reason(&chat(&library, &greedy, "hello", None))
            .await
            .expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    stop_reason(&chat(&library, &plain, "hello", None))
        .await
        .expect("another model answers");
}

#[tokio::test]
async fn cancel_and_deadline_end_a_template_that_runs_when_the_model_loads() {
    let library = ScratchLibrary::open(512);
    let endless = write_model(&library, "endless.gguf", LOOPS);
    let error = stop_reason(&chat(&library, &endless, "hello", Some(300)))
        .await
        .expect_err("late");
    assert_eq!(error.reason(), ErrorReason::DeadlineExceeded, "{error}");
    let stream = chat(&library, &endless, "hello", None);
    assert!(!stream.next_batch().await.expect("a start").is_empty());
    stream.cancel();
    assert_eq!(stop_reason(&stream).await, Ok(StopReason::Cancelled));
}

#[tokio::test]
async fn cancel_and_deadline_end_a_template_that_runs_for_some_messages_only() {
    let library = ScratchLibrary::open(512);
    let template = format!("{{% if 'endless' in messages[-1].content %}}{LOOPS}{{% endif %}}{PLAIN}");
    let model = write_model(&library, "sometimes.gguf", &template);
    stop_reason(&chat(&library, &model, "hello", None))
        .await
        .expect("an answer");
    let error = stop_reason(&chat(&library, &model, "endless", Some(300)))
        .await
        .expect_err("late");
    assert_eq!(error.reason(), ErrorReason::DeadlineExceeded, "{error}");
    let stream = chat(&library, &model, "endless", None);
    assert!(!stream.next_batch().await.expect("a start").is_empty());
    // The next one waits in the queue until the thread is free.
    let next = chat(&library, &model, "hello", None);
    stream.cancel();
    assert_eq!(stop_reason(&stream).await, Ok(StopReason::Cancelled));
    stop_reason(&next).await.expect("the model answers again");
}
