//! The exchange around an answer: circuit breaker, deadlines, connections, the context that Ollama is sent, and which
//! models of a list chat.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside::chat::{ChatRequest, Chunk, OutputFormat, RequestLimits};
use nearside::engine::SentMark;
use nearside::engine::remote::{CircuitBreaker, Connection, ProviderClient, RemoteModel, Timeouts, list_models};
use nearside::{ErrorKind, ErrorReason, NetworkConfig};
use nearside_tests::provider::{Dialect, Provider, Quirk, Scenario, wire};
use nearside_tests::remote::{
    NEEDED_TOKENS, TIMEOUTS, chat_to_end, collect_answer, connected, connection, question, start_chat_with_mark,
};
use serde_json::json;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn with_circuit(provider: &Provider, circuit: &Arc<CircuitBreaker>) -> Connection {
    Connection {
        circuit: Arc::clone(circuit),
        ..connected(provider)
    }
}

#[test]
fn a_request_counts_once_in_the_circuit_and_an_open_one_says_how_long() {
    run(async {
        let provider = Provider::start(Dialect::Compatible);
        provider.otherwise(Scenario::Refused {
            status: 503,
            body: json!({}),
            retry_after: None,
        });
        let circuit = Arc::new(CircuitBreaker::default());
        for n in 1..=3 {
            assert_eq!(circuit.remaining_cooldown(Instant::now()), None, "request {n}");
            let answer = chat_to_end(with_circuit(&provider, &circuit), question()).await;
            assert_eq!(answer.error().reason(), ErrorReason::Overloaded);
        }
        let attempts = 3 * TIMEOUTS.retry.attempts as usize;
        assert_eq!(provider.chats().len(), attempts);
        let answer = chat_to_end(with_circuit(&provider, &circuit), question()).await;
        let error = answer.error();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Busy, ErrorReason::CircuitOpen)
        );
        assert!(
            error.retry_after_ms().is_some_and(|ms| (25_000..=30_000).contains(&ms)),
            "{error:?}"
        );
        assert_eq!(provider.chats().len(), attempts, "nothing is sent while it is open");
    });
}

#[test]
fn a_deadline_is_one_error_wherever_it_ends_the_answer_and_never_counts_in_the_circuit() {
    run(async {
        let circuit = Arc::new(CircuitBreaker::default());
        for scenario in [
            Scenario::NeverFirstByte,
            Scenario::KeepAlivesForever { every_ms: 5 },
            Scenario::Stall {
                text: "So far".into(),
                provider: None,
            },
            Scenario::Slow {
                tokens: 10_000,
                per_second: 100.0,
            },
        ] {
            let provider = Provider::start(Dialect::Compatible);
            provider.otherwise(scenario.clone());
            let request = ChatRequest {
                limits: RequestLimits {
                    deadline_ms: Some(700),
                    ..RequestLimits::default()
                },
                ..question()
            };
            let mut connection = with_circuit(&provider, &circuit);
            // No other limit passes first, also where the machine is busy.
            connection.timeouts = Timeouts {
                first_byte: LONG,
                first_data: LONG,
                idle: LONG,
                ..TIMEOUTS
            };
            let answer = chat_to_end(connection, request).await;
            let error = answer.error();
            assert_eq!(
                (error.kind(), error.reason()),
                (ErrorKind::Busy, ErrorReason::DeadlineExceeded),
                "{scenario:?}"
            );
            assert_eq!(provider.chats().len(), 1, "{scenario:?}");
        }
        assert_eq!(circuit.remaining_cooldown(Instant::now()), None);
        // Silence without a deadline is the provider's.
        let provider = Provider::start(Dialect::Compatible);
        provider.otherwise(Scenario::NeverFirstByte);
        let answer = chat_to_end(with_circuit(&provider, &circuit), question()).await;
        assert_eq!(answer.error().reason(), ErrorReason::NoResponse);
    });
}

#[test]
fn an_account_without_credit_is_told_at_once_and_leaves_the_circuit_alone() {
    run(async {
        let provider = Provider::start(Dialect::OpenAi);
        provider.otherwise(Scenario::refused(Dialect::OpenAi, "insufficient_quota").expect("a documented error"));
        let circuit = Arc::new(CircuitBreaker::default());
        for _ in 0..5 {
            let answer = chat_to_end(with_circuit(&provider, &circuit), question()).await;
            assert_eq!(answer.error().reason(), ErrorReason::NoCredit);
        }
        assert_eq!(provider.chats().len(), 5);
    });
}

#[test]
fn an_answer_that_was_generated_is_not_asked_for_twice() {
    run(async {
        let provider = Provider::start(Dialect::Compatible);
        provider.otherwise(Scenario::ToolCall {
            id: "call_1".into(),
            name: "tides".into(),
            arguments: "{\"city\": ".into(),
            thoughts: String::new(),
        });
        let answer = chat_to_end(connected(&provider), question()).await;
        assert_eq!(answer.error().reason(), ErrorReason::ProviderFault);
        assert_eq!(provider.chats().len(), 1);
    });
}

#[test]
fn a_connection_carries_one_answer_after_the_other() {
    run(async {
        for dialect in [Dialect::Compatible, Dialect::Ollama, Dialect::OpenRouter] {
            let provider = Provider::start(dialect);
            let http = connected(&provider).http;
            for _ in 0..20 {
                let connection = Connection {
                    http: http.clone(),
                    ..connected(&provider)
                };
                chat_to_end(connection, question()).await.done();
            }
            // The end of a body may arrive after the next request began; mostly it does not.
            assert!(provider.connections() < 10, "{dialect:?}: {}", provider.connections());
        }
    });
}

#[test]
fn a_body_that_never_ends_after_its_answer_holds_nothing_up() {
    let text = "Twice a day.";
    let body = wire(Dialect::Compatible, &Scenario::plain(text), &json!({ "stream": true }));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let (closed, was_closed) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let closed = closed.clone();
            let (mut connection, body) = (connection.expect("a connection"), body.clone());
            std::thread::spawn(move || {
                let length = format!("{:x}\r\n", body.len());
                // The length of the body is not known, and its end never comes.
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                let response = [head.as_bytes(), length.as_bytes(), &body, b"\r\n"].concat();
                let mut received = [0; 4096];
                let mut answered = false;
                while connection.read(&mut received).is_ok_and(|read| read > 0) {
                    if !std::mem::replace(&mut answered, true) {
                        connection.write_all(&response).expect("the client listens");
                    }
                }
                closed.send(()).expect("the test waits");
            });
        }
    });
    run(async {
        let open = connection(Dialect::Compatible, &url);
        let http = open.http.clone();
        let answer = chat_to_end(open, question()).await;
        answer.done();
        assert_eq!(answer.text, text);
        // The next answer does not wait for the first connection either.
        let next = Connection {
            http,
            ..connection(Dialect::Compatible, &url)
        };
        chat_to_end(next, question()).await.done();
        for _ in 0..2 {
            let closed = was_closed.recv_timeout(Duration::from_secs(30));
            closed.expect("a body without an end does not keep its connection");
        }
    });
}

#[test]
fn the_body_of_an_error_is_kept_only_for_an_app_that_asks_for_it() {
    run(async {
        for keep_error_bodies in [false, true] {
            let provider = Provider::start(Dialect::Compatible);
            let body = json!({ "error": { "message": "`strict` needs additionalProperties: canary", "code": 400 } });
            provider.play(Scenario::Refused {
                status: 400,
                body,
                retry_after: None,
            });
            provider.play(Scenario::Quirk {
                quirk: Quirk::ErrorLine,
                text: "So far".into(),
            });
            let network = NetworkConfig {
                keep_error_bodies,
                ..NetworkConfig::default()
            };
            let settings = connected(&provider).settings;
            let http = ProviderClient::in_network(&settings, &network).expect("a client");
            for words in ["canary", "exceed_context_size_error"] {
                let connection = Connection {
                    http: http.clone(),
                    ..connected(&provider)
                };
                let answer = chat_to_end(connection, question()).await;
                assert!(!answer.error().to_string().contains(words));
                let kept = http.last_error_body();
                assert_eq!(kept.is_some_and(|body| body.contains(words)), keep_error_bodies);
                assert!(!format!("{http:?}").contains(words));
            }
        }
    });
}

#[test]
fn ollama_is_sent_the_context_that_the_request_needs() {
    let sent = |change: &dyn Fn(&mut Connection)| {
        run(async {
            let provider = Provider::start(Dialect::Ollama);
            let mut connection = connected(&provider);
            change(&mut connection);
            chat_to_end(connection, question()).await.done();
            provider.chats()[0]["options"]["num_ctx"].as_u64()
        })
    };
    assert_eq!(NEEDED_TOKENS, 5_000);
    assert_eq!(sent(&|_| {}), Some(8_192));
    assert_eq!(sent(&|connection| connection.needed_tokens = 900_000), Some(32_768));
    assert_eq!(sent(&|connection| connection.model.context = Some(2_048)), Some(2_048));
    let larger = |connection: &mut Connection| {
        connection.needed_tokens = 900_000;
        connection.settings.max_context = Some(65_536);
    };
    assert_eq!(sent(&larger), Some(65_536));
    assert_eq!(sent(&|connection| connection.model.proxied = true), None);
}

#[test]
fn a_schema_is_strict_only_where_it_can_be() {
    let sent = |schema: &str| {
        run(async {
            let provider = Provider::start(Dialect::OpenAi);
            let request = ChatRequest {
                output: OutputFormat::JsonSchema { schema: schema.into() },
                ..question()
            };
            chat_to_end(connected(&provider), request).await.done();
            provider.chats()[0]["response_format"]["json_schema"]["strict"].as_bool()
        })
    };
    let closed =
        r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
    let open = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    assert_eq!((sent(closed), sent(open)), (Some(true), Some(false)));
}

#[test]
fn a_list_says_which_models_chat_are_loaded_and_are_passed_on() {
    let list = |dialect: Dialect, more: &[&str]| -> Vec<RemoteModel> {
        run(async {
            let mut builder = Provider::builder(dialect);
            for id in more {
                builder = builder.model(id);
            }
            let provider = builder.start().expect("a provider");
            let connection = connected(&provider);
            let listed = list_models(&connection.http, &connection.settings, &connection.secret, "2026-11-29").await;
            listed.expect("a list")
        })
    };
    let models = list(Dialect::Ollama, &["all-minilm:latest", "bge-m3:latest", "glm-5:cloud"]);
    let names = |chosen: fn(&RemoteModel) -> bool| -> Vec<&str> {
        models
            .iter()
            .filter(|model| chosen(model))
            .map(|model| model.id.as_str())
            .collect()
    };
    assert_eq!(names(|model| !model.can_chat()), ["all-minilm:latest", "bge-m3:latest"]);
    assert_eq!(names(|model| model.loaded), ["qwen3:8b"]);
    assert_eq!(names(|model| model.proxied), ["glm-5:cloud", "gpt-oss:120b-cloud"]);
    let mut chat = models.iter().filter(|model| model.can_chat());
    assert!(chat.all(|model| model.parameters == Some(8_190_735_360) && model.size_bytes == Some(5_225_388_164)));

    for (dialect, id) in [
        (Dialect::OpenAi, "text-embedding-3-small"),
        (Dialect::OpenAi, "dall-e-3"),
        (Dialect::OpenAi, "gpt-4o-mini-tts"),
        (Dialect::OpenAi, "babbage-002"),
        (Dialect::Groq, "whisper-large-v3"),
        (Dialect::Groq, "meta-llama/llama-guard-4-12b"),
        (Dialect::Compatible, "text-embedding-nomic-embed-text-v1.5"),
    ] {
        let models = list(dialect, &[id]);
        let (chat, other): (Vec<_>, Vec<_>) = models.iter().partition(|model| model.can_chat());
        assert_eq!(
            other.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(),
            [id],
            "{dialect:?}"
        );
        assert!(!chat.is_empty());
    }
    let running = &list(Dialect::LlamaServer, &[])[0];
    assert_eq!(
        (running.context, running.loaded, running.parameters),
        (Some(8_192), true, Some(134_515_008))
    );
}

#[test]
fn only_what_the_provider_counted_is_taken_for_the_size_of_a_prompt() {
    run(async {
        let provider = Provider::start(Dialect::LlamaServer);
        let sent = SentMark::default();
        let whole = start_chat_with_mark(connected(&provider), question(), sent.clone());
        collect_answer(&whole).await.done();
        assert!(sent.is_prompt_counted());

        provider.play(Scenario::Slow {
            tokens: 1_000,
            per_second: 100.0,
        });
        let sent = SentMark::default();
        let cancelled = start_chat_with_mark(connected(&provider), question(), sent.clone());
        let mut has_text = false;
        while !has_text {
            let batch = cancelled.next_batch().await.expect("no error");
            has_text = batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. }));
        }
        cancelled.cancel();
        let answer = collect_answer(&cancelled).await;
        assert!(answer.done().usage.prompt_tokens > 0, "an estimate");
        assert!(!sent.is_prompt_counted());
    });
}

const LONG: Duration = Duration::from_secs(10);
