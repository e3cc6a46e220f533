//! Every error that a provider documents, with the status and body that it has there.
//!
//! Sources: OpenRouter's pages on errors (2026-08-22) and its availability codes (2026-08-19); DeepSeek's, Groq's,
//! Fireworks' and OpenAI's pages of error codes; Ollama's and llama.cpp's server code; vLLM's error bodies.

use serde_json::{Value, json};

use super::dialect::Dialect;
use super::scene::Scene;

/// An error that a provider documents.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentedError {
    /// The HTTP status.
    pub status: u16,
    /// The provider's word for it; unique in its dialect.
    pub name: &'static str,
    /// The body.
    pub body: Value,
    /// Seconds that `Retry-After` names.
    pub retry_after: Option<u64>,
}

impl DocumentedError {
    /// The scene in which a chat is answered with it.
    pub fn into_scene(self) -> Scene {
        Scene::Refused {
            status: self.status,
            body: self.body,
            retry_after: self.retry_after,
        }
    }
}

/// Every error that the dialect documents for a chat.
pub fn documented_errors(dialect: Dialect) -> Vec<DocumentedError> {
    if dialect == Dialect::OpenRouter {
        return openrouter_errors();
    }
    let table = match dialect {
        Dialect::DeepSeek => DEEPSEEK,
        Dialect::Groq => GROQ,
        Dialect::Fireworks => FIREWORKS,
        Dialect::OpenAi => OPENAI,
        Dialect::Ollama => OLLAMA,
        Dialect::LlamaServer => LLAMA_SERVER,
        Dialect::Compatible | Dialect::OpenRouter => COMPATIBLE,
    };
    let error = |&(status, name, kind, message): &(u16, &'static str, &str, &str)| DocumentedError {
        status,
        name,
        body: body(dialect, status, name, kind, message),
        // Groq says so for 429 only; the others may.
        retry_after: (status == 429).then_some(2),
    };
    table.iter().map(error).collect()
}

/// The body that an error of this status has, in the dialect's shape.
pub(super) fn error_body(dialect: Dialect, status: u16) -> Value {
    let found = documented_errors(dialect)
        .into_iter()
        .find(|error| error.status == status);
    match found {
        Some(error) => error.body,
        None if dialect == Dialect::OpenRouter => openrouter(status, "unmapped", message(status)),
        None => body(dialect, status, "internal_error", "server_error", message(status)),
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
            (404, body(dialect, 404, "404", "NotFoundError", &message))
        }
        Dialect::Fireworks => {
            let message = format!("Model not found, inaccessible, and/or not deployed: {model}");
            (404, body(dialect, 404, "NOT_FOUND", "invalid_request_error", &message))
        }
        Dialect::Groq | Dialect::OpenAi | Dialect::LlamaServer => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            (
                404,
                body(dialect, 404, "model_not_found", "invalid_request_error", &message),
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

fn body(dialect: Dialect, status: u16, code: &str, kind: &str, message: &str) -> Value {
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
        Dialect::Fireworks => json!({ "error": { "object": "error", "type": kind, "code": code, "message": message } }),
        _ => json!({ "error": { "message": message, "type": kind, "param": null, "code": code } }),
    }
}

fn openrouter(status: u16, error_type: &str, message: &str) -> Value {
    // What goes wrong inside is masked: no code of the provider's.
    let mut metadata = json!({ "error_type": error_type });
    if status != 500 {
        metadata["provider_code"] = json!(error_type);
    }
    json!({ "error": { "code": status, "message": message, "metadata": metadata } })
}

/// As the page has them: with `http_status` and without `code`.
fn availability(status: u16, kind: &str, code: &str, message: &str, model: &str, excluded_by: &[&str]) -> Value {
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

fn openrouter_errors() -> Vec<DocumentedError> {
    let error = |status, name, body| DocumentedError {
        status,
        name,
        body,
        retry_after: matches!(status, 429 | 503).then_some(2),
    };
    let mut errors: Vec<_> = OPENROUTER
        .iter()
        .map(|&(status, name)| error(status, name, openrouter(status, name, message(status))))
        .collect();
    errors.extend(OPENROUTER_AVAILABILITY.iter().map(|&(status, kind, code)| {
        let excluded: &[&str] = match code {
            "privacy_restricted" => &["data_policy:zdr"],
            "constraint_filtered" => &["max_price"],
            "region_restricted" => &["geo"],
            _ => &[],
        };
        let message = format!("No endpoint for the model is available: {code}");
        error(
            status,
            code,
            availability(status, kind, code, &message, "vendor/model", excluded),
        )
    }));
    let with = |status: u16, message: &str, metadata: Value| json!({ "error": { "code": status, "message": message, "metadata": metadata } });
    errors.push(error(
        403,
        "moderation",
        with(
            403,
            "Your input was flagged",
            json!({ "reasons": ["violence"], "flagged_input": "…", "provider_name": "OpenAI", "model_slug": "openai/gpt-5.2" }),
        ),
    ));
    errors.push(error(
        403,
        "guardrail",
        with(
            403,
            "Request blocked: prompt injection patterns detected",
            json!({ "patterns": ["ignore all previous instructions"] }),
        ),
    ));
    // Statuses of the interface's description that have no `error_type` of their own.
    for (status, name, message) in [
        (408, "request_timeout", "Request timed out"),
        (
            524,
            "edge_network_timeout",
            "Request timed out. Please try again later.",
        ),
        (529, "provider_overloaded_upstream", "Provider returned error"),
    ] {
        errors.push(error(
            status,
            name,
            json!({ "error": { "code": status, "message": message } }),
        ));
    }
    errors
}

const OPENROUTER: &[(u16, &str)] = &[
    (400, "invalid_request"),
    (400, "invalid_prompt"),
    (400, "context_length_exceeded"),
    (400, "max_tokens_exceeded"),
    (400, "token_limit_exceeded"),
    (400, "string_too_long"),
    (400, "content_policy_violation"),
    (400, "refusal"),
    (400, "invalid_image"),
    (400, "image_too_large"),
    (400, "image_too_small"),
    (400, "unsupported_image_format"),
    (400, "image_download_failed"),
    (401, "authentication"),
    (402, "payment_required"),
    (403, "permission_denied"),
    (404, "not_found"),
    (404, "image_not_found"),
    (412, "precondition_failed"),
    (413, "payload_too_large"),
    (422, "unprocessable"),
    (429, "rate_limit_exceeded"),
    (500, "server"),
    (500, "unmapped"),
    (502, "provider_unavailable"),
    (503, "provider_overloaded"),
    (504, "timeout"),
];

/// Status, `error_type`, `availability.code`.
const OPENROUTER_AVAILABILITY: &[(u16, &str, &str)] = &[
    (400, "invalid_request", "model_not_found"),
    (400, "invalid_request", "wrong_endpoint"),
    (404, "not_found", "no_endpoints"),
    (404, "not_found", "model_deprecated"),
    (404, "not_found", "model_unavailable_upstream"),
    (429, "rate_limit_exceeded", "capacity_exhausted"),
    (503, "provider_overloaded", "temporarily_unavailable"),
    (403, "permission_denied", "region_restricted"),
    (404, "not_found", "privacy_restricted"),
    (404, "not_found", "constraint_filtered"),
    (404, "not_found", "free_variant_ended"),
];

/// Status, `code`, `type`, message.
type Table = &'static [(u16, &'static str, &'static str, &'static str)];

const DEEPSEEK: Table = &[
    (
        400,
        "invalid_request_error",
        "invalid_request_error",
        "Failed to deserialize the JSON body",
    ),
    (
        401,
        "authentication_error",
        "authentication_error",
        "Authentication Fails (no such user)",
    ),
    (402, "insufficient_balance", "unknown_error", "Insufficient Balance"),
    (422, "invalid_parameters", "invalid_request_error", "Invalid parameters"),
    (429, "rate_limit_reached", "rate_limit_error", "Rate limit reached"),
    (500, "server_error", "server_error", "Server error"),
    (
        503,
        "service_unavailable_error",
        "service_unavailable_error",
        "Service is too busy. Please try again later.",
    ),
];

const GROQ: Table = &[
    (
        400,
        "invalid_request",
        "invalid_request_error",
        "the request is not valid",
    ),
    (
        400,
        "context_length_exceeded",
        "invalid_request_error",
        "Please reduce the length of the messages or completion.",
    ),
    (
        400,
        "json_validate_failed",
        "invalid_request_error",
        "Failed to generate JSON. Please adjust your prompt.",
    ),
    (
        400,
        "tool_use_failed",
        "invalid_request_error",
        "Failed to call a function. Please adjust your prompt.",
    ),
    (401, "invalid_api_key", "invalid_request_error", "Invalid API Key"),
    (
        403,
        "permissions_error",
        "permissions_error",
        "The model is blocked at the organization level.",
    ),
    (
        404,
        "model_not_found",
        "invalid_request_error",
        "The model does not exist or you do not have access to it.",
    ),
    (
        413,
        "request_too_large",
        "tokens",
        "Request too large for model on tokens per minute (TPM)",
    ),
    (
        422,
        "unprocessable_entity",
        "invalid_request_error",
        "Unprocessable entity",
    ),
    (
        424,
        "failed_dependency",
        "dependency_error",
        "A dependent request failed",
    ),
    (
        429,
        "rate_limit_exceeded",
        "tokens",
        "Rate limit reached. Please try again in 5.289s.",
    ),
    (
        498,
        "capacity_exceeded",
        "flex_tier_capacity_exceeded",
        "Flex tier capacity exceeded",
    ),
    (
        499,
        "request_cancelled",
        "request_cancelled",
        "The request was cancelled by the caller",
    ),
    (
        500,
        "internal_server_error",
        "internal_server_error",
        "Internal Server Error",
    ),
    (502, "bad_gateway", "internal_server_error", "Bad Gateway"),
    (503, "service_unavailable", "service_unavailable", "Service Unavailable"),
];

const FIREWORKS: Table = &[
    (400, "INVALID_ARGUMENT", "invalid_request_error", "Bad Request"),
    (401, "UNAUTHORIZED", "error", "The API key you provided is invalid."),
    (402, "PAYMENT_REQUIRED", "error", "Payment Required"),
    (403, "FORBIDDEN", "error", "Forbidden"),
    (
        404,
        "NOT_FOUND",
        "error",
        "Model not found, inaccessible, and/or not deployed",
    ),
    (405, "METHOD_NOT_ALLOWED", "error", "Method Not Allowed"),
    (408, "REQUEST_TIMEOUT", "error", "Request Timeout"),
    (412, "PRECONDITION_FAILED", "error", "Account is suspended"),
    (413, "PAYLOAD_TOO_LARGE", "error", "Payload Too Large"),
    (422, "UNPROCESSABLE", "invalid_request_error", "Unprocessable Entity"),
    (429, "RATE_LIMIT_EXCEEDED", "error", "Too Many Requests"),
    (500, "INTERNAL", "internal_server_error", "Internal Server Error"),
    (502, "BAD_GATEWAY", "error", "Bad Gateway"),
    (503, "SERVICE_UNAVAILABLE", "error", "Service Unavailable"),
    (504, "GATEWAY_TIMEOUT", "error", "Gateway Timeout"),
];

const OPENAI: Table = &[
    (400, "invalid_value", "invalid_request_error", "Invalid value"),
    (
        400,
        "context_length_exceeded",
        "invalid_request_error",
        "Your input exceeds the context window of this model.",
    ),
    (
        400,
        "content_policy_violation",
        "invalid_request_error",
        "Your request was rejected by our safety system.",
    ),
    (
        401,
        "invalid_api_key",
        "invalid_request_error",
        "Incorrect API key provided.",
    ),
    (
        403,
        "unsupported_country_region_territory",
        "request_forbidden",
        "Country, region, or territory not supported",
    ),
    (
        404,
        "model_not_found",
        "invalid_request_error",
        "The model does not exist or you do not have access to it.",
    ),
    (413, "request_too_large", "invalid_request_error", "Request too large"),
    (
        429,
        "rate_limit_exceeded",
        "requests",
        "Rate limit reached for requests",
    ),
    (
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota.",
    ),
    (
        500,
        "server_error",
        "server_error",
        "The server had an error while processing your request.",
    ),
    (
        503,
        "server_is_overloaded",
        "service_unavailable_error",
        "The engine is currently overloaded.",
    ),
    (503, "slow_down", "service_unavailable_error", "Slow down"),
];

const OLLAMA: Table = &[
    (
        400,
        "bad_request",
        "",
        "invalid character '}' looking for beginning of value",
    ),
    (400, "no_thinking", "", "\"tiny\" does not support thinking"),
    (
        400,
        "no_tools",
        "",
        "registry.ollama.ai/library/tiny:latest does not support tools",
    ),
    (401, "unauthorized", "", "unauthorized"),
    (403, "forbidden", "", "this model requires a subscription"),
    (404, "not_found", "", "model 'gone' not found"),
    (429, "usage_limit", "", "you've reached your hourly usage limit"),
    (
        500,
        "no_memory",
        "",
        "model requires more system memory (9.1 GiB) than is available (3.2 GiB)",
    ),
    (502, "upstream", "", "remote server unavailable"),
    (
        503,
        "busy",
        "",
        "server busy, please try again.  maximum pending requests exceeded",
    ),
];

const LLAMA_SERVER: Table = &[
    (
        400,
        "invalid_request",
        "invalid_request_error",
        "\"messages\" is required",
    ),
    (
        400,
        "exceed_context_size",
        "exceed_context_size_error",
        "the request exceeds the available context size",
    ),
    (401, "authentication", "authentication_error", "Invalid API Key"),
    (403, "permission", "permission_error", "not permitted"),
    (404, "not_found", "not_found_error", "File Not Found"),
    (500, "server", "server_error", "Compute error."),
    (
        501,
        "not_supported",
        "not_supported_error",
        "This server does not support that.",
    ),
    (503, "loading", "unavailable_error", "Loading model"),
];

const COMPATIBLE: Table = &[
    (
        400,
        "bad_request",
        "BadRequestError",
        "This model's maximum context length is 8192 tokens.",
    ),
    (401, "unauthorized", "Unauthorized", "Unauthorized"),
    (404, "not_found", "NotFoundError", "The model does not exist."),
    (422, "unprocessable", "UnprocessableEntityError", "Unprocessable entity"),
    (429, "too_many_requests", "TooManyRequestsError", "Too many requests"),
    (
        500,
        "internal",
        "InternalServerError",
        "EngineCore encountered an issue.",
    ),
    (501, "not_implemented", "NotImplementedError", "Not implemented"),
    (503, "unavailable", "ServiceUnavailableError", "Service unavailable"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_in_a_dialect_and_every_status_is_an_error() {
        for dialect in Dialect::ALL {
            let errors = documented_errors(dialect);
            for error in &errors {
                assert!((400..600).contains(&error.status), "{dialect:?} {}", error.name);
                let same = errors.iter().filter(|other| other.name == error.name).count();
                assert_eq!(same, 1, "{dialect:?} {}", error.name);
                assert!(error.body.get("error").is_some());
            }
        }
    }
}
