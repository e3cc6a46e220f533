//! Contexts: the KV cache of one conversation, and decoding.
//!
//! A context alone knows which tokens its cache holds: it records them as they are decoded, and clears the cache when
//! llama.cpp cannot restore the state before an abort. After a failed computation it refuses everything.
//!
//! Every context has a thread pool of its own. Without OpenMP, ggml would otherwise start threads for every graph, which
//! means for every token.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use llama_cpp_sys_2 as sys;

use crate::abort::{AbortCell, on_abort};
use crate::backend::{LogScope, with_compute_log, with_log_scope};
use crate::error::{context_error, ensure_reason};
use crate::memory::memory_breakdown;
use crate::threads::ThreadPool;
use crate::turns::Participant;
use crate::{AbortSignal, LlamaError, MemoryPart, Model, Sampler, Token, ffi};

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
    /// Threads that compute, including the calling one. A context uses at most as many as the system runs at once.
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

/// Outcome of [`Context::decode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// All tokens are in the cache.
    Whole,
    /// The signal was raised.
    Aborted {
        /// The number of tokens that the cache still holds, from the first on. Equals the number before the call, or 0
        /// for a model whose state cannot go back (recurrent and hybrid ones).
        kept: u32,
    },
}

/// A model with a KV cache and a thread pool.
///
/// May move between threads; computes on the calling thread and its pool.
pub struct Context {
    // Fields drop in this order: llama.cpp's context uses the abort cell, the thread pool and the model.
    handle: ContextHandle,
    abort: Arc<AbortCell>,
    threads: ThreadPool,
    turn: Participant,
    pub(crate) model: Model,
    batch: u32,
    capacity: u32,
    /// The tokens in the cache, in order.
    pub(crate) held: Vec<Token>,
    /// Whether there are logits to sample from.
    pub(crate) has_logits: bool,
    /// Whether a computation failed, so that the state is unknown.
    pub(crate) has_failed: bool,
    output_flags: Vec<i8>,
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
        let threads = ThreadPool::new(params.threads)?;
        let abort = Arc::new(AbortCell::default());
        // SAFETY: all are live; the field order frees the context before the cell and the pool. The cell has a fixed
        // address in its `Arc`.
        let (batch, capacity) = unsafe {
            let raw = handle.raw.as_ptr();
            let count = i32::try_from(threads.count()).unwrap_or(1);
            sys::llama_set_n_threads(raw, count, count);
            sys::llama_attach_threadpool(raw, threads.as_ptr(), threads.as_ptr());
            sys::llama_set_abort_callback(raw, Some(on_abort), Arc::as_ptr(&abort).cast_mut().cast());
            (sys::llama_n_batch(raw), sys::llama_n_ctx(raw))
        };
        Ok(Self {
            handle,
            abort,
            turn: Participant::new(threads.count()),
            threads,
            model: model.clone(),
            batch,
            capacity,
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

    /// Returns the number of compute threads, including the calling one.
    pub fn threads(&self) -> u32 {
        self.threads.count()
    }

    /// Has the next computations use at most this many of the threads.
    pub fn limit_threads(&mut self, most: u32) {
        let count = i32::try_from(most.clamp(1, self.threads.count())).unwrap_or(1);
        // SAFETY: the context is live and borrowed exclusively.
        unsafe { sys::llama_set_n_threads(self.raw(), count, count) }
    }

    /// Makes the compute threads sleep until the next [`decode`](Self::decode), and lets other contexts compute. Call it when
    /// none follows at once: between two tokens, waking them would cost more than they spin.
    pub fn pause_threads(&mut self) {
        self.threads.pause();
        self.turn.leave();
    }

    /// Returns whether other contexts wait for their turn: shorter batches then share the processor more evenly.
    pub fn has_rivals(&self) -> bool {
        self.turn.has_rivals()
    }

    /// Returns the number of tokens in the cache.
    pub fn position(&self) -> u32 {
        self.held.len() as u32
    }

    /// Returns the model of this context.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Decodes `tokens` and appends them to the cache. With `logits`, [`sample`](Self::sample) may follow.
    ///
    /// Contexts whose threads do not fit beside each other take turns. `abort` ends the wait for one, and is checked between
    /// the operations of the computation, so raising it from another thread ends the call
    /// after the current one (on a GPU: after this batch).
    ///
    /// # Errors
    /// [`LlamaError::Input`] for no tokens, more than a batch, more than the context can still hold, or tokens outside
    /// the vocabulary; [`LlamaError::Decode`] if the computation failed. After that all calls fail: discard the context.
    pub fn decode<'a>(
        &mut self,
        tokens: &[Token],
        logits: bool,
        abort: impl Into<AbortSignal<'a>>,
    ) -> Result<Decoded, LlamaError> {
        let abort = abort.into();
        self.check_tokens(tokens)?;
        if self.has_failed {
            return Err(LlamaError::Decode("an earlier computation failed".to_owned()));
        }
        self.has_logits = false;
        if abort.is_raised() {
            return Ok(Decoded::Aborted { kept: self.position() });
        }
        if !self.turn.begin(&abort, || self.threads.pause()) {
            return Ok(Decoded::Aborted { kept: self.position() });
        }
        let outcome = self.compute(tokens, logits, &abort);
        self.turn.end();
        match outcome {
            Ok(Decoded::Whole) => {
                self.held.extend_from_slice(tokens);
                self.has_logits = logits;
                Ok(Decoded::Whole)
            }
            Ok(Decoded::Aborted { .. }) => {
                // llama.cpp has removed the batch again, except from a cache that refuses to remove a part.
                if self.cache_position() != self.position() {
                    self.clear();
                }
                Ok(Decoded::Aborted { kept: self.position() })
            }
            Err(error) => {
                self.fail();
                Err(error)
            }
        }
    }

    /// Records that the content of the cache is unknown.
    fn fail(&mut self) {
        self.has_failed = true;
        self.has_logits = false;
        self.held.clear();
    }

    fn check_tokens(&self, tokens: &[Token]) -> Result<(), LlamaError> {
        let count = tokens.len();
        let room = self.capacity.saturating_sub(self.position());
        let problem = if count == 0 {
            "there is no token to decode".to_owned()
        } else if count > self.batch as usize {
            format!("{count} tokens are more than the batch of {}", self.batch)
        } else if count > room as usize {
            format!("{count} tokens do not fit: the context has room for {room}")
        } else if tokens.iter().any(|token| !self.model.has_token(*token)) {
            "a token is not in the vocabulary".to_owned()
        } else {
            return Ok(());
        };
        Err(LlamaError::Input(problem))
    }

    /// Calls llama.cpp. The tokens are checked; the count in [`Decoded::Aborted`] is meaningless.
    fn compute(&mut self, tokens: &[Token], logits: bool, abort: &AbortSignal<'_>) -> Result<Decoded, LlamaError> {
        self.output_flags.fill(0);
        if let Some(last) = self.output_flags.get_mut(tokens.len() - 1) {
            *last = i8::from(logits);
        }
        let batch = sys::llama_batch {
            n_tokens: i32::try_from(tokens.len()).unwrap_or(i32::MAX),
            token: tokens.as_ptr().cast_mut(),
            embd: ptr::null_mut(),
            // Null: the positions after those in sequence 0.
            pos: ptr::null_mut(),
            n_seq_id: ptr::null_mut(),
            seq_id: ptr::null_mut(),
            logits: self.output_flags.as_mut_ptr(),
        };
        let mut status = 0;
        let compute = || {
            self.abort.with_signal(abort, || {
                // SAFETY: llama.cpp only reads the tokens, and both arrays have at least `n_tokens` elements.
                ffi::call(|error| unsafe { ffi::ns_decode(self.raw(), batch, &raw mut status, error) }).map(|()| status)
            })
        };
        let (outcome, reason) = with_compute_log(compute, |outcome| matches!(outcome, Ok(ABORTED)));
        if logits && matches!(outcome, Ok(0)) {
            // SAFETY: the context is live. A GPU may still compute; a caller's clock must not end before it.
            unsafe { sys::llama_synchronize(self.raw()) }
        }
        match outcome {
            Ok(0) => Ok(Decoded::Whole),
            Ok(ABORTED) => Ok(Decoded::Aborted { kept: 0 }),
            Ok(1) => Err(LlamaError::Decode("the cache has no room for these tokens".to_owned())),
            Ok(other) if reason.is_empty() => Err(LlamaError::Decode(format!("llama.cpp returned status {other}"))),
            Ok(_) => Err(LlamaError::Decode(reason)),
            Err(thrown) => {
                self.handle.leak();
                Err(LlamaError::Decode(thrown))
            }
        }
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

    /// Gives the context up without freeing it. An exception out of a computation (there was no memory) leaves ggml with
    /// pointers to memory that it has freed, and freeing the context would free that again.
    fn leak(&mut self) {
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
/// The status of a computation that the abort callback ended.
const ABORTED: i32 = 2;
/// llama.cpp rounds capacities up to a multiple of it.
const CAPACITY_STEP_TOKENS: u32 = 256;
/// Sixteen times the longest training context of today's models; keeps positions and sizes far from an overflow.
const MAX_CONTEXT_TOKENS: u32 = 1 << 24;
/// Compute buffers grow with the batch; beyond this size nothing becomes faster.
const MAX_BATCH_TOKENS: u32 = 1 << 14;
/// `GGML_MAX_N_THREADS`.
const MAX_THREADS: u32 = 512;
