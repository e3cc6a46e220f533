//! What an engine's model holds in memory, readable at any time without waiting for the engine's thread.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::settings::LocalSettings;
use crate::model::fit::LoadOrder;
use crate::model::{CacheType, LoadPlan};
use crate::sync::lock;

/// A model in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedModel {
    /// The id of the installed model, or the path of its file: as a request names it.
    pub id: String,
    /// Path of its file.
    pub path: String,
    /// Bytes of memory that unloading it gives back: weights in memory of our own, cache, buffers of computations,
    /// vocabulary, and the copies of earlier conversations' caches. The buffers become resident with the first long
    /// prompt; from then on this is the resident memory of the model within 5 %.
    pub memory_bytes: u64,
    /// Bytes of weights that are mapped from the file, which `memory_bytes` does not include. All of them are resident while
    /// memory is free; the system may evict them at any time and reads them again.
    pub mapped_bytes: u64,
    /// Context length in tokens, at present: it grows with a long conversation.
    pub context: u32,
    /// Element type of the KV cache.
    pub cache_type: CacheType,
    /// How the weights are loaded.
    pub load: LoadPlan,
    /// Compute threads.
    pub threads: u32,
    /// Whether it answers, or an answer or a measurement waits for it.
    pub in_use: bool,
    /// Milliseconds since its last use; 0 while it is in use.
    pub idle_ms: u64,
}

/// The model of an engine, and the order that it was loaded with.
#[derive(Debug)]
pub(super) struct Residency {
    settings: LocalSettings,
    held: Mutex<Option<Held>>,
}

/// What a loaded model holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) order: LoadOrder,
    /// Compute threads, as the system started them.
    pub(super) threads: u32,
}

impl Residency {
    /// Starts without a model in memory.
    pub(super) fn new(settings: LocalSettings) -> Self {
        Self {
            settings,
            held: Mutex::default(),
        }
    }

    /// Sets what is in memory; `None`: nothing any more.
    pub(super) fn set(&self, held: Option<Held>) {
        *lock(&self.held) = held;
    }

    /// Records the size of the context in tokens, and what its cache and the compute buffers take.
    pub(super) fn resize(&self, tokens: u32, cache: u64, compute: u64) {
        if let Some(held) = &mut *lock(&self.held) {
            held.order.resize(tokens, cache, compute);
        }
    }

    /// Returns the order of the model in memory.
    pub(super) fn order(&self) -> Option<LoadOrder> {
        lock(&self.held).map(|held| held.order)
    }

    /// Describes the model in memory, with these bytes of copies. The caller fills in its use.
    pub(super) fn describe(&self, saved_bytes: u64) -> Option<LoadedModel> {
        let Held { order, threads } = (*lock(&self.held))?;
        Some(LoadedModel {
            id: self.settings.id.clone(),
            path: self.settings.path.to_string_lossy().into_owned(),
            memory_bytes: order.held().saturating_add(saved_bytes),
            mapped_bytes: order.evictable,
            context: order.present_context,
            cache_type: order.cache_type,
            load: order.load,
            threads,
            in_use: false,
            idle_ms: 0,
        })
    }
}
