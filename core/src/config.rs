//! What an app decides when it makes the library's object. Nothing is read from the environment: the host owns paths
//! and secrets and says them here.

use crate::model::CacheType;

/// Settings of one [`crate::Nearside`]. Everything but `directory` has a default that a newcomer would want.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Where models are kept. Made if missing. On a phone: a folder that is not backed up.
    pub directory: String,
    /// The hub's base address. Unset: `https://huggingface.co`. Plain `http` only for this machine.
    pub hub: Option<String>,
    /// A token for the hub, for private and gated models.
    pub hub_token: Option<String>,
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

/// Prints everything but the token.
impl std::fmt::Debug for Config {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Config")
            .field("directory", &self.directory)
            .field("hub", &self.hub)
            .field("hub_token", &self.hub_token.as_ref().map(|_| "…"))
            .field("context", &self.context)
            .field("cache_type", &self.cache_type)
            .field("threads", &self.threads)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_text_holds_no_token() {
        let config = Config {
            hub_token: Some("hf_secret".into()),
            ..Config::new("d")
        };
        assert!(!format!("{config:?}").contains("hf_secret"));
    }
}
