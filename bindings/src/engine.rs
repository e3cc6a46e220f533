//! What a benchmark measures: `core/src/engine`.

use nearside::engine::{BenchMemory, BenchModel, BenchOptions, BenchReport, Measured, Rates};
use nearside::model::Need;

/// What to measure. The defaults are those of llama-bench, so that the figures can be compared.
#[uniffi::remote(Record)]
pub struct BenchOptions {
    /// Tokens of the prompt; 0 leaves prefill out.
    #[uniffi(default = 512)]
    pub prompt_tokens: u32,
    /// Tokens to generate; 0 leaves generating out.
    #[uniffi(default = 128)]
    pub generate_tokens: u32,
    /// Runs of each, after one that does not count.
    #[uniffi(default = 5)]
    pub repetitions: u32,
}

/// Speed and memory of one model on this machine.
#[uniffi::remote(Record)]
pub struct BenchReport {
    pub model: BenchModel,
    /// What it ran on.
    pub backend: String,
    pub threads: u32,
    /// Prefill.
    pub prompt: Rates,
    /// Decoding.
    pub generate: Rates,
    /// Milliseconds from the prompt to the first generated token, with the model loaded; median.
    pub first_token_ms: f64,
    /// Milliseconds to load the model; 0 if it was loaded already.
    pub load_ms: f64,
    pub memory: BenchMemory,
    /// llama.cpp's version and the processor features that it uses.
    pub build: String,
}

/// Which model was measured.
#[uniffi::remote(Record)]
pub struct BenchModel {
    /// The id of the installed model, or the path of its file.
    pub id: String,
    /// Empty where it is not known.
    pub sha256: String,
    pub quantization: String,
}

/// The runs of one measurement: tokens of each run, and tokens a second, a run each.
#[uniffi::remote(Record)]
pub struct Rates {
    pub tokens: u32,
    pub tokens_per_second: Vec<f64>,
}

/// Memory, as the verdict said and as it is.
#[uniffi::remote(Record)]
pub struct BenchMemory {
    pub predicted: Need,
    pub measured: Measured,
}

/// Memory of a loaded model, in bytes.
#[uniffi::remote(Record)]
pub struct Measured {
    pub weights: u64,
    pub cache: u64,
    pub compute: u64,
    /// The most that the process held at any time; 0 where the system does not tell.
    pub peak_rss: u64,
}
