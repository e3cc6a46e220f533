//! The providers that an app set up: their settings and model lists on disk, their credentials, connections and health
//! in memory only.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Nearside;
use super::inner::{Inner, ProviderRuntime, blocking};
use crate::chat::DataPolicy;
use crate::engine::remote::{
    self, CircuitBreaker, ProviderClient, ProviderKind, ProviderSettings, RemoteModel, Secret, SignIn,
};
use crate::error::{Error, Result};
use crate::route::privacy;
use crate::sync::lock;

/// A provider as it is set up and stands now. No credential is in here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderStatus {
    /// What the app said.
    pub settings: ProviderSettings,
    /// Where it is.
    pub base_url: String,
    /// A credential is there, or none is needed.
    pub has_key: bool,
    /// It failed again and again just now, and is left alone for this many seconds yet. 0: it may be asked.
    pub resting_seconds: u64,
    /// The model that answers where a request names none. Unset: none is known yet; fetch its list.
    pub default_model: Option<String>,
    /// What happens to words there, under the policy of now.
    pub data_policy: DataPolicy,
    /// How many models its list has; 0 if it was never fetched.
    pub models: u32,
}

impl Nearside {
    /// Adds a provider, or replaces the one of this name. Persisted, except for its credential; see [`Self::set_key`].
    /// Makes no network request.
    ///
    /// # Errors
    /// `InvalidRequest` for an address that cannot be or may not be; `Storage`.
    pub async fn add_provider(&self, settings: ProviderSettings) -> Result<()> {
        self.blocking(move |inner| inner.add_provider(&settings)).await
    }

    /// Gives a provider its credential, for as long as this object lives. Empty: takes it away.
    pub fn set_key(&self, provider: &str, key: Secret) {
        self.inner.set_key(provider, key);
    }

    /// Forgets a provider, its model list and its credential. What was spent there stays in the ledger.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that name; `Storage`.
    pub async fn remove_provider(&self, name: String) -> Result<()> {
        self.blocking(move |inner| inner.remove_provider(&name)).await
    }

    /// The providers that are set up, by name.
    ///
    /// # Errors
    /// `Storage`.
    pub async fn providers(&self) -> Result<Vec<ProviderStatus>> {
        self.blocking(Inner::statuses).await
    }

    /// Asks a provider for its models, and keeps the list.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that name; `Network`, `Unauthorized`, `Provider`.
    pub async fn provider_models(&self, name: String) -> Result<Vec<RemoteModel>> {
        let inner = Arc::clone(&self.inner);
        self.on_runtime(async move {
            let models = refresh(&inner, &name).await?;
            blocking(&inner, move |inner| {
                let settings = inner.provider(&name)?;
                Ok(models
                    .iter()
                    .map(|model| inner.model_of(&settings, &models, &model.id))
                    .collect())
            })
            .await
        })
        .await
    }

    /// Begins to sign a person in at OpenRouter, so that the app needs no key of its own. `callback` is where the
    /// browser goes afterwards.
    ///
    /// # Errors
    /// `InvalidRequest` for a provider that is not OpenRouter, or a callback that cannot be.
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

    /// Ends a sign-in with the code that the browser brought: the provider has its key from now on, and the app gets it
    /// to keep for the next start.
    ///
    /// # Errors
    /// `Unauthorized` for a code that is wrong, used or too old; `Network`.
    pub async fn finish_sign_in(&self, provider: String, sign_in: Arc<SignIn>, code: String) -> Result<Secret> {
        let key = self.on_runtime(async move { sign_in.finish(&code).await }).await?;
        self.set_key(&provider, key.clone());
        Ok(key)
    }
}

impl Inner {
    /// Runs `work` on the in-memory state of a provider.
    fn with_provider<T>(&self, name: &str, work: impl FnOnce(&mut ProviderRuntime) -> T) -> T {
        work(lock(&self.provider_runtimes).entry(name.to_owned()).or_default())
    }

    pub(super) fn add_provider(&self, settings: &ProviderSettings) -> Result<()> {
        if settings.name.is_empty() || settings.name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Error::invalid_request(
                "a provider's name is a word, such as `openrouter` or `my-server`",
            ));
        }
        let http = ProviderClient::new(settings)?;
        self.state.save_provider(settings)?;
        self.with_provider(&settings.name, |runtime| {
            runtime.http = Some((settings.clone(), http));
            runtime.circuit = Arc::default();
            runtime.models = None;
        });
        Ok(())
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
            // A new key may be what was missing.
            runtime.circuit.record_success();
        });
    }

    pub(super) fn provider(&self, name: &str) -> Result<ProviderSettings> {
        let all = self.state.providers()?;
        all.into_iter()
            .find(|settings| settings.name == name)
            .ok_or_else(|| unknown_provider(name))
    }

    pub(super) fn statuses(&self) -> Result<Vec<ProviderStatus>> {
        let all = self.state.providers()?;
        all.into_iter().map(|settings| self.status(settings)).collect()
    }

    fn status(&self, settings: ProviderSettings) -> Result<ProviderStatus> {
        let models = self.models_of(&settings.name)?;
        let default_model = default_model(&settings, &models);
        let model = default_model.clone().map(|id| self.model_of(&settings, &models, &id));
        Ok(ProviderStatus {
            base_url: remote::base_url(&settings)?.to_string(),
            has_key: self.has_key(&settings),
            resting_seconds: self.cooldown(&settings.name).map_or(0, |rest| rest.as_secs().max(1)),
            data_policy: self.data_policy(&settings, &model.unwrap_or_default())?,
            models: u32::try_from(models.len()).unwrap_or(u32::MAX),
            default_model,
            settings,
        })
    }

    pub(super) fn has_key(&self, settings: &ProviderSettings) -> bool {
        !settings.kind.is_hosted() || !self.secret(&settings.name).is_empty()
    }

    pub(super) fn secret(&self, name: &str) -> Secret {
        self.with_provider(name, |runtime| runtime.secret.clone())
    }

    pub(super) fn cooldown(&self, name: &str) -> Option<Duration> {
        self.circuit(name).remaining_cooldown(std::time::Instant::now())
    }

    pub(super) fn circuit(&self, name: &str) -> Arc<CircuitBreaker> {
        self.with_provider(name, |runtime| Arc::clone(&runtime.circuit))
    }

    /// The client of a provider; its connections stay warm from one request to the next.
    pub(super) fn http(&self, settings: &ProviderSettings) -> Result<ProviderClient> {
        let held = self.with_provider(&settings.name, |runtime| runtime.http.clone());
        if let Some((_, http)) = held.filter(|(of, _)| of == settings) {
            return Ok(http);
        }
        let http = ProviderClient::new(settings)?;
        self.with_provider(&settings.name, |runtime| {
            runtime.http = Some((settings.clone(), http.clone()))
        });
        Ok(http)
    }

    /// A provider's model list as it was last fetched; empty if it never was.
    pub(super) fn models_of(&self, name: &str) -> Result<Arc<Vec<RemoteModel>>> {
        if let Some((models, _)) = self.with_provider(name, |runtime| runtime.models.clone()) {
            return Ok(models);
        }
        let Some((models, fetched)) = self.state.models(name)? else {
            return Ok(Arc::default());
        };
        let models = Arc::new(models);
        self.with_provider(name, |runtime| runtime.models = Some((Arc::clone(&models), fetched)));
        Ok(models)
    }

    /// Whether a model list was never fetched, or is over a day old.
    pub(super) fn is_stale(&self, name: &str, now: SystemTime) -> Result<bool> {
        self.models_of(name)?;
        let fetched = self.with_provider(name, |runtime| runtime.models.as_ref().map(|(_, fetched)| *fetched));
        let age = fetched.map(|fetched| now.duration_since(fetched).unwrap_or_default());
        Ok(age.is_none_or(|age| age > LIST_MAX_AGE))
    }

    /// What is known of a model: from the provider's list, and where that is silent from the dated table.
    pub(super) fn model_of(&self, settings: &ProviderSettings, models: &[RemoteModel], id: &str) -> RemoteModel {
        let listed = models.iter().find(|model| model.id == id).cloned();
        let mut model = listed.unwrap_or_else(|| RemoteModel {
            id: id.to_owned(),
            name: id.to_owned(),
            proxied: settings.kind == ProviderKind::Ollama && id.ends_with("-cloud"),
            ..RemoteModel::default()
        });
        if let Some(known) = privacy::model_facts(settings.kind, id) {
            model.context = model.context.or(known.context);
            model.abilities = model.abilities.or(known.abilities);
            model.price = model.price.or_else(|| known.price.clone());
        }
        if remote::is_own_server(settings) && !model.proxied {
            model.price.get_or_insert_with(Default::default);
        }
        model
    }

    /// What happens to words at this model of this provider, under the policy of now.
    pub(super) fn data_policy(&self, settings: &ProviderSettings, model: &RemoteModel) -> Result<DataPolicy> {
        if settings.kind == ProviderKind::OpenRouter && settings.data_policy.is_none() {
            return Ok(self.upstreams(settings)?.1);
        }
        Ok(privacy::terms(settings, model))
    }

    /// For a provider that passes requests on: who may run them under the policy of now, and the terms that gives.
    pub(super) fn upstreams(&self, settings: &ProviderSettings) -> Result<(remote::Upstreams, DataPolicy)> {
        if settings.kind != ProviderKind::OpenRouter {
            return Ok((remote::Upstreams::default(), DataPolicy::unknown()));
        }
        let document: Option<Value> = self.state.setting(UPSTREAMS)?;
        Ok(privacy::upstreams(&self.policy(), document.as_ref()))
    }
}

/// Fetches a provider's model list, and what else it publishes that decisions need, and keeps them.
pub(super) async fn refresh(inner: &Arc<Inner>, name: &str) -> Result<Arc<Vec<RemoteModel>>> {
    let of = name.to_owned();
    let (settings, http, secret, today) = blocking(inner, move |inner| {
        let settings = inner.provider(&of)?;
        let (http, secret) = (inner.http(&settings)?, inner.secret(&of));
        Ok((settings, http, secret, inner.state.day(SystemTime::now())?))
    })
    .await?;
    let models = remote::list_models(&http, &settings, &secret, &today).await?;
    let upstreams = match settings.kind {
        ProviderKind::OpenRouter => remote::openrouter_providers(&http, &settings, &secret).await.ok(),
        _ => None,
    };
    blocking(inner, move |inner| {
        let now = SystemTime::now();
        inner.state.save_models(&settings.name, &models, now)?;
        if let Some(document) = upstreams {
            inner.state.save_setting(UPSTREAMS, &document)?;
        }
        let models = Arc::new(models);
        inner.with_provider(&settings.name, |runtime| {
            runtime.models = Some((Arc::clone(&models), now))
        });
        Ok(models)
    })
    .await
}

/// The model that answers where a request names none.
pub(super) fn default_model(settings: &ProviderSettings, models: &[RemoteModel]) -> Option<String> {
    let own = settings.model.clone();
    // A list says more than the dated table: what is not in it is not offered.
    let listed = |id: &&str| models.is_empty() || models.iter().any(|model| model.id == *id);
    let usual = || privacy::default_model(settings.kind).filter(listed).map(str::to_owned);
    let quality =
        |model: &RemoteModel| privacy::model_facts(settings.kind, &model.id).map_or(0.0, |known| known.quality);
    let best = || {
        let best = models
            .iter()
            .rev()
            .max_by(|one, other| quality(one).total_cmp(&quality(other)));
        best.map(|model| model.id.clone())
    };
    own.or_else(usual).or_else(best)
}

fn unknown_provider(name: &str) -> Error {
    Error::invalid_request(format!("no provider is set up as `{name}`; add it first"))
}

/// A model list holds for a day: prices and ends of service are dated to the day.
const LIST_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
const UPSTREAMS: &str = "openrouter providers";
