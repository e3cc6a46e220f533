//! What an app asks: `core/src/chat/request.rs` and `message.rs`.

use nearside::chat::{
    ChatRequest, Effort, Limits, Message, Mode, Output, Part, Preset, Reasoning, Role, Sampling, Sensitivity, Target,
    Tool,
};

/// A request to a model, with the conversation so far. Every field but `messages` has a default.
#[uniffi::remote(Record)]
pub struct ChatRequest {
    /// The conversation, oldest first; the last one is what is to be answered.
    pub messages: Vec<Message>,
    /// The model that should answer: the id of an installed model, a reference such as a path, or, where `provider` is
    /// named, what that provider calls it. Nothing: the router chooses.
    #[uniffi(default)]
    pub model: Option<String>,
    /// The provider that should answer, by the name under which it was set up.
    #[uniffi(default)]
    pub provider: Option<String>,
    /// Whether the words may leave the device, and which place is tried first.
    pub mode: Mode,
    /// How private the words are.
    pub sensitivity: Sensitivity,
    /// Sampling parameters. Unset fields take the model's recommendation.
    #[uniffi(default)]
    pub sampling: Sampling,
    /// Whether a model that can think before it answers should.
    pub reasoning: Reasoning,
    /// The form of the answer.
    pub output: Output,
    /// Tools that the model may call. Calls arrive as chunks; the app runs them and sends another request.
    #[uniffi(default)]
    pub tools: Vec<Tool>,
    /// Where the answer ends at the latest.
    #[uniffi(default)]
    pub limits: Limits,
    /// Lets the provider search the web, where it can. What is searched for is not covered by its retention terms.
    #[uniffi(default = false)]
    pub web_search: bool,
    /// Target that the user consented to: the `target` of the `Question` that `route` returned.
    #[uniffi(default)]
    pub consent: Option<Target>,
    /// The app's label for this request, to group spending by. Unset: `chat`.
    #[uniffi(default)]
    pub purpose: Option<String>,
}

/// Whether the words may leave the device, and which place is tried first.
#[uniffi::remote(Enum)]
pub enum Mode {
    /// On the device or not at all: opens no socket.
    OnlyOnDevice,
    /// On the device if possible, else remote.
    PreferOnDevice,
    /// Remote if the policy allows it, else on the device.
    PreferInCloud,
    /// Remote or not at all.
    OnlyInCloud,
}

/// How private the words of a request are.
#[uniffi::remote(Enum)]
pub enum Sensitivity {
    /// Not private: may be sent wherever the policy allows, without consent.
    Public,
    /// May be sent only where the policy allows and the user consented.
    Personal,
    /// It never leaves the device.
    Sensitive,
}

/// The form of an answer.
#[uniffi::remote(Enum)]
pub enum Output {
    /// Words.
    Text,
    /// One JSON object.
    Json,
    /// JSON that matches this JSON Schema, given as JSON text.
    JsonSchema { schema: String },
}

/// A message of a conversation.
#[uniffi::remote(Record)]
pub struct Message {
    /// Its author.
    pub role: Role,
    /// Its content, in order.
    pub parts: Vec<Part>,
}

/// Author of a message.
#[uniffi::remote(Enum)]
pub enum Role {
    /// System prompt.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool result.
    Tool,
}

/// A piece of a message.
#[uniffi::remote(Enum)]
pub enum Part {
    /// Words.
    Text { text: String },
    /// A picture, for models that see: `image/png`, `image/jpeg`, `image/webp` or `image/gif`, and the file's bytes.
    Image { media_type: String, data: Vec<u8> },
    /// Reasoning of an earlier answer. Most templates drop it; some require it.
    Reasoning { text: String },
    /// A call that the model made in an earlier answer; `arguments` is a JSON object.
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    /// Result of a tool call, as JSON or text. `id` is the id of the call.
    ToolResult { id: String, name: String, content: String },
}

/// Sampling parameters. Unset: the model file's recommendation, else llama.cpp's default.
#[uniffi::remote(Record)]
pub struct Sampling {
    /// Preset for the fields below: fills those that are unset with the values for this model.
    #[uniffi(default)]
    pub preset: Option<Preset>,
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
    /// The model's own default.
    Auto,
    /// No reasoning, where the template has a switch for it.
    Off,
    /// Reasoning, where the model supports it.
    On,
    /// Reasoning of about this many tokens, where the target supports a budget.
    Budget { tokens: u32 },
    /// Reasoning at this effort, where the target supports it.
    Effort { effort: Effort },
}

/// Reasoning effort.
#[uniffi::remote(Enum)]
pub enum Effort {
    Low,
    Medium,
    High,
}

/// A tool that the model may call.
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
    /// US dollars that this request may cost at most, below the policy's own caps.
    #[uniffi(default)]
    pub max_usd: Option<f64>,
    /// Milliseconds from the request to the end of the answer.
    #[uniffi(default)]
    pub deadline_ms: Option<u64>,
}
