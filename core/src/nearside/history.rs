//! The history in a conversation's request: applies the settings, and fits the history to the target that is asked.

use std::convert::Infallible;
use std::ops::Range;

use super::continuation::CONTINUE_PROMPT;
use super::pending::PendingRequest;
use crate::chat::history::{omit, omittable, prompt_space, without};
use crate::chat::{ChatMessage, ChatRequest, ConversationSettings};
use crate::engine::BegunAnswer;
use crate::route::{TokenRange, estimate};
use crate::state::PendingAnswer;

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
        request.messages.push(ChatMessage::user(CONTINUE_PROMPT));
    }
    resumed
}

/// Returns the answer that a pending one resumes, for engines that can continue it: broken off in its text or its reasoning,
/// and without tool calls.
pub(super) fn begun_answer(pending: &PendingAnswer) -> Option<BegunAnswer> {
    let progress = &pending.progress;
    let has_content = !progress.text.trim().is_empty() || !progress.reasoning.trim().is_empty();
    (pending.is_broken_off && progress.parts.is_empty() && has_content).then(|| BegunAnswer {
        reasoning: progress.reasoning.clone(),
        text: progress.text.clone(),
    })
}

/// How tokens are estimated where no tokenizer is at hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenCount {
    /// As the model counted an earlier prompt, in proportion to the likely count, with a margin. Unset: it counted none
    /// yet, and the middle between the likely and the maximum count is nearly always enough.
    Careful {
        /// Tokens that the model counted for each likely one.
        ratio: Option<f64>,
    },
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
    let messages = &request.messages;
    let available = prompt_space(context, request.limits.max_tokens);
    let required = request.with_messages(without(messages, &omittable(messages, kept_turns)));
    // Ranges are summed and then counted: rounding each message would add up.
    let mut tokens = estimate::tokens(&required).0;
    let omitted = omit(messages, kept_turns, available, |turn| {
        let added = messages[turn].iter().map(estimate::message_tokens);
        tokens = added.fold(tokens, estimate::plus);
        Ok::<_, Infallible>(count.of(tokens))
    });
    omitted.unwrap_or_else(|error| match error {})
}

impl TokenCount {
    fn of(self, tokens: TokenRange) -> u64 {
        match self {
            Self::Careful { ratio: None } => u64::from(tokens.likely).midpoint(tokens.high.into()),
            Self::Careful { ratio: Some(ratio) } => {
                let counted = (f64::from(tokens.likely) * ratio * MARGIN).ceil();
                // The cast saturates.
                (counted as u64).clamp(tokens.likely.into(), tokens.high.max(tokens.likely).into())
            }
            Self::Maximum => tokens.high.into(),
        }
    }
}

/// Another text of the same conversation may have a few more tokens for each likely one.
const MARGIN: f64 = 1.05;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_conversation_of_any_length_fills_half_of_the_space_and_never_more_than_all_of_it() {
        const CONTEXT: u32 = 8_192;
        let counts = [
            TokenCount::Careful { ratio: None },
            TokenCount::Careful { ratio: Some(1.07) },
            TokenCount::Maximum,
        ];
        for turns in [20, 100, 200, 400, 1_000, 5_000] {
            let turn = |number: usize| {
                // Short messages, whose estimates round most.
                let answer = "yes. ".repeat(number % 9);
                let question = ChatMessage::user(format!("And {number}?"));
                [question, ChatMessage::assistant(format!("{number}: {answer}"))]
            };
            let mut messages: Vec<_> = (0..turns).flat_map(turn).collect();
            messages.push(ChatMessage::user("And now?"));
            let pending = PendingRequest {
                kept_turns: Some(1),
                conversation: None,
                ..PendingRequest::whole(ChatRequest::new(messages))
            };
            let available = prompt_space(CONTEXT, None);
            for count in counts {
                let omitted = fit_history(&pending, Some(CONTEXT), count);
                let request = Arc::unwrap_or_clone(Arc::clone(&pending.request));
                let sent = request.with_messages(without(&request.messages, &omitted));
                let needed = count.of(estimate::tokens(&sent).0);
                let at = format!("{turns} turns, {count:?}: {omitted:?}, {needed} of {available}");
                assert!(needed <= available, "{at}");
                assert!(omitted.is_empty() || needed >= available / 2, "{at}");
            }
        }
    }

    #[test]
    fn a_count_of_the_model_replaces_the_guess_and_never_goes_below_the_likely_one() {
        let tokens = TokenRange {
            low: 100,
            likely: 200,
            high: 400,
        };
        let careful = |ratio| TokenCount::Careful { ratio }.of(tokens);
        assert_eq!(careful(None), 300);
        assert_eq!(careful(Some(1.2)), 252);
        assert_eq!(careful(Some(0.1)), 200);
        assert_eq!(careful(Some(9.0)), 400);
        assert_eq!(careful(Some(f64::NAN)), 200);
        assert_eq!(TokenCount::Maximum.of(tokens), 400);
    }
}
