//! What is asked about a fit, and what is answered.

use serde::{Deserialize, Serialize};

/// How exact the cache of keys and values is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheType {
    /// Two bytes a value.
    #[default]
    #[serde(rename = "f16")]
    F16,
    /// A little more than one byte a value (34 bytes for 32).
    #[serde(rename = "q8_0")]
    Q8_0,
}

/// What to fit. Everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Tokens of context; 4096 if unset. More than the model was trained with is lowered to that.
    pub context: Option<u32>,
    /// How exact the cache is; 16-bit floats if unset.
    pub cache_type: Option<CacheType>,
    /// Bytes that the model may take, instead of what the device has free.
    pub budget_bytes: Option<u64>,
}

/// Whether it fits. See [`crate::model::fit`] for the exact rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of it has room.
    Fits,
    /// It runs from a mapped file of which a part is read again and again: slowly, and the slower the busier the device is.
    Tight,
    /// It can't run.
    TooLarge,
}

/// Bytes that a loaded model takes, by what takes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The weights, wherever they lie.
    pub weights: u64,
    /// Keys and values of the context, and recurrent states.
    pub cache: u64,
    /// The intermediate results of a computation.
    pub compute: u64,
    /// Vocabulary, graph, threads: an estimate, see [`crate::model::fit`].
    pub other: u64,
    /// The sum.
    pub total: u64,
}

/// Bytes that a model may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// How many.
    pub bytes: u64,
    /// Where the number comes from: `given`, or what the device's free memory was measured by.
    pub source: String,
}

/// How the weights are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadPlan {
    /// Once into memory of our own, in the layout that computes fastest.
    Repacked,
    /// The file is mapped as it is: slower, but the system may drop pages of it and read them again.
    Mapped,
}

/// A change that makes a better verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The change and what it does, for a person to read.
    pub text: String,
    /// Ask for this context …
    pub context: u32,
    /// … and this cache …
    pub cache_type: CacheType,
    /// … and it is loaded like this …
    pub load: LoadPlan,
    /// … taking this many bytes.
    pub total: u64,
}

/// Whether a model fits, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitReport {
    /// The model's id, or its file's name.
    pub model: String,
    /// The answer.
    pub verdict: Verdict,
    /// What it takes.
    pub need: Need,
    /// What there is.
    pub budget: Budget,
    /// Bytes of the need that the system may drop and read again: mapped weights.
    pub evictable: u64,
    /// How the engine would load it.
    pub load: LoadPlan,
    /// Why, for a person to read.
    pub reason: String,
    /// Tokens of context that this is about.
    pub context: u32,
    /// The cache that this is about.
    pub cache_type: CacheType,
    /// Tokens of context that the model was trained with.
    pub context_length: u32,
    /// Such as `llama` or `qwen2`.
    pub architecture: String,
    /// Such as `Q4_K_M`.
    pub quantization: String,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// Bytes that were fetched to find out.
    pub network_bytes: u64,
    /// At most three changes that would make a better verdict, the smallest first. None if it fits.
    pub suggestions: Vec<Suggestion>,
}

impl From<CacheType> for nearside_llama::KvCacheType {
    fn from(cache: CacheType) -> Self {
        match cache {
            CacheType::F16 => Self::F16,
            CacheType::Q8_0 => Self::Q8_0,
        }
    }
}

impl From<LoadPlan> for nearside_llama::LoadMode {
    fn from(load: LoadPlan) -> Self {
        match load {
            LoadPlan::Repacked => Self::Repacked,
            LoadPlan::Mapped => Self::Mapped,
        }
    }
}
