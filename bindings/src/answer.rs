//! Answers: `core/src/chat/chunk.rs` and `receipt.rs`.

use nearside::chat::{
    AnswerSummary, AppliedSampling, CacheMiss, Chunk, CostSource, DataPolicy, Receipt, Route, RouteEstimate, RouteRule,
    RouteTarget, SkippedCount, SkippedTarget, StopReason, Timings, TokenUsage,
};

use crate::error::Result;

/// A chunk of an answer. First `Started`, at once (again if a target fails before any visible output); then reasoning,
/// text, tool calls and citations as they arrive; finally one `Done`, or an error instead.
#[uniffi::remote(Enum)]
pub enum Chunk {
    /// The route was chosen.
    Started { route: Route },
    /// Reasoning of the model; an app may collapse it.
    Reasoning { text: String },
    /// Text of the answer.
    Text { text: String },
    /// The model calls a tool. Complete: `arguments` is a JSON object. Return `id` with the result.
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    /// A source of the answer, if the web was searched.
    Citation { url: String, title: String },
    /// The end of the answer.
    Done { summary: AnswerSummary },
}

/// The end of an answer.
#[uniffi::remote(Record)]
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

/// A rule of the router.
#[uniffi::remote(Enum)]
pub enum RouteRule {
    /// The target that the request names.
    RequestedTarget,
    /// The request must stay on the device.
    OnDeviceOnly,
    /// The request's mode.
    Mode,
    /// Context size, tools, images, schema or search.
    Capability,
    /// The routing policy.
    Policy,
    /// Network, key, circuit breaker or a retired model.
    Reachability,
    /// Cost caps.
    Budget,
    /// Memory of the device.
    Memory,
    /// Order of preference.
    Preference,
    /// There was no candidate.
    NoCandidates,
    /// An attempt at this target, or at the previous target of the route, failed.
    PreviousFailed,
}

/// The chosen target, and why it was chosen.
#[uniffi::remote(Record)]
pub struct Route {
    /// The target that answers.
    pub target: RouteTarget,
    /// The reason, to show to the user.
    pub reason: String,
    /// The rule that decided.
    pub rule: RouteRule,
    /// Version of the routing policy that applied.
    pub policy: String,
    /// Fallback targets, in order, if the target fails before any visible output.
    pub then: Vec<RouteTarget>,
    /// Candidates that were rejected, each with its reason.
    pub skipped: Vec<SkippedTarget>,
    /// Number of further rejected candidates, by rule.
    #[uniffi(default)]
    pub skipped_more: Vec<SkippedCount>,
    /// Estimate for the target.
    pub expected: RouteEstimate,
    /// Number of earlier messages of the conversation that the target is not sent, because its context cannot hold them.
    #[uniffi(default)]
    pub omitted_messages: u32,
}

/// A model that can answer: local, remote or scripted.
#[uniffi::remote(Enum)]
pub enum RouteTarget {
    /// A model on this device: the id of an installed model, or the path of a file.
    Local { model: String },
    /// A remote model: the name of the configured provider, and the provider's model id.
    Remote { provider: String, model: String },
    /// A script, for tests; no model ran.
    Scripted,
}

/// Number of candidates that a rule rejected.
#[uniffi::remote(Record)]
pub struct SkippedCount {
    pub rule: RouteRule,
    pub count: u32,
}

/// A rejected candidate.
#[uniffi::remote(Record)]
pub struct SkippedTarget {
    /// The rejected target.
    pub target: RouteTarget,
    /// The rule that rejected it; `PreviousFailed` if it was tried.
    pub rule: RouteRule,
    /// The reason, to show to the user.
    pub reason: String,
}

/// Estimate for a target, from earlier measurements. Unset if unknown.
#[uniffi::remote(Record)]
pub struct RouteEstimate {
    pub first_token_ms: Option<f64>,
    pub total_ms: Option<f64>,
    /// US dollars; 0 on the device.
    pub cost_usd: Option<f64>,
}

/// Why an answer ended.
#[uniffi::remote(Enum)]
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
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
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

/// A record of an answer, for an app to show and store: target, reason, cost and data policy.
#[uniffi::remote(Record)]
pub struct Receipt {
    /// The target that answered.
    pub target: RouteTarget,
    /// Upstream that ran the model, if the provider is an aggregator; as the provider names it.
    pub served_by: Option<String>,
    /// The reason for the target, to show to the user.
    pub reason: String,
    /// The rule that decided.
    pub rule: RouteRule,
    /// Version of the routing policy that applied.
    pub policy: String,
    /// Candidates that were rejected or failed, each with its reason.
    pub skipped: Vec<SkippedTarget>,
    /// Number of further rejected candidates, by rule.
    #[uniffi(default)]
    pub skipped_more: Vec<SkippedCount>,
    /// Estimate made before the answer; compare it with the timings.
    pub expected: RouteEstimate,
    /// Number of earlier messages of the conversation that the target was not sent.
    #[uniffi(default)]
    pub omitted_messages: u32,
    /// US dollars; 0 on the device.
    pub cost_usd: f64,
    /// Source of `cost_usd`.
    pub cost_source: CostSource,
    /// Of `cost_usd`, the US dollars that the provider may not charge, so that the cost is an upper bound: web searches that
    /// it does not count, and earlier attempts without an answer.
    #[uniffi(default = 0.0)]
    pub unconfirmed_usd: f64,
    /// Whether the answer was cancelled but the provider bills for a complete one.
    pub billed_in_full: bool,
    /// Data policy of the target that received the content.
    pub data_policy: DataPolicy,
    /// Sampling values used.
    pub sampling: AppliedSampling,
    /// Why a model on this device read most of the prompt again although it had read the conversation before; unset if it did
    /// not.
    #[uniffi(default = None)]
    pub cache_miss: Option<CacheMiss>,
}

/// What changed at the beginning of a prompt since the last one of the same conversation, so that the conversation was read
/// again: a model reuses only the part before the first change.
#[uniffi::remote(Enum)]
pub enum CacheMiss {
    /// The system prompt, as one with the time of day does: say such a thing in the last message instead.
    SystemPromptChanged,
    /// The tools, or their order.
    ToolsChanged,
}

/// Source of a cost.
#[uniffi::remote(Enum)]
pub enum CostSource {
    /// It ran on this device or on a self-hosted server.
    Free,
    /// Reported by the provider.
    Provider,
    /// Token counts of the provider, times its price.
    Computed,
    /// Token counts estimated from the text length, times the price.
    Estimated,
    /// The price is unknown; the cost is 0 and has no meaning.
    Unknown,
}

/// How a target handles the content of a request.
#[uniffi::remote(Record)]
pub struct DataPolicy {
    /// Where content is processed: `device`, `own server`, countries as ISO 3166 codes (`US`, `US,EU`), or `unknown`.
    pub region: String,
    /// Whether a third party may retain the content.
    pub retained: bool,
    /// Whether a third party may train on the content.
    pub trained_on: bool,
    /// Date of the source, as `2026-10-31`; empty if the policy follows from the target itself.
    pub as_of: String,
    /// URL of the source; empty if the policy follows from the target itself.
    pub source: String,
    /// A note to show to the user; may be empty.
    pub note: String,
}

/// An active answer, pulled in batches. Most apps use `Nearside.chat` instead, which loops over this. Dropping it
/// cancels the request.
#[derive(uniffi::Object)]
pub struct ChatStream(pub(crate) nearside::chat::ChatStream);

#[uniffi::export]
impl ChatStream {
    /// Waits for the next chunk and returns it with all queued ones, in order. Empty: the stream has ended.
    pub async fn next_batch(&self) -> Result<Vec<Chunk>> {
        self.0.next_batch().await
    }

    /// Cancels the request. Idempotent, callable from any thread. The stream then ends with `Done`, `Cancelled`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
