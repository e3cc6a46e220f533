//! Settings of a provider, and the models that it offers. Data only: nothing is sent from here.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::dialect::ProviderKind;
use super::model_kinds;
use crate::chat::{DataPolicy, MAX_USD, TokenUsage, is_amount};
use crate::error::{Error, Result};

/// Settings of a provider. They do not contain the credential: see [`Secret`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderSettings {
    /// Name in requests, receipts and the ledger, chosen by the app, such as `openrouter` or `my-server`.
    pub name: String,
    /// The dialect.
    pub kind: ProviderKind,
    /// Base address. Unset: the default of its kind. Plain `http` only for loopback addresses, or with `allow_http`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Model for requests that name none. Unset: that of the provider table, or the best of its list.
    #[serde(default)]
    pub model: Option<String>,
    /// Allows unencrypted content and credentials to `base_url`. Says nothing of whose server it is: see `own_server`.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether it is the user's own server, which content may be sent to without consent. Unset: decided by the address
    /// (this machine, a private network, a `.local` name). Has no effect on hosted services.
    #[serde(default)]
    pub own_server: Option<bool>,
    /// Data policy, if the app knows better than the library: an own server, or a contract.
    #[serde(default)]
    pub data_policy: Option<DataPolicy>,
    /// SHA-256 digests of public keys (`SubjectPublicKeyInfo`), in base64: the server's own certificate must have one.
    /// Empty: any certificate that the trusted roots accept.
    #[serde(default)]
    pub pins: Vec<String>,
    /// Certificates in PEM, trusted in addition to the usual roots: for the user's own server. Each is a root, or the
    /// server's own certificate, which may be self-signed.
    #[serde(default)]
    pub root_certificate: Option<String>,
    /// Largest context to request from a server that takes its size from the request (Ollama), in tokens. Unset: 32,768.
    /// A larger one takes more of the server's memory.
    #[serde(default)]
    pub max_context: Option<u32>,
    /// Prices that the app knows, such as those of a contract. They replace published ones.
    #[serde(default)]
    pub prices: Vec<ModelPrice>,
}

/// The price of one model of a provider, or of all its others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelPrice {
    /// The provider's id of the model. Unset: every model without a row of its own.
    #[serde(default)]
    pub model: Option<String>,
    /// Its price.
    pub price: TokenPrice,
}

/// A model that a provider offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RemoteModel {
    /// Id in requests.
    pub id: String,
    /// Display name; the id if the provider publishes none.
    pub name: String,
    /// Context size in tokens. Unset: not published.
    pub context: Option<u32>,
    /// Maximum tokens of one answer. Unset: not published.
    pub max_output: Option<u32>,
    /// Capabilities. Unset: not published; requests for them are not rejected.
    pub abilities: Option<ModelCapabilities>,
    /// Price. Unset: not published.
    pub price: Option<TokenPrice>,
    /// Day of retirement, as `2026-12-31`.
    pub retires: Option<String>,
    /// The server forwards requests to another host, as Ollama does for a `-cloud` model.
    #[serde(default, rename = "passed_on")]
    pub proxied: bool,
    /// Whether it completes chats. Unset: neither the provider nor the built-in table says; see [`Self::can_chat`].
    #[serde(default)]
    pub chat: Option<bool>,
    /// The server has it in memory at present. False also if the server does not say.
    #[serde(default)]
    pub loaded: bool,
    /// Number of parameters. Unset: not published.
    #[serde(default)]
    pub parameters: Option<u64>,
    /// Size of its file in bytes. Unset: not published.
    #[serde(default)]
    pub size_bytes: Option<u64>,
}

/// Capabilities of a model besides text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCapabilities {
    /// Calls tools.
    pub tools: bool,
    /// Accepts images.
    pub images: bool,
    /// Follows a JSON Schema.
    pub json_schema: bool,
    /// Reasons before the answer.
    pub reasoning: bool,
    /// Searches the web.
    pub web_search: bool,
}

/// The model list of a provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ListedModels {
    /// The models.
    pub models: Vec<RemoteModel>,
    /// Whether the list says which of them the server forwards; for self-hosted servers.
    pub forwarding: Forwarding,
    /// Those that begin their answers inside a block of reasoning, as an answer showed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unopened: Vec<UnopenedThought>,
}

/// A model that begins its answers inside a block of reasoning, without an opening tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnopenedThought {
    /// The id of the model.
    pub model: String,
    /// The kind of the request's reasoning mode, because a template may write the opening tag in one mode only.
    pub mode: String,
}

/// Whether a model list says which of its models the server forwards to another host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarding {
    /// The server was not asked, or did not answer.
    #[default]
    NotAsked,
    /// The server cannot say so, because it is no Ollama server: it forwards none.
    Never,
    /// The forwarded models are marked in the list.
    Marked,
}

/// Price in US dollars per million tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenPrice {
    /// Tokens of the prompt.
    pub usd_in: f64,
    /// Generated tokens, reasoning included.
    pub usd_out: f64,
    /// Cached tokens of the prompt. Unset: as `usd_in`.
    pub usd_cached: Option<f64>,
    /// US dollars per request in addition; usually 0.
    pub usd_request: f64,
    /// US dollars per web search in addition. Unset: unknown.
    #[serde(default)]
    pub usd_search: Option<f64>,
    /// Day on which it was read or published, as `2026-10-31`.
    pub as_of: String,
}

/// A credential. `Debug` hides it; wiped when dropped.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl ProviderSettings {
    /// Creates the settings of a provider of this kind at its usual address, with the defaults.
    pub fn new(name: impl Into<String>, kind: ProviderKind) -> Self {
        Self {
            name: name.into(),
            kind,
            base_url: None,
            model: None,
            allow_http: false,
            own_server: None,
            data_policy: None,
            pins: vec![],
            root_certificate: None,
            max_context: None,
            prices: vec![],
        }
    }

    /// Returns the price that the app states for this model.
    pub fn stated_price(&self, model: &str) -> Option<&TokenPrice> {
        let of = |wanted: Option<&str>| self.prices.iter().find(|row| row.model.as_deref() == wanted);
        of(Some(model)).or_else(|| of(None)).map(|row| &row.price)
    }

    /// Rejects stated prices that are no prices.
    pub(crate) fn check_prices(&self) -> Result<()> {
        let valid = self.prices.iter().all(|row| {
            let TokenPrice {
                usd_in,
                usd_out,
                usd_cached,
                usd_request,
                usd_search,
                ..
            } = row.price;
            let optional = [usd_cached, usd_search].map(Option::unwrap_or_default);
            [usd_in, usd_out, usd_request]
                .into_iter()
                .chain(optional)
                .all(is_amount)
        });
        match valid {
            true => Ok(()),
            false => Err(Error::invalid_request(format!(
                "a price of `{}` is not between 0 and {MAX_USD}; give US dollars for a million tokens",
                self.name
            ))),
        }
    }
}

impl RemoteModel {
    /// Returns whether a target with these terms charges for this model: all do but one's own server without a stated price.
    pub(crate) fn charges(&self, terms: &DataPolicy) -> bool {
        !terms.is_own() || self.price.as_ref().is_some_and(|price| !price.is_free())
    }

    /// Returns a model of which only the id is known: one that is not in its provider's list.
    pub fn unlisted(kind: ProviderKind, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: id.to_owned(),
            chat: model_kinds::chat_by_name(kind, id),
            proxied: Self::is_proxied_id(kind, id),
            ..Self::default()
        }
    }

    /// Returns whether a name refers to the model of this id at a provider of this kind. Ollama completes a name: the
    /// tag `latest`, its own registry and namespace, and letters in any case.
    pub fn is_named(kind: ProviderKind, id: &str, name: &str) -> bool {
        id == name || kind == ProviderKind::Ollama && complete_ollama_name(id) == complete_ollama_name(name)
    }

    /// Returns whether it may be asked for a chat: false for embeddings, speech, images, moderation and the like. A model
    /// of unknown kind may.
    pub fn can_chat(&self) -> bool {
        self.chat != Some(false)
    }

    /// Returns whether a self-hosted server forwards requests for a model of this id to another host, as far as the id
    /// says: `glm-5:cloud`, `gpt-oss:120b-cloud`. Counts names that only look like it, because the cost of a mistake is
    /// that content leaves the user's network unasked. A hosted service is a third party anyway.
    pub fn is_proxied_id(kind: ProviderKind, id: &str) -> bool {
        if kind.is_hosted() {
            return false;
        }
        let id = id.trim().to_ascii_lowercase();
        let last = id.rsplit('/').next().unwrap_or_default();
        match last.split_once(':') {
            Some((name, tag)) => tag.ends_with("cloud") || name.ends_with("-cloud"),
            None => last.ends_with("-cloud"),
        }
    }
}

/// Returns Ollama's own form of a model name: `library/NAME:TAG` without its registry, in lower case.
fn complete_ollama_name(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let name = ["https://", "http://"]
        .iter()
        .fold(name.as_str(), |name, scheme| name.strip_prefix(scheme).unwrap_or(name));
    let name = ["registry.ollama.ai/", "ollama.com/"]
        .iter()
        .fold(name, |name, registry| name.strip_prefix(registry).unwrap_or(name));
    let namespace = if name.contains('/') { "" } else { "library/" };
    let last = name.rsplit('/').next().unwrap_or_default();
    let tag = if last.contains(':') { "" } else { ":latest" };
    format!("{namespace}{name}{tag}")
}

impl TokenPrice {
    /// Returns the cost in US dollars of an answer with this usage.
    pub fn cost(&self, usage: &TokenUsage) -> f64 {
        let cached = usage.cached_tokens.min(usage.prompt_tokens);
        let fresh = usage.prompt_tokens - cached;
        self.usd_request
            + (f64::from(fresh) * self.usd_in
                + f64::from(cached) * self.usd_cached.unwrap_or(self.usd_in)
                + f64::from(usage.completion_tokens) * self.usd_out)
                / 1e6
    }

    /// Returns whether all prices are 0.
    pub fn is_free(&self) -> bool {
        self.usd_in == 0.0 && self.usd_out == 0.0 && self.usd_request == 0.0
    }
}

impl Secret {
    /// Wraps a credential.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the credential, for the header that carries it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the credential to an app that stores it itself.
    pub fn into_text(self) -> String {
        self.0.to_string()
    }

    /// Returns whether there is no credential.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(…)")
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
    fn an_id_of_a_forwarded_model_is_recognized_in_every_spelling() {
        for (id, proxied) in [
            ("gpt-oss:120b-cloud", true),
            ("glm-5:cloud", true),
            ("GLM-5:Cloud", true),
            ("library/glm-5:cloud", true),
            ("host.example/team/kimi:1t-CLOUD ", true),
            ("deepseek-v3.1-cloud", true),
            ("deepseek-v3.1-cloud:latest", true),
            ("llama3.2", false),
            ("llama3.2:latest", false),
            ("cloud", false),
            ("cloudy:7b", false),
            ("nimbus-cloud-7b", false),
        ] {
            assert_eq!(RemoteModel::is_proxied_id(ProviderKind::Ollama, id), proxied, "{id}");
            assert!(!RemoteModel::is_proxied_id(ProviderKind::Groq, id), "{id}");
        }
    }

    #[test]
    fn a_stored_model_of_the_last_release_is_read_and_can_chat() {
        let stored =
            r#"{"id":"a","name":"a","context":null,"max_output":null,"abilities":null,"price":null,"retires":null}"#;
        let model: RemoteModel = serde_json::from_str(stored).expect("a model");
        assert!(model.can_chat() && !model.loaded && !model.proxied && model.size_bytes.is_none());
    }

    #[test]
    fn an_answer_costs_its_fresh_its_cached_and_its_generated_tokens() {
        let price = TokenPrice {
            usd_in: 2.0,
            usd_out: 10.0,
            usd_cached: Some(0.5),
            usd_request: 0.01,
            usd_search: None,
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
    fn ollama_alone_completes_names() {
        let same = |kind, name| RemoteModel::is_named(kind, "mine:latest", name);
        for name in [
            "mine",
            "mine:latest",
            "MINE:Latest",
            "library/mine",
            "registry.ollama.ai/library/mine",
            "ollama.com/library/mine:latest",
        ] {
            assert!(same(ProviderKind::Ollama, name), "{name}");
        }
        for name in ["mine:8b", "other/mine", "min", ""] {
            assert!(!same(ProviderKind::Ollama, name), "{name}");
        }
        assert!(same(ProviderKind::Compatible, "mine:latest") && !same(ProviderKind::Compatible, "mine"));
    }
}
