//! The stored states that one loaded model can use, and what it stores.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use nearside_llama::{CacheCheckpoint, Model, SavedCache, Token};
use sha2::{Digest, Sha256};

use super::settings::LocalSettings;
use super::state_file::{HASH_BYTES, StateKey, hash_known};
use super::state_files::{NewState, StateFiles, StoredState};
use crate::model::fit::LoadOrder;

/// The stored states of one loaded model. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct EngineStates {
    files: Arc<StateFiles>,
    key: StateKey,
    /// Of contexts that compute otherwise.
    other_key: StateKey,
    has_long_rope: bool,
}

impl EngineStates {
    /// Derives the key of a model that is being loaded. `None` if nothing is stored for it, or its file cannot be read.
    pub(super) fn new(settings: &LocalSettings, order: &LoadOrder) -> Option<Self> {
        let files = Arc::clone(settings.states.as_ref()?);
        let params = format!(
            "{} {:?} {} {:?} {}",
            nearside_llama::version(),
            order.cache_type,
            order.context,
            order.gpu_layers,
            env!("CARGO_PKG_VERSION"),
        );
        let model = hash_model(&settings.sha256, &settings.path)?;
        let key = |has_long_rope: bool| StateKey {
            model,
            params: Sha256::digest(format!("{params} {has_long_rope}")).into(),
        };
        let (key, other_key) = (key(false), key(true));
        Some(Self {
            files,
            key,
            other_key,
            has_long_rope: false,
        })
    }

    /// Sets how the context of the model computes, as [`LoadOrder::has_long_rope`]: states of others are of no use.
    pub(super) fn set_rope(&mut self, is_long: bool) {
        if self.has_long_rope != is_long {
            self.has_long_rope = is_long;
            std::mem::swap(&mut self.key, &mut self.other_key);
        }
    }

    /// Returns the stored states that this model can use.
    pub(super) fn candidates(&self) -> Vec<StoredState> {
        self.files.candidates(&self.key)
    }

    /// Reads a state, and deletes it if it is damaged.
    pub(super) fn load_state(
        &self,
        model: &Model,
        stored: &StoredState,
        is_stopped: &dyn Fn() -> bool,
    ) -> Option<(SavedCache, Vec<Arc<CacheCheckpoint>>)> {
        let body = self.files.read_body(stored, is_stopped)?;
        let tokens = &stored.header.tokens;
        let entries = stored.header.checkpoints.iter().zip(body.checkpoints);
        let checkpoints = entries.map(|(entry, content)| {
            let tokens = tokens.iter().take(entry.tokens as usize).copied().collect();
            Arc::new(CacheCheckpoint::from_parts(model, tokens, content))
        });
        let checkpoints = checkpoints.collect();
        Some((SavedCache::from_parts(model, tokens.clone(), body.cache), checkpoints))
    }

    /// Stores the cache of a conversation with its latest checkpoints, unless `is_stopped` returns true meanwhile. Returns whether
    /// a file was written.
    pub(super) fn store(
        &self,
        conversation: u64,
        cache: &SavedCache,
        checkpoints: &[Arc<CacheCheckpoint>],
        is_stopped: &dyn Fn() -> bool,
    ) -> bool {
        let begun = Instant::now();
        let tokens = cache.tokens();
        let usable = checkpoints.iter().filter(|one| tokens.starts_with(one.tokens()));
        let mut checkpoints: Vec<_> = usable
            .rev()
            .take(MAX_STORED_CHECKPOINTS)
            .map(|one| (length(one.tokens()), one.content()))
            .collect();
        checkpoints.reverse();
        let state = NewState {
            conversation,
            key: self.key,
            tokens,
            cache: cache.content(),
            checkpoints,
        };
        let is_written = self.files.store(&state, is_stopped);
        if is_written {
            let ms = begun.elapsed().as_millis();
            tracing::info!(
                tokens = tokens.len(),
                bytes = cache.bytes(),
                ms,
                "the state of a conversation is stored"
            );
        }
        is_written
    }
}

fn length(tokens: &[Token]) -> u32 {
    tokens.len() as u32
}

/// Returns a hash of what identifies a model's file: its SHA-256 if that is known, else its length, its time, and samples of
/// its content. `None` if it cannot be read.
pub(super) fn hash_model(sha256: &str, path: &Path) -> Option<[u8; HASH_BYTES]> {
    if !sha256.is_empty() {
        return Some(hash_known(sha256));
    }
    let sample = || -> io::Result<Sha256> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut hash = Sha256::new_with_prefix(format!("{} {}", metadata.len(), changed.as_nanos()));
        let mut sample = Vec::new();
        for at in [0, metadata.len() / 2, metadata.len().saturating_sub(SAMPLE_BYTES)] {
            sample.clear();
            file.seek(SeekFrom::Start(at))?;
            file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut sample)?;
            hash.update(&sample);
        }
        Ok(hash)
    };
    sample().ok().map(|hash| hash.finalize().into())
}

/// Bytes of each sample of a file whose hash is not known.
const SAMPLE_BYTES: u64 = 1 << 16;
/// With one for each batch of 512 tokens, they reach 2,048 tokens back.
const MAX_STORED_CHECKPOINTS: usize = 4;
