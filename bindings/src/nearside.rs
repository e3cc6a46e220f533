//! The library object: `core/src/nearside`.
//!
//! `chat`, `download` and `load` are called `start_chat`, `start_download` and `start_load` here, because the hand-written halves use the
//! short names for their `Flow` and `AsyncSequence`.

use std::collections::HashMap;
use std::sync::Arc;

use nearside::chat::{ChatRequest, SamplingPresetValues};
use nearside::device::{DeviceSnapshot, Host};
use nearside::engine::remote::{ProviderSettings, RemoteModel, Secret};
use nearside::engine::{BenchOptions, BenchReport, LoadedModel, ScriptedReply};
use nearside::model::{CacheType, CatalogEntry, FitOptions, FitReport, InstalledModel, ModelRef, PartialDownload};
use nearside::route::{CostRow, RouteDecision, RoutingPolicy, SpendingTotals};
use nearside::state::{SpendingGroup, SpendingRow};
use nearside::{AppEvent, Config, NetworkConfig, ProviderStatus, TestSetup};

use crate::device::Foreign;
use crate::error::Result;
use crate::testing::{TestClock, app_setup};
use crate::{AdjustmentStream, ChatStream, DeviceHost, DownloadStream, LoadStream, SignIn};

/// Configuration of the library. Everything but `directory` has a default.
#[uniffi::remote(Record)]
pub struct Config {
    /// Directory for models and partial downloads, which can be fetched again. Created if missing. On a phone: a directory
    /// that is not backed up.
    pub directory: String,
    /// Directory for conversations, providers, policy and spending, which cannot be fetched again. Created if missing. On a
    /// phone: a directory that is backed up and protected. Unset: `directory`, so that a backup without the models has
    /// none of them. The first open that sets it moves there what an earlier one stored in `directory`.
    #[uniffi(default)]
    pub data_directory: Option<String>,
    /// The hub's base address. Unset: `https://huggingface.co`. Plain `http` only for this machine.
    #[uniffi(default)]
    pub hub: Option<String>,
    /// Context length in tokens that models are loaded with. Unset: 4,096, or the model's training context if that is less.
    #[uniffi(default)]
    pub context: Option<u32>,
    /// Context lengths of single models, by id, in place of `context`.
    #[uniffi(default)]
    pub model_contexts: HashMap<String, u32>,
    /// Context length in tokens to which that of a loaded model grows, by doubling, when a conversation needs more and the
    /// memory of the moment allows it. Nothing is omitted and read again for that. Unset: the length that is set for the model
    /// in `context` or `model_contexts`, so that it does not grow; its training context if none is set.
    #[uniffi(default)]
    pub max_context: Option<u32>,
    /// Element type of the KV cache. Unset: f16.
    #[uniffi(default)]
    pub cache_type: Option<CacheType>,
    /// Threads that compute. Unset: the performance cores that this process may use.
    #[uniffi(default)]
    pub threads: Option<u32>,
    /// Whether answers of a model on this device pause while the app is in the background, and go on in the foreground.
    /// Unset: if it computes on a GPU, which the system forbids there.
    #[uniffi(default)]
    pub pause_in_background: Option<bool>,
    /// Layers of a model that the GPU computes. 0: none, and the GPU is not used at all. Unset: all if this build uses a GPU,
    /// and none in Apple's simulators. Without a GPU it has no effect.
    #[uniffi(default)]
    pub gpu_layers: Option<u32>,
    /// Milliseconds that an idle model stays in memory. Each use starts them anew. 0: it is freed right after its last job; one
    /// that `load` brought stays a minute at least. Unset: five minutes.
    #[uniffi(default)]
    pub keep_alive_ms: Option<u64>,
    /// Bytes on the disk for the states of stored conversations, in `directory`: with them, the first answer after a start does
    /// not read its conversation again. The least recently used are deleted first. 0: none. Unset: a twentieth of what is
    /// free, at most 2 GiB.
    #[uniffi(default)]
    pub saved_state_bytes: Option<u64>,
    /// Proxy, and trust in the hub. Default: no proxy, the usual roots.
    #[uniffi(default)]
    pub network: NetworkConfig,
}

/// Network settings of the library. Printed without the password of a proxy only by the core: an app must not print it.
#[uniffi::remote(Record)]
pub struct NetworkConfig {
    /// Proxy of all requests: `http://host:3128`, `https://…`, `socks5://…` or `socks5h://…`. May contain a user name and
    /// password. Unset: none. Requests to this device never use it.
    #[uniffi(default)]
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas: names, addresses, networks, or `*`.
    #[uniffi(default)]
    pub no_proxy: Option<String>,
    /// Certificates in PEM to trust for the hub in addition to the usual roots.
    #[uniffi(default)]
    pub hub_root_certificate: Option<String>,
    /// SHA-256 digests of public keys, in base64: the hub must use one of them. Empty: any key with a trusted certificate.
    #[uniffi(default)]
    pub hub_pins: Vec<String>,
    /// Allows plain `http` to a hub in the user's own network.
    #[uniffi(default = false)]
    pub hub_allow_http: bool,
    /// Keeps the body of each provider's last error in memory, for the developer of the app: it may quote the prompt. See
    /// `lastErrorBody`.
    #[uniffi(default = false)]
    pub keep_error_bodies: bool,
}

/// The library object. Create one for the life of the app: a loaded model stays loaded for later requests.
#[derive(uniffi::Object)]
pub struct Nearside(pub(crate) nearside::Nearside);

#[uniffi::export]
impl Nearside {
    /// Opens the library on a thread of its own, so that no thread of the app waits for the disk. Creates its directories if
    /// they are missing, and loads no model. The host supplies the device facts that only the app can read.
    #[uniffi::constructor(default(host = None))]
    pub async fn open(config: Config, host: Option<Arc<dyn DeviceHost>>) -> Result<Self> {
        let host = host.map(|host| Arc::new(Foreign(host)) as Arc<dyn Host>);
        match app_setup(host.as_ref()) {
            Some(setup) => nearside::Nearside::open_for_tests(config, setup).await.map(Self),
            None => nearside::Nearside::open(config, host).await.map(Self),
        }
    }

    /// Opens the library like `open`, and waits for the disk: milliseconds, or seconds while data moves to a new data
    /// directory.
    #[uniffi::constructor]
    pub fn new(config: Config) -> Result<Self> {
        match app_setup(None) {
            Some(setup) => nearside::Nearside::for_tests(config, setup).map(Self),
            None => nearside::Nearside::new(config).map(Self),
        }
    }

    /// Opens the library like `new`, with a host that supplies the device facts only the app can read.
    #[uniffi::constructor]
    pub fn with_host(config: Config, host: Arc<dyn DeviceHost>) -> Result<Self> {
        let host: Arc<dyn Host> = Arc::new(Foreign(host));
        match app_setup(Some(&host)) {
            Some(setup) => nearside::Nearside::for_tests(config, setup).map(Self),
            None => nearside::Nearside::with_host(config, host).map(Self),
        }
    }

    /// Opens the directory like `new`; `chat` then plays this script instead of running a model.
    #[uniffi::constructor]
    pub fn scripted(config: Config, script: ScriptedReply) -> Result<Arc<Self>> {
        nearside::Nearside::scripted(config, script).map(|inner| Arc::new(Self(inner)))
    }

    /// Opens the library with what a test replaces. With a script, `chat` plays it instead of running a model. The clock dates
    /// spending, caps, model lists and conversations. In memory: no database is opened, and settings, spending and
    /// conversations end with this object; `config.directory` still holds the models.
    #[uniffi::constructor]
    pub fn for_tests(
        config: Config,
        script: Option<ScriptedReply>,
        host: Option<Arc<dyn DeviceHost>>,
        clock: Option<Arc<TestClock>>,
        in_memory: bool,
    ) -> Result<Arc<Self>> {
        let setup = TestSetup {
            script,
            host: host.map(|host| Arc::new(Foreign(host)) as _),
            clock: clock.map(|clock| clock.0.clone()).unwrap_or_default(),
            in_memory,
        };
        nearside::Nearside::for_tests(config, setup).map(|inner| Arc::new(Self(inner)))
    }

    /// Sets the hub's token, for private and gated models; kept in memory only. Empty: removes it.
    pub fn set_hub_token(&self, token: String) -> Result<()> {
        self.0.set_hub_token(Secret::new(token))
    }

    /// Starts a chat request. Returns immediately; errors arrive on the stream.
    pub fn start_chat(&self, request: ChatRequest) -> Result<ChatStream> {
        Ok(ChatStream(self.0.chat(request)))
    }

    /// Continues an interrupted answer on a remote target. `said` is the text so far; only what follows it is streamed.
    pub fn start_continue_remotely(&self, request: ChatRequest, said: String) -> Result<ChatStream> {
        Ok(ChatStream(self.0.continue_remotely(request, said)))
    }

    /// Returns the routing decision without sending the request. May wait seconds for a provider's model list.
    pub async fn route(&self, request: ChatRequest) -> Result<RouteDecision> {
        self.0.route(request).await
    }

    /// Returns the sampling values of each preset for a model, named as in a request. Unset: the defaults for any model.
    #[uniffi::method(default(model = None, provider = None))]
    pub async fn presets(&self, model: Option<String>, provider: Option<String>) -> Result<Vec<SamplingPresetValues>> {
        self.0.presets(model, provider).await
    }

    /// Returns recommended models for phones, smallest first. `fit` returns whether one fits this device.
    pub fn catalog(&self) -> Result<Vec<CatalogEntry>> {
        Ok(self.0.catalog())
    }

    /// Starts a stream of the adjustments from now on: what the library does to the models on this device because of memory
    /// warnings, heat, power saving and the background.
    pub fn start_adjustments(&self) -> Result<AdjustmentStream> {
        Ok(AdjustmentStream(self.0.adjustments()))
    }

    /// Reports an app lifecycle event. Returns immediately.
    pub fn notify(&self, event: AppEvent) -> Result<()> {
        self.0.notify(event);
        Ok(())
    }

    /// Estimates the cost of the request on the device, on every provider and on those of the built-in price table,
    /// cheapest first. Makes no network request.
    pub async fn cost(&self, request: ChatRequest) -> Result<Vec<CostRow>> {
        self.0.cost(request).await
    }

    /// Returns the routing policy.
    pub fn policy(&self) -> Result<RoutingPolicy> {
        Ok(self.0.policy())
    }

    /// Sets the routing policy, from the next request on. Persisted.
    pub async fn set_policy(&self, policy: RoutingPolicy) -> Result<()> {
        self.0.set_policy(policy).await
    }

    /// Sets the routing policy if the stored one is still `before`, so that of two changes at the same moment none is lost.
    /// Returns whether it was set; if not, `policy` returns the present one.
    pub async fn replace_policy(&self, before: RoutingPolicy, policy: RoutingPolicy) -> Result<bool> {
        self.0.replace_policy(before, policy).await
    }

    /// Adds a provider, or replaces the one of this name. Persisted, except for its credential; see `setKey`.
    pub async fn add_provider(&self, settings: ProviderSettings) -> Result<()> {
        self.0.add_provider(settings).await
    }

    /// Sets a provider's credential; kept in memory only. Empty: removes it.
    pub fn set_key(&self, provider: String, key: String) -> Result<()> {
        self.0.set_key(&provider, Secret::new(key));
        Ok(())
    }

    /// Returns the body of the last error that the provider reported in a chat, for the developer of the app; it may quote a
    /// prompt. Unset without an error since the start, and without `keepErrorBodies` in the configuration.
    pub fn last_error_body(&self, provider: String) -> Result<Option<String>> {
        Ok(self.0.last_error_body(&provider))
    }

    /// Removes a provider, its model list and its credential. Its spending stays in the reports.
    pub async fn remove_provider(&self, name: String) -> Result<()> {
        self.0.remove_provider(name).await
    }

    /// Returns the configured providers, ordered by name.
    pub async fn providers(&self) -> Result<Vec<ProviderStatus>> {
        self.0.providers().await
    }

    /// Fetches a provider's model list and stores it.
    pub async fn provider_models(&self, name: String) -> Result<Vec<RemoteModel>> {
        self.0.provider_models(name).await
    }

    /// Starts a sign-in at OpenRouter. `callback` is the URL the browser is redirected to.
    #[uniffi::method(default(callback = None))]
    pub async fn sign_in(&self, provider: String, callback: Option<String>) -> Result<SignIn> {
        self.0
            .sign_in(provider, callback)
            .await
            .map(|sign_in| SignIn(Arc::new(sign_in)))
    }

    /// Completes a sign-in with the code from the redirect. Sets the provider's key, and returns it for the app to
    /// store.
    pub async fn finish_sign_in(&self, provider: String, sign_in: Arc<SignIn>, code: String) -> Result<String> {
        let key = self.0.finish_sign_in(provider, Arc::clone(&sign_in.0), code).await?;
        Ok(key.into_text())
    }

    /// Returns the spending of today and this month, in UTC.
    pub async fn spent(&self) -> Result<SpendingTotals> {
        self.0.spent().await
    }

    /// Returns a spending report, grouped by `by`.
    pub async fn spending(&self, by: SpendingGroup) -> Result<Vec<SpendingRow>> {
        self.0.spending(by).await
    }

    /// Downloads and installs a model, resuming an earlier download.
    pub fn start_download(&self, model: ModelRef) -> Result<DownloadStream> {
        Ok(DownloadStream(self.0.download(model)))
    }

    /// Returns whether a model fits this device. Before a download it fetches only the head of the file, and keeps it.
    #[uniffi::method(default(options))]
    pub async fn fit(&self, model: ModelRef, options: FitOptions) -> Result<FitReport> {
        self.0.fit(model, options).await
    }

    /// Returns the installed models.
    pub async fn models(&self) -> Result<Vec<InstalledModel>> {
        self.0.models().await
    }

    /// Returns the installed models whose file was damaged since. They cannot answer, and take space until `remove` or a new
    /// download.
    pub async fn damaged_models(&self) -> Result<Vec<InstalledModel>> {
        self.0.damaged_models().await
    }

    /// Returns the partial downloads, the newest first: those that a download would resume, and the heads that `fit` fetched.
    pub async fn partial_downloads(&self) -> Result<Vec<PartialDownload>> {
        self.0.partial_downloads().await
    }

    /// Removes the partial downloads of a model and returns them; without a model, all but those in progress.
    #[uniffi::method(default(model = None))]
    pub async fn remove_partial(&self, model: Option<ModelRef>) -> Result<Vec<PartialDownload>> {
        self.0.remove_partial(model).await
    }

    /// Installs a GGUF file that is already on this device.
    pub async fn import(&self, path: String) -> Result<InstalledModel> {
        self.0.import(path).await
    }

    /// Unloads a model, removes it from this device and returns it.
    pub async fn remove(&self, model: ModelRef) -> Result<InstalledModel> {
        self.0.remove(model).await
    }

    /// Loads a model into memory, so that its next answer begins at once.
    pub fn start_load(&self, model: ModelRef) -> Result<LoadStream> {
        Ok(LoadStream(self.0.load(model)))
    }

    /// Returns the models in memory, ordered by id. Does not wait for an answer or a load.
    pub fn loaded(&self) -> Result<Vec<LoadedModel>> {
        Ok(self.0.loaded())
    }

    /// Frees the memory of a model, or without one of every model. Its answers end with `Cancelled`; the next request loads
    /// it again.
    #[uniffi::method(default(model = None))]
    pub async fn unload(&self, model: Option<ModelRef>) -> Result<()> {
        self.0.unload(model).await
    }

    /// Returns whether the data directory cannot be written, so that nothing is recorded or stored: installed models answer,
    /// and a change of settings is an error.
    pub fn is_read_only(&self) -> Result<bool> {
        Ok(self.0.is_read_only())
    }

    /// Ends the library in order: cancels active answers, waits until everything about them is recorded, and frees the loaded
    /// models. Waits ten seconds at most.
    pub async fn shut_down(&self) -> Result<()> {
        self.0.shut_down().await
    }

    /// Measures speed and memory of a model with the engine that `chat` uses.
    #[uniffi::method(default(options))]
    pub async fn bench(&self, model: ModelRef, options: BenchOptions) -> Result<BenchReport> {
        self.0.bench(model, options).await
    }

    /// Returns the current state of the device.
    pub fn device(&self) -> Result<DeviceSnapshot> {
        self.0.device()
    }
}

/// An app lifecycle event.
#[uniffi::remote(Enum)]
pub enum AppEvent {
    /// Memory warning: idle models are freed, the states of stored conversations go to files, answers under way reduce their
    /// contexts to what they need, and for a minute routing assumes memory pressure.
    MemoryLow,
    /// The app is about to be killed: all models are freed, and answers on the device end with
    /// `StopReason.memoryCritical`. States go to files only if they are small.
    MemoryCritical,
    /// The app entered the background: idle models are freed, and the states of stored conversations go to files. An answer
    /// under way pauses if the model computes on a GPU or `Config.pauseInBackground` is set, else it continues for as long as
    /// the system allows.
    Background,
    /// The app returned to the foreground: paused answers go on, and providers that were paused after failures are tried
    /// again.
    Foreground,
}
