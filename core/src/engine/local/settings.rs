//! Settings of the engine on this device.

use std::path::PathBuf;

use crate::model::CacheType;

/// Settings with which a model is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LocalSettings {
    /// The model's file, complete and verified.
    pub path: PathBuf,
    /// Model id in receipts.
    pub id: String,
    /// Context size in tokens. Unset: 4,096, or the trained context if that is smaller.
    pub context: Option<u32>,
    /// Type of the KV cache. Unset: f16.
    pub cache_type: Option<CacheType>,
    /// Compute threads. Unset: the performance cores that this process may use.
    pub threads: Option<u32>,
}
