//! The history in a conversation's request: applies the settings, and drops turns that no eligible context can hold.

use std::ops::Range;
use std::sync::Arc;

use super::{Inner, blocking};
use crate::chat::{ChatMessage, ChatRequest, ConversationSettings, MessageRole};
use crate::error::Result;
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
/// provider continues an assistant message.
pub(super) fn append_partial(request: &mut ChatRequest, partial: &str) {
    if !partial.trim().is_empty() {
        request.messages.push(ChatMessage::assistant(partial));
        request.messages.push(ChatMessage::user(super::CONTINUE_PROMPT));
    }
}

/// Drops the oldest turns if the history exceeds the largest eligible context; returns how many messages were dropped.
/// The last turn is always kept: if it alone is too long, the target rejects it and names the sizes.
///
/// Drops in steps of half the available space, so that the prompt keeps the same start for many turns and the KV cache
/// stays valid.
pub(super) async fn truncate_history(inner: &Arc<Inner>, mut request: ChatRequest) -> Result<(ChatRequest, u32)> {
    let whole = conservative(estimate::tokens(&request).0);
    if whole < MIN_CONTEXT_TOKENS {
        return Ok((request, 0));
    }
    let shared = request.clone();
    let context = blocking(inner, move |inner| inner.largest_context(&shared)).await?;
    let Some(context) = context.map(u64::from) else {
        return Ok((request, 0));
    };
    let answer = request
        .limits
        .max_tokens
        .map_or(context / 4, u64::from)
        .min(context / 2);
    let available = context - answer;
    let step = (available / 2).max(1);
    let excess = whole.saturating_sub(available).div_ceil(step) * step;
    let (mut dropped_tokens, mut omitted_messages) = (0, 0);
    while dropped_tokens < excess {
        let Some(turn) = first_turn(&request.messages) else {
            break;
        };
        omitted_messages += turn.len();
        let dropped = request.messages.drain(turn);
        dropped_tokens += dropped
            .map(|message| conservative(estimate::message_tokens(&message)))
            .sum::<u64>();
    }
    Ok((request, u32::try_from(omitted_messages).unwrap_or(u32::MAX)))
}

/// Returns the range of the oldest turn (a user message and its answer), if another turn follows.
fn first_turn(messages: &[ChatMessage]) -> Option<Range<usize>> {
    let is = |role: MessageRole| move |message: &ChatMessage| message.role == role;
    let first = messages
        .iter()
        .position(|message| message.role != MessageRole::System)?;
    let next = messages.iter().skip(first + 1).position(is(MessageRole::User))?;
    Some(first..first + 1 + next)
}

/// Returns a conservative token count: the midpoint of the likely and the high estimate.
fn conservative(tokens: TokenRange) -> u64 {
    u64::from(tokens.likely).midpoint(tokens.high.into())
}

/// Below this size, in tokens, every context holds the prompt and an answer.
const MIN_CONTEXT_TOKENS: u64 = 300;
