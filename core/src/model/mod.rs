//! What a model is, and whether it fits.

pub mod fit;
pub mod gguf;

pub use fit::{Budget, CacheType, FitOptions, FitReport, LoadPlan, Need, Suggestion, Verdict};
