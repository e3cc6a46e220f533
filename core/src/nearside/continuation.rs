//! The request that has a provider continue an interrupted answer.

use crate::chat::{ChatMessage, ChatRequest, RoutingMode};

/// Builds the continuation request. Adds a user message, because not every provider continues an assistant message.
pub(super) fn continuation_request(mut request: ChatRequest, said: String) -> ChatRequest {
    request.messages.push(ChatMessage::assistant(said));
    request.messages.push(ChatMessage::user(CONTINUE_PROMPT));
    request.mode = RoutingMode::OnlyInCloud;
    if request.provider.is_none() {
        request.model = None;
    }
    request
}

/// Asks for the rest of an interrupted answer.
pub(super) const CONTINUE_PROMPT: &str =
    "Your answer was interrupted. Continue exactly where it stopped. Do not repeat any of it.";
