//! The content of a context's cache: which part of it a prompt can use, and copies of it.
//!
//! Caches with full attention can be cut at any token. Recurrent and hybrid models keep one state and not its past, and a
//! sliding window keeps only its last tokens: they go back only to a [`CacheCheckpoint`], which copies just this part.
//! A [`SavedCache`] copies everything, so that another conversation can use the context meanwhile.

#![allow(unsafe_code)]

use llama_cpp_sys_2 as sys;

use crate::context::SEQUENCE;
use crate::{Context, Model, Token};

/// A copy of the whole content of a cache.
#[derive(Debug)]
pub struct SavedCache {
    model: Model,
    tokens: Vec<Token>,
    bytes: Vec<u8>,
}

/// A copy of the part of a cache that cannot be cut: a recurrent state or a sliding window.
#[derive(Debug)]
pub struct CacheCheckpoint(SavedCache);

impl SavedCache {
    /// Rebuilds a copy from its parts, which a copy of the same file by the same build of llama.cpp had, for the same
    /// parameters of the context. The caller must know that they were not damaged: llama.cpp checks their shape, not their
    /// content.
    pub fn from_parts(model: &Model, tokens: Vec<Token>, content: Vec<u8>) -> Self {
        Self {
            model: model.clone(),
            tokens,
            bytes: content,
        }
    }

    /// Returns the content as llama.cpp wrote it.
    pub fn content(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the tokens that the cache held.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Returns the bytes that the copy takes.
    pub fn bytes(&self) -> u64 {
        (self.bytes.len() + size_of_val(&self.tokens[..])) as u64
    }
}

impl CacheCheckpoint {
    /// Rebuilds a checkpoint from its parts, as [`SavedCache::from_parts`] does.
    pub fn from_parts(model: &Model, tokens: Vec<Token>, content: Vec<u8>) -> Self {
        Self(SavedCache::from_parts(model, tokens, content))
    }

    /// Returns the content as llama.cpp wrote it.
    pub fn content(&self) -> &[u8] {
        self.0.content()
    }

    /// Returns the tokens up to this checkpoint.
    pub fn tokens(&self) -> &[Token] {
        self.0.tokens()
    }

    /// Returns the bytes that the copy takes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

impl Context {
    /// Returns the tokens in the cache.
    pub fn held_tokens(&self) -> &[Token] {
        &self.held
    }

    /// Truncates the cache to the first `keep` tokens and returns how many it then holds: less than `keep` if it held
    /// less, 0 if the model cannot remove a part of its cache (recurrent models, sliding windows that have moved on).
    pub fn trim(&mut self, keep: u32) -> u32 {
        if keep >= self.position() {
            return self.position();
        }
        self.has_logits = false;
        if keep > 0 && self.can_trim(keep) && self.remove_after(keep) && self.cache_position() == keep {
            self.held.truncate(keep as usize);
        } else {
            self.clear();
        }
        self.position()
    }

    /// Returns whether [`trim`](Self::trim) can keep the first `keep` tokens now.
    pub fn can_trim(&self, keep: u32) -> bool {
        if keep >= self.position() {
            return true;
        }
        let Ok(keep) = i32::try_from(keep) else {
            return false;
        };
        // SAFETY: the model and the context with its memory are live.
        unsafe {
            let window = sys::llama_model_n_swa(self.model.raw());
            // Attention at `keep` needs the whole window before it, and a sliding cache has dropped the start of it.
            let has_window =
                window == 0 || sys::llama_memory_seq_pos_min(self.cache_memory(), SEQUENCE) <= (keep - window).max(0);
            has_window && !has_state(&self.model)
        }
    }

    /// Returns how many of `common` tokens the cache should keep for a prompt of so many tokens that begins with them. After a
    /// long text the last ones are computed sooner if some before them are computed again: attention over a batch of
    /// [`TILE_TOKENS`] is several times faster for each token than over fewer.
    pub fn worth_keeping(&self, common: u32, prompt: u32) -> u32 {
        let new = prompt.saturating_sub(common);
        if common < LONG_TOKENS || !(2..TILE_TOKENS).contains(&new) || !self.is_tiled || !self.can_trim_anywhere() {
            return common;
        }
        // SAFETY: the model is live.
        let (layers, width) = unsafe {
            (
                sys::llama_model_n_layer(self.model.raw()),
                sys::llama_model_n_embd(self.model.raw()),
            )
        };
        // In products of a weight for each token.
        let weights = self.model.parameters() as f64;
        let attention = f64::from(layers) * f64::from(width) * f64::from(prompt);
        let few = f64::from(new) * (weights + ATTENTION_COST * attention);
        let tile = f64::from(TILE_TOKENS) * (weights + TILED_ATTENTION_COST * attention);
        if tile < few { prompt - TILE_TOKENS } else { common }
    }

    /// Returns whether the cache can be cut at every token, so that it needs no checkpoints.
    pub fn can_trim_anywhere(&self) -> bool {
        // SAFETY: the model is live.
        !has_state(&self.model) && unsafe { sys::llama_model_n_swa(self.model.raw()) } == 0
    }

    /// Copies the whole content. `None` if it is empty, its copy would take more than `max_bytes`, or llama.cpp fails.
    pub fn save(&self, max_bytes: u64) -> Option<SavedCache> {
        self.copy(WHOLE, max_bytes)
    }

    /// Returns the bytes that a copy of the whole content would take.
    pub fn saved_bytes(&self) -> u64 {
        (self.copied_size(WHOLE) + size_of_val(&self.held[..])) as u64
    }

    /// Copies the part of the content that cannot be cut. `None` as in [`save`](Self::save), and if the cache can be cut
    /// anywhere.
    pub fn save_checkpoint(&self, max_bytes: u64) -> Option<CacheCheckpoint> {
        if self.can_trim_anywhere() {
            return None;
        }
        self.copy(PARTIAL, max_bytes).map(CacheCheckpoint)
    }

    /// Replaces the content by a copy, and returns how many tokens the cache then holds: none if the copy is that of
    /// another model, or of another kind of context.
    pub fn restore(&mut self, saved: &SavedCache) -> u32 {
        self.clear();
        if self.apply(saved, WHOLE) {
            self.held.extend_from_slice(&saved.tokens);
        } else {
            self.clear();
        }
        self.position()
    }

    /// Goes back to a checkpoint of the present content, and returns how many tokens the cache then holds: none if the
    /// content does not begin with the tokens of the checkpoint.
    pub fn restore_checkpoint(&mut self, checkpoint: &CacheCheckpoint) -> u32 {
        let CacheCheckpoint(saved) = checkpoint;
        let keep = saved.tokens.len() as u32;
        self.has_logits = false;
        let is_own = self.held.starts_with(&saved.tokens);
        if is_own && self.apply(saved, PARTIAL) && self.remove_after(keep) && self.cache_position() == keep {
            self.held.truncate(keep as usize);
        } else {
            self.clear();
        }
        self.position()
    }

    /// Clears the cache.
    pub fn clear(&mut self) {
        // The bytes stay: they are written again before they are read.
        self.empty(false);
    }

    /// Clears the cache, and overwrites what it held. Takes about a tenth of a second for 500 MB.
    pub fn wipe(&mut self) {
        self.empty(true);
        self.held = Vec::new();
    }

    fn empty(&mut self, overwrites: bool) {
        self.has_logits = false;
        self.held.clear();
        // SAFETY: the cache lives as long as the context.
        unsafe { sys::llama_memory_clear(self.cache_memory(), overwrites) }
    }

    /// Returns the number of tokens in the cache as llama.cpp counts them.
    pub(crate) fn cache_position(&self) -> u32 {
        // SAFETY: the cache lives as long as the context; `ContextHandle::new` checked that it exists.
        let last = unsafe { sys::llama_memory_seq_pos_max(self.cache_memory(), SEQUENCE) };
        u32::try_from(last + 1).unwrap_or_default()
    }

    /// Removes all but the first `keep` tokens from llama.cpp's cache. The cache is unspecified if it returns `false`.
    fn remove_after(&mut self, keep: u32) -> bool {
        let Ok(keep) = i32::try_from(keep) else {
            return false;
        };
        // SAFETY: the context with its memory is live.
        unsafe { sys::llama_memory_seq_rm(self.cache_memory(), SEQUENCE, keep, -1) }
    }

    fn copied_size(&self, parts: sys::llama_state_seq_flags) -> usize {
        if self.has_failed || self.held.is_empty() {
            return 0;
        }
        // SAFETY: the context is live, and not `Sync`, so no other thread uses it.
        unsafe { sys::llama_state_seq_get_size_ext(self.raw(), SEQUENCE, parts) }
    }

    fn copy(&self, parts: sys::llama_state_seq_flags, max_bytes: u64) -> Option<SavedCache> {
        let size = self.copied_size(parts);
        let tokens_size = size_of_val(&self.held[..]);
        if size == 0 || (size + tokens_size) as u64 > max_bytes {
            return None;
        }
        // A phone may refuse this much memory, which must not end the process.
        let (mut bytes, mut tokens) = (Vec::new(), Vec::new());
        bytes.try_reserve_exact(size).ok()?;
        tokens.try_reserve_exact(self.held.len()).ok()?;
        bytes.resize(size, 0);
        tokens.extend_from_slice(&self.held);
        // SAFETY: the context is live, and not `Sync`, so no other thread uses it; the buffer has the size that is given
        // with it.
        let written =
            unsafe { sys::llama_state_seq_get_data_ext(self.raw(), bytes.as_mut_ptr(), size, SEQUENCE, parts) };
        (written == size).then(|| SavedCache {
            model: self.model.clone(),
            tokens,
            bytes,
        })
    }

    /// Writes a copy into llama.cpp's cache. The cache is unspecified if it returns `false`.
    fn apply(&mut self, saved: &SavedCache, parts: sys::llama_state_seq_flags) -> bool {
        if self.has_failed || !saved.model.is_same_as(&self.model) || saved.tokens.len() > self.capacity() as usize {
            return false;
        }
        // SAFETY: the context is live and borrowed exclusively; llama.cpp reads at most the given size, and checks what it
        // reads against the shape of its cache.
        let read = unsafe {
            sys::llama_state_seq_set_data_ext(self.raw(), saved.bytes.as_ptr(), saved.bytes.len(), SEQUENCE, parts)
        };
        read == saved.bytes.len() && self.cache_position() as usize >= saved.tokens.len()
    }

    fn cache_memory(&self) -> sys::llama_memory_t {
        // SAFETY: the context is live.
        unsafe { sys::llama_get_memory(self.raw()) }
    }
}

/// Returns the number of tokens at the start of `held` that serve `prompt`: less than `prompt.len()`, because the last token
/// must be decoded to produce logits.
pub fn common_prefix(held: &[Token], prompt: &[Token]) -> u32 {
    let pairs = held.iter().zip(prompt);
    let same = pairs.take_while(|(held, new)| held == new).count();
    same.min(prompt.len().saturating_sub(1)) as u32
}

/// Returns whether the model has a state that cannot go back.
fn has_state(model: &Model) -> bool {
    // SAFETY: the model is live.
    unsafe { sys::llama_model_is_recurrent(model.raw()) || sys::llama_model_is_hybrid(model.raw()) }
}

/// From so many tokens on, ggml computes the attention of a batch in tiles (`GGML_FA_TILE_Q`).
pub const TILE_TOKENS: u32 = 64;
/// Attention over fewer tokens takes a small part of the time.
const LONG_TOKENS: u32 = 2048;
/// The time of attention to one token in one layer for each value, in products of a weight: 10 and 2.5 were measured with AVX2
/// and one thread (SmolLM2). Several threads divide the tiles badly.
const ATTENTION_COST: f64 = 10.0;
const TILED_ATTENTION_COST: f64 = 4.5;
const WHOLE: sys::llama_state_seq_flags = 0;
/// `LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY`.
const PARTIAL: sys::llama_state_seq_flags = 1;
