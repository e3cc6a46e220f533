//! Contexts: the KV cache of one conversation, and sampling.
//!
//! A context alone knows which tokens its cache holds: it records them as they are decoded, and clears the cache when
//! llama.cpp cannot restore the state before an abort. After a failed computation it refuses everything.
//!
//! Every context has thread pools of its own. Without OpenMP, ggml would otherwise start threads for every graph, which
//! means for every token.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use llama_cpp_sys_2 as sys;

use crate::abort::{AbortCell, on_abort};
use crate::backend::{LogScope, with_log_scope};
use crate::error::{context_error, ensure_reason};
use crate::memory::memory_breakdown;
use crate::pace::Pace;
use crate::threads::ThreadPools;
use crate::turns::Participant;
use crate::{LlamaError, MemoryPart, Model, Sampler, Token, ffi};

/// Element type of the KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvCacheType {
    /// Two bytes per value.
    #[default]
    F16,
    /// Slightly more than one byte per value (34 bytes for 32).
    Q8_0,
}

/// Parameters of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextParams {
    /// Capacity in tokens, rounded up to a multiple of 256.
    pub context: u32,
    /// Maximum tokens in one [`Context::decode`], at most the capacity; more is faster and takes more memory.
    pub batch: u32,
    /// Maximum number of threads that compute, including the calling one. A context uses at most as many as the system runs
    /// at once, and fewer while other processes make these faster.
    pub threads: u32,
    /// Element type of the cache.
    pub cache: KvCacheType,
}

impl ContextParams {
    /// Checks the ranges, because llama.cpp asserts, overflows or divides by zero on invalid values.
    pub(crate) fn validate(&self) -> Result<(), LlamaError> {
        let within = |name: &str, value: u32, max: u32| {
            if (1..=max).contains(&value) {
                return Ok(());
            }
            Err(LlamaError::Input(format!(
                "`{name}` must be from 1 to {max}, not {value}"
            )))
        };
        within("context", self.context, MAX_CONTEXT_TOKENS)?;
        within("batch", self.batch, MAX_BATCH_TOKENS)?;
        within("threads", self.threads, MAX_THREADS)
    }

    /// Converts to llama.cpp's parameters, for contexts and probes alike, so that a probe plans exactly the later
    /// context.
    pub(crate) fn to_raw(self) -> sys::llama_context_params {
        // SAFETY: returns a plain struct.
        let mut raw = unsafe { sys::llama_context_default_params() };
        let threads = i32::try_from(self.threads).unwrap_or(1);
        let cache = match self.cache {
            KvCacheType::F16 => sys::GGML_TYPE_F16,
            KvCacheType::Q8_0 => sys::GGML_TYPE_Q8_0,
        };
        // llama.cpp bounds the batch by the capacity before it rounds that up; the batch would then be less than possible.
        raw.n_ctx = self.context.next_multiple_of(CAPACITY_STEP_TOKENS);
        raw.n_batch = self.batch;
        raw.n_ubatch = self.batch;
        raw.n_outputs_max = 1;
        raw.n_threads = threads;
        raw.n_threads_batch = threads;
        raw.flash_attn_type = sys::LLAMA_FLASH_ATTN_TYPE_AUTO;
        raw.type_k = cache;
        raw.type_v = cache;
        raw.swa_full = false;
        raw.no_perf = true;
        raw
    }
}

impl Default for ContextParams {
    fn default() -> Self {
        Self {
            context: 4096,
            batch: 512,
            threads: 4,
            cache: KvCacheType::default(),
        }
    }
}

/// A model with a KV cache and thread pools.
///
/// May move between threads; computes on the calling thread and its pools.
pub struct Context {
    // Fields drop in this order: llama.cpp's context uses the abort cell, the thread pools and the model.
    pub(crate) handle: ContextHandle,
    pub(crate) abort: Arc<AbortCell>,
    pub(crate) threads: ThreadPools,
    pub(crate) turn: Participant,
    pub(crate) model: Model,
    /// The number of threads for single tokens, and for batches.
    pub(crate) token_pace: Pace,
    pub(crate) batch_pace: Pace,
    /// Operations of one computation; 0 before the first.
    pub(crate) operations: u32,
    /// The most threads that computations may use now.
    thread_limit: u32,
    batch: u32,
    capacity: u32,
    /// Whether the attention of large batches is computed in tiles, which needs the processor, a cache of f16, and flash
    /// attention, which llama.cpp turns off for some models.
    pub(crate) is_tiled: bool,
    /// The tokens in the cache, in order.
    pub(crate) held: Vec<Token>,
    /// Whether there are logits to sample from.
    pub(crate) has_logits: bool,
    /// Whether a computation failed, so that the state is unknown.
    pub(crate) has_failed: bool,
    pub(crate) output_flags: Vec<i8>,
}

impl Context {
    /// Creates a context with an empty cache.
    ///
    /// # Errors
    /// [`LlamaError::Input`] for parameters out of range; [`LlamaError::Context`] if there is too little memory;
    /// [`LlamaError::ContextParams`] if the model does not allow the parameters; [`LlamaError::Threads`] if the system
    /// starts no more threads; [`LlamaError::Unsupported`] for a model without a cache.
    pub fn new(model: &Model, params: &ContextParams) -> Result<Self, LlamaError> {
        params.validate()?;
        let handle = ContextHandle::new(model, params)?;
        handle.use_huge_pages();
        let threads = ThreadPools::new(params.threads)?;
        let abort = Arc::new(AbortCell::default());
        // A GPU computes while the caller goes on, so that durations say nothing.
        let is_on_cpu = handle.is_on_cpu();
        let is_tiled = is_on_cpu && params.cache == KvCacheType::F16 && handle.has_flash_attention();
        let new_pace = if is_on_cpu { Pace::new } else { Pace::fixed };
        // SAFETY: all are live; the field order frees the context before the cell and the pools. The cell has a fixed
        // address in its `Arc`.
        let (batch, capacity) = unsafe {
            let raw = handle.raw.as_ptr();
            threads.attach(raw);
            sys::llama_set_abort_callback(raw, Some(on_abort), Arc::as_ptr(&abort).cast_mut().cast());
            (sys::llama_n_batch(raw), sys::llama_n_ctx(raw))
        };
        Ok(Self {
            handle,
            abort,
            turn: Participant::new(threads.most()),
            token_pace: new_pace(threads.most(), TOKEN_BEST_SPAN),
            batch_pace: new_pace(threads.most(), BATCH_BEST_SPAN),
            operations: 0,
            thread_limit: threads.most(),
            threads,
            model: model.clone(),
            batch,
            capacity,
            is_tiled,
            held: Vec::new(),
            has_logits: false,
            has_failed: false,
            output_flags: vec![0; batch as usize],
        })
    }

    /// Returns the size of the context in tokens.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Returns the maximum number of tokens in one [`decode`](Self::decode).
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Returns the maximum number of compute threads, including the calling one.
    pub fn threads(&self) -> u32 {
        self.threads.most()
    }

    /// Returns the number of threads that compute single tokens now, apart from trials.
    pub fn token_threads(&self) -> u32 {
        self.token_pace.threads()
    }

    /// Returns the number of threads that compute batches now, apart from trials.
    pub fn batch_threads(&self) -> u32 {
        self.batch_pace.threads()
    }

    /// Returns the number of threads of the last computation, a trial or not.
    pub fn last_threads(&self) -> u32 {
        self.threads.selected()
    }

    /// Has the next computations use at most this many of the threads.
    pub fn limit_threads(&mut self, most: u32) {
        let most = most.clamp(1, self.threads.most());
        if most == self.thread_limit {
            return;
        }
        self.thread_limit = most;
        for pace in [&mut self.token_pace, &mut self.batch_pace] {
            pace.limit(most);
        }
    }

    /// Makes the compute threads sleep until the next [`decode`](Self::decode), and lets other contexts compute. Call it when
    /// none follows at once: between two tokens, waking them would cost more than they spin.
    pub fn pause_threads(&mut self) {
        self.threads.pause();
        self.turn.leave();
    }

    /// Returns the number of tokens in the cache.
    pub fn position(&self) -> u32 {
        self.held.len() as u32
    }

    /// Returns the model of this context.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Samples the next token and updates the sampler's state with it.
    ///
    /// # Errors
    /// [`LlamaError::Input`] if the last [`decode`](Self::decode) computed no logits, or the sampler is another model's;
    /// [`LlamaError::Grammar`] if no token can follow the grammar; [`LlamaError::NotANumber`] if a logit is NaN: discard the
    /// context then, as after a failed [`decode`](Self::decode).
    pub fn sample(&mut self, sampler: &mut Sampler) -> Result<Token, LlamaError> {
        if !sampler.model().is_same_as(&self.model) {
            return Err(LlamaError::Input("the sampler belongs to another model".to_owned()));
        }
        if !self.has_logits {
            return Err(LlamaError::Input(
                "nothing was decoded whose next token could be sampled".to_owned(),
            ));
        }
        // SAFETY: the context is live, borrowed exclusively for the call, and has logits for the sampler's vocabulary.
        let sampled = unsafe { sampler.sample(self.raw()) };
        if matches!(sampled, Err(LlamaError::Decode(_) | LlamaError::NotANumber)) {
            self.fail();
        }
        sampled
    }

    /// Returns the logarithm of the probability that `token` is next; `None` without logits. For tests.
    #[doc(hidden)]
    pub fn log_probability(&mut self, token: Token) -> Option<f64> {
        if !self.has_logits || !self.model.has_token(token) {
            return None;
        }
        // SAFETY: the context is live and has the logits of one token, one for each of the vocabulary.
        let logits = unsafe {
            let logits = sys::llama_get_logits_ith(self.raw(), -1);
            if logits.is_null() {
                return None;
            }
            std::slice::from_raw_parts(logits, self.model.vocab_size() as usize)
        };
        let logit = f64::from(*logits.get(usize::try_from(token).ok()?)?);
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
        Some(logit - f64::from(largest) - sum.ln())
    }

    /// Returns the memory use of model and context.
    ///
    /// # Errors
    /// [`LlamaError::Context`] if llama.cpp cannot report it.
    pub fn memory(&self) -> Result<Vec<MemoryPart>, LlamaError> {
        // SAFETY: the context is live, and not `Sync`, so no other thread uses it.
        unsafe { memory_breakdown(self.raw()) }
    }

    pub(crate) fn raw(&self) -> *mut sys::llama_context {
        self.handle.raw.as_ptr()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("context", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// An owned llama.cpp context without a thread pool, which is enough for a probe.
pub(crate) struct ContextHandle {
    raw: NonNull<sys::llama_context>,
    /// Whether it is not freed on drop.
    is_leaked: bool,
}

impl ContextHandle {
    /// Creates the context. The caller keeps `model` at least as long as the handle.
    pub(crate) fn new(model: &Model, params: &ContextParams) -> Result<Self, LlamaError> {
        /// Serializes creation, which writes to the model's hyper-parameters.
        static CREATION: Mutex<()> = Mutex::new(());
        let raw = params.to_raw();
        let mut context = ptr::null_mut();
        let (outcome, reason) = {
            let _one = CREATION.lock().unwrap_or_else(PoisonError::into_inner);
            with_log_scope(LogScope::Load, || {
                // SAFETY: the model is live and `raw` is complete; both outlive the call.
                ffi::call(|error| unsafe { ffi::ns_context_new(model.raw(), &raw const raw, &raw mut context, error) })
            })
        };
        outcome.map_err(context_error)?;
        let Some(raw) = NonNull::new(context) else {
            return Err(context_error(ensure_reason(reason)));
        };
        let handle = Self { raw, is_leaked: false };
        // SAFETY: the context is live.
        if unsafe { sys::llama_get_memory(raw.as_ptr()) }.is_null() {
            return Err(LlamaError::Unsupported(
                "the model has no cache, so it cannot generate text".to_owned(),
            ));
        }
        Ok(handle)
    }

    pub(crate) fn memory(&self) -> Result<Vec<MemoryPart>, LlamaError> {
        // SAFETY: the context is live, and not `Sync`, so no other thread uses it.
        unsafe { memory_breakdown(self.raw.as_ptr()) }
    }

    /// Moves the cache to huge pages where the system has some: copies it once, for less than half a second. Not for a probe,
    /// whose cache has no memory, and not while other contexts wait to be created.
    fn use_huge_pages(&self) {
        // SAFETY: the context is live, and not `Sync`, so no other thread uses it.
        let done = ffi::call(|error| unsafe { ffi::ns_context_use_huge_pages(self.raw.as_ptr(), error) });
        if let Err(reason) = done {
            tracing::debug!(reason, "the cache stays in ordinary pages");
        }
    }

    /// Returns whether the context computes with flash attention.
    fn has_flash_attention(&self) -> bool {
        // SAFETY: the context is live.
        unsafe { ffi::ns_context_has_flash_attention(self.raw.as_ptr()) }
    }

    /// Returns whether all weights are in the memory of the processor.
    fn is_on_cpu(&self) -> bool {
        let parts = self.memory().unwrap_or_default();
        parts
            .iter()
            .all(|part| part.weights == 0 || part.buffer.starts_with("CPU"))
    }

    /// Gives the context up without freeing it. An exception out of a computation (there was no memory) leaves ggml with
    /// pointers to memory that it has freed, and freeing the context would free that again.
    pub(crate) fn leak(&mut self) {
        self.is_leaked = true;
    }
}

// SAFETY: a llama.cpp context is bound to no thread; two must not use it at once, and `ContextHandle` is not `Sync`.
unsafe impl Send for ContextHandle {}

impl Drop for ContextHandle {
    fn drop(&mut self) {
        if !self.is_leaked {
            // SAFETY: created by `llama_init_from_model`, freed once, before its model and its thread pool.
            unsafe { sys::llama_free(self.raw.as_ptr()) }
        }
    }
}

/// The sequence of all tokens: a context holds one conversation.
pub(crate) const SEQUENCE: sys::llama_seq_id = 0;
/// llama.cpp rounds capacities up to a multiple of it.
const CAPACITY_STEP_TOKENS: u32 = 256;
/// Sixteen times the longest training context of today's models; keeps positions and sizes far from an overflow.
const MAX_CONTEXT_TOKENS: u32 = 1 << 24;
/// Compute buffers grow with the batch; beyond this size nothing becomes faster.
const MAX_BATCH_TOKENS: u32 = 1 << 14;
/// `GGML_MAX_N_THREADS`.
const MAX_THREADS: u32 = 512;
/// Of the last single tokens, and of the last batches, so many or more say how long the next takes. A batch lengthens the
/// next one more than a token does.
const TOKEN_BEST_SPAN: usize = 24;
const BATCH_BEST_SPAN: usize = 8;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::alloc::{Layout, alloc_zeroed, dealloc};

    use super::*;

    /// Counts its calls, and returns false from the given one on.
    struct Calls {
        count: u32,
        most: u32,
    }

    unsafe extern "C" fn count(_done: f32, calls: ffi::UserData) -> bool {
        // SAFETY: `collapse` gives the address of a live value.
        let calls = unsafe { &mut *calls.cast::<Calls>() };
        calls.count += 1;
        calls.count < calls.most
    }

    /// Moves 64 MiB to huge pages; returns whether it was wanted to the end, and how often that was asked.
    fn collapse(most_ms: u32, most_calls: u32) -> (bool, u32) {
        let Ok(layout) = Layout::from_size_align(64 << 20, 32 << 20) else {
            panic!("no layout")
        };
        let mut calls = Calls {
            count: 0,
            most: most_calls,
        };
        // SAFETY: the memory is this function's own, of this size, and `calls` outlives the call.
        let is_wanted = unsafe {
            let memory = alloc_zeroed(layout);
            assert!(!memory.is_null());
            memory.write_bytes(1, layout.size());
            let is_wanted =
                ffi::ns_collapse_for_test(memory, layout.size(), most_ms, Some(count), (&raw mut calls).cast());
            assert!(
                std::slice::from_raw_parts(memory, layout.size())
                    .iter()
                    .all(|byte| *byte == 1)
            );
            dealloc(memory, layout);
            is_wanted
        };
        (is_wanted, calls.count)
    }

    #[test]
    fn the_move_to_huge_pages_is_bounded_and_asks_before_each_piece() {
        assert_eq!(collapse(10_000, 1), (false, 1));
        assert_eq!(collapse(0, u32::MAX), (true, 1), "there is no time for a piece");
        let (is_wanted, calls) = collapse(10_000, u32::MAX);
        // One, where the kernel cannot.
        assert!(is_wanted && (1..=8).contains(&calls), "{calls}");
    }
}
