//! Models in memory and benchmarks: `core/src/engine`.

use nearside::engine::{
    BenchMeasured, BenchMemory, BenchModel, BenchOptions, BenchRates, BenchReport, LoadEvent, LoadedModel,
};
use nearside::model::{CacheType, LoadPlan, MemoryEstimate};

use crate::error::Result;

/// A model in memory.
#[uniffi::remote(Record)]
pub struct LoadedModel {
    /// The id of the installed model, or the path of its file: as a request names it.
    pub id: String,
    /// Path of its file.
    pub path: String,
    /// Bytes of memory that unloading it gives back, without mapped weights. The buffers of computations become resident with
    /// the first long prompt; from then on this is its resident memory within 5 %.
    pub memory_bytes: u64,
    /// Bytes of weights that are mapped from the file: resident while memory is free, and evicted by the system when it is not.
    pub mapped_bytes: u64,
    /// Context length in tokens, at present: it grows with a long conversation.
    pub context: u32,
    pub cache_type: CacheType,
    pub load: LoadPlan,
    /// Compute threads.
    pub threads: u32,
    /// Whether it answers, or an answer or a benchmark waits for it.
    pub in_use: bool,
    /// Milliseconds since its last use; 0 while it is in use.
    pub idle_ms: u64,
}

/// An event of a load. A model that is in memory already sends only `Loaded`.
#[uniffi::remote(Enum)]
pub enum LoadEvent {
    /// The part of the load that is done, 0 to 1: rises, and the last one is 1.
    Progress { fraction: f64 },
    /// The model is in memory.
    Loaded { model: LoadedModel },
}

/// An active load, pulled in batches. Most apps use `Nearside.load` instead, which loops over this. Dropping it cancels the
/// load; the model is loaded nevertheless if an answer waits for it.
#[derive(uniffi::Object)]
pub struct LoadStream(pub(crate) nearside::engine::LoadStream);

#[uniffi::export]
impl LoadStream {
    /// Waits for the next event and returns it with all queued ones, in order. Empty: the stream has ended.
    pub async fn next_batch(&self) -> Result<Vec<LoadEvent>> {
        self.0.next_batch().await
    }

    /// Cancels the load. Idempotent, callable from any thread. The stream then ends without `Loaded`.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// Options of a benchmark. The defaults are those of llama-bench, so that results are comparable.
#[uniffi::remote(Record)]
pub struct BenchOptions {
    /// Tokens of the prompt; 0 skips prefill.
    #[uniffi(default = 512)]
    pub prompt_tokens: u32,
    /// Tokens to generate; 0 skips decoding.
    #[uniffi(default = 128)]
    pub generate_tokens: u32,
    /// Runs of each, after a warm-up run.
    #[uniffi(default = 5)]
    pub repetitions: u32,
}

/// Speed and memory of one model on this machine.
#[uniffi::remote(Record)]
pub struct BenchReport {
    pub model: BenchModel,
    /// Backends that hold the weights and compute, such as `CPU`, or `MTL0 + CPU` with Metal.
    pub backend: String,
    pub threads: u32,
    /// Prefill.
    pub prompt: BenchRates,
    /// Decoding.
    pub generate: BenchRates,
    /// Milliseconds from the prompt to the first generated token, with the model loaded; median.
    pub first_token_ms: f64,
    /// Milliseconds to load the model; 0 if it was loaded already.
    pub load_ms: f64,
    pub memory: BenchMemory,
    /// llama.cpp's version and the processor features that it uses.
    pub build: String,
}

/// The model that was measured.
#[uniffi::remote(Record)]
pub struct BenchModel {
    /// The id of the installed model, or the path of its file.
    pub id: String,
    /// Empty if unknown.
    pub sha256: String,
    pub quantization: String,
}

/// The runs of one measurement: tokens per run, and tokens per second of each run.
#[uniffi::remote(Record)]
pub struct BenchRates {
    pub tokens: u32,
    pub tokens_per_second: Vec<f64>,
}

/// Memory, as the fit verdict predicted and as measured.
#[uniffi::remote(Record)]
pub struct BenchMemory {
    pub predicted: MemoryEstimate,
    pub measured: BenchMeasured,
}

/// Memory of a loaded model, in bytes.
#[uniffi::remote(Record)]
pub struct BenchMeasured {
    pub weights: u64,
    pub cache: u64,
    pub compute: u64,
    /// Peak resident memory of the process; 0 if the system does not report it.
    pub peak_rss: u64,
}
