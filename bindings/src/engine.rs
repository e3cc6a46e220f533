//! Benchmarks: `core/src/engine`.

use nearside::engine::{BenchMeasured, BenchMemory, BenchModel, BenchOptions, BenchRates, BenchReport};
use nearside::model::MemoryEstimate;

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
    /// Backend that computed, such as `CPU`.
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
