//! The bodies of errors in each dialect's shape, and the refusals that depend on the request.

use serde_json::{Value, json};

use super::dialect::Dialect;
use super::documented::documented_errors;

/// The body that an error of this status has, in the dialect's shape.
pub(super) fn error_body(dialect: Dialect, status: u16) -> Value {
    let found = documented_errors(dialect)
        .into_iter()
        .find(|error| error.status == status);
    match found {
        Some(error) => error.body,
        None if dialect == Dialect::OpenRouter => openrouter(status, "unmapped", message(status)),
        None => body(dialect, status, "server_error", "internal_error", message(status)),
    }
}

/// Plain words for a status.
pub(super) const fn message(status: u16) -> &'static str {
    match status {
        429 => "Rate limit exceeded",
        503 => "Service is over capacity",
        _ => "Internal server error",
    }
}

/// The refusal of a request for a model that is not there.
pub(super) fn unknown_model(dialect: Dialect, model: &str) -> (u16, Value) {
    match dialect {
        Dialect::OpenRouter => {
            let message = format!("{model} is not a valid model ID");
            (
                400,
                availability(400, "invalid_request", "model_not_found", &message, model, &[]),
            )
        }
        Dialect::Ollama => (404, json!({ "error": format!("model '{model}' not found") })),
        Dialect::DeepSeek => {
            let message = "Model Not Exist";
            (
                400,
                body(dialect, 400, "invalid_request_error", "invalid_request_error", message),
            )
        }
        Dialect::Compatible => {
            let message = format!("The model `{model}` does not exist.");
            (404, body(dialect, 404, "NotFoundError", "", &message))
        }
        Dialect::Fireworks => {
            let message = format!("Model not found, inaccessible, and/or not deployed: {model}");
            (404, body(dialect, 404, "", "NOT_FOUND", &message))
        }
        Dialect::Groq | Dialect::OpenAi | Dialect::LlamaServer => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            (
                404,
                body(dialect, 404, "invalid_request_error", "model_not_found", &message),
            )
        }
    }
}

/// OpenRouter's refusal of a model that nobody may serve under the data policy asked for.
pub(super) fn privacy_restricted(model: &str, excluded_by: &str) -> (u16, Value) {
    let message = format!("No endpoints for {model} match your data policy.");
    (
        404,
        availability(404, "not_found", "privacy_restricted", &message, model, &[excluded_by]),
    )
}

/// A refusal of what the request holds.
pub(super) fn invalid_request(dialect: Dialect, message: &str) -> (u16, Value) {
    match dialect {
        Dialect::OpenRouter => (400, openrouter(400, "invalid_request", message)),
        _ => (
            400,
            body(dialect, 400, "invalid_request_error", "invalid_request_error", message),
        ),
    }
}

/// The refusal of a wrong key.
pub(super) fn unauthorized(dialect: Dialect) -> (u16, Value) {
    (401, error_body(dialect, 401))
}

/// `kind` is what most call `type`.
pub(super) fn body(dialect: Dialect, status: u16, kind: &str, code: &str, message: &str) -> Value {
    match dialect {
        Dialect::Ollama => json!({ "error": message }),
        Dialect::LlamaServer => {
            let mut body = json!({ "error": { "code": status, "message": message, "type": kind } });
            if kind == "exceed_context_size_error" {
                body["error"]["n_prompt_tokens"] = json!(9000);
                body["error"]["n_ctx"] = json!(8192);
            }
            body
        }
        Dialect::Compatible => {
            json!({ "error": { "message": message, "type": kind, "param": null, "code": status } })
        }
        Dialect::Groq => json!({ "error": { "message": message, "type": kind, "code": code } }),
        // Three shapes are seen: with a type, with a code, and words alone.
        Dialect::Fireworks if kind == "words alone" => json!({ "error": message }),
        Dialect::Fireworks if kind.is_empty() => json!({ "error": { "message": message, "code": code } }),
        Dialect::Fireworks => json!({ "error": { "object": "error", "type": kind, "code": code, "message": message } }),
        _ => json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }),
    }
}

pub(super) fn openrouter(status: u16, error_type: &str, message: &str) -> Value {
    // What goes wrong inside is masked: no code of the provider's.
    let mut metadata = json!({ "error_type": error_type });
    if status != 500 {
        metadata["provider_code"] = json!(error_type);
    }
    json!({ "error": { "code": status, "message": message, "metadata": metadata } })
}

/// As the page has them: with `http_status` and without `code`.
pub(super) fn availability(
    status: u16,
    kind: &str,
    code: &str,
    message: &str,
    model: &str,
    excluded_by: &[&str],
) -> Value {
    let mut availability = json!({
        "code": code, "retryable": matches!(status, 429 | 503), "requested_models": [model],
        "docs_url": format!("https://openrouter.ai/docs/errors#{code}"),
    });
    if matches!(status, 429 | 503) {
        availability["retry_after"] = json!(2);
    }
    if !excluded_by.is_empty() {
        availability["excluded_by"] = json!(excluded_by);
        availability["affected_providers"] = json!(["deepinfra"]);
    }
    if code == "constraint_filtered" {
        availability["constraint"] = json!({ "field": "max_price", "detail": "no endpoint is as cheap as that" });
    }
    if code == "model_deprecated" || code == "free_variant_ended" {
        availability["fallback_models"] = json!(["deepseek/deepseek-r1"]);
    }
    json!({ "error": { "message": message, "error_type": kind, "http_status": status, "availability": availability } })
}
