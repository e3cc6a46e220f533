//! Providers: `core/src/engine/remote` and `core/src/nearside/providers.rs`.

use std::sync::Arc;

use nearside::ProviderStatus;
use nearside::chat::DataPolicy;
use nearside::engine::remote::{
    ModelCapabilities, ModelPrice, ProviderKind, ProviderSettings, RemoteModel, TokenPrice,
};

use crate::error::Result;

/// Configuration of a provider. Its credential is set separately: `setKey`.
#[uniffi::remote(Record)]
pub struct ProviderSettings {
    /// Its name in requests, receipts and reports; chosen by the app, such as `openrouter`.
    pub name: String,
    /// Its API dialect.
    pub kind: ProviderKind,
    /// Base URL. Unset: the default of its kind. Plain `http` only for this device, or with `allow_http`.
    #[uniffi(default)]
    pub base_url: Option<String>,
    /// The model for requests that name none. Unset: a default of the library, or the best of its list.
    #[uniffi(default)]
    pub model: Option<String>,
    /// Allows plain `http`: content and credentials are then sent unencrypted. Says nothing of whose server it is.
    #[uniffi(default = false)]
    pub allow_http: bool,
    /// Whether it is the user's own server, which content may be sent to without consent. Unset: decided by the address
    /// (this device, a private network, a `.local` name). Has no effect on hosted services.
    #[uniffi(default)]
    pub own_server: Option<bool>,
    /// Its data policy, if the app knows better than the library.
    #[uniffi(default)]
    pub data_policy: Option<DataPolicy>,
    /// SHA-256 digests of public keys, in base64: the server must use one of them. Empty: any key with a trusted
    /// certificate.
    #[uniffi(default)]
    pub pins: Vec<String>,
    /// Certificates in PEM to trust in addition to the usual roots: for the user's own server. Each is a root, or the
    /// server's own certificate, which may be self-signed.
    #[uniffi(default)]
    pub root_certificate: Option<String>,
    /// Largest context to request from an Ollama server, in tokens. Unset: 32,768. A larger one takes more of the server's
    /// memory.
    #[uniffi(default)]
    pub max_context: Option<u32>,
    /// Prices that the app knows, such as those of a contract. They replace published ones.
    #[uniffi(default)]
    pub prices: Vec<ModelPrice>,
}

/// The price of one model of a provider, or of all its others.
#[uniffi::remote(Record)]
pub struct ModelPrice {
    /// The provider's id of the model. Unset: every model without a row of its own.
    #[uniffi(default)]
    pub model: Option<String>,
    /// Its price.
    pub price: TokenPrice,
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

/// A kind of provider that the library supports, for a list to choose from.
#[derive(uniffi::Record)]
pub struct ProviderKindInfo {
    /// Its value in `ProviderSettings`.
    pub kind: ProviderKind,
    /// Its name in the command line and in settings, such as `openrouter`.
    pub name: String,
    /// A short description for users.
    pub description: String,
    /// Whether it is a hosted service, which needs a credential, and not a self-hosted server.
    pub hosted: bool,
    /// Its default base URL; empty if `ProviderSettings` must contain one.
    pub base_url: String,
}

/// Returns all kinds of provider, in the order of the documentation.
#[uniffi::export]
pub fn provider_kinds() -> Result<Vec<ProviderKindInfo>> {
    let info = |kind: ProviderKind| ProviderKindInfo {
        kind,
        name: kind.name().to_owned(),
        description: kind.description().to_owned(),
        hosted: kind.is_hosted(),
        base_url: kind.usual_base_url().to_owned(),
    };
    Ok(ProviderKind::ALL.map(info).into())
}

/// A configured provider and its current state. Contains no credential.
#[uniffi::remote(Record)]
pub struct ProviderStatus {
    /// Its configuration.
    pub settings: ProviderSettings,
    /// Base URL in use.
    pub base_url: String,
    /// Origin of that address: the server that a credential belongs to. A stored one is valid for this origin only.
    pub origin: String,
    /// Whether a credential is set, or none is needed.
    pub has_key: bool,
    /// Remaining cooldown in seconds after repeated failures. 0: requests are allowed.
    pub resting_seconds: u64,
    /// The model for requests that name none. Unset: unknown until its list was fetched.
    pub default_model: Option<String>,
    /// Its data policy, under the current routing policy.
    pub data_policy: DataPolicy,
    /// Number of models in its list; 0 if the list was never fetched.
    pub models: u32,
}

/// A model that a provider offers.
#[uniffi::remote(Record)]
pub struct RemoteModel {
    /// Its id in requests.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// Context length in tokens. Unset: not published.
    pub context: Option<u32>,
    /// Maximum tokens of one answer. Unset: not published.
    pub max_output: Option<u32>,
    /// Its capabilities. Unset: not published.
    pub abilities: Option<ModelCapabilities>,
    /// Its price. Unset: not published.
    pub price: Option<TokenPrice>,
    /// Date of its shutdown, as `2026-12-31`.
    pub retires: Option<String>,
    /// Whether the server forwards requests to another host.
    pub proxied: bool,
    /// Whether it completes chats. Unset: unknown, which counts as yes.
    #[uniffi(default)]
    pub chat: Option<bool>,
    /// Whether the server has it in memory at present. False also if the server does not say.
    #[uniffi(default = false)]
    pub loaded: bool,
    /// Number of parameters. Unset: not published.
    #[uniffi(default)]
    pub parameters: Option<u64>,
    /// Size of its file in bytes. Unset: not published.
    #[uniffi(default)]
    pub size_bytes: Option<u64>,
}

/// Capabilities of a model besides text.
#[uniffi::remote(Record)]
pub struct ModelCapabilities {
    pub tools: bool,
    pub images: bool,
    pub json_schema: bool,
    pub reasoning: bool,
    pub web_search: bool,
}

/// Price in US dollars per million tokens.
#[uniffi::remote(Record)]
pub struct TokenPrice {
    /// Tokens of the prompt.
    pub usd_in: f64,
    /// Generated tokens, including reasoning.
    pub usd_out: f64,
    /// Cached tokens of the prompt. Unset: as `usd_in`.
    pub usd_cached: Option<f64>,
    /// Additional US dollars per request; usually 0.
    pub usd_request: f64,
    /// Additional US dollars per web search. Unset: unknown.
    #[uniffi(default)]
    pub usd_search: Option<f64>,
    /// Date of the price, as `2026-10-31`.
    pub as_of: String,
}

/// A started sign-in: open `url` in a browser, and pass the code of the redirect to `finishSignIn`.
#[derive(uniffi::Object)]
pub struct SignIn(pub(crate) Arc<nearside::engine::remote::SignIn>);

#[uniffi::export]
impl SignIn {
    /// Returns the URL to open in a browser.
    pub fn url(&self) -> Result<String> {
        Ok(self.0.url().to_owned())
    }
}
