//! The history in a conversation's request: applies the settings, and fits the history to the target that is asked.

use std::ops::Range;

use super::pending::PendingRequest;
use crate::chat::history::{omit, omittable, prompt_space};
use crate::chat::{ChatMessage, ChatRequest, ConversationSettings};
use crate::route::{TokenRange, estimate};

/// Fills unset request fields from the conversation's settings, and sets its messages to system prompt and history.
pub(super) fn apply_defaults(request: &mut ChatRequest, settings: &ConversationSettings, history: Vec<ChatMessage>) {
    if request.model.is_none() && request.provider.is_none() {
        (request.model, request.provider) = (settings.model.clone(), settings.provider.clone());
    }
    request.sampling.preset = request.sampling.preset.or(settings.preset);
    let system = settings.system.iter().filter(|text| !text.trim().is_empty());
    request.messages = system.map(ChatMessage::system).chain(history).collect();
}

/// Adds the text so far of an answer that is resumed, and the prompt to go on with it. Adds a user message, because not every
/// provider continues an assistant message. Returns whether there is such a text.
pub(super) fn append_partial(request: &mut ChatRequest, partial: &str) -> bool {
    let resumed = !partial.trim().is_empty();
    if resumed {
        request.messages.push(ChatMessage::assistant(partial));
        request.messages.push(ChatMessage::user(super::CONTINUE_PROMPT));
    }
    resumed
}

/// How tokens are estimated where no tokenizer is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenCount {
    /// Between the likely and the maximum count: nearly always enough.
    Careful,
    /// The maximum, after a target rejected the careful count.
    Maximum,
}

/// Returns the messages to omit, so that a context of this size holds the rest and an answer. Empty if the context is
/// unknown, the whole history fits, or nothing may be omitted.
pub(super) fn fit_history(pending: &PendingRequest, context: Option<u32>, count: TokenCount) -> Range<usize> {
    let request = &pending.request;
    let (Some(context), Some(kept_turns)) = (context, pending.kept_turns) else {
        return 0..0;
    };
    if omittable(&request.messages, kept_turns).is_empty() {
        return 0..0;
    }
    let available = prompt_space(context, request.limits.max_tokens);
    let needed = count.of(estimate::tokens(request).0);
    omit(&request.messages, kept_turns, needed, available, |message| {
        count.of(estimate::message_tokens(message))
    })
}

impl TokenCount {
    fn of(self, tokens: TokenRange) -> u64 {
        match self {
            Self::Careful => u64::from(tokens.likely).midpoint(tokens.high.into()),
            Self::Maximum => tokens.high.into(),
        }
    }
}
