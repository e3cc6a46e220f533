//! Configuration of the library object. Nothing is read from the environment: the app owns the paths and passes them
//! here. Secrets are set separately (`set_key`, `set_hub_token`), because settings get printed.

use std::collections::HashMap;
use std::path::Path;

use crate::model::CacheType;
use crate::net::network::NetworkConfig;

/// Configuration of the library. Everything but `directory` has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Directory for models and partial downloads, which can be fetched again. Created if missing. On a phone: a directory
    /// that is not backed up.
    pub directory: String,
    /// Directory for conversations, providers, policy and spending, which cannot be fetched again. Created if missing. On a
    /// phone: a directory that is backed up and protected. Unset: `directory`, so that a backup without the models has
    /// none of them. The first open that sets it moves there what an earlier one stored in `directory`.
    pub data_directory: Option<String>,
    /// The hub's base address. Unset: `https://huggingface.co`. Plain `http` only for this machine.
    pub hub: Option<String>,
    /// Context length in tokens that models are loaded with. Unset: 4,096, or the model's training context if that is less.
    pub context: Option<u32>,
    /// Context lengths of single models, by id, in place of `context`.
    pub model_contexts: HashMap<String, u32>,
    /// Context length in tokens to which that of a loaded model grows, by doubling, when a conversation needs more and the
    /// memory of the moment allows it. Nothing is omitted and read again for that. Unset: the length that is set for the model
    /// in `context` or `model_contexts`, so that it does not grow; its training context if none is set.
    pub max_context: Option<u32>,
    /// Element type of the KV cache. Unset: f16.
    pub cache_type: Option<CacheType>,
    /// Threads that compute, at most as many as the system runs at once. Unset: the performance cores that this process
    /// may use.
    pub threads: Option<u32>,
    /// Whether answers of a model on this device pause while the app is in the background, and go on in the foreground.
    /// Unset: if it computes on a GPU, which the system forbids there.
    pub pause_in_background: Option<bool>,
    /// Layers of a model that the GPU computes. 0: none, and the GPU is not used at all. Unset: all if this build uses a GPU,
    /// and none in Apple's simulators, whose GPU computes wrongly. Without a GPU it has no effect.
    pub gpu_layers: Option<u32>,
    /// Milliseconds that an idle model stays in memory. Each use starts them anew. 0: it is freed right after its last job; one
    /// that `load` brought stays a minute at least, for the answer that it was loaded for. Unset: five minutes. A model is
    /// freed earlier if another one needs its memory, or the app reports that memory is low.
    pub keep_alive_ms: Option<u64>,
    /// Bytes on the disk for the states of stored conversations, in `directory`: with them, the first answer after a start does
    /// not read its conversation again. The least recently used are deleted first. 0: none. Unset: a twentieth of what is
    /// free, at most 2 GiB.
    pub saved_state_bytes: Option<u64>,
    /// Proxy, and trust in the hub. Default: no proxy, the usual roots.
    pub network: NetworkConfig,
}

impl Config {
    /// Returns the defaults, with this directory.
    pub fn new(directory: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            ..Self::default()
        }
    }

    /// Returns the directory of models.
    pub(crate) fn model_path(&self) -> &Path {
        self.directory.as_ref()
    }

    /// Returns the directory of conversations, settings and spending.
    pub(crate) fn data_path(&self) -> &Path {
        self.data_directory.as_ref().unwrap_or(&self.directory).as_ref()
    }
}
