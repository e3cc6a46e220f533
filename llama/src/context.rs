//! Contexts: the memory of one conversation, and the computing on it.
//!
//! Every context has worker threads of its own. Without OpenMP ggml would otherwise start threads for every graph, which is
//! for every token.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use llama_cpp_sys_2 as sys;

use crate::backend::{Work, during};
use crate::memory::breakdown;
use crate::{Error, MemoryPart, Model, Sampler, Token, ffi};

/// How exact the cache of keys and values is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheType {
    /// Two bytes a value.
    #[default]
    F16,
    /// A little more than one byte a value (34 bytes for 32).
    Q8_0,
}

/// The shape of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextParams {
    /// Tokens that it holds. llama.cpp rounds up to a multiple of 256.
    pub context: u32,
    /// Most tokens in one [`Context::decode`]; more is faster and takes more memory.
    pub batch: u32,
    /// Threads that compute, the calling one among them.
    pub threads: u32,
    /// How exact the cache is.
    pub cache: CacheType,
}

impl ContextParams {
    /// llama.cpp asserts, wraps around or divides by what it is given here, so nonsense stops before it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let within = |name: &str, value: u32, most: u32| {
            if (1..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::Input(format!("`{name}` is from 1 to {most}, not {value}")))
        };
        within("context", self.context, MOST_CONTEXT)?;
        within("batch", self.batch, MOST_BATCH)?;
        within("threads", self.threads, MOST_THREADS)
    }

    /// The one translation, for loading and for probing alike: what is probed is what will be made.
    pub(crate) fn raw(&self) -> sys::llama_context_params {
        // SAFETY: returns a plain struct.
        let mut raw = unsafe { sys::llama_context_default_params() };
        let threads = i32::try_from(self.threads).unwrap_or(1);
        let cache = match self.cache {
            CacheType::F16 => sys::GGML_TYPE_F16,
            CacheType::Q8_0 => sys::GGML_TYPE_Q8_0,
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
            cache: CacheType::default(),
        }
    }
}

/// How a [`Context::decode`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// All tokens are in the cache.
    Whole,
    /// `abort` was set; [`Context::position`] says what was kept.
    Aborted,
}

/// A model with a cache: what was read and written so far, and the threads that continue it.
///
/// It may move between threads, and computes on the one that calls.
pub struct Context {
    // Fields drop in this order: llama.cpp's context uses the threads and the model.
    handle: Handle,
    _threads: Threads,
    model: Model,
    batch: u32,
    /// Whether there are logits to sample from.
    sampled_from: bool,
    outputs: Vec<i8>,
}

impl Context {
    /// A context with an empty cache.
    ///
    /// # Errors
    /// [`Error::Input`] for parameters out of range, [`Error::Context`] when llama.cpp cannot make it, most often for want
    /// of memory.
    pub fn new(model: &Model, params: &ContextParams) -> Result<Self, Error> {
        params.check()?;
        let handle = Handle::new(model, params)?;
        let threads = Threads::new(params.threads)?;
        // SAFETY: both are live; the fields' order frees the context first.
        unsafe { sys::llama_attach_threadpool(handle.raw.as_ptr(), threads.raw.as_ptr(), threads.raw.as_ptr()) };
        let outputs = vec![0; params.batch as usize];
        Ok(Self {
            handle,
            _threads: threads,
            model: model.clone(),
            batch: params.batch,
            sampled_from: false,
            outputs,
        })
    }

    /// Size of the context in tokens.
    pub fn context(&self) -> u32 {
        // SAFETY: the context is live.
        unsafe { sys::llama_n_ctx(self.raw()) }
    }

    /// Tokens in the cache.
    pub fn position(&self) -> u32 {
        // SAFETY: the memory lives as long as the context; `Handle::new` made sure that there is one.
        let last = unsafe { sys::llama_memory_seq_pos_max(self.cache(), SEQUENCE) };
        u32::try_from(last + 1).unwrap_or_default()
    }

    /// The model that it computes.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Reads `tokens` after those already in the cache. With `logits` the last of them can be sampled from afterwards.
    ///
    /// `abort` is looked at between any two operations of the computation, so setting it from another thread ends the call
    /// within milliseconds (on a GPU: after this batch). What a cut batch had computed is taken out of the cache again.
    ///
    /// # Errors
    /// [`Error::Input`] for no tokens, more than a batch, more than there is room for, or ones that the vocabulary does not
    /// have; [`Error::Decode`] when computing failed.
    pub fn decode(&mut self, tokens: &[Token], logits: bool, abort: &AtomicBool) -> Result<Decoded, Error> {
        let Some(last) = tokens.len().checked_sub(1) else {
            return Err(Error::Input("there is no token to decode".to_owned()));
        };
        if tokens.len() > self.batch as usize {
            return Err(Error::Input(format!(
                "{} tokens are more than the batch of {}",
                tokens.len(),
                self.batch
            )));
        }
        let room = self.context().saturating_sub(self.position());
        if tokens.len() > room as usize {
            return Err(Error::Input(format!(
                "{} tokens do not fit: the context has room for {room}",
                tokens.len()
            )));
        }
        if !tokens.iter().all(|token| self.model.has_token(*token)) {
            return Err(Error::Input("a token is not in the vocabulary".to_owned()));
        }
        self.sampled_from = false;
        if abort.load(Ordering::Relaxed) {
            return Ok(Decoded::Aborted);
        }

        self.outputs[..=last].fill(0);
        self.outputs[last] = i8::from(logits);
        let batch = sys::llama_batch {
            n_tokens: i32::try_from(tokens.len()).unwrap_or(i32::MAX),
            token: tokens.as_ptr().cast_mut(),
            embd: std::ptr::null_mut(),
            // Null: after what sequence 0 holds.
            pos: std::ptr::null_mut(),
            n_seq_id: std::ptr::null_mut(),
            seq_id: std::ptr::null_mut(),
            logits: self.outputs.as_mut_ptr(),
        };
        let mut status = 0;
        let (outcome, reason) = during(Work::Compute, || {
            // SAFETY: `abort` outlives the call and the callback is taken out again before it ends; llama.cpp only reads
            // the tokens, and both arrays are as long as `n_tokens` says.
            unsafe {
                sys::llama_set_abort_callback(self.raw(), Some(on_abort), std::ptr::from_ref(abort).cast_mut().cast());
                let outcome = ffi::check(|error| ffi::ns_decode(self.raw(), batch, &raw mut status, error));
                sys::llama_set_abort_callback(self.raw(), None, std::ptr::null_mut());
                outcome
            }
        });
        outcome.map_err(Error::Decode)?;
        match status {
            0 => {
                self.sampled_from = logits;
                Ok(Decoded::Whole)
            }
            1 => Err(Error::Decode("the cache has no room for these tokens".to_owned())),
            2 => Ok(Decoded::Aborted),
            other if reason.is_empty() => Err(Error::Decode(format!("llama.cpp gives status {other}"))),
            _ => Err(Error::Decode(reason)),
        }
    }

    /// Samples the next token and updates the sampler's state with it.
    ///
    /// # Errors
    /// [`Error::Input`] when the last [`decode`](Self::decode) asked for no logits or the sampler is another model's;
    /// [`Error::Grammar`] when no token can follow the grammar; [`Error::Decode`] when the logits are not numbers.
    pub fn sample(&mut self, sampler: &mut Sampler) -> Result<Token, Error> {
        if !sampler.model().same_as(&self.model) {
            return Err(Error::Input("the sampler belongs to another model".to_owned()));
        }
        if !self.sampled_from {
            return Err(Error::Input("decode with `logits` before sampling".to_owned()));
        }
        // SAFETY: the context is live, ours alone during the call, and has logits for the sampler's vocabulary.
        unsafe { sampler.sample(self.raw()) }
    }

    /// Forgets everything after the first `keep` tokens.
    ///
    /// False when the model cannot take back part of what it read (recurrent models, sliding windows that have moved on):
    /// then nothing may be assumed of the cache, and [`clear`](Self::clear) is what is left to do.
    #[must_use]
    pub fn trim(&mut self, keep: u32) -> bool {
        if keep >= self.position() {
            return true;
        }
        self.sampled_from = false;
        let Ok(keep) = i32::try_from(keep) else {
            return true;
        };
        // SAFETY: the model and the context with its memory are live.
        unsafe {
            let window = sys::llama_model_n_swa(self.model.raw());
            // Attention at `keep` looks back over a whole window, and a sliding cache has forgotten its beginning.
            if window > 0 && sys::llama_memory_seq_pos_min(self.cache(), SEQUENCE) > (keep - window).max(0) {
                return false;
            }
            sys::llama_memory_seq_rm(self.cache(), SEQUENCE, keep, -1)
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.sampled_from = false;
        // SAFETY: the memory lives as long as the context. The buffers' bytes stay: nothing reads them before they are
        // written again.
        unsafe { sys::llama_memory_clear(self.cache(), false) }
    }

    /// What model and context take of memory.
    ///
    /// # Errors
    /// [`Error::Context`] when llama.cpp cannot say.
    pub fn memory(&self) -> Result<Vec<MemoryPart>, Error> {
        // SAFETY: the context is live, and not `Sync`: no other thread uses it.
        unsafe { breakdown(self.raw()) }
    }

    fn raw(&self) -> *mut sys::llama_context {
        self.handle.raw.as_ptr()
    }

    fn cache(&self) -> sys::llama_memory_t {
        // SAFETY: the context is live.
        unsafe { sys::llama_get_memory(self.raw()) }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("context", &self.context())
            .finish_non_exhaustive()
    }
}

/// llama.cpp's context, without threads: all that a probe needs.
pub(crate) struct Handle {
    raw: NonNull<sys::llama_context>,
}

impl Handle {
    /// The caller keeps `model` at least as long as the handle.
    pub(crate) fn new(model: &Model, params: &ContextParams) -> Result<Self, Error> {
        /// Making a context writes to the model's hyper-parameters.
        static MAKING: Mutex<()> = Mutex::new(());
        let raw = params.raw();
        let mut context = std::ptr::null_mut();
        let (outcome, reason) = {
            let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
            during(Work::Load, || {
                // SAFETY: the model is live and `raw` complete; both outlive the call.
                ffi::check(|error| unsafe { ffi::ns_context_new(model.raw(), &raw const raw, &raw mut context, error) })
            })
        };
        outcome.map_err(Error::Context)?;
        let Some(raw) = NonNull::new(context) else {
            let reason = if reason.is_empty() {
                "llama.cpp gives no reason".to_owned()
            } else {
                reason
            };
            return Err(Error::Context(reason));
        };
        let handle = Self { raw };
        // SAFETY: the context is live.
        if unsafe { sys::llama_get_memory(raw.as_ptr()) }.is_null() {
            return Err(Error::Unsupported(
                "the model keeps no cache, so it cannot generate text".to_owned(),
            ));
        }
        Ok(handle)
    }

    pub(crate) fn memory(&self) -> Result<Vec<MemoryPart>, Error> {
        // SAFETY: the context is live, and not `Sync`: no other thread uses it.
        unsafe { breakdown(self.raw.as_ptr()) }
    }
}

// SAFETY: llama.cpp binds a context to no thread; it only must not be used by two at once, and `Handle` is not `Sync`.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by `llama_init_from_model`, freed once; its model and threads are freed after it.
        unsafe { sys::llama_free(self.raw.as_ptr()) }
    }
}

struct Threads {
    raw: NonNull<sys::ggml_threadpool>,
}

impl Threads {
    fn new(count: u32) -> Result<Self, Error> {
        let count = i32::try_from(count).unwrap_or(1);
        // SAFETY: the parameters are complete and only read.
        let raw = unsafe {
            let mut params = sys::ggml_threadpool_params_default(count);
            sys::ggml_threadpool_new(&raw mut params)
        };
        NonNull::new(raw)
            .map(|raw| Self { raw })
            .ok_or_else(|| Error::Context("no worker threads".to_owned()))
    }
}

// SAFETY: the pool is driven only by the thread that computes with its context, one at a time.
unsafe impl Send for Threads {}

impl Drop for Threads {
    fn drop(&mut self) {
        // SAFETY: made by `ggml_threadpool_new`, freed once, after the context that used it.
        unsafe { sys::ggml_threadpool_free(self.raw.as_ptr()) }
    }
}

unsafe extern "C" fn on_abort(data: ffi::UserData) -> bool {
    // SAFETY: `data` is the `AtomicBool` that `decode` borrows for as long as this callback is set.
    unsafe { &*data.cast::<AtomicBool>() }.load(Ordering::Relaxed)
}

/// There is one conversation in a context.
const SEQUENCE: sys::llama_seq_id = 0;
/// Sixteen times what the longest models of today are trained with; keeps positions and sizes far from overflowing.
const MOST_CONTEXT: u32 = 1 << 24;
/// Compute buffers grow with it; beyond this nothing becomes faster.
const MOST_BATCH: u32 = 1 << 14;
/// GGML_MAX_N_THREADS.
const MOST_THREADS: u32 = 512;
