//! `able`: whether the prompt fits the context and the model has the required capabilities.
//!
//! A capability that is not published rejects no candidate; it only ranks it lower (see [`super::preferred`]).

use super::{Candidate, CandidateSource, Rejection, RoutingContext};
use crate::error::ErrorKind;

/// `able`: context, then tools, pictures, schema and web search.
pub(super) fn able(context: RoutingContext<'_>, candidate: &Candidate<'_>) -> Option<Rejection> {
    let needs = context.needs;
    let (context, prompt, most) = match candidate.source {
        // The engine counts exactly before it answers, at no cost: only what cannot fit is taken out beforehand.
        CandidateSource::Local(local) => (Some(local.context), needs.prompt.low, "at least"),
        CandidateSource::Remote(remote) => (remote.context, needs.prompt.high, "up to"),
    };
    let answer = needs.completion.high.min(SHORT_ANSWER);
    if let Some(context) = context
        && u64::from(prompt) + u64::from(answer) > u64::from(context)
    {
        let reason = format!(
            "its context of {context} tokens is too small for a prompt of {most} {prompt} and an answer of {answer}"
        );
        let remedy = "shorten the conversation, or choose a model with a larger context";
        return Some(Rejection::new(ErrorKind::InvalidRequest, reason, remedy));
    }
    let can = candidate.abilities()?;
    let lacks = [
        (needs.abilities.tools && !can.tools, "it calls no tools"),
        (needs.abilities.images && !can.images, "it sees no pictures"),
        (
            needs.abilities.json_schema && !can.json_schema,
            "it keeps to no json schema",
        ),
        (
            needs.abilities.web_search && !can.web_search,
            "it does not search the web",
        ),
    ];
    let (_, reason) = lacks.into_iter().find(|(lacks, _)| *lacks)?;
    let remedy = "choose a model that can, or ask without";
    Some(Rejection::new(ErrorKind::Unsupported, reason, remedy))
}

/// Tokens that must be left for an answer to be worth starting, unless the request wants a shorter one still.
const SHORT_ANSWER: u32 = 64;
