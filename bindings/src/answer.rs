//! What comes back: `core/src/chat/chunk.rs` and `receipt.rs`.

use nearside::chat::{
    AnswerSummary, Chunk, CostSource, DataPolicy, Expected, Receipt, Route, RouteRule, SamplingUsed, Skipped,
    StopReason, Target, Timings, Usage,
};

use crate::Result;

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
    /// The answer is over.
    Done { summary: AnswerSummary },
}

/// The end of an answer.
#[uniffi::remote(Record)]
pub struct AnswerSummary {
    /// Why it ended.
    pub stop: StopReason,
    /// Token counts.
    pub usage: Usage,
    /// Durations and rates.
    pub timings: Timings,
    /// Where it ran, what it cost and under which data policy.
    pub receipt: Receipt,
}

/// A rule of the router.
#[uniffi::remote(Enum)]
pub enum RouteRule {
    /// The request names another target.
    RequestedTarget,
    /// The request must stay on the device.
    OnDeviceOnly,
    /// The request's mode.
    Mode,
    /// Context size, tools, images, schema or search.
    Capability,
    /// The routing policy.
    Policy,
    /// Network, key, circuit breaker or a removed model.
    Reachability,
    /// Cost caps.
    Budget,
    /// Memory of the device.
    Memory,
    /// Order of preference.
    Preference,
    /// There was no candidate.
    NoCandidates,
    /// The target was tried and failed.
    PreviousFailed,
}

/// The chosen target, and why it was chosen.
#[uniffi::remote(Record)]
pub struct Route {
    /// The target that answers.
    pub target: Target,
    /// The reason, for a person to read.
    pub reason: String,
    /// The rule that decided.
    pub rule: RouteRule,
    /// The version of the policy that it was decided under.
    pub policy: String,
    /// Fallback targets, in order, if the target fails before any visible output.
    pub then: Vec<Target>,
    /// Candidates that were rejected, each with its reason.
    pub skipped: Vec<Skipped>,
    /// Estimate for the target.
    pub expected: Expected,
}

/// What can answer: a local or a remote model.
#[uniffi::remote(Enum)]
pub enum Target {
    /// A model on this device: the id of an installed one, or the path of its file.
    Local { model: String },
    /// A remote model: the name of the configured provider, and the provider's model id.
    Remote { provider: String, model: String },
    /// A script, for tests; no model ran.
    Scripted,
}

/// A rejected candidate.
#[uniffi::remote(Record)]
pub struct Skipped {
    /// The rejected target.
    pub target: Target,
    /// Id of the rule that rejected it; `failed` if it was tried.
    pub rule: RouteRule,
    /// Why, for a person to read.
    pub reason: String,
}

/// Estimate for a target, from earlier measurements. Unset if unknown.
#[uniffi::remote(Record)]
pub struct Expected {
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
    /// One of the request's `stop` strings came.
    StopSequence,
    /// `max_tokens` was reached.
    MaxTokens,
    /// The context is full; a shorter conversation or a larger context would go on.
    ContextFull,
    /// The model waits for the tools that it called.
    ToolCall,
    /// The app cancelled.
    Cancelled,
    /// What the request may cost was reached.
    CostLimit,
    /// The provider's filter cut the answer off.
    Filtered,
}

/// Tokens of one answer.
#[uniffi::remote(Record)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt_tokens: u32,
    /// Prompt tokens that were still in the KV cache and cost nothing.
    pub cached_tokens: u32,
    /// Tokens generated, reasoning included.
    pub completion_tokens: u32,
    /// Tokens generated as reasoning.
    pub reasoning_tokens: u32,
}

/// How long one answer took. A rate is 0 where nothing was measured.
#[uniffi::remote(Record)]
pub struct Timings {
    /// Milliseconds to load the model; 0 if it was loaded already.
    pub load_ms: f64,
    /// Milliseconds from the request to the first generated token, loading included.
    pub first_token_ms: f64,
    /// Prefill: prompt tokens a second, cached ones left out.
    pub prompt_tokens_per_second: f64,
    /// Decoding: generated tokens a second, the first one left out.
    pub tokens_per_second: f64,
}

/// What an app can show under an answer, and keep.
#[uniffi::remote(Record)]
pub struct Receipt {
    /// Who answered.
    pub target: Target,
    /// Upstream that ran the model, if the provider is an aggregator; as the provider names it.
    pub served_by: Option<String>,
    /// Why, for a person to read.
    pub reason: String,
    /// The rule that decided.
    pub rule: RouteRule,
    /// The version of the policy that it was decided under.
    pub policy: String,
    /// Candidates that were rejected or failed, each with its reason.
    pub skipped: Vec<Skipped>,
    /// Estimate made before the answer; compare it with the timings.
    pub expected: Expected,
    /// US dollars; 0 on the device.
    pub cost_usd: f64,
    /// Source of `cost_usd`.
    pub cost_source: CostSource,
    /// The answer was cancelled, and the provider bills for it as if it had been finished.
    pub billed_in_full: bool,
    /// Who received the content, and what they may do with it.
    pub data_policy: DataPolicy,
    /// Sampling values used.
    pub sampling: SamplingUsed,
}

/// How a cost is known.
#[uniffi::remote(Enum)]
pub enum CostSource {
    /// It ran on this device or on a self-hosted server.
    Free,
    /// The provider said so.
    Provider,
    /// Tokens that the provider counted, times its price.
    Computed,
    /// Token counts estimated from the text length, times the price.
    Estimated,
    /// No price is known; the figure is 0 and means nothing.
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
    /// The day on which this was read or published, as `2026-10-31`; empty where it follows from the place itself.
    pub as_of: String,
    /// The page that says so; empty where it follows from the place itself.
    pub source: String,
    /// What a person should know besides; may be empty.
    pub note: String,
}

/// An answer in progress, pulled in batches. Most apps use `Nearside.chat` instead, which loops over this. Dropping it
/// cancels the request.
#[derive(uniffi::Object)]
pub struct ChatStream(pub(crate) nearside::chat::ChatStream);

#[uniffi::export]
impl ChatStream {
    /// Waits for the next chunk and returns it with all that are queued, in order. Empty: the answer is over.
    pub async fn next_batch(&self) -> Result<Vec<Chunk>> {
        self.0.next_batch().await
    }

    /// Cancels the request. Idempotent, callable from any thread. The stream then ends with `Done`, `Cancelled`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
