//! What a benchmark measures: `core/src/engine`.

use nearside::engine::{BenchMemory, BenchModel, BenchOptions, BenchReport, Measured, Rates};
use nearside::model::Need;

/// What to measure. The defaults are those of llama-bench, so that the figures can be compared.
#[uniffi::remote(Record)]
pub struct BenchOptions {
    #[uniffi(default = 512)]
    pub prompt_tokens: u32,
    #[uniffi(default = 128)]
    pub generate_tokens: u32,
    #[uniffi(default = 5)]
    pub repetitions: u32,
}

/// How fast a model runs here, and what it took.
#[uniffi::remote(Record)]
pub struct BenchReport {
    pub model: BenchModel,
    /// What computed: `CPU`, `Metal`.
    pub backend: String,
    pub threads: u32,
    /// Reading the prompt.
    pub prompt: Rates,
    /// Writing the answer.
    pub generate: Rates,
    /// Milliseconds.
    pub first_token_ms: f64,
    /// Milliseconds.
    pub load_ms: f64,
    pub memory: BenchMemory,
    /// Versions of the library and of llama.cpp.
    pub build: String,
}

/// Which model was measured.
#[uniffi::remote(Record)]
pub struct BenchModel {
    pub id: String,
    pub sha256: String,
    pub quantization: String,
}

/// One speed per repetition.
#[uniffi::remote(Record)]
pub struct Rates {
    pub tokens: u32,
    pub tokens_per_second: Vec<f64>,
}

/// What was foretold, and what it came to.
#[uniffi::remote(Record)]
pub struct BenchMemory {
    pub predicted: Need,
    pub measured: Measured,
}

/// Bytes.
#[uniffi::remote(Record)]
pub struct Measured {
    pub weights: u64,
    pub cache: u64,
    pub compute: u64,
    /// The most that the process ever held.
    pub peak_rss: u64,
}
