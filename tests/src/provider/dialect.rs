//! Whose wire shapes are played: the eight kinds of provider that Nearside speaks to, and what differs between them in
//! one word.

use serde::{Deserialize, Serialize};

/// Whose wire shapes are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// openrouter.ai.
    #[serde(rename = "openrouter")]
    OpenRouter,
    /// deepseek.com.
    #[serde(rename = "deepseek")]
    DeepSeek,
    /// groq.com.
    Groq,
    /// fireworks.ai.
    Fireworks,
    /// openai.com.
    #[serde(rename = "openai")]
    OpenAi,
    /// An Ollama server's own interface (`/api/chat`, lines of JSON).
    Ollama,
    /// llama.cpp's server.
    LlamaServer,
    /// vLLM, LM Studio and others that follow OpenAI.
    Compatible,
}

impl Dialect {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::OpenRouter,
        Self::DeepSeek,
        Self::Groq,
        Self::Fireworks,
        Self::OpenAi,
        Self::Ollama,
        Self::LlamaServer,
        Self::Compatible,
    ];

    /// As the command line and tapes write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenRouter => "openrouter",
            Self::DeepSeek => "deepseek",
            Self::Groq => "groq",
            Self::Fireworks => "fireworks",
            Self::OpenAi => "openai",
            Self::Ollama => "ollama",
            Self::LlamaServer => "llama_server",
            Self::Compatible => "compatible",
        }
    }

    /// The one of that name; hyphens are as good as underscores.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('-', "_");
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// What its base address has behind the host.
    pub const fn base_path(self) -> &'static str {
        match self {
            Self::OpenRouter => "/api/v1",
            Self::Groq => "/openai/v1",
            Self::Fireworks => "/inference/v1",
            Self::DeepSeek | Self::Ollama => "",
            Self::OpenAi | Self::LlamaServer | Self::Compatible => "/v1",
        }
    }

    /// Where chats are asked, behind the base address.
    pub const fn chat_path(self) -> &'static str {
        match self {
            Self::Ollama => "/api/chat",
            _ => "/chat/completions",
        }
    }

    /// A model that it knows and that can think, call tools and see.
    pub const fn model(self) -> &'static str {
        match self {
            Self::OpenRouter => "deepseek/deepseek-r1",
            Self::DeepSeek => "deepseek-flash",
            Self::Groq => "openai/gpt-oss-120b",
            Self::Fireworks => "accounts/fireworks/models/deepseek-v4p1-flash",
            Self::OpenAi => "gpt-5.2",
            Self::Ollama => "qwen3:8b",
            Self::LlamaServer => "SmolLM2-135M-Instruct.gguf",
            Self::Compatible => "Qwen/Qwen3-8B",
        }
    }

    /// The field of a message that holds what the model thinks; nothing where it is never shown.
    pub const fn reasoning_field(self) -> Option<&'static str> {
        match self {
            Self::OpenRouter | Self::Groq => Some("reasoning"),
            Self::DeepSeek | Self::Fireworks | Self::LlamaServer | Self::Compatible => Some("reasoning_content"),
            Self::Ollama => Some("thinking"),
            // Chat completions count reasoning tokens and keep the words.
            Self::OpenAi => None,
        }
    }

    /// Every `finish_reason` (Ollama: `done_reason`) that it documents.
    pub const fn finish_reasons(self) -> &'static [&'static str] {
        match self {
            Self::OpenRouter => &["stop", "length", "tool_calls", "content_filter", "error"],
            Self::DeepSeek => &[
                "stop",
                "length",
                "tool_calls",
                "content_filter",
                "insufficient_system_resource",
            ],
            Self::OpenAi | Self::Groq => &["stop", "length", "tool_calls", "content_filter", "function_call"],
            Self::Fireworks | Self::LlamaServer => &["stop", "length", "tool_calls"],
            Self::Compatible => &["stop", "length", "tool_calls", "content_filter", "abort"],
            Self::Ollama => &["stop", "length", "load", "unload"],
        }
    }

    /// What keeps a silent stream open. Ollama has nothing of the kind; a blank line is what a proxy would add.
    pub const fn keep_alive(self) -> &'static str {
        match self {
            Self::OpenRouter => ": OPENROUTER PROCESSING\n\n",
            Self::DeepSeek => ": keep-alive\n\n",
            Self::LlamaServer => ":\n\n",
            Self::Ollama => "\n",
            Self::Groq | Self::Fireworks | Self::OpenAi | Self::Compatible => ": ping\n\n",
        }
    }

    /// The type that a stream of its answers has.
    pub(super) const fn stream_type(self) -> &'static str {
        match self {
            Self::Ollama => "application/x-ndjson",
            Self::OpenAi => "text/event-stream; charset=utf-8",
            _ => "text/event-stream",
        }
    }

    /// Whether an answer to this request comes in pieces.
    pub(super) fn streams(self, request: &serde_json::Value) -> bool {
        request["stream"].as_bool().unwrap_or(matches!(self, Self::Ollama))
    }
}
