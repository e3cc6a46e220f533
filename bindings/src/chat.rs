//! The words that travel: `core/src/chat`.

use nearside::chat::{
    ChatRequest, Chunk, DataPolicy, Limits, Message, Part, Reasoning, Receipt, Role, Route, Sampling, Skipped,
    StopReason, Target, Timings, Tool, Usage,
};

use crate::Result;

/// One question to a model, with the conversation before it. Everything but `messages` has a default.
#[uniffi::remote(Record)]
pub struct ChatRequest {
    /// The conversation, oldest first; the last one is what is to be answered.
    pub messages: Vec<Message>,
    /// The model that should answer: the id of an installed model, or a reference such as a path.
    /// Nothing: the library chooses among the installed ones.
    #[uniffi(default)]
    pub model: Option<String>,
    /// How the next token is picked. Unset fields take the model's own recommendation.
    #[uniffi(default)]
    pub sampling: Sampling,
    /// Whether a model that can think before it answers should.
    pub reasoning: Reasoning,
    /// What the model may call. Its calls come back as chunks; the app runs them and asks again.
    #[uniffi(default)]
    pub tools: Vec<Tool>,
    /// Where the answer ends at the latest.
    #[uniffi(default)]
    pub limits: Limits,
}

/// One turn of a conversation.
#[uniffi::remote(Record)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said, in order.
    pub parts: Vec<Part>,
}

/// Who speaks.
#[uniffi::remote(Enum)]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's answer to a call.
    Tool,
}

/// A piece of a message.
#[uniffi::remote(Enum)]
pub enum Part {
    /// Words.
    Text { text: String },
    /// What the model thought before an earlier answer. Most templates drop it; it is kept for those that want it.
    Reasoning { text: String },
    /// A call that the model made in an earlier answer; `arguments` is a JSON object.
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    /// What a tool answered, as JSON or words. `id` is the id of the call.
    ToolResult { id: String, name: String, content: String },
}

/// How the next token is picked. Unset: what the model's file recommends, else the field's usual.
#[uniffi::remote(Record)]
pub struct Sampling {
    /// 0 always takes the likeliest token (greedy, repeatable); about 0.7 is balanced, 1.0 creative. 0 to 5.
    #[uniffi(default)]
    pub temperature: Option<f32>,
    /// Nucleus sampling: the smallest set of tokens whose probabilities reach this sum. Over 0, up to 1.
    #[uniffi(default)]
    pub top_p: Option<f32>,
    /// Only the k likeliest tokens; 0 means all.
    #[uniffi(default)]
    pub top_k: Option<u32>,
    /// Only tokens at least this likely, relative to the likeliest. 0 to 1.
    #[uniffi(default)]
    pub min_p: Option<f32>,
    /// Over 1 discourages tokens of the last 64. 1 is off.
    #[uniffi(default)]
    pub repeat_penalty: Option<f32>,
    /// Lowers a token by how often it appeared. -2 to 2, 0 is off.
    #[uniffi(default)]
    pub frequency_penalty: Option<f32>,
    /// Lowers a token that appeared at all. -2 to 2, 0 is off.
    #[uniffi(default)]
    pub presence_penalty: Option<f32>,
    /// The same seed, model, request and machine give the same answer.
    #[uniffi(default)]
    pub seed: Option<u32>,
    /// The answer ends before the first of these; they are not part of it.
    #[uniffi(default)]
    pub stop: Vec<String>,
}

/// Whether a model that can think before it answers should.
#[uniffi::remote(Enum)]
pub enum Reasoning {
    /// As the model is made.
    Auto,
    /// Answer at once, where the model's template has a switch for it.
    Off,
    /// Think first, where the model can.
    On,
}

/// Something the model may call.
#[uniffi::remote(Record)]
pub struct Tool {
    /// Its name, as the model will write it.
    pub name: String,
    /// What it does and when to use it, for the model to read.
    pub description: String,
    /// The JSON Schema of its arguments, as JSON.
    pub parameters: String,
}

/// Where an answer ends at the latest.
#[uniffi::remote(Record)]
pub struct Limits {
    /// Tokens generated at most, reasoning included. Unset: what the context still holds.
    #[uniffi(default)]
    pub max_tokens: Option<u32>,
}

/// A piece of an answer. First `Started`, at once; then reasoning, text and tool calls as the model writes them; then
/// exactly one `Done`, or an error in its place.
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
    /// Who could have answered and does not, each with its reason.
    pub skipped: Vec<Skipped>,
}

/// A place that can answer.
#[uniffi::remote(Enum)]
pub enum Target {
    /// A model on this device: the id of an installed one, or the path of its file.
    Local { model: String },
    /// A script, for tests; no model ran.
    Scripted,
}

/// A candidate that does not answer.
#[uniffi::remote(Record)]
pub struct Skipped {
    /// Who was passed over.
    pub target: Target,
    /// Why, for a person to read.
    pub reason: String,
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
    /// Why, for a person to read.
    pub reason: String,
    /// Who was passed over, each with its reason.
    pub skipped: Vec<Skipped>,
    /// US dollars; 0 on the device.
    pub cost_usd: f64,
    /// Who saw the words, and what they may do with them.
    pub data_policy: DataPolicy,
}

/// What happens to the words of a request.
#[uniffi::remote(Record)]
pub struct DataPolicy {
    /// Where they were processed: `device`, or a country.
    pub region: String,
    /// Whether somebody else may keep them.
    pub retained: bool,
    /// Whether somebody else may train on them.
    pub trained_on: bool,
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
