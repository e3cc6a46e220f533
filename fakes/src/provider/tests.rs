//! Tests of the local providers: the bytes at the socket equal [`wire`], and failures reach the client as intended.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::*;
use crate::http;

const TIMEOUT: Duration = Duration::from_secs(20);

#[test]
fn the_socket_delivers_the_scenario_whatever_the_chunking() {
    for dialect in Dialect::ALL {
        for chunking in [
            Chunking::Whole,
            Chunking::EveryByte,
            Chunking::Random(3),
            Chunking::Random(4),
        ] {
            let provider = Provider::builder(dialect).chunking(chunking).start().expect("started");
            for scenario in good_scenarios() {
                for stream in [true, false] {
                    let request = chat(dialect, stream);
                    provider.play(scenario.clone());
                    let answer = ask(&provider, &request);
                    assert_eq!(answer.status, 200, "{dialect:?} {scenario:?}");
                    assert!(answer.whole);
                    assert_eq!(
                        answer.body,
                        wire(dialect, &scenario, &request),
                        "{dialect:?} {scenario:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_documented_error_comes_with_its_status_and_body() {
    for dialect in Dialect::ALL {
        let provider = Provider::start(dialect);
        for error in documented_errors(dialect) {
            provider.play(error.clone().into());
            let answer = ask(&provider, &chat(dialect, true));
            assert_eq!(answer.status, error.status);
            assert_eq!(answer.json(), error.body);
            let retry_after = error.retry_after.map(|seconds| seconds.to_string());
            assert_eq!(answer.header("retry-after"), retry_after.as_deref());
        }
    }
}

#[test]
fn a_connection_carries_successive_requests() {
    let provider = Provider::start(Dialect::Groq);
    let mut connection = TcpStream::connect(provider.server.address()).expect("connected");
    for _ in 0..3 {
        assert!(ask_on(&mut connection, &provider, &chat(Dialect::Groq, true)).whole);
    }
    assert_eq!(provider.connections(), 1);
    assert_eq!(provider.chats().len(), 3);
    drop(connection);
    assert!(provider.wait_for_open_connections(0, TIMEOUT));
    assert_eq!(provider.closed_early(), 0);
}

#[test]
fn a_client_that_disconnects_is_counted() {
    for scenario in [
        Scenario::NeverFirstByte,
        Scenario::KeepAlivesForever { every_ms: 1 },
        Scenario::KeepAlivesForever { every_ms: 1_000_000 },
        Scenario::Stall {
            text: "so".to_owned(),
            provider: None,
        },
        Scenario::Slow {
            tokens: 20_000,
            per_second: 500.0,
        },
    ] {
        let provider = Provider::start(Dialect::OpenRouter);
        provider.play(scenario.clone());
        let mut connection = TcpStream::connect(provider.server.address()).expect("connected");
        send(&mut connection, &provider, &chat(Dialect::OpenRouter, true));
        assert!(provider.wait_for_requests(1, TIMEOUT));
        drop(connection);
        assert!(provider.wait_for_closed_early(1, TIMEOUT), "{scenario:?}");
        assert!(provider.wait_for_open_connections(0, TIMEOUT));
    }
}

#[test]
fn broken_answers_break_as_described() {
    let text = || "the tide is coming in".to_owned();
    for dialect in Dialect::ALL {
        let provider = Provider::builder(dialect)
            .chunking(Chunking::Random(9))
            .start()
            .expect("started");
        for (scenario, ends_well) in [
            (Scenario::Truncated { text: text() }, false),
            (Scenario::HalfClosed { text: text() }, false),
            (Scenario::Reset { text: text() }, false),
            (Scenario::Unfinished { text: text() }, true),
            (Scenario::BrokenJson { text: text() }, true),
            (Scenario::Garbage, true),
            (Scenario::WrongContentType, true),
        ] {
            provider.play(scenario.clone());
            let answer = ask(&provider, &chat(dialect, true));
            assert_eq!(
                (answer.status, answer.whole),
                (200, ends_well),
                "{dialect:?} {scenario:?}"
            );
            if !matches!(scenario, Scenario::Reset { .. }) {
                assert_eq!(answer.body, wire(dialect, &scenario, &chat(dialect, true)));
            }
        }
    }
}

#[test]
fn a_wrong_key_is_rejected_in_the_dialects_format() {
    for dialect in Dialect::ALL {
        let provider = Provider::builder(dialect).key("right").start().expect("started");
        let answer = ask(&provider, &chat(dialect, true));
        assert_eq!(answer.status, 401, "{dialect:?}");
        assert_eq!(answer.json(), errors::error_body(dialect, 401));
    }
}

#[test]
fn each_provider_rejects_what_the_real_one_rejects() {
    let call = json!([{ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } }]);
    let user = json!({ "role": "user", "content": "hi" });
    let turn = json!({ "role": "assistant", "content": "", "tool_calls": call });
    let mut thought = turn.clone();
    thought["reasoning_content"] = json!("");
    let result = json!({ "role": "tool", "tool_call_id": "c", "content": "1" });
    let history = |turn: &Value| json!([user, turn, result]);
    let off = json!({ "type": "disabled" });
    for (dialect, change, status) in [
        (Dialect::DeepSeek, json!({ "messages": history(&turn) }), 400),
        (
            Dialect::DeepSeek,
            json!({ "messages": history(&turn), "thinking": off }),
            200,
        ),
        (Dialect::DeepSeek, json!({ "messages": history(&thought) }), 200),
        (Dialect::DeepSeek, json!({ "model": "deepseek-reasoner" }), 400),
        (Dialect::Groq, json!({ "messages": history(&thought) }), 400),
        (Dialect::Groq, json!({ "messages": history(&turn) }), 200),
        (
            Dialect::Groq,
            json!({ "reasoning_format": "raw", "response_format": { "type": "json_object" } }),
            400,
        ),
        (Dialect::OpenAi, json!({ "max_tokens": 9 }), 400),
        (Dialect::OpenAi, json!({ "messages": [user, result] }), 400),
        (Dialect::OpenAi, json!({ "messages": [user, turn, user] }), 400),
        (Dialect::OpenAi, json!({ "messages": [user, turn, result, user] }), 200),
        (Dialect::DeepSeek, json!({ "messages": [user, thought, user] }), 400),
        (Dialect::OpenRouter, json!({ "messages": [user, turn, user] }), 400),
        (Dialect::Compatible, json!({ "messages": [user, turn] }), 400),
        (Dialect::LlamaServer, json!({ "messages": [user, turn, user] }), 200),
        (Dialect::Ollama, json!({ "model": "tiny", "think": true }), 400),
        (Dialect::Ollama, json!({ "model": "tiny", "think": false }), 200),
        (Dialect::Ollama, json!({ "model": "gone" }), 404),
        (Dialect::OpenRouter, json!({ "model": "vendor/leaky" }), 200),
        (
            Dialect::OpenRouter,
            json!({ "model": "vendor/leaky", "provider": { "zdr": true } }),
            404,
        ),
        (Dialect::OpenRouter, json!({ "provider": { "zero": true } }), 400),
        (
            Dialect::OpenRouter,
            json!({ "model": "deepseek/deepseek-r1:nitro" }),
            200,
        ),
        (Dialect::OpenRouter, json!({ "model": "acme/fake-1.0" }), 400),
        (Dialect::LlamaServer, json!({ "model": "anything" }), 200),
        (Dialect::Compatible, json!({ "model": "anything" }), 404),
    ] {
        let provider = Provider::start(dialect);
        let mut request = chat(dialect, true);
        for (field, value) in change.as_object().expect("an object") {
            request[field] = value.clone();
        }
        assert_eq!(ask(&provider, &request).status, status, "{dialect:?} {change}");
    }
}

#[test]
fn a_code_is_exchanged_once_and_only_with_its_verifier() {
    // The example of RFC 7636, appendix B.
    let (verifier, challenge) = (
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    );
    let provider = Provider::builder(Dialect::OpenRouter)
        .key("sk-or-v1-mine")
        .start()
        .expect("started");
    let exchange = |code: &str, verifier: &str| {
        let body = json!({ "code": code, "code_verifier": verifier, "code_challenge_method": "S256" });
        post(&provider, "/api/v1/auth/keys", &body)
    };
    let code = provider.sign_in(challenge);
    let answer = exchange(&code, verifier);
    assert_eq!(
        (answer.status, answer.json()["key"].clone()),
        (200, json!("sk-or-v1-mine"))
    );
    assert_eq!(exchange(&code, verifier).status, 403, "a second time");
    assert_eq!(
        exchange(&provider.sign_in(challenge), "another").status,
        403,
        "another verifier"
    );

    let page = get(
        &provider,
        &format!(
            "/auth?callback_url=http%3A%2F%2F127.0.0.1%3A1%2Fcb&code_challenge={challenge}&code_challenge_method=S256"
        ),
    );
    let location = page.header("location").expect("a redirect");
    let (callback, code) = location.split_once("?code=").expect("a code");
    assert_eq!(callback, "http://127.0.0.1:1/cb");
    assert_eq!(exchange(code, verifier).status, 200);
}

#[test]
fn every_provider_lists_its_models() {
    for dialect in Dialect::ALL {
        let provider = Provider::start(dialect);
        let path = if dialect == Dialect::Ollama {
            "/api/tags"
        } else {
            "/models"
        };
        let answer = get(&provider, &format!("{}{path}", dialect.base_path())).json();
        let (list, name) = if dialect == Dialect::Ollama {
            ("models", "model")
        } else {
            ("data", "id")
        };
        let models = answer[list].as_array().expect("a list");
        assert!(models.iter().any(|model| model[name] == dialect.model()), "{dialect:?}");
    }
    let openrouter = Provider::start(Dialect::OpenRouter);
    for path in [
        "/endpoints/zdr",
        "/providers",
        "/key",
        "/models/deepseek/deepseek-r1/endpoints",
    ] {
        assert_eq!(get(&openrouter, &format!("/api/v1{path}")).status, 200, "{path}");
    }
    let private = get(&openrouter, "/api/v1/endpoints/zdr").json();
    assert!(!private.to_string().contains(models::LEAKY));
}

#[test]
fn random_scenarios_are_the_same_for_the_same_seed_and_reach_every_kind() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..1000 {
        let scenario = Scenario::random(Dialect::DeepSeek, seed);
        assert_eq!(scenario, Scenario::random(Dialect::DeepSeek, seed));
        kinds.insert(scenario.kind());
    }
    let samples = Scenario::samples(Dialect::DeepSeek, "a", "b");
    assert_eq!(kinds, samples.iter().map(Scenario::kind).collect());
}

#[test]
fn a_scenario_is_found_by_its_name_and_takes_fields() {
    for dialect in Dialect::ALL {
        for sample in Scenario::samples(dialect, "Twice a day.", "The moon pulls.") {
            let named = Scenario::named(dialect, &sample.kind(), None).expect("its own fields");
            assert_eq!(named, Some(sample));
        }
    }
    for quirk in Quirk::ALL {
        let name = serde_json::to_value(quirk).expect("a name");
        let named = Scenario::named(
            Dialect::Groq,
            name.as_str().expect("text"),
            Some(json!({ "text": "so" })),
        );
        let text = "so".to_owned();
        assert_eq!(
            named.expect("a field that it has"),
            Some(Scenario::Quirk { quirk, text })
        );
    }
    let named = |name, fields| Scenario::named(Dialect::Groq, name, fields);
    let plain = named("plain", Some(json!({ "text": "so" }))).expect("a field that it has");
    assert_eq!(plain, Some(Scenario::plain("so")));
    assert!(named("plain", Some(json!({ "text": 7 }))).is_err());
    assert!(named("plain", Some(json!({ "txt": "so" }))).is_err());
    assert!(named("garbage", Some(json!({ "text": "so" }))).is_err());
    assert_eq!(named("nonsense", None).expect("no fields"), None);
    let refused = named("flex_tier_capacity_exceeded", None).expect("no fields");
    assert!(matches!(refused, Some(Scenario::Refused { status: 498, .. })));
}

fn good_scenarios() -> Vec<Scenario> {
    let (text, thoughts) = ("Zweimal täglich. 🌊\n\"so\"".to_owned(), "月 and sun".to_owned());
    let call = |n: u32| {
        (
            format!("call_{n}"),
            "weather".to_owned(),
            "{\"city\":\"Köln\"}".to_owned(),
        )
    };
    let (id, name, arguments) = call(0);
    vec![
        Scenario::Plain { text: text.clone() },
        Scenario::Reasoning {
            thoughts: thoughts.clone(),
            text: text.clone(),
        },
        Scenario::InlineThink {
            thoughts: thoughts.clone(),
            text: text.clone(),
        },
        Scenario::ToolCall {
            id,
            name,
            arguments,
            thoughts,
        },
        Scenario::TwoToolCalls {
            calls: [call(1), call(2)],
        },
        Scenario::WebSearch {
            text: text.clone(),
            citations: vec![("https://example.org".to_owned(), "T".to_owned())],
            unreported: vec![],
        },
        Scenario::ServedBy {
            provider: "Nebula".to_owned(),
            model: None,
            text: text.clone(),
        },
        Scenario::FinishReason {
            text: text.clone(),
            reason: "length".to_owned(),
        },
        Scenario::KeepAlives {
            count: 3,
            every_ms: 1,
            text,
        },
        Scenario::Many { tokens: 5 },
        Scenario::NoContent,
    ]
}

fn chat(dialect: Dialect, stream: bool) -> Value {
    json!({
        "model": dialect.model(), "stream": stream, "stream_options": { "include_usage": true },
        "messages": [{ "role": "user", "content": "why do the tides come twice a day?" }],
    })
}

struct HttpAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether the body was received completely.
    whole: bool,
}

impl HttpAnswer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    fn header(&self, name: &str) -> Option<&str> {
        http::header(&self.headers, name)
    }
}

fn ask(provider: &Provider, request: &Value) -> HttpAnswer {
    let mut connection = TcpStream::connect(provider.server.address()).expect("connected");
    ask_on(&mut connection, provider, request)
}

fn ask_on(connection: &mut TcpStream, provider: &Provider, request: &Value) -> HttpAnswer {
    send(connection, provider, request);
    answer(connection)
}

fn post(provider: &Provider, path: &str, body: &Value) -> HttpAnswer {
    let mut connection = TcpStream::connect(provider.server.address()).expect("connected");
    let body = body.to_string();
    let request = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes()).expect("sent");
    answer(&mut connection)
}

fn get(provider: &Provider, path: &str) -> HttpAnswer {
    let mut connection = TcpStream::connect(provider.server.address()).expect("connected");
    connection
        .write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes())
        .expect("sent");
    answer(&mut connection)
}

fn send(connection: &mut TcpStream, provider: &Provider, request: &Value) {
    let dialect = provider.dialect();
    let (path, body) = (
        format!("{}{}", dialect.base_path(), dialect.chat_path()),
        request.to_string(),
    );
    let request = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    connection.write_all(request.as_bytes()).expect("sent");
}

fn answer(connection: &mut TcpStream) -> HttpAnswer {
    let mut from = io::BufReader::new(connection);
    let mut line = String::new();
    io::BufRead::read_line(&mut from, &mut line).expect("a status");
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status");
    let headers = http::read_headers(&mut from).expect("headers");
    let mut body = Vec::new();
    let whole = match http::header(&headers, "content-length") {
        Some(length) => {
            let length = length.parse().expect("a length");
            from.by_ref().take(length).read_to_end(&mut body).expect("a body") as u64 == length
        }
        None => read_chunks(&mut from, &mut body).is_ok(),
    };
    HttpAnswer {
        status,
        headers,
        body,
        whole,
    }
}

fn read_chunks(from: &mut impl io::BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    while let Some(size) = http::read_chunk_size(from)? {
        let before = body.len();
        from.by_ref().take(size as u64).read_to_end(body)?;
        if body.len() - before < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        http::read_headers(from)?;
    }
    Ok(())
}
