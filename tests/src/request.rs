//! Requests to a model on this device whose answers can be compared.

use std::path::Path;

use nearside::chat::{ChatMessage, ChatRequest, RequestLimits, SamplingOptions};

/// Returns a request to the model in this file: each token of its answer is the likeliest.
#[must_use]
pub fn greedy(model: &Path, messages: Vec<ChatMessage>, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        model: Some(model.to_string_lossy().into_owned()),
        sampling: SamplingOptions {
            temperature: Some(0.0),
            ..SamplingOptions::default()
        },
        limits: RequestLimits {
            max_tokens: Some(max_tokens),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(messages)
    }
}
