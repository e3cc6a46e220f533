//! Options and result of a fit check.

use serde::{Deserialize, Serialize};

/// Precision of the key-value cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheType {
    /// Two bytes per value.
    #[default]
    #[serde(rename = "f16")]
    F16,
    /// A little more than one byte per value (34 bytes for 32).
    #[serde(rename = "q8_0")]
    Q8_0,
}

/// Options of a fit check. All have defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitOptions {
    /// Context in tokens; unset: that of the configuration, or 4096. Limited to the context that the model was trained with.
    pub context: Option<u32>,
    /// Precision of the cache; unset: that of the configuration, or 16-bit floats.
    pub cache_type: Option<CacheType>,
    /// Layers on the GPU; unset: as configured, or as the engine chooses.
    #[serde(default)]
    pub gpu_layers: Option<u32>,
    /// Memory budget in bytes, instead of the device's free memory.
    pub budget_bytes: Option<u64>,
}

/// Result of a fit check. See [`crate::model::fit`] for the exact rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FitVerdict {
    /// Everything fits into memory.
    Fits,
    /// It runs from a mapped file of which a part is read again and again: slowly, and slower on a busy device.
    Tight,
    /// It cannot run.
    TooLarge,
}

/// Memory of a loaded model in bytes, by use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEstimate {
    /// Weights, in memory of our own or mapped.
    pub weights: u64,
    /// Key-value cache of the context, and recurrent states.
    pub cache: u64,
    /// Intermediate results of a computation.
    pub compute: u64,
    /// Vocabulary, graph, threads: an estimate, see [`crate::model::fit`].
    pub other: u64,
    /// The sum.
    pub total: u64,
}

impl MemoryEstimate {
    /// Returns the estimate with its sum.
    pub(crate) fn with_total(self) -> Self {
        let parts = [self.weights, self.cache, self.compute, self.other];
        Self {
            total: parts.into_iter().fold(0, u64::saturating_add),
            ..self
        }
    }
}

/// Memory that a model may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryBudget {
    /// Size in bytes.
    pub bytes: u64,
    /// Source of the number: `given`, or the measure of free memory and what it was changed by, for display.
    pub source: String,
}

/// Load mode of the weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadPlan {
    /// Copied into memory of our own, in the fastest layout.
    #[default]
    Repacked,
    /// Mapped from the file as it is: slower, but the system may evict pages and read them again.
    Mapped,
}

/// A change of options that improves the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitSuggestion {
    /// The change and its effect, for display.
    pub text: String,
    /// Context in tokens to request.
    pub context: u32,
    /// Cache type to request.
    pub cache_type: CacheType,
    /// Load mode that results.
    pub load: LoadPlan,
    /// Memory that results, in bytes.
    pub total: u64,
}

/// Result of a fit check, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitReport {
    /// Reference of the model, or its file's name.
    pub model: String,
    /// The verdict.
    pub verdict: FitVerdict,
    /// Memory that the model needs.
    pub need: MemoryEstimate,
    /// Memory that it may use.
    pub budget: MemoryBudget,
    /// Bytes of the need that the system may evict and read again: mapped weights.
    pub evictable: u64,
    /// Load mode that the engine would use.
    pub load: LoadPlan,
    /// Reason of the verdict, for display.
    pub reason: String,
    /// Context in tokens that was checked.
    pub context: u32,
    /// Cache type that was checked.
    pub cache_type: CacheType,
    /// Context in tokens that the model was trained with.
    pub context_length: u32,
    /// Architecture, such as `llama` or `qwen2`.
    pub architecture: String,
    /// Quantization, such as `Q4_K_M`.
    pub quantization: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Bytes that were fetched for this check.
    pub network_bytes: u64,
    /// At most three changes that would improve the verdict, the smallest first. Empty if it fits.
    pub suggestions: Vec<FitSuggestion>,
    /// Limits that have nothing to do with memory, for display: a missing chat template, or a requested context that is larger
    /// than the one that the model was trained with, so that the report is about less than was asked for.
    #[serde(default)]
    pub note: Option<String>,
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
