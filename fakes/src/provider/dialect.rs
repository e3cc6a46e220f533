//! The wire formats of the providers that Nearside supports, and their simple differences. A kind that is not named here
//! has the format of OpenAI's chat completions.

/// The wire format of a kind of provider.
pub use nearside::engine::remote::ProviderKind as Dialect;

use super::models;

/// The simple differences between the dialects.
pub trait WireFormat {
    /// Returns the path of the base address.
    fn base_path(self) -> &'static str;
    /// Returns the path of chats below the base address.
    fn chat_path(self) -> &'static str;
    /// Returns a known model with reasoning, tool calls and image input.
    fn model(self) -> &'static str;
    /// Returns the message field of reasoning; `None` if it is never sent.
    fn reasoning_field(self) -> Option<&'static str>;
    /// Returns every documented `finish_reason` (Ollama: `done_reason`).
    fn finish_reasons(self) -> &'static [&'static str];
    /// Returns the keep-alive of a stream. Ollama has none; a blank line is what a proxy would add.
    fn keep_alive(self) -> &'static str;
    /// Returns the content type of streamed answers.
    fn stream_type(self) -> &'static str;
    /// Returns whether the answer to this request is streamed.
    fn streams(self, request: &serde_json::Value) -> bool;
}

impl WireFormat for Dialect {
    fn base_path(self) -> &'static str {
        let Some((_, address)) = self.usual_base_url().split_once("://") else {
            return "/v1";
        };
        address.find('/').map_or("", |start| &address[start..])
    }

    fn chat_path(self) -> &'static str {
        match self {
            Self::Ollama => "/api/chat",
            _ => "/chat/completions",
        }
    }

    fn model(self) -> &'static str {
        models::ids(self)[0]
    }

    fn reasoning_field(self) -> Option<&'static str> {
        match self {
            Self::OpenRouter | Self::Groq => Some("reasoning"),
            Self::Ollama => Some("thinking"),
            // Chat completions only count reasoning tokens.
            Self::OpenAi => None,
            _ => Some("reasoning_content"),
        }
    }

    fn finish_reasons(self) -> &'static [&'static str] {
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
            Self::Compatible => &["stop", "length", "tool_calls", "content_filter", "abort"],
            Self::Ollama => &["stop", "length", "load", "unload"],
            _ => &["stop", "length", "tool_calls"],
        }
    }

    fn keep_alive(self) -> &'static str {
        match self {
            Self::OpenRouter => ": OPENROUTER PROCESSING\n\n",
            Self::DeepSeek => ": keep-alive\n\n",
            Self::LlamaServer => ":\n\n",
            Self::Ollama => "\n",
            _ => ": ping\n\n",
        }
    }

    fn stream_type(self) -> &'static str {
        match self {
            Self::Ollama => "application/x-ndjson",
            Self::OpenAi => "text/event-stream; charset=utf-8",
            _ => "text/event-stream",
        }
    }

    fn streams(self, request: &serde_json::Value) -> bool {
        request["stream"].as_bool().unwrap_or(matches!(self, Self::Ollama))
    }
}
