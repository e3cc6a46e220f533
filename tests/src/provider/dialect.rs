//! The wire formats of the eight kinds of provider that Nearside supports, and their simple differences.

use serde::{Deserialize, Serialize};

/// The wire format of a kind of provider.
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
    /// Ollama's native API (`/api/chat`, JSON lines).
    Ollama,
    /// llama.cpp's server.
    LlamaServer,
    /// vLLM, LM Studio and other servers with OpenAI's API.
    Compatible,
}

impl Dialect {
    /// All dialects.
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

    /// Returns the name for the command line and for settings.
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

    /// Parses a name; accepts hyphens for underscores.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('-', "_");
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Returns the path of the base address.
    pub const fn base_path(self) -> &'static str {
        match self {
            Self::OpenRouter => "/api/v1",
            Self::Groq => "/openai/v1",
            Self::Fireworks => "/inference/v1",
            Self::DeepSeek | Self::Ollama => "",
            Self::OpenAi | Self::LlamaServer | Self::Compatible => "/v1",
        }
    }

    /// Returns the path of chats below the base address.
    pub const fn chat_path(self) -> &'static str {
        match self {
            Self::Ollama => "/api/chat",
            _ => "/chat/completions",
        }
    }

    /// Returns a known model with reasoning, tool calls and image input.
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

    /// Returns the message field of reasoning; `None` if it is never sent.
    pub const fn reasoning_field(self) -> Option<&'static str> {
        match self {
            Self::OpenRouter | Self::Groq => Some("reasoning"),
            Self::DeepSeek | Self::Fireworks | Self::LlamaServer | Self::Compatible => Some("reasoning_content"),
            Self::Ollama => Some("thinking"),
            // Chat completions only count reasoning tokens.
            Self::OpenAi => None,
        }
    }

    /// Returns every documented `finish_reason` (Ollama: `done_reason`).
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

    /// Returns the keep-alive of a stream. Ollama has none; a blank line is what a proxy would add.
    pub const fn keep_alive(self) -> &'static str {
        match self {
            Self::OpenRouter => ": OPENROUTER PROCESSING\n\n",
            Self::DeepSeek => ": keep-alive\n\n",
            Self::LlamaServer => ":\n\n",
            Self::Ollama => "\n",
            Self::Groq | Self::Fireworks | Self::OpenAi | Self::Compatible => ": ping\n\n",
        }
    }

    /// Returns the content type of streamed answers.
    pub(super) const fn stream_type(self) -> &'static str {
        match self {
            Self::Ollama => "application/x-ndjson",
            Self::OpenAi => "text/event-stream; charset=utf-8",
            _ => "text/event-stream",
        }
    }

    /// Returns whether the answer to this request is streamed.
    pub(super) fn streams(self, request: &serde_json::Value) -> bool {
        request["stream"].as_bool().unwrap_or(matches!(self, Self::Ollama))
    }
}
