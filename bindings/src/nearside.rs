//! The object an app holds: `core/src/nearside.rs`.
//!
//! `chat` and `download` are called `start_chat` and `start_download` here, because the hand-written halves give the
//! short names to what an app wants: a `Flow`, an `AsyncSequence`.

use std::sync::Arc;

use nearside::chat::{ChatRequest, PresetValues};
use nearside::device::Snapshot;
use nearside::engine::remote::{ProviderSettings, RemoteModel, Secret};
use nearside::engine::{BenchOptions, BenchReport};
use nearside::model::{CacheType, CatalogEntry, FitOptions, FitReport, InstalledModel, ModelRef};
use nearside::route::{CostRow, Decision, Policy, SpendBy, SpendRow, Spent};
use nearside::{AppEvent, Config, ProviderStatus};

use crate::device::Foreign;
use crate::{ChatStream, Conversations, DeviceHost, DownloadStream, Result, SignIn};

/// Where things are and how models run. Everything but `directory` has a default.
#[uniffi::remote(Record)]
pub struct Config {
    /// Where models are kept. Made if missing. On a phone: a folder that is not backed up.
    pub directory: String,
    /// The hub's base address. Unset: `https://huggingface.co`. Plain `http` only for this machine.
    #[uniffi(default)]
    pub hub: Option<String>,
    /// Tokens of context. Unset: 4,096, or what the model was trained with if that is less.
    #[uniffi(default)]
    pub context: Option<u32>,
    /// How the KV cache is stored. Unset: f16.
    #[uniffi(default)]
    pub cache_type: Option<CacheType>,
    /// Threads that compute. Unset: the performance cores that this process may use.
    #[uniffi(default)]
    pub threads: Option<u32>,
}

/// Language models on this device. Make one for the life of the app: a loaded model stays loaded, for the next request
/// to find.
#[derive(uniffi::Object)]
pub struct Nearside(pub(crate) nearside::Nearside);

#[uniffi::export]
impl Nearside {
    /// Opens the directory, and makes it if it is missing. Loads nothing.
    #[uniffi::constructor]
    pub fn new(config: Config) -> Result<Self> {
        nearside::Nearside::new(config).map(Self)
    }

    /// The same on a phone, whose app tells what only it can know.
    #[uniffi::constructor]
    pub fn with_host(config: Config, host: Arc<dyn DeviceHost>) -> Result<Self> {
        nearside::Nearside::with_host(config, Arc::new(Foreign(host))).map(Self)
    }

    /// Gives the hub its token, for private and gated models, for as long as this object lives. Empty: takes it away.
    pub fn set_hub_token(&self, token: String) -> Result<()> {
        self.0.set_hub_token(Secret::new(token))
    }

    /// Asks. Returns at once; what goes wrong with the request comes out of the stream.
    pub fn start_chat(&self, request: ChatRequest) -> Result<ChatStream> {
        Ok(ChatStream(self.0.chat(request)))
    }

    /// Goes on elsewhere with an answer that broke off: `said` is what was written so far, and only what comes after it
    /// is streamed.
    pub fn start_continue_remotely(&self, request: ChatRequest, said: String) -> Result<ChatStream> {
        Ok(ChatStream(self.0.continue_remotely(request, said)))
    }

    /// Decides who would answer, and sends the words to nobody. May wait seconds for a provider's list of models.
    pub async fn route(&self, request: ChatRequest) -> Result<Decision> {
        self.0.route(request).await
    }

    /// The conversations that are kept in the library's directory.
    pub fn conversations(self: Arc<Self>) -> Result<Arc<Conversations>> {
        let inner = self.0.conversations()?;
        Ok(Arc::new(Conversations(inner, self)))
    }

    /// What stands behind each preset for this model, as in a request. Unset: any model.
    #[uniffi::method(default(model = None, provider = None))]
    pub async fn presets(&self, model: Option<String>, provider: Option<String>) -> Result<Vec<PresetValues>> {
        self.0.presets(model, provider).await
    }

    /// Models worth having on a phone, from small to large. `fit` says of each whether it fits this one.
    pub fn catalog(&self) -> Result<Vec<CatalogEntry>> {
        Ok(self.0.catalog())
    }

    /// Tells what happened to the app. Returns at once.
    pub fn notify(&self, event: AppEvent) -> Result<()> {
        self.0.notify(event);
        Ok(())
    }

    /// What this request would cost here and everywhere, the cheapest first. Asks nobody.
    pub async fn cost(&self, request: ChatRequest) -> Result<Vec<CostRow>> {
        self.0.cost(request).await
    }

    /// What is allowed.
    pub fn policy(&self) -> Result<Policy> {
        Ok(self.0.policy())
    }

    /// Changes what is allowed, from the next request on. Kept over restarts.
    pub async fn set_policy(&self, policy: Policy) -> Result<()> {
        self.0.set_policy(policy).await
    }

    /// Sets a provider up, or anew under the same name. Kept over restarts; its credential is not, see `setKey`.
    pub async fn add_provider(&self, settings: ProviderSettings) -> Result<()> {
        self.0.add_provider(settings).await
    }

    /// Gives a provider its credential, for as long as this object lives. Empty: takes it away.
    pub fn set_key(&self, provider: String, key: String) -> Result<()> {
        self.0.set_key(&provider, Secret::new(key));
        Ok(())
    }

    /// Forgets a provider, its model list and its credential. What was spent there stays in the reports.
    pub async fn remove_provider(&self, name: String) -> Result<()> {
        self.0.remove_provider(name).await
    }

    /// The providers that are set up, by name.
    pub async fn providers(&self) -> Result<Vec<ProviderStatus>> {
        self.0.providers().await
    }

    /// Asks a provider for its models, and keeps the list.
    pub async fn provider_models(&self, name: String) -> Result<Vec<RemoteModel>> {
        self.0.provider_models(name).await
    }

    /// Begins to sign a person in at OpenRouter. `callback` is where the browser goes afterwards.
    #[uniffi::method(default(callback = None))]
    pub async fn sign_in(&self, provider: String, callback: Option<String>) -> Result<SignIn> {
        self.0
            .sign_in(provider, callback)
            .await
            .map(|begun| SignIn(Arc::new(begun)))
    }

    /// Ends a sign-in with the code that the browser brought. The provider has its key from now on; it is given to the
    /// app to keep for the next start.
    pub async fn finish_sign_in(&self, provider: String, sign_in: Arc<SignIn>, code: String) -> Result<String> {
        let key = self.0.finish_sign_in(provider, Arc::clone(&sign_in.0), code).await?;
        Ok(key.into_text())
    }

    /// What was spent today and this month, in UTC.
    pub async fn spent(&self) -> Result<Spent> {
        self.0.spent().await
    }

    /// What was spent, summed up.
    pub async fn spending(&self, by: SpendBy) -> Result<Vec<SpendRow>> {
        self.0.spending(by).await
    }

    /// Downloads a model, or goes on with it: resolves it, fetches what is missing, checks it and installs it.
    pub fn start_download(&self, model: ModelRef) -> Result<DownloadStream> {
        Ok(DownloadStream(self.0.download(model)))
    }

    /// Whether a model fits this device, before any download: only the head of the file is fetched, and kept.
    #[uniffi::method(default(options))]
    pub async fn fit(&self, model: ModelRef, options: FitOptions) -> Result<FitReport> {
        self.0.fit(model, options).await
    }

    /// The models on this device.
    pub async fn models(&self) -> Result<Vec<InstalledModel>> {
        self.0.models().await
    }

    /// Installs a GGUF file that is already on this device.
    pub async fn import(&self, path: String) -> Result<InstalledModel> {
        self.0.import(path).await
    }

    /// Removes a model from this device, and says what was removed.
    pub async fn remove(&self, model: ModelRef) -> Result<InstalledModel> {
        self.0.remove(model).await
    }

    /// Frees the memory of every loaded model. Answers under way end with `Cancelled`; the next request loads its model
    /// again.
    pub async fn unload(&self) -> Result<()> {
        self.0.unload().await
    }

    /// Measures speed and memory with the engine that `chat` uses.
    #[uniffi::method(default(options))]
    pub async fn bench(&self, model: ModelRef, options: BenchOptions) -> Result<BenchReport> {
        self.0.bench(model, options).await
    }

    /// The machine as it is at this moment.
    pub fn device(&self) -> Result<Snapshot> {
        self.0.device()
    }
}

/// What happened to the app.
#[uniffi::remote(Enum)]
pub enum AppEvent {
    /// The system asks for memory: loaded models that nobody uses are freed, and for a minute decisions count as made
    /// under memory pressure.
    MemoryLow,
    /// The system is about to end the app: every loaded model is freed, and answers on the device end as cancelled.
    MemoryCritical,
    /// Nobody looks at the app: loaded models that nobody uses are freed.
    Background,
    /// Somebody looks again.
    Foreground,
}
