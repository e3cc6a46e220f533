//! The shape that an error's body has in each dialect.

use serde_json::{Value, json};

use super::dialect::Dialect;

/// Builds the body of an error. `kind` is the field that most dialects call `type`.
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
        // Three shapes occur: with a type, with a code, and a bare message.
        Dialect::Fireworks if kind == MESSAGE_ONLY => json!({ "error": message }),
        Dialect::Fireworks if kind.is_empty() => json!({ "error": { "message": message, "code": code } }),
        Dialect::Fireworks => json!({ "error": { "object": "error", "type": kind, "code": code, "message": message } }),
        _ => json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }),
    }
}

/// Builds the body of an OpenRouter error.
pub(super) fn openrouter(status: u16, error_type: &str, message: &str) -> Value {
    // Internal errors are masked: they carry no code of the provider.
    let mut metadata = json!({ "error_type": error_type });
    if status != 500 {
        metadata["provider_code"] = json!(error_type);
    }
    json!({ "error": { "code": status, "message": message, "metadata": metadata } })
}

/// Builds an availability error as OpenRouter's page shows it: with `http_status` and without `code`.
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

/// Returns a plain message for a status.
pub(super) const fn message(status: u16) -> &'static str {
    match status {
        429 => "Rate limit exceeded",
        503 => "Service is over capacity",
        _ => "Internal server error",
    }
}

/// The `kind` of a Fireworks error whose body is a bare message.
pub(super) const MESSAGE_ONLY: &str = "message only";
