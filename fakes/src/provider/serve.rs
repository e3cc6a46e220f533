//! Routes requests to the script of their answer.

use std::io::{self, BufReader};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::http::HttpRequest;
use crate::server::{CloseMode, Connections};

use super::chunking::{Chunker, Chunking};
use super::dialect::{Dialect, WireFormat};
use super::offer::Offer;
use super::play::{PlayResult, play};
use super::script::{ConnectionEnd, ResponseScript};
use super::state::{ProviderShared, ReceivedRequest};
use super::{check, errors, models};

/// Serves requests until the connection can carry no more.
pub(super) fn serve_connection(
    connection: &TcpStream,
    connections: &Connections,
    shared: &ProviderShared,
) -> io::Result<CloseMode> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection.try_clone()?;
    while let Some(request) = HttpRequest::read(&mut reader, &mut writer)? {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let number = shared.record(ReceivedRequest {
            method: request.method.clone(),
            path: request.target.clone(),
            headers: request.headers.clone(),
            body: body.clone(),
            at: Instant::now(),
        });
        let mut script = route(&request, &body, shared);
        script.delay(shared.latency);
        let chunking = match shared.chunking {
            Chunking::Random(seed) => Chunking::Random(seed.wrapping_add(number)),
            other => other,
        };
        let headers = common_headers(shared.dialect, request.method == "POST");
        match play(&script, &mut writer, &headers, &mut Chunker::new(chunking)) {
            PlayResult::Whole => {}
            PlayResult::Close if script.end == ConnectionEnd::Reset => return Ok(CloseMode::Reset),
            PlayResult::Close => return Ok(CloseMode::Close),
            PlayResult::ClientLeft => {
                // Do not count it if the provider is stopping and closes the connections itself.
                if !connections.is_closing() {
                    shared.client_left();
                }
                return Ok(CloseMode::Close);
            }
        }
    }
    Ok(CloseMode::Close)
}

fn route(request: &HttpRequest, body: &Value, shared: &ProviderShared) -> ResponseScript {
    let dialect = shared.dialect;
    let path = request.path();
    let json = |(status, body): (u16, Value)| ResponseScript::refusal(status, &body, None);
    let offer = &Arc::clone(&shared.state().offer);
    let silence = || ResponseScript {
        head: None,
        sends: Vec::new(),
        end: ConnectionEnd::Silence,
    };
    if offer.silent.iter().any(|end| path.ends_with(end)) {
        return silence();
    }
    if let Some((_, status)) = offer.failing.iter().find(|(end, _)| path.ends_with(end)) {
        return json((*status, json!({ "error": "out of order" })));
    }
    // Outside the API: no key is required.
    match (dialect, path) {
        (Dialect::Ollama, "/") => return ResponseScript::text("Ollama is running"),
        (Dialect::LlamaServer, "/health" | "/v1/health") => return json((200, json!({ "status": "ok" }))),
        (Dialect::LlamaServer, "/props") => {
            return json((200, json!({ "default_generation_settings": { "n_ctx": 8192 } })));
        }
        // An Ollama server that is used through its compatible API.
        (Dialect::Compatible, "/api/tags") if offer.is_ollama => {
            let tags = models::answer(Dialect::Ollama, offer, path);
            return json((200, tags.unwrap_or_default()));
        }
        (Dialect::Compatible, "/api/show") if offer.is_ollama => return json(show(offer, body)),
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
    // DeepSeek accepts both.
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
            let known = |model: &str| models::is_known(dialect, &offer.models, model);
            match check::refuse(dialect, body, known) {
                Some(refused) => json(refused),
                None => ResponseScript::new(dialect, &shared.next_scenario(), body),
            }
        }
        ("POST", "/api/show") if dialect == Dialect::Ollama => json(show(offer, body)),
        ("GET", _) if shared.list_hangs => silence(),
        ("GET", path) => match models::answer(dialect, offer, path) {
            Some(answer) => json((200, answer)),
            None => json(not_found(dialect)),
        },
        _ => json(not_found(dialect)),
    }
}

/// Answers Ollama's request for the description of a model.
fn show(offer: &Offer, body: &Value) -> (u16, Value) {
    let model = body["model"].as_str().unwrap_or_default();
    let shown = models::show(offer, model).map(|shown| (200, shown));
    shown.unwrap_or_else(|| errors::unknown_model(Dialect::Ollama, model))
}

/// Answers the consent page with an immediate redirect, as if the user had agreed.
fn sign_in_page(request: &HttpRequest, shared: &ProviderShared) -> ResponseScript {
    let (Some(callback), Some(challenge)) = (request.query("callback_url"), request.query("code_challenge")) else {
        let body = json!({ "error": { "code": 400, "message": "Invalid request" } });
        return ResponseScript::refusal(400, &body, None);
    };
    let code = shared.state().sign_in.issue_code(&challenge);
    let sign = if callback.contains('?') { '&' } else { '?' };
    let location = format!("{callback}{sign}code={code}");
    ResponseScript::redirect(302, location)
}

fn not_found(dialect: Dialect) -> (u16, Value) {
    let error = match dialect {
        Dialect::Ollama => json!("404 page not found"),
        _ => json!({ "message": "Not found", "type": "invalid_request_error", "code": 404 }),
    };
    (404, json!({ "error": error }))
}

/// Returns the headers that the dialect adds to every response.
fn common_headers(dialect: Dialect, chat: bool) -> Vec<(String, String)> {
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
