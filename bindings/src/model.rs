//! What a model is, where it comes from and whether it fits: `core/src/model`.

use nearside::model::{
    Budget, CacheType, DownloadEvent, FitOptions, FitReport, HubFile, InstalledModel, LoadPlan, ModelRef, Need,
    Suggestion, Verdict,
};

use crate::Result;

/// Which model is meant.
#[uniffi::remote(Enum)]
pub enum ModelRef {
    /// An installed model, by its id.
    Name { name: String },
    /// A GGUF file on this device.
    Path { path: String },
    /// A file of a repository (`ORG/REPO`) on the hub.
    Hub {
        repo: String,
        revision: Option<String>,
        file: HubFile,
    },
    /// A GGUF file behind an `https` address.
    Url { url: String, sha256: Option<String> },
}

/// Which file of a repository.
#[uniffi::remote(Enum)]
pub enum HubFile {
    /// The one that most people would take.
    Default,
    /// The one with this quantization, such as `Q4_K_M`.
    Quantization { label: String },
    /// The one at this path.
    Path { path: String },
}

/// Reads a reference: `hf:ORG/REPO[@REVISION][:QUANTIZATION or /FILE.gguf]`, an `https` address of a `.gguf` file, a
/// path, or the id of an installed model.
#[uniffi::export]
pub(crate) fn model_ref(text: String) -> Result<ModelRef> {
    ModelRef::parse(&text)
}

/// How the keys and values of attention are kept: 16 bits each, or about half of that at a small loss.
#[uniffi::remote(Enum)]
pub enum CacheType {
    F16,
    Q8_0,
}

/// What to judge a fit by. Unset: what `chat` would use.
#[uniffi::remote(Record)]
pub struct FitOptions {
    /// Tokens of context.
    #[uniffi(default)]
    pub context: Option<u32>,
    /// How the cache is kept.
    #[uniffi(default)]
    pub cache_type: Option<CacheType>,
    /// Bytes that the model may take, instead of what the device has.
    #[uniffi(default)]
    pub budget_bytes: Option<u64>,
}

/// Whether a model fits this device.
#[uniffi::remote(Enum)]
pub enum Verdict {
    /// With room to spare.
    Fits,
    /// It runs, but other apps may have to go.
    Tight,
    /// It does not.
    TooLarge,
}

/// Bytes that a model needs, by what for.
#[uniffi::remote(Record)]
pub struct Need {
    pub weights: u64,
    /// Keys and values of attention, for the whole context.
    pub cache: u64,
    /// Working memory of the computation.
    pub compute: u64,
    pub other: u64,
    pub total: u64,
}

/// Bytes that a model may take, and who says so.
#[uniffi::remote(Record)]
pub struct Budget {
    pub bytes: u64,
    pub source: String,
}

/// How a model would be loaded.
#[uniffi::remote(Enum)]
pub enum LoadPlan {
    /// All of it in memory, arranged for speed.
    Repacked,
    /// As a mapped file, whose pages the system may drop and read again.
    Mapped,
}

/// A change that would make a model fit.
#[uniffi::remote(Record)]
pub struct Suggestion {
    /// For a person to read.
    pub text: String,
    pub context: u32,
    pub cache_type: CacheType,
    pub load: LoadPlan,
    /// Bytes that it would then need.
    pub total: u64,
}

/// Whether a model fits, and why.
#[uniffi::remote(Record)]
pub struct FitReport {
    /// Which model was judged.
    pub model: String,
    pub verdict: Verdict,
    pub need: Need,
    pub budget: Budget,
    /// The part of the need that the system may drop and read again: mapped weights.
    pub evictable: u64,
    pub load: LoadPlan,
    /// For a person to read.
    pub reason: String,
    /// Tokens of context that were judged.
    pub context: u32,
    pub cache_type: CacheType,
    /// Tokens of context that the model was trained with.
    pub context_length: u32,
    pub architecture: String,
    pub quantization: String,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Bytes that came over the network for this answer; a download keeps them.
    pub network_bytes: u64,
    /// The smallest changes that would make it fit.
    pub suggestions: Vec<Suggestion>,
}

/// A model on this device.
#[uniffi::remote(Record)]
pub struct InstalledModel {
    /// What a request names it by.
    pub id: String,
    pub path: String,
    pub sha256: String,
    pub size_bytes: u64,
    pub quantization: String,
    pub architecture: String,
    /// Tokens of context that the model was trained with.
    pub context_length: u32,
    /// The reference that it came from.
    pub source: String,
}

/// A step of a download. In this order; a model that is already here gives the first and the last.
#[uniffi::remote(Enum)]
pub enum DownloadEvent {
    /// It is known what will come.
    Resolved {
        name: String,
        url: String,
        size_bytes: u64,
        sha256: Option<String>,
    },
    /// At most about ten a second. The first says what was here already, the last one has `done` equal to `total`.
    Progress {
        done: u64,
        total: u64,
        bytes_per_second: u64,
    },
    /// Everything is here and is being checked.
    Verifying,
    /// Done.
    Installed { model: InstalledModel },
}

/// A download under way, pulled batch by batch. Most apps use `Nearside.download` instead, which is a loop over this.
/// Letting go of it cancels the download; what came is kept, and the next one goes on from there.
#[derive(uniffi::Object)]
pub struct DownloadStream(pub(crate) nearside::model::DownloadStream);

#[uniffi::export]
impl DownloadStream {
    /// Waits for an event and takes whatever else is there, in order. Empty: it is over.
    pub async fn next_batch(&self) -> Result<Vec<DownloadEvent>> {
        self.0.next_batch().await
    }

    /// Stops the download, from any thread and as often as you like. The stream then ends without `Installed`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
