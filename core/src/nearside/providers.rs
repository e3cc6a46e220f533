//! The configured providers: settings and model lists on disk; credentials, connections and health in memory only.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::inner::{ProviderRuntime, ServerAddress};
use super::model_list::ModelList;
use super::refresh::fetch_list;
use super::{Inner, Nearside, blocking, lock};
use crate::chat::DataPolicy;
use crate::engine::remote::{
    self, CircuitBreaker, ProviderClient, ProviderKind, ProviderSettings, RemoteModel, Secret, SignIn,
};
use crate::error::{Error, Result};
use crate::route::{NetworkPath, check_contact, privacy};

/// A configured provider and its current state. Contains no credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

impl Nearside {
    /// Adds a provider, or replaces the one of this name. Persisted, except for its credential; see [`Self::set_key`]. With
    /// another origin the credential is removed: it belongs to the server that it was set for; see
    /// [`ProviderStatus::origin`]. Makes no network request.
    ///
    /// # Errors
    /// `InvalidRequest` for an invalid or forbidden address; `Storage`.
    pub async fn add_provider(&self, settings: ProviderSettings) -> Result<()> {
        self.blocking(move |inner| inner.add_provider(&settings)).await
    }

    /// Sets a provider's credential; kept in memory only. Empty: removes it.
    pub fn set_key(&self, provider: &str, key: Secret) {
        self.inner.set_key(provider, key);
    }

    /// Removes a provider, its model list and its credential. Its spending stays in the reports.
    ///
    /// # Errors
    /// `InvalidRequest` for an unknown name; `Storage`.
    pub async fn remove_provider(&self, name: String) -> Result<()> {
        self.blocking(move |inner| inner.remove_provider(&name)).await
    }

    /// Returns the configured providers, ordered by name.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn providers(&self) -> Result<Vec<ProviderStatus>> {
        self.blocking(Inner::statuses).await
    }

    /// Fetches a provider's model list and stores it. Opens no connection if the provider is reached through the internet,
    /// and the device is offline, as the host reports, or the connection is metered, which the policy does not allow.
    ///
    /// # Errors
    /// `InvalidRequest` for an unknown name; `Network`, `Unauthorized`, `Provider`, `Blocked`.
    pub async fn provider_models(&self, name: String) -> Result<Vec<RemoteModel>> {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move {
            let wanted = name.clone();
            blocking(&inner, move |inner| inner.check_online(&wanted)).await?;
            let listed = fetch_list(&inner, &name).await?;
            blocking(&inner, move |inner| {
                let settings = inner.provider(&name)?;
                let complete = |model: &RemoteModel| inner.with_table(&settings, model.clone());
                Ok(listed.models.iter().map(complete).collect())
            })
            .await
        })
        .await
    }

    /// Starts a sign-in at OpenRouter, instead of a key of the app. `callback` is the URL the browser is redirected to.
    ///
    /// # Errors
    /// `InvalidRequest` for a provider that is not OpenRouter, or an invalid callback.
    pub async fn sign_in(&self, provider: String, callback: Option<String>) -> Result<SignIn> {
        self.blocking(move |inner| {
            let settings = inner.provider(&provider)?;
            if settings.kind != ProviderKind::OpenRouter {
                return Err(Error::invalid_request(format!(
                    "`{provider}` has no sign-in; set a key"
                )));
            }
            SignIn::begin(inner.http(&settings)?, callback.as_deref())
        })
        .await
    }

    /// Returns the body of the last error that the provider reported in a chat, for the developer of the app; it may quote a
    /// prompt. `None` without an error since the start, and without [`NetworkConfig::keep_error_bodies`].
    ///
    /// [`NetworkConfig::keep_error_bodies`]: crate::NetworkConfig::keep_error_bodies
    pub fn last_error_body(&self, provider: &str) -> Option<String> {
        self.inner.with_provider(provider, |runtime| {
            let (_, http) = runtime.http.as_ref()?;
            http.last_error_body()
        })
    }

    /// Completes a sign-in with the code from the redirect: sets the provider's key, and returns it for storing.
    ///
    /// # Errors
    /// `Unauthorized` for a code that is invalid, used or expired; `Network`.
    pub async fn finish_sign_in(&self, provider: String, sign_in: Arc<SignIn>, code: String) -> Result<Secret> {
        let key = self.on_runtime(async move { sign_in.finish(&code).await }).await?;
        self.set_key(&provider, key.clone());
        Ok(key)
    }
}

impl Inner {
    /// Runs `work` on the in-memory state of a provider.
    pub(super) fn with_provider<T>(&self, name: &str, work: impl FnOnce(&mut ProviderRuntime) -> T) -> T {
        work(lock(&self.provider_runtimes).entry(name.to_owned()).or_default())
    }

    pub(super) fn add_provider(&self, settings: &ProviderSettings) -> Result<()> {
        if settings.name.is_empty() || settings.name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Error::invalid_request(
                "a provider's name must be one word, such as `openrouter` or `my-server`",
            ));
        }
        if RESERVED_NAMES.contains(&settings.name.to_ascii_lowercase().as_str()) {
            return Err(Error::invalid_request(format!(
                "`{}` means this device, so no provider can have that name; choose another",
                settings.name
            )));
        }
        settings.check_prices()?;
        // Checks the settings alone: the proxy counts when the provider is contacted.
        ProviderClient::new(settings)?;
        // Drops what belongs to another server, also one that another process has put in its place.
        self.stored_providers()?;
        self.state.save_provider(settings)?;
        self.with_provider(&settings.name, |runtime| {
            self.provider_changes.fetch_add(1, Ordering::SeqCst);
            runtime.belong_to(settings);
            runtime.http = None;
            runtime.circuit = Arc::default();
            runtime.list = ModelList::default();
        });
        Ok(())
    }

    /// Returns the configured providers. Of one that another process moved to another server, nothing in memory is kept:
    /// key, model list and failures are those of the server before.
    pub(super) fn stored_providers(&self) -> Result<Vec<ProviderSettings>> {
        let changes = self.provider_changes.load(Ordering::SeqCst);
        let all = self.state.providers()?;
        for settings in &all {
            self.with_provider(&settings.name, |runtime| {
                // Settings that this process replaced meanwhile say nothing of the present server.
                if self.provider_changes.load(Ordering::SeqCst) == changes {
                    runtime.belong_to(settings);
                }
            });
        }
        Ok(all)
    }

    pub(super) fn remove_provider(&self, name: &str) -> Result<()> {
        lock(&self.provider_runtimes).remove(name);
        match self.state.remove_provider(name)? {
            true => Ok(()),
            false => Err(unknown_provider(name)),
        }
    }

    pub(super) fn set_key(&self, name: &str, secret: Secret) {
        self.with_provider(name, |runtime| {
            runtime.secret = secret;
            // The failures may have been due to the key.
            runtime.circuit.record_success();
            runtime.list.retry();
        });
    }

    /// Gives every provider another chance: earlier failures may have been due to the network.
    pub(super) fn forget_failures(&self) {
        for runtime in lock(&self.provider_runtimes).values_mut() {
            runtime.circuit.record_success();
            runtime.list.retry();
        }
    }

    pub(super) fn provider(&self, name: &str) -> Result<ProviderSettings> {
        let all = self.stored_providers()?;
        all.into_iter()
            .find(|settings| settings.name == name)
            .ok_or_else(|| unknown_provider(name))
    }

    /// Checks that network and policy allow the provider to be contacted now.
    fn check_online(&self, name: &str) -> Result<()> {
        let settings = self.provider(name)?;
        self.read_policy()?;
        self.check_network(name, NetworkPath::to(&settings, &RemoteModel::default()))
    }

    /// Asks the host for the network, and checks that it and the policy allow the provider to be contacted. One that is
    /// nearby is reached without the internet.
    pub(super) fn check_network(&self, name: &str, path: NetworkPath) -> Result<()> {
        // The host is asked only where its answer matters.
        if path.is_nearby && !path.needs_local_network {
            return Ok(());
        }
        check_contact(&self.host_facts()?, &self.policy(), path, name)
    }

    pub(super) fn statuses(&self) -> Result<Vec<ProviderStatus>> {
        let all = self.stored_providers()?;
        all.into_iter().map(|settings| self.status(settings)).collect()
    }

    fn status(&self, settings: ProviderSettings) -> Result<ProviderStatus> {
        let (listed, _) = self.list_of(&settings)?;
        let models = &listed.models;
        let default_model = default_model(&settings, models);
        let model = default_model.as_ref().map(|id| {
            let listed = models.iter().find(|model| model.id == *id).cloned();
            listed.unwrap_or_else(|| RemoteModel::unlisted(settings.kind, id))
        });
        let data_policy = match model.filter(|model| model.proxied) {
            Some(model) => privacy::terms(&settings, &model),
            None => self.terms_of(&settings)?.1,
        };
        Ok(ProviderStatus {
            base_url: remote::base_url(&settings)?.to_string(),
            origin: remote::origin(&settings)?,
            has_key: self.has_key(&settings),
            resting_seconds: self.cooldown(&settings.name).map_or(0, |rest| rest.as_secs().max(1)),
            data_policy,
            models: u32::try_from(models.len()).unwrap_or(u32::MAX),
            default_model,
            settings,
        })
    }

    pub(super) fn has_key(&self, settings: &ProviderSettings) -> bool {
        !settings.kind.is_hosted() || self.secret(settings).is_some_and(|secret| !secret.is_empty())
    }

    /// Returns the credential for the server of these settings, which may be empty; `None` if the provider was moved to
    /// another server since they were read.
    pub(super) fn secret(&self, settings: &ProviderSettings) -> Option<Secret> {
        self.with_provider(&settings.name, |runtime| {
            let is_same = runtime.server.is_none() || runtime.is_about(settings);
            is_same.then(|| runtime.secret.clone())
        })
    }

    pub(super) fn cooldown(&self, name: &str) -> Option<Duration> {
        self.circuit(name).remaining_cooldown(std::time::Instant::now())
    }

    pub(super) fn circuit(&self, name: &str) -> Arc<CircuitBreaker> {
        self.with_provider(name, |runtime| Arc::clone(&runtime.circuit))
    }

    /// Returns the client of a provider, which keeps its connections open between requests.
    pub(super) fn http(&self, settings: &ProviderSettings) -> Result<ProviderClient> {
        let cached = self.with_provider(&settings.name, |runtime| runtime.http.clone());
        if let Some((_, http)) = cached.filter(|(other, _)| other == settings) {
            return Ok(http);
        }
        let http = ProviderClient::in_network(settings, &self.config.network)?;
        self.with_provider(&settings.name, |runtime| {
            runtime.http = Some((settings.clone(), http.clone()))
        });
        Ok(http)
    }

    /// Completes what the provider publishes of a model by the dated table.
    pub(super) fn with_table(&self, settings: &ProviderSettings, mut model: RemoteModel) -> RemoteModel {
        if let Some(facts) = privacy::model_facts(settings.kind, &model.id) {
            model.context = model.context.or(facts.context);
            model.max_output = model.max_output.or(facts.max_output);
            model.abilities = model.abilities.or(facts.abilities);
            model.price = model.price.or(facts.price);
        }
        model.context = remote::usable_context(&model, settings);
        if let Some(price) = settings.stated_price(&model.id) {
            model.price = Some(price.clone());
        }
        if let Some(price) = &mut model.price {
            price.usd_search = price.usd_search.or_else(|| privacy::search_usd(settings.kind));
        }
        if remote::is_own_server(settings) && !model.proxied {
            model.price.get_or_insert_with(Default::default);
        }
        model
    }
}

impl ProviderRuntime {
    /// Makes this the state of the server of these settings: drops the state of another one. The key stays if it is another
    /// kind or path at the same origin; one that was set before the provider was is meant for it.
    fn belong_to(&mut self, settings: &ProviderSettings) {
        if self.is_about(settings) {
            return;
        }
        // An address that is not valid any more is another one.
        let origin = remote::origin(settings).ok();
        if let Some(server) = &self.server {
            let keeps_key = server.origin.is_some() && server.origin == origin;
            let secret = std::mem::take(&mut self.secret);
            *self = Self::default();
            if keeps_key {
                self.secret = secret;
            }
        }
        self.server = Some(ServerAddress {
            kind: settings.kind,
            base_url: settings.base_url.clone(),
            origin,
        });
    }

    fn is_about(&self, settings: &ProviderSettings) -> bool {
        let is_same = |server: &ServerAddress| server.kind == settings.kind && server.base_url == settings.base_url;
        self.server.as_ref().is_some_and(is_same)
    }
}

/// Returns the model for requests that name none: that of the settings, the usual one of the dated table, else the best
/// of the list that chats. On an own server the best is the one in memory, else the largest that it runs itself.
pub(super) fn default_model(settings: &ProviderSettings, models: &[RemoteModel]) -> Option<String> {
    let own = settings.model.clone();
    // The list takes precedence over the dated table: other models are not offered.
    let listed = |id: &&str| models.is_empty() || models.iter().any(|model| model.id == *id);
    let usual = || privacy::default_model(settings.kind).filter(listed).map(str::to_owned);
    let quality =
        |model: &RemoteModel| privacy::model_facts(settings.kind, &model.id).map_or(0.0, |facts| facts.quality);
    let rank = |model: &RemoteModel| {
        let size = model.parameters.or(model.size_bytes).unwrap_or(0);
        (!model.proxied, model.chat == Some(true), model.loaded, size)
    };
    let best = || {
        let chats = models.iter().rev().filter(|model| model.can_chat());
        let best = chats.max_by(|a, b| quality(a).total_cmp(&quality(b)).then_with(|| rank(a).cmp(&rank(b))));
        best.map(|model| model.id.clone())
    };
    own.or_else(usual).or_else(best)
}

/// Names that texts, receipts and reports have for this device.
const RESERVED_NAMES: [&str; 4] = ["device", "local", "on-device", "this-device"];

fn unknown_provider(name: &str) -> Error {
    Error::invalid_request(format!("no provider is set up as `{name}`; add it first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str, parameters: u64) -> RemoteModel {
        RemoteModel {
            parameters: Some(parameters),
            ..RemoteModel::unlisted(ProviderKind::LlamaServer, id)
        }
    }

    #[test]
    fn the_default_of_an_own_server_is_loaded_else_the_largest_and_never_the_first_of_the_alphabet() {
        let settings = ProviderSettings::new("home", ProviderKind::LlamaServer);
        let mut models = vec![
            model("all-minilm", 100_000_000_000),
            model("big", 70_000_000_000),
            model("small", 1_000_000_000),
            RemoteModel {
                proxied: true,
                ..model("passed-on", 900_000_000_000)
            },
        ];
        assert_eq!(default_model(&settings, &models).as_deref(), Some("big"));
        models[2].loaded = true;
        assert_eq!(default_model(&settings, &models).as_deref(), Some("small"));
        let named = ProviderSettings {
            model: Some("mine".into()),
            ..settings
        };
        assert_eq!(default_model(&named, &models).as_deref(), Some("mine"));
    }
}
