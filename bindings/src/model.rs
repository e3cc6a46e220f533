//! What a model is, where it comes from and whether it fits: `core/src/model`.

use nearside::model::{
    Budget, CacheType, CatalogEntry, DownloadEvent, FitOptions, FitReport, HubFile, InstalledModel, LoadPlan, ModelRef,
    Need, ResolvedFile, Suggestion, Verdict,
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
    /// The hub's habit: Q4_K_M, else Q8_0, else the first.
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

/// Element type of the KV cache.
#[uniffi::remote(Enum)]
pub enum CacheType {
    /// Two bytes a value.
    F16,
    /// A little more than one byte a value.
    Q8_0,
}

/// What to fit. Everything has a default.
#[uniffi::remote(Record)]
pub struct FitOptions {
    /// Tokens of context; 4096 if unset. More than the model was trained with is lowered to that.
    #[uniffi(default)]
    pub context: Option<u32>,
    /// How exact the cache is; 16-bit floats if unset.
    #[uniffi(default)]
    pub cache_type: Option<CacheType>,
    /// Bytes that the model may take, instead of what the device has free.
    #[uniffi(default)]
    pub budget_bytes: Option<u64>,
}

/// Whether a model fits this device.
#[uniffi::remote(Enum)]
pub enum Verdict {
    /// All of it has room.
    Fits,
    /// It runs from a mapped file of which a part is read again and again: slowly, and the slower the busier the device is.
    Tight,
    /// It can't run.
    TooLarge,
}

/// Bytes that a loaded model takes, by what takes them.
#[uniffi::remote(Record)]
pub struct Need {
    pub weights: u64,
    /// Keys and values of the context, and recurrent states.
    pub cache: u64,
    /// The intermediate results of a computation.
    pub compute: u64,
    /// Vocabulary, graph, threads: an estimate.
    pub other: u64,
    /// The sum.
    pub total: u64,
}

/// Bytes that a model may take.
#[uniffi::remote(Record)]
pub struct Budget {
    pub bytes: u64,
    /// Where the number comes from: `given`, or what the device's free memory was measured by.
    pub source: String,
}

/// How the weights are loaded.
#[uniffi::remote(Enum)]
pub enum LoadPlan {
    /// Once into memory, in the layout that computes fastest.
    Repacked,
    /// The file is mapped as it is: slower, but the system may drop pages of it and read them again.
    Mapped,
}

/// A change that makes a better verdict.
#[uniffi::remote(Record)]
pub struct Suggestion {
    /// The change and what it does, for a person to read.
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
    /// Such as `llama` or `qwen2`.
    pub architecture: String,
    /// Such as `Q4_K_M`.
    pub quantization: String,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Bytes that were fetched to find out; a download keeps them.
    pub network_bytes: u64,
    /// At most three changes that would make a better verdict, the smallest first. None if it fits.
    pub suggestions: Vec<Suggestion>,
}

/// A model on this device.
#[uniffi::remote(Record)]
pub struct InstalledModel {
    /// What a request names it by: the file's name in lower case without its ending.
    pub id: String,
    pub path: String,
    /// 64 lower-case hex digits.
    pub sha256: String,
    pub size_bytes: u64,
    /// How the weights are stored, such as `Q4_K_M`.
    pub quantization: String,
    /// Such as `llama` or `qwen2`.
    pub architecture: String,
    /// The longest context that it was trained with, in tokens.
    pub context_length: u32,
    /// The exact reference or path that it came from.
    pub source: String,
}

/// A step of a download. In this order; a model that is already here gives the first and the last.
#[uniffi::remote(Enum)]
pub enum DownloadEvent {
    /// The reference was resolved.
    Resolved { file: ResolvedFile },
    /// Bytes on disk, from this and earlier runs. About ten times a second; finally `done` equals `total`.
    Progress {
        done: u64,
        total: u64,
        bytes_per_second: u64,
    },
    /// The transfer is complete; the hash is being verified.
    Verifying,
    /// The model is whole and in the store.
    Installed { model: InstalledModel },
}

/// The file that a reference resolved to.
#[uniffi::remote(Record)]
pub struct ResolvedFile {
    /// The file's name.
    pub name: String,
    /// Its URL, without a query. Empty for an installed model.
    pub url: String,
    /// Size of the whole file, in bytes.
    pub size_bytes: u64,
    /// Expected SHA-256, if it is known before the download.
    pub sha256: Option<String>,
}

/// A download in progress, pulled in batches. Most apps use `Nearside.download` instead, which loops over this.
/// Dropping it cancels the download; the partial file is kept, and the next download resumes it.
#[derive(uniffi::Object)]
pub struct DownloadStream(pub(crate) nearside::model::DownloadStream);

#[uniffi::export]
impl DownloadStream {
    /// Waits for the next event and returns it with all that are queued, in order. Empty: the download is over.
    pub async fn next_batch(&self) -> Result<Vec<DownloadEvent>> {
        self.0.next_batch().await
    }

    /// Cancels the download. Idempotent, callable from any thread. The stream then ends without `Installed`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// A model worth having.
#[uniffi::remote(Record)]
pub struct CatalogEntry {
    /// Short, such as `smollm2-360m`.
    pub id: String,
    /// Where it is.
    pub model: ModelRef,
    /// For people.
    pub name: String,
    /// Who made it.
    pub maker: String,
    pub parameters: u64,
    /// How its weights are stored, such as `Q4_K_M`.
    pub quantization: String,
    /// Bytes to download, about.
    pub size_bytes: u64,
    /// What may be done with it: an SPDX name, or the name of the maker's own terms.
    pub license: String,
    /// It thinks before it answers.
    pub reasoning: bool,
    /// What it is good for, in a line.
    pub note: String,
    /// The day of this entry, as `2026-11-22`.
    pub as_of: String,
}
