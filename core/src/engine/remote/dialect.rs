//! The kinds of provider and their differences as data: one row per kind. The code that reads a row is the same for all.
//!
//! The rows follow the providers' documentation, read in August to October 2026.

use serde::{Deserialize, Serialize};

/// Defines [`ProviderKind`] from rows: variant, name in settings, description, dialect.
macro_rules! provider_kinds {
    ($($kind:ident, $name:literal, $description:literal, $dialect:ident;)+) => {
        /// The kind of a provider, which determines its dialect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ProviderKind {
            $(#[doc = $description] #[serde(rename = $name)] $kind,)+
        }

        impl ProviderKind {
            /// All kinds, in the order of the documentation.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// Returns the name in settings and on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// Returns a short description for users.
            pub fn description(self) -> &'static str {
                match self { $(Self::$kind => $description,)+ }
            }
        }

        /// Returns the row of this kind of provider.
        pub(super) fn dialect_for(kind: ProviderKind) -> &'static Dialect {
            match kind { $(ProviderKind::$kind => &$dialect,)+ }
        }
    };
}

provider_kinds! {
    OpenRouter, "openrouter", "openrouter.ai: many models of many upstream providers", OPENROUTER;
    DeepSeek, "deepseek", "DeepSeek", DEEPSEEK;
    Groq, "groq", "Groq", GROQ;
    Fireworks, "fireworks", "Fireworks AI", FIREWORKS;
    OpenAi, "openai", "OpenAI", OPENAI;
    Ollama, "ollama", "An Ollama server", OLLAMA;
    LlamaServer, "llama-server", "llama.cpp's llama-server", LLAMA_SERVER;
    Compatible, "compatible", "Any other server with OpenAI's chat completions API, such as vLLM", COMPATIBLE;
}

/// Wire format of one kind of provider.
#[derive(Debug)]
pub(super) struct Dialect {
    /// Base address with the common part of the path. Empty: the app must set it.
    pub(super) base: &'static str,
    /// Path of chat requests.
    pub(super) chat: &'static str,
    /// Path of the model list.
    pub(super) models: &'static str,
    /// Name of the limit on generated tokens.
    pub(super) max_tokens: &'static str,
    /// Usage is sent only on request.
    pub(super) ask_usage: bool,
    pub(super) history: ReasoningHistory,
    pub(super) thinking: ReasoningSwitch,
    pub(super) schema: SchemaSupport,
    /// Names of `top_k`, `min_p` and the repeat penalty. `None`: the provider rejects or ignores them.
    pub(super) extra_sampling: Option<[&'static str; 3]>,
    /// Name of the web search tool.
    pub(super) web_search: Option<&'static str>,
    /// Closing the connection does not stop the answer, which is billed in full (OpenRouter's list, August 2026).
    pub(super) bills_cancelled: bool,
}

/// How reasoning of earlier turns is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReasoningHistory {
    /// Never sent; some providers reject it.
    Never,
    /// Under this name, with turns that called tools, if not empty.
    WithCalls(&'static str),
    /// Under this name, with every turn that called tools, even if empty: DeepSeek returns status 400 without it.
    AlwaysWithCalls(&'static str),
}

/// How reasoning is switched on and off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReasoningSwitch {
    /// `reasoning: { enabled | effort | max_tokens }`.
    OpenRouter,
    /// `thinking: { type }` and `reasoning_effort`; on by default.
    DeepSeek,
    /// `reasoning_effort` with the values of each model family, and `reasoning_format`.
    Groq,
    /// `reasoning_effort`: a name, or a number of tokens.
    Fireworks,
    /// `reasoning_effort`, for reasoning models.
    OpenAi,
    /// `think`: a Boolean or a name; rejected by models without reasoning.
    Ollama,
    /// `chat_template_kwargs` and `reasoning_effort`.
    Template,
}

/// Which output formats the provider enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaSupport {
    /// A JSON Schema.
    Full,
    /// Valid JSON only.
    JsonOnly,
}

impl ProviderKind {
    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the default base address of this kind; empty if the app must set one.
    pub fn usual_base_url(self) -> &'static str {
        dialect_for(self).base
    }

    /// Returns whether it is a hosted service, which needs a credential and has an `https` base address, and not a
    /// self-hosted server.
    pub fn is_hosted(self) -> bool {
        self.usual_base_url().starts_with("https:")
    }
}

impl ProviderKind {
    /// Returns whether the model of this id reasons, and its provider sends nothing of it.
    pub(crate) fn reasons_unseen(self, model: &str) -> bool {
        self == Self::OpenAi && is_openai_reasoning_model(model)
    }
}

/// Returns whether the model belongs to OpenAI's reasoning families.
pub(super) fn is_openai_reasoning_model(id: &str) -> bool {
    let numbered = id.strip_prefix('o').and_then(|rest| rest.chars().next());
    id.starts_with("gpt-5") || id.starts_with("gpt-6") || numbered.is_some_and(|c| c.is_ascii_digit())
}

/// Name prefixes, in lower case, of OpenRouter's upstreams that bill a cancelled answer in full.
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
    max_tokens: "num_predict",
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
