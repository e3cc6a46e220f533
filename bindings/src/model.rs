//! Models, downloads and memory fit: `core/src/model`.

use nearside::model::{
    CacheType, CatalogEntry, DownloadEvent, FitOptions, FitReport, FitSuggestion, FitVerdict, HubFile, InstalledModel,
    LoadPlan, MemoryBudget, MemoryEstimate, ModelRef, PartialDownload, ResolvedFile,
};

use crate::error::Result;

/// A reference to a model.
#[uniffi::remote(Enum)]
pub enum ModelRef {
    /// An installed model, by its id.
    Name { name: String },
    /// A GGUF file on this device.
    Path { path: String },
    /// A file of a repository (`ORG/REPO`) on the hub. `revision` unset: `main`.
    Hub {
        repo: String,
        revision: Option<String>,
        file: HubFile,
    },
    /// A GGUF file at an `https` URL.
    Url { url: String, sha256: Option<String> },
}

/// A file of a repository.
#[uniffi::remote(Enum)]
pub enum HubFile {
    /// By the hub's convention: Q4_K_M, else Q8_0, else the first.
    Default,
    /// The first with this quantization in its name, such as `Q4_K_M`.
    Quantization { label: String },
    /// The file at this path.
    Path { path: String },
}

/// Parses a reference: `hf:ORG/REPO[@REVISION][:QUANTIZATION or /FILE.gguf]`, an `https` URL of a `.gguf` file, a path,
/// or the id of an installed model.
#[uniffi::export]
pub(crate) fn model_ref(text: String) -> Result<ModelRef> {
    ModelRef::parse(&text)
}

/// Element type of the KV cache.
#[uniffi::remote(Enum)]
pub enum CacheType {
    /// Two bytes per value.
    F16,
    /// Slightly more than one byte per value.
    Q8_0,
}

/// Options of a fit check. All have defaults.
#[uniffi::remote(Record)]
pub struct FitOptions {
    /// Context length in tokens; unset: that of the configuration, or 4096. Limited to the model's training context.
    #[uniffi(default)]
    pub context: Option<u32>,
    /// Element type of the KV cache; unset: that of the configuration, or 16-bit floats.
    #[uniffi(default)]
    pub cache_type: Option<CacheType>,
    /// Layers on the GPU; unset: that of the configuration.
    #[uniffi(default)]
    pub gpu_layers: Option<u32>,
    /// Memory budget in bytes, instead of the device's free memory.
    #[uniffi(default)]
    pub budget_bytes: Option<u64>,
}

/// Whether a model fits this device.
#[uniffi::remote(Enum)]
pub enum FitVerdict {
    /// The whole model fits into memory.
    Fits,
    /// It runs from a mapped file, parts of which are read repeatedly: slowly, and slower on a busy device.
    Tight,
    /// It does not fit.
    TooLarge,
}

/// Bytes of memory that a loaded model needs, by use.
#[uniffi::remote(Record)]
pub struct MemoryEstimate {
    pub weights: u64,
    /// Keys and values of the context, and recurrent states.
    pub cache: u64,
    /// Intermediate results of a computation.
    pub compute: u64,
    /// Vocabulary, graph, threads: an estimate.
    pub other: u64,
    /// The sum.
    pub total: u64,
}

/// Memory that a model may use, in bytes.
#[uniffi::remote(Record)]
pub struct MemoryBudget {
    pub bytes: u64,
    /// Source of the number, to show to the user: `given`, or the source of the free memory and what it was changed by.
    pub source: String,
}

/// How the weights are loaded.
#[uniffi::remote(Enum)]
pub enum LoadPlan {
    /// Read once into memory, in the layout that computes fastest.
    Repacked,
    /// Mapped from the file without repacking: slower, but the system may drop pages and read them again.
    Mapped,
}

/// A change that leads to a better verdict.
#[uniffi::remote(Record)]
pub struct FitSuggestion {
    /// The change and its effect, to show to the user.
    pub text: String,
    pub context: u32,
    pub cache_type: CacheType,
    pub load: LoadPlan,
    /// Bytes that the model then needs.
    pub total: u64,
}

/// Whether a model fits, and why.
#[uniffi::remote(Record)]
pub struct FitReport {
    /// The model's id, or the name of its file.
    pub model: String,
    pub verdict: FitVerdict,
    pub need: MemoryEstimate,
    pub budget: MemoryBudget,
    /// Bytes of the need that the system may drop and read again: mapped weights.
    pub evictable: u64,
    pub load: LoadPlan,
    /// The reason, to show to the user.
    pub reason: String,
    /// Context length of this report, in tokens.
    pub context: u32,
    pub cache_type: CacheType,
    /// Training context of the model, in tokens.
    pub context_length: u32,
    /// Such as `llama` or `qwen2`.
    pub architecture: String,
    /// Such as `Q4_K_M`.
    pub quantization: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Bytes that were fetched for this report; a download reuses them.
    pub network_bytes: u64,
    /// At most three changes that lead to a better verdict, the smallest first. Empty if it fits.
    pub suggestions: Vec<FitSuggestion>,
    /// A limit that has nothing to do with memory, to show to the user, such as a missing chat template.
    #[uniffi(default)]
    pub note: Option<String>,
}

/// An installed model.
#[uniffi::remote(Record)]
pub struct InstalledModel {
    /// Its id in requests: the file's name in lower case without its extension.
    pub id: String,
    pub path: String,
    /// 64 lower-case hex digits.
    pub sha256: String,
    pub size_bytes: u64,
    /// Quantization of the weights, such as `Q4_K_M`.
    pub quantization: String,
    /// Such as `llama` or `qwen2`.
    pub architecture: String,
    /// Training context of the model, in tokens.
    pub context_length: u32,
    /// The exact reference or path of its origin.
    pub source: String,
}

/// A partial download on the disk.
#[uniffi::remote(Record)]
pub struct PartialDownload {
    /// The exact reference of the file.
    pub source: String,
    /// Bytes on the disk so far.
    pub done: u64,
    /// Size of the whole file in bytes.
    pub total: u64,
    /// Time of its last byte, in milliseconds since 1970.
    pub updated_at_ms: u64,
}

/// An event of a download. In this order; an installed model sends only the first and the last.
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
    /// The model is installed.
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

/// An active download, pulled in batches. Most apps use `Nearside.download` instead, which loops over this.
/// Dropping it cancels the download; the partial file is kept, and the next download resumes it.
#[derive(uniffi::Object)]
pub struct DownloadStream(pub(crate) nearside::model::DownloadStream);

#[uniffi::export]
impl DownloadStream {
    /// Waits for the next event and returns it with all queued ones, in order. Empty: the stream has ended.
    pub async fn next_batch(&self) -> Result<Vec<DownloadEvent>> {
        self.0.next_batch().await
    }

    /// Cancels the download. Idempotent, callable from any thread. The stream then ends without `Installed`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// A recommended model.
#[uniffi::remote(Record)]
pub struct CatalogEntry {
    /// Short id, such as `smollm2-360m`.
    pub id: String,
    /// The reference to download it.
    pub model: ModelRef,
    /// Display name.
    pub name: String,
    /// Its vendor.
    pub maker: String,
    pub parameters: u64,
    /// Quantization of the weights, such as `Q4_K_M`.
    pub quantization: String,
    /// Approximate download size in bytes.
    pub size_bytes: u64,
    /// License: an SPDX name, or the name of the vendor's own terms.
    pub license: String,
    /// Whether it reasons before it answers.
    pub reasoning: bool,
    /// Its strengths, in one line.
    pub note: String,
    /// Date of this entry, as `2026-11-22`.
    pub as_of: String,
}
