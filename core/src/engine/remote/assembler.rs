//! Assembles chunks from deltas: separates reasoning tags, joins tool-call fragments, counts tokens, and determines the
//! stop reason.

use std::time::Instant;

use super::calls::PartialCalls;
use super::delta::{Delta, ReportedUsage};
use super::dialect::{BILLING_UPSTREAMS, ProviderKind};
use super::error::AttemptError;
use super::likely_thinking::begins_inside;
use super::provider::TokenPrice;
use crate::chat::{Chunk, CostSource, ReasoningMode, StopReason, Timings, TokenUsage};
use crate::engine::SearchCount;
use crate::engine::think::ThinkTags;
use crate::error::{Error, ErrorReason};

/// State of one answer. Outlives the connection, so that a cancelled answer can report its usage.
#[derive(Debug, Default)]
pub(super) struct AnswerAssembler {
    tags: Option<ThinkTags>,
    calls: PartialCalls,
    reported: ReportedUsage,
    /// Bytes that the model generated.
    written_bytes: u64,
    /// Of these, bytes of reasoning.
    reasoning_bytes: u64,
    first: Option<Instant>,
    last: Option<Instant>,
    finished: Option<String>,
    over: bool,
    called: bool,
    /// Number of pages that it cites.
    citations: u32,
    pub(super) served_by: Option<String>,
    /// The server said that another host runs the model.
    pub(super) forwarded: bool,
    /// A chunk was delivered; no retry or fallback is allowed after this.
    pub(super) visible: bool,
}

impl AnswerAssembler {
    /// Creates an assembler for an answer of this model with this wish for reasoning.
    /// `began_inside`: whether an earlier one began inside a block of reasoning.
    pub(super) fn new(kind: ProviderKind, model: &str, reasoning: &ReasoningMode, began_inside: bool) -> Self {
        // These always send reasoning separately, so `<think>` is text there.
        let tags = !matches!(kind, ProviderKind::OpenAi | ProviderKind::DeepSeek);
        Self {
            tags: tags.then(|| ThinkTags::new(began_inside || begins_inside(kind, model, reasoning))),
            ..Self::default()
        }
    }

    /// Applies a delta and appends the resulting chunks.
    pub(super) fn apply(&mut self, delta: Delta, now: Instant, chunks: &mut Vec<Chunk>) -> Result<(), Error> {
        let before = chunks.len();
        match delta {
            Delta::Reasoning(text) => {
                self.count_bytes(text.len(), now);
                self.reasoning_bytes += text.len() as u64;
                if let Some(tags) = &mut self.tags {
                    tags.note_separate_reasoning();
                }
                if !text.is_empty() {
                    chunks.push(Chunk::Reasoning { text });
                }
            }
            Delta::Content(text) => {
                self.count_bytes(text.len(), now);
                match &mut self.tags {
                    Some(tags) => tags.push(&text, chunks),
                    None if text.is_empty() => {}
                    None => chunks.push(Chunk::Text { text }),
                }
                self.reasoning_bytes += chunks[before..].iter().map(reasoning_len).sum::<u64>();
            }
            Delta::Call {
                index,
                id,
                name,
                arguments,
            } => {
                self.count_bytes(arguments.len(), now);
                self.calls.add(index, id, name, &arguments)?;
            }
            Delta::Citation { url, title } => {
                self.citations = self.citations.saturating_add(1);
                chunks.push(Chunk::Citation { url, title });
            }
            Delta::Usage(usage) => {
                let known = &mut self.reported;
                known.prompt = usage.prompt.or(known.prompt);
                known.cached = usage.cached.or(known.cached);
                known.completion = usage.completion.or(known.completion);
                known.reasoning = usage.reasoning.or(known.reasoning);
                known.cost = usage.cost.or(known.cost);
                known.searches = usage.searches.or(known.searches);
            }
            Delta::ServedBy(upstream) => self.served_by = Some(upstream),
            Delta::Forwarded => self.forwarded = true,
            Delta::Finished(reason) => self.finished = Some(reason),
            Delta::Done => self.over = true,
        }
        self.visible |= chunks.len() > before;
        Ok(())
    }

    /// Returns whether the answer has just begun, and more content in the same read would tell reasoning from text.
    pub(super) fn is_undecided(&self) -> bool {
        self.tags.as_ref().is_some_and(ThinkTags::is_undecided)
    }

    /// Ends a read of the body: appends content that is not held back any longer.
    pub(super) fn end_read(&mut self, chunks: &mut Vec<Chunk>) {
        if let Some(tags) = &mut self.tags {
            tags.end_read(chunks);
        }
        self.visible |= !chunks.is_empty();
    }

    /// Returns whether the model generated anything, visible or not. It is billed, so the request is not sent again.
    pub(super) fn has_generated(&self) -> bool {
        self.visible || self.written_bytes > 0 || !self.calls.is_empty() || self.reported.completion.unwrap_or(0) > 0
    }

    /// Returns whether the answer began inside a block of reasoning without an opening tag.
    pub(super) fn began_inside(&self) -> bool {
        self.tags.as_ref().is_some_and(ThinkTags::began_inside)
    }

    /// Returns the bytes of reasoning that were shown as text.
    pub(super) fn shown_reasoning_bytes(&self) -> u64 {
        self.tags.as_ref().map_or(0, ThinkTags::shown_reasoning_bytes)
    }

    /// Returns whether a finish reason arrived.
    pub(super) fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Returns whether the end of the stream arrived.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Ends the answer: appends the last chunks and returns the stop reason.
    ///
    /// # Errors
    /// An error if the connection was lost, or the answer is empty.
    pub(super) fn end_answer(&mut self, provider: &str, chunks: &mut Vec<Chunk>) -> Result<StopReason, AttemptError> {
        let before = chunks.len();
        if let Some(tags) = &mut self.tags {
            tags.end_content(chunks);
        }
        // A cold-starting model may report `stop` with no tokens; a real empty answer has at least one completion
        // token.
        let nothing = !self.has_generated();
        let fault = |text: String| AttemptError::transient(Error::provider(text));
        let stop = match self.finished.as_deref() {
            Some("stop" | "load") | None if nothing && (self.over || self.finished.is_some()) => Err(fault(format!(
                "`{provider}` ended its answer without any content, as a model that is just starting does; try again"
            ))),
            Some("length" | "max_tokens") => Ok(StopReason::MaxTokens),
            Some("tool_calls" | "function_call" | "tool_use") => Ok(StopReason::ToolCall),
            Some("content_filter" | "safety") => Ok(StopReason::Filtered),
            Some("insufficient_system_resource") => {
                let text = format!("`{provider}` ran out of capacity during the answer; try again in a moment");
                Err(AttemptError::transient(
                    Error::busy(text).because(ErrorReason::Overloaded),
                ))
            }
            Some("error") => Err(fault(format!("`{provider}` ended the answer with an error; try again"))),
            None if !self.over => Err(connection_lost(provider)),
            Some(_) | None => Ok(StopReason::End),
        };
        let stop = stop?;
        if stop != StopReason::MaxTokens {
            self.end_calls(provider, chunks)?;
        }
        self.visible |= chunks.len() > before;
        Ok(if self.called && stop == StopReason::End {
            StopReason::ToolCall
        } else {
            stop
        })
    }

    fn end_calls(&mut self, provider: &str, chunks: &mut Vec<Chunk>) -> Result<(), AttemptError> {
        for (id, name, arguments) in std::mem::take(&mut self.calls).finish(provider)? {
            self.called = true;
            chunks.push(Chunk::ToolCall { id, name, arguments });
        }
        Ok(())
    }

    fn count_bytes(&mut self, bytes: usize, now: Instant) {
        self.written_bytes += bytes as u64;
        self.first.get_or_insert(now);
        self.last = Some(now);
    }

    /// Returns the usage that the provider reported, or an estimate, and whether completion tokens are estimated.
    pub(super) fn usage(&self, prompt_bytes: u64) -> (TokenUsage, bool) {
        let estimate = |bytes: u64| u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX);
        let is_estimated = self.reported.completion.is_none();
        let completion = self.reported.completion.unwrap_or_else(|| estimate(self.written_bytes));
        let usage = TokenUsage {
            prompt_tokens: self.reported.prompt.unwrap_or_else(|| estimate(prompt_bytes)),
            cached_tokens: self.reported.cached.unwrap_or(0),
            completion_tokens: completion,
            reasoning_tokens: self
                .reported
                .reasoning
                .unwrap_or_else(|| estimate(self.reasoning_bytes + self.shown_reasoning_bytes()))
                .min(completion),
        };
        (usage, is_estimated)
    }

    /// Returns whether the provider reported the tokens of the prompt.
    pub(super) fn has_prompt_count(&self) -> bool {
        self.reported.prompt.is_some()
    }

    /// Returns the cost in US dollars and its source. `charges`: whether the target charges at all.
    pub(super) fn cost(&self, prompt_bytes: u64, price: Option<&TokenPrice>, charges: bool) -> (f64, CostSource) {
        let (usage, is_estimated) = self.usage(prompt_bytes);
        match (self.reported.cost, price) {
            _ if !charges => (0.0, CostSource::Free),
            (Some(cost), _) => (cost, CostSource::Provider),
            (None, Some(price)) if is_estimated => (price.cost(&usage), CostSource::Estimated),
            (None, Some(price)) => (price.cost(&usage), CostSource::Computed),
            (None, None) => (0.0, CostSource::Unknown),
        }
    }

    /// Returns the number of web searches: as the provider reported it, else as many as find the pages that are cited.
    /// `None` if neither says it.
    pub(super) fn searches(&self) -> Option<SearchCount> {
        let likely = (self.citations > 0).then(|| self.citations.div_ceil(RESULTS_PER_SEARCH));
        self.reported
            .searches
            .map(SearchCount::Reported)
            .or(likely.map(SearchCount::Likely))
    }

    /// Returns the timings, measured from the request.
    pub(super) fn timings(&self, requested_at: Instant, completion_tokens: u32) -> Timings {
        let Some((first, last)) = self.first.zip(self.last) else {
            return Timings::default();
        };
        let seconds = last.duration_since(first).as_secs_f64();
        let rest = f64::from(completion_tokens.saturating_sub(1));
        Timings {
            first_token_ms: first.duration_since(requested_at).as_secs_f64() * 1000.0,
            tokens_per_second: match seconds >= MIN_RATE_SECONDS {
                true => rest / seconds,
                false => 0.0,
            },
            ..Timings::default()
        }
    }

    /// Returns whether the upstream bills a cancelled answer in full.
    pub(super) fn upstream_bills_cancelled(&self) -> bool {
        let name = self.served_by.as_deref().unwrap_or_default().to_ascii_lowercase();
        BILLING_UPSTREAMS.iter().any(|upstream| name.starts_with(upstream))
    }
}

/// Creates the error of a connection that was lost during the answer.
pub(super) fn connection_lost(provider: &str) -> AttemptError {
    let text = format!("the connection to `{provider}` was lost during the answer; try again");
    AttemptError::transient(Error::network(text).because(ErrorReason::Interrupted))
}

fn reasoning_len(chunk: &Chunk) -> u64 {
    match chunk {
        Chunk::Reasoning { text } => text.len() as u64,
        _ => 0,
    }
}

/// A shorter time between the first and the last event says nothing of the speed: they came in one packet.
const MIN_RATE_SECONDS: f64 = 0.05;
/// Pages that a web search finds, as the price of a search in `data/providers.json` assumes.
const RESULTS_PER_SEARCH: u32 = 5;
/// About the average of English text; results are shown as estimates.
const BYTES_PER_TOKEN: u64 = 4;
