//! What an app decides when it makes the library's object. Nothing is read from the environment: the host owns paths
//! and says them here. Secrets are given apart (`set_key`, `set_hub_token`): settings get printed.

use crate::model::CacheType;

/// Settings of one [`crate::Nearside`]. Everything but `directory` has a default that a newcomer would want.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Where models are kept. Made if missing. On a phone: a folder that is not backed up.
    pub directory: String,
    /// The hub's base address. Unset: `https://huggingface.co`. Plain `http` only for this machine.
    pub hub: Option<String>,
    /// Tokens of context. Unset: 4,096, or what the model was trained with if that is less.
    pub context: Option<u32>,
    /// How the KV cache is stored. Unset: f16.
    pub cache_type: Option<CacheType>,
    /// Threads that compute. Unset: the performance cores that this process may use.
    pub threads: Option<u32>,
}

impl Config {
    /// The defaults, with models kept in `directory`.
    pub fn new(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            ..Self::default()
        }
    }
}
