//! The object an app holds: `core/src/nearside.rs`.
//!
//! `chat` and `download` are called `start_chat` and `start_download` here, because the hand-written halves give the
//! short names to what an app wants: a `Flow`, an `AsyncSequence`.

use nearside::Config;
use nearside::chat::ChatRequest;
use nearside::device::Snapshot;
use nearside::engine::{BenchOptions, BenchReport};
use nearside::model::{CacheType, FitOptions, FitReport, InstalledModel, ModelRef};

use crate::{ChatStream, DownloadStream, Result};

/// Where things are and how models run. Everything but `directory` has a default.
#[uniffi::remote(Record)]
pub struct Config {
    /// Where models are kept. Made if missing. On a phone: a folder that is not backed up.
    pub directory: String,
    /// The hub's base address. Unset: `https://huggingface.co`. Plain `http` only for this machine.
    #[uniffi(default)]
    pub hub: Option<String>,
    /// A token for the hub, for private and gated models. A record prints all its fields: do not log this one.
    #[uniffi(default)]
    pub hub_token: Option<String>,
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

    /// Asks. Returns at once; what goes wrong with the request comes out of the stream.
    pub fn start_chat(&self, request: ChatRequest) -> Result<ChatStream> {
        Ok(ChatStream(self.0.chat(request)))
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
