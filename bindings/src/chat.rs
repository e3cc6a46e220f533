//! Chat requests: `core/src/chat/request.rs` and `message.rs`.

use nearside::chat::{
    ChatMessage, ChatRequest, ContentPart, ImageBytes, MessageRole, OutputFormat, ReasoningEffort, ReasoningMode,
    RequestLimits, RouteTarget, RoutingMode, SamplingOptions, SamplingPreset, Sensitivity, ToolDefinition,
};

/// A request to a model, with the conversation so far. Every field but `messages` has a default.
#[uniffi::remote(Record)]
pub struct ChatRequest {
    /// The conversation, oldest first; the last message is the one to answer.
    pub messages: Vec<ChatMessage>,
    /// The model that should answer: the id of an installed model, a reference such as a path, or, with `provider`, that
    /// provider's model id. Unset: the router chooses.
    #[uniffi(default)]
    pub model: Option<String>,
    /// The provider that should answer, by its configured name.
    #[uniffi(default)]
    pub provider: Option<String>,
    /// Whether the content may leave the device, and which side is tried first.
    pub mode: RoutingMode,
    /// How private the content is.
    pub sensitivity: Sensitivity,
    /// Sampling parameters. Unset fields use the model's recommendation.
    #[uniffi(default)]
    pub sampling: SamplingOptions,
    /// Whether a model that supports reasoning should reason before it answers.
    pub reasoning: ReasoningMode,
    /// The format of the answer.
    pub output: OutputFormat,
    /// Tools that the model may call. Calls arrive as chunks; the app runs them and sends another request.
    #[uniffi(default)]
    pub tools: Vec<ToolDefinition>,
    /// Limits of the answer.
    #[uniffi(default)]
    pub limits: RequestLimits,
    /// Lets the provider search the web, if it supports that. Its data policy does not cover the search queries.
    #[uniffi(default = false)]
    pub web_search: bool,
    /// Target that the user consented to: the `target` of the `ConsentRequest` that `route` returned.
    #[uniffi(default)]
    pub consent: Option<RouteTarget>,
    /// The app's label for this request, to group spending by. Unset: `chat`.
    #[uniffi(default)]
    pub purpose: Option<String>,
}

/// Whether the content may leave the device, and which side is tried first.
#[uniffi::remote(Enum)]
pub enum RoutingMode {
    /// On the device only: opens no socket.
    OnlyOnDevice,
    /// On the device if possible, else remote.
    PreferOnDevice,
    /// Remote if the policy allows it, else on the device.
    PreferInCloud,
    /// Remote only.
    OnlyInCloud,
}

/// How private the content of a request is.
#[uniffi::remote(Enum)]
pub enum Sensitivity {
    /// Not private: may be sent wherever the policy allows, without consent.
    Public,
    /// May be sent only where the policy allows and the user consented.
    Personal,
    /// Never leaves the device.
    Sensitive,
}

/// The format of an answer.
#[uniffi::remote(Enum)]
pub enum OutputFormat {
    /// Free text.
    Text,
    /// One JSON object.
    Json,
    /// JSON that matches this JSON Schema, given as JSON text.
    JsonSchema { schema: String },
}

/// A message of a conversation.
#[uniffi::remote(Record)]
pub struct ChatMessage {
    /// Its author.
    pub role: MessageRole,
    /// Its content, in order.
    pub parts: Vec<ContentPart>,
}

/// Author of a message.
#[uniffi::remote(Enum)]
pub enum MessageRole {
    /// System prompt.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool result.
    Tool,
}

// Bytes in both languages. A type of its own in the core, where copies of a request share them.
uniffi::custom_type!(ImageBytes, Vec<u8>, {
    remote,
    try_lift: |bytes| Ok(bytes.into()),
    lower: |bytes| bytes.into(),
});

/// A part of a message.
#[uniffi::remote(Enum)]
pub enum ContentPart {
    /// Text.
    Text { text: String },
    /// An image, for models with vision: `image/png`, `image/jpeg`, `image/webp` or `image/gif`, and the file's bytes.
    Image { media_type: String, data: ImageBytes },
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

/// Sampling parameters. Unset: the recommendation of the model's file, else the field's default.
#[uniffi::remote(Record)]
pub struct SamplingOptions {
    /// Preset for the fields below: fills those that are unset with the values for this model.
    #[uniffi(default)]
    pub preset: Option<SamplingPreset>,
    /// 0 always chooses the likeliest token (greedy, repeatable); about 0.7 is balanced, 1.0 creative. 0 to 5.
    #[uniffi(default)]
    pub temperature: Option<f32>,
    /// Nucleus sampling: the smallest set of tokens whose probabilities reach this sum. Over 0, up to 1.
    #[uniffi(default)]
    pub top_p: Option<f32>,
    /// Keeps only the k likeliest tokens; 0 keeps all.
    #[uniffi(default)]
    pub top_k: Option<u32>,
    /// Keeps only tokens at least this likely, relative to the likeliest. 0 to 1.
    #[uniffi(default)]
    pub min_p: Option<f32>,
    /// Over 1 penalizes tokens among the last 64. 1 is off. 0.01 to 10.
    #[uniffi(default)]
    pub repeat_penalty: Option<f32>,
    /// Lowers a token by the number of its occurrences. -2 to 2, 0 is off.
    #[uniffi(default)]
    pub frequency_penalty: Option<f32>,
    /// Lowers a token that occurred at least once. -2 to 2, 0 is off.
    #[uniffi(default)]
    pub presence_penalty: Option<f32>,
    /// The same seed, model, request and device produce the same answer, on the device as long as the model reads the prompt in
    /// the same way. A prompt whose beginning is in the KV cache is computed in other batches than one that is not, which
    /// rounds differently: where two tokens are nearly equally likely, the other one may follow.
    #[uniffi(default)]
    pub seed: Option<u32>,
    /// Texts that end the answer; they are not part of it.
    #[uniffi(default)]
    pub stop: Vec<String>,
}

/// Whether a model that supports reasoning should reason before it answers.
#[uniffi::remote(Enum)]
pub enum ReasoningMode {
    /// The model's own default.
    Auto,
    /// No reasoning, where the template has a switch for it.
    Off,
    /// Reasoning, where the model supports it.
    On,
    /// Reasoning of about this many tokens, where the target supports a budget.
    Budget { tokens: u32 },
    /// Reasoning at this effort, where the target supports it.
    Effort { effort: ReasoningEffort },
}

/// Reasoning effort.
#[uniffi::remote(Enum)]
pub enum ReasoningEffort {
    Low,
    Medium,
    High,
}

/// A tool that the model may call.
#[uniffi::remote(Record)]
pub struct ToolDefinition {
    /// Its name, which the model uses in calls.
    pub name: String,
    /// Its purpose and when to use it, for the model.
    pub description: String,
    /// The JSON Schema of its arguments, as JSON text.
    pub parameters: String,
}

/// Limits of an answer.
#[uniffi::remote(Record)]
pub struct RequestLimits {
    /// Maximum generated tokens, including reasoning. Unset: the rest of the context.
    #[uniffi(default)]
    pub max_tokens: Option<u32>,
    /// Maximum tokens of prompt and answer together, for a model on this device. More than it was loaded with: its context grows,
    /// as far as training and the memory of the moment allow. Less: older turns are omitted sooner. Unset: as configured.
    #[uniffi(default)]
    pub context: Option<u32>,
    /// Maximum cost of this request in US dollars; the policy's caps apply as well.
    #[uniffi(default)]
    pub max_usd: Option<f64>,
    /// Maximum milliseconds from the request to the end of the answer.
    #[uniffi(default)]
    pub deadline_ms: Option<u64>,
}
