//! Requests and their routes: which script is played for which question.

use std::io::{self, BufReader};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::{Value, json};

use super::cut::{Cut, Cutter};
use super::dialect::Dialect;
use super::http::Request;
use super::play::{Played, play};
use super::script::{End, Head, Script};
use super::server::{Connections, Farewell};
use super::{Recorded, Shared, check, errors, models};

/// Answers requests until the connection is of no more use.
pub(super) fn converse(connection: &TcpStream, connections: &Connections, shared: &Shared) -> Farewell {
    // A client that leaves in the middle of a request is none of the provider's business.
    answer_all(connection, connections, shared).unwrap_or(Farewell::Close)
}

fn answer_all(connection: &TcpStream, connections: &Connections, shared: &Shared) -> io::Result<Farewell> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection.try_clone()?;
    while let Some(request) = Request::read(&mut reader, &mut writer)? {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let number = shared.record(Recorded {
            method: request.method.clone(),
            path: request.target.clone(),
            headers: request.headers.clone(),
            body: body.clone(),
            at: Instant::now(),
        });
        let mut script = route(&request, &body, shared);
        script.delay(shared.latency);
        let cut = match shared.cut {
            Cut::Random(seed) => Cut::Random(seed.wrapping_add(number)),
            other => other,
        };
        let headers = standing_headers(shared.dialect, request.method == "POST");
        match play(&script, &mut writer, &headers, &mut Cutter::new(cut)) {
            Played::Whole => {}
            Played::Over if script.end == End::Reset => return Ok(Farewell::Reset),
            Played::Over => return Ok(Farewell::Close),
            Played::ClientLeft => {
                // Not so where the provider stops and closes the connections itself.
                if !connections.closing() {
                    shared.client_left();
                }
                return Ok(Farewell::Close);
            }
        }
    }
    Ok(Farewell::Close)
}

fn route(request: &Request, body: &Value, shared: &Shared) -> Script {
    let dialect = shared.dialect;
    let path = request.path();
    let json = |(status, body): (u16, Value)| Script::refusal(status, &body, None);
    // Outside the interface: nothing here asks for a key.
    match (dialect, path) {
        (Dialect::Ollama, "/") => return Script::text("Ollama is running"),
        (Dialect::LlamaServer, "/health" | "/v1/health") => return json((200, json!({ "status": "ok" }))),
        (Dialect::LlamaServer, "/props") => {
            return json((200, json!({ "default_generation_settings": { "n_ctx": 8192 } })));
        }
        (Dialect::OpenRouter, "/auth") => return sign_in_page(request, shared),
        (Dialect::OpenRouter, "/api/v1/auth/keys") if request.method == "POST" => {
            let key = shared.key.as_deref().unwrap_or("sk-or-v1-recorded");
            return json(shared.state().sign_in.exchange(body, key));
        }
        _ => {}
    }
    let Some(path) = path.strip_prefix(dialect.base_path()) else {
        return json(not_found(dialect));
    };
    // DeepSeek answers with and without it.
    let path = if dialect == Dialect::DeepSeek {
        path.strip_prefix("/v1").unwrap_or(path)
    } else {
        path
    };
    if let Some(key) = &shared.key
        && request.header("authorization") != Some(&format!("Bearer {key}"))
    {
        return json(errors::unauthorized(dialect));
    }
    match (request.method.as_str(), path) {
        ("POST", path) if path == dialect.chat_path() => {
            let known = |model: &str| models::is_known(dialect, &shared.models, model);
            match check::refuse(dialect, body, known) {
                Some(refused) => json(refused),
                None => Script::new(dialect, &shared.next_scene(), body),
            }
        }
        ("POST", "/api/show") if dialect == Dialect::Ollama => {
            let model = body["model"].as_str().unwrap_or_default();
            let shown = models::show(&shared.models, model).map(|shown| (200, shown));
            json(shown.unwrap_or_else(|| errors::unknown_model(dialect, model)))
        }
        ("GET", path) => match models::answer(dialect, &shared.models, path) {
            Some(answer) => json((200, answer)),
            None => json(not_found(dialect)),
        },
        _ => json(not_found(dialect)),
    }
}

/// The page on which a person agrees; here everybody does, at once.
fn sign_in_page(request: &Request, shared: &Shared) -> Script {
    let (Some(callback), Some(challenge)) = (request.query("callback_url"), request.query("code_challenge")) else {
        return Script::refusal(
            400,
            &json!({ "error": { "code": 400, "message": "Invalid request" } }),
            None,
        );
    };
    let code = shared.state().sign_in.code(&challenge);
    let sign = if callback.contains('?') { '&' } else { '?' };
    let location = format!("{callback}{sign}code={code}");
    Script {
        head: Some(Head {
            status: 302,
            headers: vec![("location".to_owned(), location)],
        }),
        sends: Vec::new(),
        end: End::Whole,
    }
}

fn not_found(dialect: Dialect) -> (u16, Value) {
    match dialect {
        Dialect::Ollama => (404, json!({ "error": "404 page not found" })),
        _ => (
            404,
            json!({ "error": { "message": "Not found", "type": "invalid_request_error", "code": 404 } }),
        ),
    }
}

/// What the dialect puts on every answer.
fn standing_headers(dialect: Dialect, chat: bool) -> Vec<(String, String)> {
    let headers: &[(&str, &str)] = match dialect {
        Dialect::OpenRouter if chat => &[("x-generation-id", "gen-1760000000-recorded")],
        Dialect::Groq => &[
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-requests", "14370"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ],
        Dialect::OpenAi => &[("x-request-id", "req_recorded"), ("openai-processing-ms", "12")],
        Dialect::LlamaServer => &[("server", "llama.cpp")],
        _ => &[],
    };
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    headers.iter().map(owned).collect()
}
