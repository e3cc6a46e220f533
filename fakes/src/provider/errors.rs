//! Rejections that depend on the request, and the body of an error by its status.

use serde_json::{Value, json};

use super::dialect::Dialect;
use super::documented::documented_errors;
use super::error_shapes::{availability, body, message, openrouter};

/// Returns the body of an error with this status in the dialect's format.
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

/// Rejects an unknown model.
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
        _ => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            (
                404,
                body(dialect, 404, "invalid_request_error", "model_not_found", &message),
            )
        }
    }
}

/// Rejects, as OpenRouter does, a model that no upstream serves under the requested data policy.
pub(super) fn privacy_restricted(model: &str, excluded_by: &str) -> (u16, Value) {
    let message = format!("No endpoints for {model} match your data policy.");
    (
        404,
        availability(404, "not_found", "privacy_restricted", &message, model, &[excluded_by]),
    )
}

/// Rejects an invalid request.
pub(super) fn invalid_request(dialect: Dialect, message: &str) -> (u16, Value) {
    match dialect {
        Dialect::OpenRouter => (400, openrouter(400, "invalid_request", message)),
        _ => (
            400,
            body(dialect, 400, "invalid_request_error", "invalid_request_error", message),
        ),
    }
}

/// Rejects a wrong key.
pub(super) fn unauthorized(dialect: Dialect) -> (u16, Value) {
    (401, error_body(dialect, 401))
}
