//! llama.cpp's own server with SmolLM2 as a provider.

use std::time::{Duration, Instant};

use nearside::chat::{ChatMessage, ChatRequest, Chunk, OutputFormat, RequestLimits, SamplingOptions, StopReason};
use nearside::engine::remote::{Connection, Timeouts, list_models};
use nearside_tests::llama_server::LlamaServer;
use nearside_tests::models;
use nearside_tests::provider::Dialect;
use nearside_tests::remote::{chat_to_end, collect_answer, connection, start_chat};

fn start_server() -> LlamaServer {
    LlamaServer::start(&models::path("smollm2.gguf"), 4096, 1)
}

fn connect(server: &LlamaServer) -> Connection {
    let mut connection = connection(Dialect::LlamaServer, &server.url());
    connection.timeouts = Timeouts::default();
    connection.model.id = "smollm2".into();
    connection
}

/// Returns whether a slot of the server is still generating.
fn is_busy(server: &LlamaServer) -> bool {
    server.get("/slots").contains("\"is_processing\":true")
}

fn question(max_tokens: u32) -> ChatRequest {
    ChatRequest {
        sampling: SamplingOptions {
            temperature: Some(0.0),
            ..SamplingOptions::default()
        },
        limits: RequestLimits {
            max_tokens: Some(max_tokens),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user("Name three colours.")])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn llama_cpps_own_server_is_a_provider() {
    let server = start_server();

    let connection = connect(&server);
    let models = list_models(&connection.http, &connection.settings, &connection.secret, "2026-11-22").await;
    let models = models.expect("a list of models");
    assert_eq!(models.len(), 1, "{models:?}");
    assert!(models[0].context.is_some(), "{models:?}");

    let answer = chat_to_end(connect(&server), question(24)).await;
    let done = answer.done();
    assert!(answer.text.is_ascii() && answer.text.len() > 20, "{}", answer.text);
    assert_eq!(answer.reasoning, "");
    assert_eq!((done.stop, done.usage.completion_tokens), (StopReason::MaxTokens, 24));
    assert!(done.usage.prompt_tokens > 20, "{:?}", done.usage);
    assert_eq!(
        (done.receipt.cost_usd, done.receipt.data_policy.region.as_str()),
        (0.0, "own server")
    );

    let again = chat_to_end(connect(&server), question(24)).await;
    assert!(
        again.done().usage.cached_tokens > 0,
        "the server's cache is reported: {:?}",
        again.done().usage
    );
    assert_eq!(again.text, answer.text, "greedy answers repeat");

    // The server accepts reasoning parameters although the model does not use them.
    for reasoning in [nearside::chat::ReasoningMode::Off, nearside::chat::ReasoningMode::On] {
        let request = ChatRequest {
            reasoning,
            ..question(8)
        };
        assert_eq!(
            chat_to_end(connect(&server), request)
                .await
                .done()
                .usage
                .completion_tokens,
            8
        );
    }

    let schema = r#"{"type":"object","properties":{"colour":{"enum":["red","green"]}},"required":["colour"]}"#;
    let shaped = ChatRequest {
        output: OutputFormat::JsonSchema { schema: schema.into() },
        ..question(64)
    };
    let shaped = chat_to_end(connect(&server), shaped).await;
    let value: serde_json::Value = serde_json::from_str(&shaped.text).expect("JSON, as the schema says");
    assert!(matches!(value["colour"].as_str(), Some("red" | "green")), "{value}");

    let stream = start_chat(connect(&server), question(3_000));
    loop {
        let batch = stream.next_batch().await.expect("no error");
        if batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. })) {
            break;
        }
    }
    assert!(is_busy(&server), "it writes");
    stream.cancel();
    assert_eq!(collect_answer(&stream).await.done().stop, StopReason::Cancelled);
    let cancelled = Instant::now();
    while is_busy(&server) {
        assert!(
            cancelled.elapsed() < Duration::from_secs(10),
            "the server never saw the cancel"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!(
        "the server was idle {} ms after the cancel",
        cancelled.elapsed().as_millis()
    );
}
