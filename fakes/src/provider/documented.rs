//! Every error that a provider documents for a chat.
//!
//! Statuses and names come from the error pages of OpenRouter (2026-08-22, availability codes 2026-08-19), DeepSeek,
//! Groq, Fireworks and OpenAI; llama.cpp's from its server's README. Bodies are as on those pages. Where a page shows none
//! (DeepSeek, most of Fireworks, some of Groq) and for Ollama and vLLM they are the likeliest shape, not a recorded one.
//! Message texts are our own where no client depends on them.

use serde_json::{Value, json};

use super::dialect::Dialect;
use super::error_shapes;

/// An error that a provider documents.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentedError {
    /// The HTTP status.
    pub status: u16,
    /// The provider's name for it; unique within the dialect.
    pub name: &'static str,
    /// The body.
    pub body: Value,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
}

/// Returns every error that the dialect documents for a chat.
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
        _ => COMPATIBLE,
    };
    let error = |&(status, name, kind, code, message): &ErrorRow| DocumentedError {
        status,
        name,
        body: error_shapes::body(dialect, status, kind, code, message),
        retry_after: (status == 429).then_some(2),
    };
    table.iter().map(error).collect()
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
        .map(|&(status, name)| {
            error(
                status,
                name,
                error_shapes::openrouter(status, name, error_shapes::message(status)),
            )
        })
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
            error_shapes::availability(status, kind, code, &message, "vendor/model", excluded),
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
    // Statuses of the API description without an `error_type`.
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

/// Status, name, `type`, `code`, message.
type ErrorRow = (u16, &'static str, &'static str, &'static str, &'static str);

const INVALID: &str = "invalid_request_error";

#[rustfmt::skip]
const DEEPSEEK: &[ErrorRow] = &[
    (400, "invalid_format", INVALID, INVALID, "Failed to deserialize the JSON body"),
    (401, "authentication_fails", "authentication_error", INVALID, "Authentication Fails (no such user)"),
    (402, "insufficient_balance", "unknown_error", INVALID, "Insufficient Balance"),
    (422, "invalid_parameters", INVALID, INVALID, "Invalid parameters"),
    (429, "rate_limit_reached", "rate_limit_error", "rate_limit_error", "Rate limit reached"),
    (500, "server_error", "server_error", "server_error", "Server error"),
    (503, "server_overloaded", "service_unavailable_error", "service_unavailable_error", "Service is too busy"),
];

#[rustfmt::skip]
const GROQ: &[ErrorRow] = &[
    (400, "bad_request", INVALID, "invalid_request", "the request is not valid"),
    (400, "context_length_exceeded", INVALID, "context_length_exceeded", "Please reduce the length of the messages"),
    (400, "json_validate_failed", INVALID, "json_validate_failed", "Failed to generate JSON"),
    (400, "tool_use_failed", INVALID, "tool_use_failed", "Failed to call a function"),
    (401, "invalid_api_key", INVALID, "invalid_api_key", "Invalid API Key"),
    (403, "permissions_error", "permissions_error", "model_permission_blocked_org", "The model is blocked"),
    (404, "model_not_found", INVALID, "model_not_found", "The model does not exist"),
    // Not a context overflow: more tokens than the account's limit per minute.
    (413, "request_too_large", "tokens", "rate_limit_exceeded", "Request too large on tokens per minute (TPM)"),
    (422, "unprocessable_entity", INVALID, "unprocessable_entity", "Unprocessable entity"),
    (424, "failed_dependency", "dependency_error", "failed_dependency", "A dependent request failed"),
    (429, "rate_limit_exceeded", "tokens", "rate_limit_exceeded", "Rate limit reached. Please try again in 5.289s"),
    (498, "flex_tier_capacity_exceeded", "capacity_exceeded", "capacity_exceeded", "Flex tier capacity exceeded"),
    (499, "request_cancelled", "request_cancelled", "request_cancelled", "Request cancelled"),
    (500, "internal_server_error", "internal_server_error", "internal_server_error", "Internal Server Error"),
    (502, "bad_gateway", "internal_server_error", "bad_gateway", "Bad Gateway"),
    (503, "service_unavailable", "service_unavailable", "service_unavailable", "Service Unavailable"),
];

#[rustfmt::skip]
const FIREWORKS: &[ErrorRow] = &[
    (400, "bad_request", INVALID, INVALID, "the request is not valid"),
    (401, "unauthorized", error_shapes::MESSAGE_ONLY, "", "unauthorized"),
    (402, "payment_required", "", "PAYMENT_REQUIRED", "Payment Required"),
    (403, "forbidden", error_shapes::MESSAGE_ONLY, "", "forbidden"),
    (404, "not_found", "", "NOT_FOUND", "Model not found, inaccessible, and/or not deployed"),
    (405, "method_not_allowed", error_shapes::MESSAGE_ONLY, "", "Method Not Allowed"),
    (408, "request_timeout", "", "REQUEST_TIMEOUT", "Request Timeout"),
    (412, "precondition_failed", "", "PRECONDITION_FAILED", "Account is suspended"),
    (413, "payload_too_large", "", "PAYLOAD_TOO_LARGE", "Payload Too Large"),
    (422, "unprocessable_entity", INVALID, INVALID, "Unprocessable Entity"),
    (429, "too_many_requests", "", "RATE_LIMIT_EXCEEDED", "Too Many Requests"),
    (500, "internal_server_error", "internal_server_error", "internal_server_error", "Internal Server Error"),
    (502, "bad_gateway", error_shapes::MESSAGE_ONLY, "", "Bad Gateway"),
    (503, "service_unavailable", "", "SERVICE_UNAVAILABLE", "Service Unavailable"),
    (504, "gateway_timeout", error_shapes::MESSAGE_ONLY, "", "Gateway Timeout"),
];

#[rustfmt::skip]
const OPENAI: &[ErrorRow] = &[
    (400, "invalid_value", INVALID, "invalid_value", "Invalid value"),
    (400, "context_length_exceeded", INVALID, "context_length_exceeded", "Your input exceeds the context window"),
    (400, "content_policy_violation", INVALID, "content_policy_violation", "Rejected by our safety system"),
    (401, "invalid_api_key", INVALID, "invalid_api_key", "Incorrect API key provided"),
    (403, "unsupported_country", "request_forbidden", "unsupported_country_region_territory", "Not supported there"),
    (404, "model_not_found", INVALID, "model_not_found", "The model does not exist"),
    (413, "request_too_large", INVALID, "request_too_large", "Request too large"),
    (429, "rate_limit_exceeded", "requests", "rate_limit_exceeded", "Rate limit reached for requests"),
    (429, "insufficient_quota", "insufficient_quota", "insufficient_quota", "You exceeded your current quota"),
    (500, "server_error", "server_error", "server_error", "The server had an error"),
    (503, "server_is_overloaded", "service_unavailable_error", "server_is_overloaded", "The engine is overloaded"),
    (503, "slow_down", "service_unavailable_error", "slow_down", "Slow down"),
];

#[rustfmt::skip]
const OLLAMA: &[ErrorRow] = &[
    (400, "bad_request", "", "", "invalid character '}' looking for beginning of value"),
    (400, "no_thinking", "", "", "\"tiny\" does not support thinking"),
    (400, "no_tools", "", "", "registry.ollama.ai/library/tiny:latest does not support tools"),
    (401, "unauthorized", "", "", "unauthorized"),
    (403, "forbidden", "", "", "this model requires a subscription"),
    (404, "not_found", "", "", "model 'gone' not found"),
    (429, "usage_limit", "", "", "you've reached your hourly usage limit"),
    (500, "no_memory", "", "", "model requires more system memory (9.1 GiB) than is available (3.2 GiB)"),
    (502, "upstream", "", "", "remote server unavailable"),
    (503, "busy", "", "", "server busy, please try again.  maximum pending requests exceeded"),
];

#[rustfmt::skip]
const LLAMA_SERVER: &[ErrorRow] = &[
    (400, "invalid_request", INVALID, "", "\"messages\" is required"),
    (400, "exceed_context_size", "exceed_context_size_error", "", "the request exceeds the available context size"),
    (401, "authentication", "authentication_error", "", "Invalid API Key"),
    (403, "permission", "permission_error", "", "not permitted"),
    (404, "not_found", "not_found_error", "", "File Not Found"),
    (500, "server", "server_error", "", "Compute error."),
    (501, "not_supported", "not_supported_error", "", "This server does not support that."),
    (503, "loading", "unavailable_error", "", "Loading model"),
];

#[rustfmt::skip]
const COMPATIBLE: &[ErrorRow] = &[
    (400, "bad_request", "BadRequestError", "", "This model's maximum context length is 8192 tokens."),
    (401, "unauthorized", "Unauthorized", "", "Unauthorized"),
    (404, "not_found", "NotFoundError", "", "The model does not exist."),
    (422, "unprocessable", "UnprocessableEntityError", "", "Unprocessable entity"),
    (429, "too_many_requests", "TooManyRequestsError", "", "Too many requests"),
    (500, "internal", "InternalServerError", "", "EngineCore encountered an issue."),
    (501, "not_implemented", "NotImplementedError", "", "Not implemented"),
    (503, "unavailable", "ServiceUnavailableError", "", "Service unavailable"),
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
