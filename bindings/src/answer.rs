//! What comes back: `core/src/chat/chunk.rs` and `receipt.rs`.

use nearside::chat::{
    Chunk, CostSource, DataPolicy, Expected, Receipt, Route, SamplingUsed, Skipped, StopReason, Target, Timings, Usage,
};

use crate::Result;

/// A piece of an answer. First `Started`, at once (and again where a place failed before it said anything); then
/// reasoning, text, tool calls and citations as they come; then exactly one `Done`, or an error in its place.
#[uniffi::remote(Enum)]
pub enum Chunk {
    /// It is decided who answers.
    Started { route: Route },
    /// What the model thinks before it answers; an app may fold it away.
    Reasoning { text: String },
    /// The answer itself.
    Text { text: String },
    /// The model wants a tool to be run. Whole: `arguments` is a complete JSON object. Give `id` back with the result.
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    /// A page that the answer rests on, where the web was searched.
    Citation { url: String, title: String },
    /// The answer is over.
    Done {
        stop: StopReason,
        usage: Usage,
        timings: Timings,
        receipt: Receipt,
    },
}

/// Who answers, and why.
#[uniffi::remote(Record)]
pub struct Route {
    /// Who answers.
    pub target: Target,
    /// The reason, for a person to read.
    pub reason: String,
    /// The id of the rule that decided.
    pub rule: String,
    /// The version of the policy that it was decided under.
    pub policy: String,
    /// Who answers instead if the target fails before it said anything, in this order.
    pub then: Vec<Target>,
    /// Who could have answered and does not, each with its reason.
    pub skipped: Vec<Skipped>,
    /// What was expected of the target.
    pub expected: Expected,
}

/// A place that can answer.
#[uniffi::remote(Enum)]
pub enum Target {
    /// A model on this device: the id of an installed one, or the path of its file.
    Local { model: String },
    /// A model somewhere else: the name under which the provider was set up, and what it calls the model.
    Remote { provider: String, model: String },
    /// A script, for tests; no model ran.
    Scripted,
}

/// A candidate that does not answer.
#[uniffi::remote(Record)]
pub struct Skipped {
    /// Who was passed over.
    pub target: Target,
    /// The id of the rule that passed it over; `failed` where it was tried.
    pub rule: String,
    /// Why, for a person to read.
    pub reason: String,
}

/// What a place was expected to take, from what was measured there before. Unset where nothing is known.
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
    /// Who really ran the model, where the provider passes requests on; as it calls them.
    pub served_by: Option<String>,
    /// Why, for a person to read.
    pub reason: String,
    /// The id of the rule that decided.
    pub rule: String,
    /// The version of the policy that it was decided under.
    pub policy: String,
    /// Who was passed over, and who was tried and failed, each with its reason.
    pub skipped: Vec<Skipped>,
    /// What was expected; the answer's timings beside it tell what happened.
    pub expected: Expected,
    /// US dollars; 0 on the device.
    pub cost_usd: f64,
    /// How that figure is known.
    pub cost_source: CostSource,
    /// The answer was cancelled, and the provider bills for it as if it had been finished.
    pub billed_in_full: bool,
    /// Who saw the words, and what they may do with them.
    pub data_policy: DataPolicy,
    /// What it was sampled with.
    pub sampling: SamplingUsed,
}

/// How a cost is known.
#[uniffi::remote(Enum)]
pub enum CostSource {
    /// It ran here, or on a machine of the person's own.
    Free,
    /// The provider said so.
    Provider,
    /// Tokens that the provider counted, times its price.
    Computed,
    /// Tokens that were guessed from the length of the text, times the price.
    Estimated,
    /// No price is known; the figure is 0 and means nothing.
    Unknown,
}

/// What happens to the words of a request.
#[uniffi::remote(Record)]
pub struct DataPolicy {
    /// Where they are processed: `device`, `own server`, countries as ISO 3166 codes (`US`, `US,EU`), or `unknown`.
    pub region: String,
    /// Whether somebody else may keep them.
    pub retained: bool,
    /// Whether somebody else may train on them.
    pub trained_on: bool,
    /// The day on which this was read or published, as `2026-10-31`; empty where it follows from the place itself.
    pub as_of: String,
    /// The page that says so; empty where it follows from the place itself.
    pub source: String,
    /// What a person should know besides; may be empty.
    pub note: String,
}

/// An answer that is being written, pulled batch by batch. Most apps use `Nearside.chat` instead, which is a loop over
/// this. Letting go of it cancels the request.
#[derive(uniffi::Object)]
pub struct ChatStream(pub(crate) nearside::chat::ChatStream);

#[uniffi::export]
impl ChatStream {
    /// Waits for a chunk and takes whatever else is there, in order. Empty: the answer is over.
    pub async fn next_batch(&self) -> Result<Vec<Chunk>> {
        self.0.next_batch().await
    }

    /// Stops the request, from any thread and as often as you like. The stream then ends with `Done`, `Cancelled`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
