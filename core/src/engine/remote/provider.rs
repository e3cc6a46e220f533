//! A provider as an app sets it up, and what it is known to offer. Data only: no address is asked here.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::chat::{DataPolicy, TokenUsage};

/// A place that answers over the network, as the app set it up. The credential is not in here: see [`Secret`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderSettings {
    /// What requests, receipts and the ledger call it; the app's own choice, such as `openrouter` or `my-server`.
    pub name: String,
    /// Whose dialect it speaks.
    pub kind: ProviderKind,
    /// Where it is. Unset: where that kind of provider is. Plain `http` only for this machine, or with `allow_http`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The model that answers where a request names none. Unset: the one of the dated table, or the first of its list.
    #[serde(default)]
    pub model: Option<String>,
    /// Lets words and credentials travel unencrypted to `base_url`: for a server in the person's own network.
    #[serde(default)]
    pub allow_http: bool,
    /// What happens to words there, where the app knows better than the library: a server of its own, or a contract.
    #[serde(default)]
    pub data_policy: Option<DataPolicy>,
    /// SHA-256 digests of public keys (`SubjectPublicKeyInfo`), in base64: the server must show one of them. Empty: any
    /// certificate that the roots vouch for.
    #[serde(default)]
    pub pins: Vec<String>,
    /// A certificate in PEM that is trusted besides the usual roots: for a server of the person's own.
    #[serde(default)]
    pub root_certificate: Option<String>,
}

/// Whose dialect a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// openrouter.ai: many models, run by many others.
    #[serde(rename = "openrouter")]
    OpenRouter,
    /// DeepSeek's own service.
    #[serde(rename = "deepseek")]
    DeepSeek,
    /// Groq.
    Groq,
    /// Fireworks AI.
    Fireworks,
    /// OpenAI.
    #[serde(rename = "openai")]
    OpenAi,
    /// An Ollama server.
    Ollama,
    /// llama.cpp's server.
    LlamaServer,
    /// Any other server that speaks OpenAI's chat completions: vLLM, LM Studio, …
    Compatible,
}

/// A model that a provider offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoteModel {
    /// What requests call it.
    pub id: String,
    /// What people call it; the id where the provider says nothing.
    pub name: String,
    /// Tokens of context. Unset: not published.
    pub context: Option<u32>,
    /// Tokens of one answer at most. Unset: not published.
    pub max_output: Option<u32>,
    /// What it can do. Unset: not published, which is taken as "perhaps".
    pub abilities: Option<ModelCapabilities>,
    /// What it costs. Unset: not published.
    pub price: Option<TokenPrice>,
    /// The day it is switched off, as `2026-12-31`.
    pub retires: Option<String>,
    /// The server forwards requests to another host, as Ollama does for a `-cloud` model.
    #[serde(default, alias = "passed_on")]
    pub proxied: bool,
}

/// What a model can do besides words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCapabilities {
    /// Calls tools.
    pub tools: bool,
    /// Sees pictures.
    pub images: bool,
    /// Keeps to a JSON Schema.
    pub json_schema: bool,
    /// Thinks before it answers.
    pub reasoning: bool,
    /// Searches the web.
    pub web_search: bool,
}

/// US dollars for a million tokens, on a day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenPrice {
    /// Tokens of the prompt.
    pub usd_in: f64,
    /// Tokens generated, reasoning included.
    pub usd_out: f64,
    /// Tokens of the prompt that the provider still had. Unset: as `usd_in`.
    pub usd_cached: Option<f64>,
    /// US dollars for each request besides; usually 0.
    pub usd_request: f64,
    /// The day on which it was read or published, as `2026-10-31`.
    pub as_of: String,
}

/// A credential. Printed nowhere, wiped when dropped.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl TokenPrice {
    /// US dollars for an answer that took these tokens.
    pub fn cost(&self, usage: &TokenUsage) -> f64 {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let fresh = usage.prompt_tokens - cached;
        self.usd_request
            + (f64::from(fresh) * self.usd_in
                + f64::from(cached) * self.usd_cached.unwrap_or(self.usd_in)
                + f64::from(usage.completion_tokens) * self.usd_out)
                / 1e6
    }

    /// Whether nothing is ever charged.
    pub fn is_free(&self) -> bool {
        self.usd_in == 0.0 && self.usd_out == 0.0 && self.usd_request == 0.0
    }
}

impl Secret {
    /// Takes a credential in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The credential itself, for the one header that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Hands the credential to an app that asked for it, to keep it where it keeps secrets.
    pub fn into_text(self) -> String {
        self.0.to_string()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(…)")
    }
}

impl ProviderKind {
    /// Every kind, in the order in which the docs name them.
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

    /// As the command line and the settings write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenRouter => "openrouter",
            Self::DeepSeek => "deepseek",
            Self::Groq => "groq",
            Self::Fireworks => "fireworks",
            Self::OpenAi => "openai",
            Self::Ollama => "ollama",
            Self::LlamaServer => "llama-server",
            Self::Compatible => "compatible",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is a hosted service, which needs a credential, and not a self-hosted server.
    pub fn is_hosted(self) -> bool {
        !matches!(self, Self::Ollama | Self::LlamaServer | Self::Compatible)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        assert!(!format!("{:?}", Secret::new("sk-or-v1-abc")).contains("abc"));
    }

    #[test]
    fn an_answer_costs_its_fresh_its_cached_and_its_generated_tokens() {
        let price = TokenPrice {
            usd_in: 2.0,
            usd_out: 10.0,
            usd_cached: Some(0.5),
            usd_request: 0.01,
            as_of: "2026-10-31".into(),
        };
        let usage = TokenUsage {
            prompt_tokens: 1_000,
            cached_tokens: 400,
            completion_tokens: 100,
            reasoning_tokens: 60,
        };
        let cost = 0.01 + (600.0 * 2.0 + 400.0 * 0.5 + 100.0 * 10.0) / 1e6;
        assert!((price.cost(&usage) - cost).abs() < 1e-12);
    }

    #[test]
    fn a_kind_reads_and_writes_one_name() {
        for kind in ProviderKind::ALL {
            assert_eq!(ProviderKind::from_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("json"), kind.name());
        }
    }
}
