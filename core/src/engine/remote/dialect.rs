//! What differs between providers, as data: one row each. The code that reads a row is the same for all.
//!
//! The rows come from the providers' own pages, read in August to October 2026; what a provider changes, changes here.

use super::frames::Framing;
use super::provider::ProviderKind;

/// One provider's way of saying the same.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Where it is, with the part of the path that all its addresses share. Empty: the app must say.
    pub(super) base: &'static str,
    /// The path of an answer.
    pub(super) chat: &'static str,
    /// The path of the list of models.
    pub(super) models: &'static str,
    pub(super) framing: Framing,
    /// How the answer's limit is called.
    pub(super) max_tokens: &'static str,
    /// Usage comes only if it is asked for.
    pub(super) ask_usage: bool,
    pub(super) history: ReasoningHistory,
    pub(super) thinking: ReasoningSwitch,
    pub(super) schema: SchemaSupport,
    /// `top_k`, `min_p` and the repeat penalty by its names. None: it has none of them and would refuse or drop them.
    pub(super) extra_sampling: Option<[&'static str; 3]>,
    /// The tool that searches the web.
    pub(super) web_search: Option<&'static str>,
    /// Closing the connection does not stop it, and it bills for the whole answer (OpenRouter's list, August 2026).
    pub(super) bills_cancelled: bool,
}

/// What becomes of the reasoning in earlier turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReasoningHistory {
    /// Never sent; some refuse it.
    Never,
    /// Under this name, with turns that called tools, if there was any.
    WithCalls(&'static str),
    /// Under this name, with every turn that called tools, even if it is empty: DeepSeek answers 400 where it is missing.
    AlwaysWithCalls(&'static str),
}

/// How thinking is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReasoningSwitch {
    /// `reasoning: { enabled | effort | max_tokens }`.
    OpenRouter,
    /// `thinking: { type }` and `reasoning_effort`; on unless it is switched off.
    DeepSeek,
    /// `reasoning_effort` in the words of each model family, and `reasoning_format`.
    Groq,
    /// `reasoning_effort`: a word, or tokens.
    Fireworks,
    /// `reasoning_effort`, for models that think.
    OpenAi,
    /// `think`: a switch or a word; refused by models that cannot think.
    Ollama,
    /// `chat_template_kwargs` and `reasoning_effort`.
    Template,
}

/// How far an answer can be bound to a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaSupport {
    /// To a JSON Schema.
    Full,
    /// To being JSON.
    JsonOnly,
}

/// The row of this kind of provider.
pub(super) fn dialect_for(kind: ProviderKind) -> &'static Dialect {
    match kind {
        ProviderKind::OpenRouter => &OPENROUTER,
        ProviderKind::DeepSeek => &DEEPSEEK,
        ProviderKind::Groq => &GROQ,
        ProviderKind::Fireworks => &FIREWORKS,
        ProviderKind::OpenAi => &OPENAI,
        ProviderKind::Ollama => &OLLAMA,
        ProviderKind::LlamaServer => &LLAMA_SERVER,
        ProviderKind::Compatible => &COMPATIBLE,
    }
}

/// Upstreams behind OpenRouter that bill a cancelled answer in full, by the beginning of their names, in lower case.
pub(super) const BILLING_UPSTREAMS: [&str; 23] = [
    "amazon bedrock",
    "groq",
    "modal",
    "google",
    "minimax",
    "hugging",
    "replicate",
    "perplexity",
    "mistral",
    "ai21",
    "featherless",
    "lynn",
    "lambda",
    "reflection",
    "sambanova",
    "inflection",
    "zeroone",
    "aionlabs",
    "alibaba",
    "nebius",
    "kluster",
    "targon",
    "inferencenet",
];

const COMPATIBLE: Dialect = Dialect {
    base: "",
    chat: "chat/completions",
    models: "models",
    framing: Framing::Events,
    max_tokens: "max_tokens",
    ask_usage: true,
    history: ReasoningHistory::Never,
    thinking: ReasoningSwitch::Template,
    schema: SchemaSupport::Full,
    extra_sampling: Some(["top_k", "min_p", "repetition_penalty"]),
    web_search: None,
    bills_cancelled: false,
};

const OPENROUTER: Dialect = Dialect {
    base: "https://openrouter.ai/api/v1",
    max_tokens: "max_completion_tokens",
    ask_usage: false,
    history: ReasoningHistory::WithCalls("reasoning"),
    thinking: ReasoningSwitch::OpenRouter,
    web_search: Some("openrouter:web_search"),
    ..COMPATIBLE
};

const DEEPSEEK: Dialect = Dialect {
    base: "https://api.deepseek.com",
    history: ReasoningHistory::AlwaysWithCalls("reasoning_content"),
    thinking: ReasoningSwitch::DeepSeek,
    schema: SchemaSupport::JsonOnly,
    extra_sampling: None,
    web_search: Some("deepseek_web_search"),
    ..COMPATIBLE
};

const GROQ: Dialect = Dialect {
    base: "https://api.groq.com/openai/v1",
    max_tokens: "max_completion_tokens",
    thinking: ReasoningSwitch::Groq,
    extra_sampling: None,
    bills_cancelled: true,
    ..COMPATIBLE
};

const FIREWORKS: Dialect = Dialect {
    base: "https://api.fireworks.ai/inference/v1",
    thinking: ReasoningSwitch::Fireworks,
    ..COMPATIBLE
};

const OPENAI: Dialect = Dialect {
    base: "https://api.openai.com/v1",
    max_tokens: "max_completion_tokens",
    thinking: ReasoningSwitch::OpenAi,
    extra_sampling: None,
    ..COMPATIBLE
};

const OLLAMA: Dialect = Dialect {
    base: "http://127.0.0.1:11434",
    chat: "api/chat",
    models: "api/tags",
    framing: Framing::Lines,
    ask_usage: false,
    history: ReasoningHistory::WithCalls("thinking"),
    thinking: ReasoningSwitch::Ollama,
    extra_sampling: Some(["top_k", "min_p", "repeat_penalty"]),
    ..COMPATIBLE
};

const LLAMA_SERVER: Dialect = Dialect {
    base: "http://127.0.0.1:8080/v1",
    history: ReasoningHistory::WithCalls("reasoning_content"),
    extra_sampling: Some(["top_k", "min_p", "repeat_penalty"]),
    ..COMPATIBLE
};
