//! Contexts: the KV cache of one conversation, and decoding.
//!
//! Every context has a thread pool of its own. Without OpenMP, ggml would otherwise start threads for every graph, which
//! means for every token.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use llama_cpp_sys_2 as sys;

use crate::backend::{LogScope, with_log_scope};
use crate::error::ensure_reason;
use crate::memory::memory_breakdown;
use crate::{LlamaError, MemoryPart, Model, Sampler, Token, ffi, stack};

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
    /// Capacity in tokens. llama.cpp rounds up to a multiple of 256.
    pub context: u32,
    /// Maximum tokens in one [`Context::decode`]; more is faster and takes more memory.
    pub batch: u32,
    /// Threads that compute, including the calling one.
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
        raw.n_ctx = self.context;
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

/// The conditions under which [`Context::decode`] stops early.
#[derive(Debug, Clone, Copy)]
pub struct AbortSignal<'a> {
    /// Set by another thread.
    pub flag: &'a AtomicBool,
    /// A moment that ends the computation as the flag does.
    pub deadline: Option<Instant>,
}

impl AbortSignal<'_> {
    /// Returns whether the flag is set or the deadline has passed.
    pub fn is_raised(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl<'a> From<&'a AtomicBool> for AbortSignal<'a> {
    fn from(flag: &'a AtomicBool) -> Self {
        Self { flag, deadline: None }
    }
}

/// Outcome of [`Context::decode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// All tokens are in the cache.
    Whole,
    /// `abort` was raised; [`Context::position`] returns the number of tokens that were kept.
    Aborted,
}

/// A model with a KV cache and a thread pool.
///
/// May move between threads; computes on the calling thread and its pool.
pub struct Context {
    // Fields drop in this order: llama.cpp's context uses the thread pool and the model.
    handle: ContextHandle,
    _threads: ThreadPool,
    model: Model,
    batch: u32,
    /// Whether there are logits to sample from.
    has_logits: bool,
    output_flags: Vec<i8>,
}

impl Context {
    /// Creates a context with an empty cache.
    ///
    /// # Errors
    /// [`LlamaError::Input`] for parameters out of range; [`LlamaError::Context`] if llama.cpp cannot create it, usually
    /// for lack of memory; [`LlamaError::Threads`] if the system starts no more threads; [`LlamaError::Unsupported`] for
    /// a model without a cache.
    pub fn new(model: &Model, params: &ContextParams) -> Result<Self, LlamaError> {
        params.validate()?;
        let handle = ContextHandle::new(model, params)?;
        let threads = ThreadPool::new(params.threads)?;
        // SAFETY: both are live; the field order frees the context before the pool.
        unsafe { sys::llama_attach_threadpool(handle.raw.as_ptr(), threads.raw.as_ptr(), threads.raw.as_ptr()) };
        let output_flags = vec![0; params.batch as usize];
        Ok(Self {
            handle,
            _threads: threads,
            model: model.clone(),
            batch: params.batch,
            has_logits: false,
            output_flags,
        })
    }

    /// Returns the size of the context in tokens.
    pub fn capacity(&self) -> u32 {
        // SAFETY: the context is live.
        unsafe { sys::llama_n_ctx(self.raw()) }
    }

    /// Returns the number of tokens in the cache.
    pub fn position(&self) -> u32 {
        // SAFETY: the cache lives as long as the context; `ContextHandle::new` checked that it exists.
        let last = unsafe { sys::llama_memory_seq_pos_max(self.cache_memory(), SEQUENCE) };
        u32::try_from(last + 1).unwrap_or_default()
    }

    /// Returns the model of this context.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Decodes `tokens` and appends them to the cache. With `logits`, [`sample`](Self::sample) may follow.
    ///
    /// `abort` is checked between the operations of the computation, so raising it from another thread ends the call
    /// within milliseconds (on a GPU: after this batch). The tokens of an aborted batch are removed from the cache.
    ///
    /// # Errors
    /// [`LlamaError::Input`] for no tokens, more than a batch, more than the context can still hold, or tokens outside
    /// the vocabulary; [`LlamaError::Decode`] if the computation failed.
    pub fn decode<'a>(
        &mut self,
        tokens: &[Token],
        logits: bool,
        abort: impl Into<AbortSignal<'a>>,
    ) -> Result<Decoded, LlamaError> {
        let abort = abort.into();
        let Some(last) = tokens.len().checked_sub(1) else {
            return Err(LlamaError::Input("there is no token to decode".to_owned()));
        };
        if tokens.len() > self.batch as usize {
            return Err(LlamaError::Input(format!(
                "{} tokens are more than the batch of {}",
                tokens.len(),
                self.batch
            )));
        }
        let room = self.capacity().saturating_sub(self.position());
        if tokens.len() > room as usize {
            return Err(LlamaError::Input(format!(
                "{} tokens do not fit: the context has room for {room}",
                tokens.len()
            )));
        }
        if !tokens.iter().all(|token| self.model.has_token(*token)) {
            return Err(LlamaError::Input("a token is not in the vocabulary".to_owned()));
        }
        self.has_logits = false;
        if abort.is_raised() {
            return Ok(Decoded::Aborted);
        }

        self.output_flags[..=last].fill(0);
        self.output_flags[last] = i8::from(logits);
        let batch = sys::llama_batch {
            n_tokens: i32::try_from(tokens.len()).unwrap_or(i32::MAX),
            token: tokens.as_ptr().cast_mut(),
            embd: std::ptr::null_mut(),
            // Null: the positions after those in sequence 0.
            pos: std::ptr::null_mut(),
            n_seq_id: std::ptr::null_mut(),
            seq_id: std::ptr::null_mut(),
            logits: self.output_flags.as_mut_ptr(),
        };
        let mut status = 0;
        let (outcome, reason) = with_log_scope(LogScope::Compute, || {
            // SAFETY: `abort` outlives the call, and the callback is removed before the call ends; llama.cpp only reads
            // the tokens, and both arrays have at least `n_tokens` elements.
            unsafe {
                let signal = std::ptr::from_ref(&abort).cast_mut().cast();
                sys::llama_set_abort_callback(self.raw(), Some(on_abort), signal);
                let outcome = ffi::call(|error| ffi::ns_decode(self.raw(), batch, &raw mut status, error));
                sys::llama_set_abort_callback(self.raw(), None, std::ptr::null_mut());
                outcome
            }
        });
        outcome.map_err(LlamaError::Decode)?;
        match status {
            0 => {
                self.has_logits = logits;
                Ok(Decoded::Whole)
            }
            1 => Err(LlamaError::Decode("the cache has no room for these tokens".to_owned())),
            2 => Ok(Decoded::Aborted),
            other if reason.is_empty() => Err(LlamaError::Decode(format!("llama.cpp returned status {other}"))),
            _ => Err(LlamaError::Decode(reason)),
        }
    }

    /// Samples the next token and updates the sampler's state with it.
    ///
    /// # Errors
    /// [`LlamaError::Input`] if the last [`decode`](Self::decode) computed no logits, or the sampler is another model's;
    /// [`LlamaError::Grammar`] if no token can follow the grammar; [`LlamaError::Decode`] if a logit is NaN.
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
        unsafe { sampler.sample(self.raw()) }
    }

    /// Truncates the cache to the first `keep` tokens.
    ///
    /// Returns `false` if the model cannot remove part of its cache (recurrent models, sliding windows that have moved
    /// on). The state of the cache is then unspecified: call [`clear`](Self::clear).
    #[must_use]
    pub fn trim(&mut self, keep: u32) -> bool {
        if keep >= self.position() {
            return true;
        }
        self.has_logits = false;
        let Ok(keep) = i32::try_from(keep) else {
            return true;
        };
        // SAFETY: the model and the context with its memory are live.
        unsafe {
            let window = sys::llama_model_n_swa(self.model.raw());
            // Attention at `keep` needs the whole window before it, and a sliding cache has dropped the start of it.
            if window > 0 && sys::llama_memory_seq_pos_min(self.cache_memory(), SEQUENCE) > (keep - window).max(0) {
                return false;
            }
            sys::llama_memory_seq_rm(self.cache_memory(), SEQUENCE, keep, -1)
        }
    }

    /// Clears the cache.
    pub fn clear(&mut self) {
        self.has_logits = false;
        // SAFETY: the cache lives as long as the context. `false` keeps the buffers' bytes, which are written again
        // before they are read.
        unsafe { sys::llama_memory_clear(self.cache_memory(), false) }
    }

    /// Returns the memory use of model and context.
    ///
    /// # Errors
    /// [`LlamaError::Context`] if llama.cpp cannot report it.
    pub fn memory(&self) -> Result<Vec<MemoryPart>, LlamaError> {
        // SAFETY: the context is live, and not `Sync`, so no other thread uses it.
        unsafe { memory_breakdown(self.raw()) }
    }

    fn raw(&self) -> *mut sys::llama_context {
        self.handle.raw.as_ptr()
    }

    fn cache_memory(&self) -> sys::llama_memory_t {
        // SAFETY: the context is live.
        unsafe { sys::llama_get_memory(self.raw()) }
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
}

impl ContextHandle {
    /// Creates the context. The caller keeps `model` at least as long as the handle.
    pub(crate) fn new(model: &Model, params: &ContextParams) -> Result<Self, LlamaError> {
        /// Serializes creation, which writes to the model's hyper-parameters.
        static CREATION: Mutex<()> = Mutex::new(());
        let raw = params.to_raw();
        let mut context = std::ptr::null_mut();
        let (outcome, reason) = {
            let _one = CREATION.lock().unwrap_or_else(PoisonError::into_inner);
            with_log_scope(LogScope::Load, || {
                // SAFETY: the model is live and `raw` is complete; both outlive the call.
                ffi::call(|error| unsafe { ffi::ns_context_new(model.raw(), &raw const raw, &raw mut context, error) })
            })
        };
        outcome.map_err(LlamaError::Context)?;
        let Some(raw) = NonNull::new(context) else {
            return Err(LlamaError::Context(ensure_reason(reason)));
        };
        let handle = Self { raw };
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
}

// SAFETY: a llama.cpp context is bound to no thread; two must not use it at once, and `ContextHandle` is not `Sync`.
unsafe impl Send for ContextHandle {}

impl Drop for ContextHandle {
    fn drop(&mut self) {
        // SAFETY: created by `llama_init_from_model`, freed once, before its model and its thread pool.
        unsafe { sys::llama_free(self.raw.as_ptr()) }
    }
}

struct ThreadPool {
    raw: NonNull<sys::ggml_threadpool>,
}

impl ThreadPool {
    fn new(count: u32) -> Result<Self, LlamaError> {
        // ggml asserts that each thread starts, and leaks the others if one does not: so it is tried out before.
        if !stack::can_start_threads(count.saturating_sub(1) as usize) {
            return Err(LlamaError::Threads(count));
        }
        // SAFETY: the pool outlives the call.
        ffi::call_for_object(|out, error| unsafe { ffi::ns_threadpool_new(count, out, error) })
            .map(|raw| Self { raw })
            .map_err(|_| LlamaError::Threads(count))
    }
}

// SAFETY: only the thread that computes with the pool's context uses it, one at a time.
unsafe impl Send for ThreadPool {}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        // SAFETY: created by `ggml_threadpool_new`, freed once, after the context that used it.
        unsafe { sys::ggml_threadpool_free(self.raw.as_ptr()) }
    }
}

unsafe extern "C" fn on_abort(data: ffi::UserData) -> bool {
    // SAFETY: `data` is the `AbortSignal` of `decode`, which lives for as long as this callback is set.
    unsafe { &*data.cast::<AbortSignal<'_>>() }.is_raised()
}

/// The sequence of all tokens: a context holds one conversation.
const SEQUENCE: sys::llama_seq_id = 0;
/// Sixteen times the longest training context of today's models; keeps positions and sizes far from an overflow.
const MAX_CONTEXT_TOKENS: u32 = 1 << 24;
/// Compute buffers grow with the batch; beyond this size nothing becomes faster.
const MAX_BATCH_TOKENS: u32 = 1 << 14;
/// `GGML_MAX_N_THREADS`.
const MAX_THREADS: u32 = 512;
