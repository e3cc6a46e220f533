//! Settings of the engine on this device.

use std::path::PathBuf;

use crate::model::CacheType;

/// What a model is loaded with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LocalSettings {
    /// The model's file; whole and checked.
    pub path: PathBuf,
    /// What receipts call it.
    pub id: String,
    /// Tokens of context. Unset: 4,096, or what the model was trained with if that is less.
    pub context: Option<u32>,
    /// How the KV cache is stored. Unset: f16.
    pub cache_type: Option<CacheType>,
    /// Threads that compute. Unset: the performance cores that this process may use.
    pub threads: Option<u32>,
}
