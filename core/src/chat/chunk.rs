//! The answer as a stream of chunks.
//!
//! # Order of chunks
//! First [`Chunk::Started`], immediately, before any model work. Then [`Chunk::Reasoning`], [`Chunk::Text`],
//! [`Chunk::ToolCall`] and [`Chunk::Citation`] in the order of generation. Then exactly one [`Chunk::Done`], or an
//! error instead; nothing after it. Text is always whole characters: an incomplete one is held back. `Text` never
//! contains reasoning, nor `Reasoning` text.
//!
//! If a target fails before any visible output, the next one emits its own `Started`; the same target emits another one
//! if an exact count changes the number of omitted messages. The latest `Started` is the one that holds. None follows
//! the first visible chunk.

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use super::route::Route;
use crate::stream::Merge;

/// A chunk of an answer. See the module for the order of chunks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "a chunk is moved and not kept, and a box has no counterpart in Swift and Kotlin"
)]
pub enum Chunk {
    /// The route was chosen.
    Started {
        /// Target, reason and rejected candidates.
        route: Route,
    },
    /// Reasoning of the model; an app may collapse it.
    Reasoning {
        /// UTF-8, never empty.
        text: String,
    },
    /// Text of the answer.
    Text {
        /// UTF-8, never empty.
        text: String,
    },
    /// The model calls a tool. Complete: never a part of a call.
    ToolCall {
        /// Id of the call; return it with the result.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments, as a JSON object.
        arguments: String,
    },
    /// A source of the answer, if the web was searched.
    Citation {
        /// The page's address.
        url: String,
        /// Its title; may be empty.
        title: String,
    },
    /// The end of the answer.
    Done {
        /// Stop reason, token counts, timings and receipt.
        #[serde(flatten)]
        summary: AnswerSummary,
    },
}

impl Merge for Chunk {
    fn merge(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Text { text }, Self::Text { text: next })
            | (Self::Reasoning { text }, Self::Reasoning { text: next }) => {
                text.push_str(&next);
                None
            }
            (_, next) => Some(next),
        }
    }
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerSummary {
    /// Why it ended.
    pub stop: StopReason,
    /// Token counts.
    pub usage: TokenUsage,
    /// Durations and rates.
    pub timings: Timings,
    /// Where it ran, what it cost and under which data policy.
    pub receipt: Receipt,
}

impl AnswerSummary {
    /// Creates the summary of an answer on this device, without statistics: free, and nothing left the device.
    pub(crate) fn on_device(stop: StopReason, route: &Route) -> Self {
        Self {
            stop,
            usage: TokenUsage::default(),
            timings: Timings::default(),
            receipt: route.receipt_on_device(),
        }
    }

    /// Creates the summary of an answer that was cancelled before it began, whatever its target: nothing was generated, and
    /// nothing was sent.
    pub(crate) fn cancelled_before_start(route: &Route) -> Self {
        Self::on_device(StopReason::Cancelled, route)
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended its turn.
    End,
    /// One of the request's `stop` strings was generated.
    StopSequence,
    /// `max_tokens` was reached.
    MaxTokens,
    /// The context is full; use a shorter conversation or a larger context.
    ContextFull,
    /// The model waits for the tools that it called.
    ToolCall,
    /// The app cancelled.
    Cancelled,
    /// The cost limit of the request was reached.
    CostLimit,
    /// The provider's filter cut the answer off.
    Filtered,
    /// The system was about to kill the app for its memory, and the model on this device was freed. The answer can be
    /// resumed.
    MemoryCritical,
}

/// Tokens of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of the prompt, including cached ones.
    pub prompt_tokens: u32,
    /// Prompt tokens that were reused from the KV cache or the provider's prompt cache.
    pub cached_tokens: u32,
    /// Generated tokens, including reasoning.
    pub completion_tokens: u32,
    /// Generated reasoning tokens.
    pub reasoning_tokens: u32,
}

/// Timings of one answer. A rate is 0 if nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Milliseconds to load the model; 0 if it was loaded already.
    pub load_ms: f64,
    /// Milliseconds from the request to the first generated token, including the load.
    pub first_token_ms: f64,
    /// Prefill: prompt tokens per second, without cached ones.
    pub prompt_tokens_per_second: f64,
    /// Decoding: generated tokens per second, without the first one.
    pub tokens_per_second: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{RouteRule, RouteTarget};

    /// Fixes the names and shapes, because programs parse them (`nearside chat --json`).
    #[test]
    fn a_chunk_is_one_flat_json_object_with_its_type() {
        let route = Route::to(
            RouteTarget::Local { model: "m".into() },
            RouteRule::RequestedTarget,
            "r",
        );
        let json = |chunk: &Chunk| serde_json::to_value(chunk).expect("chunks are JSON");
        assert_eq!(
            json(&Chunk::Text { text: "hi".into() }),
            serde_json::json!({"type": "text", "text": "hi"})
        );
        let started = json(&Chunk::Started { route: route.clone() });
        assert_eq!(
            started["route"]["target"],
            serde_json::json!({"place": "local", "model": "m"})
        );
        let summary = AnswerSummary::cancelled_before_start(&route);
        let done = json(&Chunk::Done { summary });
        assert_eq!(done["type"], "done");
        assert_eq!(done["stop"], "cancelled");
        assert_eq!(done["receipt"]["cost_usd"], 0.0);
        for key in [
            "prompt_tokens",
            "cached_tokens",
            "completion_tokens",
            "reasoning_tokens",
        ] {
            assert_eq!(done["usage"][key], 0, "{key}");
        }
        for key in [
            "load_ms",
            "first_token_ms",
            "prompt_tokens_per_second",
            "tokens_per_second",
        ] {
            assert_eq!(done["timings"][key], 0.0, "{key}");
        }
    }
}
