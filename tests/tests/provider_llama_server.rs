//! llama.cpp's own server with SmolLM2 as a provider.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nearside::chat::{ChatMessage, ChatRequest, Chunk, OutputFormat, RequestLimits, SamplingOptions, StopReason};
use nearside::engine::remote::{Connection, Timeouts, list_models};
use nearside_tests::models;
use nearside_tests::provider::Dialect;
use nearside_tests::remote::{chat_to_end, collect_answer, connection, start_chat};

/// A running llama-server; stopped when dropped.
struct LlamaServer {
    child: Child,
    url: String,
}

impl LlamaServer {
    fn start() -> Self {
        let model = models::path("smollm2.gguf");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a port")
            .port();
        let peers = std::env::var_os("NEARSIDE_PEERS").map(PathBuf::from);
        let peers = peers.unwrap_or_else(|| {
            std::env::home_dir()
                .expect("a home folder")
                .join(".cache/nearside/peers")
        });
        let run = peers.join("run");
        assert!(run.is_file(), "`{}` is not there: run `make peers`", run.display());
        let child = Command::new(run)
            .args([
                "llama-server",
                "--host",
                "127.0.0.1",
                "--threads",
                "1",
                "--ctx-size",
                "4096",
                "--parallel",
                "1",
            ])
            .args(["--port", &port.to_string(), "--model"])
            .arg(model)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("llama-server starts");
        let server = Self {
            child,
            url: format!("http://127.0.0.1:{port}/v1"),
        };
        let begun = Instant::now();
        while !server.get("/health").contains("ok") {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "llama-server does not get ready"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Fetches a page of the server by a plain GET.
    fn get(&self, path: &str) -> String {
        use std::io::{Read, Write};
        let address = self.url.trim_start_matches("http://").trim_end_matches("/v1");
        let mut answer = String::new();
        if let Ok(mut socket) = std::net::TcpStream::connect(address) {
            let _ = write!(socket, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
            let _ = socket.read_to_string(&mut answer);
        }
        answer
    }

    fn connection(&self) -> Connection {
        let mut connection = connection(Dialect::LlamaServer, &self.url);
        connection.timeouts = Timeouts::default();
        connection.model.id = "smollm2".into();
        connection
    }

    /// Returns whether a slot of the server is still generating.
    fn is_busy(&self) -> bool {
        self.get("/slots").contains("\"is_processing\":true")
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    let server = LlamaServer::start();

    let connection = server.connection();
    let models = list_models(&connection.http, &connection.settings, &connection.secret, "2026-11-22").await;
    let models = models.expect("a list of models");
    assert_eq!(models.len(), 1, "{models:?}");
    assert!(models[0].context.is_some(), "{models:?}");

    let answer = chat_to_end(server.connection(), question(24)).await;
    let done = answer.done();
    assert!(answer.text.is_ascii() && answer.text.len() > 20, "{}", answer.text);
    assert_eq!(answer.reasoning, "");
    assert_eq!((done.stop, done.usage.completion_tokens), (StopReason::MaxTokens, 24));
    assert!(done.usage.prompt_tokens > 20, "{:?}", done.usage);
    assert_eq!(
        (done.receipt.cost_usd, done.receipt.data_policy.region.as_str()),
        (0.0, "own server")
    );

    let again = chat_to_end(server.connection(), question(24)).await;
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
            chat_to_end(server.connection(), request)
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
    let shaped = chat_to_end(server.connection(), shaped).await;
    let value: serde_json::Value = serde_json::from_str(&shaped.text).expect("JSON, as the schema says");
    assert!(matches!(value["colour"].as_str(), Some("red" | "green")), "{value}");

    let stream = start_chat(server.connection(), question(3_000));
    loop {
        let batch = stream.next_batch().await.expect("no error");
        if batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. })) {
            break;
        }
    }
    assert!(server.is_busy(), "it writes");
    stream.cancel();
    assert_eq!(collect_answer(&stream).await.done().stop, StopReason::Cancelled);
    let cancelled = Instant::now();
    while server.is_busy() {
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
