//! Places elsewhere: `core/src/engine/remote` and `core/src/nearside/providers.rs`.

use std::sync::Arc;

use nearside::ProviderStatus;
use nearside::chat::DataPolicy;
use nearside::engine::remote::{Abilities, Price, ProviderKind, ProviderSettings, RemoteModel};

use crate::Result;

/// Configuration of a provider. Its credential is set separately: `setKey`.
#[uniffi::remote(Record)]
pub struct ProviderSettings {
    /// What requests, receipts and reports call it; the app's own choice, such as `openrouter`.
    pub name: String,
    /// Its API dialect.
    pub kind: ProviderKind,
    /// Where it is. Unset: where that kind of provider is. Plain `http` only for this machine, or with `allow_http`.
    #[uniffi(default)]
    pub base_url: Option<String>,
    /// The model that answers where a request names none.
    #[uniffi(default)]
    pub model: Option<String>,
    /// Allows plain `http`, for a server in the user's own network.
    #[uniffi(default = false)]
    pub allow_http: bool,
    /// Its data policy, if the app knows better than the library.
    #[uniffi(default)]
    pub data_policy: Option<DataPolicy>,
    /// SHA-256 digests of public keys, in base64: the server must show one of them. Empty: any that the roots vouch for.
    #[uniffi(default)]
    pub pins: Vec<String>,
    /// A certificate in PEM that is trusted besides the usual roots.
    #[uniffi(default)]
    pub root_certificate: Option<String>,
}

/// The API dialect of a provider.
#[uniffi::remote(Enum)]
pub enum ProviderKind {
    OpenRouter,
    DeepSeek,
    Groq,
    Fireworks,
    OpenAi,
    /// An Ollama server.
    Ollama,
    /// llama.cpp's server.
    LlamaServer,
    /// Any other server that speaks OpenAI's chat completions.
    Compatible,
}

/// A configured provider and its current state. Contains no credential.
#[uniffi::remote(Record)]
pub struct ProviderStatus {
    /// Its configuration.
    pub settings: ProviderSettings,
    /// Where it is.
    pub base_url: String,
    /// A credential is there, or none is needed.
    pub has_key: bool,
    /// Remaining cooldown in seconds after repeated failures. 0: requests are allowed.
    pub resting_seconds: u64,
    /// The model that answers where a request names none.
    pub default_model: Option<String>,
    /// Its data policy, under the current routing policy.
    pub data_policy: DataPolicy,
    /// How many models its list has; 0 if it was never fetched.
    pub models: u32,
}

/// A model that a provider offers.
#[uniffi::remote(Record)]
pub struct RemoteModel {
    /// What requests call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Tokens of context. Unset: not published.
    pub context: Option<u32>,
    /// Tokens of one answer at most. Unset: not published.
    pub max_output: Option<u32>,
    /// What it can do. Unset: not published.
    pub abilities: Option<Abilities>,
    /// What it costs. Unset: not published.
    pub price: Option<Price>,
    /// The day it is switched off, as `2026-12-31`.
    pub retires: Option<String>,
    /// The server forwards requests to another host.
    pub proxied: bool,
}

/// Capabilities of a model besides text.
#[uniffi::remote(Record)]
pub struct Abilities {
    pub tools: bool,
    pub images: bool,
    pub json_schema: bool,
    pub reasoning: bool,
    pub web_search: bool,
}

/// US dollars for a million tokens, on a day.
#[uniffi::remote(Record)]
pub struct Price {
    /// Tokens of the prompt.
    pub usd_in: f64,
    /// Tokens generated, reasoning included.
    pub usd_out: f64,
    /// Cached tokens of the prompt. Unset: as `usd_in`.
    pub usd_cached: Option<f64>,
    /// US dollars for each request besides; usually 0.
    pub usd_request: f64,
    /// The day on which it was read or published.
    pub as_of: String,
}

/// A started sign-in: open `url` in a browser, and pass the code of the redirect to `finishSignIn`.
#[derive(uniffi::Object)]
pub struct SignIn(pub(crate) Arc<nearside::engine::remote::SignIn>);

#[uniffi::export]
impl SignIn {
    /// The page to open in a browser.
    pub fn url(&self) -> Result<String> {
        Ok(self.0.url().to_owned())
    }
}
