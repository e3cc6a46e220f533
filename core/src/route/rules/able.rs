//! `able`: whether the prompt fits the context and the model has the required capabilities.
//!
//! A capability that is not published rejects no candidate; it only ranks it lower (see [`super::preferred`]).

use super::{Candidate, CandidateSource, Rejection, RoutingContext};
use crate::error::{ErrorKind, ErrorReason};

/// Rejects a model that does not chat, whose context is too small, or which lacks tools, images, schema or web search, in this order.
pub(super) fn able(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let needs = context.needs;
    if let CandidateSource::Remote(remote) = candidate.source
        && !remote.model.can_chat()
    {
        return Some(Rejection::new(
            ErrorKind::Unsupported,
            ErrorReason::Unsupported,
            "it is not a chat model",
            "choose a model that answers messages",
        ));
    }
    // Older turns of a conversation are omitted where the context cannot hold them.
    let prompt = needs.required_prompt.unwrap_or(needs.prompt);
    let (context, prompt, bound) = match candidate.source {
        // The engine counts exactly before it answers, at no cost: only a prompt that cannot fit is rejected here.
        CandidateSource::Local(local) => (Some(local.context), prompt.low, "at least"),
        CandidateSource::Remote(remote) => (remote.model.context, prompt.high, "up to"),
    };
    let answer = needs.completion.high.min(SHORT_ANSWER);
    // In a small context, a part of it.
    let answer = context.map_or(answer, |context| answer.min(context / 4));
    if let Some(context) = context
        && u64::from(prompt) + u64::from(answer) > u64::from(context)
    {
        let reason = format!(
            "its context of {context} tokens is too small for a prompt of {bound} {prompt} and an answer of {answer}"
        );
        let remedy = "shorten the conversation, or choose a model with a larger context";
        return Some(Rejection::new(
            ErrorKind::InvalidRequest,
            ErrorReason::ContextExceeded,
            reason,
            remedy,
        ));
    }
    let can = candidate.abilities()?;
    let lacks = [
        (needs.abilities.tools && !can.tools, "it does not support tools"),
        (needs.abilities.images && !can.images, "it does not accept images"),
        (
            needs.abilities.json_schema && !can.json_schema,
            "it does not support json schemas",
        ),
        (
            needs.abilities.web_search && !can.web_search,
            "it does not search the web",
        ),
    ];
    let (_, reason) = lacks.into_iter().find(|(lacks, _)| *lacks)?;
    let remedy = "choose a model that does, or leave it out of the request";
    Some(Rejection::new(
        ErrorKind::Unsupported,
        ErrorReason::Unsupported,
        reason,
        remedy,
    ))
}

/// Tokens of context that must be left for the answer, unless the request limits it to fewer.
const SHORT_ANSWER: u32 = 64;
